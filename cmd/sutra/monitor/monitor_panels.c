/* The monitor's panels: services, hit rates, replica load, traffic. */
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/str.h"
#include "sutra/monitor/monitor.h"
#include "term/chart.h"

enum { CHART_ROWS = 5, MAX_WIDTH = 512 };

/* Services */

static void service_cells(struct sutra_grid *g, const struct sutra_snap_service *s, bool wide)
{
	char bytes[24], uptime[32] = "-";
	bool up = !strcmp(s->state, "up");

	if (s->uptime_s >= 0)
		sutra_clock_human(s->uptime_s, uptime, sizeof(uptime));
	sutra_grid_cell(g, SUTRA_ROLE_PLAIN, "%s", s->name);
	sutra_grid_cell(g, monitor_state_role(s->state), "%s", s->state);
	monitor_figure_cell(g, SUTRA_ROLE_PLAIN, s->latency_ms);
	monitor_figure_cell(g, SUTRA_ROLE_PLAIN, s->cpu_percent);
	sutra_grid_cell(g, SUTRA_ROLE_PLAIN, "%s", monitor_bytes(bytes, sizeof(bytes), s->memory_bytes, "-"));
	if (wide)
		sutra_grid_cell(g, SUTRA_ROLE_PLAIN, "%s", monitor_bytes(bytes, sizeof(bytes), s->memory_limit, "-"));
	sutra_grid_cell(g, s->restarts > 0 ? SUTRA_ROLE_WARN : SUTRA_ROLE_PLAIN, "%lld", (long long)s->restarts);
	sutra_grid_cell(g, SUTRA_ROLE_PLAIN, "%s", uptime);
	if (wide) {
		sutra_grid_cell(g, SUTRA_ROLE_PLAIN, "%lld", (long long)s->pid);
		sutra_grid_cell(g, SUTRA_ROLE_PLAIN, "%s", s->address);
		sutra_grid_cell(g, SUTRA_ROLE_PLAIN, "%s", s->version);
	}
	if (up)
		sutra_grid_cell(g, SUTRA_ROLE_PLAIN, "%s", "");
	else
		sutra_grid_cell(g, SUTRA_ROLE_PLAIN, "%s%s%s%s", s->affected_by[0] ? "affected by " : "",
				s->affected_by[0] ? s->affected_by : s->reason, s->detail[0] ? ": " : "", s->detail);
}

static void services_table(const struct monitor_view *v, struct sutra_screen *s, struct sutra_rect at, bool wide)
{
	static const struct sutra_grid_column narrow_columns[] = {
		{ "SERVICE", false, 0, 0 }, { "STATE", false, 0, 0 },   { "MS", true, 2, 0 },
		{ "CPU%", true, 3, 0 },      { "MEMORY", true, 4, 0 },   { "RESTARTS", true, 5, 0 },
		{ "UPTIME", true, 6, 0 },    { "REASON", false, 1, 12 }, { NULL, false, 0, 0 },
	};
	static const struct sutra_grid_column wide_columns[] = {
		{ "SERVICE", false, 0, 0 }, { "STATE", false, 0, 0 },	  { "MS", true, 2, 0 },
		{ "CPU%", true, 3, 0 },	     { "MEMORY", true, 4, 0 },	  { "LIMIT", true, 8, 0 },
		{ "RESTARTS", true, 5, 0 },  { "UPTIME", true, 6, 0 },	  { "PID", true, 9, 0 },
		{ "ADDRESS", false, 10, 0 }, { "VERSION", false, 11, 0 }, { "REASON", false, 1, 12 },
		{ NULL, false, 0, 0 },
	};
	const struct sutra_snap_service *list[MONITOR_MAX_SERVICES];
	struct sutra_grid g;
	size_t n;

	if (v->snap->n_services > MONITOR_MAX_SERVICES) {
		sutra_screen_textf(s, at.row, at.column, at.width, SUTRA_ROLE_WARN,
				   "%zu services; %d fit here: sutra status lists all", v->snap->n_services,
				   MONITOR_MAX_SERVICES);
		return;
	}
	n = monitor_services(v, list);
	sutra_grid_init(&g, wide ? wide_columns : narrow_columns);
	for (size_t i = 0; i < n; i++)
		service_cells(&g, list[i], wide);
	sutra_grid_draw(&g, s, at, v->selected);
	sutra_grid_release(&g);
}

