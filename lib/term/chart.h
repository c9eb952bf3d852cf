/* chart - small pictures of figures in a screen's cells: spark lines, bars, stacked columns. In
 * ASCII and without colour they keep their meaning: parts differ by their character too. */
#ifndef SUTRA_TERM_CHART_H
#define SUTRA_TERM_CHART_H

#include <stddef.h>

#include "term/screen.h"

enum { SUTRA_CHART_PARTS = 3 };

/* One column a value, from 0 to `max` (0: the largest of them); below 0: a blank. */
void sutra_chart_spark(struct sutra_screen *s, int row, int column, enum sutra_role role, const double *values,
		       size_t n, double max);
/* Three parts of a whole beside each other, `width` columns in all; a part above 0 that would have
 * no column gets one. Nothing but a dotted line when they are all 0. */
void sutra_chart_bar(struct sutra_screen *s, int row, int column, int width,
		     const double parts[SUTRA_CHART_PARTS]);
/* One column an entry of n, each as the parts of its own whole from the foot up, `height` rows; an
 * entry of zeros is a dot at the foot. */
void sutra_chart_stack(struct sutra_screen *s, int row, int column, int height,
		       const double (*entries)[SUTRA_CHART_PARTS], size_t n);
/* The character of a part (0 to 2) as bars show it. */
const char *sutra_chart_part(const struct sutra_screen *s, size_t part);

#endif
