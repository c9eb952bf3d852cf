/*
 * One lock guards the queue of jobs (batch_queue.h) and the counters; it is held briefly, never
 * while a batch is computed or done() runs.
 *
 * A thread does not wait for more texts. A batch of up to some 50 tokens takes little longer than one
 * text, so a thread that found one or two texts could gain by waiting for others. Measured (short texts;
 * 2, 4, 20 callers; waits of 1/8 and 1/4 of the last batch): one thread computes -19 to +10 % more texts a
 * processor second, because the next batch has arrived by the time it has answered one (2.0 texts of 2
 * callers, 12.5 of 20); two threads compute half as many texts a second, because one of them collects the
 * texts of both.
 *
 * Helping: two threads also compute a batch that cannot be shared, such as a single text. A batch is open
 * to one idle worker, which is woken for it or finds it on becoming idle, and computes parts of it in
 * the session of the worker that took it (sutra_encoder_help). The helper still counts as idle: once
 * `waiting` says that a job is queued, it returns between two parts, and the batch is open again. The
 * worker that took the batch settles it, and does not wait for a helper that is not computing a part; so a
 * helper may return while the next batch runs, which it detects by `since_ns`. A helped batch took the
 * time of two threads, and the speed counts it so. Help pays for every batch: a text of 2 tokens takes
 * 0.7 of the time in a model of width 64 (0.1 ms alone), one of 8 tokens in all-MiniLM-L6-v2 0.6.
 */
#include "model/batcher.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "model/batch_queue.h"

enum { MAX_RETRY_S = 60 };

struct worker {
	struct sutra_batcher *batcher;
	pthread_t thread;
	bool started;
	struct sutra_encoder_session *session;
	struct batch batch;
	float *out;			/* [max_texts][hidden] */
	bool open;			/* a helper may join the batch */
};

struct sutra_batcher {
	struct sutra_batcher_options o;
	size_t hidden;
	pthread_mutex_t lock;
	pthread_cond_t filled;
	struct batch_queue queue;
	bool stopping;
	struct sutra_batcher_stats stats;	/* without what the queue and the workers count */
	struct sutra_histogram *times;
	struct worker *workers;		/* [threads] */
};

static void report(struct sutra_batch_job *complete)
{
	while (complete) {
		struct sutra_batch_job *job = complete;

		complete = job->next;
		job->done(job);
	}
}

static bool has_waiting(void *queue)
{
	return atomic_load_explicit(&((struct batch_queue *)queue)->waiting, memory_order_relaxed);
}

/* Helps with an open batch, with the lock released meanwhile; false: there is none. */
static bool help(struct sutra_batcher *b)
{
	struct worker *w = b->workers, *end = w + b->o.threads;
	uint64_t since;
	bool early;

	while (w < end && !w->open)
		w++;
	if (w == end)
		return false;
	w->open = false;
	since = w->batch.since_ns;
	pthread_mutex_unlock(&b->lock);
	early = sutra_encoder_help(w->session, has_waiting, &b->queue);
	pthread_mutex_lock(&b->lock);
	if (early && w->batch.since_ns == since)
		w->open = true;
	return true;
}

/* Waits for work, takes a batch and reports dropped jobs; false: the batcher stops. */
static bool take_batch(struct worker *w)
{
	struct sutra_batcher *b = w->batcher;
	struct sutra_batch_job *dropped;
	bool more;

	do {
		dropped = NULL;
		pthread_mutex_lock(&b->lock);
		b->stats.idle++;
		while (!b->queue.head && !b->stopping)
			if (!help(b))
				pthread_cond_wait(&b->filled, &b->lock);
		b->stats.idle--;
		more = b->queue.head;		/* false: it stops, and nothing is left */
		sutra_batch_queue_fill(&b->queue, &w->batch, b->stats.idle, &dropped);
		if (b->queue.head)	/* submit wakes one thread, which may leave work for others */
			pthread_cond_signal(&b->filled);
		pthread_mutex_unlock(&b->lock);
		report(dropped);
	} while (more && !w->batch.texts);	/* all jobs were dropped */
	return w->batch.texts > 0;
}

/* Lets another thread help with the batch, which has begun. */
static void open_batch(struct worker *w)
{
	struct sutra_batcher *b = w->batcher;
	bool call;

	pthread_mutex_lock(&b->lock);
	w->open = true;
	call = b->stats.idle;
	pthread_mutex_unlock(&b->lock);
	if (call)
		pthread_cond_signal(&b->filled);
}