static size_t count_state(const struct monitor_view *v, const char *state)
{
	size_t n = 0;

	for (size_t i = 0; i < v->snap->n_services; i++)
		n += !strcmp(v->snap->services[i].state, state);
	return n;
}

static int64_t services_at(const struct monitor_view *v)
{
	return v->snap->n_services ? v->snap->services[0].at_us : v->snap->time_us;
}

/* "6 services: 5 up 1 down" */
static void services_line(const struct monitor_view *v, struct sutra_screen *s, struct sutra_rect at)
{
	static const char *const states[] = { "up", "degraded", "starting", "down", "unknown" };
	int x = at.column, end = at.column + at.width;

	x += sutra_screen_textf(s, at.row, x, end - x, SUTRA_ROLE_PLAIN, "%zu services:", v->snap->n_services);
	for (size_t i = 0; i < sizeof(states) / sizeof(*states); i++)
		if (count_state(v, states[i]))
			x += sutra_screen_textf(s, at.row, x, end - x, monitor_state_role(states[i]), " %zu %s",
						count_state(v, states[i]), states[i]);
	monitor_dim(s, at, sutra_snapshot_stale(v->snap, services_at(v), v->now_us));
}

static void troubled_lines(const struct monitor_view *v, struct sutra_screen *s, struct sutra_rect at)
{
	int row = at.row;

	for (size_t i = 0; i < v->snap->n_services && row < at.row + at.height; i++) {
		const struct sutra_snap_service *p = &v->snap->services[i];

		if (!strcmp(p->state, "up"))
			continue;
		sutra_screen_textf(s, row++, at.column, at.width, monitor_state_role(p->state), "%s %s%s%s%s",
				   p->name, p->state, p->reason[0] ? ": " : "", p->affected_by[0] ? "by " : p->reason,
				   p->affected_by);
	}
}

static int services_rows(const struct monitor_view *v, int level)
{
	size_t up = count_state(v, "up");

	return level == 2 ? (int)v->snap->n_services + 2 : level == 1 ? 1 + (int)(v->snap->n_services - up) : 1;
}

void monitor_draw_services(const struct monitor_view *v, struct sutra_screen *s, struct sutra_rect at, const char *title,
			   bool wide)
{
	char text[96], age[48];
	bool stale;

	snprintf(text, sizeof(text), "%s", title);
	if (v->snap->n_services)	/* memory is read less often than the rest */
		snprintf(text, sizeof(text), "%s (memory %s ago)", title,
			 monitor_age(v->snap->services[0].memory_at_us, v->now_us, age, sizeof(age)));
	stale = monitor_title(v, s, at, text, services_at(v), v->snap->trouble);
	services_table(v, s, sutra_rect_below(at, 1), wide);
	monitor_dim(s, sutra_rect_below(at, 1), stale);
}

static void services_draw(const struct monitor_view *v, struct sutra_screen *s, struct sutra_rect at, int level)
{
	if (level == 2) {
		monitor_draw_services(v, s, at, "Services", false);
		return;
	}
	services_line(v, s, at);
	if (level)
		troubled_lines(v, s, sutra_rect_below(at, 1));
}

const struct monitor_panel monitor_panel_services = { 3, services_rows, services_draw };

/* Hit rates */

static int64_t caches_at(const struct monitor_view *v)
{
	int64_t oldest = v->snap->n_caches ? v->snap->caches[0].at_us : 0;

	for (size_t i = 1; i < v->snap->n_caches; i++)
		oldest = v->snap->caches[i].at_us < oldest ? v->snap->caches[i].at_us : oldest;
	return oldest;
}

