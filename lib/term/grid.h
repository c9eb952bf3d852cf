/*
 * grid - a table inside a rectangle of a screen: rows scroll, columns give way.
 *
 * Columns take what their widest cell needs. Where that is too much, columns with `shrink` are cut
 * down to it, the widest first; then columns leave, the highest `rank` first. Rank 0 always stays.
 */
#ifndef SUTRA_TERM_GRID_H
#define SUTRA_TERM_GRID_H

#include <stddef.h>

#include "term/screen.h"

struct sutra_grid_column {
	const char *title;
	bool right;	/* figures stand right */
	int rank;	/* the highest leaves first; 0: never */
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

/* What is left below its first `rows` rows. */
static inline struct sutra_rect sutra_rect_below(struct sutra_rect r, int rows)
{
	return (struct sutra_rect){ r.row + rows, r.column, r.height - rows, r.width };
}

void sutra_grid_init(struct sutra_grid *g, const struct sutra_grid_column *columns);
void sutra_grid_release(struct sutra_grid *g);
/* Fills the cells from left to right; a full row starts the next. */
void sutra_grid_cell(struct sutra_grid *g, enum sutra_role role, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
size_t sutra_grid_rows(const struct sutra_grid *g);
/* Draws head and rows; row `selected` is marked (-1: none), and so many first rows are left out that
 * it can be seen. Says at the right foot how many rows are hidden. */
void sutra_grid_draw(const struct sutra_grid *g, struct sutra_screen *s, struct sutra_rect at, long selected);

#endif
