/*
 * batch_queue - the waiting jobs, the batches that are made of them, and the queue's estimated time; for
 * batcher.c, whose threads compute the batches. Use it through model/batcher.h.
 *
 * The batcher's lock guards the queue, except `waiting`, and the fields of jobs that it writes; a
 * taken batch belongs to its thread. The caller reports jobs that are returned as complete (a list by
 * `next`) in their order, after it has released the lock.
 */
#ifndef SUTRA_MODEL_BATCH_QUEUE_H
#define SUTRA_MODEL_BATCH_QUEUE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "model/batcher.h"

/* The texts of one job in one batch. */
struct batch_slice {
	struct sutra_batch_job *job;
	size_t first, n;
};

/* One per thread, filled again and again. */
struct batch {
	uint32_t *ids, *lengths;	/* [max_tokens], [max_texts] */
	struct batch_slice *slices;	/* [max_texts] */
	size_t texts, tokens, n_slices;
	uint64_t since_ns;		/* when the running batch was taken; 0: none runs */
};

struct batch_queue {
	const struct sutra_batcher_options *o;
	struct sutra_batch_job *head, **tail;
	atomic_bool waiting;		/* head is not NULL; helpers read it without the lock */
	uint64_t queued, queued_tokens;	/* texts and tokens in queue */
	uint64_t turn_tokens;		/* tokens of the queued jobs, at most one batch of each */
	uint64_t late, gone;		/* jobs dropped */
	double full_ns, full_tokens;	/* decayed sums over full batches; 0: none yet */
};

void sutra_batch_queue_init(struct batch_queue *l, const struct sutra_batcher_options *o);

/* Whether a job may enter now; if the queue is empty it may. Errors: see sutra_batcher_submit. */
int sutra_batch_queue_admit(const struct batch_queue *l, size_t texts, uint64_t tokens, uint64_t left_ns,
			   struct sutra_err *err);
void sutra_batch_queue_enter(struct batch_queue *l, struct sutra_batch_job *job);

/* Fills b from the queue, at most with this thread's share if `idle` other threads have no work; b->texts 0:
 * the queue was empty, or all was dropped. Prepends to *complete the dropped jobs that no batch holds. */
void sutra_batch_queue_fill(struct batch_queue *l, struct batch *b, unsigned idle,
			   struct sutra_batch_job **complete);
/* Ends a batch at `now`: gives its jobs the outcome and the pooling time. Returns the complete jobs. */
struct sutra_batch_job *sutra_batch_settle(struct batch *b, int rc, const struct sutra_err *err,
					   uint64_t pooling_ns, uint64_t now);

/* Updates the measured speed by a batch that took a thread `ns`. */
void sutra_batch_queue_learn(struct batch_queue *l, const struct batch *b, double ns);
/* Tokens a second of all threads together; 0: not known yet. */
uint64_t sutra_batch_queue_speed(const struct batch_queue *l);
/* Estimated nanoseconds for so many tokens; 0: the speed is not known yet. */
uint64_t sutra_batch_queue_time(const struct batch_queue *l, uint64_t tokens);

#endif
