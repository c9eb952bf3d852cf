/*
 * A job is one text that is looked up or computed: its key, its waiters (request and place) and the stage it
 * is in. Jobs are in a hash table under one lock, `lock`, from the first miss to the answer; the same lock
 * guards the queue of jobs that wait for an upstream request. No lock is held while done() runs, while L1's
 * shard locks are taken, or while L2 or upstream is called.
 *
 *	miss in L1 -> new job (or joined to one: "coalesced") -> L2 -> upstream queue -> upstream
 *
 * The job borrows the text of the request that made it. That request is answered only after all its jobs
 * are, so the text outlives the job.
 *
 * A job's deadline is the latest of its waiters'. A job whose deadline passes in the queue is not sent. One
 * that upstream gave up is queued again if a waiter with a later deadline has joined meanwhile.
 *
 * Upstream requests are not delayed to grow: while fewer than upstream_parallel run, a new one starts at
 * once; beyond that, texts queue, and each answer lets up to 64 of them go together.
 */
#include "cache/cache.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "cache/cache_private.h"

enum {
	DEFAULT_PARALLEL = 6,
	MAX_BATCH_BYTES = 2 << 20,	/* of texts in one upstream request; one text may be larger */
	MAX_JOBS = 262144,	/* beyond, a text is SUTRA_E_BUSY (HTTP 429) */
};

static void count(struct sutra_cache *c, int metric, long long n)
{
	sutra_metric_add(&c->metrics[metric], n);
}

int sutra_cache_new(const struct sutra_cache_options *o, struct sutra_cache **ret, struct sutra_err *err)
{
	struct sutra_cache *c = sutra_alloc_aligned(64, sizeof(*c));
	int rc;

	if (!c)
		return sutra_fail(err, SUTRA_E_NOMEM, "out of memory for the cache");
	memset(c, 0, sizeof(*c));
	c->o = *o;
	c->o.upstream_parallel = o->upstream_parallel ? o->upstream_parallel : DEFAULT_PARALLEL;
	c->queue_tail = &c->queue;
	pthread_mutex_init(&c->lock, NULL);
	pthread_mutex_init(&c->history.lock, NULL);
	c->l1_times = sutra_histogram_new();
	c->l2_times = sutra_histogram_new();
	rc = c->l1_times && c->l2_times ? sutra_l1_new(o->l1_entries, &c->l1, err) :
					  sutra_fail(err, SUTRA_E_NOMEM, "out of memory for the cache");
	if (!rc && o->enabled && o->l2_host) {
		struct sutra_store_client_options l2 = { .host = o->l2_host,
							 .port = o->l2_port,
							 .timeout_ns = o->l2_timeout_ns };

		snprintf(c->shard, sizeof(c->shard), "%s:%d", o->l2_host, o->l2_port);
		rc = sutra_store_client_new(&l2, &c->l2, err);
	}
	if (rc) {
		sutra_cache_free(c);
		return rc;
	}
	*ret = c;
	return 0;
}

void sutra_cache_free(struct sutra_cache *c)
{
	if (!c)
		return;
	sutra_store_client_free(c->l2);
	sutra_l1_free(c->l1);
	sutra_histogram_free(c->l1_times);
	sutra_histogram_free(c->l2_times);
	pthread_mutex_destroy(&c->history.lock);
	pthread_mutex_destroy(&c->lock);
	sutra_free(c);
}

/* Sets the answer of one text; the last one calls the request's done. */
static void answer_text(struct sutra_cache_request *r, size_t at, struct sutra_vector *v,
		 enum sutra_cache_source source, const struct sutra_err *err)
{
	static pthread_mutex_t err_lock = PTHREAD_MUTEX_INITIALIZER;

	r->vectors[at] = v ? sutra_vector_ref(v) : NULL;
	r->sources[at] = source;
	if (!v) {
		pthread_mutex_lock(&err_lock);
		if (!r->err.code)
			r->err = *err;
		pthread_mutex_unlock(&err_lock);
	}
	if (atomic_fetch_sub(&r->pending, 1) == 1)
		r->done(r);
}

