/*
 * batcher - a bounded queue of texts and the inference threads that empty it.
 *
 * A job is a request's texts, already tokenized. It enters whole or is refused, because the
 * queue holds too many texts, or because it would wait longer than its deadline or max_wait_ns allows.
 * The wait is estimated from the tokens ahead of it and the threads' measured speed.
 *
 * A thread takes as many texts as its token budget allows, from several jobs if they are small,
 * and leaves idle threads their share. An idle thread helps with a batch that another thread has taken,
 * until a job is queued. After each batch the rest of a large job goes to the end of the queue, so that a
 * small job never waits for all of it. A job whose deadline has passed, or whose client has closed the
 * connection, is dropped before it is computed, and so is the rest of a partly computed one.
 *
 * Once a job's last vector is computed, or the job is dropped, its done() is called, once, on an
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
	/* set by the caller; what it points to must live until done() */
	size_t texts;			/* > 0 */
	const uint32_t *ids;		/* end to end */
	const uint32_t *lengths;	/* [texts], each 1 to the encoder's maximum */
	float *out;			/* [texts][hidden]: pooled, not normalised */
	uint64_t deadline_ns;		/* on the clock of sutra_clock_ns; 0: none */
	/* Whether the client has closed the connection; called with the batcher's lock held. May be NULL. */
	bool (*gone)(const struct sutra_batch_job *job);
	void (*done)(struct sutra_batch_job *job);	/* may free the job */
	/* the outcome, valid in done(); of a dropped job SUTRA_E_TIMEOUT or SUTRA_E_CLOSED */
	int rc;
	struct sutra_err err;
	uint64_t queue_ns;		/* while none of its texts was in a batch */
	uint64_t compute_ns;		/* while some were */
	uint64_t pooling_ns;		/* the part of compute_ns in pooling */
	uint64_t since_ns;		/* until when these times are counted */
	/* private to the batcher */
	struct sutra_batch_job *next;
	size_t taken, left, at;		/* texts taken, texts not finished, index of the next id */
	size_t tokens;			/* that are not taken */
	unsigned running;		/* batches that hold its texts */
	uint64_t looked_ns;		/* when gone() was last called */
};

struct sutra_batcher_options {
	const struct sutra_encoder *encoder;
	enum sutra_pooling pooling;
	unsigned threads;	/* > 0 */
	size_t max_tokens;	/* per batch; a longer single text fits too */
	size_t max_text_tokens;	/* per text */
	size_t max_texts;	/* per batch, > 0 */
	size_t max_queue;	/* texts in the queue, > 0 */
	uint64_t max_wait_ns;	/* estimated, for the first text of a job; 0: no limit */
	int nice;		/* added to the threads' nice value */
	const int *cores;	/* [n_cores], read by new only: the threads' cores; n_cores 0: any */
	size_t n_cores;
};

int sutra_batcher_new(const struct sutra_batcher_options *options, struct sutra_batcher **ret,
		      struct sutra_err *err);
/* Computes what is queued, then ends the threads and frees. No submit may run. */
void sutra_batcher_free(struct sutra_batcher *b);

/* Thread-safe. SUTRA_E_BUSY: the texts do not fit into the queue now, or would wait too long;
 * SUTRA_E_INVALID: they are more than the queue can hold; SUTRA_E_TIMEOUT: the deadline has passed. After
 * an error done() is not called. */
int sutra_batcher_submit(struct sutra_batcher *b, struct sutra_batch_job *job,
			 struct sutra_err *err);
/* The error with which submit would refuse so many texts of any length now, or 0; for a check before the
 * texts are tokenized. */
int sutra_batcher_admits(struct sutra_batcher *b, size_t texts, struct sutra_err *err);
/* Seconds after which a refused job may be sent again: 1 to 60. */
unsigned sutra_batcher_retry_s(struct sutra_batcher *b);
/* Runs a job and waits for it; for warm-up and tests. */
int sutra_batcher_run(struct sutra_batcher *b, struct sutra_batch_job *job, struct sutra_err *err);

struct sutra_batcher_stats {
	uint64_t queued, queued_tokens;	/* texts and tokens in the queue now */
	unsigned idle;			/* threads that wait for work or help */
	uint64_t batches, texts, tokens;	/* done so far */
	uint64_t helped;		/* batches computed by two threads */
	uint64_t inference_ns;		/* sum over batches */
	uint64_t late, gone;		/* jobs dropped: the deadline passed; the client closed */
	uint64_t longest_ns;		/* age of the oldest running batch; 0: none runs */
	uint64_t speed;			/* recent tokens a second of all threads together */
};
void sutra_batcher_stats(struct sutra_batcher *b, struct sutra_batcher_stats *ret);
/* The durations of batches; it changes while batches run. */
const struct sutra_histogram *sutra_batcher_times(const struct sutra_batcher *b);

#endif
