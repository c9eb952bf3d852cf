/* The whole picture: head, body, foot. */
#include <string.h>

#include "base/clock.h"
#include "sutra/monitor.h"

static const char *const screen_names[] = { "overview", "cache", "replicas", "services", "logs", "service" };

static void draw_head(const struct monitor_view *v, struct sutra_screen *s)
{
	char right[200], when[SUTRA_RFC3339_LEN] = "", age[48], pace[32];
	int64_t at = v->snap ? v->snap->time_us : 0;
	bool stale = v->snap && sutra_snapshot_stale(v->snap, at, v->now_us);
	int used, n;

	sutra_clock_rfc3339(at, when);
	sutra_clock_human((double)v->interval_ns / 1e9, pace, sizeof(pace));
	used = sutra_screen_textf(s, 0, 0, s->columns, SUTRA_ROLE_HEAD, "sutra %s", screen_names[v->screen]);
	if (v->snap && v->snap->deployed && s->columns >= 60)
		used += sutra_screen_textf(s, 0, used, s->columns - used, SUTRA_ROLE_DIM, "  %s %s %lld-dim",
					   v->snap->edition, v->snap->runtime, (long long)v->snap->dimension);
	if (v->filter[0] && !v->typing)
		used += sutra_screen_textf(s, 0, used, s->columns - used, SUTRA_ROLE_WARN, "  /%s", v->filter);
	n = snprintf(right, sizeof(right), "%s%s%s%s %.8sZ", v->replay ? "REPLAY " : "", v->admin ? "ADMIN " : "",
		     v->paused ? "PAUSED " : "", s->columns >= 60 ? pace : "", v->snap ? when + 11 : "--:--:--");
	if (stale)
		n += snprintf(right + n, sizeof(right) - (size_t)n, " stale %s",
			      monitor_age(at, v->now_us, age, sizeof(age)));
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
		monitor_draw_body(v, s, body);
	monitor_draw_footer(v, s, s->rows - 1);
}