static struct job **job_slot(struct sutra_cache *c, const struct sutra_cache_key *k)
{
	return &c->slots[sutra_cache_key_hash(k) % JOB_SLOTS];
}

static bool is_later(uint64_t deadline_ns, uint64_t than_ns)
{
	return than_ns && (!deadline_ns || deadline_ns > than_ns);
}

/* Under the lock: takes the job out of the table, so that no request can join it. */
static void close_job(struct sutra_cache *c, struct job *f)
{
	struct job **at = job_slot(c, &f->key);

	while (*at != f)
		at = &(*at)->next_slot;
	*at = f->next_slot;
}

/* Answers all waiters of a closed job, and frees it. */
static void answer_job(struct sutra_cache *c, struct job *f, struct sutra_vector *v,
			  enum sutra_cache_source source, const struct sutra_err *err)
{
	struct waiter *w, *next;

	count(c, M_JOBS, -1);
	for (w = f->more; w; w = next) {
		next = w->next;
		answer_text(w->request, w->at, v, source, err);
		sutra_free(w);
	}
	answer_text(f->first.request, f->first.at, v, source, err);
	sutra_free(f);
}

static void finish_job(struct sutra_cache *c, struct job *f, struct sutra_vector *v,
			enum sutra_cache_source source, const struct sutra_err *err)
{
	if (v && c->o.enabled)
		sutra_l1_put(c->l1, v);
	pthread_mutex_lock(&c->lock);
	close_job(c, f);
	pthread_mutex_unlock(&c->lock);
	answer_job(c, f, v, source, err);
}

static void start_upstream(struct sutra_cache *c);

struct upstream_call {
	struct sutra_upstream_batch batch;
	struct sutra_cache *cache;
	struct job *jobs[SUTRA_CACHE_BATCH];
};

static void queue_jobs(struct sutra_cache *c, struct job *list);

/* The batch ran into its deadline: jobs that a waiter with a later deadline has joined are queued again. */
static void upstream_late(struct upstream_call *call)
{
	struct sutra_cache *c = call->cache;
	struct job *again = NULL;

	for (size_t i = 0; i < call->batch.n; i++) {
		struct job *f = call->jobs[i];
		bool later;

		pthread_mutex_lock(&c->lock);
		later = is_later(f->deadline_ns, call->batch.deadline_ns);
		if (!later)
			close_job(c, f);
		pthread_mutex_unlock(&c->lock);
		if (later) {
			f->next_queued = again;
			again = f;
		} else {
			answer_job(c, f, NULL, SUTRA_FROM_MODEL, &call->batch.err);
		}
	}
	queue_jobs(c, again);
	sutra_free(call);
}

static void upstream_done(struct sutra_upstream_batch *b)
{
	struct upstream_call *call = (struct upstream_call *)b;
	struct sutra_cache *c = call->cache;
	uint64_t expires = sutra_clock_ns() + c->o.ttl_seconds * 1000000000u;
	struct sutra_err none;

	sutra_fail(&none, SUTRA_E_NOMEM, "out of memory for a vector");
	/* Before the answers, so that the next request starts meanwhile. */
	pthread_mutex_lock(&c->lock);
	c->upstream_running--;
	pthread_mutex_unlock(&c->lock);
	start_upstream(c);
	if (b->err.code == SUTRA_E_TIMEOUT) {
		upstream_late(call);
		return;
	}
	for (size_t i = 0; i < b->n; i++) {
		struct job *f = call->jobs[i];
		struct sutra_cache_key key = f->key;
		struct sutra_vector *v = NULL;
		char model[sizeof(f->model)];
		bool foreign = *b->fingerprint && strcmp(f->key.fingerprint, b->fingerprint) != 0;

		memcpy(model, f->model, sizeof(model));
		if (foreign)
			sutra_cache_key_make(b->fingerprint, c->o.dimension, f->text, f->length, &key);
		if (!b->err.code) {
			v = sutra_vector_new(&key, b->rows + i * c->o.dimension, c->o.dimension, b->tokens[i],
					     b->truncated[i], expires);
			count(c, M_MISSES, 1);
		}
		finish_job(c, f, v, SUTRA_FROM_MODEL, b->err.code ? &b->err : &none);
		if (v && !foreign)	/* the shard needs the model's name, which is unknown for another one */
			sutra_cache_l2_write(c, v, model);
		sutra_vector_unref(v);
	}
	sutra_free(call);
}

