/*
 * svg_chart - lines over an axis, as inline SVG.
 *
 * Colours are the page's CSS classes s0..s5, text and grid its classes too, so that one drawing
 * serves light and dark. Nothing is loaded. What is drawn is not all that was measured when there are
 * more points than columns: a column shows the mean of its points, or the highest of a peak series.
 */
#ifndef SUTRA_REPORT_SVG_CHART_H
#define SUTRA_REPORT_SVG_CHART_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

enum sutra_chart_axis {
	SUTRA_AXIS_SECONDS,
	SUTRA_AXIS_TIME,	/* seconds since 1970, shown as UTC hours */
	SUTRA_AXIS_NINES,	/* quantiles: 90 %, 99 %, 99.9 % in equal steps */
};

struct sutra_chart_series {
	const char *name;
	unsigned color;		/* 0 to 5 */
	struct sutra_chart_xy {
		double x, y;
	} *points;		/* ascending x; a y of NaN leaves a gap; freed by sutra_chart_release */
	size_t n, cap;
	bool area, peak;	/* filled down to the axis; highest of each column */
};

enum { SUTRA_CHART_SERIES = 6 };

struct sutra_chart {
	const char *title, *y_label;
	enum sutra_chart_axis axis;
	bool log_y;		/* values of 0 and below are left out */
	struct sutra_chart_series series[SUTRA_CHART_SERIES];
	size_t n;
};

/* A further series, to which sutra_chart_point adds. */
struct sutra_chart_series *sutra_chart_series(struct sutra_chart *c, const char *name, unsigned color);
/* Out of memory leaves the point out. */
void sutra_chart_point(struct sutra_chart_series *s, double x, double y);
/* Appends <figure>, with a sentence in place of the drawing when there is no point. */
void sutra_chart_draw(const struct sutra_chart *c, struct sutra_buf *b);
void sutra_chart_release(struct sutra_chart *c);

/* Horizontal bars from 1 to each ratio on a logarithmic axis: found / target. */
struct sutra_chart_bar {
	const char *name, *text;
	double ratio;
	bool good;
};
void sutra_chart_bars(const char *title, const struct sutra_chart_bar *bars, size_t n, struct sutra_buf *b);

#endif
