/* The monitor's screens: the head, the place of each panel, and which details are left out when
 * there is little room. */
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/str.h"
#include "sutra/monitor/monitor.h"
#include "term/chart.h"

enum { SIDE_BY_SIDE = 120, P_SERVICES = 0, P_CACHE, P_REPLICAS, P_TRAFFIC, P_EVENTS, PANELS };

static const struct monitor_panel *const panels[PANELS] = {
	&monitor_panel_services, &monitor_panel_cache, &monitor_panel_replicas, &monitor_panel_traffic,
	&monitor_panel_events,
};

/* The order in which panels are reduced by a level of detail until all fit. */
static const int collapse[] = { P_EVENTS, P_CACHE, P_TRAFFIC, P_EVENTS, P_REPLICAS, P_SERVICES,
				P_CACHE,  P_EVENTS, P_SERVICES, P_TRAFFIC };

static int wanted(const struct monitor_view *v, int panel, const int *levels)
{
	return panels[panel]->rows(v, levels[panel]);
}

/* Rows of the whole overview. Side by side, the cache stands beside replicas and traffic. */
static int total_of(const struct monitor_view *v, const int *levels, bool beside)
{
	int cache = wanted(v, P_CACHE, levels),
	    right = wanted(v, P_REPLICAS, levels) + wanted(v, P_TRAFFIC, levels);

	return wanted(v, P_SERVICES, levels) + wanted(v, P_EVENTS, levels) + (beside ? cache > right ? cache : right : cache + right);
}

static void draw_overview(const struct monitor_view *v, struct sutra_screen *s, struct sutra_rect at)
{
	bool beside = at.width >= SIDE_BY_SIDE;
	int levels[PANELS], rows[PANELS], left = beside ? at.width * 2 / 5 : at.width, spare;
	struct sutra_rect r = at;

	for (int i = 0; i < PANELS; i++)
		levels[i] = panels[i]->levels - 1;
	for (size_t i = 0; i < sizeof(collapse) / sizeof(*collapse) && total_of(v, levels, beside) > at.height; i++)
		levels[collapse[i]]--;
	for (int i = 0; i < PANELS; i++)
		rows[i] = wanted(v, i, levels);
	spare = at.height - total_of(v, levels, beside);
	/* The rows that remain go to the history of hits, then to the events. */
	if (levels[P_CACHE] == 2 && spare > 0) {
		rows[P_CACHE] += spare < 16 ? spare : 16;
		spare -= spare < 16 ? spare : 16;
	}
	r.height = rows[P_SERVICES];
	panels[P_SERVICES]->draw(v, s, r, levels[P_SERVICES]);
	r.row += r.height;
	r.height = rows[P_CACHE] < at.row + at.height - r.row ? rows[P_CACHE] : at.row + at.height - r.row;
	r.width = left;
	panels[P_CACHE]->draw(v, s, r, levels[P_CACHE]);
	if (beside)
		r = (struct sutra_rect){ r.row, at.column + left + 2, 0, at.width - left - 2 };
	else
		r.row += r.height;
	r.height = rows[P_REPLICAS];
	panels[P_REPLICAS]->draw(v, s, r, levels[P_REPLICAS]);
	r.row += r.height;
	r.height = rows[P_TRAFFIC];
	panels[P_TRAFFIC]->draw(v, s, r, levels[P_TRAFFIC]);
	rows[P_EVENTS] += levels[P_EVENTS] >= 1 ? spare : 0;
	r = (struct sutra_rect){ at.row + at.height - rows[P_EVENTS], at.column, rows[P_EVENTS], at.width };
	panels[P_EVENTS]->draw(v, s, r, levels[P_EVENTS]);
}

static void count_cell(struct sutra_grid *g, int64_t n)
{
	char text[24];

	sutra_grid_cell(g, SUTRA_ROLE_PLAIN, "%s", monitor_count(text, sizeof(text), (double)n));
}

