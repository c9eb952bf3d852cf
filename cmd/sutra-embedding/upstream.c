/*
 * ml-base behind its balancer. A batch is one POST /embed with a binary answer. A request that fails as
 * during a restart of the balancer or a replica (refused, reset, empty, 502, 503) is retried after
 * 20, 40, ... 640 ms until its deadline. The retry thread does that. It also requests /info: every 200 ms
 * until there is an answer, then every 10 s, and at once when an answer carries another fingerprint.
 *
 * When every connection has been refused for REFUSED_NS, no process listens there. Then requests in flight
 * fail, and a new request is tried once, until the outcome is no refusal. A change of all replicas does not
 * cause that, because the balancer accepts connections meanwhile. A restart of the balancer does, for up
 * to 1 s on a busy machine, and REFUSED_NS is twice that. The last retry is at the end of REFUSED_NS,
 * whatever the delay is.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/jsonio.h"
#include "base/log.h"
#include "base/shown.h"
#include "gateway.h"

#define FIRST_DELAY_NS 20000000u
#define MAX_DELAY_NS 640000000u
#define REFUSED_NS 2000000000u
#define INFO_EVERY_NS 10000000000u
#define INFO_RETRY_NS 200000000u

enum { MAX_BODY = 64 << 20 };

struct call {
	struct sutra_fetch fetch;
	struct upstream *u;
	/* One of these is set: */
	struct sutra_upstream_batch *batch;
	struct sutra_http_request *pass;
	void (*later)(void *arg);	/* there is no request: later is called when it is due */
	void *later_arg;
	struct sutra_buf body;
	uint64_t deadline_ns, delay_ns, due_ns;
	const char *headers[4];	/* timeout, id or Accept, trace, NULL */
	char id_header[160], timeout_header[48], trace_header[80];
	struct call *next;
};

struct upstream {
	struct gateway *g;
	struct sutra_fetcher *fetcher;
	char embed_url[512], info_url[512];
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct call *waiting;	/* calls that are due later; unsorted */
	uint64_t info_due_ns;
	atomic_bool up;
	_Atomic uint64_t refused_since_ns;	/* only refusals since then; 0: the last outcome is no refusal */
};

bool upstream_up(const struct upstream *u) { return atomic_load(&u->up); }

static void call_free(struct call *c)
{
	sutra_fetch_release(&c->fetch);
	sutra_buf_release(&c->body);
	sutra_free(c);
}

/* Notes an outcome. Returns the nanoseconds in which only refusals have come; 0: this one is no refusal. */
static uint64_t note_refusal(struct upstream *u, bool refused)
{
	uint64_t now = sutra_clock_ns(), none = 0;

	if (!refused) {
		atomic_store(&u->refused_since_ns, 0);
		return 0;
	}
	if (atomic_compare_exchange_strong(&u->refused_since_ns, &none, now))
		return 1;
	return now > none ? now - none : 1;	/* none holds refused_since_ns now */
}

static bool may_try_again(struct call *c)
{
	const struct sutra_fetch *f = &c->fetch;
	bool passing = f->reason == SUTRA_FETCH_REFUSED || f->reason == SUTRA_FETCH_RESET ||
		       f->reason == SUTRA_FETCH_EMPTY || f->reason == SUTRA_FETCH_CONNECT_TIMEOUT ||
		       (!f->reason && (f->status == 502 || f->status == 503));
	uint64_t refused = note_refusal(c->u, f->reason == SUTRA_FETCH_REFUSED);

	if (refused >= REFUSED_NS)
		return false;
	if (refused && c->delay_ns > REFUSED_NS - refused)
		c->delay_ns = REFUSED_NS - refused;
	return passing && sutra_clock_ns() + c->delay_ns < c->deadline_ns;
}

static void on_answer(struct sutra_fetch *f);

