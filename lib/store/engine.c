/*
 * A write goes into the pending frame of the log and into memory at once: it is visible before it is
 * acknowledged, and never after it was refused. The list of changes keeps what each write of the pending frame
 * replaced; a commit that fails restores it, from the last write to the first.
 *
 * Rewriting the log. When more than half of it (and 16 MiB) is garbage, a new segment begins. The engine
 * notes the nodes in order of use, and every tick appends some of them that are still alive, with their
 * current values; new writes are appended as usual. After the last node the log is synced and the segments
 * before the new one are removed. A crash before that leaves both: replay reads each concept once or twice,
 * its newest record last.
 *
 * A failed sync. The kernel may have dropped the pages and marked them clean, so no later sync of that segment
 * proves anything, and it is unknown which records are lost. The memory is intact: the engine is `broken`,
 * refuses every write, and rewrites the log from memory into a segment begun after the failure. It takes
 * writes again when that segment is synced and the older ones are removed. Another failure restarts this; a
 * rewriting in progress is abandoned.
 *
 * Evictions are not logged: replay reaches the same bound and evicts again.
 *
 * Threads: the writer and one reader; engine_private.h says what each may use. A clear replaces the full table
 * by an empty one, and frees the full one after the commit, outside of the lock.
 */
#include "store/engine.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "store/engine_private.h"

enum {
	MIN_GARBAGE = 16 << 20,
	REWRITE_STEP = 2000,	/* limits of a tick, in nodes and in bytes: writes wait for them */
	REWRITE_BYTES = 4 << 20,
	EXPIRE_STEP = 1000,	/* nodes looked at a tick */
	WALK_STEP = 256,	/* nodes that are walked under the lock at a time */
};

/* Between the steps of a long walk: lets a waiting reader take the lock first, as a mutex is not fair. */
static void let_reader_in(struct sutra_engine *s)
{
	sutra_engine_unlock(s);
	while (atomic_load(&s->waiting))
		sched_yield();
	sutra_engine_lock(s);
}

void sutra_engine_read_begin(struct sutra_engine *s) { sutra_engine_lock(s); }
void sutra_engine_read_end(struct sutra_engine *s) { sutra_engine_unlock(s); }

static uint64_t now_us(struct sutra_engine *s)
{
	uint64_t now;

	sutra_engine_lock(s);
	now = sutra_store_clock_now(&s->clock);
	sutra_engine_unlock(s);
	return now;
}

/* After a failed sync: no segment up to this one is trusted, so a rewriting into it is abandoned. */
static int sync_failed(struct sutra_engine *s, const struct sutra_err *why)
{
	s->broken = true;
	sutra_free(s->order);
	s->order = NULL;
	s->keep_from = 0;
	return sutra_engine_refuse_writes(s, why);
}

/* The log cannot be written, or its contents are in doubt. */
static bool is_read_only(const struct sutra_engine *s) { return s->broken || !s->wal; }

static int refuse_all(const struct sutra_engine *s, struct sutra_err *err)
{
	sutra_fail(err, SUTRA_E_READONLY, "the store takes no writes now: %s", s->reason);
	return err ? sutra_hint(err, "reads go on; writes come back when the disk of %s takes them", s->dir) :
		     SUTRA_E_READONLY;
}

/* A second after the last failure writes are tried again: there may be space now. */
static int may_write(struct sutra_engine *s, struct sutra_err *err)
{
	if (is_read_only(s))
		return refuse_all(s, err);
	if (!s->reason[0] || sutra_clock_ns() >= s->retry_at_ns)
		return 0;
	sutra_fail(err, SUTRA_E_FULL, "the store takes no writes now: %s", s->reason);
	return sutra_hint(err, "reads go on; make room on the disk of %s", s->dir);
}

static int log_entry(struct sutra_engine *s, const struct entry *e, uint64_t *ret_lsn,
		     struct sutra_err *err)
{
	sutra_buf_clear(&s->body);
	sutra_entry_encode(e, now_us(s), &s->body);
	if (sutra_buf_error(&s->body))
		return sutra_fail(err, s->body.error, "the concept is too large for the log");
	return sutra_wal_append(s->wal, SUTRA_LOG_PUT, s->body.data, s->body.len, ret_lsn, err);
}

/* An entry that undo restores during a rewriting may get a node that was passed already. */
static void rewrite_too(struct sutra_engine *s, uint32_t node)
{
	uint32_t *grown = s->order ? sutra_realloc_array(s->order, s->n_order + 1, sizeof(*grown)) : NULL;

	if (grown) {
		s->order = grown;
		s->order[s->n_order++] = node;
	} else if (s->order) {	/* no memory to note it: the rewriting starts again */
		sutra_free(s->order);
		s->order = NULL;
		s->keep_from = 0;
	}
}

