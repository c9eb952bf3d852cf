/*
 * wal - the storage engine's write-ahead log: segments of checksummed frames.
 *
 * A frame is one group commit. Append copies a record into the pending frame; commit writes the frame; sync
 * makes everything written durable. One thread appends and commits; sync may run on another. wal.c and
 * sutra-log(5) describe the format, wal_segment.c the order of segments, wal_scan.c how damage is read.
 */
#ifndef SUTRA_STORE_WAL_H
#define SUTRA_STORE_WAL_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum sutra_log_record { SUTRA_LOG_PUT = 1, SUTRA_LOG_DELETE = 2, SUTRA_LOG_CLEAR = 3 };

enum { SUTRA_WAL_DAMAGES = 16 };	/* places that a report names; it counts all */
#define SUTRA_WAL_UNKNOWN UINT64_MAX

struct sutra_wal;

/* A range that could not be read. */
struct sutra_wal_damage {
	uint64_t segment, at, bytes;	/* segment 0: the manifest */
	uint64_t first_lsn, records;	/* the first lost LSN; number of lost records or SUTRA_WAL_UNKNOWN */
	const char *what;
};

/* Where the log is continued, for sutra_wal_open. */
struct sutra_wal_end {
	uint64_t store, first_segment, first_lsn, next_segment, before, next_lsn;
};

/* What reading a folder of segments found. */
struct sutra_wal_report {
	uint64_t segments, frames, records, bytes;
	uint64_t torn_bytes;	/* behind the last whole frame: a write that a crash interrupted */
	uint64_t damaged_ranges, damaged_bytes, missing_segments;	/* skipped */
	uint64_t lost_records;	/* in them: puts, deletes or clears that were acknowledged */
	int lost_more;		/* and an unknown number besides */
	uint64_t hashed;	/* bytes that were hashed: the cost of the replay */
	struct sutra_wal_damage damages[SUTRA_WAL_DAMAGES];
	struct sutra_wal_end end;
};

/* Called for each whole record in order; a non-zero result ends the replay with that code. body is valid
 * during the call. */
typedef int sutra_wal_each(void *user, uint64_t lsn, enum sutra_log_record type, const void *body,
			   size_t n);

/* Reads every segment of the folder (there may be none) and changes nothing. */
int sutra_wal_replay(const char *dir, sutra_wal_each *each, void *user, struct sutra_wal_report *ret,
		     struct sutra_err *err);
/* "000003.wal at 81920: checksum, 120 bytes; 3 records are lost (LSN 7-9)" */
void sutra_wal_damage_text(const struct sutra_wal_damage *d, char *out, size_t size);
/* Opens a new segment for writing behind what a replay has just read. */
int sutra_wal_open(const char *dir, const struct sutra_wal_end *end, struct sutra_wal **ret,
		   struct sutra_err *err);
/* Drops the pending frame. If the sync succeeds, the manifest says where the log ends. */
void sutra_wal_close(struct sutra_wal *w);
/* Adds a record to the pending frame; *ret_lsn is its number. */
int sutra_wal_append(struct sutra_wal *w, enum sutra_log_record type, const void *body, size_t n,
		     uint64_t *ret_lsn, struct sutra_err *err);
/* Writes the pending frame, if there is one. On failure (SUTRA_E_FULL, SUTRA_E_IO) the frame is removed from
 * the file and dropped; the log can continue when there is room. */
int sutra_wal_commit(struct sutra_wal *w, struct sutra_err *err);
void sutra_wal_abandon(struct sutra_wal *w);	/* drops the pending frame unwritten */
/* fdatasync. After a failure every later sync of the segment fails too. */
int sutra_wal_sync(struct sutra_wal *w, struct sutra_err *err);
/* Whether a sync of the current segment has failed, or a refused frame is still in it. Only sutra_wal_rotate
 * ends this state; the contents of the older segments are in doubt then. */
int sutra_wal_is_broken(const struct sutra_wal *w);
/* A second descriptor of the current segment, for fdatasync on another thread; -1: none is free. */
int sutra_wal_open_again(const struct sutra_wal *w);
uint64_t sutra_wal_bytes(const struct sutra_wal *w);	/* of all segments; any thread */
/* Starts a new segment and returns its number. The caller appends what is live to it and later ones; then
 * sutra_wal_drop_before(number) removes the older ones. */
int sutra_wal_rotate(struct sutra_wal *w, uint64_t *ret_segment, struct sutra_err *err);
int sutra_wal_drop_before(struct sutra_wal *w, uint64_t segment, struct sutra_err *err);

#endif
