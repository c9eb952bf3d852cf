/*
 * trend - what successive snapshots add up to: hits of a window, and lines to draw.
 *
 * Holds 15 minutes of points, one a second at most. Counters of all gateways
 * are added up; one that went back (a restart) adds nothing negative.
 */
#ifndef SUTRA_PROBE_TREND_H
#define SUTRA_PROBE_TREND_H

#include <stddef.h>
#include <stdint.h>

#include "probe/snapshot.h"

struct sutra_hits {
	double l1, l2, misses;
	double seconds;		/* they span, at most what was asked for; 0: nothing known */
};

enum sutra_trend_line {
	SUTRA_TREND_TEXTS,	/* texts a second */
	SUTRA_TREND_REQUESTS,	/* requests a second */
	SUTRA_TREND_ERRORS,	/* a second */
	SUTRA_TREND_MEAN_MS,	/* of the model's replicas, weighed by their requests */
	SUTRA_TREND_PROBE_MS,	/* the gateway's health check */
	SUTRA_TREND_LINES_
};

struct sutra_trend;

struct sutra_trend *sutra_trend_new(void);	/* NULL: out of memory */
void sutra_trend_free(struct sutra_trend *t);
/* Takes a newer snapshot. One that is older than the last begins anew. */
void sutra_trend_add(struct sutra_trend *t, const struct sutra_snapshot *s);
/* Hits of the last `seconds`; where the points do not reach back, the minutes do that the gateways
 * had kept when the first point was taken. */
struct sutra_hits sutra_trend_window(const struct sutra_trend *t, double seconds);
/* Since the gateways started. */
struct sutra_hits sutra_trend_total(const struct sutra_snapshot *s);
/* Hits of n equal slots that end now, oldest first. Slots before the first point show the minute
 * they lie in: its parts are right, its counts are those of the whole minute. */
void sutra_trend_slots(const struct sutra_trend *t, double slot_seconds, struct sutra_hits *ret, size_t n);
/* The last n values of a line, oldest first; -1 where there is none. */
void sutra_trend_line(const struct sutra_trend *t, enum sutra_trend_line line, double *ret, size_t n);

#endif
