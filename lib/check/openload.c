#include "check/openload.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/jsonio.h"
#include "net/fetch.h"

#define LATE_NS 10000000u

struct sutra_open {
	struct sutra_open_options o;
	char url[512];
	uint64_t began_ns;
	struct sutra_fetcher *fetcher;
	pthread_t thread;
	atomic_bool stopping;
	/* under lock */
	pthread_mutex_t lock;
	pthread_cond_t idle;
	size_t open;
	struct sutra_open_result result;
};

struct request {
	struct sutra_fetch fetch;
	struct sutra_buf body;
	struct sutra_open *load;
	uint64_t due_ns, sent_ns;
};

static struct sutra_open_bucket *bucket_at(struct sutra_open *l, uint64_t when_ns)
{
	size_t i = (size_t)((when_ns - l->began_ns) / (SUTRA_OPEN_BUCKET_MS * 1000000u));

	if (i >= SUTRA_OPEN_BUCKETS)
		i = SUTRA_OPEN_BUCKETS - 1;
	if (i >= l->result.n_buckets)
		l->result.n_buckets = i + 1;
	return &l->result.buckets[i];
}

static void request_free(struct request *q)
{
	sutra_fetch_release(&q->fetch);
	sutra_buf_release(&q->body);
	sutra_free(q);
}

static void answered(struct sutra_fetch *f)
{
	struct request *q = f->user;
	struct sutra_open *l = q->load;
	uint64_t now = sutra_clock_ns();
	bool ok = f->reason == SUTRA_FETCH_OK && f->status == 200;

	sutra_histogram_record(l->result.response, now - q->due_ns);
	sutra_histogram_record(l->result.service, now - q->sent_ns);
	pthread_mutex_lock(&l->lock);
	if (ok) {
		l->result.ok++;
		bucket_at(l, now)->ok++;
	} else {
		if (!l->result.failed++)
			snprintf(l->result.first_failure, sizeof(l->result.first_failure), "%s%s%.180s",
				 f->reason ? sutra_fetch_reason_name(f->reason) : "status ", f->reason ? ": " : "",
				 f->reason ? f->detail : sutra_buf_str(&f->answer));
		bucket_at(l, now)->failed++;
	}
	if (!--l->open)
		pthread_cond_signal(&l->idle);
	pthread_mutex_unlock(&l->lock);
	request_free(q);
}

static struct request *make_request(struct sutra_open *l)
{
	static const char *const headers[] = { "Content-Type: application/json", NULL };
	struct request *q = sutra_calloc(1, sizeof(*q));
	struct sutra_buf text;

	if (!q)
		return NULL;
	sutra_fetch_init(&q->fetch);
	sutra_buf_init(&q->body, 1 << 20);
	sutra_buf_init(&text, 1 << 18);
	l->o.next(l->o.user, &text);
	sutra_buf_adds(&q->body, "{\"texts\":[");
	sutra_json_add_string(&q->body, sutra_buf_str(&text), text.len);
	sutra_buf_adds(&q->body, "]}");
	sutra_buf_release(&text);
	q->load = l;
	q->fetch.url = l->url;
	q->fetch.headers = headers;
	q->fetch.body = q->body.data;
	q->fetch.body_len = q->body.len;
	q->fetch.user = q;
	return q;
}

static void *send_all(void *arg)
{
	struct sutra_open *l = arg;

	for (uint64_t i = 0; !atomic_load(&l->stopping); i++) {
		uint64_t due = l->began_ns + (uint64_t)((double)i * 1e9 / l->o.rate);
		const struct timespec t = sutra_clock_timespec(due);
		struct request *q = make_request(l);

		if (!q)
			continue;	/* counted as not sent: the sent rate tells */
		while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL))
			;
		if (atomic_load(&l->stopping)) {
			request_free(q);
			break;
		}
		q->due_ns = due;
		q->sent_ns = sutra_clock_ns();
		q->fetch.timeout_ns = sutra_clock_left(l->o.deadline_ns, q->sent_ns, l->o.timeout_ns);
		pthread_mutex_lock(&l->lock);
		l->open++;
		l->result.sent++;
		l->result.late += q->sent_ns - due > LATE_NS;
		bucket_at(l, due)->sent++;
		pthread_mutex_unlock(&l->lock);
		sutra_fetcher_submit(l->fetcher, &q->fetch, answered);
	}
	return NULL;
}

static void open_free(struct sutra_open *l)
{
	sutra_fetcher_free(l->fetcher);
	pthread_cond_destroy(&l->idle);
	pthread_mutex_destroy(&l->lock);
	sutra_free(l);
}

int sutra_open_start(const struct sutra_open_options *o, struct sutra_open **ret, struct sutra_err *err)
{
	struct sutra_open *l = sutra_calloc(1, sizeof(*l));
	int rc;

	if (!l)
		return sutra_fail(err, SUTRA_E_NOMEM, "out of memory");
	l->o = *o;
	snprintf(l->url, sizeof(l->url), "%s/embed", o->base);
	pthread_mutex_init(&l->lock, NULL);
	pthread_cond_init(&l->idle, NULL);
	l->result.asked_rate = o->rate;
	l->result.response = sutra_histogram_new();
	l->result.service = sutra_histogram_new();
	l->result.buckets = sutra_calloc(SUTRA_OPEN_BUCKETS, sizeof(*l->result.buckets));
	rc = l->result.response && l->result.service && l->result.buckets ?
		     sutra_fetcher_new(&l->fetcher, err) :
		     sutra_fail(err, SUTRA_E_NOMEM, "out of memory");
	l->began_ns = sutra_clock_ns();
	if (!rc && pthread_create(&l->thread, NULL, send_all, l))
		rc = sutra_fail(err, SUTRA_E_IO, "cannot start a thread");
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

void sutra_open_finish(struct sutra_open *l, struct sutra_open_result *ret)
{
	double took;

	atomic_store(&l->stopping, true);
	pthread_join(l->thread, NULL);
	took = (double)(sutra_clock_ns() - l->began_ns) / 1e9;
	pthread_mutex_lock(&l->lock);
	while (l->open)	/* every request has its time limit */
		pthread_cond_wait(&l->idle, &l->lock);
	pthread_mutex_unlock(&l->lock);
	*ret = l->result;
	ret->sent_rate = (double)ret->sent / took;
	open_free(l);
}

void sutra_open_result_release(struct sutra_open_result *r)
{
	sutra_histogram_free(r->response);
	sutra_histogram_free(r->service);
	sutra_free(r->buckets);
	*r = (struct sutra_open_result){ 0 };
}
