#include "term/chart.h"

#include <math.h>

static const char *const eighths[] = { "\u2581", "\u2582", "\u2583", "\u2584",
				       "\u2585", "\u2586", "\u2587", "\u2588" };
static const char *const ascii_levels[] = { "_", ".", ",", "-", "=", "+", "*", "#" };
static const char *const parts_utf8[] = { "\u2588", "\u2593", "\u2591" };
static const char *const parts_ascii[] = { "#", "+", "." };

const char *sutra_chart_part(const struct sutra_screen *s, size_t part)
{
	return (s->utf8 ? parts_utf8 : parts_ascii)[part];
}

static enum sutra_role role_of(size_t part) { return (enum sutra_role)(SUTRA_ROLE_PART1 + (int)part); }

void sutra_chart_spark(struct sutra_screen *s, int row, int column, enum sutra_role role, const double *values,
		       size_t n, double max)
{
	double largest = max;

	for (size_t i = 0; i < n && max <= 0; i++)
		largest = values[i] > largest ? values[i] : largest;
	for (size_t i = 0; i < n; i++) {
		int level = largest > 0 ? (int)fmin(values[i] / largest * 7.999, 7) : 0;

		if (values[i] < 0)
			continue;
		level = level < 0 ? 0 : level > 7 ? 7 : level;
		sutra_screen_fill(s, row, column + (int)i, 1, values[i] > 0 ? role : SUTRA_ROLE_DIM,
				  (s->utf8 ? eighths : ascii_levels)[level]);
	}
}

/* Divides cells among the parts: rounded shares, at least one cell for each part above 0. */
static bool divide(const double parts[SUTRA_CHART_PARTS], int cells, int ret[SUTRA_CHART_PARTS])
{
	double all = 0;
	int used = 0, widest = 0;

	for (int i = 0; i < SUTRA_CHART_PARTS; i++)
		all += parts[i] > 0 ? parts[i] : 0;
	if (all <= 0 || !isfinite(all) || cells <= 0)
		return false;
	for (int i = 0; i < SUTRA_CHART_PARTS; i++) {
		ret[i] = parts[i] > 0 ? (int)lround(parts[i] / all * cells) : 0;
		if (parts[i] > 0 && !ret[i] && cells >= SUTRA_CHART_PARTS)
			ret[i] = 1;
		used += ret[i];
		widest = ret[i] > ret[widest] ? i : widest;
	}
	ret[widest] += cells - used;
	return true;
}

void sutra_chart_bar(struct sutra_screen *s, int row, int column, int width, const double parts[SUTRA_CHART_PARTS])
{
	int cells[SUTRA_CHART_PARTS], at = column;

	if (!divide(parts, width, cells)) {
		sutra_screen_fill(s, row, column, width, SUTRA_ROLE_DIM, s->utf8 ? "\u00b7" : "-");
		return;
	}
	for (size_t i = 0; i < SUTRA_CHART_PARTS; i++) {
		sutra_screen_fill(s, row, at, cells[i], role_of(i), sutra_chart_part(s, i));
		at += cells[i];
	}
}

void sutra_chart_stack(struct sutra_screen *s, int row, int column, int height,
		       const double (*entries)[SUTRA_CHART_PARTS], size_t n)
{
	for (size_t e = 0; e < n; e++) {
		int cells[SUTRA_CHART_PARTS], foot = row + height - 1;

		if (!divide(entries[e], height, cells)) {
			sutra_screen_fill(s, foot, column + (int)e, 1, SUTRA_ROLE_DIM, s->utf8 ? "\u00b7" : "-");
			continue;
		}
		for (size_t i = 0; i < SUTRA_CHART_PARTS; i++)
			for (; cells[i] > 0; cells[i]--)
				sutra_screen_fill(s, foot--, column + (int)e, 1, role_of(i), sutra_chart_part(s, i));
	}
}
