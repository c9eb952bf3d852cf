/*
 * The log is a folder of segments 000001.wal, 000002.wal, ... and a manifest. All numbers little-endian.
 *
 * Segment header, 128 bytes: these 64, twice.
 *	0  8	magic "SUTRAWAL"
 *	8  4	version, 2
 *	12 4	length of the header, 128
 *	16 8	salt, random for each segment
 *	24 8	store, random for each folder
 *	32 8	number of the segment
 *	40 8	LSN of its first record
 *	48 8	check of the last frame before it (the salt of a segment without frames); 0: none
 *	56 8	XXH3-64 of bytes 0-55
 *
 * Frame (one group commit), header 48 bytes, then the payload, back to back:
 *	0  4	magic 0x4d415246 ("FRAM")
 *	4  4	payload length in bytes
 *	8  8	LSN of the first record
 *	16 4	number of records
 *	20 4	zero
 *	24 8	check of the frame before it in the segment (the salt for the first)
 *	32 8	XXH3-64, seeded with the salt, of the payload
 *	40 8	check: XXH3-64, seeded with the salt, of bytes 0-39
 *
 * Record: u8 type, 3 zero bytes, u32 body length, body. LSNs count records, without gaps: those of a refused
 * frame are used again.
 *
 * A frame is valid when its magic, lengths and both checks agree and bytes 24-31 are the check of the frame
 * before it. The salt rejects bytes of a deleted file, and content that looks like a frame; the header has its
 * own check, so it can be checked without the payload; the chain of checks shows a lost frame, and through the
 * segments' headers a lost end. Version 1 had 32 bytes of segment header without store, number and chain, and
 * one check over header and payload; it is read, never written, and disappears with the next rewriting.
 *
 * What a crash leaves: writes go to the end of one file in order, so the last frame may be incomplete. A
 * restarted process does not append to an old segment: it starts a new one, whose header names the last whole
 * frame. So bytes of a torn write behind that frame need not be cut off. wal_segment.c says which segments
 * make up a log, wal_scan.c what is damage.
 *
 * A failed fdatasync may have dropped pages and marked them clean (Rebello et al., ATC 2020): the segment is
 * not synced again, and the engine writes its memory to a new one.
 *
 * Rejected: one file that is rewritten in place (a crash during the rewriting loses good data); a checksum for
 * each record (eight bytes for sixty, and a group commit is the unit anyway).
 */
#include "store/wal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/digest.h"
#include "base/file.h"
#include "store/wal_segment.h"

enum { SEGMENT_BYTES = 64 << 20 };

struct sutra_wal {
	char *dir;
	int fd;
	struct wal_head head;	/* of the segment */
	struct wal_manifest manifest;
	uint64_t chain, next_lsn;
	_Atomic uint64_t offset, old_bytes;	/* for sutra_wal_bytes on another thread */
	uint64_t kept_lsn;	/* first LSN of the segment that the last rotate began */
	struct sutra_buf pending;	/* a frame: room for its header, then records */
	uint32_t pending_records;
	int broken;	/* a sync of this segment has failed, or a refused frame is in it */
};

static int open_segment(struct sutra_wal *w, uint64_t number, struct sutra_err *err)
{
	struct wal_head head = { 2, WAL_HEAD, 0, w->manifest.store, number,
				 w->next_lsn - w->pending_records, w->chain };
	struct wal_manifest m = w->manifest;
	uint8_t bytes[WAL_HEAD];
	char path[WAL_PATH];
	int fd, rc;

	sutra_random(&head.salt, sizeof(head.salt));
	sutra_wal_head_write(&head, bytes);
	sutra_wal_segment_path(w->dir, number, path);
	m.last = number;
	m.end = m.end_lsn = 0;
	rc = sutra_file_write(path, bytes, sizeof(bytes), 0600, err);
	if (!rc && sutra_wal_sync_folder(w->dir))
		rc = sutra_fail_errno(err, "cannot sync the folder %s", w->dir);
	rc = rc ? rc : sutra_wal_manifest_write(w->dir, &m, err);
	if (rc)
		return rc;
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return sutra_fail_errno(err, "cannot open %s", path);
	if (w->fd >= 0) {
		w->old_bytes += w->offset;
		close(w->fd);
	}
	w->fd = fd;
	w->head = head;
	w->manifest = m;
	w->chain = head.salt;
	w->offset = WAL_HEAD;
	w->broken = 0;	/* a new descriptor, nothing unsynced behind it */
	return 0;
}

