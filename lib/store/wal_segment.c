/*
 * Which files make up a log, and in what order.
 *
 * A segment's head has its store, its number, its first LSN and the check of the last frame before it. It is
 * written twice, so that one bad sector does not cost 64 MiB. The order of the segments is that of these
 * numbers, not of the files' names: a renamed segment is read, and reported.
 *
 * The manifest, a file of 72 bytes beside them, has the numbers of the first and the last segment, because a
 * segment missing at either end leaves no other trace.
 *	0  8	magic "SUTRAMAN"
 *	8  4	version, 1
 *	12 4	zero
 *	16 8	store
 *	24 8	first segment: earlier ones were rewritten and are not read
 *	32 8	last segment
 *	40 8	check of the last frame when the log was closed; 0: it is in use
 *	48 8	the next LSN then
 *	56 8	first LSN of the first segment; 0: unknown
 *	64 8	XXH3-64 of bytes 0-63
 *
 * Files are replaced by rename only, and a new segment gets its first frame after the manifest has its number.
 * So a crash leaves a segment without frames behind the manifest's last one (its number is used again), a
 * first segment without a manifest, or segments before the first (removed at the next start). Anything else is
 * damage.
 *
 * Version 1 had no manifest, and a head of magic, version, zero, salt and check (32 bytes). Its segments are
 * ordered by name, and gaps are allowed, because a start removed empty ones.
 */
#include "store/wal_segment.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#define XXH_STATIC_LINKING_ONLY	/* XXH3_state_t on the stack */
#include <xxhash.h>

#include "base/alloc.h"
#include "base/file.h"

enum { HEAD_1 = 32, FRAME_HEAD_1 = 40, COPY = 64, MANIFEST = 72, FRAME_MAGIC = 0x4d415246 };

void sutra_wal_segment_path(const char *dir, uint64_t number, char out[WAL_PATH])
{
	snprintf(out, WAL_PATH, "%s/%06llu.wal", dir, (unsigned long long)number);
}

void sutra_wal_head_write(const struct wal_head *h, uint8_t out[WAL_HEAD])
{
	memset(out, 0, COPY);
	memcpy(out, "SUTRAWAL", 8);
	put32(out + 8, 2);
	put32(out + 12, WAL_HEAD);
	put64(out + 16, h->salt);
	put64(out + 24, h->store);
	put64(out + 32, h->number);
	put64(out + 40, h->first_lsn);
	put64(out + 48, h->before);
	put64(out + 56, XXH3_64bits(out, 56));
	memcpy(out + COPY, out, COPY);
}

static int read_copy(const uint8_t *p, struct wal_head *ret)
{
	if (memcmp(p, "SUTRAWAL", 8) != 0 || get32(p + 8) != 2 || get64(p + 56) != XXH3_64bits(p, 56) ||
	    get32(p + 12) != WAL_HEAD || !get64(p + 32) || get64(p + 32) > WAL_MAX_NUMBER)
		return 0;
	*ret = (struct wal_head){ 2, WAL_HEAD, get64(p + 16), get64(p + 24), get64(p + 32), get64(p + 40),
				  get64(p + 48) };
	return 1;
}

static void read_head(const uint8_t *p, size_t n, struct wal_file *f)
{
	f->head = (struct wal_head){ .number = f->name };
	if (n == WAL_HEAD && read_copy(p, &f->head))
		f->is_damaged = memcmp(p, p + COPY, COPY) != 0;
	else if (n == WAL_HEAD && read_copy(p + COPY, &f->head))
		f->is_damaged = 1;
	else if (n >= HEAD_1 && !memcmp(p, "SUTRAWAL", 8) && get32(p + 8) == 1 &&
		 get64(p + 24) == XXH3_64bits(p, 24))
		f->head = (struct wal_head){ 1, HEAD_1, get64(p + 16), 0, f->name, 0, 0 };
}

int sutra_wal_frame_read(const struct wal_head *h, const uint8_t *p, size_t n, struct wal_frame *ret)
{
	struct wal_frame f = { .head = h->version == 1 ? FRAME_HEAD_1 : WAL_FRAME_HEAD };

	if (n < f.head || get32(p) != FRAME_MAGIC)
		return 0;
	f.payload = get32(p + 4);
	f.lsn = get64(p + 8);
	f.records = get32(p + 16);
	f.before = get64(p + 24);
	f.payload_check = get64(p + 32);
	f.check = h->version == 1 ? f.payload_check : get64(p + 40);
	if (f.payload > WAL_MAX_PAYLOAD || f.payload > n - f.head ||
	    f.records > f.payload / WAL_RECORD_HEAD ||
	    (h->version != 1 && f.check != XXH3_64bits_withSeed(p, 40, h->salt)))
		return 0;
	*ret = f;
	return 1;
}

uint64_t sutra_wal_payload_check(const struct wal_head *h, const uint8_t *frame, const struct wal_frame *f)
{
	XXH3_state_t state;	/* on the stack: no allocation that could fail */

	if (h->version != 1)
		return XXH3_64bits_withSeed(frame + f->head, f->payload, h->salt);
	XXH3_INITSTATE(&state);	/* else reset may take a seed left on the stack for the current one */
	XXH3_64bits_reset_withSeed(&state, h->salt);
	XXH3_64bits_update(&state, frame, 32);
	XXH3_64bits_update(&state, frame + f->head, f->payload);
	return XXH3_64bits_digest(&state);
}