static int run_batch(struct worker *w, struct sutra_err *err)
{
	const struct batch *t = &w->batch;
	int rc = sutra_encoder_begin(w->session, t->ids, t->lengths, t->texts, w->batcher->o.pooling,
				     w->out, err);

	if (rc)
		return rc;
	if (w->batcher->o.threads > 1 && sutra_encoder_takes_help(w->batcher->o.encoder))
		open_batch(w);
	return sutra_encoder_finish(w->session, err);
}

/* Copies the vectors to the jobs and reports the complete ones. */
static void finish_batch(struct worker *w, int rc, const struct sutra_err *err)
{
	struct sutra_batcher *b = w->batcher;
	double helped = sutra_encoder_session_helped(w->session);
	uint64_t pooling = sutra_encoder_session_pooling_ns(w->session), now, took;
	struct sutra_batch_job *complete;
	const float *from = w->out;

	for (size_t i = 0; i < w->batch.n_slices; i++) {
		const struct batch_slice *s = &w->batch.slices[i];

		if (!rc)
			memcpy(s->job->out + s->first * b->hidden, from,
			       s->n * b->hidden * sizeof(*from));
		from += s->n * b->hidden;
	}
	pthread_mutex_lock(&b->lock);
	now = sutra_clock_ns();
	took = now - w->batch.since_ns;
	complete = sutra_batch_settle(&w->batch, rc, err, pooling, now);
	w->open = false;
	b->stats.batches++;
	b->stats.helped += helped > 0;
	b->stats.texts += w->batch.texts;
	b->stats.tokens += w->batch.tokens;
	b->stats.inference_ns += took;
	sutra_batch_queue_learn(&b->queue, &w->batch,
			       (double)took * (helped < 0.5 ? 1 / (1 - helped) : 2));
	pthread_mutex_unlock(&b->lock);
	sutra_histogram_record(b->times, took);
	report(complete);
}

static void *run_worker(void *arg)
{
	struct worker *w = arg;
	id_t self = (id_t)gettid();
	int nice = w->batcher->o.nice;

	if (nice)	/* raising it is always allowed */
		setpriority(PRIO_PROCESS, self, getpriority(PRIO_PROCESS, self) + nice);
	while (take_batch(w)) {
		struct sutra_err err;
		int rc = run_batch(w, &err);

		finish_batch(w, rc, &err);
	}
	return NULL;
}

/* Starts the worker's thread, on its own core if cores are given. */
static int start_thread(struct worker *w, struct sutra_err *err)
{
	const struct sutra_batcher_options *o = &w->batcher->o;
	size_t at = (size_t)(w - w->batcher->workers);
	pthread_attr_t attr;
	cpu_set_t set;

	pthread_attr_init(&attr);
	if (o->n_cores) {
		CPU_ZERO(&set);
		CPU_SET((size_t)o->cores[at % o->n_cores], &set);
		pthread_attr_setaffinity_np(&attr, sizeof(set), &set);
	}
	errno = pthread_create(&w->thread, &attr, run_worker, w);
	pthread_attr_destroy(&attr);
	if (errno)
		return sutra_fail_errno(err, "cannot start an inference thread");
	w->started = true;
	return 0;
}

static int start_worker(struct sutra_batcher *b, struct worker *w, struct sutra_err *err)
{
	const struct sutra_batcher_options *o = &b->o;
	size_t most = o->max_tokens > o->max_text_tokens ? o->max_tokens : o->max_text_tokens;
	struct batch *t = &w->batch;
	int rc;

	w->batcher = b;
	t->ids = sutra_calloc(most, sizeof(*t->ids));
	t->lengths = sutra_calloc(o->max_texts, sizeof(*t->lengths));
	t->slices = sutra_calloc(o->max_texts, sizeof(*t->slices));
	w->out = sutra_calloc(o->max_texts * b->hidden, sizeof(*w->out));
	if (!t->ids || !t->lengths || !t->slices || !w->out)
		return sutra_fail(err, SUTRA_E_NOMEM, "out of memory for an inference thread");
	rc = sutra_encoder_session_new(o->encoder, most, NULL, &w->session, err);
	if (rc)
		return rc;
	return start_thread(w, err);
}

int sutra_batcher_new(const struct sutra_batcher_options *options, struct sutra_batcher **ret,
		      struct sutra_err *err)
{
	struct sutra_batcher *b = sutra_calloc(1, sizeof(*b));
	int rc = 0;

