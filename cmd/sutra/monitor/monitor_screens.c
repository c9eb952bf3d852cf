/* The monitor's screens: which panel stands where, and what gives way when there is little room. */
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

/* The fixed order in which panels lose a level of detail until all fit. */
static const int collapse[] = { P_EVENTS, P_CACHE, P_TRAFFIC, P_EVENTS, P_REPLICAS, P_SERVICES,
				P_CACHE,  P_EVENTS, P_SERVICES, P_TRAFFIC };

static int wanted(const struct monitor_view *v, int panel, const int *levels)
{
	return panels[panel]->rows(v, levels[panel]);
}

/* Rows of the whole overview; side by side, the middle three share rows. */
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
	/* Rows that are left go to the history, then to the events. */
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

static void entries_text(char *out, size_t size, int64_t n, int64_t max)
{
	char a[24], b[24];

	monitor_count(a, sizeof(a), (double)n);
	monitor_count(b, sizeof(b), (double)max);
	snprintf(out, size, "%s/%s", a, b);
}

static void gateway_cells(struct sutra_grid *g, const struct sutra_snap_cache *c)
{
	char text[64];

	sutra_grid_cell(g, SUTRA_ROLE_PLAIN, "%s", c->service);
	monitor_figure(text, sizeof(text), c->texts_rate, "");
	sutra_grid_cell(g, SUTRA_ROLE_PLAIN, "%s", text);
	monitor_count(text, sizeof(text), (double)c->l1_hits);
	sutra_grid_cell(g, SUTRA_ROLE_PLAIN, "%s", text);
	monitor_count(text, sizeof(text), (double)c->l2_hits);
	sutra_grid_cell(g, SUTRA_ROLE_PLAIN, "%s", text);
	monitor_count(text, sizeof(text), (double)c->misses);
	sutra_grid_cell(g, SUTRA_ROLE_PLAIN, "%s", text);
	monitor_count(text, sizeof(text), (double)c->coalesced);
	sutra_grid_cell(g, SUTRA_ROLE_PLAIN, "%s", text);
	sutra_grid_cell(g, c->l2_errors ? SUTRA_ROLE_WARN : SUTRA_ROLE_PLAIN, "%lld", (long long)c->l2_errors);
	sutra_grid_cell(g, c->errors ? SUTRA_ROLE_WARN : SUTRA_ROLE_PLAIN, "%lld", (long long)c->errors);
}

/* Entries of L2 older than the rest: the shard did not answer the gateway. */
static void level_cells(struct sutra_grid *g, const struct monitor_view *v, const struct sutra_snap_cache *c, bool l2)
{
	bool stale = l2 && c->l2_at_us < c->detail_at_us;
	enum sutra_role role = stale ? SUTRA_ROLE_DIM : SUTRA_ROLE_PLAIN;
	char text[64], low[32], high[32], age[48];

	entries_text(text, sizeof(text), l2 ? c->l2_size : c->l1_size, l2 ? c->l2_max : c->l1_max);
	monitor_figure(low, sizeof(low), l2 ? c->l2_p50_us : c->l1_p50_us, " us");
	monitor_figure(high, sizeof(high), l2 ? c->l2_p99_us : c->l1_p99_us, " us");
	sutra_grid_cell(g, SUTRA_ROLE_PLAIN, "%s", c->service);
	sutra_grid_cell(g, SUTRA_ROLE_PLAIN, "%s", l2 ? "L2" : "L1");
	sutra_grid_cell(g, role, "%s", text);
	sutra_grid_cell(g, role, "%lld", (long long)(l2 ? c->l2_evictions : c->l1_evictions));
	sutra_grid_cell(g, SUTRA_ROLE_PLAIN, "%s", low);
	sutra_grid_cell(g, SUTRA_ROLE_PLAIN, "%s", high);
	if (stale)
		sutra_grid_cell(g, SUTRA_ROLE_WARN, "stale %s: the shard does not answer",
				monitor_age(c->l2_at_us, v->now_us, age, sizeof(age)));
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
	/* Read each 10 s: stale is what is older than two such periods. */
	snprintf(title, sizeof(title), "Levels, %s ago, read each 10 s", monitor_age(oldest, v->now_us, age, sizeof(age)));
	sutra_screen_fill(s, at.row, at.column, at.width, SUTRA_ROLE_DIM, s->utf8 ? "\u2500" : "-");
	sutra_screen_textf(s, at.row, at.column + 1, at.width - 2, SUTRA_ROLE_TITLE, " %s ", title);
	sutra_grid_draw(&g, s, (struct sutra_rect){ at.row + 1, at.column, rows - 1, at.width }, -1);
	if (v->now_us - oldest > 25000000)
		monitor_dim(s, (struct sutra_rect){ at.row + 1, at.column, rows - 1, at.width });
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
	if (stale)
		monitor_dim(s, (struct sutra_rect){ at.row + 1, at.column, 3 + rows, at.width });
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
	if (stale)
		monitor_dim(s, r);
}

static void draw_services(const struct monitor_view *v, struct sutra_screen *s, struct sutra_rect at)
{
	char title[96], by[64];
	bool stale;

	snprintf(by, sizeof(by), "Services by %s", monitor_sort_name(v->sort));
	monitor_services_title(v, by, title, sizeof(title));
	stale = monitor_title(v, s, at, title, v->snap->n_services ? v->snap->services[0].at_us : v->snap->time_us,
			      v->snap->trouble);
	monitor_services_table(v, s, sutra_rect_below(at, 1), true);
	if (stale)
		monitor_dim(s, sutra_rect_below(at, 1));
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
	char used[24] = "-", rss[24] = "-", limit[24] = "no limit", text[160], age[48];

	if (p->memory_bytes >= 0)
		sutra_str_bytes((uint64_t)p->memory_bytes, used, sizeof(used));
	if (p->rss_bytes >= 0)
		sutra_str_bytes((uint64_t)p->rss_bytes, rss, sizeof(rss));
	if (p->memory_limit > 0)
		sutra_str_bytes((uint64_t)p->memory_limit, limit, sizeof(limit));
	snprintf(text, sizeof(text), "%s (resident %s, limit %s), %s ago", used, rss, limit,
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
	monitor_figure(latency, sizeof(latency), p->latency_ms, " ms");
	monitor_figure(cpu, sizeof(cpu), p->cpu_percent, " %");
	if (p->uptime_s >= 0)
		sutra_clock_human(p->uptime_s, up, sizeof(up));
	snprintf(text, sizeof(text), "%s   cpu %s   up %s", latency, cpu, up);
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
		for (size_t i = 0; i < v->snap->balancers[b].n; i++) {
			const struct sutra_snap_replica *r = &v->snap->balancers[b].replicas[i];
			char text[300], rate[24];

			if (strcmp(r->name, name) != 0)
				continue;
			monitor_figure(rate, sizeof(rate), r->rate, "/s");
			snprintf(text, sizeof(text), "%s in %s, share %.0f %%, %s, sessions %lld/%lld, check %s %s",
				 r->status, v->snap->balancers[b].service, r->share >= 0 ? 100 * r->share : 0, rate,
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
	if (stale)
		monitor_dim(s, sutra_rect_below(at, 1));
	if (f.at.height > 2)
		monitor_draw_log(v, s, sutra_rect_below(f.at, 1));
}

void monitor_draw_body(const struct monitor_view *v, struct sutra_screen *s, struct sutra_rect at)
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
