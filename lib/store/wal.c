/*
 * The log is a folder of segments 000001.wal, 000002.wal, ... All numbers little-endian.
 *
 * Segment header, 32 bytes:
 *	0  8	magic "SUTRAWAL"
 *	8  4	version, 1
 *	12 4	zero
 *	16 8	salt, random for each segment
 *	24 8	XXH3-64 of bytes 0-23
 *
 * Frame (one group commit), header 40 bytes, then the payload, back to back:
 *	0  4	magic 0x4d415246 ("FRAM")
 *	4  4	payload length in bytes
 *	8  8	LSN of the first record
 *	16 4	number of records
 *	20 4	zero
 *	24 8	check value of the frame before it in the segment (the salt for the first)
 *	32 8	XXH3-64, seeded with the salt, of bytes 0-31 and the payload
 *
 * Record: u8 type, 3 zero bytes, u32 body length, body. LSNs count records.
 *
 * A frame is valid when its magic, length and check agree and bytes 24-31 name the frame before it. The
 * salt keeps bytes of an older life of the file from passing; the chain shows a lost frame.
 *
 * What a crash leaves: writes go to the end of one file in order, so the last frame may be there in
 * part. Reading stops at the first bad frame of the last segment with nothing valid behind it:
 * that is the torn tail; nobody was told "durable" about it, and it is cut off. A bad frame with a
 * valid one behind it (searched for byte by byte: magic, then check) is damage: the range is passed
 * over, counted and named, and reading goes on behind it. For a cache a lost entry is a miss; the
 * engine's main role will refuse instead.
 *
 * A segment is never appended to by a second process life: opening starts a new one, so that a
 * torn tail stays the tail of its file. A failed fdatasync may have dropped pages and marked them
 * clean (Rebello et al., ATC 2020): the segment is not synced again, and the engine writes what it
 * holds anew into another.
 *
 * Rejected: one file that is rewritten in place (a crash in the middle loses what was good);
 * a checksum for each record (eight bytes on sixty, and a group commit is the unit anyway).
 */
#include "store/wal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#define XXH_STATIC_LINKING_ONLY	/* XXH3_state_t on the stack */
#include <xxhash.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/digest.h"

enum {
	SEGMENT_HEAD = 32,
	FRAME_HEAD = 40,
	RECORD_HEAD = 8,
	FRAME_MAGIC = 0x4d415246,
	VERSION = 1,
	MAX_PAYLOAD = 64 << 20,
	SEGMENT_BYTES = 64 << 20,
	PATH_ROOM = 4096,
};

struct sutra_wal {
	char *dir;
	int fd;
	uint64_t segment, first_segment, salt, chain, offset, next_lsn, old_bytes;
	struct sutra_buf pending;	/* a frame: header room, then records */
	uint32_t pending_records;
	int broken;	/* a sync of this segment has failed, or a refused frame is in it */
};

