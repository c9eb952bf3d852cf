/*
 * screen - a picture in character cells, drawn by anybody, shown by tui or printed as text.
 *
 * Drawing never fails and never leaves the picture: what does not fit is cut. Each cell holds one
 * character and the role it is shown in. Memory comes from x*: for the command only.
 */
#ifndef SUTRA_TERM_SCREEN_H
#define SUTRA_TERM_SCREEN_H

#include <stdbool.h>

#include "term/term.h"

struct sutra_cell {
	char glyph[7];		/* UTF-8; "" is the right half of a wide character */
	unsigned char role;	/* enum sutra_role */
};

struct sutra_screen {
	int rows, columns;
	bool utf8;		/* false: nothing but ASCII is drawn by charts and ellipses */
	struct sutra_cell *cells;
};

/* Blank; rows and columns above 0. */
void sutra_screen_init(struct sutra_screen *s, int rows, int columns, bool utf8);
void sutra_screen_release(struct sutra_screen *s);
void sutra_screen_clear(struct sutra_screen *s);
/* Another size, blank; the same size only clears. */
void sutra_screen_resize(struct sutra_screen *s, int rows, int columns);
const struct sutra_cell *sutra_screen_cell(const struct sutra_screen *s, int row, int column);

/* Writes text from (row, column) on, at most width columns (ends in an ellipsis when cut); returns
 * the columns it took. */
int sutra_screen_text(struct sutra_screen *s, int row, int column, int width, enum sutra_role role,
		      const char *text);
int sutra_screen_textf(struct sutra_screen *s, int row, int column, int width, enum sutra_role role,
		       const char *fmt, ...) __attribute__((format(printf, 6, 7)));
/* One character, width times. */
void sutra_screen_fill(struct sutra_screen *s, int row, int column, int width, enum sutra_role role,
		       const char *glyph);
/* Gives cells that are drawn another role. */
void sutra_screen_paint(struct sutra_screen *s, int row, int column, int height, int width,
			enum sutra_role role);

/* The picture as lines of text, blanks at their ends left out, in colour where term has it. */
void sutra_screen_print(const struct sutra_screen *s, const struct sutra_term *term);

#endif
