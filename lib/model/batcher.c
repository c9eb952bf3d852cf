/*
 * One lock guards the line of jobs and the counters; it is held for moments, never while a
 * batch is computed or done() runs. A job's `left` counts texts that are queued or in a batch;
 * several workers may hold texts of one job, and the one that takes `left` to 0 reports it.
 * A job that is dropped, or that a batch of its texts has failed, loses those that still wait.
 *
 * The line is round: a job gives a batch at most and what is left of it goes to the end. So a job
 * of one batch waits for one batch of each job ahead (`turn_tokens`), a larger one for everything.
 * Tokens become time by the speed of full batches. A small batch is slower by the token, since the
 * weights pass through the processor once a batch; its speed counts only where it is higher than
 * the known one, which must have been measured in bad times then.
 *
 * Nothing waits for company. A thread that took only a text or two, while more are about to come,
 * could gain by waiting: up to some 50 tokens a batch costs little more than a text. Measured
 * (short texts; 2, 4, 20 callers; waits of 1/8 and 1/4 of the last batch): one thread computes -19 to
 * +10 % texts a processor second more, for by the time it has answered a batch the next one is there,
 * 2.0 of 2 and 12.5 of 20 callers' texts; two threads halve their texts a second, since what both
 * would have computed one of them collects.
 *
 * Sharing: a worker that finds others idle leaves them their part. Two halves on two cores take
 * half the time; below MIN_SHARE tokens the weights' passing twice eats the gain.
 *
 * Helping: what is not shared out, one text above all, is still computed by two. A batch is open to
 * one idle worker, which is woken for it or finds it on becoming idle, and computes parts of it in
 * the session of the worker that took it (sutra_encoder_help). It counts as idle all the while: at
 * `waiting`, that a job is in line, it comes back between two parts, and the batch is open again. The
 * batch is settled by who took it, who waits for no helper that has nothing in hand; so a helper may
 * come back when the next batch is under way, which `since_ns` tells. A helped batch took two
 * threads' time: the speed counts it so. No batch is too small for help: a text of 2 tokens takes
 * 0.7 of the time in a model of width 64 (0.1 ms alone), one of 8 in all-MiniLM-L6-v2 0.6.
 */
#include "model/batcher.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"

enum {
	MIN_SHARE = 64,
	MAX_RETRY_S = 60,
	LOOK_NS = 1000000,	/* a job is asked no more often whether it is gone: that is a system call */
};

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
	bool open;			/* it wants a helper */
};

struct sutra_batcher {
	struct sutra_batcher_options o;
	size_t hidden;
	pthread_mutex_t lock;
	pthread_cond_t filled;
	struct sutra_batch_job *head, **tail;
	atomic_bool waiting;		/* whether there is a head, for helpers, without the lock */
	bool stopping;
	uint64_t turn_tokens;		/* of the jobs in line, a batch each at most */
	double full_ns, full_tokens;	/* decayed sums over full batches; tokens 0: none yet */
	struct sutra_batcher_stats stats;
	struct sutra_histogram *times;
	struct worker *workers;		/* [threads] */
};

static uint64_t turn_of(const struct sutra_batcher *b, const struct sutra_batch_job *job)
{
	return job->tokens < b->o.max_tokens ? job->tokens : b->o.max_tokens;
}

static void enter_line(struct sutra_batcher *b, struct sutra_batch_job *job)
{
	job->next = NULL;
	*b->tail = job;
	b->tail = &job->next;
	atomic_store_explicit(&b->waiting, true, memory_order_relaxed);
	b->turn_tokens += turn_of(b, job);
}

static struct sutra_batch_job *leave_line(struct sutra_batcher *b)
{
	struct sutra_batch_job *job = b->head;

	b->head = job->next;
	if (!b->head) {
		b->tail = &b->head;
		atomic_store_explicit(&b->waiting, false, memory_order_relaxed);
	}
	b->turn_tokens -= turn_of(b, job);
	return job;
}

/* Ends one of the job's times: it was in a batch, or it was not. */
static void stamp(struct sutra_batch_job *job, uint64_t now)
{
	*(job->running ? &job->compute_ns : &job->queue_ns) += now - job->since_ns;
	job->since_ns = now;
}

