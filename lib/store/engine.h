/*
 * engine - the storage engine: concepts in memory, and a log on disk.
 *
 * For the cache role: every concept is in memory. At MAX_CONCEPTS the least recently used one is evicted. A
 * concept expires at a wall-clock time, also after a restart; one written while the clock was ahead keeps its
 * time to live, counted from the restart. A commit writes one frame to the log; opening replays the log. The
 * log is rewritten when most of it is garbage.
 *
 * Threads: the writer, which owns the handle, and one reader, which may call read_begin, get, read_end and
 * stats meanwhile: it waits for a few steps in memory at most, never for the disk. fdatasync may run on any
 * thread, on a descriptor from sutra_engine_sync_begin.
 */
#ifndef SUTRA_STORE_ENGINE_H
#define SUTRA_STORE_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/concept.h"
#include "base/err.h"
#include "store/wal.h"

struct sutra_engine;

struct sutra_engine_options {
	const char *dir;
	size_t max_concepts;
	uint64_t default_ttl_seconds;	/* 0: no expiry */
	/* Clocks for expiry; NULL: the machine's. */
	void (*clocks)(uint64_t *ret_wall_us, uint64_t *ret_monotonic_us);
};

struct sutra_engine_stats {
	uint64_t concepts, max_concepts, written, dropped, pending, reconciliations;
	uint64_t memory_bytes, wal_bytes, hits, misses, evictions, expired;
	uint64_t clock_ahead_seconds;	/* how far the wall clock was set back since the start */
	const char *read_only;		/* why writes are refused now, in `reason`, or NULL */
	char reason[200];
};

/* Replays the folder (made if missing; a second owner is SUTRA_E_LOCKED naming its pid). */
int sutra_engine_open(const struct sutra_engine_options *o, struct sutra_engine **ret,
		     struct sutra_wal_report *ret_report, struct sutra_err *err);
void sutra_engine_close(struct sutra_engine *s);	/* commits and syncs if it can */

/* *ret_sequence is the record's LSN. Acknowledge it only after sutra_engine_commit (in the log) or after the
 * next sync (on disk). SUTRA_E_FULL while the log cannot be written. */
int sutra_engine_put(struct sutra_engine *s, const struct sutra_concept *r, uint64_t *ret_sequence,
		    struct sutra_err *err);
/* Between read_begin and read_end what the reader gets is valid, and the writer's changes wait. What the writer
 * gets is valid until its next call that changes the store, also after read_end. Embeddings are aligned to
 * 16 bytes. Without a second thread read_begin and read_end may be left out. */
void sutra_engine_read_begin(struct sutra_engine *s);
void sutra_engine_read_end(struct sutra_engine *s);
bool sutra_engine_get(struct sutra_engine *s, const char *id, size_t id_len, struct sutra_concept *ret);
int sutra_engine_delete(struct sutra_engine *s, const char *id, size_t id_len, bool *ret_found,
		       struct sutra_err *err);
int sutra_engine_clear(struct sutra_engine *s, uint64_t *ret_n, struct sutra_err *err);
/* Writes the changes since the last commit as one frame. On failure they are undone: readers see what the log
 * holds. */
int sutra_engine_commit(struct sutra_engine *s, struct sutra_err *err);
/* Commits and syncs on the caller's thread. */
int sutra_engine_flush(struct sutra_engine *s, struct sutra_err *err);
/* A descriptor for fdatasync on any thread; sync_end gets its result and closes it. SUTRA_NOTHING_TO_SYNC: all
 * commits are on disk; -1: no descriptor is free, try again; SUTRA_SYNC_HAS_FAILED: unsynced commits may be
 * lost. After a failed sync (here, in a flush or in a rewriting) every write is SUTRA_E_READONLY until the
 * ticks have written all of the memory to disk again. */
enum { SUTRA_NOTHING_TO_SYNC = -2, SUTRA_SYNC_HAS_FAILED = -3 };
int sutra_engine_sync_begin(struct sutra_engine *s);
int sutra_engine_sync_end(struct sutra_engine *s, int fd, int sync_errno, struct sutra_err *err);
/* A step of the background work: expiry and, unless a commit is due, rewriting the log. Call it about 10 times
 * a second. */
void sutra_engine_tick(struct sutra_engine *s);
void sutra_engine_stats(struct sutra_engine *s, struct sutra_engine_stats *ret);

#endif
