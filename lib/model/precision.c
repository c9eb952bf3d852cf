/*
 * Packed weights are kept on disk, so that a start needs no packing and replicas share pages. A file
 * holds one encoder's products for one layout: a page of header, then the blocks of
 * sutra_encoder_packed end to end, each a multiple of 64 bytes. Little-endian:
 *
 *	0	8	"SUTRAPK1"
 *	8	32	SHA-256 of the key: one line that names everything the blocks depend on
 *	40	16	two doubles, the least and the mean cosine to fp32
 *	56	8	bytes of the blocks
 *	64	8	XXH3 of the blocks
 *	72	8	XXH3 of bytes 0 to 71
 *
 * The file is written under another name and renamed, and used only if key, sizes and sums agree;
 * otherwise the weights are packed again and the file is replaced. A mapped file is never changed in
 * place.
 */
#include "model/precision.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/alloc.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/str.h"
#include "vector/onednn.h"
#include "model/encoder/sample.h"

/* Part of the key of packed weights: change it when they, or the cosines kept with them, are computed in
 * another way. */
#define PACKING "3"
#define MAGIC "SUTRAPK1"

enum { KEY_MAX = 1024, HEADER = 4096 };


struct header {
	char magic[8];
	uint8_t key[SUTRA_SHA256_LEN];
	double cosines[2];
	uint64_t bytes, blocks_sum, sum;
};
_Static_assert(sizeof(struct header) == 80, "as described above");

struct sutra_packed {
	const struct header *header;
	size_t size;			/* of the mapping */
};


struct maker {
	const struct sutra_encoder_source *source;
	struct sutra_encoder *exact;	/* in fp32; NULL until it is needed */
	float *reference;		/* its vectors of the sample, [SUTRA_SAMPLE_TEXTS][hidden] */
	float *magnitude;		/* from sutra_encoder_watch */
	struct sutra_precision_report *report;
	struct sutra_err *err;
};

bool sutra_precision_parse(const char *name, enum sutra_precision *ret)
{
	enum sutra_precision p = 0;

	while (p < SUTRA_PRECISIONS && strcmp(name, sutra_precision_name(p)))
		p++;
	if (p == SUTRA_PRECISIONS && strcmp(name, "auto"))
		return false;
	*ret = p;	/* past the others: SUTRA_AUTO */
	return true;
}

/* Writes the vectors of the sample, [SUTRA_SAMPLE_TEXTS][hidden]. Unless magnitude is NULL, every other short
 * text raises it (sutra_encoder_watch). */
static int embed_sample(const struct maker *m, const struct sutra_encoder *e, float *magnitude,
			float *vectors)
{
	size_t most = m->source->max_tokens;
	uint32_t length, *ids = sutra_calloc(most, sizeof(*ids));
	struct sutra_encoder_session *s = NULL;
	struct sutra_buf text;
	int rc = ids ? sutra_encoder_session_new(e, most, NULL, &s, m->err) :
		       sutra_fail(m->err, SUTRA_E_NOMEM, "out of memory");

	sutra_buf_init(&text, 1 << 16);
	for (size_t i = 0; !rc && i < SUTRA_SAMPLE_TEXTS; i++) {
		sutra_buf_clear(&text);
		sutra_sample_add(&text, i);
		length = (uint32_t)sutra_wordpiece_encode(m->source->tokenizer, sutra_buf_str(&text), text.len,
							  ids, most, NULL);
		sutra_encoder_watch(s, i % 2 || i >= SUTRA_SAMPLE_SHORT ? NULL : magnitude);
		rc = sutra_encoder_run(s, ids, &length, 1, m->source->pooling,
				       vectors + i * m->source->config->hidden, m->err);
	}
	sutra_buf_release(&text);
	sutra_encoder_session_free(s);
	sutra_free(ids);
	return rc;
}

/* Makes the encoder in fp32, the reference vectors and the magnitudes, unless they are there. */
static int make_exact(struct maker *m)
{
	struct sutra_encoder_options o = { .max_tokens = m->source->max_tokens };
	int rc;

	if (m->exact)
		return 0;
	rc = sutra_encoder_new(m->source->weights, m->source->config, &o, &m->exact, m->err);
	if (rc)
		return rc;
	m->reference = sutra_calloc(SUTRA_SAMPLE_TEXTS * m->source->config->hidden, sizeof(float));
	m->magnitude = sutra_calloc(sutra_encoder_magnitudes(m->exact), sizeof(float));
	if (!m->reference || !m->magnitude)
		return sutra_fail(m->err, SUTRA_E_NOMEM, "out of memory");
	return embed_sample(m, m->exact, m->magnitude, m->reference);
}

static double cosine(const float *a, const float *b, size_t n)
{
	double ab = 0, aa = 0, bb = 0;

	for (size_t i = 0; i < n; i++) {
		ab += (double)a[i] * (double)b[i];
		aa += (double)a[i] * (double)a[i];
		bb += (double)b[i] * (double)b[i];
	}
	if (!(aa > 0 && bb > 0))
		return aa == bb;
	return isfinite(ab / sqrt(aa * bb)) ? ab / sqrt(aa * bb) : 0;
}

