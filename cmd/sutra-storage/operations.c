/*
 * What the cache role does: a function for each row of SUTRA_OPERATIONS, from the request's fields to the
 * answer's. 0, or why the operation failed; nothing was changed then.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "daemon/service.h"
#include "storage.h"
#include "wire/frame.h"
#include "wire/pack.h"

static int learn(struct storage *s, const struct sutra_message *q, struct sutra_message *a,
		 struct sutra_err *err)
{
	return sutra_engine_put(s->engine, &q->concept, &a->value, err);
}

static int query(struct storage *s, const struct sutra_message *q, struct sutra_message *a,
		 struct sutra_err *err)
{
	a->value = sutra_engine_get(s->engine, q->concept.id, q->concept.id_len, &a->concept);
	if (!a->value)
		a->concept = (struct sutra_concept){ .id = q->concept.id, .id_len = q->concept.id_len,
						     .content = "", .content_is_text = true };
	return 0;
}

static int get_all(struct storage *s, const struct sutra_message *q, struct sutra_message *a,
		   struct sutra_err *err)
{
	struct sutra_concept *concepts = s->decoder->concepts;	/* a request has none */

	for (size_t i = 0; i < q->n_ids; i++)
		if (!sutra_engine_get(s->engine, q->ids[i].id, q->ids[i].id_len, &concepts[i]))
			concepts[i].id = NULL;
	a->concepts = concepts;
	a->n_concepts = q->n_ids;
	return 0;
}

static int delete_one(struct storage *s, const struct sutra_message *q, struct sutra_message *a,
		      struct sutra_err *err)
{
	bool found = false;
	int rc = sutra_engine_delete(s->engine, q->concept.id, q->concept.id_len, &found, err);

	a->value = found;
	return rc;
}

static int clear(struct storage *s, const struct sutra_message *q, struct sutra_message *a,
		 struct sutra_err *err)
{
	return sutra_engine_clear(s->engine, &a->value, err);
}

/* Its answer waits for the sync that the turn ends with: a flood of them shares one. */
static int flush(struct storage *s, const struct sutra_message *q, struct sutra_message *a,
		 struct sutra_err *err)
{
	s->flush_ticket = s->ticket + 1;
	return 0;
}

/* ---- maps of names and values ---- */

static void add(struct sutra_message *a, struct sutra_buf *b, const char *name)
{
	a->n_pairs++;
	sutra_pack_str(b, name);
}

static void add_number(struct sutra_message *a, struct sutra_buf *b, const char *name, uint64_t v)
{
	add(a, b, name);
	sutra_pack_uint(b, v);
}

static void add_text(struct sutra_message *a, struct sutra_buf *b, const char *name, const char *v)
{
	add(a, b, name);
	sutra_pack_str(b, v);
}

/* The buffer for an answer's pairs. */
static struct sutra_buf *begin_pairs(struct storage *s, struct sutra_message *a)
{
	sutra_buf_clear(&s->pairs);
	a->pairs = &s->pairs;
	return &s->pairs;
}

static int stats(struct storage *s, const struct sutra_message *q, struct sutra_message *a,
		 struct sutra_err *err)
{
	struct sutra_buf *b = begin_pairs(s, a);
	struct sutra_engine_stats e;

	sutra_engine_stats(s->engine, &e);
	add_number(a, b, "concepts", e.concepts);
	add_number(a, b, "max_concepts", e.max_concepts);
	add_number(a, b, "edges", 0);
	add_number(a, b, "vectors", e.vectors);
	add_number(a, b, "written", e.written);
	add_number(a, b, "dropped", e.dropped);
	add_number(a, b, "pending", e.pending);
	add_number(a, b, "reconciliations", e.reconciliations);
	add(a, b, "uptime_seconds");
	sutra_pack_double(b, sutra_service_uptime());
	add_number(a, b, "memory_bytes", e.memory_bytes);
	add_number(a, b, "wal_bytes", e.wal_bytes);
	add_number(a, b, "hits", e.hits);
	add_number(a, b, "misses", e.misses);
	add_number(a, b, "evictions", e.evictions);
	add_number(a, b, "expired", e.expired);
	add_number(a, b, "damaged_ranges", s->replay.damaged_ranges);
	add_number(a, b, "lost_records", s->replay.lost_records);
	add_text(a, b, "writes", e.read_only ? e.read_only : "ok");
	add(a, b, "shards");
	sutra_pack_array(b, 1);
	sutra_pack_map(b, 2);
	sutra_pack_str(b, "shard");
	sutra_pack_uint(b, 0);
	sutra_pack_str(b, "concepts");
	sutra_pack_uint(b, e.concepts);
	return sutra_buf_error(b) ? sutra_fail(err, sutra_buf_error(b), "out of memory") : 0;
}

static int health(struct storage *s, const struct sutra_message *q, struct sutra_message *a,
		  struct sutra_err *err)
{
	struct sutra_buf *b = begin_pairs(s, a);
	struct sutra_engine_stats e;

	sutra_engine_stats(s->engine, &e);
	add(a, b, "healthy");
	sutra_pack_bool(b, true);
	add_text(a, b, "status", e.read_only ? "read_only" : "healthy");
	add(a, b, "uptime_seconds");
	sutra_pack_double(b, sutra_service_uptime());
	return sutra_buf_error(b) ? sutra_fail(err, sutra_buf_error(b), "out of memory") : 0;
}

static const struct {
	int (*serve)(struct storage *s, const struct sutra_message *q, struct sutra_message *a,
		     struct sutra_err *err);
	bool is_write;
} operations[] = {
#define READ false
#define WRITE true
#define X(sym, kind, serve, ...) { serve, kind },
	SUTRA_OPERATIONS(X)
#undef X
};

void storage_answer(struct storage *s, struct sutra_tcp_conn *c, const void *payload, size_t n)
{
	const struct sutra_message *q = &s->decoder->m;
	struct sutra_buf *out = sutra_tcp_out(c);
	struct sutra_message a = { 0 };
	size_t before = out->len;
	struct sutra_err err;
	bool is_write = false;
	int rc = sutra_request_decode(s->decoder, payload, n, &err);

	s->requests++;
	if (!rc) {
		a = (struct sutra_message){ .op = q->op, .with_embedding = q->with_embedding };
		is_write = operations[q->op].is_write;
	}
	/* Without the room to hold its answer a write is not begun. */
	if (!rc && is_write && sutra_tcp_hold_room(c))
		rc = sutra_fail(&err, SUTRA_E_NOMEM, "out of memory: nothing was written");
	rc = rc ? rc : operations[q->op].serve(s, q, &a, &err);
	if (!rc && (rc = sutra_answer_encode(out, &a)) == SUTRA_E_TOOBIG) {
		sutra_fail(&err, rc, "the answer would be larger than %d bytes", SUTRA_FRAME_MAX);
		sutra_hint(&err, "ask for fewer concepts at once");
	}
	if (!rc && is_write) {
		sutra_tcp_hold(c, ++s->ticket, out->len - before);
	} else if (rc) {
		s->errors++;
		sutra_answer_error(out, &err);
	}
}
