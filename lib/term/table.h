/*
 * table - rows and columns fitted to the width of a terminal.
 *
 * A column is as wide as its widest cell. When the terminal is too narrow, the columns with
 * `shrink` are narrowed, the widest first, down to their minimum; a cell that does not fit
 * is cut with an ellipsis. Memory comes from x*: for the command only.
 */
#ifndef SUTRA_TERM_TABLE_H
#define SUTRA_TERM_TABLE_H

#include "term/term.h"

struct sutra_column {
	const char *title;	/* NULL ends the list; no head is printed when all are "" */
	bool right;		/* aligned right, for figures */
	unsigned shrink;	/* smallest width it may be cut to; 0: never cut */
};

struct sutra_table;

struct sutra_table *sutra_table_new(const struct sutra_column *columns);
/* Adds the next cell, from left to right, row after row. NULL is empty. */
void sutra_table_cell(struct sutra_table *t, enum sutra_role role, const char *text);
void sutra_table_cellf(struct sutra_table *t, enum sutra_role role, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Prints within the terminal's columns (or `columns`, when not 0). */
void sutra_table_print(const struct sutra_table *t, const struct sutra_term *term, unsigned columns);
void sutra_table_free(struct sutra_table *t);

#endif
