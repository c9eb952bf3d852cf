/*
 * A put goes into the pending frame of the log and into memory at once; it is visible before it
 * is acknowledged, never after it was refused: the ids of the pending frame are kept until the
 * commit, and a commit that fails takes them out of memory again.
 *
 * Rewriting the log. When more than half of it (and 16 MiB) is dead, a new segment begins, the
 * nodes in order of use are noted, and every tick appends some of them that are still alive, as
 * they are then; what changes meanwhile is appended behind as ever. After the last, a sync, and the
 * segments before the new one are removed. A crash in between leaves both: replay meets
 * each concept once or twice, the later record last.
 *
 * An eviction is not logged: replay meets the bound again and evicts again.
 */
#include "store/engine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/lru.h"
#include "base/str.h"
#include "store/entry.h"

enum {
	MIN_GARBAGE = 16 << 20,
	REWRITE_STEP = 2000,	/* nodes a tick */
	EXPIRE_STEP = 1000,	/* nodes looked at a tick */
	MAX_PENDING_IDS = 1 << 20,
};

#define RETRY_NS 1000000000u	/* after a failed write: how long puts are refused untried */

struct sutra_engine {
	struct sutra_engine_options o;
	char *dir;
	int lock_fd;
	struct sutra_wal *wal;
	struct sutra_lru lru;
	struct entry **entries;	/* by node */
	struct sutra_buf undo;	/* length-prefixed ids of the pending frame */
	uint64_t live_bytes, last_lsn, written, dropped, hits, misses, evictions, expired, reconciliations;
	uint64_t pending, unsynced;
	uint32_t expire_cursor;
	/* rewriting */
	uint32_t *order;
	size_t n_order, at_order;
	uint64_t keep_from;
	/* writes refused */
	char reason[200];
	uint64_t retry_at_ns;
};

static uint64_t hash_id(const char *id, size_t n) { return XXH3_64bits(id, n); }

struct wanted {
	const struct sutra_engine *store;
	const char *id;
	size_t id_len;
};

static bool same_id(const void *ctx, uint32_t node)
{
	const struct wanted *w = ctx;
	const struct entry *e = w->store->entries[node];

	return e->id_len == w->id_len && !memcmp(entry_id(e), w->id, w->id_len);
}

static uint32_t find(const struct sutra_engine *s, const char *id, size_t n)
{
	const struct wanted w = { s, id, n };

	return sutra_lru_find(&s->lru, hash_id(id, n), same_id, &w);
}

static void drop_node(struct sutra_engine *s, uint32_t node)
{
	s->live_bytes -= entry_bytes(s->entries[node]) + sizeof(struct entry);
	sutra_lru_remove(&s->lru, node);
	sutra_free(s->entries[node]);
	s->entries[node] = NULL;
}

static void insert(struct sutra_engine *s, struct entry *e)
{
	uint32_t node = find(s, entry_id(e), e->id_len);

	if (node) {
		s->live_bytes -= entry_bytes(s->entries[node]) + sizeof(*e);
		sutra_free(s->entries[node]);
		sutra_lru_touch(&s->lru, node);
	} else {
		if (s->lru.used == s->lru.capacity) {
			drop_node(s, sutra_lru_oldest(&s->lru));
			s->evictions++;
		}
		node = sutra_lru_add(&s->lru, hash_id(entry_id(e), e->id_len));
	}
	s->entries[node] = e;
	s->live_bytes += entry_bytes(e) + sizeof(*e);
}

static uint64_t now_us(void) { return (uint64_t)sutra_clock_wall_us(); }

static bool is_dead(const struct entry *e, uint64_t now) { return e->expires_us && e->expires_us <= now; }

static void remove_all(struct sutra_engine *s)
{
	while (s->lru.used)
		drop_node(s, sutra_lru_oldest(&s->lru));
}

static int replay(void *user, uint64_t lsn, enum sutra_log_record type, const void *body, size_t n)
{
	struct sutra_engine *s = user;
	struct entry *e = NULL;
	uint32_t node;
	int rc;

	s->last_lsn = lsn > s->last_lsn ? lsn : s->last_lsn;
	switch (type) {
	case SUTRA_LOG_PUT:
		rc = entry_decode(body, n, &e);
		if (rc == SUTRA_E_CORRUPT) {	/* passed its checksum: a record this version cannot read */
			s->dropped++;
			return 0;
		}
		if (rc)
			return rc;
		if (is_dead(e, now_us())) {
			node = find(s, entry_id(e), e->id_len);
			if (node)
				drop_node(s, node);
			sutra_free(e);
			s->expired++;
			return 0;
		}
		insert(s, e);
		return 0;
	case SUTRA_LOG_DELETE:
		node = find(s, body, n);
		if (node)
			drop_node(s, node);
		return 0;
	case SUTRA_LOG_CLEAR:
		remove_all(s);
		return 0;
	}
	s->dropped++;
	return 0;
}

