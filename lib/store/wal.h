/*
 * wal - the storage engine's write-ahead log: segments of checksummed frames.
 *
 * A frame is one group commit. Append copies a record into the pending frame; commit writes
 * the frame; sync makes everything written durable. One thread appends and commits; sync may run
 * on another. The format, the validity rule and what a crash leaves stand in wal.c and
 * sutra-log(5).
 */
#ifndef SUTRA_STORE_WAL_H
#define SUTRA_STORE_WAL_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum sutra_log_record { SUTRA_LOG_PUT = 1, SUTRA_LOG_DELETE = 2, SUTRA_LOG_CLEAR = 3 };

struct sutra_wal;

/* What reading a folder of segments found. */
struct sutra_wal_report {
	uint64_t segments, frames, records, bytes;
	uint64_t torn_bytes;		/* behind the last whole frame of the last segment: cut off */
	uint64_t damaged_ranges, damaged_bytes;	/* in the middle: passed over */
	char first_damage[128];		/* "000003.wal at 81920: checksum" */
};

/* Called for each whole record in order; non-zero ends the replay with that code. body lives
 * during the call. */
typedef int sutra_wal_each(void *user, uint64_t lsn, enum sutra_log_record type, const void *body,
			   size_t n);

/* Reads every segment of the folder (none is fine). repair: the torn tail is cut off the file. */
int sutra_wal_replay(const char *dir, int repair, sutra_wal_each *each, void *user,
		     struct sutra_wal_report *ret, struct sutra_err *err);
/* Opens for writing behind what is there, in a new segment; next_lsn is the first to be given. */
int sutra_wal_open(const char *dir, uint64_t next_lsn, struct sutra_wal **ret, struct sutra_err *err);
void sutra_wal_close(struct sutra_wal *w);	/* without commit or sync */
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
uint64_t sutra_wal_bytes(const struct sutra_wal *w);	/* of all segments */
/* Starts a new segment now and returns its number: what is live is appended to it and later
 * ones, then sutra_wal_drop_before(number) removes the older ones. */
int sutra_wal_rotate(struct sutra_wal *w, uint64_t *ret_segment, struct sutra_err *err);
int sutra_wal_drop_before(struct sutra_wal *w, uint64_t segment, struct sutra_err *err);

#endif
