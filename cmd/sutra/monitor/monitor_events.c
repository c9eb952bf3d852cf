/* The monitor's events: the latest on the overview, and a screen of all that it keeps. */
#include <string.h>

#include "base/clock.h"
#include "sutra/monitor/monitor.h"

enum { FEW_ROWS = 3, MORE_ROWS = 6 };

static enum sutra_role role_of(const struct sutra_snap_event *e)
{
	return !strcmp(e->level, "bad")	 ? SUTRA_ROLE_BAD :
	       !strcmp(e->level, "warn") ? SUTRA_ROLE_WARN :
	       !strcmp(e->level, "ok")	 ? SUTRA_ROLE_OK :
					   SUTRA_ROLE_PLAIN;
}

static bool passes(const struct monitor_view *v, const struct sutra_snap_event *e)
{
	char text[400];

	snprintf(text, sizeof(text), "%s %s %s %s %s", e->source, e->kind, e->subject, e->level, e->text);
	return monitor_passes(v, text);
}

const struct sutra_snap_event *monitor_event_at(const struct monitor_view *v, long i)
{
	for (size_t k = 0; k < v->events->n; k++)
		if (passes(v, &v->events->items[k]) && !i--)
			return &v->events->items[k];
	return NULL;
}

long monitor_events_rows(const struct monitor_view *v)
{
	long n = 0;

	for (size_t k = 0; k < v->events->n; k++)
		n += passes(v, &v->events->items[k]);
	return n;
}

/* The age in one unit, which suffices in a list; "-": unknown. */
static const char *age_of(const struct sutra_snap_event *e, int64_t now_us, char *out, size_t size)
{
	double s = (double)(now_us - e->at_us) / 1e6;

	if (!e->at_us)
		snprintf(out, size, "-");
	else if (s < 120)
		snprintf(out, size, "%.0f s", s > 0 ? s : 0);
	else if (s < 7200)
		snprintf(out, size, "%.0f min", s / 60);
	else
		snprintf(out, size, s < 172800 ? "%.0f h" : "%.0f d", s < 172800 ? s / 3600 : s / 86400);
	return out;
}

static void draw_event(const struct monitor_view *v, struct sutra_screen *s, struct sutra_rect at,
		       const struct sutra_snap_event *e, int about)
{
	int ago = 10, x = at.column + ago + about + 1;
	char age[48];

	sutra_screen_textf(s, at.row, at.column, ago - 1, SUTRA_ROLE_DIM, "%9s",
			   age_of(e, v->now_us, age, sizeof(age)));
	sutra_screen_text(s, at.row, at.column + ago, about, SUTRA_ROLE_PLAIN, e->subject);
	sutra_screen_text(s, at.row, x, at.column + at.width - x, role_of(e), e->text);
}

static void title(const struct monitor_view *v, struct sutra_screen *s, struct sutra_rect at, const char *name)
{
	char note[64];

	if (v->events->lost)
		snprintf(note, sizeof(note), " %zu kept, %lld let go ", v->events->n, (long long)v->events->lost);
	else
		snprintf(note, sizeof(note), " %zu seen ", v->events->n);
	monitor_rule(s, at, name, SUTRA_ROLE_DIM, note);
}

/* The newest events, a line each; or that there is none. */
static void latest(const struct monitor_view *v, struct sutra_screen *s, struct sutra_rect at)
{
	int n = (int)v->events->n, about = 0;

	if (!n)
		sutra_screen_text(s, at.row, at.column, at.height > 0 ? at.width : 0, SUTRA_ROLE_DIM,
				  "no events: nothing has changed since this monitor began");
	n = n < at.height ? n : at.height;
	for (int i = 0; i < n; i++) {
		int width = (int)strlen(v->events->items[i].subject);

		about = width > about ? width : about;
	}
	about = about < at.width / 3 ? about : at.width / 3;
	for (int i = 0; i < n; i++)
		draw_event(v, s, sutra_rect_below(at, i), &v->events->items[i], about);
}

static int rows(const struct monitor_view *v, int level)
{
	return level == 3 ? 1 + MORE_ROWS : level == 2 ? 1 + FEW_ROWS : level;
}

static void draw(const struct monitor_view *v, struct sutra_screen *s, struct sutra_rect at, int level)
{
	if (level >= 2)
		title(v, s, at, "Latest events");
	latest(v, s, level >= 2 ? sutra_rect_below(at, 1) : at);
}

const struct monitor_panel monitor_panel_events = { 4, rows, draw };

void monitor_draw_events(const struct monitor_view *v, struct sutra_screen *s, struct sutra_rect at)
{
	static const struct sutra_grid_column columns[] = {
		{ "AGO", true, 0, 0 },	 { "TIME", false, 4, 0 }, { "SEEN BY", false, 3, 0 }, { "KIND", false, 2, 0 },
		{ "ABOUT", false, 0, 8 }, { "EVENT", false, 0, 8 }, { NULL, false, 0, 0 },
	};
	struct sutra_grid g;

	title(v, s, at, "Events, newest first");
	at = sutra_rect_below(at, 1);
	if (!monitor_events_rows(v)) {
		sutra_screen_text(s, at.row, at.column, at.width, SUTRA_ROLE_DIM,
				  v->filter[0] ? "no event passes the filter" :
						 "no events: nothing has changed since this monitor began");
		return;
	}
	sutra_grid_init(&g, columns);
	for (size_t i = 0; i < v->events->n; i++) {
		const struct sutra_snap_event *e = &v->events->items[i];
		char when[SUTRA_RFC3339_LEN], age[48];

		if (!passes(v, e))
			continue;
		sutra_clock_rfc3339(e->at_us, when);
		sutra_grid_cell(&g, SUTRA_ROLE_PLAIN, "%s", age_of(e, v->now_us, age, sizeof(age)));
		sutra_grid_cell(&g, SUTRA_ROLE_DIM, "%.8sZ", e->at_us ? when + 11 : "--:--:--");
		sutra_grid_cell(&g, SUTRA_ROLE_DIM, "%s", e->source);
		sutra_grid_cell(&g, SUTRA_ROLE_PLAIN, "%s", e->kind);
		sutra_grid_cell(&g, SUTRA_ROLE_PLAIN, "%s", e->subject);
		sutra_grid_cell(&g, role_of(e), "%s", e->text);
	}
	sutra_grid_draw(&g, s, at, v->selected);
	sutra_grid_release(&g);
}