static int lock_folder(struct sutra_engine *s, struct sutra_err *err)
{
	char path[4096], pid[32], *holder;
	int rc = sutra_mkdirs(s->dir, 0700, err);

	if (rc)
		return rc;
	snprintf(path, sizeof(path), "%s/lock", s->dir);
	s->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (s->lock_fd < 0)
		return sutra_fail_errno(err, "cannot open %s", path);
	if (flock(s->lock_fd, LOCK_EX | LOCK_NB)) {
		if (errno != EWOULDBLOCK)
			return sutra_fail_errno(err, "cannot lock %s", path);
		rc = sutra_file_read(path, sizeof(pid), &holder, NULL, NULL);
		sutra_fail(err, SUTRA_E_LOCKED, "%s is in use by another sutra-storage (pid %s)", s->dir,
			   rc ? "?" : holder);
		if (!rc)
			sutra_free(holder);
		return SUTRA_E_LOCKED;
	}
	snprintf(pid, sizeof(pid), "%ld", (long)getpid());
	if (ftruncate(s->lock_fd, 0) || pwrite(s->lock_fd, pid, strlen(pid), 0) < 0)
		return sutra_fail_errno(err, "cannot write %s", path);
	return 0;
}

int sutra_engine_open(const struct sutra_engine_options *o, struct sutra_engine **ret,
		     struct sutra_wal_report *ret_report, struct sutra_err *err)
{
	struct sutra_engine *s = sutra_calloc(1, sizeof(*s));
	int rc = 0;

	if (!s || !(s->dir = sutra_strdup(o->dir))) {
		sutra_free(s);
		return sutra_fail(err, SUTRA_E_NOMEM, "out of memory for the store");
	}
	s->o = *o;
	s->lock_fd = -1;
	sutra_buf_init(&s->undo, 256 << 20);
	s->entries = sutra_calloc(o->max_concepts + 1, sizeof(struct entry *));
	if (!s->entries || sutra_lru_init(&s->lru, o->max_concepts))
		rc = sutra_fail(err, SUTRA_E_NOMEM, "out of memory for %zu concepts", o->max_concepts);
	rc = rc ? rc : lock_folder(s, err);
	rc = rc ? rc : sutra_wal_replay(s->dir, 1, replay, s, ret_report, err);
	rc = rc ? rc : sutra_wal_open(s->dir, s->last_lsn + 1, &s->wal, err);
	if (rc)
		sutra_engine_close(s);
	else
		*ret = s;
	return rc;
}

void sutra_engine_close(struct sutra_engine *s)
{
	if (!s)
		return;
	if (s->wal && !sutra_engine_commit(s, NULL))
		sutra_wal_sync(s->wal, NULL);
	sutra_wal_close(s->wal);
	for (uint32_t n = 1; s->entries && n <= s->lru.capacity; n++)
		sutra_free(s->entries[n]);
	sutra_free(s->entries);
	sutra_lru_release(&s->lru);
	sutra_buf_release(&s->undo);
	sutra_free(s->order);
	if (s->lock_fd >= 0)
		close(s->lock_fd);
	sutra_free(s->dir);
	sutra_free(s);
}

static int refuse_writes(struct sutra_engine *s, const struct sutra_err *why)
{
	snprintf(s->reason, sizeof(s->reason), "%s", why->message);
	s->retry_at_ns = sutra_clock_ns() + RETRY_NS;
	return why->code;
}

/* Writes are tried again a second after the last failure: space may be back. */
static int may_write(struct sutra_engine *s, struct sutra_err *err)
{
	if (!s->reason[0] || sutra_clock_ns() >= s->retry_at_ns)
		return 0;
	sutra_fail(err, SUTRA_E_FULL, "the store takes no writes now: %s", s->reason);
	return sutra_hint(err, "reads go on; make room on the disk of %s", s->dir);
}

