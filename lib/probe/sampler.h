/*
 * sampler - probes all services of the stack at the same time, once per interval, and makes snapshots.
 *
 * One thread sends at most one request per endpoint and interval (to a gateway's /cache/stats every
 * 10 s) over connections that stay open, and publishes a snapshot. It notices when the stack is
 * deployed, changed or removed. A reader takes the newest snapshot without waiting.
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
/* Takes a sample on the caller's thread, when the sampler's own was not started; returns a
 * reference; NULL: no memory. */
struct sutra_snapshot *sutra_sampler_take(struct sutra_sampler *s);
/* Starts the thread, which samples at once, soon after (rates need two samples), then once per
 * interval, and writes to wake_fd, an eventfd, after each sample. */
int sutra_sampler_start(struct sutra_sampler *s, int wake_fd, struct sutra_err *err);
/* The newest snapshot, a reference, if one was taken since the last call; else NULL. */
struct sutra_snapshot *sutra_sampler_newest(struct sutra_sampler *s);
void sutra_sampler_set_interval(struct sutra_sampler *s, uint64_t interval_ns);
/* From now on each sample also reads the end of that service's log ("": none). */
void sutra_sampler_watch_log(struct sutra_sampler *s, const char *service);
/* Whether the log was read since the last call; then *ret is its text, which the caller frees. */
bool sutra_sampler_log(struct sutra_sampler *s, struct sutra_log_text *ret);

#endif
