/*
 * progress - one line on standard error that shows what the program does.
 *
 * On a terminal the line is redrawn in place, ten times a second at most; elsewhere each
 * change of state is one line, and a state that lasts prints one every 10 s. Colour and
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
	bool drawn;		/* a line is on the screen and must be erased */
	uint64_t started_ns, shown_ns;
	char state[96];
	bool busy, done;	/* a thread redraws; it must end (under lock) */
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t ended;
};

void sutra_progress_init(struct sutra_progress *p, const char *color_flag, bool quiet);
/* Shows a state ("phase 1: cold"), with a detail that may change ("312 of 3000"; NULL: none). */
void sutra_progress_state(struct sutra_progress *p, const char *state, const char *detail);
/* Shows a state while the caller waits without reports of progress: a thread draws the line after half a
 * second and updates its time until sutra_progress_clear. No other function may use p meanwhile. */
void sutra_progress_busy(struct sutra_progress *p, const char *state);
/* Erases the line, so that other text can be printed. */
void sutra_progress_clear(struct sutra_progress *p);

#endif
