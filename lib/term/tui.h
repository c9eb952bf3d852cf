/*
 * tui - full-screen use of the terminal: shows a screen, reads keys, and restores the terminal.
 *
 * The only code that uses ncurses. One at a time, by one thread. The terminal is restored by close, by
 * exit, and by handlers of fatal signals (SEGV, ABRT, BUS, FPE, ILL), which call only write and
 * tcsetattr. INT, TERM, HUP and WINCH only set flags; they are blocked except during sutra_tui_wait,
 * so open before starting threads. LINES and COLUMNS are ignored: the size is that of the terminal.
 */
#ifndef SUTRA_TERM_TUI_H
#define SUTRA_TERM_TUI_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "term/screen.h"

/* Keys that are no characters have codes above all characters. */
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
/* Shows the picture; cells that did not change are not sent. */
void sutra_tui_show(const struct sutra_screen *s);
/* The next key without waiting; SUTRA_KEY_NONE: none. */
int sutra_tui_key(void);
/* Sleeps until a key, a signal, data to read on fd (-1: none), or the timeout. */
void sutra_tui_wait(int fd, uint64_t timeout_ns);
/* The signal that asked to end (INT, TERM, HUP), or 0. */
int sutra_tui_signal(void);
/* Whether this process' locale can show UTF-8; sets LC_CTYPE. */
bool sutra_tui_utf8(void);

#endif
