/*
 * How a request is answered. A read with at most NOW_REQUEST bytes of request and NOW_BYTES of answer is answered
 * at once on the loop's thread, which the engine's lock cannot block for long (engine_private.h). All other
 * requests go to the writer and get a place among the answers of their connection. Later requests of the
 * connection go to the writer too until that place is filled, so that a read sees the writes before it. The
 * writer is woken once a turn, so that the requests of many connections are one commit; finished operations
 * come back through the loop's wake-up.
 */
#include <stddef.h>
#include <string.h>

#include "base/alloc.h"
#include "net/plain.h"
#include "storage.h"
#include "wire/frame.h"

enum { NOW_BYTES = 1 << 20, NOW_REQUEST = 256 << 10 };	/* about 0.1 ms of copying */
enum { MIN_ANSWER = 60 };	/* bytes that most answers of a write fit into */

/* A request that the writer runs. */
struct request {
	struct sutra_operation operation;
	struct sutra_tcp_place place;
	struct storage *storage;
	struct sutra_buf answer;
	size_t n;
	char payload[];
};

#define request_of(member_, name) \
	((struct request *)(void *)((char *)(member_) - offsetof(struct request, name)))

static void read_end(struct desk *d)
{
	if (d->is_reading)
		sutra_engine_read_end(d->storage->engine);
	d->is_reading = false;
}

static void answer_error(struct storage *s, struct sutra_buf *out, const struct sutra_err *err)
{
	atomic_fetch_add(&s->errors, 1);
	sutra_answer_error(out, err);
}

/* Runs the operation of d's decoded request. */
static int serve(struct desk *d, struct sutra_message *a, struct sutra_err *err)
{
	const struct sutra_message *q = &d->decoder.m;

	*a = (struct sutra_message){ .op = q->op, .with_embedding = q->with_embedding };
	return storage_operations[q->op].serve(d, q, a, err);
}

static int encode(struct sutra_buf *out, const struct sutra_message *a, struct sutra_err *err)
{
	int rc = sutra_answer_encode(out, a);

	if (rc != SUTRA_E_TOOBIG || sutra_buf_error(out))
		return rc;
	sutra_fail(err, rc, "the answer would be larger than %d bytes", SUTRA_FRAME_MAX);
	return sutra_hint(err, "ask for fewer concepts at once");
}

static bool is_small(const struct sutra_message *a)
{
	size_t bytes = a->concept.content_len;

	for (size_t i = 0; i < a->n_concepts && bytes <= NOW_BYTES; i++) {
		const struct sutra_concept *c = &a->concepts[i];

		if (c->id)
			bytes += c->id_len + c->content_len + c->dimension * sizeof(float) + c->metadata_len;
	}
	return bytes <= NOW_BYTES;
}

/* On the loop's thread. False: the writer must run it. */
static bool answer_now(struct storage *s, struct sutra_buf *out, const void *payload, size_t n)
{
	enum sutra_op op = sutra_request_op(payload, n);
	struct desk *d = &s->desks[DESK_LOOP];
	struct sutra_message a;
	struct sutra_err err;
	int rc;

	if (n > NOW_REQUEST || (op < SUTRA_OP_COUNT && storage_operations[op].kind != STORAGE_READ))
		return false;
	rc = sutra_request_decode(&d->decoder, payload, n, &err);
	rc = rc ? rc : serve(d, &a, &err);
	if (!rc && !is_small(&a)) {
		read_end(d);
		return false;
	}
	rc = rc ? rc : encode(out, &a, &err);
	read_end(d);
	if (rc)
		answer_error(s, out, &err);
	return true;
}

/* ---- the writer's thread ---- */

static int run(struct sutra_operation *o)
{
	struct request *r = request_of(o, operation);
	struct desk *d = &r->storage->desks[DESK_WRITER];
	struct sutra_message a;
	struct sutra_err err;
	int rc = sutra_request_decode(&d->decoder, r->payload, r->n, &err);

	rc = rc ? rc : serve(d, &a, &err);
	read_end(d);	/* what was read is valid until the writer's next operation */
	rc = rc ? rc : encode(&r->answer, &a, &err);
	if (rc)
		answer_error(r->storage, &r->answer, &err);
	return rc ? rc : storage_operations[a.op].kind == STORAGE_READ;
}

static void fail(struct sutra_operation *o, const struct sutra_err *why)
{
	struct request *r = request_of(o, operation);

	sutra_buf_clear(&r->answer);
	answer_error(r->storage, &r->answer, why);
}

void storage_done(struct sutra_operations *list, void *storage)
{
	struct storage *s = storage;

	pthread_mutex_lock(&s->done_lock);
	sutra_operations_move(&s->done, list);
	pthread_mutex_unlock(&s->done_lock);
	sutra_tcp_wake(s->tcp);
}