static int log_entry(struct sutra_engine *s, const struct entry *e, uint64_t *ret_lsn,
		     struct sutra_err *err)
{
	struct sutra_buf body;
	uint8_t head[ENTRY_HEAD];
	int rc;

	sutra_buf_init(&body, 64 << 20);
	entry_encode(e, head);
	sutra_buf_reserve(&body, ENTRY_HEAD + entry_bytes(e));
	sutra_buf_add(&body, head, ENTRY_HEAD);
	sutra_buf_add(&body, e->bytes, entry_bytes(e));
	rc = sutra_buf_error(&body) ? sutra_fail(err, body.error, "the concept is too large for the log") :
				      sutra_wal_append(s->wal, SUTRA_LOG_PUT, body.data, body.len, ret_lsn, err);
	sutra_buf_release(&body);
	return rc;
}

int sutra_engine_put(struct sutra_engine *s, const struct sutra_record *r, uint64_t *ret_sequence,
		    struct sutra_err *err)
{
	uint64_t ttl = r->ttl_seconds ? r->ttl_seconds : s->o.default_ttl_seconds;
	struct entry *e;
	uint16_t n = (uint16_t)r->id_len;
	int rc = may_write(s, err);

	if (rc)
		return rc;
	e = entry_new(r, ttl ? now_us() + ttl * 1000000 : 0);
	if (!e)
		return sutra_fail(err, SUTRA_E_NOMEM, "out of memory for the concept");
	rc = log_entry(s, e, ret_sequence, err);
	if (rc) {
		sutra_free(e);
		return rc;
	}
	sutra_buf_add(&s->undo, &n, sizeof(n));
	sutra_buf_add(&s->undo, r->id, r->id_len);
	insert(s, e);
	s->pending++;
	return 0;
}

bool sutra_engine_get(struct sutra_engine *s, const char *id, size_t id_len, struct sutra_record *ret)
{
	uint32_t node = find(s, id, id_len);

	if (node && is_dead(s->entries[node], now_us())) {
		drop_node(s, node);
		s->expired++;
		node = 0;
	}
	if (!node) {
		s->misses++;
		return false;
	}
	s->hits++;
	sutra_lru_touch(&s->lru, node);
	entry_view(s->entries[node], ret);
	return true;
}

int sutra_engine_delete(struct sutra_engine *s, const char *id, size_t id_len, bool *ret_found,
		       struct sutra_err *err)
{
	uint32_t node = find(s, id, id_len);
	uint64_t lsn;
	int rc;

	if (node) {	/* deletes are tried even when puts are refused: they need little */
		rc = sutra_wal_append(s->wal, SUTRA_LOG_DELETE, id, id_len, &lsn, err);
		if (rc)
			return rc;
		drop_node(s, node);
		s->pending++;
	}
	*ret_found = node != 0;
	return 0;
}

int sutra_engine_clear(struct sutra_engine *s, uint64_t *ret_n, struct sutra_err *err)
{
	uint64_t lsn, n = s->lru.used;
	int rc = sutra_wal_append(s->wal, SUTRA_LOG_CLEAR, "", 0, &lsn, err);

	if (rc)
		return rc;
	remove_all(s);
	s->pending++;
	*ret_n = n;
	return 0;
}

/* Takes the puts of a frame that was not written out of memory. */
static void undo(struct sutra_engine *s)
{
	const char *at = s->undo.data, *end = at + s->undo.len;

	while (at && at < end) {
		uint16_t n;
		uint32_t node;

		memcpy(&n, at, sizeof(n));
		node = find(s, at + sizeof(n), n);
		if (node)
			drop_node(s, node);
		s->dropped++;
		at += sizeof(n) + n;
	}
}

int sutra_engine_commit(struct sutra_engine *s, struct sutra_err *err)
{
	struct sutra_err why;
	int rc = s->pending ? sutra_wal_commit(s->wal, &why) : 0;

	if (rc) {
		undo(s);
		refuse_writes(s, &why);
		if (err)
			*err = why;
	} else if (s->pending) {
		s->written += s->pending;
		s->unsynced += s->pending;
		s->reason[0] = '\0';
	}
	s->pending = 0;
	sutra_buf_clear(&s->undo);
	return rc;
}

