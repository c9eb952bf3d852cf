/*
 * Threads. The fetcher's thread runs answered() for every transfer, which records it, gives its
 * slot back and calls pump(); sutra_load_start calls pump() once on its caller's thread. `lock`
 * guards everything in struct sutra_load but the atomics; requests are submitted after it is
 * given back, because the fetcher may answer (out of memory) within the call.
 */
#include "load/load.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "load/ask.h"
#include "net/fetch.h"

#define DEFAULT_TIMEOUT_NS 10000000000u

enum { MAX_PARALLEL = 64, MAX_TEXT = 64 << 10, MAX_URL = 512 };

struct slot {
	struct sutra_fetch fetch;
	struct sutra_load *load;
	struct sutra_buf body;
	uint32_t id;
	uint64_t started_ns;
	bool busy;
};

struct sutra_load {
	struct sutra_load_options o;
	char url[MAX_URL];
	struct sutra_fetcher *fetcher;
	pthread_mutex_t lock;
	pthread_cond_t idle;
	struct slot slots[MAX_PARALLEL];
	unsigned open;
	bool ended, have_next;
	uint32_t next_id;
	struct sutra_buf next_text;
	uint64_t started_ns, last_good_ns;
	struct sutra_load_result result;
	atomic_bool stopped;
	atomic_ullong answered;
};

static void answered(struct sutra_fetch *f);

static bool under_way(const struct sutra_load *l, uint32_t id)
{
	for (unsigned i = 0; i < l->o.parallel; i++)
		if (l->slots[i].busy && l->slots[i].id == id)
			return true;
	return false;
}

static struct slot *fill_slot(struct sutra_load *l)
{
	struct slot *s = l->slots;
	const char *text = sutra_buf_str(&l->next_text);
	struct sutra_embed_request q = { .texts = &text, .n = 1, .dimension = l->o.dimension };

	while (s->busy)
		s++;
	sutra_buf_clear(&s->body);
	sutra_embed_body(&s->body, &q);
	s->id = l->next_id;
	s->busy = true;
	s->fetch.url = l->url;
	s->fetch.body = s->body.data;
	s->fetch.body_len = s->body.len;
	s->started_ns = sutra_clock_ns();
	s->fetch.timeout_ns = sutra_clock_left(l->o.deadline_ns, s->started_ns, l->o.timeout_ns);
	l->have_next = false;
	l->result.sent++;
	if (++l->open > l->result.most_open)
		l->result.most_open = l->open;
	return s;
}

/* Starts what may be started now. */
static void pump(struct sutra_load *l)
{
	struct slot *start[MAX_PARALLEL];
	unsigned n = 0;

	pthread_mutex_lock(&l->lock);
	while (l->open < l->o.parallel) {
		/* a request's time is counted in whole milliseconds: in the last one none begins */
		if (atomic_load(&l->stopped) || sutra_clock_ns() + 1000000 >= l->o.deadline_ns)
			l->ended = true;
		if (!l->ended && !l->have_next) {
			sutra_buf_clear(&l->next_text);
			l->have_next = l->o.next(l->o.user, &l->next_text, &l->next_id);
			l->ended = !l->have_next;
		}
		if (l->ended || under_way(l, l->next_id))
			break;
		start[n++] = fill_slot(l);
	}
	if (l->ended && !l->open)
		pthread_cond_signal(&l->idle);
	pthread_mutex_unlock(&l->lock);
	for (unsigned i = 0; i < n; i++)
		sutra_fetcher_submit(l->fetcher, &start[i]->fetch, answered);
}

static void record_good(struct sutra_load *l, const struct sutra_embed_answer *a, uint64_t took,
			uint64_t now)
{
	enum sutra_level level = a->l1 ? SUTRA_LEVEL_L1 : a->l2 ? SUTRA_LEVEL_L2 : SUTRA_LEVEL_COMPUTED;

	l->result.texts[level]++;
	l->result.answer_bytes += a->body_bytes;
	sutra_histogram_record(l->result.all, took);
	sutra_histogram_record(l->result.level[level], took);
	if (now - l->last_good_ns > l->result.longest_gap_ns)
		l->result.longest_gap_ns = now - l->last_good_ns;
	l->last_good_ns = now;
}

static void record_failure(struct sutra_load *l, const struct sutra_fetch *f,
			   const struct sutra_err *err)
{
	if (l->result.failed++)
		return;
	if (f->reason != SUTRA_FETCH_OK)
		snprintf(l->result.first_failure, sizeof(l->result.first_failure), "%s: %.200s",
			 sutra_fetch_reason_name(f->reason), f->detail);
	else if (f->status != 200)
		snprintf(l->result.first_failure, sizeof(l->result.first_failure), "%d %.200s", f->status,
			 sutra_buf_str(&f->answer));
	else
		snprintf(l->result.first_failure, sizeof(l->result.first_failure), "%.250s", err->message);
}