/* cosines: the least and the mean cosine of e's vectors to those of fp32. */
static int compare(const struct maker *m, const struct sutra_encoder *e, double cosines[2])
{
	size_t h = m->source->config->hidden;
	float *got = sutra_calloc(SUTRA_SAMPLE_TEXTS * h, sizeof(*got));
	int rc = got ? embed_sample(m, e, NULL, got) :
		       sutra_fail(m->err, SUTRA_E_NOMEM, "out of memory");

	cosines[0] = 1;
	cosines[1] = 0;
	for (size_t i = 0; !rc && i < SUTRA_SAMPLE_TEXTS; i++) {
		double c = cosine(got + i * h, m->reference + i * h, h);

		cosines[0] = fmin(cosines[0], c);
		cosines[1] += c / SUTRA_SAMPLE_TEXTS;
	}
	sutra_free(got);
	return rc;
}

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

/* Maps a file. SUTRA_E_NOTFOUND: none there; SUTRA_E_CORRUPT: damaged, or of another key. */
static int map_packed(const char *path, const char *key, struct sutra_packed **ret, struct sutra_err *err)
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

static int write_packed(const char *path, const char *key, const double cosines[2],
			const struct sutra_encoder *e, struct sutra_err *err)
{
	union {
		struct header h;
		char page[HEADER];
	} head = { .h = { .magic = MAGIC, .cosines = { cosines[0], cosines[1] } } };
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

/* Everything that packed weights and their cosines depend on. */
static void make_key(const struct maker *m, enum sutra_precision p, char key[KEY_MAX])
{
	const struct sutra_encoder_config *c = m->source->config;
	char layout[SUTRA_GEMM_LAYOUT_MAX];

	sutra_gemm_layout(layout);
	snprintf(key, KEY_MAX,
		 "packing=" PACKING " " SUTRA_ENCODER_LAYOUT " sample=" SUTRA_SAMPLE_VERSION
		 " precision=%s layout=%s kernels=%s "
		 "weights=%s architecture=%s hidden=%zu layers=%zu heads=%zu inner=%zu eps=%g rotary=%g "
		 "max_tokens=%zu pooling=%d %s",
		 sutra_precision_name(p), layout, sutra_kernels_best()->name, m->source->weights_sha256,
		 sutra_architecture_name(c->architecture), c->hidden, c->layers, c->heads, c->inner,
		 (double)c->eps, (double)c->rotary_base, m->source->max_tokens, (int)m->source->pooling,
		 m->source->tokenizer_key);
}

/* NULL: there is no folder, or no memory; the packed weights are then not kept. */
static char *packed_path(const struct maker *m, enum sutra_precision p)
{
	char layout[SUTRA_GEMM_LAYOUT_MAX];

	sutra_gemm_layout(layout);
	return m->source->folder ? sutra_asprintf("%s/packed-%s-%s.bin", m->source->folder,
						  sutra_precision_name(p), layout) :
				   NULL;
}

/* Removes what other versions of this program packed for this oneDNN and processor: packed-PRECISION-ONEDNN,
 * then nothing or a dash and more, then ".bin", except the file at `path`. Files for another oneDNN or
 * processor stay, since a replica in an image or on another machine may use them. A process that has mapped
 * a file keeps it; what cannot be removed stays. */
static void clear_packed(const struct maker *m, enum sutra_precision p, const char *path)
{
	char onednn[SUTRA_ONEDNN_LAYOUT_MAX], stem[SUTRA_ONEDNN_LAYOUT_MAX + 16];
	const char *kept = strrchr(path, '/') + 1;
	DIR *d = opendir(m->source->folder);
	struct dirent *e;

	sutra_onednn_layout(onednn);
	snprintf(stem, sizeof(stem), "packed-%s-%s", sutra_precision_name(p), onednn);
	while (d && (e = readdir(d))) {
		const char *rest = sutra_str_starts(e->d_name, stem) ? e->d_name + strlen(stem) : "";

		if ((!strcmp(rest, ".bin") || (*rest == '-' && sutra_str_ends(rest, ".bin"))) &&
		    strcmp(e->d_name, kept))
			unlinkat(dirfd(d), e->d_name, 0);
	}
	if (d)
		closedir(d);
}

/* Makes the encoder from a file of packed weights; after any error the weights have to be packed. */
static int open_packed(const struct maker *m, enum sutra_precision p, const char *path,
		       const char *key, struct sutra_encoder **ret, struct sutra_packed **ret_packed)
{
	struct sutra_encoder_options o = { .max_tokens = m->source->max_tokens, .precision = p };
	struct sutra_packed *packed = NULL;
	struct sutra_err ignored;
	int rc = map_packed(path, key, &packed, &ignored);

	if (rc)
		return rc;
	o.packed = (const char *)packed->header + HEADER;
	o.packed_bytes = packed->header->bytes;
	rc = sutra_encoder_new(m->source->weights, m->source->config, &o, ret, &ignored);
	if (rc) {
		sutra_packed_free(packed);
		return rc;
	}
	m->report->cosine_min = packed->header->cosines[0];
	m->report->cosine_mean = packed->header->cosines[1];
	m->report->mapped = true;
	*ret_packed = packed;
	return 0;
}

/* Packs, measures, and writes the file; the mapped file is then used, so that replicas share its pages. */
static int make_packed(struct maker *m, enum sutra_precision p, const char *path, const char *key,
		       struct sutra_encoder **ret, struct sutra_packed **ret_packed)
{
	struct sutra_encoder_options o = { .max_tokens = m->source->max_tokens, .precision = p };
	struct sutra_encoder *made = NULL, *mapped;
	double cosines[2] = { 1, 1 };
	struct sutra_err unkept;
	int rc = p == SUTRA_FP32 ? 0 : make_exact(m);

	o.magnitude = m->magnitude;
	if (!rc)
		rc = sutra_encoder_new(m->source->weights, m->source->config, &o, &made, m->err);
	if (!rc && p != SUTRA_FP32)
		rc = compare(m, made, cosines);
	if (rc) {
		sutra_encoder_free(made);
		return rc;
	}
	*ret = made;
	m->report->cosine_min = cosines[0];
	m->report->cosine_mean = cosines[1];
	if (!path)
		return 0;
	if (write_packed(path, key, cosines, made, &unkept)) {
		snprintf(m->report->unkept, sizeof(m->report->unkept), "%.*s",
			 (int)sizeof(m->report->unkept) - 1, unkept.message);
		return 0;
	}
	clear_packed(m, p, path);
	if (!open_packed(m, p, path, key, &mapped, ret_packed)) {
		sutra_encoder_free(made);
		*ret = mapped;
	}
	return 0;
}

static int open_precision(struct maker *m, enum sutra_precision p, struct sutra_encoder **ret,
			  struct sutra_packed **ret_packed)
{
	char key[KEY_MAX], *path = packed_path(m, p);
	int rc = SUTRA_E_NOTFOUND;

	make_key(m, p, key);
	m->report->precision = p;
	m->report->mapped = false;
	*ret_packed = NULL;
	if (path)
		rc = open_packed(m, p, path, key, ret, ret_packed);
	if (rc)
		rc = make_packed(m, p, path, key, ret, ret_packed);
	sutra_free(path);
	return rc;
}

/* Tries the fastest precision first. */
static int open_best(struct maker *m, struct sutra_encoder **ret, struct sutra_packed **ret_packed)
{
	static const enum sutra_precision order[] = { SUTRA_INT8, SUTRA_BF16 };
	struct sutra_precision_report *r = m->report;
	double floor = m->source->floor;
	size_t n = 0;
	int rc;

	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		const char *name = sutra_precision_name(order[i]);

		if (!sutra_onednn_is_native(order[i])) {
			n += (size_t)snprintf(r->why + n, sizeof(r->why) - n,
					      "the processor has no instructions for %s; ", name);
			continue;
		}
		rc = open_precision(m, order[i], ret, ret_packed);
		if (rc == SUTRA_E_INVALID) {	/* if the weights are wrong, fp32 fails with the same error */
			n += (size_t)snprintf(r->why + n, sizeof(r->why) - n, "no products in %s here; ", name);
			continue;
		}
		if (rc)
			return rc;
		n += (size_t)snprintf(r->why + n, sizeof(r->why) - n,
				      "the least cosine of %s to fp32 is %.4f, %s %.3f", name,
				      r->cosine_min,
				      r->cosine_min >= floor ? "at least" : "below", floor);
		if (r->cosine_min >= floor)
			return 0;
		n += (size_t)snprintf(r->why + n, sizeof(r->why) - n, "; ");
		sutra_encoder_free(*ret);
		sutra_packed_free(*ret_packed);
	}
	snprintf(r->why + n, sizeof(r->why) - n, "so it is fp32");
	return open_precision(m, SUTRA_FP32, ret, ret_packed);
}

int sutra_precision_open(const struct sutra_encoder_source *source, enum sutra_precision asked,
			 struct sutra_encoder **ret, struct sutra_packed **ret_packed,
			 struct sutra_precision_report *report, struct sutra_err *err)
{
	struct maker m = { .source = source, .report = report, .err = err };
	struct sutra_encoder *e = NULL;
	struct sutra_packed *packed = NULL;
	int rc;

	memset(report, 0, sizeof(*report));
	if (asked == SUTRA_AUTO) {
		rc = open_best(&m, &e, &packed);
	} else if (asked == SUTRA_BF16 && !sutra_onednn_is_native(asked)) {
		rc = sutra_fail(err, SUTRA_E_INVALID,
				"the processor has no instructions for bf16 (AVX512_BF16 or AMX); "
				"take auto, fp32 or int8");
	} else {
		snprintf(report->why, sizeof(report->why), "it was asked for");
		rc = open_precision(&m, asked, &e, &packed);
	}
	sutra_encoder_free(m.exact);
	sutra_free(m.reference);
	sutra_free(m.magnitude);
	if (rc)
		return rc;
	*ret = e;
	*ret_packed = packed;
	return 0;
}
