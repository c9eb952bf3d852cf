/*
 * lineedit - lines typed by a person, with history and completion: the only code that uses readline.
 *
 * One at a time in a process, on its main thread, for a standard input that is a terminal. Ctrl-C
 * drops the line and begins a new one; Ctrl-D on an empty line is the end. Memory
 * comes from x*: for the command only.
 */
#ifndef SUTRA_TERM_LINEEDIT_H
#define SUTRA_TERM_LINEEDIT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/str.h"

struct sutra_lineedit {
	const char *history;	/* file of the history, created with mode 0600; NULL: none */
	/* Adds the words that can complete the line, of which n bytes are before the cursor; returns
	 * whether paths are possible too. */
	bool (*complete)(void *user, const char *line, size_t n, struct sutra_strv *ret);
	void *user;
};

enum { SUTRA_LINEEDIT_HISTORY = 1000 };	/* lines in the history */

/* Starts with the lines of the history file. *e must stay valid until sutra_lineedit_end. */
void sutra_lineedit_start(const struct sutra_lineedit *e);
/* The next line, x-allocated; NULL: end of input. */
char *sutra_lineedit_read(const char *prompt);
/* Adds a line to the history and its file, unless it equals the line before. */
int sutra_lineedit_remember(const char *line, struct sutra_err *err);
void sutra_lineedit_end(void);
/* text between the sequences on and off, which are marked as having no width; x-allocated, for prompts. */
char *sutra_lineedit_colored(const char *on, const char *text, const char *off);

#endif
