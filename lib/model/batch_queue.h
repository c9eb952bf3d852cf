/*
 * batch_queue - the jobs that wait, the batches that are made of them, and how long the queue is; for
 * batcher.c, whose threads compute the batches. Use it through model/batcher.h.
 *
 * The queue, and the fields of jobs that it writes, are under the batcher's lock, except `waiting`; a
 * taken batch is its thread's. Jobs that are returned as complete (a list by `next`) are to be reported,
 * in their order, after the lock is released.
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

/* A thread's, filled over and over. */
struct batch {
	uint32_t *ids, *lengths;	/* [max_tokens], [max_texts] */
	struct batch_slice *slices;	/* [max_texts] */
	size_t texts, tokens, n_slices;
	uint64_t since_ns;		/* when the batch under way was taken; 0: none */
};

struct batch_queue {
	const struct sutra_batcher_options *o;
	struct sutra_batch_job *head, **tail;
	atomic_bool waiting;		/* whether there is a head, for helpers, without the lock */
	uint64_t queued, queued_tokens;	/* texts and tokens in queue */
	uint64_t turn_tokens;		/* of the jobs in queue, a batch each at most */
	uint64_t late, gone;		/* jobs dropped */
	double full_ns, full_tokens;	/* decayed sums over full batches; tokens 0: none yet */
};

void sutra_batch_queue_init(struct batch_queue *l, const struct sutra_batcher_options *o);

/* Whether a job may enter now. Behind an empty queue it always may. Errors are sutra_batcher_submit's. */
int sutra_batch_queue_admit(const struct batch_queue *l, size_t texts, uint64_t tokens, uint64_t left_ns,
			   struct sutra_err *err);
void sutra_batch_queue_enter(struct batch_queue *l, struct sutra_batch_job *job);

/* Fills b from the queue, up to this thread's share where `idle` others have none; b->texts 0: there was
 * nothing, or all was dropped. *complete: grows by dropped jobs none of whose texts are in a batch. */
void sutra_batch_queue_fill(struct batch_queue *l, struct batch *b, unsigned idle,
			   struct sutra_batch_job **complete);
/* Ends a batch at `now` for its jobs, with its outcome and its time in pooling; the complete ones. */
struct sutra_batch_job *sutra_batch_settle(struct batch *b, int rc, const struct sutra_err *err,
					   uint64_t pooling_ns, uint64_t now);

/* What a batch that took a thread so long says about the threads' speed. */
void sutra_batch_queue_learn(struct batch_queue *l, const struct batch *b, double ns);
/* Tokens a second all threads do together; 0 while it is not known. */
uint64_t sutra_batch_queue_speed(const struct batch_queue *l);
/* Nanoseconds until so many tokens are computed; 0 while the speed is not known. */
uint64_t sutra_batch_queue_time(const struct batch_queue *l, uint64_t tokens);

#endif
