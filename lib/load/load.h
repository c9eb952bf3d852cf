/*
 * load - embed requests of one text each, in an open or a closed loop.
 *
 * Open: request i is due at start + i / rate, whatever the service does. Its response time counts
 * from that instant and not from when it was sent, so that a stalled service shows in the times of all
 * requests that were due meanwhile (coordinated omission; G. Tene, "How NOT to measure latency").
 *
 * Closed (rate 0): each of `connections` sends its next request when the last is answered. A request
 * is due when it is sent: response time is service time, and a stall is not measured in requests that would
 * have come meanwhile.
 *
 * A load ends when its source, its span or its deadline does, or with sutra_load_stop. `next` is
 * called by one thread at a time, which may be the caller of sutra_load_start. Every other function
 * may be called from any thread; finish frees.
 */
#ifndef SUTRA_LOAD_LOAD_H
#define SUTRA_LOAD_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/histogram.h"

enum { SUTRA_LOAD_BUCKET_MS = 100, SUTRA_LOAD_BUCKETS = 6000 };	/* ten minutes */
enum sutra_level { SUTRA_LEVEL_L1, SUTRA_LEVEL_L2, SUTRA_LEVEL_COMPUTED, SUTRA_LEVELS };

struct sutra_load_options {
	const char *base;	/* service; "/embed" is added */
	double rate;		/* open loop: requests a second; 0: closed loop */
	unsigned max_open;	/* open loop: what is due with so many in flight is dropped; 0: no limit */
	unsigned connections;	/* closed loop: requests in flight at once; 0: one */
	int64_t dimension;	/* 0: the service's default */
	uint64_t timeout_ns;	/* of each request; 0: 10 s */
	uint64_t deadline_ns;	/* monotonic: no request begins, or is waited for, after it; 0: none */
	uint64_t span_ns;	/* no request is due after it; 0: no limit, and ten minutes of timeline */
	unsigned bucket_ms;	/* of the timeline; 0: SUTRA_LOAD_BUCKET_MS */
	bool quantiles;		/* of each bucket, too */
	/* Closed loop: reads the level (L1, L2, computed) of each answer; one that holds no vectors has failed.
	 * A text is then never twice in flight: the next request waits until the earlier one is answered,
	 * so that levels are what the order of the texts says. */
	bool levels;
	/* Appends the next text and names it by a number; false: no more. */
	bool (*next)(void *user, struct sutra_buf *text, uint32_t *ret_id);
	void *user;
};

struct sutra_load_bucket {
	uint32_t sent, ok, failed;	/* sent: due in it; ok, failed: answered in it */
	uint32_t retried;		/* added by sutra_load_retried */
	uint64_t p50_ns, p99_ns, max_ns;	/* response times of what was answered in it, when asked for */
};

struct sutra_load_result {
	uint64_t sent, ok, failed;	/* failed: no answer, or not 200 */
	uint64_t late;			/* sent more than 10 ms after they were due */
	uint64_t dropped;		/* due, never sent: max_open, or no memory */
	uint64_t wall_ns;		/* from the start to the last answer */
	uint64_t longest_gap_ns;	/* without a good answer, from the start to the last of them */
	double asked_rate, sent_rate;	/* per second; asked: 0 in a closed loop */
	struct sutra_histogram *response, *service;	/* of every answer: from the due instant; from the send */
	struct sutra_histogram *lateness;	/* from the due instant to the send */
	struct sutra_histogram *level[SUTRA_LEVELS];	/* service times of good answers; with `levels` */
	uint64_t texts[SUTRA_LEVELS];	/* with `levels` */
	struct sutra_load_bucket *buckets;	/* of bucket_ms each, from the start */
	size_t n_buckets;
	char first_failure[256];
};

struct sutra_load;
int sutra_load_start(const struct sutra_load_options *o, struct sutra_load **ret, struct sutra_err *err);
uint64_t sutra_load_answered(struct sutra_load *l);
/* Waits at most wait_ns; returns whether all is sent and answered. */
bool sutra_load_done(struct sutra_load *l, uint64_t wait_ns);
/* Sends nothing more. */
void sutra_load_stop(struct sutra_load *l);
/* The figures until now; the pointers belong to l and end with finish. */
void sutra_load_look(struct sutra_load *l, struct sutra_load_result *ret);
/* Adds n retries that a balancer behind the service has just reported to the timeline. */
void sutra_load_retried(struct sutra_load *l, uint32_t n);
/* Waits for the load's end and the last answer, hands out the result and frees l. */
void sutra_load_finish(struct sutra_load *l, struct sutra_load_result *ret);
void sutra_load_result_release(struct sutra_load_result *r);

#endif