uint64_t sutra_wal_frame_write(const struct wal_head *h, const struct wal_frame *f, uint8_t *frame)
{
	uint64_t check;

	memset(frame, 0, WAL_FRAME_HEAD);
	put32(frame, FRAME_MAGIC);
	put32(frame + 4, (uint32_t)f->payload);
	put64(frame + 8, f->lsn);
	put32(frame + 16, f->records);
	put64(frame + 24, f->before);
	put64(frame + 32, XXH3_64bits_withSeed(frame + WAL_FRAME_HEAD, f->payload, h->salt));
	check = XXH3_64bits_withSeed(frame, 40, h->salt);
	put64(frame + 40, check);
	return check;
}

static int by_order(const void *a, const void *b)
{
	const struct wal_file *x = a, *y = b;

	if (x->head.number != y->head.number)
		return x->head.number < y->head.number ? -1 : 1;
	return x->name < y->name ? -1 : x->name > y->name;
}

/* The number in a segment's name; 0: it is no segment. */
static uint64_t number_of(const char *name)
{
	unsigned long long number;
	char again[32];

	if (sscanf(name, "%llu.wal", &number) != 1 || number > WAL_MAX_NUMBER)
		return 0;
	snprintf(again, sizeof(again), "%06llu.wal", number);
	return strcmp(again, name) ? 0 : number;
}

/* O_NONBLOCK: a FIFO of that name must not block. */
static int read_file(const char *dir, struct wal_file *f, struct sutra_err *err)
{
	uint8_t head[WAL_HEAD];
	char path[WAL_PATH];
	struct stat st;
	ssize_t n = 0;
	int fd, rc = 0;

	sutra_wal_segment_path(dir, f->name, path);
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) || (n = pread(fd, head, sizeof(head), 0)) < 0)
		rc = sutra_fail_errno(err, "cannot read %s", path);
	if (fd >= 0)
		close(fd);
	if (rc)
		return rc;
	f->bytes = (uint64_t)st.st_size;
	read_head(head, (size_t)n, f);
	return 0;
}

int sutra_wal_list(const char *dir, struct wal_file **ret, size_t *ret_n, struct sutra_err *err)
{
	DIR *d = opendir(dir);
	struct wal_file *list = NULL;
	struct dirent *e;
	size_t n = 0;
	int rc = 0;

	if (!d)
		return sutra_fail_errno(err, "cannot read the folder %s", dir);
	while (!rc && (e = readdir(d))) {
		struct wal_file f = { .name = number_of(e->d_name) }, *grown;

		if (!f.name)
			continue;
		grown = sutra_realloc_array(list, n + 1, sizeof(*list));
		if (grown)
			list = grown;
		rc = grown ? read_file(dir, &f, err) : sutra_fail(err, SUTRA_E_NOMEM, "out of memory");
		if (!rc)
			list[n++] = f;
	}
	closedir(d);
	if (rc) {
		sutra_free(list);
		return rc;
	}
	if (n)
		qsort(list, n, sizeof(*list), by_order);
	*ret = list;
	*ret_n = n;
	return 0;
}

int sutra_wal_manifest_read(const char *dir, struct wal_manifest *ret)
{
	char path[WAL_PATH], *text;
	const uint8_t *p;
	struct stat st;
	size_t n;
	int rc;

	snprintf(path, sizeof(path), "%s/manifest", dir);
	if (!stat(path, &st) && !S_ISREG(st.st_mode))	/* a FIFO would block */
		return SUTRA_E_INVALID;
	rc = sutra_file_read(path, MANIFEST, &text, &n, NULL);
	if (rc)
		return rc == SUTRA_E_TOOBIG ? SUTRA_E_CORRUPT : rc;
	p = (const uint8_t *)text;
	if (n != MANIFEST || memcmp(p, "SUTRAMAN", 8) != 0 || get32(p + 8) != 1 ||
	    get64(p + 64) != XXH3_64bits(p, 64) || get64(p + 32) > WAL_MAX_NUMBER)
		rc = SUTRA_E_CORRUPT;
	else
		*ret = (struct wal_manifest){ get64(p + 16), get64(p + 24), get64(p + 32), get64(p + 40),
					      get64(p + 48), get64(p + 56) };
	sutra_free(text);
	return rc;
}

int sutra_wal_manifest_write(const char *dir, const struct wal_manifest *m, struct sutra_err *err)
{
	uint8_t p[MANIFEST] = "SUTRAMAN";
	char path[WAL_PATH];
	int rc;

	put32(p + 8, 1);
	put64(p + 16, m->store);
	put64(p + 24, m->first);
	put64(p + 32, m->last);
	put64(p + 40, m->end);
	put64(p + 48, m->end_lsn);
	put64(p + 56, m->first_lsn);
	put64(p + 64, XXH3_64bits(p, 64));
	snprintf(path, sizeof(path), "%s/manifest", dir);
	rc = sutra_file_write(path, p, sizeof(p), 0600, err);
	if (!rc && sutra_wal_sync_folder(dir))
		rc = sutra_fail_errno(err, "cannot sync the folder %s", dir);
	return rc;
}

int sutra_wal_sync_folder(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc;

	if (fd < 0)
		return -1;
	rc = fsync(fd);
	close(fd);
	return rc;
}
