/* chart - spark lines, bars and stacked columns in the cells of a screen. Parts differ by their character
 * as well as their colour, also in ASCII. */
#ifndef SUTRA_TERM_CHART_H
#define SUTRA_TERM_CHART_H

#include <stddef.h>

#include "term/screen.h"

enum { SUTRA_CHART_PARTS = 3 };

/* Draws n values, a column each, from 0 to max (0: the largest value); a value below 0 is a blank. */
void sutra_chart_spark(struct sutra_screen *s, int row, int column, enum sutra_role role, const double *values,
		       size_t n, double max);
/* Draws three parts of a whole side by side in width columns; a part above 0 has at least one column.
 * When all are 0, draws a dotted line. */
void sutra_chart_bar(struct sutra_screen *s, int row, int column, int width,
		     const double parts[SUTRA_CHART_PARTS]);
/* Draws n entries, a column each of height rows: the parts of the entry, from the bottom up. An entry of
 * zeros is a dot at the bottom. */
void sutra_chart_stack(struct sutra_screen *s, int row, int column, int height,
		       const double (*entries)[SUTRA_CHART_PARTS], size_t n);
/* The character of a part (0 to 2) in bars. */
const char *sutra_chart_part(const struct sutra_screen *s, size_t part);

#endif