/* Why the first job is not to be computed; 0: it is. */
static int fault_of(struct sutra_batcher *b, uint64_t now)
{
	struct sutra_batch_job *job = b->head;

	if (job->rc)
		return job->rc;
	if (job->deadline_ns && now >= job->deadline_ns) {
		b->stats.late++;
		return sutra_fail(&job->err, SUTRA_E_TIMEOUT,
				  "the deadline passed while %zu of %zu texts waited",
				  job->texts - job->taken, job->texts);
	}
	if (!job->gone || now - job->looked_ns < LOOK_NS)
		return 0;
	job->looked_ns = now;
	if (!job->gone(job))
		return 0;
	b->stats.gone++;
	return sutra_fail(&job->err, SUTRA_E_CLOSED, "nobody waits for the answer any more");
}

/* Takes what still waits of the first job out of the line; *complete: jobs to report. */
static void drop_first(struct sutra_batcher *b, int rc, uint64_t now, struct sutra_batch_job **complete)
{
	struct sutra_batch_job *job = leave_line(b);
	size_t rest = job->texts - job->taken;

	job->rc = rc;
	b->stats.queued -= rest;
	b->stats.queued_tokens -= job->tokens;
	job->left -= rest;
	job->taken = job->texts;
	job->tokens = 0;
	if (job->left)
		return;		/* the batch that holds the others reports it */
	stamp(job, now);
	job->next = *complete;
	*complete = job;
}

static bool fits(const struct worker *w, uint32_t length, size_t budget)
{
	return w->texts < w->batcher->o.max_texts && (!w->texts || w->tokens + length <= budget);
}

/* Takes what the budget allows of the first job; whether the batch may grow further. */
static bool take_some(struct worker *w, size_t budget, uint64_t now)
{
	struct sutra_batcher *b = w->batcher;
	struct sutra_batch_job *job = b->head;
	size_t first = job->taken, tokens = w->tokens;

	if (!fits(w, job->lengths[first], budget))
		return false;	/* it stays the first */
	leave_line(b);
	do {
		uint32_t len = job->lengths[job->taken++];

		memcpy(w->ids + w->tokens, job->ids + job->at, len * sizeof(*w->ids));
		w->lengths[w->texts++] = len;
		w->tokens += len;
		job->at += len;
	} while (job->taken < job->texts && fits(w, job->lengths[job->taken], budget));
	job->tokens -= w->tokens - tokens;
	stamp(job, now);
	job->running++;
	w->slices[w->n_slices++] = (struct slice){ job, first, job->taken - first };
	if (job->taken == job->texts)
		return true;
	enter_line(b, job);
	return false;
}

/* What a batch may hold now. */
static size_t budget_of(const struct sutra_batcher *b)
{
	size_t share = (b->stats.queued_tokens + b->stats.idle) / (b->stats.idle + 1);

	share = share > MIN_SHARE ? share : MIN_SHARE;
	return share < b->o.max_tokens ? share : b->o.max_tokens;
}

static void report(struct sutra_batch_job *complete)
{
	while (complete) {
		struct sutra_batch_job *job = complete;

		complete = job->next;
		job->done(job);
	}
}

/* Fills a batch from the line, under the lock. */
static void fill_batch(struct worker *w, struct sutra_batch_job **dropped)
{
	struct sutra_batcher *b = w->batcher;
	size_t budget = budget_of(b);
	uint64_t now = sutra_clock_ns();
	bool more = true;

	w->texts = w->tokens = w->n_slices = 0;
	while (b->head && more) {
		int rc = fault_of(b, now);

		if (rc)
			drop_first(b, rc, now, dropped);
		else
			more = take_some(w, budget, now);
	}
	b->stats.queued -= w->texts;
	b->stats.queued_tokens -= w->tokens;
	w->since_ns = w->texts ? now : 0;
}

static bool has_waiting(void *batcher)
{
	return atomic_load_explicit(&((struct sutra_batcher *)batcher)->waiting, memory_order_relaxed);
}

/* Helps with a batch that wants it, the lock given away meanwhile; false: none does. */
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
	since = w->since_ns;
	pthread_mutex_unlock(&b->lock);
	early = sutra_encoder_help(w->session, has_waiting, b);
	pthread_mutex_lock(&b->lock);
	if (early && w->since_ns == since)
		w->open = true;
	return true;
}