static void pending_clear(struct sutra_wal *w)
{
	sutra_buf_clear(&w->pending);
	w->pending_records = 0;
	if (sutra_buf_reserve(&w->pending, WAL_FRAME_HEAD))
		sutra_buf_added(&w->pending, WAL_FRAME_HEAD);
}

/* Drops the pending frame; its LSNs are used again. */
static void pending_drop(struct sutra_wal *w)
{
	w->next_lsn -= w->pending_records;
	pending_clear(w);
}

/* Syncs a segment of an earlier process: the header of the new segment will name its last frame. */
static int sync_segment(const char *dir, uint64_t number, struct sutra_err *err)
{
	char path[WAL_PATH];
	int fd, rc = 0;

	sutra_wal_segment_path(dir, number, path);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : sutra_fail_errno(err, "cannot open %s", path);
	if (fdatasync(fd))
		rc = sutra_fail_errno(err, "cannot sync %s", path);
	close(fd);
	return rc;
}

/* Sums up the older segments, and removes those that a rewriting has replaced. */
static int count_old(struct sutra_wal *w, uint64_t current, struct sutra_err *err)
{
	struct wal_file *list = NULL;
	char path[WAL_PATH];
	size_t n = 0;
	int rc = sutra_wal_list(w->dir, &list, &n, err);

	w->old_bytes = 0;
	for (size_t i = 0; i < n; i++) {
		sutra_wal_segment_path(w->dir, list[i].name, path);
		if (list[i].name == current || (list[i].name < w->manifest.first && !unlink(path)))
			continue;
		w->old_bytes += list[i].bytes;
	}
	sutra_free(list);
	return rc;
}

int sutra_wal_open(const char *dir, const struct sutra_wal_end *end, struct sutra_wal **ret,
		   struct sutra_err *err)
{
	struct sutra_wal *w = sutra_calloc(1, sizeof(*w));
	int rc = 0;

	if (!w || !(w->dir = sutra_strdup(dir))) {
		sutra_free(w);
		return sutra_fail(err, SUTRA_E_NOMEM, "out of memory for the log");
	}
	w->fd = -1;
	w->next_lsn = end->next_lsn;
	w->chain = end->before;
	w->manifest = (struct wal_manifest){ .store = end->store, .first = end->first_segment,
					     .first_lsn = end->first_lsn };
	if (!end->store) {	/* a new log, or one of version 1 */
		sutra_random(&w->manifest.store, sizeof(w->manifest.store));
		w->manifest.first_lsn = end->next_lsn == 1;
	}
	sutra_buf_init(&w->pending, WAL_MAX_PAYLOAD + WAL_FRAME_HEAD);
	pending_clear(w);
	if (end->next_segment > 1)
		rc = sync_segment(dir, end->next_segment - 1, err);
	rc = rc ? rc : open_segment(w, end->next_segment, err);
	rc = rc ? rc : count_old(w, end->next_segment, err);
	if (rc) {
		w->broken = 1;
		sutra_wal_close(w);
	} else {
		*ret = w;
	}
	return rc;
}

void sutra_wal_close(struct sutra_wal *w)
{
	if (!w)
		return;
	pending_drop(w);
	if (w->fd >= 0 && !w->broken && !fdatasync(w->fd)) {
		w->manifest.end = w->chain;
		w->manifest.end_lsn = w->next_lsn;
		sutra_wal_manifest_write(w->dir, &w->manifest, NULL);
	}
	if (w->fd >= 0)
		close(w->fd);
	sutra_buf_release(&w->pending);
	sutra_free(w->dir);
	sutra_free(w);
}