int sutra_engine_flush(struct sutra_engine *s, struct sutra_err *err)
{
	struct sutra_err why;
	int rc = sutra_engine_commit(s, err);

	if (rc)
		return rc;
	s->unsynced = 0;
	rc = sutra_wal_sync(s->wal, &why);
	if (rc && err)
		*err = why;
	return rc ? refuse_writes(s, &why) : 0;
}

int sutra_engine_sync_begin(struct sutra_engine *s)
{
	int fd;

	if (!s->unsynced)
		return SUTRA_NOTHING_TO_SYNC;
	fd = sutra_wal_dup(s->wal);
	if (fd >= 0)
		s->unsynced = 0;
	return fd;
}

int sutra_engine_sync_end(struct sutra_engine *s, int fd, int sync_errno, struct sutra_err *err)
{
	struct sutra_err why;
	uint64_t segment;

	close(fd);
	if (!sync_errno)
		return 0;
	/* What this descriptor held may be lost; the memory is whole: write all of it anew. */
	errno = sync_errno;
	sutra_fail_errno(&why, "the log could not be synced");
	refuse_writes(s, &why);
	if (err)
		*err = why;
	if (!s->order && !sutra_wal_rotate(s->wal, &segment, NULL))
		s->keep_from = segment;
	return why.code;
}

/* Begins a rewriting when the log is mostly dead, or after a failed sync. */
static void begin_rewrite(struct sutra_engine *s)
{
	uint64_t bytes = sutra_wal_bytes(s->wal);
	bool forced = s->keep_from != 0;
	size_t n = 0;

	if (s->order || (!forced && (bytes < MIN_GARBAGE || bytes < 2 * s->live_bytes + MIN_GARBAGE)))
		return;
	s->order = sutra_calloc(s->lru.used + 1, sizeof(*s->order));
	if (!s->order)
		return;
	/* What waits for its sync stays in the segment that is left. */
	if (!forced && (sutra_wal_sync(s->wal, NULL) || sutra_wal_rotate(s->wal, &s->keep_from, NULL))) {
		sutra_free(s->order);
		s->order = NULL;
		s->keep_from = 0;
		return;
	}
	for (uint32_t node = sutra_lru_oldest(&s->lru); node; node = sutra_lru_newer(&s->lru, node))
		s->order[n++] = node;
	s->n_order = n;
	s->at_order = 0;
}

static void step_rewrite(struct sutra_engine *s)
{
	size_t from = s->at_order;
	uint64_t lsn;

	for (int left = REWRITE_STEP; left && s->at_order < s->n_order; left--, s->at_order++) {
		const struct entry *e = s->entries[s->order[s->at_order]];

		if (!e)
			continue;
		if (log_entry(s, e, &lsn, NULL))
			break;	/* the frame is full: the commit below empties it, go on next time */
		s->pending++;
	}
	if (sutra_engine_commit(s, NULL)) {
		s->at_order = from;	/* not in the log: once more */
		return;
	}
	if (s->at_order < s->n_order)
		return;
	if (!sutra_wal_sync(s->wal, NULL) && !sutra_wal_drop_before(s->wal, s->keep_from, NULL))
		s->reconciliations++;
	sutra_free(s->order);
	s->order = NULL;
	s->keep_from = 0;
}

void sutra_engine_tick(struct sutra_engine *s)
{
	uint64_t now = now_us();

	for (int left = EXPIRE_STEP; left && s->lru.used; left--) {
		s->expire_cursor = s->expire_cursor % s->lru.capacity + 1;
		if (s->entries[s->expire_cursor] && is_dead(s->entries[s->expire_cursor], now)) {
			drop_node(s, s->expire_cursor);
			s->expired++;
		}
	}
	begin_rewrite(s);
	if (s->order)
		step_rewrite(s);
}

void sutra_engine_stats(const struct sutra_engine *s, struct sutra_engine_stats *ret)
{
	*ret = (struct sutra_engine_stats){
		.concepts = s->lru.used,
		.max_concepts = s->lru.capacity,
		.vectors = s->lru.used,
		.written = s->written,
		.dropped = s->dropped,
		.pending = s->pending,
		.reconciliations = s->reconciliations,
		.memory_bytes = s->live_bytes + (uint64_t)s->lru.used * (sizeof(void *) + 32),
		.wal_bytes = sutra_wal_bytes(s->wal),
		.hits = s->hits,
		.misses = s->misses,
		.evictions = s->evictions,
		.expired = s->expired,
		.read_only = s->reason[0] ? s->reason : NULL,
	};
}