/* Waits for work and takes a batch; false: the end. What it finds dropped meanwhile it reports. */
static bool take_batch(struct worker *w)
{
	struct sutra_batcher *b = w->batcher;
	struct sutra_batch_job *dropped;
	bool more;

	do {
		dropped = NULL;
		pthread_mutex_lock(&b->lock);
		b->stats.idle++;
		while (!b->head && !b->stopping)
			if (!help(b))
				pthread_cond_wait(&b->filled, &b->lock);
		b->stats.idle--;
		more = b->head;		/* else it is stopping, and nothing is left */
		fill_batch(w, &dropped);
		if (b->head)	/* a submit wakes one thread, which may leave work for others */
			pthread_cond_signal(&b->filled);
		pthread_mutex_unlock(&b->lock);
		report(dropped);
	} while (more && !w->texts);	/* what there was may all have been dropped */
	return w->texts > 0;
}

/* Lets others help with the batch, which has begun. */
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
	int rc = sutra_encoder_begin(w->session, w->ids, w->lengths, w->texts, w->batcher->o.pooling,
				     w->out, err);

	if (rc)
		return rc;
	if (w->batcher->o.threads > 1 && sutra_encoder_takes_help(w->batcher->o.encoder))
		open_batch(w);
	return sutra_encoder_finish(w->session, err);
}

/* What the batch says about the speed of a thread. */
static void learn_speed(struct worker *w, uint64_t took)
{
	struct sutra_batcher *b = w->batcher;
	bool full = w->tokens >= b->o.max_tokens / 4 || w->texts == b->o.max_texts;
	double helped = sutra_encoder_session_helped(w->session);
	double ns = (double)took * (helped < 0.5 ? 1 / (1 - helped) : 2);

	if (!full && (double)w->tokens * b->full_ns <= b->full_tokens * ns)
		return;
	b->full_ns = b->full_ns * 0.875 + ns;
	b->full_tokens = b->full_tokens * 0.875 + (double)w->tokens;
}

/* Nanoseconds until so many tokens are computed; 0 while the speed is not known. */
static uint64_t time_of(const struct sutra_batcher *b, uint64_t tokens)
{
	if (b->full_tokens <= 0)
		return 0;
	return (uint64_t)((double)tokens * b->full_ns / b->full_tokens / b->o.threads);
}

/* Ends a batch for its jobs; the complete ones. */
static struct sutra_batch_job *settle(struct worker *w, int rc, const struct sutra_err *err, uint64_t now)
{
	uint64_t pooling = sutra_encoder_session_pooling_ns(w->session);
	struct sutra_batch_job *complete = NULL;

	for (size_t i = w->n_slices; i-- > 0;) {	/* the first to come is the first in the list */
		struct sutra_batch_job *job = w->slices[i].job;

		if (rc && !job->rc) {
			job->rc = rc;
			job->err = *err;
		}
		stamp(job, now);
		job->running--;
		job->pooling_ns += pooling;
		if (job->pooling_ns > job->compute_ns)	/* batches side by side share that time */
			job->pooling_ns = job->compute_ns;
		job->left -= w->slices[i].n;
		if (!job->left) {
			job->next = complete;
			complete = job;
		}
	}
	return complete;
}

/* Hands the vectors out, and reports the jobs that are complete. */
static void finish_batch(struct worker *w, int rc, const struct sutra_err *err)
{
	struct sutra_batcher *b = w->batcher;
	struct sutra_batch_job *complete;
	const float *from = w->out;
	uint64_t now, took;

	for (size_t i = 0; i < w->n_slices; i++) {
		const struct slice *s = &w->slices[i];

		if (!rc)
			memcpy(s->job->out + s->first * b->hidden, from,
			       s->n * b->hidden * sizeof(*from));
		from += s->n * b->hidden;
	}
	pthread_mutex_lock(&b->lock);
	now = sutra_clock_ns();
	took = now - w->since_ns;
	complete = settle(w, rc, err, now);
	w->since_ns = 0;
	w->open = false;
	b->stats.batches++;
	b->stats.helped += sutra_encoder_session_helped(w->session) > 0;
	b->stats.texts += w->texts;
	b->stats.tokens += w->tokens;
	b->stats.inference_ns += took;
	learn_speed(w, took);
	pthread_mutex_unlock(&b->lock);
	sutra_histogram_record(b->times, took);
	report(complete);
}

