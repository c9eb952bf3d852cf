/*
 * lineedit - lines typed by a person, with history and Tab: the one place that knows readline.
 *
 * One at a time in a process, on its main thread, for a standard input that is a terminal. Ctrl-C
 * drops what is typed and starts the line anew; Ctrl-D on an empty line is the end. Memory
 * comes from x*: for the command only.
 */
#ifndef SUTRA_TERM_LINEEDIT_H
#define SUTRA_TERM_LINEEDIT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/str.h"

struct sutra_lineedit {
	const char *history;	/* its file, made with mode 0600; NULL: none is kept */
	/* Adds what fits behind the n bytes of the line before the cursor, each a whole word; returns
	 * whether paths fit too. */
	bool (*complete)(void *user, const char *line, size_t n, struct sutra_strv *ret);
	void *user;
};

enum { SUTRA_LINEEDIT_HISTORY = 1000 };	/* lines that are kept */

/* Starts with the lines of the history file. The struct is used until _end. */
void sutra_lineedit_start(const struct sutra_lineedit *e);
/* The next line, x-allocated; NULL: the end. */
char *sutra_lineedit_read(const char *prompt);
/* Puts a line into the history and its file; the same as the one before is left out. */
int sutra_lineedit_remember(const char *line, struct sutra_err *err);
void sutra_lineedit_end(void);
/* `on` and `off` around a text are marked as taking no columns; x-allocated, for prompts. */
char *sutra_lineedit_colored(const char *on, const char *text, const char *off);

#endif