/* Restores the table before the clear; the writes after the clear are undone already. */
static void take_back_clear(struct sutra_engine *s, struct change *c)
{
	struct concept_table emptied;

	sutra_engine_lock(s);
	emptied = s->table;
	s->table = *c->table;
	s->table.evictions = emptied.evictions;
	sutra_engine_unlock(s);
	sutra_concept_table_release(&emptied);
	sutra_free(c->table);
	c->table = NULL;
}

static void drop(struct sutra_engine *s, uint32_t node)
{
	struct entry *e;

	sutra_engine_lock(s);
	e = sutra_concept_table_take(&s->table, node);
	sutra_engine_unlock(s);
	sutra_free(e);
}

static struct entry *insert(struct sutra_engine *s, struct entry *e)
{
	struct entry *old;

	sutra_engine_lock(s);
	old = sutra_concept_table_insert(&s->table, e);
	sutra_engine_unlock(s);
	return old;
}

static void take_back(struct sutra_engine *s, struct change *c)
{
	const char *id = c->old ? entry_id(c->old) : c->id;
	size_t n = c->old ? c->old->id_len : c->id_len;
	uint32_t node = sutra_concept_table_find(&s->table, id, n);

	if (node && !c->old) {
		drop(s, node);
	} else if (c->old) {
		sutra_free(insert(s, c->old));
		c->old = NULL;
		if (!node)
			rewrite_too(s, sutra_concept_table_find(&s->table, id, n));
	}
}

/* Undoes in memory the writes of a frame that was not written. */
static void undo(struct sutra_engine *s)
{
	for (size_t i = s->changes.n; i; i--) {
		struct change *c = &s->changes.list[i - 1];

		if (c->table)
			take_back_clear(s, c);
		else
			take_back(s, c);
	}
	sutra_changes_forget(&s->changes);
	s->dropped += s->pending;
	s->pending = 0;
}

/* Inserts e and notes what it replaces; the room for two changes is reserved. */
static void apply_put(struct sutra_engine *s, struct entry *e, char *id)
{
	struct entry *old = insert(s, e);
	bool same = old && old->id_len == e->id_len && !memcmp(entry_id(old), entry_id(e), e->id_len);

	if (old)
		sutra_changes_add(&s->changes, old, NULL, 0);
	if (same)
		sutra_free(id);
	else
		sutra_changes_add(&s->changes, NULL, id, e->id_len);
	s->pending++;
}

int sutra_engine_put(struct sutra_engine *s, const struct sutra_concept *r, uint64_t *ret_sequence,
		    struct sutra_err *err)
{
	uint64_t ttl = r->ttl_seconds ? r->ttl_seconds : s->o.default_ttl_seconds;
	struct entry *e = NULL;
	char *id = NULL;
	int rc = may_write(s, err);

	rc = rc ? rc : sutra_changes_reserve(&s->changes, 2, err);
	if (rc)
		return rc;
	e = sutra_entry_new(r, ttl ? now_us(s) + ttl * 1000000 : 0);
	id = sutra_memdup(r->id, r->id_len);
	if (!e || !id)
		rc = sutra_fail(err, SUTRA_E_NOMEM, "out of memory for the concept");
	rc = rc ? rc : log_entry(s, e, ret_sequence, err);
	if (rc) {
		sutra_free(e);
		sutra_free(id);
		return rc;
	}
	apply_put(s, e, id);
	return 0;
}

bool sutra_engine_get(struct sutra_engine *s, const char *id, size_t id_len, struct sutra_concept *ret)
{
	uint32_t node = sutra_concept_table_find(&s->table, id, id_len);

	/* Expired: the writer's tick removes it, because the results of earlier gets must stay valid. */
	if (!node || engine_is_dead(s->table.entries[node], sutra_store_clock_now(&s->clock))) {
		s->misses++;
		return false;
	}
	s->hits++;
	sutra_lru_touch(&s->table.lru, node);
	sutra_entry_view(s->table.entries[node], ret);
	return true;
}

int sutra_engine_delete(struct sutra_engine *s, const char *id, size_t id_len, bool *ret_found,
		       struct sutra_err *err)
{
	uint32_t node = sutra_concept_table_find(&s->table, id, id_len);
	struct entry *old;
	uint64_t lsn;
	int rc;

	if (node) {	/* tried also while puts are refused for lack of space: a delete needs little */
		rc = is_read_only(s) ? refuse_all(s, err) : sutra_changes_reserve(&s->changes, 1, err);
		rc = rc ? rc : sutra_wal_append(s->wal, SUTRA_LOG_DELETE, id, id_len, &lsn, err);
		if (rc)
			return rc;
		sutra_engine_lock(s);
		old = sutra_concept_table_take(&s->table, node);
		sutra_engine_unlock(s);
		sutra_changes_add(&s->changes, old, NULL, 0);
		s->pending++;
	}
	*ret_found = node != 0;
	return 0;
}

