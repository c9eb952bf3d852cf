/*
 * Threads. The fetcher's thread runs answered() for every transfer. In an open loop one thread more,
 * send_all, sends; in a closed one pump() sends, on the fetcher's thread and at first on that of
 * sutra_load_start. `lock` guards what stands below it in struct sutra_load. A request is submitted
 * without the lock, because the fetcher may answer (out of memory) within the call; what that answer
 * would pump is left to the pump() that runs already, so nothing recurses.
 *
 * In a closed loop that has not ended, a request is in flight: its answer pumps, or finds the end.
 */
#include "load/load.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "load/ask.h"
#include "net/fetch.h"

#define MS_NS	   1000000u
#define LATE_NS	   (10 * MS_NS)
#define TIMEOUT_NS 10000000000u

enum { MAX_BUCKETS = 100000, MAX_TEXT = 1 << 18, MAX_BODY = 1 << 20 };

struct request {
	struct sutra_fetch fetch;
	struct sutra_buf body;
	struct sutra_load *load;
	uint32_t id;		/* of the text */
	uint64_t due_ns, sent_ns;
	LIST_ENTRY(request) others;	/* in flight */
};

struct sutra_load {
	struct sutra_load_options o;
	char url[512];
	uint64_t began_ns;
	struct sutra_fetcher *fetcher;
	pthread_t thread;
	bool has_thread;
	bool exhausted;	/* `next` has no more; of the thread that sends */
	atomic_bool stopping;
	pthread_mutex_t lock;
	pthread_cond_t idle;
	LIST_HEAD(requests, request) in_flight;
	size_t open;		/* requests in flight */
	bool sending;		/* more will be sent */
	bool pumping;
	struct request *held;	/* the next one, whose text is in flight; or NULL */
	uint64_t sent_until_ns, answered_ns, good_ns;
	size_t max_buckets, window_at;
	struct sutra_histogram *window;	/* of bucket window_at; NULL: no quantiles */
	struct sutra_load_result result;
};

static struct sutra_load_bucket *bucket_at(struct sutra_load *l, uint64_t when_ns)
{
	size_t i = (size_t)((when_ns - l->began_ns) / (l->o.bucket_ms * (uint64_t)MS_NS));

	if (i >= l->max_buckets)
		i = l->max_buckets - 1;
	if (i >= l->result.n_buckets)
		l->result.n_buckets = i + 1;
	return &l->result.buckets[i];
}

/* The quantiles of the window go to its bucket. */
static void close_window(struct sutra_load *l)
{
	struct sutra_load_bucket *b = &l->result.buckets[l->window_at];

	if (!l->window || !sutra_histogram_count(l->window))
		return;
	b->p50_ns = sutra_histogram_quantile(l->window, 0.5);
	b->p99_ns = sutra_histogram_quantile(l->window, 0.99);
	b->max_ns = sutra_histogram_max(l->window);
	sutra_histogram_clear(l->window);
}

static void record_in_window(struct sutra_load *l, const struct sutra_load_bucket *b, uint64_t took_ns)
{
	size_t at = (size_t)(b - l->result.buckets);

	if (!l->window)
		return;
	if (at != l->window_at)
		close_window(l);
	l->window_at = at;
	sutra_histogram_record(l->window, took_ns);
}

static void request_free(struct request *q)
{
	sutra_fetch_release(&q->fetch);
	sutra_buf_release(&q->body);
	sutra_free(q);
}

static void record_good(struct sutra_load *l, const struct request *q, const struct sutra_embed_answer *a, uint64_t now)
{
	enum sutra_level level = a->l1 ? SUTRA_LEVEL_L1 : a->l2 ? SUTRA_LEVEL_L2 : SUTRA_LEVEL_COMPUTED;

	l->result.ok++;
	if (now - l->good_ns > l->result.longest_gap_ns)
		l->result.longest_gap_ns = now - l->good_ns;
	l->good_ns = now;
	if (!l->o.levels)
		return;
	l->result.texts[level]++;
	sutra_histogram_record(l->result.level[level], now - q->sent_ns);
}

static void record_failure(struct sutra_load *l, const struct sutra_fetch *f, const struct sutra_err *err)
{
	char *words = l->result.first_failure;
	size_t size = sizeof(l->result.first_failure);

	if (l->result.failed++)
		return;
	if (f->reason)
		snprintf(words, size, "%s: %.180s", sutra_fetch_reason_name(f->reason), f->detail);
	else if (f->status != 200)
		snprintf(words, size, "status %d %.180s", f->status, sutra_buf_str(&f->answer));
	else
		snprintf(words, size, "%.250s", err->message);
}