static void submit(struct call *c)
{
	uint64_t now = sutra_clock_ns();

	c->fetch.timeout_ns = c->deadline_ns > now ? c->deadline_ns - now : 1000000;
	snprintf(c->timeout_header, sizeof(c->timeout_header), "X-Request-Timeout: %llu",
		 (unsigned long long)(c->fetch.timeout_ns + 999999) / 1000000);
	sutra_fetcher_submit(c->u->fetcher, &c->fetch, on_answer);
}

static void wait_due(struct call *c, uint64_t delay_ns)
{
	struct upstream *u = c->u;

	c->due_ns = sutra_clock_ns() + delay_ns;
	pthread_mutex_lock(&u->lock);
	c->next = u->waiting;
	u->waiting = c;
	pthread_cond_signal(&u->wake);
	pthread_mutex_unlock(&u->lock);
}

static void try_later(struct call *c)
{
	uint64_t delay_ns = c->delay_ns;

	sutra_metric_add(&c->u->g->metrics[GW_RETRIES], 1);
	c->delay_ns = delay_ns * 2 < MAX_DELAY_NS ? delay_ns * 2 : MAX_DELAY_NS;
	wait_due(c, delay_ns);
}

/* The error for the client: the reason of a failed transfer, or the status and message of ml-base. */
static void describe(const struct call *c, struct sutra_err *err)
{
	const struct sutra_fetch *f = &c->fetch;
	json_t *o = NULL;
	const char *words = NULL;

	if (!f->reason && !sutra_json_parse(sutra_buf_str(&f->answer), f->answer.len, &o, NULL))
		words = json_string_value(json_object_get(json_object_get(o, "error"), "message"));
	if (f->reason)
		sutra_fail(err,
			   f->reason == SUTRA_FETCH_CONNECT_TIMEOUT ? SUTRA_E_UNAVAILABLE : sutra_fetch_code(f->reason),
			   "ml-base cannot be reached: %s", sutra_fetch_reason_name(f->reason));
	else
		sutra_fail(err,
			   f->status == 429 ? SUTRA_E_BUSY :
			   f->status == 422 ? SUTRA_E_INVALID :
			   f->status == 413 ? SUTRA_E_TOOBIG :
			   f->status == 504 ? SUTRA_E_TIMEOUT :
					      SUTRA_E_UNAVAILABLE,
			   "ml-base answered %d%s%s", f->status, words ? ": " : "", words ? words : "");
	json_decref(o);
}

/* "10,7t,3": tokens of each text, t when it was cut. */
static void read_lengths(const struct sutra_fetch *f, struct sutra_upstream_batch *b)
{
	char list[512], *at = list;

	memset(b->tokens, 0, sizeof(b->tokens));
	memset(b->truncated, 0, sizeof(b->truncated));
	if (sutra_fetch_header(f, "X-Embedding-Lengths", list, sizeof(list)))
		return;
	for (size_t i = 0; i < b->n && *at; i++) {
		b->tokens[i] = (uint32_t)strtoul(at, &at, 10);
		b->truncated[i] = *at == 't';
		at += strcspn(at, ",");
		at += *at == ',';
	}
}

/* Requests /info at once if ml-base has another model than the known one. */
static void check_fingerprint(struct upstream *u, const char *fingerprint)
{
	struct gw_model m;

	if (!gw_model_get(u->g, &m) || !strcmp(m.fingerprint, fingerprint))
		return;
	pthread_mutex_lock(&u->lock);
	u->info_due_ns = 0;
	pthread_cond_signal(&u->wake);
	pthread_mutex_unlock(&u->lock);
}