int sutra_engine_clear(struct sutra_engine *s, uint64_t *ret_n, struct sutra_err *err)
{
	struct concept_table empty = { 0 }, *full = NULL;
	int rc = is_read_only(s) ? refuse_all(s, err) : sutra_changes_reserve(&s->changes, 1, err);
	uint64_t lsn;

	if (rc)
		return rc;
	full = sutra_alloc(sizeof(*full));
	if (!full || sutra_concept_table_init(&empty, s->table.lru.capacity))
		rc = sutra_fail(err, SUTRA_E_NOMEM, "out of memory for an empty store");
	rc = rc ? rc : sutra_wal_append(s->wal, SUTRA_LOG_CLEAR, "", 0, &lsn, err);
	if (rc) {
		sutra_concept_table_release(&empty);
		sutra_free(full);
		return rc;
	}
	empty.evictions = s->table.evictions;
	*ret_n = s->table.lru.used;
	sutra_engine_lock(s);
	*full = s->table;
	s->table = empty;
	sutra_engine_unlock(s);
	sutra_changes_add_clear(&s->changes, full);
	s->pending++;
	return 0;
}

/* A write of the log has failed. If it left bytes behind, this counts as a failed sync. */
static int write_failed(struct sutra_engine *s, const struct sutra_err *why)
{
	return sutra_wal_is_broken(s->wal) ? sync_failed(s, why) : sutra_engine_refuse_writes(s, why);
}

int sutra_engine_commit(struct sutra_engine *s, struct sutra_err *err)
{
	struct sutra_err why;
	int rc;

	if (!s->pending)
		return 0;
	if (s->broken) {
		sutra_wal_abandon(s->wal);
		rc = refuse_all(s, &why);
	} else if ((rc = sutra_wal_commit(s->wal, &why))) {
		write_failed(s, &why);
	}
	if (rc) {
		undo(s);
		if (err)
			*err = why;
		return rc;
	}
	s->written += s->pending;
	s->unsynced += s->pending;
	if (s->reason[0])
		sutra_engine_set_reason(s, "");
	s->pending = 0;
	sutra_changes_forget(&s->changes);
	return 0;
}

int sutra_engine_flush(struct sutra_engine *s, struct sutra_err *err)
{
	struct sutra_err why;
	int rc = sutra_engine_commit(s, err);

	if (rc || is_read_only(s))
		return rc ? rc : refuse_all(s, err);
	rc = sutra_wal_sync(s->wal, &why);
	if (!rc) {
		s->unsynced = 0;
		return 0;
	}
	if (err)
		*err = why;
	return sync_failed(s, &why);
}

int sutra_engine_sync_begin(struct sutra_engine *s)
{
	int fd;

	if (s->broken)
		return SUTRA_SYNC_HAS_FAILED;
	if (!s->unsynced)
		return SUTRA_NOTHING_TO_SYNC;
	fd = sutra_wal_open_again(s->wal);
	if (fd >= 0)
		s->unsynced = 0;
	return fd;
}

int sutra_engine_sync_end(struct sutra_engine *s, int fd, int sync_errno, struct sutra_err *err)
{
	struct sutra_err why;

	close(fd);
	if (!sync_errno)
		return 0;
	errno = sync_errno;
	sutra_fail_errno(&why, "the log could not be synced");
	if (err)
		*err = why;
	return sync_failed(s, &why);
}

/* Notes the nodes, the oldest first, each at least once: one that is used meanwhile comes again later. */
static int note_order(struct sutra_engine *s)
{
	struct sutra_lru *lru = &s->table.lru;
	size_t n = 0, cap = lru->used + WALK_STEP;
	uint32_t *order = sutra_calloc(cap, sizeof(*order)), *grown = order, node;

	sutra_engine_lock(s);
	sutra_lru_walk(lru);
	while (grown && (node = sutra_lru_walked(lru))) {
		order[n++] = node;
		if (n % WALK_STEP == 0)
			let_reader_in(s);
		if (n < cap)
			continue;
		sutra_engine_unlock(s);
		cap *= 2;
		grown = sutra_realloc_array(order, cap, sizeof(*order));
		order = grown ? grown : order;
		sutra_engine_lock(s);
	}
	sutra_engine_unlock(s);
	if (!grown) {
		sutra_free(order);
		return SUTRA_E_NOMEM;
	}
	s->order = order;
	s->n_order = n;
	s->at_order = 0;
	return 0;
}

