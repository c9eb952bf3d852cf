/*
 * sampler - probes every service of the stack at the same time, in each interval, into snapshots.
 *
 * One thread sends at most one request an endpoint and interval (/cache/stats of a gateway each 10 s)
 * over connections that stay open, and publishes a snapshot. It notices by itself that the stack was
 * deployed, changed or removed. A reader takes the newest snapshot and never waits.
 */
#ifndef SUTRA_PROBE_SAMPLER_H
#define SUTRA_PROBE_SAMPLER_H

#include <stdint.h>

#include "probe/snapshot.h"
#include "probe/logtail.h"

struct sutra_sampler;

/* x-allocated; SUTRA_E_IO, SUTRA_E_NOMEM: no HTTP client. */
int sutra_sampler_new(const char *state_dir, uint64_t interval_ns, struct sutra_sampler **ret,
		      struct sutra_err *err);
void sutra_sampler_free(struct sutra_sampler *s);	/* ends the thread; NULL is fine */
/* One sample on the caller's thread (not while the sampler's own runs); a reference; NULL: no memory. */
struct sutra_snapshot *sutra_sampler_take(struct sutra_sampler *s);
/* Starts the thread: a sample at once, the next soon after (rates need two), then each interval.
 * wake_fd, an eventfd, is written to with each. */
int sutra_sampler_start(struct sutra_sampler *s, int wake_fd, struct sutra_err *err);
/* The newest snapshot, a reference, if one was taken since the last call; else NULL. */
struct sutra_snapshot *sutra_sampler_newest(struct sutra_sampler *s);
void sutra_sampler_set_interval(struct sutra_sampler *s, uint64_t interval_ns);
/* Each sample also reads the last lines of that service's log ("": none), the first one at once. */
void sutra_sampler_watch_log(struct sutra_sampler *s, const char *service);
/* The log's newest text if there is one since the last call; the caller frees it. */
bool sutra_sampler_log(struct sutra_sampler *s, struct sutra_log_text *ret);

#endif