int sutra_wal_append(struct sutra_wal *w, enum sutra_log_record type, const void *body, size_t n,
		     uint64_t *ret_lsn, struct sutra_err *err)
{
	uint8_t head[WAL_RECORD_HEAD] = { (uint8_t)type };
	size_t before = w->pending.len;

	put32(head + 4, (uint32_t)n);
	sutra_buf_add(&w->pending, head, sizeof(head));
	sutra_buf_add(&w->pending, body, n);
	if (sutra_buf_error(&w->pending)) {
		int rc = w->pending.error;

		w->pending.error = 0;
		w->pending.len = before;
		return sutra_fail(err, rc, "the record does not fit into the log's frame");
	}
	w->pending_records++;
	*ret_lsn = w->next_lsn++;
	return 0;
}

static int write_all(int fd, const char *p, size_t n, off_t at)
{
	while (n) {
		ssize_t w = pwrite(fd, p, n, at);

		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0)
			return -1;
		p += w;
		n -= (size_t)w;
		at += w;
	}
	return 0;
}

int sutra_wal_commit(struct sutra_wal *w, struct sutra_err *err)
{
	struct wal_frame f = { .payload = w->pending.len - WAL_FRAME_HEAD, .records = w->pending_records };
	size_t n = w->pending.len;
	uint64_t check;
	int rc;

	if (!w->pending_records)
		return 0;
	if (w->offset + n > SEGMENT_BYTES && w->offset > WAL_HEAD &&
	    (rc = sutra_wal_sync(w, err) ? SUTRA_E_IO : open_segment(w, w->head.number + 1, err))) {
		pending_drop(w);
		return rc;
	}
	f.lsn = w->next_lsn - w->pending_records;
	f.before = w->chain;
	check = sutra_wal_frame_write(&w->head, &f, (uint8_t *)w->pending.data);
	if (write_all(w->fd, w->pending.data, n, (off_t)w->offset)) {
		rc = sutra_fail_errno(err, "cannot write the log");
		if (ftruncate(w->fd, (off_t)w->offset))
			w->broken = 1;
		pending_drop(w);
		return rc;
	}
	w->chain = check;
	w->offset += n;
	pending_clear(w);
	return 0;
}

int sutra_wal_sync(struct sutra_wal *w, struct sutra_err *err)
{
	if (w->broken)
		return sutra_fail(err, SUTRA_E_IO, "the log's segment %llu is in doubt since a failure",
				  (unsigned long long)w->head.number);
	if (!fdatasync(w->fd))
		return 0;
	w->broken = 1;
	return sutra_fail_errno(err, "the log could not be synced");
}

int sutra_wal_is_broken(const struct sutra_wal *w) { return w->broken; }
void sutra_wal_abandon(struct sutra_wal *w) { pending_drop(w); }

/* Not a dup: the kernel reports a write-back error once to each open file, and both must get it. */
int sutra_wal_open_again(const struct sutra_wal *w)
{
	char path[WAL_PATH];

	sutra_wal_segment_path(w->dir, w->head.number, path);
	return open(path, O_WRONLY | O_CLOEXEC);
}

uint64_t sutra_wal_bytes(const struct sutra_wal *w) { return w->old_bytes + w->offset; }

int sutra_wal_rotate(struct sutra_wal *w, uint64_t *ret_segment, struct sutra_err *err)
{
	int rc = open_segment(w, w->head.number + 1, err);

	if (!rc) {
		w->kept_lsn = w->head.first_lsn;
		*ret_segment = w->head.number;
	}
	return rc;
}

int sutra_wal_drop_before(struct sutra_wal *w, uint64_t segment, struct sutra_err *err)
{
	struct wal_manifest m = w->manifest;
	int rc;

	m.first = segment;
	m.first_lsn = w->kept_lsn;
	rc = sutra_wal_manifest_write(w->dir, &m, err);
	if (rc)
		return rc;
	w->manifest = m;
	return count_old(w, w->head.number, err);
}
