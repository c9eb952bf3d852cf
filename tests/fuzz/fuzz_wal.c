/* A segment of the log, as a file, beside a manifest or none (the first byte says): read for check,
 * then opened as a store, written to, and opened once more. Checks are mended in one of two runs, so that
 * what stands behind them is reached. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "store/engine.h"
#include "store/wal_segment.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char in_memory[] = "/dev/shm/sutra-fuzz-wal-XXXXXX", on_disk[] = "/tmp/sutra-fuzz-wal-XXXXXX";
static char *dir;	/* in memory where there is such a place: on a disk the renames take most of the time */

static void remove_dir(void) { sutra_remove_tree(dir, NULL); }

static bool make_dir(void)
{
	if (!dir && ((dir = mkdtemp(in_memory)) || (dir = mkdtemp(on_disk))))
		atexit(remove_dir);
	return dir;
}

/* In the C library's place: the disk's time would be all that is spent. */
int fsync(int fd) { return 0; }
int fdatasync(int fd) { return 0; }

static void put_file(const char *name, const void *data, size_t size)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (fd < 0 || write(fd, data, size) != (ssize_t)size || close(fd))
		abort();
}

/* The checks of both headers and of the frames that follow each other, made right. */
static void mend(uint8_t *p, size_t n)
{
	struct wal_head h;

	if (n < WAL_HEAD || get32(p + 8) != 2)
		return;
	h = (struct wal_head){ 2, WAL_HEAD, get64(p + 16), get64(p + 24), get64(p + 32), get64(p + 40),
			       get64(p + 48) };
	sutra_wal_head_write(&h, p);
	for (size_t at = WAL_HEAD; at + WAL_FRAME_HEAD <= n && get32(p + at + 4) <= n - at - WAL_FRAME_HEAD;) {
		const struct wal_frame f = { .payload = get32(p + at + 4), .lsn = get64(p + at + 8),
					     .records = get32(p + at + 16), .before = get64(p + at + 24) };

		sutra_wal_frame_write(&h, &f, p + at);
		at += WAL_FRAME_HEAD + f.payload;
	}
}

static struct sutra_engine *open_store(struct sutra_wal_report *ret)
{
	const struct sutra_engine_options o = { .dir = dir, .max_concepts = 8 };
	struct sutra_engine *e;

	if (sutra_engine_open(&o, &e, ret, NULL))
		abort();
	return e;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sutra_wal_report report;
	struct sutra_concept r = { .id = "kept", .id_len = 4, .content = "x", .content_len = 1 };
	struct sutra_engine *e;
	uint64_t sequence;
	uint8_t *copy;
	int how;

	if (size < 2 || !make_dir())
		return 0;
	how = data[0];
	copy = malloc(size);
	if (!copy)
		return 0;
	memcpy(copy, data + 1, --size);
	if (how & 1)
		mend(copy, size);
	sutra_remove_tree(dir, NULL);
	sutra_mkdirs(dir, 0700, NULL);
	if (how & 2 && size >= WAL_HEAD)
		sutra_wal_manifest_write(dir, &(struct wal_manifest){ .store = get64(copy + 24), .first = 1, .last = 1 },
					 NULL);
	put_file("000001.wal", copy, size);
	if (sutra_wal_replay(dir, NULL, NULL, &report, NULL) || report.hashed > 16 * (size + 64))
		abort();
	e = open_store(&report);
	if (!sutra_engine_put(e, &r, &sequence, NULL) && sutra_engine_commit(e, NULL))
		abort();
	sutra_engine_close(e);
	e = open_store(&report);
	if (!sutra_engine_get(e, "kept", 4, &r))	/* whatever stood before it */
		abort();
	sutra_engine_close(e);
	free(copy);
	return 0;
}