static void finish_batch(struct call *c)
{
	struct sutra_upstream_batch *b = c->batch;
	size_t want = b->n * (size_t)c->u->g->settings.dimension * sizeof(float);
	char fingerprint[128] = "";

	sutra_fetch_header(&c->fetch, "X-Embedding-Fingerprint", fingerprint, sizeof(fingerprint));
	if (c->fetch.reason || c->fetch.status != 200) {
		describe(c, &b->err);
	} else if (c->fetch.answer.len != want) {
		sutra_fail(&b->err, SUTRA_E_UNAVAILABLE, "ml-base answered %zu bytes; %zu were expected",
			   c->fetch.answer.len, want);
	} else if (!*fingerprint || strlen(fingerprint) >= sizeof(b->fingerprint)) {
		sutra_fail(&b->err, SUTRA_E_UNAVAILABLE, "ml-base answered without saying of which model");
	} else {
		b->err.code = 0;
		b->rows = (const float *)(const void *)c->fetch.answer.data;
		read_lengths(&c->fetch, b);
		memcpy(b->fingerprint, fingerprint, strlen(fingerprint) + 1);
		check_fingerprint(c->u, fingerprint);
	}
	b->done(b);
}

static void finish_pass(struct call *c)
{
	struct sutra_err err;

	if (c->fetch.reason) {
		describe(c, &err);
		gw_fail(c->u->g, c->pass, &err);
	} else {
		sutra_http_reply_json(c->pass, c->fetch.status, &c->fetch.answer);
	}
}

static void ask_soon(struct upstream *u)
{
	uint64_t soon = sutra_clock_ns() + INFO_RETRY_NS;

	pthread_mutex_lock(&u->lock);
	if (u->info_due_ns != UINT64_MAX && u->info_due_ns > soon) {	/* MAX: in flight */
		u->info_due_ns = soon;
		pthread_cond_signal(&u->wake);
	}
	pthread_mutex_unlock(&u->lock);
}

/* A late answer does not show whether ml-base is up: a client can allow 1 ms, or request what takes a
 * minute. /info shows it. */
static bool is_late(const struct sutra_fetch *f)
{
	return f->reason ? sutra_fetch_code(f->reason) == SUTRA_E_TIMEOUT : f->status == 504;
}

static void on_answer(struct sutra_fetch *f)
{
	struct call *c = f->user;

	if (may_try_again(c)) {
		try_later(c);
		return;
	}
	if (!is_late(f))	/* any answer of ml-base itself, a 500 too, shows that it is up */
		atomic_store(&c->u->up, !f->reason && f->status != 502 && f->status != 503);
	if (is_late(f) || !upstream_up(c->u))
		ask_soon(c->u);
	if (c->batch)
		finish_batch(c);
	else
		finish_pass(c);
	call_free(c);
}

static struct call *call_new(struct upstream *u)
{
	struct call *c = sutra_calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	sutra_fetch_init(&c->fetch);
	sutra_buf_init(&c->body, MAX_BODY);
	c->u = u;
	c->delay_ns = FIRST_DELAY_NS;
	c->deadline_ns = sutra_clock_ns() + (uint64_t)u->g->settings.ml_base_ns;
	c->fetch.user = c;
	c->fetch.url = u->embed_url;
	c->fetch.headers = c->headers;
	c->headers[0] = c->timeout_header;
	return c;
}

/* Sends c->body. deadline_ns: the client's, 0: it has none; trace_parent: its header, or NULL. */
static void start(struct call *c, uint64_t deadline_ns, const char *trace_parent)
{
	if (deadline_ns && deadline_ns < c->deadline_ns)
		c->deadline_ns = deadline_ns;
	if (trace_parent) {
		snprintf(c->trace_header, sizeof(c->trace_header), "traceparent: %s", trace_parent);
		c->headers[2] = c->trace_header;
	}
	c->fetch.body = c->body.data;
	c->fetch.body_len = c->body.len;
	submit(c);
}

void upstream_embed(void *gateway, struct sutra_upstream_batch *b)
{
	struct gateway *g = gateway;
	struct call *c = call_new(g->upstream);

	if (c) {
		sutra_buf_adds(&c->body, "{\"texts\":[");
		for (size_t i = 0; i < b->n; i++) {
			if (i)
				sutra_buf_addc(&c->body, ',');
			sutra_text_add_json(b->texts[i], b->lengths[i], &c->body);
		}
		sutra_buf_addf(&c->body, "],\"dimension\":%lld}", (long long)g->settings.dimension);
	}
	if (!c || sutra_buf_error(&c->body)) {
		sutra_fail(&b->err, c ? SUTRA_E_TOOBIG : SUTRA_E_NOMEM, "the texts are too much for one request");
		if (c)
			call_free(c);
		b->done(b);
		return;
	}
	c->batch = b;
	c->headers[1] = "Accept: application/octet-stream";
	start(c, b->deadline_ns, b->trace_parent);
}