static void gateway_cells(struct sutra_grid *g, const struct sutra_snap_cache *c)
{
	sutra_grid_cell(g, SUTRA_ROLE_PLAIN, "%s", c->service);
	monitor_figure_cell(g, SUTRA_ROLE_PLAIN, c->texts_rate);
	count_cell(g, c->l1_hits);
	count_cell(g, c->l2_hits);
	count_cell(g, c->misses);
	count_cell(g, c->coalesced);
	sutra_grid_cell(g, c->l2_errors ? SUTRA_ROLE_WARN : SUTRA_ROLE_PLAIN, "%lld", (long long)c->l2_errors);
	sutra_grid_cell(g, c->errors ? SUTRA_ROLE_WARN : SUTRA_ROLE_PLAIN, "%lld", (long long)c->errors);
}

/* When the shard does not answer the gateway, the entries of L2 are older than the other figures. */
static void level_cells(struct sutra_grid *g, const struct monitor_view *v, const struct sutra_snap_cache *c, bool l2)
{
	bool stale = l2 && c->l2_at_us < c->detail_at_us;
	enum sutra_role role = stale ? SUTRA_ROLE_DIM : SUTRA_ROLE_PLAIN;
	char a[32], b[32];

	sutra_grid_cell(g, SUTRA_ROLE_PLAIN, "%s", c->service);
	sutra_grid_cell(g, SUTRA_ROLE_PLAIN, "%s", l2 ? "L2" : "L1");
	sutra_grid_cell(g, role, "%s/%s", monitor_count(a, sizeof(a), (double)(l2 ? c->l2_size : c->l1_size)),
			monitor_count(b, sizeof(b), (double)(l2 ? c->l2_max : c->l1_max)));
	sutra_grid_cell(g, role, "%lld", (long long)(l2 ? c->l2_evictions : c->l1_evictions));
	sutra_grid_cell(g, SUTRA_ROLE_PLAIN, "%s", monitor_figure(a, sizeof(a), l2 ? c->l2_p50_us : c->l1_p50_us, " us"));
	sutra_grid_cell(g, SUTRA_ROLE_PLAIN, "%s", monitor_figure(a, sizeof(a), l2 ? c->l2_p99_us : c->l1_p99_us, " us"));
	if (stale)
		sutra_grid_cell(g, SUTRA_ROLE_WARN, "stale %s: the shard does not answer",
				monitor_age(c->l2_at_us, v->now_us, a, sizeof(a)));
	else
		sutra_grid_cell(g, SUTRA_ROLE_PLAIN, "%s", "");
}

static int draw_levels(const struct monitor_view *v, struct sutra_screen *s, struct sutra_rect at)
{
	static const struct sutra_grid_column columns[] = {
		{ "GATEWAY", false, 1, 10 }, { "LEVEL", false, 0, 0 }, { "ENTRIES", true, 0, 0 },
		{ "EVICTED", true, 2, 0 },   { "P50", true, 4, 0 },	{ "P99", true, 3, 0 },
		{ "", false, 0, 5 },	     { NULL, false, 0, 0 },
	};
	int64_t oldest = v->snap->n_caches ? v->snap->caches[0].detail_at_us : 0;
	struct sutra_grid g;
	char title[64], age[48];
	int rows;

	sutra_grid_init(&g, columns);
	for (size_t i = 0; i < v->snap->n_caches; i++) {
		const struct sutra_snap_cache *c = &v->snap->caches[i];

		oldest = c->detail_at_us < oldest ? c->detail_at_us : oldest;
		level_cells(&g, v, c, false);
		if (c->l2_enabled)
			level_cells(&g, v, c, true);
	}
	rows = (int)sutra_grid_rows(&g) + 2;
	rows = rows < at.height ? rows : at.height;
	snprintf(title, sizeof(title), "Levels, %s ago, read each 10 s", monitor_age(oldest, v->now_us, age, sizeof(age)));
	monitor_rule(s, at, title, SUTRA_ROLE_DIM, "");
	at = (struct sutra_rect){ at.row + 1, at.column, rows - 1, at.width };
	sutra_grid_draw(&g, s, at, -1);
	monitor_dim(s, at, v->now_us - oldest > 25000000);	/* after two and a half of these intervals */
	sutra_grid_release(&g);
	return rows;
}

