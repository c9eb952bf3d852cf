/* The whole picture: head, body, foot. */
#include <string.h>

#include "base/clock.h"
#include "sutra/monitor/monitor.h"

static const char *const screen_names[] = { "overview", "cache", "replicas", "services", "events", "logs", "service" };

/* What stands right: mode, pace, the sample's time, and how stale it is. */
static int say_time(const struct monitor_view *v, bool stale, int columns, char *out, size_t size)
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
	int n = say_time(v, stale, s->columns, right, sizeof(right)), used;

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
		monitor_draw_body(v, s, body);
	monitor_draw_footer(v, s, s->rows - 1);
}
