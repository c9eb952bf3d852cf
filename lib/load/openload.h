/*
 * openload - embed requests at a constant rate, whatever the service does: an open loop.
 *
 * Request i is due at start + i / rate. Its response time counts from that instant and not from
 * when it was sent, so that a service that stands still is seen by all who would have come
 * meanwhile (coordinated omission; G. Tene, "How NOT to measure latency"). One thread sends, the
 * fetcher's receives; nothing waits for an answer.
 *
 * For comparison it closes the loop: with rate 0 each of `connections` sends its next request when
 * the last is answered. Then a request is due when it is sent, response is service time, and
 * what a standing service would have cost others stays unseen.
 */
#ifndef SUTRA_LOAD_OPENLOAD_H
#define SUTRA_LOAD_OPENLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/histogram.h"

enum { SUTRA_OPEN_BUCKET_MS = 100, SUTRA_OPEN_BUCKETS = 6000 };	/* ten minutes */

struct sutra_open_options {
	const char *base;	/* service; "/embed" is added */
	double rate;		/* requests a second; 0: closed loop */
	uint64_t timeout_ns;	/* of each request */
	uint64_t deadline_ns;	/* monotonic: none is waited for behind it; UINT64_MAX: no deadline */
	/* Appends the next text; called on any thread, one at a time. */
	void (*next)(void *user, struct sutra_buf *text);
	void *user;
	unsigned connections;	/* closed loop: requests under way at once */
	uint64_t span_ns;	/* nothing is due behind it; 0: until finish, at most ten minutes of timeline */
	unsigned max_open;	/* open loop: what is due with so many under way is dropped; 0: no limit */
	unsigned bucket_ms;	/* of the timeline; 0: SUTRA_OPEN_BUCKET_MS */
	bool quantiles;		/* of each bucket, too */
	int64_t dimension;	/* 0: the service's default */
};

struct sutra_open_bucket {
	uint32_t sent, ok, failed;	/* sent: due in it; ok, failed: answered in it */
	uint32_t retried;		/* as somebody who watches says: sutra_open_retried */
	uint64_t p50_ns, p99_ns, max_ns;	/* response times of what was answered in it, when asked for */
};

struct sutra_open_result {
	uint64_t sent, ok, failed;	/* failed: no answer, or not 200 */
	uint64_t late;			/* sent more than 10 ms after they were due */
	uint64_t dropped;		/* due, never sent: max_open, or no memory */
	uint64_t wall_ns;		/* from the start to the last answer */
	double asked_rate, sent_rate;	/* per second; asked: 0 in a closed loop */
	struct sutra_histogram *response, *service;	/* from the due instant; from the send */
	struct sutra_histogram *lateness;	/* from the due instant to the send */
	struct sutra_open_bucket *buckets;	/* of bucket_ms each, from the start */
	size_t n_buckets;
	char first_failure[256];
};

struct sutra_open;
int sutra_open_start(const struct sutra_open_options *o, struct sutra_open **ret, struct sutra_err *err);
uint64_t sutra_open_answered(struct sutra_open *l);
/* Waits at most that long; whether all of span_ns is sent and answered. */
bool sutra_open_done(struct sutra_open *l, uint64_t wait_ns);
/* Sends nothing more. */
void sutra_open_stop(struct sutra_open *l);
/* What was measured until now; the pointers stay l's, and must not outlive finish. */
void sutra_open_look(struct sutra_open *l, struct sutra_open_result *ret);
/* Adds tries behind the service, seen just now, to the timeline. */
void sutra_open_retried(struct sutra_open *l, uint32_t n);
/* Sends nothing more, waits for the last answer, hands out the result and frees l. */
void sutra_open_finish(struct sutra_open *l, struct sutra_open_result *ret);
void sutra_open_result_release(struct sutra_open_result *r);

#endif
