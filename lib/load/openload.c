#include "load/openload.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "load/ask.h"
#include "net/fetch.h"

#define LATE_NS 10000000u

enum { MAX_BUCKETS = 100000 };

struct sutra_open {
	struct sutra_open_options o;
	char url[512];
	uint64_t began_ns;
	struct sutra_fetcher *fetcher;
	pthread_t thread;
	bool has_thread;
	atomic_bool stopping;
	/* under lock */
	pthread_mutex_t lock;
	pthread_cond_t idle;
	size_t open;
	bool sending;	/* more will be sent */
	uint64_t sent_until_ns, answered_ns;
	size_t max_buckets, window_at;
	struct sutra_histogram *window;	/* of bucket window_at; NULL: no quantiles */
	struct sutra_open_result result;
};

struct request {
	struct sutra_fetch fetch;
	struct sutra_buf body;
	struct sutra_open *load;
	uint64_t due_ns, sent_ns;
};

static struct request *make_request(struct sutra_open *l);
static void send_request(struct sutra_open *l, struct request *q, uint64_t due_ns);

static struct sutra_open_bucket *bucket_at(struct sutra_open *l, uint64_t when_ns)
{
	size_t i = (size_t)((when_ns - l->began_ns) / (l->o.bucket_ms * (uint64_t)1000000));

	if (i >= l->max_buckets)
		i = l->max_buckets - 1;
	if (i >= l->result.n_buckets)
		l->result.n_buckets = i + 1;
	return &l->result.buckets[i];
}

/* The quantiles of the window go to its bucket. */
static void close_window(struct sutra_open *l)
{
	struct sutra_open_bucket *b = &l->result.buckets[l->window_at];

	if (!l->window || !sutra_histogram_count(l->window))
		return;
	b->p50_ns = sutra_histogram_quantile(l->window, 0.5);
	b->p99_ns = sutra_histogram_quantile(l->window, 0.99);
	b->max_ns = sutra_histogram_max(l->window);
	sutra_histogram_clear(l->window);
}

static void record_in_window(struct sutra_open *l, const struct sutra_open_bucket *b, uint64_t took_ns)
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

static void record(struct sutra_open *l, const struct request *q, uint64_t now)
{
	const struct sutra_fetch *f = &q->fetch;
	struct sutra_open_bucket *b = bucket_at(l, now);

	sutra_histogram_record(l->result.response, now - q->due_ns);
	sutra_histogram_record(l->result.service, now - q->sent_ns);
	record_in_window(l, b, now - q->due_ns);
	l->answered_ns = now;
	if (f->reason == SUTRA_FETCH_OK && f->status == 200) {
		l->result.ok++;
		b->ok++;
		return;
	}
	b->failed++;
	if (l->result.failed++)
		return;
	if (f->reason)
		snprintf(l->result.first_failure, sizeof(l->result.first_failure), "%s: %.180s",
			 sutra_fetch_reason_name(f->reason), f->detail);
	else
		snprintf(l->result.first_failure, sizeof(l->result.first_failure), "status %d %.180s", f->status,
			 sutra_buf_str(&f->answer));
}

/* Whether more may be sent; under lock. */
static bool wanted(struct sutra_open *l, uint64_t now)
{
	if (atomic_load(&l->stopping) || now >= l->o.deadline_ns ||
	    (l->o.span_ns && now - l->began_ns >= l->o.span_ns))
		l->sending = false;
	return l->sending;
}

static void answered(struct sutra_fetch *f)
{
	struct request *q = f->user;
	struct sutra_open *l = q->load;
	uint64_t now = sutra_clock_ns();
	struct request *next = NULL;
	bool more;

	pthread_mutex_lock(&l->lock);
	record(l, q, now);
	more = l->o.rate <= 0 && wanted(l, now) && f->reason != SUTRA_FETCH_INTERNAL;
	pthread_mutex_unlock(&l->lock);
	request_free(q);
	if (more)
		next = make_request(l);
	if (next)
		send_request(l, next, 0);
	pthread_mutex_lock(&l->lock);
	if (!--l->open && !l->sending)
		pthread_cond_broadcast(&l->idle);
	pthread_mutex_unlock(&l->lock);
}

static struct request *make_request(struct sutra_open *l)
{
	static const char *const headers[] = { "Content-Type: application/json", NULL };
	struct request *q = sutra_calloc(1, sizeof(*q));
	struct sutra_embed_request ask = { .n = 1, .dimension = l->o.dimension };
	struct sutra_buf text;
	const char *words;

