/*
 * term - what a stream can show: colour roles, width, and how wide a text is.
 *
 * One struct per stream, decided once. Colour: the --color flag, then SUTRA_COLOR (auto,
 * always, never), then NO_COLOR, CLICOLOR_FORCE, TERM=dumb, and last whether the stream
 * is a terminal. The width is asked of the terminal each time, never of COLUMNS; a stream
 * that is no terminal has no width limit. Words and signs carry the meaning, colour repeats it.
 */
#ifndef SUTRA_TERM_TERM_H
#define SUTRA_TERM_TERM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/buf.h"

enum sutra_role {
	SUTRA_ROLE_PLAIN,
	SUTRA_ROLE_OK,
	SUTRA_ROLE_WARN,
	SUTRA_ROLE_BAD,
	SUTRA_ROLE_DIM,
	SUTRA_ROLE_HEAD,
	SUTRA_ROLE_SELECT,	/* the row the cursor is on */
	SUTRA_ROLE_TITLE,	/* of a panel */
	SUTRA_ROLE_PART1,	/* parts of a bar, from its foot: L1, */
	SUTRA_ROLE_PART2,	/* L2, */
	SUTRA_ROLE_PART3,	/* miss */
	SUTRA_ROLES_
};

struct sutra_term {
	FILE *out;
	bool tty;	/* the stream is a terminal */
	bool color;
	bool utf8;	/* the locale's charset, by LC_ALL, LC_CTYPE, LANG */
};

/* color_flag: auto, always, never; NULL is auto. */
void sutra_term_init(struct sutra_term *t, FILE *out, const char *color_flag);
/* Columns of the terminal (80 when it does not tell); 0: no limit. */
unsigned sutra_term_columns(const struct sutra_term *t);
/* The sequences that start and end a role; "" without colour. */
const char *sutra_term_on(const struct sutra_term *t, enum sutra_role role);
const char *sutra_term_off(const struct sutra_term *t, enum sutra_role role);

/* Columns that n bytes of UTF-8 take; a bad byte or a control character counts one. */
size_t sutra_text_width(const char *s, size_t n);
/* Appends s cut to at most width columns (0: all of it), ending in an ellipsis when cut.
 * Control characters and bad bytes, which could move the cursor, become '?'. */
void sutra_text_fit(struct sutra_buf *b, const char *s, size_t width, bool utf8);
/* The first character of n > 0 bytes: returns its length; *ret_columns it takes (0: it combines with
 * the one before). false in *ret_plain: a control character or a bad byte, to be shown as '?'. */
size_t sutra_text_next(const char *s, size_t n, size_t *ret_columns, bool *ret_plain);

#endif
