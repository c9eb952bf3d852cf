/*
 * logtail - the end of one service's log, read repeatedly.
 *
 * A file in svlogd's folder is read from the last offset, through its rotations, into a window of fixed
 * size: a look reads only what was written since the last one. A runtime that keeps logs itself is asked
 * for the last lines, and the new lines among them are counted. Used by one thread.
 */
#ifndef SUTRA_PROBE_LOGTAIL_H
#define SUTRA_PROBE_LOGTAIL_H

#include <stdbool.h>
#include <stdint.h>

#include "deploy/deployment.h"

enum { SUTRA_LOGTAIL_WINDOW = 96 << 10 };

struct sutra_log_text {
	char *text;		/* at most SUTRA_LOGTAIL_WINDOW bytes, without a NUL; freed with sutra_free */
	int64_t lines;		/* all lines since the first look, including those of text */
	bool at_least;		/* lines is a lower bound: some were missed */
};

struct sutra_logtail;

struct sutra_logtail *sutra_logtail_new(void);	/* x-allocated */
void sutra_logtail_free(struct sutra_logtail *t);	/* NULL is fine */
/* Reads the new lines; for another service than the last time, a new log. *ret is set always: its
 * text is "" when d is NULL or has no such service. */
void sutra_logtail_look(struct sutra_logtail *t, const struct sutra_deployment *d, const char *service,
			struct sutra_log_text *ret);

/* A line of a service's log as the runtimes give it: "2026-11-21T05:22:48.62655 text". */
enum { SUTRA_LOGLINE_STAMP = 25 };	/* columns of the time stamp */
/* The text after the time stamps of the runtime and of the service; *n, the line's length, becomes
 * the text's. */
const char *sutra_logline_message(const char *line, size_t *n);

#endif