static void draw_cache(const struct monitor_view *v, struct sutra_screen *s, struct sutra_rect at)
{
	static const struct sutra_grid_column columns[] = {
		{ "GATEWAY", false, 0, 10 }, { "TEXTS/S", true, 0, 0 },	    { "L1 HITS", true, 1, 0 },
		{ "L2 HITS", true, 2, 0 },   { "MISSES", true, 3, 0 },	    { "SHARED", true, 6, 0 },
		{ "L2 ERRORS", true, 5, 0 }, { "ERRORS", true, 4, 0 }, { NULL, false, 0, 0 },
	};
	const struct sutra_snap_cache *c = v->snap->caches;
	struct sutra_grid g;
	bool stale;
	int rows;

	if (!v->snap->n_caches) {
		sutra_screen_text(s, at.row, at.column, at.width, SUTRA_ROLE_PLAIN, "no gateway is deployed");
		return;
	}
	stale = monitor_title(v, s, at, "Cache", c->at_us, c->trouble);
	monitor_hit_bars(v, s, sutra_rect_below(at, 1));
	sutra_grid_init(&g, columns);
	for (size_t i = 0; i < v->snap->n_caches; i++)
		gateway_cells(&g, &v->snap->caches[i]);
	rows = (int)v->snap->n_caches + 1;
	sutra_grid_draw(&g, s, (struct sutra_rect){ at.row + 4, at.column, at.height < 5 ? 0 : rows, at.width }, -1);
	sutra_grid_release(&g);
	monitor_dim(s, (struct sutra_rect){ at.row + 1, at.column, 3 + rows, at.width }, stale);
	at = sutra_rect_below(at, 4 + rows);
	if (at.height >= 3)
		at = sutra_rect_below(at, draw_levels(v, s, at));
	if (at.height >= 4)
		monitor_hit_history(v, s, sutra_rect_below(at, 1));
}

static void draw_replicas(const struct monitor_view *v, struct sutra_screen *s, struct sutra_rect at)
{
	struct sutra_rect r = at;
	bool stale = false;

	if (!v->snap->n_balancers)
		sutra_screen_text(s, at.row, at.column, at.width, SUTRA_ROLE_PLAIN,
				  "no balancer is deployed: the edition \"simple\" has one replica");
	for (size_t b = 0; b < v->snap->n_balancers && r.height > 0; b++) {
		const struct sutra_snap_balancer *k = &v->snap->balancers[b];
		char title[200], index[24] = "-";

		if (k->balance >= 0)
			snprintf(index, sizeof(index), "%.3f", k->balance);
		snprintf(title, sizeof(title), "%s (%s), balance index %s", k->service,
			 k->algorithm[0] ? k->algorithm : "?", index);
		stale |= monitor_title(v, s, r, title, k->at_us, k->trouble);
		r = sutra_rect_below(r, 1);
	}
	if (v->snap->n_balancers)
		monitor_replicas_table(v, s, r, true);
	monitor_dim(s, r, stale);
}

static void draw_services(const struct monitor_view *v, struct sutra_screen *s, struct sutra_rect at)
{
	static const char *const sorts[SORTS_] = { "start order", "name", "trouble", "latency", "cpu", "memory", "restarts" };
	char title[64];

	snprintf(title, sizeof(title), "Services by %s", sorts[v->sort]);
	monitor_draw_services(v, s, at, title, true);
}

struct facts {
	struct sutra_screen *s;
	struct sutra_rect at;
};

static void fact(struct facts *f, const char *name, enum sutra_role role, const char *text)
{
	if (f->at.height < 1 || !text[0])
		return;
	sutra_screen_text(f->s, f->at.row, f->at.column, 11, SUTRA_ROLE_DIM, name);
	sutra_screen_text(f->s, f->at.row, f->at.column + 12, f->at.width - 12, role, text);
	f->at = sutra_rect_below(f->at, 1);
}

static void memory_fact(struct facts *f, const struct sutra_snap_service *p, int64_t now_us)
{
	char used[24], rss[24], limit[24], text[160], age[48];

	snprintf(text, sizeof(text), "%s (resident %s, limit %s), %s ago",
		 monitor_bytes(used, sizeof(used), p->memory_bytes, "-"), monitor_bytes(rss, sizeof(rss), p->rss_bytes, "-"),
		 monitor_bytes(limit, sizeof(limit), p->memory_limit, "no limit"),
		 monitor_age(p->memory_at_us, now_us, age, sizeof(age)));
	fact(f, "memory", SUTRA_ROLE_PLAIN, text);
}