int upstream_later(struct upstream *u, uint64_t delay_ns, void (*fn)(void *arg), void *arg)
{
	struct call *c = call_new(u);

	if (!c)
		return SUTRA_E_NOMEM;
	c->later = fn;
	c->later_arg = arg;
	wait_due(c, delay_ns);
	return 0;
}

void upstream_pass(struct upstream *u, struct sutra_http_request *r)
{
	struct call *c = call_new(u);
	struct sutra_err err;
	size_t n;
	const char *body = sutra_http_body(r, &n);
	const struct sutra_http_context *context = sutra_http_context(r);

	if (!c) {
		sutra_fail(&err, SUTRA_E_NOMEM, "out of memory");
		gw_fail(u->g, r, &err);
		return;
	}
	sutra_buf_add(&c->body, body, n);
	snprintf(c->id_header, sizeof(c->id_header), "X-Request-Id: %s", context->id);
	c->headers[1] = c->id_header;
	c->pass = r;
	start(c, context->deadline_ns, context->trace_parent);
}

/* Adopts the model that /info describes. At start, a model that does not allow the dimension ends the
 * program. */
static void adopt_model(struct gateway *g, const json_t *o)
{
	const char *name = "", *fingerprint = "", *mrl = "", *prompt;
	json_t *text;
	char allowed[SUTRA_MRL_LIST];
	int64_t native = 0, vocab = 0, max_tokens = 0;
	struct gw_model m = { .dimension = (size_t)g->settings.dimension };

	sutra_json_get_string(o, "model", &name, NULL);
	sutra_json_get_string(o, "fingerprint", &fingerprint, NULL);
	sutra_json_get_string(o, "mrl", &mrl, NULL);
	sutra_json_get_int(o, "native_dimension", &native, NULL);
	sutra_json_get_int(o, "vocab_size", &vocab, NULL);
	sutra_json_get_int(o, "max_tokens", &max_tokens, NULL);
	json_object_foreach(json_object_get(o, "prompts"), prompt, text) {
		sutra_input_type_add(&m.types, prompt);
	}
	if (!*fingerprint || strlen(fingerprint) >= sizeof(m.fingerprint) || native < 1)
		return;
	if (!sutra_matryoshka_allows((size_t)native, m.dimension)) {
		struct gw_model known;

		sutra_matryoshka_list((size_t)native, allowed);
		if (gw_model_get(g, &known)) {	/* vectors of the known model are still cached */
			sutra_log(SUTRA_ERROR, "gateway", "model refused",
				  "name=%s reason=\"it allows %s, MATRYOSHKA_DIM is %zu\"", name, allowed, m.dimension);
			return;
		}
		sutra_shown_printf(stderr, "sutra-embedding: MATRYOSHKA_DIM is %zu; the model %s allows %s\n", m.dimension,
			name, allowed);
		exit(2);
	}
	snprintf(m.name, sizeof(m.name), "%s", name);
	snprintf(m.fingerprint, sizeof(m.fingerprint), "%s", fingerprint);
	m.native = (size_t)native;
	m.ids = (struct sutra_ids_limits){ (size_t)vocab, (size_t)max_tokens };
	m.plain_mrl = !strcmp(mrl, "plain");
	pthread_mutex_lock(&g->model_lock);
	if (strcmp(g->model.fingerprint, fingerprint) != 0) {
		if (strcmp(g->former.fingerprint, fingerprint) != 0)	/* else replicas that differ fill the log */
			sutra_log(SUTRA_INFO, "gateway", "model", "name=%s fingerprint=%s native=%lld", name,
				  fingerprint, (long long)native);
		g->former = g->model;
	}
	g->model = m;
	pthread_cond_broadcast(&g->model_known);
	pthread_mutex_unlock(&g->model_lock);
}

