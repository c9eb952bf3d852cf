/*
 * logtail - the end of one service's log, looked at again and again.
 *
 * A file (svlogd's folder) is read on from where it was, through its rotations, into a window of
 * fixed size: what a look costs is what was written since. A runtime's own log is asked for its
 * last lines, and what is new in them counted. Of one thread.
 */
#ifndef SUTRA_PROBE_LOGTAIL_H
#define SUTRA_PROBE_LOGTAIL_H

#include <stdbool.h>
#include <stdint.h>

#include "deploy/deployment.h"

enum { SUTRA_LOGTAIL_WINDOW = 96 << 10 };

struct sutra_log_text {
	char *text;		/* at most SUTRA_LOGTAIL_WINDOW bytes, without a NUL; sutra_free'd by whoever has it */
	int64_t lines;		/* seen since the first look, those in text too */
	bool at_least;		/* there were more: they went by faster than they can be read */
};

struct sutra_logtail;

struct sutra_logtail *sutra_logtail_new(void);	/* x-allocated */
void sutra_logtail_free(struct sutra_logtail *t);	/* NULL is fine */
/* Looks; another service than the last time begins anew. d NULL, or no such service: "". */
void sutra_logtail_look(struct sutra_logtail *t, const struct sutra_deployment *d, const char *service, struct sutra_log_text *ret);

/* A line of a service's log as the runtimes give it: "2026-11-21T05:22:48.62655 text". */
enum { SUTRA_LOGLINE_STAMP = 25 };	/* columns of the time stamp */
/* The text behind the runtime's time stamp and the service's own; *n becomes its length. */
const char *sutra_logline_message(const char *line, size_t *n);

#endif
