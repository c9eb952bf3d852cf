/*
 * A job's `left` counts texts that are queued or in a batch; several batches may hold texts of one
 * job, and the one that makes `left` 0 reports it. If a job is dropped, or a batch with its texts fails,
 * its queued texts are dropped.
 *
 * The queue is round-robin: a batch takes texts of the first job, and the rest of the job goes to the end.
 * So a job of one batch waits for one batch of each job ahead (`turn_tokens`), a larger one for everything.
 * Tokens are converted to time by the speed of full batches. A small batch takes longer per token, since
 * the weights are loaded once per batch. So its speed is used only if it is higher than the known one,
 * which was then measured on a busy machine.
 *
 * Sharing: a thread leaves idle threads their part of the queue. Two halves on two cores take
 * half the time; below MIN_SHARE tokens, loading the weights twice costs more than that saves.
 */
#include "model/batch_queue.h"

#include <string.h>

#include "base/clock.h"

enum {
	MIN_SHARE = 64,
	LOOK_NS = 1000000,	/* least time between two calls of gone(), which is a system call */
};

void sutra_batch_queue_init(struct batch_queue *l, const struct sutra_batcher_options *o)
{
	*l = (struct batch_queue){ .o = o };
	l->tail = &l->head;
}

static uint64_t turn_of(const struct batch_queue *l, const struct sutra_batch_job *job)
{
	return job->tokens < l->o->max_tokens ? job->tokens : l->o->max_tokens;
}

static void append_job(struct batch_queue *l, struct sutra_batch_job *job)
{
	job->next = NULL;
	*l->tail = job;
	l->tail = &job->next;
	atomic_store_explicit(&l->waiting, true, memory_order_relaxed);
	l->turn_tokens += turn_of(l, job);
}

static struct sutra_batch_job *take_first(struct batch_queue *l)
{
	struct sutra_batch_job *job = l->head;

	l->head = job->next;
	if (!l->head) {
		l->tail = &l->head;
		atomic_store_explicit(&l->waiting, false, memory_order_relaxed);
	}
	l->turn_tokens -= turn_of(l, job);
	return job;
}

void sutra_batch_queue_enter(struct batch_queue *l, struct sutra_batch_job *job)
{
	l->queued += job->texts;
	l->queued_tokens += job->tokens;
	append_job(l, job);
}

/* Adds the time since the last stamp to the job's time in batches or in the queue. */
static void stamp(struct sutra_batch_job *job, uint64_t now)
{
	*(job->running ? &job->compute_ns : &job->queue_ns) += now - job->since_ns;
	job->since_ns = now;
}

/* The error for which the first job is dropped; 0: it is computed. */
static int fault_of(struct batch_queue *l, uint64_t now)
{
	struct sutra_batch_job *job = l->head;

	if (job->rc)
		return job->rc;
	if (job->deadline_ns && now >= job->deadline_ns) {
		l->late++;
		return sutra_fail(&job->err, SUTRA_E_TIMEOUT,
				  "the deadline passed while %zu of %zu texts waited",
				  job->texts - job->taken, job->texts);
	}
	if (!job->gone || now - job->looked_ns < LOOK_NS)
		return 0;
	job->looked_ns = now;
	if (!job->gone(job))
		return 0;
	l->gone++;
	return sutra_fail(&job->err, SUTRA_E_CLOSED, "the client has closed the connection");
}

/* Removes the first job and its queued texts; prepends it to *complete unless a batch holds others. */
static void drop_first(struct batch_queue *l, int rc, uint64_t now, struct sutra_batch_job **complete)
{
	struct sutra_batch_job *job = take_first(l);
	size_t rest = job->texts - job->taken;

	job->rc = rc;
	l->queued -= rest;
	l->queued_tokens -= job->tokens;
	job->left -= rest;
	job->taken = job->texts;
	job->tokens = 0;
	if (job->left)
		return;		/* the batch that holds its other texts reports it */
	stamp(job, now);
	job->next = *complete;
	*complete = job;
}

static bool fits(const struct batch_queue *l, const struct batch *b, uint32_t length, size_t budget)
{
	return b->texts < l->o->max_texts && (!b->texts || b->tokens + length <= budget);
}

/* Takes texts of the first job, within the budget; whether the batch may grow further. */
static bool take_some(struct batch_queue *l, struct batch *b, size_t budget, uint64_t now)
{
	struct sutra_batch_job *job = l->head;
	size_t first = job->taken, tokens = b->tokens;

	if (!fits(l, b, job->lengths[first], budget))
		return false;	/* it stays first */
	take_first(l);
	do {
		uint32_t len = job->lengths[job->taken++];

		memcpy(b->ids + b->tokens, job->ids + job->at, len * sizeof(*b->ids));
		b->lengths[b->texts++] = len;
		b->tokens += len;
		job->at += len;
	} while (job->taken < job->texts && fits(l, b, job->lengths[job->taken], budget));
	job->tokens -= b->tokens - tokens;
	stamp(job, now);
	job->running++;
	b->slices[b->n_slices++] = (struct batch_slice){ job, first, job->taken - first };
	if (job->taken == job->texts)
		return true;
	append_job(l, job);
	return false;
}