static const char *caches_trouble(const struct monitor_view *v)
{
	for (size_t i = 0; i < v->snap->n_caches; i++)
		if (v->snap->caches[i].trouble[0])
			return v->snap->caches[i].trouble;
	return v->snap->trouble;
}

static double all_of(const struct sutra_hits *h) { return h->l1 + h->l2 + h->misses; }

/* name when the hits span the whole window, else the time that they span. */
static void window_name(char *out, size_t size, const char *name, double asked, const struct sutra_hits *h)
{
	if (h->seconds >= 0.9 * asked)
		snprintf(out, size, "%s", name);
	else
		snprintf(out, size, "%.0f s", h->seconds);
}

static void hit_bar(struct sutra_screen *s, struct sutra_rect at, const char *name, const struct sutra_hits *h)
{
	const double parts[SUTRA_CHART_PARTS] = { h->l1, h->l2, h->misses };
	char l1[24], l2[24], miss[24], text[120];
	double all = all_of(h);
	int label = 7, bar, n;

	if (all > 0)
		n = snprintf(text, sizeof(text), "%5.1f %%  L1 %s  L2 %s  miss %s", 100 * (h->l1 + h->l2) / all,
			     monitor_count(l1, sizeof(l1), h->l1), monitor_count(l2, sizeof(l2), h->l2),
			     monitor_count(miss, sizeof(miss), h->misses));
	else
		n = snprintf(text, sizeof(text), "    -    nothing asked");
	bar = at.width - label - 2 - 46;
	bar = bar < 8 ? at.width - label - n - 2 : bar;
	sutra_screen_text(s, at.row, at.column, label, SUTRA_ROLE_DIM, name);
	if (bar >= 4)
		sutra_chart_bar(s, at.row, at.column + label, bar, parts);
	else
		bar = -1;
	sutra_screen_text(s, at.row, at.column + label + bar + 1, at.width - label - bar - 1, SUTRA_ROLE_PLAIN, text);
}

void monitor_hit_bars(const struct monitor_view *v, struct sutra_screen *s, struct sutra_rect at)
{
	static const struct {
		const char *name;
		double seconds;
	} windows[] = { { "1 m", 60 }, { "15 m", 900 } };
	struct sutra_hits h, all = sutra_trend_total(v->snap);
	char name[32];

	for (int i = 0; i < 2; i++) {
		h = sutra_trend_window(v->trend, windows[i].seconds);
		window_name(name, sizeof(name), windows[i].name, windows[i].seconds, &h);
		hit_bar(s, sutra_rect_below(at, i), name, &h);
	}
	hit_bar(s, sutra_rect_below(at, 2), "start", &all);
}

/* Stacked columns, one for each slot of time: L1 hits at the bottom, then L2 hits, then misses. */
void monitor_hit_history(const struct monitor_view *v, struct sutra_screen *s, struct sutra_rect at)
{
	static const double slots[] = { 2, 5, 10, 15 };
	size_t n = (size_t)(at.width > MAX_WIDTH ? MAX_WIDTH : at.width < 1 ? 1 : at.width), pick = 0;
	struct sutra_hits *hits = xcalloc(n, sizeof(*hits));
	double(*entries)[SUTRA_CHART_PARTS] = xcalloc(n, sizeof(*entries));
	char span[32];

	while (pick < 3 && slots[pick] * (double)n < 300)
		pick++;
	sutra_trend_slots(v->trend, slots[pick], hits, n);
	for (size_t i = 0; i < n; i++) {
		entries[i][0] = hits[i].l1;
		entries[i][1] = hits[i].l2;
		entries[i][2] = hits[i].misses;
	}
	sutra_chart_stack(s, at.row, at.column, at.height - 1, (const double(*)[SUTRA_CHART_PARTS])entries, n);
	sutra_clock_human(slots[pick] * (double)n, span, sizeof(span));
	sutra_screen_textf(s, at.row + at.height - 1, at.column, at.width, SUTRA_ROLE_DIM,
			   "%s L1  %s L2  %s miss   %s, a column %.0f s", sutra_chart_part(s, 0),
			   sutra_chart_part(s, 1), sutra_chart_part(s, 2), span, slots[pick]);
	sutra_free(entries);
	sutra_free(hits);
}

