/*
 * batcher - a bounded queue of texts and the inference threads that empty it.
 *
 * A job is a request's texts, already tokenized. It enters whole or is refused. A worker takes
 * as many texts as its token budget holds, from several jobs when they are small; nothing waits
 * for company. What is left of a large job goes to the end of the line after each batch, so
 * that a small one never waits for all of it. When a job's last vector is there, its done() is
 * called, once, on a worker's thread.
 */
#ifndef SUTRA_MODEL_BATCHER_H
#define SUTRA_MODEL_BATCHER_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/histogram.h"
#include "model/encoder.h"

struct sutra_batcher;

struct sutra_batch_job {
	/* set by the caller, alive until done() */
	size_t texts;			/* > 0 */
	const uint32_t *ids;		/* end to end */
	const uint32_t *lengths;	/* [texts], each 1 to the encoder's maximum */
	float *out;			/* [texts][hidden]: pooled, not normalised */
	void (*done)(struct sutra_batch_job *job);	/* may free the job */
	/* the outcome, valid in done() */
	int rc;
	struct sutra_err err;
	/* the batcher's */
	struct sutra_batch_job *next;
	size_t taken, left, at;		/* texts taken and not finished; index of the next id */
};

struct sutra_batcher_options {
	const struct sutra_encoder *encoder;
	enum sutra_pooling pooling;
	unsigned threads;	/* > 0 */
	size_t max_tokens;	/* of a batch, but one text always fits */
	size_t max_text_tokens;	/* of a text */
	size_t max_texts;	/* of a batch, > 0 */
	size_t max_queue;	/* texts waiting, > 0 */
};

int sutra_batcher_new(const struct sutra_batcher_options *options, struct sutra_batcher **ret,
		      struct sutra_err *err);
/* Finishes what is queued, then ends the threads and frees. No submit may be under way. */
void sutra_batcher_free(struct sutra_batcher *b);

/* Thread-safe. SUTRA_E_BUSY: the texts do not fit into the queue now; SUTRA_E_INVALID: they
 * never will. done() is then not called. */
int sutra_batcher_submit(struct sutra_batcher *b, struct sutra_batch_job *job,
			 struct sutra_err *err);
/* Runs a job and waits for it; for warming up and tests. */
int sutra_batcher_run(struct sutra_batcher *b, struct sutra_batch_job *job, struct sutra_err *err);

struct sutra_batcher_stats {
	uint64_t queued;		/* texts waiting now */
	uint64_t batches, texts, tokens;	/* done so far */
	uint64_t inference_ns;		/* sum over batches */
	uint64_t longest_ns;		/* age of the oldest batch under way; 0: idle */
};
void sutra_batcher_stats(struct sutra_batcher *b, struct sutra_batcher_stats *ret);
/* Times of batches; live. */
const struct sutra_histogram *sutra_batcher_times(const struct sutra_batcher *b);

#endif