/* Answers closed jobs (a list by next_queued) whose deadline passed in the queue. */
static void answer_late(struct sutra_cache *c, struct job *late)
{
	struct sutra_err err;

	sutra_fail(&err, SUTRA_E_TIMEOUT, "the deadline passed while the text waited for ml-base");
	for (struct job *next; late; late = next) {
		next = late->next_queued;
		count(c, M_LATE, 1);
		answer_job(c, late, NULL, SUTRA_FROM_MODEL, &err);
	}
}

/* Takes up to a batch off the queue, if another request may start. */
static struct upstream_call *next_call(struct sutra_cache *c)
{
	struct upstream_call *call = sutra_calloc(1, sizeof(*call));
	struct job *late = NULL;
	uint64_t now = sutra_clock_ns();
	size_t bytes = 0;

	if (!call)
		return NULL;	/* the queue is tried again with the next job or answer */
	pthread_mutex_lock(&c->lock);
	while (c->queue && c->upstream_running < c->o.upstream_parallel &&
	       call->batch.n < SUTRA_CACHE_BATCH) {
		struct job *f = c->queue;

		/* A huge text goes alone: texts of other requests must not share its refusal. */
		if (call->batch.n && bytes + f->length > MAX_BATCH_BYTES)
			break;
		c->queue = f->next_queued;
		if (!c->queue)
			c->queue_tail = &c->queue;
		if (f->deadline_ns && now >= f->deadline_ns) {
			close_job(c, f);
			f->next_queued = late;
			late = f;
			continue;
		}
		bytes += f->length;
		if (!call->batch.n || is_later(f->deadline_ns, call->batch.deadline_ns))
			call->batch.deadline_ns = f->deadline_ns;
		if (!call->batch.trace_parent)
			call->batch.trace_parent = f->first.request->trace_parent;
		call->jobs[call->batch.n] = f;
		call->batch.texts[call->batch.n] = f->text;
		call->batch.lengths[call->batch.n++] = f->length;
	}
	c->upstream_running += call->batch.n > 0;
	pthread_mutex_unlock(&c->lock);
	answer_late(c, late);
	if (!call->batch.n) {
		sutra_free(call);
		return NULL;
	}
	call->cache = c;
	call->batch.done = upstream_done;
	return call;
}

/* An upstream that fails within its call leads here again, once for every batch in the queue; that call
 * returns, and the loop that runs already goes on. */
static void start_upstream(struct sutra_cache *c)
{
	static _Thread_local const struct sutra_cache *starting;
	struct upstream_call *call;

	if (starting == c)
		return;
	starting = c;
	while ((call = next_call(c))) {
		count(c, M_UPSTREAM, 1);
		c->o.upstream(c->o.ctx, &call->batch);
	}
	starting = NULL;
}

/* Appends a list of jobs (by next_queued) to the upstream queue. */
static void queue_jobs(struct sutra_cache *c, struct job *list)
{
	struct job **end = &list;

	if (!list)
		return;
	while (*end)
		end = &(*end)->next_queued;
	pthread_mutex_lock(&c->lock);
	*c->queue_tail = list;
	c->queue_tail = end;
	pthread_mutex_unlock(&c->lock);
	start_upstream(c);
}

struct l2_call {
	struct sutra_cache *cache;
	uint64_t began_ns;
	size_t n;
	struct job *jobs[];
};

static void l2_done(void *user, int code, const struct sutra_message *answer)
{
	struct l2_call *call = user;
	struct sutra_cache *c = call->cache;
	struct job *missing = NULL, **end = &missing;

	if (code)
		count(c, M_L2_ERRORS, 1);
	else
		sutra_histogram_record(c->l2_times, sutra_clock_ns() - call->began_ns);
	for (size_t i = 0; i < call->n; i++) {
		struct sutra_vector *v =
			code ? NULL : sutra_cache_l2_read(c, &call->jobs[i]->key, &answer->concepts[i]);

		if (v) {
			count(c, M_L2_HITS, 1);
			finish_job(c, call->jobs[i], v, SUTRA_FROM_L2, NULL);
			sutra_vector_unref(v);
		} else {
			count(c, M_L2_MISSES, 1);
			*end = call->jobs[i];
			end = &call->jobs[i]->next_queued;
		}
	}
	queue_jobs(c, missing);
	sutra_free(call);
}

