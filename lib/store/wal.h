/*
 * wal - the storage engine's write-ahead log: segments of checksummed frames.
 *
 * A frame is one group commit. Append copies a record into the pending frame; commit writes
 * the frame; sync makes everything written durable. One thread appends and commits; sync may run
 * on another. The format stands in wal.c and sutra-log(5), the order of the segments in wal_segment.c, what
 * damage leaves in wal_scan.c.
 */
#ifndef SUTRA_STORE_WAL_H
#define SUTRA_STORE_WAL_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum sutra_log_record { SUTRA_LOG_PUT = 1, SUTRA_LOG_DELETE = 2, SUTRA_LOG_CLEAR = 3 };

enum { SUTRA_WAL_DAMAGES = 16 };	/* that a report names; it counts all */
#define SUTRA_WAL_UNKNOWN UINT64_MAX

struct sutra_wal;

/* A range that could not be read. */
struct sutra_wal_damage {
	uint64_t segment, at, bytes;	/* segment 0: the manifest */
	uint64_t first_lsn, records;	/* lost: how many from which LSN on, or SUTRA_WAL_UNKNOWN */
	const char *what;
};

/* The point at which the log goes on; sutra_wal_open takes it. */
struct sutra_wal_end {
	uint64_t store, first_segment, first_lsn, next_segment, before, next_lsn;
};

/* What reading a folder of segments found. */
struct sutra_wal_report {
	uint64_t segments, frames, records, bytes;
	uint64_t torn_bytes;	/* behind the last whole frame: a write that a crash ended */
	uint64_t damaged_ranges, damaged_bytes, missing_segments;	/* passed over */
	uint64_t lost_records;	/* in them: puts, deletes or clears that were acknowledged */
	int lost_more;		/* and some whose number is not known */
	uint64_t hashed;	/* bytes that were checked: the work of it */
	struct sutra_wal_damage damages[SUTRA_WAL_DAMAGES];
	struct sutra_wal_end end;
};

/* Called for each whole record in order; non-zero ends the replay with that code. body lives
 * during the call. */
typedef int sutra_wal_each(void *user, uint64_t lsn, enum sutra_log_record type, const void *body,
			   size_t n);

/* Reads every segment of the folder (none is fine) and changes nothing. */
int sutra_wal_replay(const char *dir, sutra_wal_each *each, void *user, struct sutra_wal_report *ret,
		     struct sutra_err *err);
/* "000003.wal at 81920: checksum, 120 bytes; 3 records are lost (LSN 7-9)" */
void sutra_wal_damage_text(const struct sutra_wal_damage *d, char *out, size_t size);
/* Opens for writing behind what a replay has just read, in a new segment. */
int sutra_wal_open(const char *dir, const struct sutra_wal_end *end, struct sutra_wal **ret,
		   struct sutra_err *err);
/* Without commit. What is synced is closed in order: the next replay knows where the log ends. */
void sutra_wal_close(struct sutra_wal *w);
/* Adds a record to the pending frame; *ret_lsn is its number. */
int sutra_wal_append(struct sutra_wal *w, enum sutra_log_record type, const void *body, size_t n,
		     uint64_t *ret_lsn, struct sutra_err *err);
/* Writes the pending frame (nothing pending: nothing). On failure (SUTRA_E_FULL, SUTRA_E_IO) the
 * frame is taken off the file again and dropped; the log can go on when there is room. */
int sutra_wal_commit(struct sutra_wal *w, struct sutra_err *err);
void sutra_wal_abandon(struct sutra_wal *w);	/* drops the pending frame unwritten */
/* fdatasync. After a failure the segment is never synced again: every later sync fails too. */
int sutra_wal_sync(struct sutra_wal *w, struct sutra_err *err);
/* Whether a sync of the current segment has failed, or a frame that was refused is still in it. Only
 * sutra_wal_rotate ends it; what the older segments hold is in doubt then. */
int sutra_wal_is_broken(const struct sutra_wal *w);
/* The current segment opened once more, for fdatasync on another thread; -1: none to be had. */
int sutra_wal_open_again(const struct sutra_wal *w);
uint64_t sutra_wal_bytes(const struct sutra_wal *w);	/* of all segments; any thread */
/* Starts a new segment now and returns its number: what is live is appended to it and later
 * ones, then sutra_wal_drop_before(number) removes the older ones. */
int sutra_wal_rotate(struct sutra_wal *w, uint64_t *ret_segment, struct sutra_err *err);
int sutra_wal_drop_before(struct sutra_wal *w, uint64_t segment, struct sutra_err *err);

#endif
