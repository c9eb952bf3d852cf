/*
 * screen - a picture of character cells, shown by tui or printed as text.
 *
 * Drawing never fails; what does not fit into the picture is cut. Each cell holds one
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
	bool utf8;		/* false: charts and ellipses are drawn in ASCII */
	struct sutra_cell *cells;
};

/* Blank; rows and columns above 0. */
void sutra_screen_init(struct sutra_screen *s, int rows, int columns, bool utf8);
void sutra_screen_release(struct sutra_screen *s);
void sutra_screen_clear(struct sutra_screen *s);
/* Sets the size and clears the screen. */
void sutra_screen_resize(struct sutra_screen *s, int rows, int columns);
const struct sutra_cell *sutra_screen_cell(const struct sutra_screen *s, int row, int column);

/* Writes text at (row, column), at most width columns (with an ellipsis when cut); returns the number of
 * columns. */
int sutra_screen_text(struct sutra_screen *s, int row, int column, int width, enum sutra_role role,
		      const char *text);
int sutra_screen_textf(struct sutra_screen *s, int row, int column, int width, enum sutra_role role,
		       const char *fmt, ...) __attribute__((format(printf, 6, 7)));
/* Writes one character width times. */
void sutra_screen_fill(struct sutra_screen *s, int row, int column, int width, enum sutra_role role,
		       const char *glyph);
/* Changes the role of cells. */
void sutra_screen_paint(struct sutra_screen *s, int row, int column, int height, int width,
			enum sutra_role role);

/* Prints the picture as lines of text without blanks at their ends, in colour if term has it. */
void sutra_screen_print(const struct sutra_screen *s, const struct sutra_term *term);

#endif
