#include "model/packed.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/alloc.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/str.h"

#define MAGIC "SUTRAPK1"

enum { HEADER = 4096 };

struct header {
	char magic[8];
	uint8_t key[SUTRA_SHA256_LEN];
	double notes[2];
	uint64_t bytes, blocks_sum, sum;
};
_Static_assert(sizeof(struct header) == 80, "as packed.h has it");

struct sutra_packed {
	const struct header *header;
	size_t size;			/* of the mapping */
};

static uint64_t sum_of(const struct header *h) { return XXH3_64bits(h, offsetof(struct header, sum)); }

/* What is wrong with a mapped file of `size` bytes; NULL: nothing. */
static const char *fault(const struct header *h, size_t size, const char *key)
{
	uint8_t digest[SUTRA_SHA256_LEN];

	if (size < HEADER || memcmp(h->magic, MAGIC, sizeof(h->magic)))
		return "not a file of packed weights";
	if (h->sum != sum_of(h) || h->bytes != size - HEADER)
		return "damaged";
	sutra_sha256(key, strlen(key), digest);
	if (memcmp(digest, h->key, sizeof(digest)))
		return "of other weights, or packed otherwise";
	if (h->blocks_sum != XXH3_64bits((const char *)h + HEADER, h->bytes))
		return "damaged";
	return NULL;
}

int sutra_packed_open(const char *path, const char *key, struct sutra_packed **ret,
		      struct sutra_err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), rc = 0;
	struct sutra_packed *p = NULL;
	void *map = MAP_FAILED;
	const char *wrong;
	struct stat st;

	if (fd < 0 && errno == ENOENT)
		return sutra_fail(err, SUTRA_E_NOTFOUND, "no %s", path);
	if (fd < 0 || fstat(fd, &st)) {
		rc = sutra_fail_errno(err, "cannot read %s", path);
		goto out;
	}
	if (st.st_size)
		map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	wrong = map == MAP_FAILED ? "not a file of packed weights" :
				    fault(map, (size_t)st.st_size, key);
	if (wrong) {
		rc = sutra_fail(err, SUTRA_E_CORRUPT, "%s is %s", path, wrong);
		goto out;
	}
	p = sutra_calloc(1, sizeof(*p));
	if (!p) {
		rc = sutra_fail(err, SUTRA_E_NOMEM, "out of memory");
		goto out;
	}
	p->header = map;
	p->size = (size_t)st.st_size;
	*ret = p;
out:
	if (rc && map != MAP_FAILED)
		munmap(map, (size_t)st.st_size);
	if (fd >= 0)
		close(fd);
	return rc;
}

void sutra_packed_free(struct sutra_packed *p)
{
	if (!p)
		return;
	munmap((void *)(uintptr_t)p->header, p->size);
	sutra_free(p);
}

const void *sutra_packed_blocks(const struct sutra_packed *p, size_t *ret_bytes)
{
	*ret_bytes = p->header->bytes;
	return (const char *)p->header + HEADER;
}

const double *sutra_packed_notes(const struct sutra_packed *p) { return p->header->notes; }

int sutra_packed_write(const char *path, const char *key, const double notes[2],
		       const struct sutra_encoder *e, struct sutra_err *err)
{
	union {
		struct header h;
		char page[HEADER];
	} head = { .h = { .magic = MAGIC, .notes = { notes[0], notes[1] } } };
	size_t n = sutra_encoder_packed_count(e);
	struct iovec *parts = sutra_calloc(n + 1, sizeof(*parts));
	XXH3_state_t *sum = XXH3_createState();
	int rc;

	if (!parts || !sum) {
		rc = sutra_fail(err, SUTRA_E_NOMEM, "out of memory");
		goto out;
	}
	XXH3_64bits_reset(sum);
	for (size_t i = 0; i < n; i++) {
		const void *block = sutra_encoder_packed(e, i, &parts[i + 1].iov_len);

		parts[i + 1].iov_base = (void *)(uintptr_t)block;
		XXH3_64bits_update(sum, block, parts[i + 1].iov_len);
		head.h.bytes += parts[i + 1].iov_len;
	}
	sutra_sha256(key, strlen(key), head.h.key);
	head.h.blocks_sum = XXH3_64bits_digest(sum);
	head.h.sum = sum_of(&head.h);
	parts[0] = (struct iovec){ &head, sizeof(head) };
	rc = sutra_file_write_parts(path, parts, n + 1, 0644, err);
out:
	XXH3_freeState(sum);
	sutra_free(parts);
	return rc;
}

void sutra_packed_clear(const char *folder, const char *stem, const char *path)
{
	const char *kept = strrchr(path, '/') + 1;
	DIR *d = opendir(folder);
	struct dirent *e;

	while (d && (e = readdir(d))) {
		const char *rest = sutra_str_starts(e->d_name, stem) ? e->d_name + strlen(stem) : "";

		if ((!strcmp(rest, ".bin") || (*rest == '-' && sutra_str_ends(rest, ".bin"))) &&
		    strcmp(e->d_name, kept))
			unlinkat(dirfd(d), e->d_name, 0);
	}
	if (d)
		closedir(d);
}
