#include "model/precision.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "vector/onednn.h"
#include "model/encoder/sample.h"

/* Part of the key of packed weights: to be changed with how they, or the cosines kept with them, are
 * computed. */
#define PACKING "3"

enum { KEY_MAX = 1024 };

struct maker {
	const struct sutra_encoder_source *source;
	struct sutra_encoder *exact;	/* in fp32, once it was needed */
	float *wanted;			/* its vectors of the sample, [SUTRA_SAMPLE_TEXTS][hidden] */
	float *magnitude;			/* from sutra_encoder_watch */
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

/* Vectors of the sample, [SUTRA_SAMPLE_TEXTS][hidden]. Every other short text is watched, when magnitude
 * is not NULL. */
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

/* Makes the encoder in fp32, its vectors and its magnitudes; once. */
static int make_exact(struct maker *m)
{
	struct sutra_encoder_options o = { .max_tokens = m->source->max_tokens };
	int rc;

	if (m->exact)
		return 0;
	rc = sutra_encoder_new(m->source->weights, m->source->config, &o, &m->exact, m->err);
	if (rc)
		return rc;
	m->wanted = sutra_calloc(SUTRA_SAMPLE_TEXTS * m->source->config->hidden, sizeof(float));
	m->magnitude = sutra_calloc(sutra_encoder_magnitudes(m->exact), sizeof(float));
	if (!m->wanted || !m->magnitude)
		return sutra_fail(m->err, SUTRA_E_NOMEM, "out of memory");
	return embed_sample(m, m->exact, m->magnitude, m->wanted);
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

/* notes: the least and the mean cosine of e's vectors to those of fp32. */
static int compare(const struct maker *m, const struct sutra_encoder *e, double notes[2])
{
	size_t h = m->source->config->hidden;
	float *got = sutra_calloc(SUTRA_SAMPLE_TEXTS * h, sizeof(*got));
	int rc = got ? embed_sample(m, e, NULL, got) :
		       sutra_fail(m->err, SUTRA_E_NOMEM, "out of memory");

	notes[0] = 1;
	notes[1] = 0;
	for (size_t i = 0; !rc && i < SUTRA_SAMPLE_TEXTS; i++) {
		double c = cosine(got + i * h, m->wanted + i * h, h);

		notes[0] = fmin(notes[0], c);
		notes[1] += c / SUTRA_SAMPLE_TEXTS;
	}
	sutra_free(got);
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
		 m->source->tokens_by);
}

/* NULL when there is no folder, or no memory: then nothing is kept. */
static char *packed_path(const struct maker *m, enum sutra_precision p)
{
	char layout[SUTRA_GEMM_LAYOUT_MAX];

	sutra_gemm_layout(layout);
	return m->source->folder ? sutra_asprintf("%s/packed-%s-%s.bin", m->source->folder,
						  sutra_precision_name(p), layout) :
				   NULL;
}

/* Removes what other versions of this program packed for this oneDNN and processor: what follows these in
 * a layout's name is the version's choice. Files of another oneDNN or processor may be a replica's in an
 * image or on another machine, and stay. */
static void clear_packed(const struct maker *m, enum sutra_precision p, const char *path)
{
	char onednn[SUTRA_ONEDNN_LAYOUT_MAX], stem[SUTRA_ONEDNN_LAYOUT_MAX + 16];

	sutra_onednn_layout(onednn);
	snprintf(stem, sizeof(stem), "packed-%s-%s", sutra_precision_name(p), onednn);
	sutra_packed_clear(m->source->folder, stem, path);
}

/* The encoder of a file of packed weights; an error of any kind means that it has to be made. */
static int open_packed(const struct maker *m, enum sutra_precision p, const char *path,
		       const char *key, struct sutra_encoder **ret, struct sutra_packed **ret_packed)
{
	struct sutra_encoder_options o = { .max_tokens = m->source->max_tokens, .precision = p };
	struct sutra_packed *packed;
	struct sutra_err ignored;
	int rc = sutra_packed_open(path, key, &packed, &ignored);

	if (rc)
		return rc;
	o.packed = sutra_packed_blocks(packed, &o.packed_bytes);
	rc = sutra_encoder_new(m->source->weights, m->source->config, &o, ret, &ignored);
	if (rc) {
		sutra_packed_free(packed);
		return rc;
	}
	m->report->cosine_min = sutra_packed_notes(packed)[0];
	m->report->cosine_mean = sutra_packed_notes(packed)[1];
	m->report->mapped = true;
	*ret_packed = packed;
	return 0;
}

/* Packs, measures, and keeps the result; what was kept is then used, so that its pages are shared. */
static int make_packed(struct maker *m, enum sutra_precision p, const char *path, const char *key,
		       struct sutra_encoder **ret, struct sutra_packed **ret_packed)
{
	struct sutra_encoder_options o = { .max_tokens = m->source->max_tokens, .precision = p };
	struct sutra_encoder *made = NULL, *mapped;
	double notes[2] = { 1, 1 };
	struct sutra_err unkept;
	int rc = p == SUTRA_FP32 ? 0 : make_exact(m);

	o.magnitude = m->magnitude;
	if (!rc)
		rc = sutra_encoder_new(m->source->weights, m->source->config, &o, &made, m->err);
	if (!rc && p != SUTRA_FP32)
		rc = compare(m, made, notes);
	if (rc) {
		sutra_encoder_free(made);
		return rc;
	}
	*ret = made;
	m->report->cosine_min = notes[0];
	m->report->cosine_mean = notes[1];
	if (!path)
		return 0;
	if (sutra_packed_write(path, key, notes, made, &unkept)) {
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

/* The fastest first. */
static int open_best(struct maker *m, struct sutra_encoder **ret, struct sutra_packed **ret_packed)
{
	static const enum sutra_precision order[] = { SUTRA_INT8, SUTRA_BF16 };
	struct sutra_precision_report *r = m->report;
	double floor = m->source->floor;
	size_t n = 0;
	int rc;

	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		const char *name = sutra_precision_name(order[i]);

		if (!sutra_precision_is_native(order[i])) {
			n += (size_t)snprintf(r->why + n, sizeof(r->why) - n,
					      "the processor has no instructions for %s; ", name);
			continue;
		}
		rc = open_precision(m, order[i], ret, ret_packed);
		if (rc == SUTRA_E_INVALID) {	/* what is wrong with the weights, fp32 says again */
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
	} else if (asked == SUTRA_BF16 && !sutra_precision_is_native(asked)) {
		rc = sutra_fail(err, SUTRA_E_INVALID,
				"the processor has no instructions for bf16 (AVX512_BF16 or AMX); "
				"take auto, fp32 or int8");
	} else {
		snprintf(report->why, sizeof(report->why), "it was asked for");
		rc = open_precision(&m, asked, &e, &packed);
	}
	sutra_encoder_free(m.exact);
	sutra_free(m.wanted);
	sutra_free(m.magnitude);
	if (rc)
		return rc;
	*ret = e;
	*ret_packed = packed;
	return 0;
}
