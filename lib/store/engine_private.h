/*
 * engine_private - the engine's inside, for engine.c and engine_open.c.
 *
 * The writer alone adds, takes and frees entries, so it reads them without the lock. `lock` guards what the
 * reader uses as well: the table with its order of use, the clock and the reason. Under it the writer makes no
 * system call, takes no memory and does a few dozen steps: who reads waits for no disk and no long work.
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
#include "store/store_clock.h"

struct sutra_engine {
	struct sutra_engine_options o;
	char *dir;
	int lock_fd;
	struct sutra_wal *_Atomic wal;	/* NULL: it could not be opened yet */
	struct sutra_wal_end end;	/* of the log, when it was read */
	pthread_mutex_t lock;
	atomic_uint waiting;	/* for the lock */
	struct concept_table table;
	struct store_clock clock;
	struct changes changes;	/* of the pending frame */
	struct sutra_buf body;	/* of the record that is appended, kept for the next one */
	_Atomic uint64_t written, dropped, hits, misses, expired, reconciliations, pending;
	uint64_t unsynced;
	uint32_t expire_cursor;
	/* rewriting */
	uint32_t *order;
	size_t n_order, at_order;
	uint64_t keep_from;
	bool broken;	/* a sync has failed: what is acknowledged may not be on disk */
	/* writes refused */
	char reason[200];
	uint64_t retry_at_ns;
};

static inline bool engine_is_dead(const struct entry *e, uint64_t now_us)
{
	return e->expires_us && e->expires_us <= now_us;
}

void sutra_engine_lock(struct sutra_engine *s);
void sutra_engine_unlock(struct sutra_engine *s);
void sutra_engine_set_reason(struct sutra_engine *s, const char *reason);	/* "": none */
/* Notes why writes are refused; they are tried again a second later. Returns why's code. */
int sutra_engine_refuse_writes(struct sutra_engine *s, const struct sutra_err *why);
/* Closes the log as it is and frees everything. */
void sutra_engine_free(struct sutra_engine *s);
/* Without a log: tries to open it, once a second. */
void sutra_engine_try_log(struct sutra_engine *s);

#endif