static int cache_rows(const struct monitor_view *v, int level)
{
	return level == 2 ? 4 + CHART_ROWS + 1 : level == 1 ? 4 : 1;
}

static void cache_line(const struct monitor_view *v, struct sutra_screen *s, struct sutra_rect at)
{
	struct sutra_hits h = sutra_trend_window(v->trend, 60), all = sutra_trend_total(v->snap);
	bool stale = sutra_snapshot_stale(v->snap, caches_at(v), v->now_us);
	char count[24], name[32];

	window_name(name, sizeof(name), "1 m", 60, &h);
	monitor_count(count, sizeof(count), all_of(&h) > 0 ? all_of(&h) : all_of(&all));
	if (all_of(&h) > 0)
		sutra_screen_textf(s, at.row, at.column, at.width, SUTRA_ROLE_PLAIN,
				   "hits %s %.1f%%  L1 %.0f%% L2 %.0f%%%s%s", name,
				   100 * (h.l1 + h.l2) / all_of(&h), 100 * h.l1 / all_of(&h), 100 * h.l2 / all_of(&h),
				   stale ? "" : " of ", stale ? "" : count);
	else
		sutra_screen_textf(s, at.row, at.column, at.width, SUTRA_ROLE_PLAIN, "hits: nothing asked; %s in all",
				   count);
	monitor_dim(s, at, stale);
	if (stale)
		sutra_screen_text(s, at.row, at.column + at.width - 6, 6, SUTRA_ROLE_WARN, " stale");
}

static void cache_draw(const struct monitor_view *v, struct sutra_screen *s, struct sutra_rect at, int level)
{
	bool stale;

	if (!level) {
		cache_line(v, s, at);
		return;
	}
	stale = monitor_title(v, s, at, "Hit rates", caches_at(v), caches_trouble(v));
	monitor_hit_bars(v, s, sutra_rect_below(at, 1));
	if (at.height > 7)
		monitor_hit_history(v, s, sutra_rect_below(at, 4));
	monitor_dim(s, sutra_rect_below(at, 1), stale);
}

const struct monitor_panel monitor_panel_cache = { 3, cache_rows, cache_draw };

/* Replica load */

static void replica_cells(struct sutra_grid *g, const struct sutra_snap_replica *r)
{
	char change[32] = "-";

	if (r->last_change_s >= 0 && r->last_change_s < 60)
		snprintf(change, sizeof(change), "%lld s", (long long)r->last_change_s);
	else if (r->last_change_s >= 0)
		sutra_clock_human((double)r->last_change_s, change, sizeof(change));
	sutra_grid_cell(g, SUTRA_ROLE_PLAIN, "%s", r->name);
	sutra_grid_cell(g, r->up ? SUTRA_ROLE_OK : SUTRA_ROLE_BAD, "%s", r->status);
	if (r->share >= 0)
		sutra_grid_cell(g, r->skewed ? SUTRA_ROLE_WARN : SUTRA_ROLE_PLAIN, "%.0f%%%s", 100 * r->share,
				r->skewed ? "!" : "");
	else
		sutra_grid_cell(g, SUTRA_ROLE_DIM, "-");
	sutra_grid_cell(g, SUTRA_ROLE_PLAIN, "%lld/%lld", (long long)r->sessions, (long long)r->sessions_max);
	sutra_grid_cell(g, r->queue > 0 ? SUTRA_ROLE_WARN : SUTRA_ROLE_PLAIN, "%lld", (long long)r->queue);
	monitor_figure_cell(g, SUTRA_ROLE_PLAIN, r->rate);
	monitor_figure_cell(g, r->error_rate > 0 ? SUTRA_ROLE_BAD : SUTRA_ROLE_PLAIN, r->error_rate);
	sutra_grid_cell(g, SUTRA_ROLE_PLAIN, "%lld", (long long)r->errors);
	monitor_figure_cell(g, SUTRA_ROLE_PLAIN, (double)r->mean_ms);
	sutra_grid_cell(g, SUTRA_ROLE_PLAIN, "%s %s", r->check_code, r->check_text);
	sutra_grid_cell(g, SUTRA_ROLE_PLAIN, "%s", change);
}