static void ask_info(struct upstream *u)
{
	struct sutra_fetch f;
	json_t *o = NULL;
	bool ok;

	sutra_fetch_init(&f);
	f.url = u->info_url;
	f.timeout_ns = 2000000000u;
	ok = !sutra_fetch_one(&f, NULL) && !sutra_json_parse(sutra_buf_str(&f.answer), f.answer.len, &o, NULL);
	if (ok)
		adopt_model(u->g, o);
	json_decref(o);
	note_refusal(u, f.reason == SUTRA_FETCH_REFUSED);
	sutra_fetch_release(&f);
	atomic_store(&u->up, ok);
}

/* Takes the calls that are due off the list; *ret_next: when the next one is due. */
static struct call *take_due(struct upstream *u, uint64_t now, uint64_t *ret_next)
{
	struct call **at = &u->waiting, *due = NULL, *c;

	*ret_next = UINT64_MAX;
	while ((c = *at)) {
		if (c->due_ns <= now) {
			*at = c->next;
			c->next = due;
			due = c;
		} else {
			*ret_next = c->due_ns < *ret_next ? c->due_ns : *ret_next;
			at = &c->next;
		}
	}
	return due;
}

static void submit_all(struct call *list)
{
	for (struct call *next; list; list = next) {
		next = list->next;
		if (list->later) {
			list->later(list->later_arg);
			call_free(list);
		} else {
			submit(list);
		}
	}
}

/* Releases the lock during the request. A thread that sets info_due_ns meanwhile causes another request. */
static void info_turn(struct upstream *u)
{
	u->info_due_ns = UINT64_MAX;
	pthread_mutex_unlock(&u->lock);
	ask_info(u);
	pthread_mutex_lock(&u->lock);
	if (u->info_due_ns == UINT64_MAX)
		u->info_due_ns = sutra_clock_ns() + (atomic_load(&u->up) ? INFO_EVERY_NS : INFO_RETRY_NS);
}

/* Sleeps only if it has found nothing to do since it last took the lock: a signal that is sent while the
 * lock is free wakes nobody. */
static void *run(void *arg)
{
	struct upstream *u = arg;

	pthread_mutex_lock(&u->lock);
	for (;;) {
		uint64_t now = sutra_clock_ns(), next;
		struct call *due = take_due(u, now, &next);
		struct timespec t;

		if (due) {
			pthread_mutex_unlock(&u->lock);
			submit_all(due);
			pthread_mutex_lock(&u->lock);
		} else if (u->info_due_ns <= now) {
			info_turn(u);
		} else {
			next = u->info_due_ns < next ? u->info_due_ns : next;
			t = sutra_clock_timespec(next);
			pthread_cond_timedwait(&u->wake, &u->lock, &t);
		}
	}
	return NULL;
}

int upstream_new(struct gateway *g, struct upstream **ret, struct sutra_err *err)
{
	struct upstream *u = sutra_calloc(1, sizeof(*u));
	pthread_t thread;
	int rc;

	if (!u)
		return sutra_fail(err, SUTRA_E_NOMEM, "out of memory");
	u->g = g;
	snprintf(u->embed_url, sizeof(u->embed_url), "%s/embed", g->settings.ml_base_url);
	snprintf(u->info_url, sizeof(u->info_url), "%s/info", g->settings.ml_base_url);
	pthread_mutex_init(&u->lock, NULL);
	sutra_clock_cond_init(&u->wake);
	rc = sutra_fetcher_new(&u->fetcher, err);
	if (!rc && pthread_create(&thread, NULL, run, u))
		rc = sutra_fail(err, SUTRA_E_IO, "cannot start a thread");
	if (rc) {
		sutra_fetcher_free(u->fetcher);
		sutra_free(u);
		return rc;
	}
	pthread_detach(thread);
	*ret = u;
	return 0;
}
