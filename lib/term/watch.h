/*
 * watch - a command's output again and again, in place.
 *
 * Needs nothing of a terminal but cursor home and erase to the end of a line, so nothing flickers:
 * each frame is made in memory and written at once over the one before. Where the output is no
 * terminal, frames come one after another, an empty line between them.
 */
#ifndef SUTRA_TERM_WATCH_H
#define SUTRA_TERM_WATCH_H

#include <stdint.h>
#include <stdio.h>

#include "term/term.h"

/* Writes one frame to term->out, which has the colours and the width of standard output. */
typedef void (*sutra_watch_frame)(const struct sutra_term *term, unsigned columns, void *user);

/* Until INT, TERM or HUP, which it returns, or standard output takes no more (0). A signal during a
 * frame ends it after that frame. */
int sutra_watch(const struct sutra_term *term, uint64_t period_ns, sutra_watch_frame frame, void *user);

#endif
