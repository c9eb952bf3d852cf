/*
 * openload - embed requests at a constant rate, whatever the service does: an open loop.
 *
 * Request i is due at start + i / rate. Its response time counts from that instant and not from
 * when it was sent, so that a service that stands still is seen by all who would have come
 * meanwhile (coordinated omission; G. Tene, "How NOT to measure latency"). One thread sends, the
 * fetcher's receives; nothing waits for an answer.
 */
#ifndef SUTRA_CHECK_OPENLOAD_H
#define SUTRA_CHECK_OPENLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/histogram.h"

enum { SUTRA_OPEN_BUCKET_MS = 100, SUTRA_OPEN_BUCKETS = 6000 };	/* ten minutes */

struct sutra_open_options {
	const char *base;	/* service; "/embed" is added */
	double rate;		/* requests a second */
	uint64_t timeout_ns;	/* of each request */
	uint64_t deadline_ns;	/* monotonic: none is waited for behind it; UINT64_MAX: no deadline */
	/* Appends the next text; called on the sending thread. */
	void (*next)(void *user, struct sutra_buf *text);
	void *user;
};

struct sutra_open_bucket {
	uint32_t sent, ok, failed;	/* sent: due in it; ok, failed: answered in it */
	uint32_t retried;		/* as somebody who watches says: sutra_open_retried */
};

struct sutra_open_result {
	uint64_t sent, ok, failed;	/* failed: no answer, or not 200 */
	uint64_t late;			/* sent more than 10 ms after they were due */
	double asked_rate, sent_rate;	/* per second */
	struct sutra_histogram *response, *service;	/* from the due instant; from the send */
	struct sutra_open_bucket *buckets;	/* of SUTRA_OPEN_BUCKET_MS each, from the start */
	size_t n_buckets;
	char first_failure[256];
};

struct sutra_open;
int sutra_open_start(const struct sutra_open_options *o, struct sutra_open **ret, struct sutra_err *err);
uint64_t sutra_open_answered(struct sutra_open *l);
/* Adds tries behind the service, seen just now, to the timeline. */
void sutra_open_retried(struct sutra_open *l, uint32_t n);
/* Sends nothing more, waits for the last answer, hands out the result and frees l. */
void sutra_open_finish(struct sutra_open *l, struct sutra_open_result *ret);
void sutra_open_result_release(struct sutra_open_result *r);

#endif