/* Begins a rewriting when the log is mostly garbage, or after a failed sync. */
static void begin_rewrite(struct sutra_engine *s)
{
	uint64_t bytes = sutra_wal_bytes(s->wal);
	struct sutra_err why;
	int rc;

	if (s->order || (!s->broken && (bytes < MIN_GARBAGE || bytes < 2 * s->table.bytes + MIN_GARBAGE)))
		return;
	if (note_order(s))
		return;
	/* Unsynced commits are in the segment that ends here. */
	rc = s->broken ? 0 : sutra_wal_sync(s->wal, &why);
	if (rc) {
		sync_failed(s, &why);
		return;
	}
	if (sutra_wal_rotate(s->wal, &s->keep_from, &why)) {
		if (s->broken)
			sutra_engine_refuse_writes(s, &why);
		sutra_free(s->order);
		s->order = NULL;
		return;
	}
	s->unsynced = 0;
}

/* All nodes are appended: removes the older segments, and with them what a failed sync left in doubt (a lost
 * delete would restore its concept at the next replay). */
static int end_rewrite(struct sutra_engine *s)
{
	struct sutra_err why;
	int rc = sutra_wal_sync(s->wal, &why);

	if (rc)
		return sync_failed(s, &why);
	s->unsynced = 0;
	rc = sutra_wal_drop_before(s->wal, s->keep_from, &why);
	if (rc)	/* the next tick tries again */
		return s->broken ? sutra_engine_refuse_writes(s, &why) : rc;
	s->reconciliations++;
	sutra_free(s->order);
	s->order = NULL;
	s->keep_from = 0;
	if (s->broken)
		sutra_engine_set_reason(s, "");
	s->broken = false;
	return 0;
}

static int step_rewrite(struct sutra_engine *s)
{
	size_t at = s->at_order, records = 0, bytes = 0;
	struct sutra_err why;
	uint64_t lsn;
	int rc, stopped = 0;

	for (int left = REWRITE_STEP; left && bytes < REWRITE_BYTES && at < s->n_order; left--, at++) {
		const struct entry *e = s->table.entries[s->order[at]];

		if (!e)
			continue;
		if ((stopped = log_entry(s, e, &lsn, NULL)))
			break;	/* the frame is full: the commit below writes it, the next tick goes on */
		records++;
		bytes += sutra_entry_bytes(e);
	}
	rc = sutra_wal_commit(s->wal, &why);
	if (rc)	/* not in the log: the next tick appends these nodes again */
		return write_failed(s, &why);
	s->unsynced += records;
	s->at_order = at;
	if (at == s->n_order)
		return end_rewrite(s);
	return records ? 0 : stopped;	/* stopped: no memory for the first one */
}

/* Before closing: after a failed sync, tries to write the memory to a new segment. */
static void mend(struct sutra_engine *s)
{
	int rc = 0;

	if (s->broken)
		begin_rewrite(s);
	while (s->broken && s->order && !rc)
		rc = step_rewrite(s);
}

void sutra_engine_close(struct sutra_engine *s)
{
	if (!s)
		return;
	if (s->wal) {
		sutra_engine_flush(s, NULL);
		mend(s);
	}
	sutra_engine_free(s);
}

void sutra_engine_tick(struct sutra_engine *s)
{
	struct concept_table *t = &s->table;
	uint64_t now = now_us(s);

	for (int left = EXPIRE_STEP; left && t->lru.used; left--) {
		s->expire_cursor = s->expire_cursor % t->lru.capacity + 1;
		if (t->entries[s->expire_cursor] && engine_is_dead(t->entries[s->expire_cursor], now)) {
			drop(s, s->expire_cursor);
			s->expired++;
		}
	}
	if (s->pending)	/* a commit is due: the frame must not get other records */
		return;
	if (!s->wal) {
		sutra_engine_try_log(s);
		return;
	}
	begin_rewrite(s);
	if (s->order)
		step_rewrite(s);
}

void sutra_engine_stats(struct sutra_engine *s, struct sutra_engine_stats *ret)
{
	struct sutra_wal *wal = s->wal;

	*ret = (struct sutra_engine_stats){
		.written = s->written,
		.dropped = s->dropped,
		.pending = s->pending,
		.reconciliations = s->reconciliations,
		.wal_bytes = wal ? sutra_wal_bytes(wal) : 0,
		.hits = s->hits,
		.misses = s->misses,
		.expired = s->expired,
	};
	sutra_engine_lock(s);
	ret->concepts = s->table.lru.used;
	ret->max_concepts = s->table.lru.capacity;
	ret->memory_bytes = s->table.bytes + (uint64_t)s->table.lru.used * (sizeof(void *) + 32);
	ret->evictions = s->table.evictions;
	ret->clock_ahead_seconds = s->clock.ahead_us / 1000000;
	memcpy(ret->reason, s->reason, sizeof(ret->reason));
	sutra_engine_unlock(s);
	ret->read_only = ret->reason[0] ? ret->reason : NULL;
}
