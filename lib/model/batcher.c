/*
 * One lock guards the line of jobs and the counters; it is held for moments, never while a
 * batch is computed or done() runs. A job's `left` counts texts that are queued or in a batch;
 * several workers may hold texts of one job, and the one that takes `left` to 0 reports it.
 * A batch that fails fails its jobs, but all their texts are still run through, so that
 * there is one way out.
 */
#include "model/batcher.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"

/* The texts of one job in one batch. */
struct slice {
	struct sutra_batch_job *job;
	size_t first, n;
};

struct worker {
	struct sutra_batcher *batcher;
	pthread_t thread;
	bool started;
	struct sutra_encoder_session *session;
	uint32_t *ids, *lengths;	/* [max_tokens], [max_texts] */
	float *out;			/* [max_texts][hidden] */
	struct slice *slices;		/* [max_texts] */
	size_t texts, tokens, n_slices;
	uint64_t since_ns;		/* when the batch under way was taken; 0: none */
};

struct sutra_batcher {
	struct sutra_batcher_options o;
	size_t hidden;
	pthread_mutex_t lock;
	pthread_cond_t filled;
	struct sutra_batch_job *head, **tail;
	bool stopping;
	struct sutra_batcher_stats stats;
	struct sutra_histogram *times;
	struct worker *workers;		/* [threads] */
};

/* Takes what the budget allows of the first job; whether the batch may grow further. */
static bool take_some(struct worker *w)
{
	struct sutra_batcher *b = w->batcher;
	struct sutra_batch_job *job = b->head;
	size_t first = job->taken;
	bool fits = true;

	while (job->taken < job->texts) {
		uint32_t len = job->lengths[job->taken];

		fits = w->texts < b->o.max_texts &&
		       (!w->texts || w->tokens + len <= b->o.max_tokens);
		if (!fits)
			break;
		memcpy(w->ids + w->tokens, job->ids + job->at, len * sizeof(*w->ids));
		w->lengths[w->texts++] = len;
		w->tokens += len;
		job->at += len;
		job->taken++;
	}
	if (job->taken == first)
		return false;
	w->slices[w->n_slices++] = (struct slice){ job, first, job->taken - first };
	b->head = job->next;
	if (!b->head)
		b->tail = &b->head;
	if (!fits) {	/* to the end of the line */
		job->next = NULL;
		*b->tail = job;
		b->tail = &job->next;
	}
	return fits;
}

/* Waits for work and takes a batch; false: the end. */
static bool take_batch(struct worker *w)
{
	struct sutra_batcher *b = w->batcher;
	bool some;

	w->texts = w->tokens = w->n_slices = 0;
	pthread_mutex_lock(&b->lock);
	while (!b->head && !b->stopping)
		pthread_cond_wait(&b->filled, &b->lock);
	while (b->head && take_some(w))
		;
	some = w->texts > 0;
	b->stats.queued -= w->texts;
	w->since_ns = some ? sutra_clock_ns() : 0;
	if (b->head)	/* a submit wakes one thread, which may leave work for others */
		pthread_cond_signal(&b->filled);
	pthread_mutex_unlock(&b->lock);
	return some;
}

/* Hands the vectors out, and reports the jobs that are complete. */
static void finish_batch(struct worker *w, int rc, const struct sutra_err *err)
{
	struct sutra_batcher *b = w->batcher;
	struct sutra_batch_job *complete = NULL;
	const float *from = w->out;
	uint64_t took;

	for (size_t i = 0; i < w->n_slices; i++) {
		const struct slice *s = &w->slices[i];

		if (!rc)
			memcpy(s->job->out + s->first * b->hidden, from,
			       s->n * b->hidden * sizeof(*from));
		from += s->n * b->hidden;
	}
	pthread_mutex_lock(&b->lock);
	for (size_t i = 0; i < w->n_slices; i++) {
		struct sutra_batch_job *job = w->slices[i].job;

		if (rc && !job->rc) {
			job->rc = rc;
			job->err = *err;
		}
		job->left -= w->slices[i].n;
		if (!job->left) {
			job->next = complete;
			complete = job;
		}
	}
	took = sutra_clock_ns() - w->since_ns;
	w->since_ns = 0;
	b->stats.batches++;
	b->stats.texts += w->texts;
	b->stats.tokens += w->tokens;
	b->stats.inference_ns += took;
	pthread_mutex_unlock(&b->lock);
	sutra_histogram_record(b->times, took);
	while (complete) {
		struct sutra_batch_job *job = complete;

		complete = job->next;
		job->done(job);
	}
}

static void *run_worker(void *arg)
{
	struct worker *w = arg;

	while (take_batch(w)) {
		struct sutra_err err;
		int rc = sutra_encoder_run(w->session, w->ids, w->lengths, w->texts,
					   w->batcher->o.pooling, w->out, &err);

		finish_batch(w, rc, &err);
	}
	return NULL;
}

static int start_worker(struct sutra_batcher *b, struct worker *w, struct sutra_err *err)
{
	const struct sutra_batcher_options *o = &b->o;
	int rc;

	w->batcher = b;
	w->ids = sutra_calloc(o->max_tokens, sizeof(*w->ids));
	w->lengths = sutra_calloc(o->max_texts, sizeof(*w->lengths));
	w->out = sutra_calloc(o->max_texts * b->hidden, sizeof(*w->out));
	w->slices = sutra_calloc(o->max_texts, sizeof(*w->slices));
	if (!w->ids || !w->lengths || !w->out || !w->slices)
		return sutra_fail(err, SUTRA_E_NOMEM, "out of memory for an inference thread");
	rc = sutra_encoder_session_new(o->encoder, o->max_tokens, NULL, &w->session, err);
	if (rc)
		return rc;
	if (pthread_create(&w->thread, NULL, run_worker, w))
		return sutra_fail(err, SUTRA_E_NOMEM, "cannot start an inference thread");
	w->started = true;
	return 0;
}

