/* modelbar - the progress of fetching a model: a bar on a terminal, else a line every 10 s. */
#ifndef SUTRA_CMD_MODELBAR_H
#define SUTRA_CMD_MODELBAR_H

#include <signal.h>
#include <stdint.h>

/* A sutra_model_progress that follows the common options (-q, --color). */
int modelbar_step(const char *what, uint64_t done, uint64_t total);
/* A non-zero *stop ends the fetch at its next step; NULL: nothing does. */
void modelbar_stop_on(const volatile sig_atomic_t *stop);
/* Ends the line on the terminal. */
void modelbar_end(void);

#endif
