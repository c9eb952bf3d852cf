/*
 * engine_private - internals of the engine, for engine.c and engine_open.c.
 *
 * Only the writer adds, removes and frees entries, so it reads them without the lock. `lock` guards what the
 * reader uses too: the table with its order of use, the clock and the reason. Under it the writer makes no
 * system call, allocates nothing and does a few dozen steps, so the reader never waits for long.
 */
#ifndef SUTRA_STORE_ENGINE_PRIVATE_H
#define SUTRA_STORE_ENGINE_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "store/changes.h"
#include "store/concept_table.h"
#include "store/engine.h"

/*
 * The time for expiry. It follows the wall clock forward. When the wall clock is set back, it follows the
 * monotonic clock, so that no concept outlives its time to live. When the wall clock is set forward, concepts
 * expire early, which costs a cache misses.
 */
struct store_clock {
	void (*read)(uint64_t *ret_wall_us, uint64_t *ret_monotonic_us);
	uint64_t now_us, monotonic_us;
	uint64_t ahead_us;	/* how far it was ahead of the wall clock at the last call */
};

struct sutra_engine {
	struct sutra_engine_options o;
	char *dir;
	int lock_fd;
	struct sutra_wal *_Atomic wal;	/* NULL: it could not be opened for writing yet */
	struct sutra_wal_end end;	/* of the log at the replay */
	pthread_mutex_t lock;
	atomic_uint waiting;	/* threads that wait for the lock */
	struct concept_table table;
	struct store_clock clock;
	struct changes changes;	/* of the pending frame */
	struct sutra_buf body;	/* of the record that is appended, kept for the next one */
	_Atomic uint64_t written, dropped, hits, misses, expired, reconciliations, pending;
	uint64_t unsynced;
	uint32_t expire_cursor;
	/* the rewriting: nodes in order of use, the next one, the segment it began */
	uint32_t *order;
	size_t n_order, at_order;
	uint64_t keep_from;
	bool broken;	/* a sync has failed: acknowledged writes may not be on disk */
	char reason[200];	/* why writes are refused; "": they are not */
	uint64_t retry_at_ns;
};

static inline bool engine_is_dead(const struct entry *e, uint64_t now_us)
{
	return e->expires_us && e->expires_us <= now_us;
}

uint64_t sutra_store_clock_now(struct store_clock *c);	/* microseconds since 1970 */
void sutra_engine_lock(struct sutra_engine *s);
void sutra_engine_unlock(struct sutra_engine *s);
void sutra_engine_set_reason(struct sutra_engine *s, const char *reason);	/* "": none */
/* Refuses writes for a second. Returns why->code. */
int sutra_engine_refuse_writes(struct sutra_engine *s, const struct sutra_err *why);
/* Closes the log without a commit and frees everything. */
void sutra_engine_free(struct sutra_engine *s);
/* Tries to open a log that could not be opened for writing, once a second. */
void sutra_engine_try_log(struct sutra_engine *s);

#endif
