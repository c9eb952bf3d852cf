/*
 * load - keeps up to `parallel` embed requests under way until its source is exhausted or
 * stopped, and records what each answer said. A closed loop: it measures service time and
 * proves overlap; it is no open-loop generator.
 *
 * Every request holds one text. A text is never twice under way: the next request waits until the
 * earlier one is answered, so that each answer's level (L1, L2, computed) is what the
 * order of the trace says. Everything happens on one thread of its own.
 */
#ifndef SUTRA_LOAD_LOAD_H
#define SUTRA_LOAD_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/histogram.h"

enum sutra_level { SUTRA_LEVEL_L1, SUTRA_LEVEL_L2, SUTRA_LEVEL_COMPUTED, SUTRA_LEVELS };

struct sutra_load_options {
	const char *base;	/* service; "/embed" is added */
	unsigned parallel;	/* 1 to 64 */
	int64_t dimension;	/* 0: the service's default */
	uint64_t timeout_ns;	/* of each request; 0: 10 s */
	uint64_t deadline_ns;	/* monotonic: no request begins, or is waited for, behind it; 0: none */
	/* Appends the next text and names it by a number; false: no more. Called on the load's
	 * thread, and for the first ones on the caller's. */
	bool (*next)(void *user, struct sutra_buf *text, uint32_t *ret_id);
	void *user;
};

struct sutra_load_result {
	uint64_t sent, failed;		/* failed: no answer, or not 200 */
	uint64_t texts[SUTRA_LEVELS];
	uint64_t wall_ns;		/* from the first request to the last answer */
	uint64_t longest_gap_ns;	/* between two good answers */
	unsigned most_open;		/* requests under way at once, as seen here */
	uint64_t answer_bytes;
	char first_failure[256];
	struct sutra_histogram *all, *level[SUTRA_LEVELS];
};

struct sutra_load;
int sutra_load_start(const struct sutra_load_options *o, struct sutra_load **ret,
		     struct sutra_err *err);
uint64_t sutra_load_answered(const struct sutra_load *l);	/* any time, for progress */
bool sutra_load_done(struct sutra_load *l, uint64_t wait_ns);	/* waits at most that long */
void sutra_load_stop(struct sutra_load *l);	/* no new requests from now on */
/* Waits for the last answer, hands out the result and frees l. */
void sutra_load_finish(struct sutra_load *l, struct sutra_load_result *ret);
void sutra_load_result_release(struct sutra_load_result *r);

#endif
