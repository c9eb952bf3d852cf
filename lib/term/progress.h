/*
 * progress - one line that says what is going on, on standard error.
 *
 * On a terminal the line is redrawn in place, ten times a second at most; elsewhere each
 * change of state is one line, and a state that lasts says so every 10 s. Colour and
 * animation are separate: NO_COLOR does not stop the redrawing.
 */
#ifndef SUTRA_TERM_PROGRESS_H
#define SUTRA_TERM_PROGRESS_H

#include <pthread.h>
#include <stdint.h>

#include "term/term.h"

struct sutra_progress {
	struct sutra_term term;
	bool quiet;
	bool drawn;		/* a line stands that must be erased */
	uint64_t started_ns, shown_ns;
	char state[96];
	bool busy, done;	/* a thread redraws; it is to end (under lock) */
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t ended;
};

void sutra_progress_init(struct sutra_progress *p, const char *color_flag, bool quiet);
/* A new state ("phase 1: cold"), or the same one with other detail ("312 of 3000"; NULL: none). */
void sutra_progress_state(struct sutra_progress *p, const char *state, const char *detail);
/* A state that lasts while the caller waits for something that says nothing: the line stands after half
 * a second and counts the time by itself, until sutra_progress_clear. Nothing else of p meanwhile. */
void sutra_progress_busy(struct sutra_progress *p, const char *state);
/* Erases the line, so that other text may be printed. */
void sutra_progress_clear(struct sutra_progress *p);

#endif
