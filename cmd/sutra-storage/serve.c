/* The requests of the cache role (CONTRACT section 5): engine calls and their answers. */
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "daemon/service.h"
#include "storage.h"
#include "wire/frame.h"

static void fail(struct storage *s, struct sutra_tcp_conn *c, const struct sutra_err *err)
{
	s->errors++;
	sutra_answer_error(sutra_tcp_out(c), err);
}

/* Before a write: without the room to hold its answer it is not begun. */
static bool can_hold(struct storage *s, struct sutra_tcp_conn *c)
{
	struct sutra_err err;

	if (!sutra_tcp_hold_room(c))
		return true;
	sutra_fail(&err, SUTRA_E_NOMEM, "out of memory: nothing was written");
	fail(s, c, &err);
	return false;
}

/* The answer appended since `before` waits until the write behind it is safe. */
static void hold(struct storage *s, struct sutra_tcp_conn *c, size_t before)
{
	sutra_tcp_hold(c, ++s->ticket, sutra_tcp_out(c)->len - before);
}

static void learn(struct storage *s, struct sutra_tcp_conn *c)
{
	const struct sutra_concept *k = &s->request->concept;
	const struct sutra_record r = {
		.id = k->id,
		.id_len = k->id_len,
		.content = k->content,
		.content_len = k->content_len,
		.embedding = k->embedding,
		.dimension = k->dimension,
		.metadata = k->metadata,
		.metadata_len = k->metadata_len,
		.strength = k->strength,
		.confidence = k->confidence,
		.ttl_seconds = k->ttl_seconds,
		.content_is_text = k->content_is_text,
	};
	struct sutra_buf *out = sutra_tcp_out(c);
	size_t before = out->len;
	struct sutra_err err;
	uint64_t sequence;

	if (!can_hold(s, c))
		return;
	if (sutra_engine_put(s->engine, &r, &sequence, &err)) {
		fail(s, c, &err);
		return;
	}
	sutra_answer_number(out, SUTRA_OP_LEARN_CONCEPT, sequence);
	hold(s, c, before);
}

static void as_concept(const struct sutra_record *r, struct sutra_concept *ret)
{
	*ret = (struct sutra_concept){
		.id = r->id,
		.id_len = r->id_len,
		.content = r->content,
		.content_len = r->content_len,
		.embedding = r->embedding,
		.dimension = r->dimension,
		.strength = r->strength,
		.confidence = r->confidence,
		.metadata = r->metadata,
		.metadata_len = r->metadata_len,
		.content_is_text = r->content_is_text,
	};
}

static void query(struct storage *s, struct sutra_tcp_conn *c)
{
	const struct sutra_request *q = s->request;
	struct sutra_concept concept;
	struct sutra_record r;
	bool found = sutra_engine_get(s->engine, q->concept.id, q->concept.id_len, &r);

	if (found)
		as_concept(&r, &concept);
	sutra_answer_query(sutra_tcp_out(c), q->concept.id, q->concept.id_len, found ? &concept : NULL,
			   q->with_embedding);
}

static void get_many(struct storage *s, struct sutra_tcp_conn *c)
{
	const struct sutra_request *q = s->request;
	struct sutra_buf *out = sutra_tcp_out(c);
	size_t begin = sutra_answer_get_begin(out, q->n);

	for (size_t i = 0; i < q->n; i++) {
		struct sutra_concept concept;
		struct sutra_record r;
		bool found = sutra_engine_get(s->engine, q->ids[i], q->id_lens[i], &r);

		if (found)
			as_concept(&r, &concept);
		sutra_answer_get_add(out, found ? &concept : NULL, q->with_embedding);
	}
	if (sutra_frame_end(out, begin)) {
		struct sutra_err err;

		sutra_fail(&err, SUTRA_E_TOOBIG, "the answer would be larger than %d bytes", SUTRA_FRAME_MAX);
		sutra_hint(&err, "ask for fewer concepts at once");
		fail(s, c, &err);
	}
}

static void delete_one(struct storage *s, struct sutra_tcp_conn *c)
{
	struct sutra_buf *out = sutra_tcp_out(c);
	size_t before = out->len;
	struct sutra_err err;
	bool found;

	if (!can_hold(s, c))
		return;
	if (sutra_engine_delete(s->engine, s->request->concept.id, s->request->concept.id_len, &found, &err)) {
		fail(s, c, &err);
		return;
	}
	sutra_answer_flag(out, SUTRA_OP_DELETE_CONCEPT, found);
	hold(s, c, before);
}

