/*
 * watch - repeats the output of a command in place.
 *
 * A frame begins with the time and an empty line. It is made in memory and written at once over the one before, so that nothing flickers; the
 * terminal needs only cursor home and erase. When the output is no terminal, frames follow each other
 * with an empty line between them.
 */
#ifndef SUTRA_TERM_WATCH_H
#define SUTRA_TERM_WATCH_H

#include <stdint.h>
#include <stdio.h>

#include "term/term.h"

/* Writes one frame to term->out, which has the colours and the width of standard output. */
typedef void (*sutra_watch_frame)(const struct sutra_term *term, unsigned columns, void *user);

/* Runs until INT, TERM or HUP, which it returns, or until standard output fails (0). A signal during a
 * frame ends it after that frame. */
int sutra_watch(const struct sutra_term *term, uint64_t period_ns, sutra_watch_frame frame, void *user);

#endif