static void service_facts(struct facts *f, const struct sutra_snap_service *p, int64_t now_us)
{
	char latency[24], cpu[24], up[32] = "-", last[24] = "none", text[400];

	snprintf(text, sizeof(text), "%s%s%s%s%s", p->state, p->reason[0] ? ": " : "", p->reason,
		 p->detail[0] ? ", " : "", p->detail);
	fact(f, "state", monitor_state_role(p->state), text);
	fact(f, "affected by", SUTRA_ROLE_WARN, p->affected_by);
	if (p->uptime_s >= 0)
		sutra_clock_human(p->uptime_s, up, sizeof(up));
	snprintf(text, sizeof(text), "%s   cpu %s   up %s", monitor_figure(latency, sizeof(latency), p->latency_ms, " ms"),
		 monitor_figure(cpu, sizeof(cpu), p->cpu_percent, " %"), up);
	fact(f, "latency", SUTRA_ROLE_PLAIN, text);
	memory_fact(f, p, now_us);
	if (p->last_exit >= 0)
		snprintf(last, sizeof(last), "%lld", (long long)p->last_exit);
	snprintf(text, sizeof(text), "%lld   pid %lld   last exit %s", (long long)p->restarts, (long long)p->pid, last);
	fact(f, "restarts", p->restarts > 0 ? SUTRA_ROLE_WARN : SUTRA_ROLE_PLAIN, text);
	snprintf(text, sizeof(text), "%s%s%s   %s %s", p->address, p->published[0] ? ", published " : "", p->published,
		 p->program, p->version);
	fact(f, "address", SUTRA_ROLE_PLAIN, text);
}

static void replica_fact(const struct monitor_view *v, struct facts *f, const char *name)
{
	for (size_t b = 0; b < v->snap->n_balancers; b++) {
		for (size_t i = 0; i < v->snap->balancers[b].n_replicas; i++) {
			const struct sutra_snap_replica *r = &v->snap->balancers[b].replicas[i];
			char text[300], rate[24];

			if (strcmp(r->name, name) != 0)
				continue;
			snprintf(text, sizeof(text), "%s in %s, share %.0f %%, %s, sessions %lld/%lld, check %s %s",
				 r->status, v->snap->balancers[b].service, r->share >= 0 ? 100 * r->share : 0,
				 monitor_figure(rate, sizeof(rate), r->rate, "/s"),
				 (long long)r->sessions, (long long)r->sessions_max, r->check_code, r->check_text);
			fact(f, "balancer", r->up ? SUTRA_ROLE_PLAIN : SUTRA_ROLE_WARN, text);
		}
	}
}

static void draw_service(const struct monitor_view *v, struct sutra_screen *s, struct sutra_rect at)
{
	const struct sutra_snap_service *p = sutra_snapshot_service(v->snap, v->service);
	struct facts f = { s, sutra_rect_below(at, 1) };
	bool stale;

	if (!p) {
		sutra_screen_textf(s, at.row, at.column, at.width, SUTRA_ROLE_WARN, "%s is not deployed any more",
				   v->service);
		return;
	}
	stale = monitor_title(v, s, at, p->name, p->at_us, v->snap->trouble);
	service_facts(&f, p, v->now_us);
	replica_fact(v, &f, p->name);
	monitor_dim(s, sutra_rect_below(at, 1), stale);
	if (f.at.height > 2)
		monitor_draw_log(v, s, sutra_rect_below(f.at, 1));
}

