/*
 * logtail - the end of one service's log, read again and again.
 *
 * A file (svlogd's folder) is read on from the last offset, through its rotations, into a window of
 * fixed size: a look costs what was written since the last one. A runtime that keeps logs itself is
 * asked for the last lines, and the new ones among them are counted. Used by one thread.
 */
#ifndef SUTRA_PROBE_LOGTAIL_H
#define SUTRA_PROBE_LOGTAIL_H

#include <stdbool.h>
#include <stdint.h>

#include "deploy/deployment.h"

enum { SUTRA_LOGTAIL_WINDOW = 96 << 10 };

struct sutra_log_text {
	char *text;		/* at most SUTRA_LOGTAIL_WINDOW bytes, without a NUL; freed with sutra_free */
	int64_t lines;		/* counted since the first look, those in text too */
	bool at_least;		/* lines is a lower bound: the log grew faster than it was read */
};

struct sutra_logtail;

struct sutra_logtail *sutra_logtail_new(void);	/* x-allocated */
void sutra_logtail_free(struct sutra_logtail *t);	/* NULL is fine */
/* Reads what is new; another service than the last time begins anew. d NULL, or no such service: "". */
void sutra_logtail_look(struct sutra_logtail *t, const struct sutra_deployment *d, const char *service,
			struct sutra_log_text *ret);

/* A line of a service's log as the runtimes give it: "2026-11-21T05:22:48.62655 text". */
enum { SUTRA_LOGLINE_STAMP = 25 };	/* columns of the time stamp */
/* The text behind the runtime's time stamp and the service's own; *n becomes its length. */
const char *sutra_logline_message(const char *line, size_t *n);

#endif