void monitor_replicas_table(const struct monitor_view *v, struct sutra_screen *s, struct sutra_rect at, bool cursor)
{
	static const struct sutra_grid_column columns[] = {
		{ "REPLICA", false, 0, 10 }, { "STATE", false, 0, 0 },	{ "SHARE", true, 1, 0 },
		{ "NOW/MAX", true, 4, 0 },   { "QUEUE", true, 3, 0 },	{ "REQ/S", true, 2, 0 },
		{ "ERR/S", true, 6, 0 },     { "ERRORS", true, 7, 0 },	{ "MEAN MS", true, 8, 0 },
		{ "CHECK", false, 5, 6 },    { "SINCE", true, 9, 0 },	{ NULL, false, 0, 0 },
	};
	struct sutra_grid g;

	sutra_grid_init(&g, columns);
	for (size_t b = 0; b < v->snap->n_balancers; b++)
		for (size_t i = 0; i < v->snap->balancers[b].n_replicas; i++)
			if (!cursor || monitor_passes(v, v->snap->balancers[b].replicas[i].name))
				replica_cells(&g, &v->snap->balancers[b].replicas[i]);
	sutra_grid_draw(&g, s, at, cursor ? v->selected : -1);
	sutra_grid_release(&g);
}

static size_t replicas_of(const struct monitor_view *v)
{
	size_t n = 0;

	for (size_t b = 0; b < v->snap->n_balancers; b++)
		n += v->snap->balancers[b].n_replicas;
	return n;
}

static int replicas_rows(const struct monitor_view *v, int level)
{
	if (!v->snap->n_balancers)
		return 0;
	return level ? (int)replicas_of(v) + 2 : (int)v->snap->n_balancers;
}

/* One line for each balancer: "ml-base 3/3 up, balance 0.99". */
static void balancer_lines(const struct monitor_view *v, struct sutra_screen *s, struct sutra_rect at)
{
	for (size_t b = 0; b < v->snap->n_balancers; b++) {
		const struct sutra_snap_balancer *k = &v->snap->balancers[b];
		bool stale = sutra_snapshot_stale(v->snap, k->at_us, v->now_us);
		char index[24] = "-", age[32];
		size_t up = 0;

		for (size_t i = 0; i < k->n_replicas; i++)
			up += k->replicas[i].up;
		if (k->balance >= 0)
			snprintf(index, sizeof(index), "%.2f", k->balance);
		sutra_screen_textf(s, at.row + (int)b, at.column, at.width,
				   stale ? SUTRA_ROLE_DIM : up == k->n_replicas ? SUTRA_ROLE_PLAIN : SUTRA_ROLE_WARN,
				   "%s %zu/%zu up, balance %s%s%s", k->group, up, k->n_replicas, index, stale ? ", stale " : "",
				   stale ? monitor_age(k->at_us, v->now_us, age, sizeof(age)) : "");
	}
}

static void replicas_draw(const struct monitor_view *v, struct sutra_screen *s, struct sutra_rect at, int level)
{
	const struct sutra_snap_balancer *oldest = v->snap->balancers;
	char title[160] = "Replicas", index[48] = "";
	bool stale;

	if (!v->snap->n_balancers)
		return;
	if (!level) {
		balancer_lines(v, s, at);
		return;
	}
	for (size_t b = 0; b < v->snap->n_balancers; b++) {
		const struct sutra_snap_balancer *k = &v->snap->balancers[b];

		oldest = k->at_us < oldest->at_us ? k : oldest;
		if (k->balance >= 0)
			snprintf(index, sizeof(index), " %.2f", k->balance);
		snprintf(title + strlen(title), sizeof(title) - strlen(title), "%s %s %s, balance%s", b ? ";" : ":",
			 k->group, k->algorithm, k->balance >= 0 ? index : " -");
	}
	stale = monitor_title(v, s, at, title, oldest->at_us, oldest->trouble);
	monitor_replicas_table(v, s, sutra_rect_below(at, 1), false);
	monitor_dim(s, sutra_rect_below(at, 1), stale);
}