int sutra_batcher_new(const struct sutra_batcher_options *options, struct sutra_batcher **ret,
		      struct sutra_err *err)
{
	struct sutra_batcher *b = sutra_calloc(1, sizeof(*b));
	int rc = 0;

	if (!b)
		return sutra_fail(err, SUTRA_E_NOMEM, "out of memory");
	b->o = *options;
	if (b->o.max_tokens < b->o.max_text_tokens)
		b->o.max_tokens = b->o.max_text_tokens;
	if (b->o.max_texts > b->o.max_tokens)	/* a text has a token at least */
		b->o.max_texts = b->o.max_tokens;
	b->hidden = sutra_encoder_config(options->encoder)->hidden;
	b->tail = &b->head;
	pthread_mutex_init(&b->lock, NULL);
	pthread_cond_init(&b->filled, NULL);
	b->times = sutra_histogram_new();
	b->workers = sutra_calloc(b->o.threads, sizeof(*b->workers));
	if (!b->times || !b->workers)
		rc = sutra_fail(err, SUTRA_E_NOMEM, "out of memory");
	for (unsigned i = 0; !rc && i < b->o.threads; i++)
		rc = start_worker(b, &b->workers[i], err);
	if (rc)
		sutra_batcher_free(b);
	else
		*ret = b;
	return rc;
}

void sutra_batcher_free(struct sutra_batcher *b)
{
	if (!b)
		return;
	pthread_mutex_lock(&b->lock);
	b->stopping = true;
	pthread_cond_broadcast(&b->filled);
	pthread_mutex_unlock(&b->lock);
	for (unsigned i = 0; b->workers && i < b->o.threads; i++) {
		struct worker *w = &b->workers[i];

		if (w->started)
			pthread_join(w->thread, NULL);
		sutra_encoder_session_free(w->session);
		sutra_free(w->ids);
		sutra_free(w->lengths);
		sutra_free(w->out);
		sutra_free(w->slices);
	}
	pthread_cond_destroy(&b->filled);
	pthread_mutex_destroy(&b->lock);
	sutra_histogram_free(b->times);
	sutra_free(b->workers);
	sutra_free(b);
}

int sutra_batcher_submit(struct sutra_batcher *b, struct sutra_batch_job *job,
			 struct sutra_err *err)
{
	uint64_t queued;

	if (job->texts > b->o.max_queue)
		return sutra_fail(err, SUTRA_E_INVALID,
				  "%zu texts in one request; the queue (MAX_QUEUE) holds %zu", job->texts,
				  b->o.max_queue);
	job->next = NULL;
	job->rc = 0;
	job->taken = job->at = 0;
	job->left = job->texts;
	pthread_mutex_lock(&b->lock);
	queued = b->stats.queued;
	if (queued + job->texts <= b->o.max_queue) {
		b->stats.queued += job->texts;
		*b->tail = job;
		b->tail = &job->next;
		job = NULL;
		pthread_cond_signal(&b->filled);
	}
	pthread_mutex_unlock(&b->lock);
	if (!job)
		return 0;
	sutra_fail(err, SUTRA_E_BUSY,
		   "%llu texts are waiting; %zu more do not fit into MAX_QUEUE, which is %zu",
		   (unsigned long long)queued, job->texts, b->o.max_queue);
	return sutra_hint(err, "try again later, or with fewer texts");
}

/* A job with somebody waiting for it. */
struct waited {
	struct sutra_batch_job job;
	pthread_mutex_t lock;
	pthread_cond_t done;
	bool is_done;
};

static void wake_waiting(struct sutra_batch_job *job)
{
	struct waited *w = (struct waited *)job;

	pthread_mutex_lock(&w->lock);
	w->is_done = true;
	pthread_cond_signal(&w->done);
	pthread_mutex_unlock(&w->lock);
}

int sutra_batcher_run(struct sutra_batcher *b, struct sutra_batch_job *job, struct sutra_err *err)
{
	struct waited w = { .job = *job };
	int rc;

	w.job.done = wake_waiting;
	pthread_mutex_init(&w.lock, NULL);
	pthread_cond_init(&w.done, NULL);
	rc = sutra_batcher_submit(b, &w.job, err);
	pthread_mutex_lock(&w.lock);
	while (!rc && !w.is_done)
		pthread_cond_wait(&w.done, &w.lock);
	pthread_mutex_unlock(&w.lock);
	if (!rc && w.job.rc) {
		rc = w.job.rc;
		if (err)
			*err = w.job.err;
	}
	pthread_cond_destroy(&w.done);
	pthread_mutex_destroy(&w.lock);
	return rc;
}

void sutra_batcher_stats(struct sutra_batcher *b, struct sutra_batcher_stats *ret)
{
	uint64_t now;

	pthread_mutex_lock(&b->lock);
	now = sutra_clock_ns();
	*ret = b->stats;
	ret->longest_ns = 0;
	for (unsigned i = 0; i < b->o.threads; i++)
		if (b->workers[i].since_ns && now - b->workers[i].since_ns > ret->longest_ns)
			ret->longest_ns = now - b->workers[i].since_ns;
	pthread_mutex_unlock(&b->lock);
}

const struct sutra_histogram *sutra_batcher_times(const struct sutra_batcher *b) { return b->times; }