/* Whether more may be sent. A request's time is counted in whole milliseconds: in the last one before
 * the deadline none begins. */
static bool wanted(struct sutra_load *l, uint64_t now)
{
	if (atomic_load(&l->stopping) || l->exhausted || now + MS_NS >= l->o.deadline_ns ||
	    (l->o.rate <= 0 && l->o.span_ns && now - l->began_ns >= l->o.span_ns))
		l->sending = false;
	return l->sending;
}

/* NULL: no more texts, which `exhausted` says, or no memory. */
static struct request *make_request(struct sutra_load *l)
{
	struct request *q = sutra_calloc(1, sizeof(*q));
	struct sutra_embed_request ask = { .n = 1, .dimension = l->o.dimension };
	struct sutra_buf text;
	const char *words;

	if (!q)
		return NULL;
	sutra_fetch_init(&q->fetch);
	sutra_buf_init(&q->body, MAX_BODY);
	sutra_buf_init(&text, MAX_TEXT);
	l->exhausted = !l->o.next(l->o.user, &text, &q->id);
	words = sutra_buf_str(&text);
	ask.texts = &words;
	sutra_embed_body(&q->body, &ask);
	sutra_buf_release(&text);
	if (l->exhausted) {
		request_free(q);
		return NULL;
	}
	q->load = l;
	q->fetch.url = l->url;
	q->fetch.body = q->body.data;
	q->fetch.body_len = q->body.len;
	q->fetch.user = q;
	return q;
}

/* Counts q as sent now; under the lock. */
static void put_in_flight(struct sutra_load *l, struct request *q, uint64_t due_ns, uint64_t now)
{
	q->sent_ns = l->sent_until_ns = now;
	q->due_ns = due_ns;
	q->fetch.timeout_ns = sutra_clock_left(l->o.deadline_ns, now, l->o.timeout_ns);
	LIST_INSERT_HEAD(&l->in_flight, q, others);
	l->open++;
	l->result.sent++;
	l->result.late += now - due_ns > LATE_NS;
	sutra_histogram_record(l->result.lateness, now - due_ns);
	bucket_at(l, due_ns)->sent++;
}

static bool is_in_flight(const struct sutra_load *l, uint32_t id)
{
	const struct request *q;

	LIST_FOREACH(q, &l->in_flight, others)
		if (q->id == id)
			return true;
	return false;
}

/* The next request of a closed loop; NULL: none may be sent now. Under the lock. */
static struct request *take_next(struct sutra_load *l)
{
	uint64_t now = sutra_clock_ns();
	struct request *q;

	if (!wanted(l, now) || l->open >= l->o.connections)
		return NULL;
	q = l->held = l->held ? l->held : make_request(l);
	if (!q) {
		l->result.dropped += !l->exhausted;
		l->sending = !l->exhausted && l->open;
	}
	if (!q || (l->o.levels && is_in_flight(l, q->id)))
		return NULL;
	l->held = NULL;
	put_in_flight(l, q, now, now);
	return q;
}

static void answered(struct sutra_fetch *f);

/* Sends what a closed loop may send now, and notices its end. Under the lock, which it releases to submit. */
static void pump(struct sutra_load *l)
{
	struct request *q;

	if (l->pumping)
		return;
	l->pumping = true;
	while ((q = take_next(l))) {
		pthread_mutex_unlock(&l->lock);
		sutra_fetcher_submit(l->fetcher, &q->fetch, answered);
		pthread_mutex_lock(&l->lock);
	}
	l->pumping = false;
}

static void answered(struct sutra_fetch *f)
{
	struct request *q = f->user;
	struct sutra_load *l = q->load;
	struct sutra_embed_answer a = { 0 };
	uint64_t now = sutra_clock_ns();
	struct sutra_load_bucket *b;
	struct sutra_err err;
	bool good = f->reason == SUTRA_FETCH_OK && f->status == 200 &&
		    (!l->o.levels || !sutra_embed_parse(sutra_buf_str(&f->answer), f->answer.len, &a, &err));

	pthread_mutex_lock(&l->lock);
	b = bucket_at(l, now);
	sutra_histogram_record(l->result.response, now - q->due_ns);
	sutra_histogram_record(l->result.service, now - q->sent_ns);
	record_in_window(l, b, now - q->due_ns);
	l->answered_ns = now;
	b->ok += good;
	b->failed += !good;
	if (good)
		record_good(l, q, &a, now);
	else
		record_failure(l, f, &err);
	LIST_REMOVE(q, others);
	l->open--;
	if (l->o.rate <= 0) {
		/* A failure on our side (no memory, no descriptor) ends the connection; the last one ends the load. */
		if (f->reason == SUTRA_FETCH_INTERNAL && !--l->o.connections)
			l->sending = false;
		pump(l);
	}
	if (!l->open && !l->sending)
		pthread_cond_broadcast(&l->idle);
	pthread_mutex_unlock(&l->lock);
	sutra_embed_release(&a);
	request_free(q);
}