static uint32_t get32(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint64_t get64(const uint8_t *p) { return get32(p) | (uint64_t)get32(p + 4) << 32; }

static void put32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

static void put64(uint8_t *p, uint64_t v)
{
	put32(p, (uint32_t)v);
	put32(p + 4, (uint32_t)(v >> 32));
}

static void segment_path(const char *dir, uint64_t number, char out[PATH_ROOM])
{
	snprintf(out, PATH_ROOM, "%s/%06llu.wal", dir, (unsigned long long)number);
}

static uint64_t frame_check(const uint8_t *frame, size_t payload, uint64_t salt)
{
	XXH3_state_t state;	/* on the stack: no allocation that could fail */

	XXH3_INITSTATE(&state);	/* else a seed left on the stack passes for one whose secret is made */
	XXH3_64bits_reset_withSeed(&state, salt);
	XXH3_64bits_update(&state, frame, 32);
	XXH3_64bits_update(&state, frame + FRAME_HEAD, payload);
	return XXH3_64bits_digest(&state);
}

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Numbers of the segments, ascending; *ret is the caller's. */
static int list_segments(const char *dir, uint64_t **ret, size_t *ret_n, struct sutra_err *err)
{
	DIR *d = opendir(dir);
	uint64_t *list = NULL;
	struct dirent *e;
	size_t n = 0;

	if (!d)
		return sutra_fail_errno(err, "cannot read the folder %s", dir);
	while ((e = readdir(d))) {
		unsigned long long number;
		uint64_t *grown;
		int end = 0;

		if (sscanf(e->d_name, "%llu.wal%n", &number, &end) != 1 || !end || e->d_name[end])
			continue;
		grown = sutra_realloc_array(list, n + 1, sizeof(*list));
		if (!grown) {
			sutra_free(list);
			closedir(d);
			return sutra_fail(err, SUTRA_E_NOMEM, "out of memory");
		}
		list = grown;
		list[n++] = number;
	}
	closedir(d);
	if (n)
		qsort(list, n, sizeof(*list), by_number);
	*ret = list;
	*ret_n = n;
	return 0;
}

/* Whether a valid frame stands at p; chain NULL: whatever came before it. */
static int frame_at(const uint8_t *p, size_t n, uint64_t salt, const uint64_t *chain, size_t *ret_payload)
{
	size_t payload;

	if (n < FRAME_HEAD || get32(p) != FRAME_MAGIC)
		return 0;
	payload = get32(p + 4);
	if (payload > MAX_PAYLOAD || payload > n - FRAME_HEAD || (chain && get64(p + 24) != *chain) ||
	    get64(p + 32) != frame_check(p, payload, salt))
		return 0;
	*ret_payload = payload;
	return 1;
}

struct replay {
	sutra_wal_each *each;
	void *user;
	struct sutra_wal_report *report;
};

static int replay_frame(struct replay *r, const uint8_t *frame, size_t payload)
{
	const uint8_t *p = frame + FRAME_HEAD, *end = p + payload;
	uint64_t lsn = get64(frame + 8);
	uint32_t left = get32(frame + 16);
	int rc = 0;

	for (; left && !rc && end - p >= RECORD_HEAD; left--, lsn++) {
		size_t n = get32(p + 4);

		if (n > (size_t)(end - p) - RECORD_HEAD)
			break;	/* its writer never made this; the check agreed, so only a bug could */
		if (r->each)
			rc = r->each(r->user, lsn, (enum sutra_log_record)p[0], p + RECORD_HEAD, n);
		p += RECORD_HEAD + n;
		r->report->records++;
	}
	r->report->frames++;
	return rc;
}

static void note_damage(struct replay *r, const char *path, size_t at, size_t bytes, const char *what)
{
	const char *slash = strrchr(path, '/');

	if (!r->report->damaged_ranges++)
		snprintf(r->report->first_damage, sizeof(r->report->first_damage), "%.60s at %zu: %s",
			 slash ? slash + 1 : path, at, what);
	r->report->damaged_bytes += bytes;
}

/* The next valid frame behind a bad place, or n. */
static size_t find_next(const uint8_t *p, size_t at, size_t n, uint64_t salt)
{
	size_t payload;

	for (at++; at + FRAME_HEAD <= n; at++)
		if (p[at] == 'F' && frame_at(p + at, n - at, salt, NULL, &payload))
			return at;
	return n;
}

/* *ret_good: where the last whole frame ends, when what follows is a torn tail. */
static int replay_bytes(struct replay *r, const char *path, const uint8_t *p, size_t n, int is_last,
			size_t *ret_good)
{
	uint64_t salt, chain;
	size_t at = SEGMENT_HEAD;

	*ret_good = n;
	if (n < SEGMENT_HEAD || memcmp(p, "SUTRAWAL", 8) != 0 || get32(p + 8) != VERSION ||
	    get64(p + 24) != XXH3_64bits(p, 24)) {
		if (is_last && n < SEGMENT_HEAD) {
			r->report->torn_bytes += n;
			*ret_good = 0;
		} else {
			note_damage(r, path, 0, n, "segment header");
		}
		return 0;
	}
	salt = chain = get64(p + 16);
	while (at < n) {
		size_t payload, next;
		int rc;

		if (frame_at(p + at, n - at, salt, &chain, &payload)) {
			rc = replay_frame(r, p + at, payload);
			if (rc)
				return rc;
			chain = get64(p + at + 32);
			at += FRAME_HEAD + payload;
			continue;
		}
		next = find_next(p, at - 1, n, salt);
		if (next == n && is_last) {
			r->report->torn_bytes += n - at;
			*ret_good = at;
			return 0;
		}
		note_damage(r, path, at, next - at, next == at ? "a frame is missing before it" : "checksum");
		if (next < n)
			chain = get64(p + next + 24);
		at = next;
	}
	return 0;
}

static int replay_segment(struct replay *r, const char *path, int is_last, int repair,
			  struct sutra_err *err)
{
	int fd = open(path, (repair ? O_RDWR : O_RDONLY) | O_CLOEXEC), rc;
	uint8_t *p = NULL;
	struct stat st;
	size_t good;

	if (fd < 0 || fstat(fd, &st)) {
		rc = sutra_fail_errno(err, "cannot open %s", path);
		goto out;
	}
	if (st.st_size) {
		p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
		if (p == MAP_FAILED) {
			p = NULL;
			rc = sutra_fail_errno(err, "cannot map %s", path);
			goto out;
		}
		madvise(p, (size_t)st.st_size, MADV_SEQUENTIAL);
	}
	r->report->segments++;
	r->report->bytes += (uint64_t)st.st_size;
	rc = replay_bytes(r, path, p, (size_t)st.st_size, is_last, &good);
	if (!rc && repair && good < (size_t)st.st_size && (ftruncate(fd, (off_t)good) || fdatasync(fd)))
		rc = sutra_fail_errno(err, "cannot cut the torn end off %s", path);
	else if (rc)
		rc = sutra_fail(err, rc, "%s cannot be replayed: %s", path, sutra_err_text(rc));
out:
	if (p)
		munmap(p, (size_t)st.st_size);
	if (fd >= 0)
		close(fd);
	return rc;
}

int sutra_wal_replay(const char *dir, int repair, sutra_wal_each *each, void *user,
		     struct sutra_wal_report *ret, struct sutra_err *err)
{
	struct replay r = { each, user, ret };
	char path[PATH_ROOM];
	uint64_t *list = NULL;
	size_t n = 0;
	int rc;

	*ret = (struct sutra_wal_report){ 0 };
	rc = list_segments(dir, &list, &n, err);
	for (size_t i = 0; i < n && !rc; i++) {
		segment_path(dir, list[i], path);
		rc = replay_segment(&r, path, i + 1 == n, repair, err);
	}
	sutra_free(list);
	return rc;
}

static int sync_folder(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc;

	if (fd < 0)
		return -1;
	rc = fsync(fd);
	close(fd);
	return rc;
}

static int open_segment(struct sutra_wal *w, uint64_t number, struct sutra_err *err)
{
	uint8_t head[SEGMENT_HEAD] = "SUTRAWAL";
	char path[PATH_ROOM];
	uint64_t salt;
	int fd;

	segment_path(w->dir, number, path);
	sutra_random(&salt, sizeof(salt));
	put32(head + 8, VERSION);
	put64(head + 16, salt);
	put64(head + 24, XXH3_64bits(head, 24));
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return sutra_fail_errno(err, "cannot create %s", path);
	if (write(fd, head, sizeof(head)) != sizeof(head) || fdatasync(fd) || sync_folder(w->dir)) {
		int rc = sutra_fail_errno(err, "cannot begin %s", path);

		close(fd);
		unlink(path);
		return rc;
	}
	if (w->fd >= 0) {
		w->old_bytes += w->offset;
		close(w->fd);
	}
	w->fd = fd;
	w->segment = number;
	w->salt = w->chain = salt;
	w->offset = SEGMENT_HEAD;
	w->broken = 0;	/* a new descriptor, nothing unsynced behind it */
	return 0;
}

static void pending_clear(struct sutra_wal *w)
{
	char *head;

	sutra_buf_clear(&w->pending);
	w->pending_records = 0;
	head = sutra_buf_reserve(&w->pending, FRAME_HEAD);
	if (head) {
		memset(head, 0, FRAME_HEAD);
		sutra_buf_added(&w->pending, FRAME_HEAD);
	}
}

int sutra_wal_open(const char *dir, uint64_t next_lsn, struct sutra_wal **ret, struct sutra_err *err)
{
	struct sutra_wal *w = sutra_calloc(1, sizeof(*w));
	uint64_t *list = NULL;
	size_t n = 0;
	int rc;

	if (!w || !(w->dir = sutra_strdup(dir))) {
		sutra_free(w);
		return sutra_fail(err, SUTRA_E_NOMEM, "out of memory for the log");
	}
	w->fd = -1;
	w->next_lsn = next_lsn;
	sutra_buf_init(&w->pending, MAX_PAYLOAD + FRAME_HEAD);
	pending_clear(w);
	rc = list_segments(dir, &list, &n, err);
	for (size_t i = 0; i < n && !rc; i++) {
		char path[PATH_ROOM];
		struct stat st;

		segment_path(dir, list[i], path);
		if (stat(path, &st))
			continue;
		/* One that a start left without a record is no use to the next. */
		if (st.st_size <= SEGMENT_HEAD && !unlink(path))
			continue;
		w->old_bytes += (uint64_t)st.st_size;
	}
	w->first_segment = n ? list[0] : 1;
	rc = rc ? rc : open_segment(w, n ? list[n - 1] + 1 : 1, err);
	sutra_free(list);
	if (rc)
		sutra_wal_close(w);
	else
		*ret = w;
	return rc;
}

void sutra_wal_close(struct sutra_wal *w)
{
	if (!w)
		return;
	if (w->fd >= 0)
		close(w->fd);
	sutra_buf_release(&w->pending);
	sutra_free(w->dir);
	sutra_free(w);
}

int sutra_wal_append(struct sutra_wal *w, enum sutra_log_record type, const void *body, size_t n,
		     uint64_t *ret_lsn, struct sutra_err *err)
{
	uint8_t head[RECORD_HEAD] = { (uint8_t)type };
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
	uint8_t *frame = (uint8_t *)w->pending.data;
	size_t n = w->pending.len;
	int rc;

	if (!w->pending_records)
		return 0;
	if (w->offset + n > SEGMENT_BYTES && w->offset > SEGMENT_HEAD &&
	    (rc = sutra_wal_sync(w, err) ? SUTRA_E_IO : open_segment(w, w->segment + 1, err))) {
		pending_clear(w);
		return rc;
	}
	put32(frame, FRAME_MAGIC);
	put32(frame + 4, (uint32_t)(n - FRAME_HEAD));
	put64(frame + 8, w->next_lsn - w->pending_records);
	put32(frame + 16, w->pending_records);
	put64(frame + 24, w->chain);
	put64(frame + 32, frame_check(frame, n - FRAME_HEAD, w->salt));
	if (write_all(w->fd, w->pending.data, n, (off_t)w->offset)) {
		rc = sutra_fail_errno(err, "cannot write the log");
		if (ftruncate(w->fd, (off_t)w->offset))
			w->broken = 1;
		pending_clear(w);
		return rc;
	}
	w->chain = get64(frame + 32);
	w->offset += n;
	pending_clear(w);
	return 0;
}

int sutra_wal_sync(struct sutra_wal *w, struct sutra_err *err)
{
	if (w->broken)
		return sutra_fail(err, SUTRA_E_IO, "the log's segment %llu is in doubt since a failure",
				  (unsigned long long)w->segment);
	if (!fdatasync(w->fd))
		return 0;
	w->broken = 1;
	return sutra_fail_errno(err, "the log could not be synced");
}

int sutra_wal_is_broken(const struct sutra_wal *w) { return w->broken; }
void sutra_wal_abandon(struct sutra_wal *w) { pending_clear(w); }

/* Not a dup: the kernel tells a write-back error once to each open file, and both must hear of it. */
int sutra_wal_open_again(const struct sutra_wal *w)
{
	char path[PATH_ROOM];

	segment_path(w->dir, w->segment, path);
	return open(path, O_WRONLY | O_CLOEXEC);
}

uint64_t sutra_wal_bytes(const struct sutra_wal *w) { return w->old_bytes + w->offset; }

int sutra_wal_rotate(struct sutra_wal *w, uint64_t *ret_segment, struct sutra_err *err)
{
	int rc = open_segment(w, w->segment + 1, err);

	if (!rc)
		*ret_segment = w->segment;
	return rc;
}

int sutra_wal_drop_before(struct sutra_wal *w, uint64_t segment, struct sutra_err *err)
{
	for (; w->first_segment < segment; w->first_segment++) {
		char path[PATH_ROOM];
		struct stat st;

		segment_path(w->dir, w->first_segment, path);
		if (stat(path, &st))
			continue;
		if (unlink(path))
			return sutra_fail_errno(err, "cannot remove %s", path);
		w->old_bytes -= (uint64_t)st.st_size < w->old_bytes ? (uint64_t)st.st_size : w->old_bytes;
	}
	return sync_folder(w->dir) ? sutra_fail_errno(err, "cannot sync the folder %s", w->dir) : 0;
}