	if (!q)
		return NULL;
	sutra_fetch_init(&q->fetch);
	sutra_buf_init(&q->body, 1 << 20);
	sutra_buf_init(&text, 1 << 18);
	pthread_mutex_lock(&l->lock);
	l->o.next(l->o.user, &text);
	pthread_mutex_unlock(&l->lock);
	words = sutra_buf_str(&text);
	ask.texts = &words;
	sutra_embed_body(&q->body, &ask);
	sutra_buf_release(&text);
	q->load = l;
	q->fetch.url = l->url;
	q->fetch.headers = headers;
	q->fetch.body = q->body.data;
	q->fetch.body_len = q->body.len;
	q->fetch.user = q;
	return q;
}

/* due 0: now. */
static void send_request(struct sutra_open *l, struct request *q, uint64_t due_ns)
{
	bool full;

	q->sent_ns = sutra_clock_ns();
	q->due_ns = due_ns ? due_ns : q->sent_ns;
	q->fetch.timeout_ns = sutra_clock_left(l->o.deadline_ns, q->sent_ns, l->o.timeout_ns);
	pthread_mutex_lock(&l->lock);
	full = l->o.rate > 0 && l->o.max_open && l->open >= l->o.max_open;
	l->sent_until_ns = q->sent_ns;
	if (full) {
		l->result.dropped++;
	} else {
		l->open++;
		l->result.sent++;
		l->result.late += q->sent_ns - q->due_ns > LATE_NS;
		sutra_histogram_record(l->result.lateness, q->sent_ns - q->due_ns);
		bucket_at(l, q->due_ns)->sent++;
	}
	pthread_mutex_unlock(&l->lock);
	if (full)
		request_free(q);
	else
		sutra_fetcher_submit(l->fetcher, &q->fetch, answered);
}