/* Sleeps until due_ns, at most 50 ms so that a stop is noticed. */
static void sleep_until(uint64_t due_ns)
{
	uint64_t soon = sutra_clock_ns() + 50 * MS_NS;
	const struct timespec t = sutra_clock_timespec(due_ns < soon ? due_ns : soon);

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

/* Sends q, or drops it; a NULL q counts as dropped. False: nothing more is wanted. */
static bool send_due(struct sutra_load *l, struct request *q, uint64_t due_ns)
{
	uint64_t now = sutra_clock_ns();
	bool more, full;

	pthread_mutex_lock(&l->lock);
	more = wanted(l, now);
	full = !q || (l->o.max_open && l->open >= l->o.max_open);
	if (more && full) {
		l->sent_until_ns = now;
		l->result.dropped++;
	} else if (more) {
		put_in_flight(l, q, due_ns, now);
	}
	pthread_mutex_unlock(&l->lock);
	if (more && !full)
		sutra_fetcher_submit(l->fetcher, &q->fetch, answered);
	else if (q)
		request_free(q);
	return more;
}

static void *send_all(void *arg)
{
	struct sutra_load *l = arg;
	uint64_t due = l->began_ns, span = l->o.span_ns ? l->o.span_ns : UINT64_MAX;
	bool more = true;

	/* A sender that waits for a processor is late. This thread mostly sleeps, so a higher priority, where
	 * that is allowed, takes little from those that compute. */
	setpriority(PRIO_PROCESS, (id_t)gettid(), -10);
	/* A generator that is behind when the span is over will not catch up. */
	for (uint64_t i = 1; more && due - l->began_ns < span &&
			     (span == UINT64_MAX || sutra_clock_ns() - l->began_ns < span + span / 50); i++) {
		struct request *q = make_request(l);

		while (!atomic_load(&l->stopping) && sutra_clock_ns() < due)
			sleep_until(due);
		more = send_due(l, q, due);
		due = l->began_ns + (uint64_t)((double)i * 1e9 / l->o.rate);
	}
	pthread_mutex_lock(&l->lock);
	l->sending = false;
	if (!l->open)
		pthread_cond_broadcast(&l->idle);
	pthread_mutex_unlock(&l->lock);
	return NULL;
}

static void load_free(struct sutra_load *l)
{
	sutra_fetcher_free(l->fetcher);
	if (l->held)
		request_free(l->held);
	sutra_histogram_free(l->window);
	pthread_cond_destroy(&l->idle);
	pthread_mutex_destroy(&l->lock);
	sutra_free(l);
}

static int init_result(struct sutra_load *l, struct sutra_err *err)
{
	struct sutra_load_result *r = &l->result;
	struct sutra_histogram **all[] = { &r->response, &r->service,  &r->lateness, &l->window,
					   &r->level[0], &r->level[1], &r->level[2] };
	bool made = (r->buckets = sutra_calloc(l->max_buckets, sizeof(*r->buckets)));

	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		if (i < 3 || (i == 3 ? l->o.quantiles : l->o.levels))
			made = (*all[i] = sutra_histogram_new()) && made;
	r->asked_rate = l->o.rate;
	return made ? 0 : sutra_fail(err, SUTRA_E_NOMEM, "out of memory for the load's figures");
}

static int init(struct sutra_load *l, const struct sutra_load_options *o, struct sutra_err *err)
{
	uint64_t bucket_ns;
	int rc;

	l->o = *o;
	l->o.bucket_ms = o->bucket_ms ? o->bucket_ms : SUTRA_LOAD_BUCKET_MS;
	l->o.timeout_ns = o->timeout_ns ? o->timeout_ns : TIMEOUT_NS;
	l->o.deadline_ns = o->deadline_ns ? o->deadline_ns : UINT64_MAX;
	l->o.connections = o->connections ? o->connections : 1;
	bucket_ns = l->o.bucket_ms * (uint64_t)MS_NS;
	l->max_buckets = SUTRA_LOAD_BUCKETS;
	if (o->span_ns)	/* the last answers come after it */
		l->max_buckets = (size_t)(o->span_ns / bucket_ns + l->o.timeout_ns / bucket_ns + 3);
	if (l->max_buckets > MAX_BUCKETS)
		l->max_buckets = MAX_BUCKETS;
	snprintf(l->url, sizeof(l->url), "%s/embed", o->base);
	pthread_mutex_init(&l->lock, NULL);
	sutra_clock_cond_init(&l->idle);
	LIST_INIT(&l->in_flight);
	l->sending = true;
	rc = init_result(l, err);
	return rc ? rc : sutra_fetcher_new(&l->fetcher, err);
}

int sutra_load_start(const struct sutra_load_options *o, struct sutra_load **ret, struct sutra_err *err)
{
	struct sutra_load *l = sutra_calloc(1, sizeof(*l));
	int rc;

	if (!l)
		return sutra_fail(err, SUTRA_E_NOMEM, "out of memory for the load");
	rc = init(l, o, err);
	l->began_ns = l->sent_until_ns = l->answered_ns = l->good_ns = sutra_clock_ns();
	if (!rc && o->rate > 0) {
		l->has_thread = !pthread_create(&l->thread, NULL, send_all, l);
		rc = l->has_thread ? 0 : sutra_fail(err, SUTRA_E_IO, "cannot start a thread");
	} else if (!rc) {
		pthread_mutex_lock(&l->lock);
		pump(l);
		pthread_mutex_unlock(&l->lock);
	}
	if (rc) {
		sutra_load_result_release(&l->result);
		load_free(l);
		return rc;
	}
	*ret = l;
	return 0;
}

uint64_t sutra_load_answered(struct sutra_load *l)
{
	uint64_t n;

	pthread_mutex_lock(&l->lock);
	n = l->result.ok + l->result.failed;
	pthread_mutex_unlock(&l->lock);
	return n;
}

void sutra_load_retried(struct sutra_load *l, uint32_t n)
{
	pthread_mutex_lock(&l->lock);
	bucket_at(l, sutra_clock_ns())->retried += n;
	pthread_mutex_unlock(&l->lock);
}

bool sutra_load_done(struct sutra_load *l, uint64_t wait_ns)
{
	struct timespec t = sutra_clock_timespec(sutra_clock_ns() + wait_ns);
	bool done;

	pthread_mutex_lock(&l->lock);
	while (!(done = !l->sending && !l->open))
		if (pthread_cond_timedwait(&l->idle, &l->lock, &t) == ETIMEDOUT)
			break;
	pthread_mutex_unlock(&l->lock);
	return done;
}

void sutra_load_stop(struct sutra_load *l) { atomic_store(&l->stopping, true); }

void sutra_load_look(struct sutra_load *l, struct sutra_load_result *ret)
{
	pthread_mutex_lock(&l->lock);
	*ret = l->result;
	pthread_mutex_unlock(&l->lock);
}

/* Seconds that sending took; of an open loop at least its schedule, to the end of the last slot. */
static double sending_s(const struct sutra_load *l)
{
	double took = (double)(l->sent_until_ns - l->began_ns) / 1e9, slots;

	if (l->o.rate <= 0)
		return took;
	slots = (double)(l->result.sent + l->result.dropped) / l->o.rate;
	return took > slots ? took : slots;
}

void sutra_load_finish(struct sutra_load *l, struct sutra_load_result *ret)
{
	double took;

	pthread_mutex_lock(&l->lock);
	while (l->sending || l->open)	/* every request has its time limit */
		pthread_cond_wait(&l->idle, &l->lock);
	close_window(l);
	l->result.wall_ns = l->answered_ns - l->began_ns;
	took = sending_s(l);
	pthread_mutex_unlock(&l->lock);
	if (l->has_thread)
		pthread_join(l->thread, NULL);
	*ret = l->result;
	ret->sent_rate = took > 0 ? (double)ret->sent / took : 0;
	load_free(l);
}

void sutra_load_result_release(struct sutra_load_result *r)
{
	sutra_histogram_free(r->response);
	sutra_histogram_free(r->service);
	sutra_histogram_free(r->lateness);
	for (int i = 0; i < SUTRA_LEVELS; i++)
		sutra_histogram_free(r->level[i]);
	sutra_free(r->buckets);
	*r = (struct sutra_load_result){ 0 };
}
