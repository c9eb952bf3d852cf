/*
 * The operations of the cache role: a function for each row of SUTRA_OPERATIONS, from the request's fields to the
 * answer's. 0, or why the operation failed; nothing was changed then. Reads may run on the loop's thread, so
 * they are short; the others run on the writer's.
 */
#include "base/buf.h"
#include "daemon/daemon.h"
#include "storage.h"
#include "wire/pack.h"

static int learn(struct desk *d, const struct sutra_message *q, struct sutra_message *a,
		 struct sutra_err *err)
{
	return sutra_engine_put(d->storage->engine, &q->concept, &a->value, err);
}

static int query(struct desk *d, const struct sutra_message *q, struct sutra_message *a,
		 struct sutra_err *err)
{
	storage_read_begin(d);
	a->value = sutra_engine_get(d->storage->engine, q->concept.id, q->concept.id_len, &a->concept);
	if (!a->value)
		a->concept = (struct sutra_concept){ .id = q->concept.id, .id_len = q->concept.id_len,
						     .content = "", .content_is_text = true };
	return 0;
}

static int get_all(struct desk *d, const struct sutra_message *q, struct sutra_message *a,
		   struct sutra_err *err)
{
	struct sutra_concept *concepts = d->decoder.concepts;	/* unused by requests */

	storage_read_begin(d);
	for (size_t i = 0; i < q->n_ids; i++)
		if (!sutra_engine_get(d->storage->engine, q->ids[i].id, q->ids[i].id_len, &concepts[i]))
			concepts[i].id = NULL;
	a->concepts = concepts;
	a->n_concepts = q->n_ids;
	return 0;
}

static int delete_one(struct desk *d, const struct sutra_message *q, struct sutra_message *a,
		      struct sutra_err *err)
{
	bool found = false;
	int rc = sutra_engine_delete(d->storage->engine, q->concept.id, q->concept.id_len, &found, err);

	a->value = found;
	return rc;
}

static int clear(struct desk *d, const struct sutra_message *q, struct sutra_message *a,
		 struct sutra_err *err)
{
	return sutra_engine_clear(d->storage->engine, &a->value, err);
}

/* Its kind, SYNC, delays its answer until all before it is on disk. */
static int flush(struct desk *d, const struct sutra_message *q, struct sutra_message *a,
		 struct sutra_err *err)
{
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

/* An empty buffer for an answer's pairs. */
static struct sutra_buf *begin_pairs(struct desk *d, struct sutra_message *a)
{
	sutra_buf_clear(&d->pairs);
	a->pairs = &d->pairs;
	return &d->pairs;
}

static int stats(struct desk *d, const struct sutra_message *q, struct sutra_message *a,
		 struct sutra_err *err)
{
	struct sutra_buf *b = begin_pairs(d, a);
	struct sutra_engine_stats e;

	sutra_engine_stats(d->storage->engine, &e);
	add_number(a, b, "concepts", e.concepts);
	add_number(a, b, "max_concepts", e.max_concepts);
	add_number(a, b, "edges", 0);
	add_number(a, b, "vectors", e.concepts);
	add_number(a, b, "written", e.written);
	add_number(a, b, "dropped", e.dropped);
	add_number(a, b, "pending", e.pending);
	add_number(a, b, "reconciliations", e.reconciliations);
	add(a, b, "uptime_seconds");
	sutra_pack_double(b, sutra_daemon_uptime());
	add_number(a, b, "memory_bytes", e.memory_bytes);
	add_number(a, b, "wal_bytes", e.wal_bytes);
	add_number(a, b, "hits", e.hits);
	add_number(a, b, "misses", e.misses);
	add_number(a, b, "evictions", e.evictions);
	add_number(a, b, "expired", e.expired);
	add_number(a, b, "damaged_ranges", d->storage->replay.damaged_ranges);
	add_number(a, b, "lost_records", d->storage->replay.lost_records);
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

static int health(struct desk *d, const struct sutra_message *q, struct sutra_message *a,
		  struct sutra_err *err)
{
	struct sutra_buf *b = begin_pairs(d, a);
	struct sutra_engine_stats e;

	sutra_engine_stats(d->storage->engine, &e);
	add(a, b, "healthy");
	sutra_pack_bool(b, true);
	add_text(a, b, "status", e.read_only ? "read_only" : "healthy");
	add(a, b, "uptime_seconds");
	sutra_pack_double(b, sutra_daemon_uptime());
	return sutra_buf_error(b) ? sutra_fail(err, sutra_buf_error(b), "out of memory") : 0;
}

const struct storage_operation storage_operations[] = {
#define X(sym, kind, serve, ...) { serve, STORAGE_##kind },
	SUTRA_OPERATIONS(X)
#undef X
};