/* Tokens that a batch may hold now. */
static size_t budget_of(const struct batch_queue *l, unsigned idle)
{
	size_t share = (l->queued_tokens + idle) / (idle + 1);

	share = share > MIN_SHARE ? share : MIN_SHARE;
	return share < l->o->max_tokens ? share : l->o->max_tokens;
}

void sutra_batch_queue_fill(struct batch_queue *l, struct batch *b, unsigned idle,
			   struct sutra_batch_job **complete)
{
	size_t budget = budget_of(l, idle);
	uint64_t now = sutra_clock_ns();
	bool more = true;

	b->texts = b->tokens = b->n_slices = 0;
	while (l->head && more) {
		int rc = fault_of(l, now);

		if (rc)
			drop_first(l, rc, now, complete);
		else
			more = take_some(l, b, budget, now);
	}
	l->queued -= b->texts;
	l->queued_tokens -= b->tokens;
	b->since_ns = b->texts ? now : 0;
}

struct sutra_batch_job *sutra_batch_settle(struct batch *b, int rc, const struct sutra_err *err,
					   uint64_t pooling_ns, uint64_t now)
{
	struct sutra_batch_job *complete = NULL;

	for (size_t i = b->n_slices; i-- > 0;) {	/* so the list keeps the order of the slices */
		struct sutra_batch_job *job = b->slices[i].job;

		if (rc && !job->rc) {
			job->rc = rc;
			job->err = *err;
		}
		stamp(job, now);
		job->running--;
		job->pooling_ns += pooling_ns;
		if (job->pooling_ns > job->compute_ns)	/* batches that ran at once share the time */
			job->pooling_ns = job->compute_ns;
		job->left -= b->slices[i].n;
		if (!job->left) {
			job->next = complete;
			complete = job;
		}
	}
	b->since_ns = 0;
	return complete;
}

void sutra_batch_queue_learn(struct batch_queue *l, const struct batch *b, double ns)
{
	bool full = b->tokens >= l->o->max_tokens / 4 || b->texts == l->o->max_texts;

	if (!full && (double)b->tokens * l->full_ns <= l->full_tokens * ns)
		return;
	l->full_ns = l->full_ns * 0.875 + ns;
	l->full_tokens = l->full_tokens * 0.875 + (double)b->tokens;
}

uint64_t sutra_batch_queue_speed(const struct batch_queue *l)
{
	return l->full_ns > 0 ? (uint64_t)(l->full_tokens * 1e9 / l->full_ns * l->o->threads) : 0;
}

uint64_t sutra_batch_queue_time(const struct batch_queue *l, uint64_t tokens)
{
	if (l->full_tokens <= 0)
		return 0;
	return (uint64_t)((double)tokens * l->full_ns / l->full_tokens / l->o->threads);
}

int sutra_batch_queue_admit(const struct batch_queue *l, size_t texts, uint64_t tokens, uint64_t left_ns,
			   struct sutra_err *err)
{
	uint64_t ahead = tokens > l->o->max_tokens ? l->queued_tokens : l->turn_tokens;
	uint64_t wait = sutra_batch_queue_time(l, ahead);
	uint64_t answer = wait + sutra_batch_queue_time(l, tokens);

	if (texts > l->o->max_queue)
		return sutra_fail(err, SUTRA_E_INVALID,
				  "%zu texts in one request; the queue (MAX_QUEUE) holds %zu", texts,
				  l->o->max_queue);
	if (l->queued + texts > l->o->max_queue) {
		sutra_fail(err, SUTRA_E_BUSY,
			   "%llu texts are waiting; %zu more do not fit into MAX_QUEUE, which is %zu",
			   (unsigned long long)l->queued, texts, l->o->max_queue);
	} else if (!l->queued) {
		return 0;
	} else if (l->o->max_wait_ns && wait > l->o->max_wait_ns) {
		sutra_fail(err, SUTRA_E_BUSY,
			   "%llu texts are waiting; the next would wait %.1f s, above MAX_QUEUE_MS, which is %llu",
			   (unsigned long long)l->queued, (double)wait / 1e9,
			   (unsigned long long)(l->o->max_wait_ns / 1000000));
	} else if (answer > left_ns) {
		sutra_fail(err, SUTRA_E_BUSY,
			   "%llu texts are waiting; the answer would take %.1f s, and the request allows %.1f s",
			   (unsigned long long)l->queued, (double)answer / 1e9,
			   (double)left_ns / 1e9);
	} else {
		return 0;
	}
	return sutra_hint(err, "try again later, or with fewer texts");
}