/* Looks new jobs (a list by next_queued) up in L2, or queues them for upstream when there is none. */
static void ask(struct sutra_cache *c, struct job *list, size_t n)
{
	struct sutra_message get = { .op = SUTRA_OP_GET_CONCEPTS, .with_embedding = true };
	char (*text)[SUTRA_CACHE_ID_LEN] = NULL;
	struct sutra_id *ids = NULL;
	struct l2_call *call = NULL;
	size_t i = 0;

	if (c->l2 && n > SUTRA_LIMIT_BATCH) {	/* the protocol's limit of one GetConcepts */
		struct job *last = list, *rest;

		for (size_t k = 1; k < SUTRA_LIMIT_BATCH; k++)
			last = last->next_queued;
		rest = last->next_queued;
		last->next_queued = NULL;
		ask(c, rest, n - SUTRA_LIMIT_BATCH);
		n = SUTRA_LIMIT_BATCH;
	}
	if (c->l2 && n) {
		ids = sutra_calloc(n, sizeof(*ids));
		text = sutra_calloc(n, sizeof(*text));
		call = sutra_alloc(sizeof(*call) + n * sizeof(struct job *));
	}
	if (!ids || !text || !call) {
		sutra_free(call);
		queue_jobs(c, list);
	} else {
		call->cache = c;
		call->began_ns = sutra_clock_ns();
		call->n = n;
		for (struct job *f = list, *next; f; f = next) {
			next = f->next_queued;
			f->next_queued = NULL;
			sutra_cache_key_id(&f->key, text[i]);
			ids[i] = (struct sutra_id){ text[i], SUTRA_CACHE_ID_LEN - 1 };
			call->jobs[i++] = f;
		}
		get.ids = ids;
		get.n_ids = n;
		sutra_store_call(c->l2, &get, l2_done, call);
	}
	sutra_free(ids);
	sutra_free(text);
}

/* Joins the job of the key, or makes one (*ret_made). SUTRA_E_NOMEM, SUTRA_E_BUSY. */
static int join(struct sutra_cache *c, struct sutra_cache_request *r, size_t at,
		 const struct sutra_cache_key *k, struct job **ret_made)
{
	struct job **slot = job_slot(c, k), *f, *made = sutra_calloc(1, sizeof(*made));
	struct waiter *w = sutra_calloc(1, sizeof(*w));
	int rc = made && w ? 0 : SUTRA_E_NOMEM;

	*ret_made = NULL;
	pthread_mutex_lock(&c->lock);
	for (f = *slot; f && !sutra_cache_key_equal(&f->key, k); f = f->next_slot)
		;
	if (!rc && f) {
		if (is_later(r->deadline_ns, f->deadline_ns))
			f->deadline_ns = r->deadline_ns;
		*w = (struct waiter){ r, at, f->more };
		f->more = w;
		w = NULL;
	} else if (!rc && sutra_metric_get(&c->metrics[M_JOBS]) >= MAX_JOBS) {
		rc = SUTRA_E_BUSY;
	} else if (!rc) {
		made->key = *k;
		snprintf(made->model, sizeof(made->model), "%s", r->model);
		made->text = r->texts[at];
		made->length = r->lengths[at];
		made->deadline_ns = r->deadline_ns;
		made->first = (struct waiter){ r, at, NULL };
		made->next_slot = *slot;
		*slot = *ret_made = made;
		made = NULL;
	}
	pthread_mutex_unlock(&c->lock);
	count(c, f ? M_COALESCED : *ret_made ? M_JOBS : M_FULL, 1);
	sutra_free(made);
	sutra_free(w);
	return rc;
}

static struct sutra_vector *look_up(struct sutra_cache *c, const struct sutra_cache_key *k)
{
	uint64_t began = sutra_clock_ns();
	struct sutra_vector *v = sutra_l1_get(c->l1, k, began);