/* Until the instant or, to be stopped soon, at most 50 ms. */
static void sleep_until(uint64_t due_ns)
{
	uint64_t soon = sutra_clock_ns() + 50000000u;
	const struct timespec t = sutra_clock_timespec(due_ns < soon ? due_ns : soon);

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

/* A sender that waits for a processor is late. One thread that mostly sleeps may go before those
 * that compute, where that is allowed. */
static void hurry(void) { setpriority(PRIO_PROCESS, (id_t)gettid(), -10); }

static void *send_all(void *arg)
{
	struct sutra_open *l = arg;

	hurry();
	for (uint64_t i = 0; !atomic_load(&l->stopping); i++) {
		uint64_t after = (uint64_t)((double)i * 1e9 / l->o.rate), due = l->began_ns + after;
		struct request *q = NULL;

		if (l->o.span_ns && after >= l->o.span_ns)
			break;
		/* A generator that fell behind by all of the time asked for will not catch up. */
		if (l->o.span_ns && sutra_clock_ns() - l->began_ns >= l->o.span_ns + l->o.span_ns / 50)
			break;
		q = make_request(l);
		while (!atomic_load(&l->stopping) && sutra_clock_ns() < due)
			sleep_until(due);
		if (q && !atomic_load(&l->stopping)) {
			send_request(l, q, due);
		} else if (q) {
			request_free(q);
		} else {
			pthread_mutex_lock(&l->lock);
			l->result.dropped++;
			pthread_mutex_unlock(&l->lock);
		}
	}
	pthread_mutex_lock(&l->lock);
	l->sending = false;
	if (!l->open)
		pthread_cond_broadcast(&l->idle);
	pthread_mutex_unlock(&l->lock);
	return NULL;
}

static void open_free(struct sutra_open *l)
{
	sutra_fetcher_free(l->fetcher);
	sutra_histogram_free(l->window);
	pthread_cond_destroy(&l->idle);
	pthread_mutex_destroy(&l->lock);
	sutra_free(l);
}

static int init(struct sutra_open *l, struct sutra_err *err)
{
	uint64_t bucket_ns;

	l->o.bucket_ms = l->o.bucket_ms ? l->o.bucket_ms : SUTRA_OPEN_BUCKET_MS;
	bucket_ns = l->o.bucket_ms * (uint64_t)1000000;
	l->max_buckets = SUTRA_OPEN_BUCKETS;
	if (l->o.span_ns)	/* the last answers come behind it */
		l->max_buckets = (size_t)(l->o.span_ns / bucket_ns + l->o.timeout_ns / bucket_ns + 3);
	if (l->max_buckets > MAX_BUCKETS)
		l->max_buckets = MAX_BUCKETS;
	pthread_mutex_init(&l->lock, NULL);
	sutra_clock_cond_init(&l->idle);
	l->sending = true;
	l->result.asked_rate = l->o.rate;
	l->result.response = sutra_histogram_new();
	l->result.service = sutra_histogram_new();
	l->result.lateness = sutra_histogram_new();
	l->result.buckets = sutra_calloc(l->max_buckets, sizeof(*l->result.buckets));
	l->window = l->o.quantiles ? sutra_histogram_new() : NULL;
	if (!l->result.response || !l->result.service || !l->result.lateness || !l->result.buckets ||
	    (l->o.quantiles && !l->window))
		return sutra_fail(err, SUTRA_E_NOMEM, "out of memory");
	return sutra_fetcher_new(&l->fetcher, err);
}

/* Every connection's first request; the answers send the next ones. */
static void start_closed(struct sutra_open *l)
{
	for (unsigned i = 0; i < l->o.connections; i++) {
		struct request *q = make_request(l);

		if (q)
			send_request(l, q, 0);
	}
}

int sutra_open_start(const struct sutra_open_options *o, struct sutra_open **ret, struct sutra_err *err)
{
	struct sutra_open *l = sutra_calloc(1, sizeof(*l));
	int rc;

	if (!l)
		return sutra_fail(err, SUTRA_E_NOMEM, "out of memory");
	l->o = *o;
	snprintf(l->url, sizeof(l->url), "%s/embed", o->base);
	rc = init(l, err);
	l->began_ns = l->sent_until_ns = l->answered_ns = sutra_clock_ns();
	if (!rc && o->rate <= 0)
		start_closed(l);
	else if (!rc && pthread_create(&l->thread, NULL, send_all, l))
		rc = sutra_fail(err, SUTRA_E_IO, "cannot start a thread");
	else if (!rc)
		l->has_thread = true;
	if (rc) {
		sutra_open_result_release(&l->result);
		open_free(l);
		return rc;
	}
	*ret = l;
	return 0;
}

uint64_t sutra_open_answered(struct sutra_open *l)
{
	uint64_t n;

	pthread_mutex_lock(&l->lock);
	n = l->result.ok + l->result.failed;
	pthread_mutex_unlock(&l->lock);
	return n;
}

void sutra_open_retried(struct sutra_open *l, uint32_t n)
{
	pthread_mutex_lock(&l->lock);
	bucket_at(l, sutra_clock_ns())->retried += n;
	pthread_mutex_unlock(&l->lock);
}

bool sutra_open_done(struct sutra_open *l, uint64_t wait_ns)
{
	struct timespec t = sutra_clock_timespec(sutra_clock_ns() + wait_ns);
	bool done;

	pthread_mutex_lock(&l->lock);
	if (l->o.rate <= 0)	/* also when no connection is left that would find the end */
		wanted(l, sutra_clock_ns());
	while (!(done = !l->sending && !l->open))
		if (pthread_cond_timedwait(&l->idle, &l->lock, &t) == ETIMEDOUT)
			break;
	pthread_mutex_unlock(&l->lock);
	return done;
}

void sutra_open_stop(struct sutra_open *l)
{
	atomic_store(&l->stopping, true);
	pthread_mutex_lock(&l->lock);
	if (l->o.rate <= 0)
		l->sending = false;
	pthread_mutex_unlock(&l->lock);
}

void sutra_open_look(struct sutra_open *l, struct sutra_open_result *ret)
{
	pthread_mutex_lock(&l->lock);
	*ret = l->result;
	pthread_mutex_unlock(&l->lock);
}

/* Seconds the sending took: all of the schedule when all of it was sent, to its last slot's end. */
static double sending_s(const struct sutra_open *l)
{
	double took = (double)(l->sent_until_ns - l->began_ns) / 1e9, slots;

	if (l->o.rate <= 0)
		return took;
	slots = (double)(l->result.sent + l->result.dropped) / l->o.rate;
	return took > slots ? took : slots;
}

void sutra_open_finish(struct sutra_open *l, struct sutra_open_result *ret)
{
	double took;

	sutra_open_stop(l);
	if (l->has_thread)
		pthread_join(l->thread, NULL);
	pthread_mutex_lock(&l->lock);
	while (l->open)	/* every request has its time limit */
		pthread_cond_wait(&l->idle, &l->lock);
	close_window(l);
	l->result.wall_ns = l->answered_ns - l->began_ns;
	took = sending_s(l);
	pthread_mutex_unlock(&l->lock);
	*ret = l->result;
	ret->sent_rate = took > 0 ? (double)ret->sent / took : 0;
	open_free(l);
}

void sutra_open_result_release(struct sutra_open_result *r)
{
	sutra_histogram_free(r->response);
	sutra_histogram_free(r->service);
	sutra_histogram_free(r->lateness);
	sutra_free(r->buckets);
	*r = (struct sutra_open_result){ 0 };
}