/* ---- the loop's thread ---- */

void storage_woken(void *storage)
{
	struct storage *s = storage;
	struct sutra_operations list;
	struct sutra_operation *o;

	sutra_operations_init(&list);
	pthread_mutex_lock(&s->done_lock);
	sutra_operations_move(&list, &s->done);
	pthread_mutex_unlock(&s->done_lock);
	while ((o = sutra_operations_pop(&list))) {
		struct request *r = request_of(o, operation);

		sutra_tcp_answer(&r->place, &r->answer);
	}
}

void storage_answered(struct sutra_tcp_place *p, void *storage) { sutra_free(request_of(p, place)); }

static void answer(struct storage *s, struct sutra_tcp_conn *c, const void *payload, size_t n)
{
	enum sutra_op op;
	struct sutra_err err;
	struct request *r;

	atomic_fetch_add(&s->requests, 1);
	if (!sutra_tcp_awaits(c) && answer_now(s, sutra_tcp_out(c), payload, n))
		return;
	r = sutra_alloc(sizeof(*r) + n);
	if (r)
		sutra_buf_init(&r->answer, SUTRA_FRAME_MAX + (1 << 20));
	/* The loop frees the answers, so it reserves them too: memory that changes threads costs more. */
	if (!r || !sutra_buf_reserve(&r->answer, MIN_ANSWER)) {
		sutra_free(r);
		sutra_fail(&err, SUTRA_E_NOMEM, "out of memory: nothing was written");
		answer_error(s, sutra_tcp_out(c), &err);
		return;
	}
	op = sutra_request_op(payload, n);
	r->operation = (struct sutra_operation){ .run = run, .fail = fail, .bytes = n };
	r->operation.wants_sync = op < SUTRA_OP_COUNT && storage_operations[op].kind == STORAGE_SYNC;
	r->storage = s;
	r->n = n;
	memcpy(r->payload, payload, n);
	sutra_tcp_await(c, &r->place, sizeof(*r) + n);
	sutra_submit(s->writer, &r->operation);
}

/* The protocol of a connection, and how many bytes of an oversized frame are left to skip. */
struct conn_state {
	bool known, http;
	uint64_t skip;
};

const size_t storage_state_size = sizeof(struct conn_state);

static size_t skip_some(struct conn_state *st, size_t n)
{
	size_t step = st->skip < n ? (size_t)st->skip : n;

	st->skip -= step;
	return step;
}

static void too_large(struct storage *s, struct sutra_tcp_conn *c, struct conn_state *st, size_t len)
{
	struct sutra_err err;

	sutra_fail(&err, SUTRA_E_TOOBIG, "a frame of %zu bytes; the limit is %d", len, SUTRA_FRAME_MAX);
	answer_error(s, sutra_tcp_out(c), &err);
	st->skip = SUTRA_FRAME_HEAD + (uint64_t)len;
}

size_t storage_data(struct sutra_tcp_conn *c, const char *p, size_t n, void *storage)
{
	struct conn_state *st = sutra_tcp_state(c);
	struct storage *s = storage;
	size_t used = 0, len;

	if (!st->known) {
		if (n < 4)
			return 0;
		st->known = true;
		st->http = sutra_plain_looks_http(p);
	}
	if (st->http)
		return storage_http(s, c, p, n);
	do {
		int rc;

		used += skip_some(st, n - used);
		rc = sutra_frame_peek(p + used, n - used, &len);
		if (!rc)
			break;
		if (rc < 0) {
			too_large(s, c, st, len);
			continue;
		}
		answer(s, c, p + used + SUTRA_FRAME_HEAD, len);
		used += SUTRA_FRAME_HEAD + len;
	} while (!sutra_tcp_yield(c));
	sutra_tcp_owes(c, st->skip > 0);
	return used;
}

void storage_batch(void *storage) { sutra_writer_wake(((struct storage *)storage)->writer); }

int storage_desks_open(struct storage *s, struct sutra_err *err)
{
	s->desks = sutra_calloc(DESKS, sizeof(*s->desks));
	if (!s->desks)
		return sutra_fail(err, SUTRA_E_NOMEM, "out of memory");
	for (int i = 0; i < DESKS; i++) {
		s->desks[i].storage = s;
		sutra_decoder_init(&s->desks[i].decoder);
		sutra_buf_init(&s->desks[i].pairs, 1 << 16);
	}
	pthread_mutex_init(&s->done_lock, NULL);
	sutra_operations_init(&s->done);
	return 0;
}

void storage_desks_close(struct storage *s)
{
	for (int i = 0; s->desks && i < DESKS; i++) {
		sutra_decoder_release(&s->desks[i].decoder);
		sutra_buf_release(&s->desks[i].pairs);
	}
	sutra_free(s->desks);
}
