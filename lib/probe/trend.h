/*
 * trend - sums over successive snapshots: the hits of a window, and lines to draw.
 *
 * Holds 15 minutes of points, at most one per second. The counters of all gateways are added; one that
 * was reset by a restart adds nothing negative.
 */
#ifndef SUTRA_PROBE_TREND_H
#define SUTRA_PROBE_TREND_H

#include <stddef.h>
#include <stdint.h>

#include "probe/snapshot.h"

struct sutra_hits {
	double l1, l2, misses;
	double seconds;		/* the time they span, at most the window; 0: nothing is known */
};

enum sutra_trend_line {
	SUTRA_TREND_TEXTS,	/* per second */
	SUTRA_TREND_REQUESTS,	/* per second */
	SUTRA_TREND_ERRORS,	/* per second */
	SUTRA_TREND_MEAN_MS,	/* of the model's replicas, weighted by their requests */
	SUTRA_TREND_PROBE_MS,	/* the gateway's health check */
	SUTRA_TREND_LINES_
};

struct sutra_trend;

struct sutra_trend *sutra_trend_new(void);	/* NULL: out of memory */
void sutra_trend_free(struct sutra_trend *t);
/* Adds a newer snapshot. One that is not newer than the last clears the trend first. */
void sutra_trend_add(struct sutra_trend *t, const struct sutra_snapshot *s);
/* Hits of the last `seconds`. Before the first point they come from the minutes that the gateways
 * had kept at that time. */
struct sutra_hits sutra_trend_window(const struct sutra_trend *t, double seconds);
/* Since the gateways started. */
struct sutra_hits sutra_trend_total(const struct sutra_snapshot *s);
/* Hits of n equal slots that end now, oldest first. A slot before the first point holds those of
 * its whole minute: the proportions are right, the counts are too high. */
void sutra_trend_slots(const struct sutra_trend *t, double slot_seconds, struct sutra_hits *ret, size_t n);
/* The last n values of a line, oldest first; -1: no value. */
void sutra_trend_line(const struct sutra_trend *t, enum sutra_trend_line line, double *ret, size_t n);

#endif