const struct monitor_panel monitor_panel_replicas = { 2, replicas_rows, replicas_draw };

/* Traffic */

static const struct {
	const char *name, *unit;
	enum sutra_trend_line line;
	enum sutra_role role;
} lines[] = {
	{ "texts/s", "", SUTRA_TREND_TEXTS, SUTRA_ROLE_PART2 },
	{ "requests/s", "", SUTRA_TREND_REQUESTS, SUTRA_ROLE_PART2 },
	{ "errors/s", "", SUTRA_TREND_ERRORS, SUTRA_ROLE_BAD },
	{ "model mean", " ms", SUTRA_TREND_MEAN_MS, SUTRA_ROLE_PART3 },
	{ "gateway check", " ms", SUTRA_TREND_PROBE_MS, SUTRA_ROLE_PART3 },
};
enum { N_LINES = sizeof(lines) / sizeof(*lines) };

static int traffic_rows(const struct monitor_view *v, int level)
{
	return level == 2 ? 1 + N_LINES : level;
}

static void traffic_spark(const struct monitor_view *v, struct sutra_screen *s, struct sutra_rect at, size_t i)
{
	int width = at.width - 14 - 19;
	double values[MAX_WIDTH], peak = 0;
	char now[24], most[24];
	size_t n = (size_t)(width < 4 ? 4 : width > MAX_WIDTH ? MAX_WIDTH : width);

	sutra_trend_line(v->trend, lines[i].line, values, n);
	for (size_t k = 0; k < n; k++)
		peak = values[k] > peak ? values[k] : peak;
	sutra_screen_text(s, at.row, at.column, 13, SUTRA_ROLE_DIM, lines[i].name);
	sutra_screen_textf(s, at.row, at.column + 14, 9, SUTRA_ROLE_PLAIN, "%8s",
			   monitor_figure(now, sizeof(now), values[n - 1], lines[i].unit));
	if (width < 4)
		return;
	sutra_chart_spark(s, at.row, at.column + 24, lines[i].role, values, n, 0);
	sutra_screen_textf(s, at.row, at.column + 25 + (int)n, 8, SUTRA_ROLE_DIM, "max %s",
			   monitor_figure(most, sizeof(most), peak, ""));
}

static void traffic_draw(const struct monitor_view *v, struct sutra_screen *s, struct sutra_rect at, int level)
{
	double texts, requests, mean;
	char a[24], b[24], c[24];
	bool stale;

	if (!level)
		return;
	if (level == 1) {
		sutra_trend_line(v->trend, SUTRA_TREND_TEXTS, &texts, 1);
		sutra_trend_line(v->trend, SUTRA_TREND_REQUESTS, &requests, 1);
		sutra_trend_line(v->trend, SUTRA_TREND_MEAN_MS, &mean, 1);
		sutra_screen_textf(s, at.row, at.column, at.width, SUTRA_ROLE_PLAIN, "%s texts/s  %s req/s  mean %s",
				   monitor_figure(a, sizeof(a), texts, ""), monitor_figure(b, sizeof(b), requests, ""),
				   monitor_figure(c, sizeof(c), mean, " ms"));
		return;
	}
	stale = monitor_title(v, s, at, "Traffic", caches_at(v), caches_trouble(v));
	for (size_t i = 0; i < N_LINES; i++)
		traffic_spark(v, s, sutra_rect_below(at, 1 + (int)i), i);
	monitor_dim(s, sutra_rect_below(at, 1), stale);
}

const struct monitor_panel monitor_panel_traffic = { 3, traffic_rows, traffic_draw };
