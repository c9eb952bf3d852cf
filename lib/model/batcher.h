/*
 * batcher - a bounded queue of texts and the inference threads that empty it.
 *
 * A job is a request's texts, already tokenized. It enters whole or is refused: because the
 * queue's texts are too many, or because it would wait longer than it, or the queue, allows.
 * What is waited is estimated from the tokens ahead of it and the threads' measured speed.
 *
 * A thread takes as many texts as its token budget holds, from several jobs when they are small,
 * and leaves their shares to the threads that are idle; one that stays idle helps with a batch
 * that another has taken, until there is work of its own. What is left of a large job goes to the
 * end of the queue after each batch, so that a small one never waits for all of it. A job whose
 * deadline has passed, or that nobody waits for any more, is dropped before it is computed, and
 * so is the rest of one that is partly done.
 *
 * When a job's last vector is there, or it is dropped, its done() is called, once, on an
 * inference thread, without a lock held.
 */
#ifndef SUTRA_MODEL_BATCHER_H
#define SUTRA_MODEL_BATCHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/histogram.h"
#include "model/encoder/encoder.h"

struct sutra_batcher;

struct sutra_batch_job {
	/* set by the caller, alive until done() */
	size_t texts;			/* > 0 */
	const uint32_t *ids;		/* end to end */
	const uint32_t *lengths;	/* [texts], each 1 to the encoder's maximum */
	float *out;			/* [texts][hidden]: pooled, not normalised */
	uint64_t deadline_ns;		/* of sutra_clock_ns; 0: none */
	/* Whether nobody waits for it any more; asked under the batcher's lock. Or NULL. */
	bool (*gone)(const struct sutra_batch_job *job);
	void (*done)(struct sutra_batch_job *job);	/* may free the job */
	/* the outcome, valid in done(); dropped: SUTRA_E_TIMEOUT, SUTRA_E_CLOSED */
	int rc;
	struct sutra_err err;
	uint64_t queue_ns;		/* none of its texts was in a batch */
	uint64_t compute_ns;		/* some were */
	uint64_t pooling_ns;		/* of this, in pooling */
	uint64_t since_ns;		/* when the last of these times ended */
	/* the batcher's */
	struct sutra_batch_job *next;
	size_t taken, left, at;		/* texts taken and not finished; index of the next id */
	size_t tokens;			/* not taken */
	unsigned running;		/* batches that hold some */
	uint64_t looked_ns;		/* when it was last asked whether it is gone */
};

struct sutra_batcher_options {
	const struct sutra_encoder *encoder;
	enum sutra_pooling pooling;
	unsigned threads;	/* > 0 */
	size_t max_tokens;	/* of a batch, but one text always fits */
	size_t max_text_tokens;	/* of a text */
	size_t max_texts;	/* of a batch, > 0 */
	size_t max_queue;	/* texts waiting, > 0 */
	uint64_t max_wait_ns;	/* estimated, for the first text of a job; 0: no limit */
	int nice;		/* added to the threads' nice value, so that others come first */
	const int *cores;	/* [n_cores], borrowed until new returns: the threads' own; n 0: any */
	size_t n_cores;
};

int sutra_batcher_new(const struct sutra_batcher_options *options, struct sutra_batcher **ret,
		      struct sutra_err *err);
/* Finishes what is queued, then ends the threads and frees. No submit may be under way. */
void sutra_batcher_free(struct sutra_batcher *b);

/* Thread-safe. SUTRA_E_BUSY: the texts do not fit into the queue now, or would wait too long;
 * SUTRA_E_INVALID: they never will fit; SUTRA_E_TIMEOUT: the deadline has passed. done() is then
 * not called. */
int sutra_batcher_submit(struct sutra_batcher *b, struct sutra_batch_job *job,
			 struct sutra_err *err);
/* Whether so many texts would be refused now whatever their lengths, with submit's error: asked
 * before work is put into them. */
int sutra_batcher_admits(struct sutra_batcher *b, size_t texts, struct sutra_err *err);
/* Seconds after which what is refused now may be tried again: 1 to 60. */
unsigned sutra_batcher_retry_s(struct sutra_batcher *b);
/* Runs a job and waits for it; for warming up and tests. */
int sutra_batcher_run(struct sutra_batcher *b, struct sutra_batch_job *job, struct sutra_err *err);

struct sutra_batcher_stats {
	uint64_t queued, queued_tokens;	/* texts and tokens waiting now */
	unsigned idle;			/* threads that wait for work, or help meanwhile */
	uint64_t batches, texts, tokens;	/* done so far */
	uint64_t helped;		/* of these batches, computed by two threads */
	uint64_t inference_ns;		/* sum over batches */
	uint64_t late, gone;		/* jobs dropped: past their deadline; nobody waits */
	uint64_t longest_ns;		/* age of the oldest batch under way; 0: idle */
	uint64_t speed;			/* tokens a second all threads do together, lately */
};
void sutra_batcher_stats(struct sutra_batcher *b, struct sutra_batcher_stats *ret);
/* Times of batches; live. */
const struct sutra_histogram *sutra_batcher_times(const struct sutra_batcher *b);

#endif
