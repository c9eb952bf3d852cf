/*
 * grid - a table inside a rectangle of a screen: rows scroll, columns are cut or left out.
 *
 * A column is as wide as its widest cell. When the columns do not fit, those with `shrink` are cut down
 * to it, the widest first; then columns are left out, the highest `rank` first, never rank 0.
 */
#ifndef SUTRA_TERM_GRID_H
#define SUTRA_TERM_GRID_H

#include <stddef.h>

#include "term/screen.h"

struct sutra_grid_column {
	const char *title;
	bool right;	/* aligned right, for figures */
	int rank;	/* the highest is left out first; 0: never */
	int shrink;	/* smallest width it may be cut to; 0: never cut */
};

struct sutra_grid {
	const struct sutra_grid_column *columns;	/* title NULL ends them */
	size_t n_columns, n;	/* n cells so far */
	struct sutra_grid_cell *cells;
};

struct sutra_rect {
	int row, column, height, width;
};

/* The rectangle below the first rows. */
static inline struct sutra_rect sutra_rect_below(struct sutra_rect r, int rows)
{
	return (struct sutra_rect){ r.row + rows, r.column, r.height - rows, r.width };
}

void sutra_grid_init(struct sutra_grid *g, const struct sutra_grid_column *columns);
void sutra_grid_release(struct sutra_grid *g);
/* Adds the next cell, from left to right, row after row. */
void sutra_grid_cell(struct sutra_grid *g, enum sutra_role role, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
size_t sutra_grid_rows(const struct sutra_grid *g);
/* Draws the titles and the rows. Row selected is marked (-1: none); the first rows are left out until it is
 * visible. The number of hidden rows is shown at the lower right. */
void sutra_grid_draw(const struct sutra_grid *g, struct sutra_screen *s, struct sutra_rect at, long selected);

#endif