static void clear(struct storage *s, struct sutra_tcp_conn *c)
{
	struct sutra_buf *out = sutra_tcp_out(c);
	size_t before = out->len;
	struct sutra_err err;
	uint64_t n;

	if (!can_hold(s, c))
		return;
	if (sutra_engine_clear(s->engine, &n, &err)) {
		fail(s, c, &err);
		return;
	}
	sutra_answer_number(out, SUTRA_OP_CLEAR, n);
	hold(s, c, before);
}

/* Its answer waits for the sync that the turn ends with: a flood of them shares one. */
static void flush(struct storage *s, struct sutra_tcp_conn *c)
{
	struct sutra_buf *out = sutra_tcp_out(c);
	size_t before = out->len;

	if (!can_hold(s, c))
		return;
	sutra_answer_nil(out, SUTRA_OP_FLUSH);
	hold(s, c, before);
	s->flush_ticket = s->ticket;
}

static void stats(struct storage *s, struct sutra_tcp_conn *c)
{
	struct sutra_buf *out = sutra_tcp_out(c);
	struct sutra_engine_stats e;
	size_t begin;

	sutra_engine_stats(s->engine, &e);
	begin = sutra_answer_map_begin(out, SUTRA_OP_GET_STATS, 19);
	sutra_answer_add_number(out, "concepts", e.concepts);
	sutra_answer_add_number(out, "max_concepts", e.max_concepts);
	sutra_answer_add_number(out, "edges", 0);
	sutra_answer_add_number(out, "vectors", e.vectors);
	sutra_answer_add_number(out, "written", e.written);
	sutra_answer_add_number(out, "dropped", e.dropped);
	sutra_answer_add_number(out, "pending", e.pending);
	sutra_answer_add_number(out, "reconciliations", e.reconciliations);
	sutra_answer_add_double(out, "uptime_seconds", sutra_service_uptime());
	sutra_answer_add_number(out, "memory_bytes", e.memory_bytes);
	sutra_answer_add_number(out, "wal_bytes", e.wal_bytes);
	sutra_answer_add_number(out, "hits", e.hits);
	sutra_answer_add_number(out, "misses", e.misses);
	sutra_answer_add_number(out, "evictions", e.evictions);
	sutra_answer_add_number(out, "expired", e.expired);
	sutra_answer_add_number(out, "damaged_ranges", s->replay.damaged_ranges);
	sutra_answer_add_number(out, "lost_records", s->replay.lost_records);
	sutra_answer_add_text(out, "writes", e.read_only ? e.read_only : "ok");
	sutra_answer_add_maps(out, "shards", 1, 2);
	sutra_answer_add_number(out, "shard", 0);
	sutra_answer_add_number(out, "concepts", e.concepts);
	sutra_frame_end(out, begin);
}

static void health(struct storage *s, struct sutra_tcp_conn *c)
{
	struct sutra_buf *out = sutra_tcp_out(c);
	struct sutra_engine_stats e;
	size_t begin;

	sutra_engine_stats(s->engine, &e);
	begin = sutra_answer_map_begin(out, SUTRA_OP_HEALTH_CHECK, 3);
	sutra_answer_add_flag(out, "healthy", true);
	sutra_answer_add_text(out, "status", e.read_only ? "read_only" : "healthy");
	sutra_answer_add_double(out, "uptime_seconds", sutra_service_uptime());
	sutra_frame_end(out, begin);
}

void storage_answer(struct storage *s, struct sutra_tcp_conn *c, const void *payload, size_t n)
{
	struct sutra_err err;

	s->requests++;
	if (sutra_request_decode(s->request, payload, n, &err)) {
		fail(s, c, &err);
		return;
	}
	switch (s->request->op) {
	case SUTRA_OP_LEARN_CONCEPT:
		learn(s, c);
		break;
	case SUTRA_OP_QUERY_CONCEPT:
		query(s, c);
		break;
	case SUTRA_OP_GET_CONCEPTS:
		get_many(s, c);
		break;
	case SUTRA_OP_DELETE_CONCEPT:
		delete_one(s, c);
		break;
	case SUTRA_OP_CLEAR:
		clear(s, c);
		break;
	case SUTRA_OP_FLUSH:
		flush(s, c);
		break;
	case SUTRA_OP_GET_STATS:
		stats(s, c);
		break;
	default:
		health(s, c);	/* HealthCheck: decode lets no other through */
	}
}
