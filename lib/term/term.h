/*
 * term - what a stream can show: colours, width, UTF-8; and the width of texts.
 *
 * One struct per stream, filled once. Colour is decided by the --color flag, then SUTRA_COLOR
 * (auto, always, never), then NO_COLOR, CLICOLOR_FORCE, TERM=dumb, and last by whether the
 * stream is a terminal. The width is read from the terminal each time, never from COLUMNS; a
 * stream that is no terminal has no width limit. Colour only repeats what the words say.
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
	SUTRA_ROLE_PART1,	/* parts of a bar, from the bottom: L1, */
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
/* Columns of the terminal (80 when they are unknown); 0: no limit. */
unsigned sutra_term_columns(const struct sutra_term *t);
/* The sequences that start and end a role; "" without colour. */
const char *sutra_term_on(const struct sutra_term *t, enum sutra_role role);
const char *sutra_term_off(const struct sutra_term *t, enum sutra_role role);

/* The width of n bytes of UTF-8 in columns; an invalid byte or a control character counts one. */
size_t sutra_text_width(const char *s, size_t n);
/* Appends s cut to at most width columns (0: all of it), with an ellipsis when cut.
 * Control characters and invalid bytes, which could move the cursor, become '?'. */
void sutra_text_fit(struct sutra_buf *b, const char *s, size_t width, bool utf8);
/* Returns the length of the first character of n > 0 bytes, and its width in *ret_columns (0: it combines
 * with the one before). *ret_plain false: a control character or an invalid byte, shown as '?'. */
size_t sutra_text_next(const char *s, size_t n, size_t *ret_columns, bool *ret_plain);

#endif
