/* The parts that the monitor's panels share: ages, titles, figures, the list of services. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "sutra/monitor/monitor.h"

const char *monitor_age(int64_t at_us, int64_t now_us, char *out, size_t size)
{
	double s = (double)(now_us - at_us) / 1e6;

	if (!at_us)
		snprintf(out, size, "never");
	else if (s < 9.95)
		snprintf(out, size, "%.1f s", s > 0 ? s : 0);
	else if (s < 120)
		snprintf(out, size, "%.0f s", s);
	else
		sutra_clock_human(s, out, size);
	return out;
}

void monitor_rule(struct sutra_screen *s, struct sutra_rect at, const char *title, enum sutra_role role, const char *note)
{
	int used, n = (int)strlen(note);

	sutra_screen_fill(s, at.row, at.column, at.width, SUTRA_ROLE_DIM, s->utf8 ? "\u2500" : "-");
	used = sutra_screen_textf(s, at.row, at.column + 1, at.width - 2, SUTRA_ROLE_TITLE, " %s ", title);
	n = n > at.width - used - 2 ? at.width - used - 2 : n;
	sutra_screen_text(s, at.row, at.column + at.width - n - 1, n, role, note);
}

bool monitor_title(const struct monitor_view *v, struct sutra_screen *s, struct sutra_rect at, const char *title,
		   int64_t at_us, const char *trouble)
{
	bool stale = sutra_snapshot_stale(v->snap, at_us, v->now_us);
	char age[48], note[200];

	monitor_age(at_us, v->now_us, age, sizeof(age));
	if (stale)
		snprintf(note, sizeof(note), " stale %s%s%s ", age, *trouble ? ": " : "", trouble);
	else
		snprintf(note, sizeof(note), " %s ago ", age);
	monitor_rule(s, at, title, stale ? SUTRA_ROLE_WARN : SUTRA_ROLE_DIM, note);
	return stale;
}

void monitor_dim(struct sutra_screen *s, struct sutra_rect at, bool stale)
{
	if (stale)
		sutra_screen_paint(s, at.row, at.column, at.height, at.width, SUTRA_ROLE_DIM);
}

enum sutra_role monitor_state_role(const char *state)
{
	return !strcmp(state, "up") ? SUTRA_ROLE_OK : !strcmp(state, "down") ? SUTRA_ROLE_BAD : SUTRA_ROLE_WARN;
}

bool monitor_passes(const struct monitor_view *v, const char *text)
{
	bool inverse = v->filter[0] == '!';
	const char *word = v->filter + inverse;

	return !*word || (strcasestr(text, word) != NULL) != inverse;
}

const char *monitor_figure(char *out, size_t size, double v, const char *unit)
{
	if (v < 0)
		snprintf(out, size, "-");
	else
		snprintf(out, size, v < 10 ? "%.1f%s" : "%.0f%s", v, unit);
	return out;
}

void monitor_figure_cell(struct sutra_grid *g, enum sutra_role role, double v)
{
	char text[24];

	sutra_grid_cell(g, role, "%s", monitor_figure(text, sizeof(text), v, ""));
}

const char *monitor_count(char *out, size_t size, double v)
{
	static const char *const units[] = { "", "k", "M", "G", "T" };
	size_t u = 0;

	for (; v >= 99999.5 && u < 4; u++)
		v /= 1000;
	snprintf(out, size, u && v < 1000 ? "%.1f%s" : "%.0f%s", v, units[u]);
	return out;
}

const char *monitor_bytes(char *out, size_t size, int64_t bytes, const char *unknown)
{
	if (bytes > 0)
		sutra_str_bytes((uint64_t)bytes, out, size);
	else
		snprintf(out, size, "%s", unknown);
	return out;
}

static enum monitor_sort sort_by;	/* for compare; one thread draws */

static double rank_of(const struct sutra_snap_service *s)
{
	switch (sort_by) {
	case SORT_TROUBLE:
		return strcmp(s->state, "up") ? s->affected_by[0] ? 1 : 2 : 0;
	case SORT_LATENCY:
		return s->latency_ms;
	case SORT_CPU:
		return s->cpu_percent;
	case SORT_MEMORY:
		return (double)s->memory_bytes;
	case SORT_RESTARTS:
		return (double)s->restarts;
	default:
		return 0;
	}
}

static int compare(const void *a, const void *b)
{
	const struct sutra_snap_service *x = *(const struct sutra_snap_service *const *)a,
					*y = *(const struct sutra_snap_service *const *)b;
	double dx = rank_of(x), dy = rank_of(y);

	if (dx > dy || dx < dy)
		return dx > dy ? -1 : 1;
	/* Start order is the order of the array itself. */
	return sort_by == SORT_NAME ? strcmp(x->name, y->name) : x < y ? -1 : x > y;
}

size_t monitor_services(const struct monitor_view *v, const struct sutra_snap_service **list)
{
	size_t n = 0;
	char text[400];

	for (size_t i = 0; v->snap->n_services <= MONITOR_MAX_SERVICES && i < v->snap->n_services; i++) {
		const struct sutra_snap_service *s = &v->snap->services[i];

		snprintf(text, sizeof(text), "%s %s %s %s", s->name, s->state, s->reason, s->detail);
		if (monitor_passes(v, text))
			list[n++] = s;
	}
	sort_by = v->sort;
	qsort(list, n, sizeof(*list), compare);
	return n;
}