static void draw_body(const struct monitor_view *v, struct sutra_screen *s, struct sutra_rect at)
{
	static void (*const draw[MONITOR_SCREENS_])(const struct monitor_view *, struct sutra_screen *,
						    struct sutra_rect) = {
		draw_overview, draw_cache, draw_replicas, draw_services, monitor_draw_events,
		monitor_draw_log, draw_service,
	};
	char age[48];

	if (!v->snap->deployed && !v->snap->n_services) {
		sutra_screen_text(s, at.row + 1, at.column, at.width, SUTRA_ROLE_WARN,
				  v->snap->trouble[0] ? v->snap->trouble : "nothing is deployed");
		sutra_screen_text(s, at.row + 2, at.column, at.width, SUTRA_ROLE_DIM,
				  "it is looked for at each interval");
		return;
	}
	if (v->snap->trouble[0] && at.height > 6) {
		sutra_screen_textf(s, at.row, at.column, at.width, SUTRA_ROLE_WARN, "stale %s, what %s knows: %s",
				   monitor_age(v->snap->looked_at_us, v->now_us, age, sizeof(age)), v->snap->runtime,
				   v->snap->trouble);
		at = sutra_rect_below(at, 1);
	}
	if (v->snap->cause[0] && at.height > 6) {
		sutra_screen_textf(s, at.row, at.column, at.width, SUTRA_ROLE_BAD, "root cause: %s", v->snap->cause);
		at = sutra_rect_below(at, 1);
	}
	draw[v->screen](v, s, at);
}

static const char *const screen_names[] = { "overview", "cache", "replicas", "services", "events", "logs", "service" };

/* The right end of the head: mode, interval, the sample's time, and its age when stale. */
static int time_text(const struct monitor_view *v, bool stale, int columns, char *out, size_t size)
{
	char when[SUTRA_RFC3339_LEN] = "", age[48], pace[32];
	int64_t at = v->snap ? v->snap->time_us : 0;

	sutra_clock_rfc3339(at, when);
	sutra_clock_human((double)v->interval_ns / 1e9, pace, sizeof(pace));
	return snprintf(out, size, "%s%s%s%s%s%.8sZ%s%s", v->replay ? "REPLAY " : "", v->admin ? "ADMIN " : "",
			v->paused ? "PAUSED " : "", columns >= 60 ? pace : "", columns >= 60 ? " " : "",
			v->snap ? when + 11 : "--:--:--", stale ? " stale " : "",
			stale ? monitor_age(at, v->now_us, age, sizeof(age)) : "");
}

static void draw_head(const struct monitor_view *v, struct sutra_screen *s)
{
	bool stale = v->snap && sutra_snapshot_stale(v->snap, v->snap->time_us, v->now_us);
	char right[200], about[100] = "";
	int n = time_text(v, stale, s->columns, right, sizeof(right)), used;

	used = sutra_screen_textf(s, 0, 0, s->columns, SUTRA_ROLE_HEAD, "sutra %s", screen_names[v->screen]);
	if (v->filter[0] && !v->typing)
		used += sutra_screen_textf(s, 0, used, s->columns - used, SUTRA_ROLE_WARN, "  /%s", v->filter);
	if (v->snap && v->snap->deployed)
		snprintf(about, sizeof(about), "  %s %s %lld-dim", v->snap->edition, v->snap->runtime,
			 (long long)v->snap->dimension);
	if (used + (int)strlen(about) + n < s->columns)
		used += sutra_screen_text(s, 0, used, s->columns - used, SUTRA_ROLE_DIM, about);
	if (n < s->columns - used)
		sutra_screen_text(s, 0, s->columns - n, n, v->paused || stale ? SUTRA_ROLE_WARN : SUTRA_ROLE_DIM, right);
}

void monitor_draw(const struct monitor_view *v, struct sutra_screen *s)
{
	struct sutra_rect body = { 1, 0, s->rows - 2, s->columns };

	sutra_screen_clear(s);
	if (s->rows < MONITOR_MIN_ROWS || s->columns < MONITOR_MIN_COLUMNS) {
		sutra_screen_textf(s, 0, 0, s->columns, SUTRA_ROLE_WARN, "%dx%d is too small", s->columns, s->rows);
		sutra_screen_textf(s, 1, 0, s->columns, SUTRA_ROLE_PLAIN, "%dx%d at least", MONITOR_MIN_COLUMNS,
				   MONITOR_MIN_ROWS);
		return;
	}
	draw_head(v, s);
	if (v->help)
		monitor_draw_help(v, s, body);
	else if (v->snap)
		draw_body(v, s, body);
	monitor_draw_footer(v, s, s->rows - 1);
}