	if (v) {
		sutra_histogram_record(c->l1_times, sutra_clock_ns() - began);
		count(c, M_L1_HITS, 1);
	}
	return v;
}

void sutra_cache_get(struct sutra_cache *c, struct sutra_cache_request *r)
{
	struct job *fresh = NULL, **end = &fresh;
	size_t n_fresh = 0;
	struct sutra_err err;

	/* One more than there are texts: done() cannot run before this loop ends. */
	atomic_init(&r->pending, r->n + 1);
	r->err.code = 0;
	count(c, M_REQUESTS, (long long)r->n);
	for (size_t i = 0; i < r->n; i++) {
		struct sutra_cache_key key;
		struct sutra_vector *v;
		struct job *made;
		int rc;

		sutra_cache_key_make(r->fingerprint, c->o.dimension, r->texts[i], r->lengths[i], &key);
		v = look_up(c, &key);
		if (v) {
			answer_text(r, i, v, SUTRA_FROM_L1, NULL);
			sutra_vector_unref(v);
			continue;
		}
		rc = join(c, r, i, &key, &made);
		if (rc) {
			sutra_fail(&err, rc, rc == SUTRA_E_BUSY ? "%d texts are under way already" :
								  "out of memory for a text (%d)",
				   MAX_JOBS);
			answer_text(r, i, NULL, SUTRA_FROM_MODEL, &err);
		} else if (made && (v = sutra_l1_get(c->l1, &key, sutra_clock_ns()))) {
			/* an equal job has ended between look_up and join */
			finish_job(c, made, v, SUTRA_FROM_L1, NULL);
			sutra_vector_unref(v);
		} else if (made) {
			*end = made;
			end = &made->next_queued;
			n_fresh++;
		}
	}
	if (fresh)
		ask(c, fresh, n_fresh);
	if (atomic_fetch_sub(&r->pending, 1) == 1)
		r->done(r);
}

/* One call that changes both levels: L1 is changed already, L2's answer is awaited. */
struct both_call {
	void (*done)(void *user, uint64_t l1, uint64_t l2, int l2_code);
	void *user;
	uint64_t l1;
};

static void both_done(void *user, int code, const struct sutra_message *answer)
{
	struct both_call *call = user;

	call->done(call->user, call->l1, code ? 0 : answer->value, code);
	sutra_free(call);
}

/* NULL: there is no L2, or no memory for the call; done has been called. */
static struct both_call *both_new(const struct sutra_cache *c, uint64_t l1,
				  void (*done)(void *user, uint64_t l1, uint64_t l2, int l2_code), void *user)
{
	struct both_call *call = c->l2 ? sutra_alloc(sizeof(*call)) : NULL;

	if (call)
		*call = (struct both_call){ done, user, l1 };
	else
		done(user, l1, 0, c->l2 ? SUTRA_E_NOMEM : 0);
	return call;
}

void sutra_cache_clear(struct sutra_cache *c,
		       void (*done)(void *user, uint64_t l1, uint64_t l2, int l2_code), void *user)
{
	struct both_call *call = both_new(c, sutra_l1_clear(c->l1), done, user);

	count(c, M_CLEARS, 1);
	if (call)
		sutra_store_call(c->l2, &(struct sutra_message){ .op = SUTRA_OP_CLEAR }, both_done, call);
}

void sutra_cache_invalidate(struct sutra_cache *c, const char *fingerprint, const char *text, size_t n,
			    void (*done)(void *user, uint64_t l1, uint64_t l2, int l2_code), void *user)
{
	char id[SUTRA_CACHE_ID_LEN];
	const struct sutra_message request = { .op = SUTRA_OP_DELETE_CONCEPT,
					       .concept = { .id = id, .id_len = SUTRA_CACHE_ID_LEN - 1 } };
	struct sutra_cache_key key;
	struct both_call *call;

	sutra_cache_key_make(fingerprint, c->o.dimension, text, n, &key);
	call = both_new(c, sutra_l1_remove(c->l1, &key), done, user);
	if (!call)
		return;
	sutra_cache_key_id(&key, id);
	sutra_store_call(c->l2, &request, both_done, call);
}
