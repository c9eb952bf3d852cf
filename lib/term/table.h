/*
 * table - rows and columns fitted to the width of a terminal.
 *
 * Columns take what their widest cell needs. When that is more than the terminal has,
 * the columns marked `shrink` give way, the widest first, down to their minimum; a cell that
 * does not fit is cut with an ellipsis. Memory comes from x*: for the command only.
 */
#ifndef SUTRA_TERM_TABLE_H
#define SUTRA_TERM_TABLE_H

#include "term/term.h"

struct sutra_column {
	const char *title;	/* NULL ends the list; titles of "" everywhere print no head */
	bool right;		/* figures stand right */
	unsigned shrink;	/* smallest width it may be cut to; 0: never cut */
};

struct sutra_table;

struct sutra_table *sutra_table_new(const struct sutra_column *columns);
/* Fills the cells from left to right; a full row starts the next. NULL is empty. */
void sutra_table_cell(struct sutra_table *t, enum sutra_role role, const char *text);
void sutra_table_cellf(struct sutra_table *t, enum sutra_role role, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Prints within the terminal's columns (or `columns`, when not 0). */
void sutra_table_print(const struct sutra_table *t, const struct sutra_term *term, unsigned columns);
void sutra_table_free(struct sutra_table *t);

#endif
