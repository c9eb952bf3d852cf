/*
 * tui - the terminal as a whole: shows a screen, reads keys, and gives the terminal back as it was.
 *
 * The only code that knows ncurses. One at a time; one thread. The terminal is restored by close, by
 * exit, and by handlers on deadly signals (SEGV, ABRT, BUS, FPE, ILL), which use write and tcsetattr
 * alone. INT, TERM, HUP and WINCH only set flags that sutra_tui_wait tells of; it blocks them
 * everywhere else, so open before starting threads. LINES and COLUMNS are ignored: the size is asked of
 * the terminal.
 */
#ifndef SUTRA_TERM_TUI_H
#define SUTRA_TERM_TUI_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "term/screen.h"

/* What is no character comes above all characters. */
enum sutra_key {
	SUTRA_KEY_NONE = 0,
	SUTRA_KEY_TAB = '\t',
	SUTRA_KEY_ENTER = '\n',
	SUTRA_KEY_ESCAPE = 27,
	SUTRA_KEY_BACKSPACE = 127,
	SUTRA_KEY_UP = 0x110000,
	SUTRA_KEY_DOWN, SUTRA_KEY_LEFT, SUTRA_KEY_RIGHT, SUTRA_KEY_PAGE_UP, SUTRA_KEY_PAGE_DOWN, SUTRA_KEY_HOME,
	SUTRA_KEY_END, SUTRA_KEY_BACK_TAB,
};

/* SUTRA_E_USAGE: standard input or output is no terminal, or TERM names one that cannot be drawn
 * on. *ret_utf8 (may be NULL): whether UTF-8 can be shown. */
int sutra_tui_open(bool color, bool *ret_utf8, struct sutra_err *err);
void sutra_tui_close(void);	/* twice is fine */
void sutra_tui_size(int *ret_rows, int *ret_columns);	/* of the terminal, now */
/* Puts the picture up; what did not change since the last is not sent. */
void sutra_tui_show(const struct sutra_screen *s);
/* The next key that is there; SUTRA_KEY_NONE: none. */
int sutra_tui_key(void);
/* Sleeps until a key, a signal, something to read on fd (-1: none), or the time is over. */
void sutra_tui_wait(int fd, uint64_t timeout_ns);
/* The signal that asks to end (INT, TERM, HUP), or 0. */
int sutra_tui_signal(void);
/* Whether this process' locale can show UTF-8; sets LC_CTYPE. */
bool sutra_tui_utf8(void);

#endif