static void answered(struct sutra_fetch *f)
{
	struct slot *s = f->user;
	struct sutra_load *l = s->load;
	struct sutra_embed_answer a = { 0 };
	uint64_t now = sutra_clock_ns();
	struct sutra_err err;
	bool good = f->reason == SUTRA_FETCH_OK && f->status == 200 &&
		    !sutra_embed_parse(sutra_buf_str(&f->answer), f->answer.len, &a, &err);

	pthread_mutex_lock(&l->lock);
	if (good)
		record_good(l, &a, now - s->started_ns, now);
	else
		record_failure(l, f, &err);
	l->result.wall_ns = now - l->started_ns;
	s->busy = false;
	l->open--;
	atomic_fetch_add(&l->answered, 1);
	pthread_mutex_unlock(&l->lock);
	sutra_embed_release(&a);
	pump(l);
}

static void destroy(struct sutra_load *l)
{
	if (l->fetcher)
		sutra_fetcher_free(l->fetcher);
	for (unsigned i = 0; i < MAX_PARALLEL; i++) {
		sutra_fetch_release(&l->slots[i].fetch);
		sutra_buf_release(&l->slots[i].body);
	}
	sutra_buf_release(&l->next_text);
	pthread_cond_destroy(&l->idle);
	pthread_mutex_destroy(&l->lock);
	sutra_free(l);
}

static int init(struct sutra_load *l, struct sutra_err *err)
{
	sutra_clock_cond_init(&l->idle);
	pthread_mutex_init(&l->lock, NULL);
	snprintf(l->url, sizeof(l->url), "%s/embed", l->o.base);
	sutra_buf_init(&l->next_text, MAX_TEXT);
	for (unsigned i = 0; i < MAX_PARALLEL; i++) {
		sutra_fetch_init(&l->slots[i].fetch);
		sutra_buf_init(&l->slots[i].body, 8 * MAX_TEXT);
		l->slots[i].fetch.user = &l->slots[i];
		l->slots[i].load = l;
	}
	l->result.all = sutra_histogram_new();
	for (int i = 0; i < SUTRA_LEVELS; i++)
		l->result.level[i] = sutra_histogram_new();
	if (!l->result.all || !l->result.level[0] || !l->result.level[1] || !l->result.level[2])
		return sutra_fail(err, SUTRA_E_NOMEM, "out of memory for the load's figures");
	return sutra_fetcher_new(&l->fetcher, err);
}

int sutra_load_start(const struct sutra_load_options *o, struct sutra_load **ret,
		     struct sutra_err *err)
{
	struct sutra_load *l = sutra_calloc(1, sizeof(*l));
	int rc;

	if (!l)
		return sutra_fail(err, SUTRA_E_NOMEM, "out of memory for the load");
	l->o = *o;
	l->o.timeout_ns = o->timeout_ns ? o->timeout_ns : DEFAULT_TIMEOUT_NS;
	l->o.deadline_ns = o->deadline_ns ? o->deadline_ns : UINT64_MAX;
	l->o.parallel = o->parallel < 1 ? 1 : o->parallel > MAX_PARALLEL ? MAX_PARALLEL : o->parallel;
	rc = init(l, err);
	if (rc) {
		sutra_load_result_release(&l->result);
		destroy(l);
		return rc;
	}
	l->started_ns = l->last_good_ns = sutra_clock_ns();
	pump(l);
	*ret = l;
	return 0;
}

uint64_t sutra_load_answered(const struct sutra_load *l) { return atomic_load(&l->answered); }
void sutra_load_stop(struct sutra_load *l) { atomic_store(&l->stopped, true); }

bool sutra_load_done(struct sutra_load *l, uint64_t wait_ns)
{
	uint64_t until = sutra_clock_ns() + wait_ns;
	struct timespec t = sutra_clock_timespec(until);
	bool done;

	pthread_mutex_lock(&l->lock);
	while (!(done = l->ended && !l->open))
		if (pthread_cond_timedwait(&l->idle, &l->lock, &t) == ETIMEDOUT)
			break;
	done = l->ended && !l->open;
	pthread_mutex_unlock(&l->lock);
	return done;
}

void sutra_load_finish(struct sutra_load *l, struct sutra_load_result *ret)
{
	while (!sutra_load_done(l, 1000000000u))
		;
	*ret = l->result;
	destroy(l);
}

void sutra_load_result_release(struct sutra_load_result *r)
{
	sutra_histogram_free(r->all);
	for (int i = 0; i < SUTRA_LEVELS; i++)
		sutra_histogram_free(r->level[i]);
	*r = (struct sutra_load_result){ 0 };
}