static void *run_worker(void *arg)
{
	struct worker *w = arg;
	id_t self = (id_t)gettid();
	int nice = w->batcher->o.nice;

	if (nice)	/* upwards is always allowed */
		setpriority(PRIO_PROCESS, self, getpriority(PRIO_PROCESS, self) + nice);
	while (take_batch(w)) {
		struct sutra_err err;
		int rc = run_batch(w, &err);

		finish_batch(w, rc, &err);
	}
	return NULL;
}

/* The worker's thread, on its own core where cores are given. */
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
	int rc;

	w->batcher = b;
	w->ids = sutra_calloc(most, sizeof(*w->ids));
	w->lengths = sutra_calloc(o->max_texts, sizeof(*w->lengths));
	w->out = sutra_calloc(o->max_texts * b->hidden, sizeof(*w->out));
	w->slices = sutra_calloc(o->max_texts, sizeof(*w->slices));
	if (!w->ids || !w->lengths || !w->out || !w->slices)
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
	for (unsigned i = 0; b->workers && i < b->o.threads; i++)
		if (b->workers[i].started)
			pthread_join(b->workers[i].thread, NULL);
	for (unsigned i = 0; b->workers && i < b->o.threads; i++) {	/* where no helper is any more */
		struct worker *w = &b->workers[i];

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

/* Whether a job may enter now, under the lock. Behind an empty line it always may. */
static int admit(const struct sutra_batcher *b, size_t texts, uint64_t tokens, uint64_t left_ns,
		 struct sutra_err *err)
{
	uint64_t wait = time_of(b, tokens > b->o.max_tokens ? b->stats.queued_tokens : b->turn_tokens);

	if (texts > b->o.max_queue)
		return sutra_fail(err, SUTRA_E_INVALID,
				  "%zu texts in one request; the queue (MAX_QUEUE) holds %zu", texts,
				  b->o.max_queue);
	if (b->stats.queued + texts > b->o.max_queue) {
		sutra_fail(err, SUTRA_E_BUSY,
			   "%llu texts are waiting; %zu more do not fit into MAX_QUEUE, which is %zu",
			   (unsigned long long)b->stats.queued, texts, b->o.max_queue);
	} else if (!b->stats.queued) {
		return 0;
	} else if (b->o.max_wait_ns && wait > b->o.max_wait_ns) {
		sutra_fail(err, SUTRA_E_BUSY,
			   "%llu texts are waiting; the next would wait %.1f s, above MAX_QUEUE_MS, which is %llu",
			   (unsigned long long)b->stats.queued, (double)wait / 1e9,
			   (unsigned long long)(b->o.max_wait_ns / 1000000));
	} else if (wait + time_of(b, tokens) > left_ns) {
		sutra_fail(err, SUTRA_E_BUSY,
			   "%llu texts are waiting; the answer would take %.1f s, and the request allows %.1f s",
			   (unsigned long long)b->stats.queued, (double)(wait + time_of(b, tokens)) / 1e9,
			   (double)left_ns / 1e9);
	} else {
		return 0;
	}
	return sutra_hint(err, "try again later, or with fewer texts");
}

int sutra_batcher_admits(struct sutra_batcher *b, size_t texts, struct sutra_err *err)
{
	int rc;

	pthread_mutex_lock(&b->lock);
	rc = admit(b, texts, 0, UINT64_MAX, err);
	pthread_mutex_unlock(&b->lock);
	return rc;
}

unsigned sutra_batcher_retry_s(struct sutra_batcher *b)
{
	uint64_t s;

	pthread_mutex_lock(&b->lock);
	s = (time_of(b, b->turn_tokens) + 999999999) / 1000000000;
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
	rc = admit(b, job->texts, job->tokens, left, err);
	if (!rc) {
		b->stats.queued += job->texts;
		b->stats.queued_tokens += job->tokens;
		enter_line(b, job);
	}
	pthread_mutex_unlock(&b->lock);
	if (!rc)	/* behind the lock, so that who wakes finds it free */
		pthread_cond_signal(&b->filled);
	return rc;
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
	ret->speed = b->full_ns > 0 ? (uint64_t)(b->full_tokens * 1e9 / b->full_ns * b->o.threads) : 0;
	for (unsigned i = 0; i < b->o.threads; i++)
		if (b->workers[i].since_ns && now - b->workers[i].since_ns > ret->longest_ns)
			ret->longest_ns = now - b->workers[i].since_ns;
	pthread_mutex_unlock(&b->lock);
}

const struct sutra_histogram *sutra_batcher_times(const struct sutra_batcher *b) { return b->times; }