	if (!b)
		return sutra_fail(err, SUTRA_E_NOMEM, "out of memory");
	b->o = *options;
	if (b->o.max_texts > b->o.max_tokens)	/* a text has at least one token */
		b->o.max_texts = b->o.max_tokens;
	b->hidden = sutra_encoder_config(options->encoder)->hidden;
	sutra_batch_queue_init(&b->queue, &b->o);
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
	for (unsigned i = 0; b->workers && i < b->o.threads; i++)
		if (b->workers[i].started)
			pthread_join(b->workers[i].thread, NULL);
	for (unsigned i = 0; b->workers && i < b->o.threads; i++) {	/* no helper uses them any more */
		struct worker *w = &b->workers[i];

		sutra_encoder_session_free(w->session);
		sutra_free(w->batch.ids);
		sutra_free(w->batch.lengths);
		sutra_free(w->batch.slices);
		sutra_free(w->out);
	}
	pthread_cond_destroy(&b->filled);
	pthread_mutex_destroy(&b->lock);
	sutra_histogram_free(b->times);
	sutra_free(b->workers);
	sutra_free(b);
}

int sutra_batcher_admits(struct sutra_batcher *b, size_t texts, struct sutra_err *err)
{
	int rc;

	pthread_mutex_lock(&b->lock);
	rc = sutra_batch_queue_admit(&b->queue, texts, 0, UINT64_MAX, err);
	pthread_mutex_unlock(&b->lock);
	return rc;
}

unsigned sutra_batcher_retry_s(struct sutra_batcher *b)
{
	uint64_t s;

	pthread_mutex_lock(&b->lock);
	s = (sutra_batch_queue_time(&b->queue, b->queue.turn_tokens) + 999999999) / 1000000000;
	pthread_mutex_unlock(&b->lock);
	return s < 1 ? 1 : s > MAX_RETRY_S ? MAX_RETRY_S : (unsigned)s;
}

int sutra_batcher_submit(struct sutra_batcher *b, struct sutra_batch_job *job,
			 struct sutra_err *err)
{
	uint64_t now = sutra_clock_ns(), left = UINT64_MAX;
	int rc;

	if (job->deadline_ns && job->deadline_ns <= now)
		return sutra_fail(err, SUTRA_E_TIMEOUT, "the deadline passed before the texts were read");
	if (job->deadline_ns)
		left = job->deadline_ns - now;
	job->rc = 0;
	job->taken = job->at = job->tokens = 0;
	job->running = 0;
	job->queue_ns = job->compute_ns = job->pooling_ns = 0;
	job->since_ns = job->looked_ns = now;
	job->left = job->texts;
	for (size_t i = 0; i < job->texts; i++)
		job->tokens += job->lengths[i];
	pthread_mutex_lock(&b->lock);
	rc = sutra_batch_queue_admit(&b->queue, job->texts, job->tokens, left, err);
	if (!rc)
		sutra_batch_queue_enter(&b->queue, job);
	pthread_mutex_unlock(&b->lock);
	if (!rc)	/* after the unlock, so that the woken thread gets the lock */
		pthread_cond_signal(&b->filled);
	return rc;
}

/* A job whose submitter waits for it. */
struct awaited {
	struct sutra_batch_job job;
	sem_t done;
};

static void post_done(struct sutra_batch_job *job) { sem_post(&((struct awaited *)job)->done); }

int sutra_batcher_run(struct sutra_batcher *b, struct sutra_batch_job *job, struct sutra_err *err)
{
	struct awaited w = { .job = *job };
	int rc;

	w.job.done = post_done;
	sem_init(&w.done, 0, 0);
	rc = sutra_batcher_submit(b, &w.job, err);
	while (!rc && sem_wait(&w.done) && errno == EINTR)
		;
	if (!rc && w.job.rc) {
		rc = w.job.rc;
		if (err)
			*err = w.job.err;
	}
	sem_destroy(&w.done);
	return rc;
}

void sutra_batcher_stats(struct sutra_batcher *b, struct sutra_batcher_stats *ret)
{
	uint64_t now;

	pthread_mutex_lock(&b->lock);
	now = sutra_clock_ns();
	*ret = b->stats;
	ret->queued = b->queue.queued;
	ret->queued_tokens = b->queue.queued_tokens;
	ret->late = b->queue.late;
	ret->gone = b->queue.gone;
	ret->speed = sutra_batch_queue_speed(&b->queue);
	for (unsigned i = 0; i < b->o.threads; i++)
		if (b->workers[i].batch.since_ns && now - b->workers[i].batch.since_ns > ret->longest_ns)
			ret->longest_ns = now - b->workers[i].batch.since_ns;
	pthread_mutex_unlock(&b->lock);
}

const struct sutra_histogram *sutra_batcher_times(const struct sutra_batcher *b) { return b->times; }
