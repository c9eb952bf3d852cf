#include <stdio.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/jsonio.h"
#include "base/str.h"
#include "ml_base.h"
#include "model/quality.h"

enum { MAX_PAIRS_FILE = 16 << 20 };

struct survey {
	const struct ml_settings *settings;
	struct sutra_quality_pairs *pairs;
	size_t dims[SUTRA_MRL_MAX_DIMS], n_dims;
	float *reference;	/* pooled vectors [2 n][width] in fp32 */
	json_t *doc, *rows, *missing;
};

static bool chosen(const struct survey *s, size_t dimension)
{
	for (size_t i = 0; i < s->n_dims; i++)
		if (s->dims[i] == dimension)
			return true;
	return false;
}

static int choose_dims(struct survey *s, const struct sutra_model *m, const char *list,
		       struct sutra_err *err)
{
	char allowed[SUTRA_MRL_LIST];
	struct sutra_strv words = { 0 };
	int64_t dimension;
	int rc = 0;

	if (!list) {
		s->n_dims = sutra_matryoshka_dims(m->dimension, s->dims);
		return 0;
	}
	sutra_strv_split(&words, list, ",");
	sutra_matryoshka_list(m->dimension, allowed);
	for (size_t i = 0; !rc && i < words.n; i++) {
		if (sutra_str_int(words.items[i], 1, INT32_MAX, &dimension) ||
		    !sutra_matryoshka_allows(m->dimension, (size_t)dimension) || chosen(s, (size_t)dimension))
			rc = sutra_fail(err, SUTRA_E_USAGE, "dimension \"%.40s\" of \"%.80s\"; %s has %s, each once",
					words.items[i], list, m->name, allowed);
		else
			s->dims[s->n_dims++] = (size_t)dimension;
	}
	if (!rc && !s->n_dims)
		rc = sutra_fail(err, SUTRA_E_USAGE, "no dimension in \"%.80s\"; %s has %s", list, m->name, allowed);
	sutra_strv_release(&words);
	return rc;
}

static int add_row(struct survey *s, const struct sutra_model *m, const float *pooled, size_t dimension, enum sutra_mrl mrl, struct sutra_err *err)
{
	struct sutra_quality q;
	int rc = sutra_quality_measure(s->pairs, pooled, s->reference, m->dimension, dimension, mrl, &q, err);

	if (rc)
		return rc;
	rc = json_array_append_new(
		s->rows, json_pack("{s:s, s:s, s:I, s:f, s:f, s:f, s:f}", "precision",
				   sutra_precision_name(m->precision.precision), "mrl",
				   dimension < m->dimension ? sutra_mrl_name(mrl) : "none", "dimension",
				   (json_int_t)dimension, "spearman", q.spearman, "retrieval_at_10", q.retrieval10,
				   "retrieval_at_1", q.retrieval1, "least_cosine", q.least_cosine));
	return rc ? sutra_fail(err, SUTRA_E_NOMEM, "out of memory") : 0;
}

/* The native dimension is not cut, so both modes are the same there. */
static int add_rows(struct survey *s, const struct sutra_model *m, const float *pooled, struct sutra_err *err)
{
	int rc = 0;

	for (int mrl = SUTRA_MRL_LAYER_NORM; mrl <= SUTRA_MRL_PLAIN; mrl++)
		for (size_t i = 0; !rc && i < s->n_dims; i++)
			if (mrl == SUTRA_MRL_LAYER_NORM || s->dims[i] < m->dimension)
				rc = add_row(s, m, pooled, s->dims[i], (enum sutra_mrl)mrl, err);
	return rc;
}

static int describe(struct survey *s, const struct sutra_model *m, struct sutra_err *err)
{
	s->rows = json_array();
	s->missing = json_object();
	s->doc = json_pack("{s:s, s:s, s:s, s:I, s:b, s:I, s:I, s:o, s:o}", "schema", "sutra.model-quality/1", "model",
			   m->name, "prefix", m->prefix, "dimension", (json_int_t)m->dimension,
			   "matryoshka_trained", m->matryoshka_trained, "pairs", (json_int_t)s->pairs->n, "queries",
			   (json_int_t)s->pairs->queries, "rows", s->rows, "not_available", s->missing);
	return s->doc ? 0 : sutra_fail(err, SUTRA_E_NOMEM, "out of memory");
}

static int survey_model(struct survey *s, const struct sutra_model *m, struct sutra_err *err)
{
	float *pooled = sutra_calloc(2 * s->pairs->n * m->dimension, sizeof(*pooled));
	int rc = pooled ? 0 : sutra_fail(err, SUTRA_E_NOMEM, "out of memory");

	rc = rc ? rc : sutra_quality_encode(m, s->pairs->texts, 2 * s->pairs->n, pooled, err);
	rc = rc ? rc : add_rows(s, m, pooled, err);
	if (!s->reference)
		s->reference = pooled;
	else
		sutra_free(pooled);
	return rc;
}

/* fp32 must open; another precision that does not open is not supported by this processor. */
static int survey_precision(struct survey *s, const char *folder, enum sutra_precision precision,
			    const char *dims, struct sutra_err *err)
{
	const struct sutra_model_options options = { .precision = precision };
	struct sutra_model *m = NULL;
	int rc = sutra_model_open(folder, &options, &m, err);

	if (rc == SUTRA_E_INVALID && precision != SUTRA_FP32)
		return json_object_set_new(s->missing, sutra_precision_name(precision), json_string(err->message)) ?
			       sutra_fail(err, SUTRA_E_NOMEM, "out of memory") : 0;
	rc = rc ? rc : ml_choose_prompt(s->settings, m, err);
	if (!rc && !s->doc)
		rc = choose_dims(s, m, dims, err);
	if (!rc && !s->doc)
		rc = describe(s, m, err);
	rc = rc ? rc : survey_model(s, m, err);
	sutra_model_close(m);
	return rc;
}

static int print(const json_t *doc, struct sutra_err *err)
{
	struct sutra_buf out;
	int rc;

	sutra_buf_init(&out, 1 << 20);
	sutra_json_add(&out, doc, 2);
	rc = puts(sutra_buf_str(&out)) < 0 || fflush(stdout) ?
		     sutra_fail_errno(err, "cannot write to standard output") : 0;
	sutra_buf_release(&out);
	return rc;
}

static int read_pairs(const char *path, struct sutra_quality_pairs **ret, struct sutra_err *err)
{
	char *text = NULL;
	size_t n;
	int rc = sutra_file_read_text(path, MAX_PAIRS_FILE, &text, &n, err);

	if (!rc && (rc = sutra_quality_pairs_parse(text, n, ret, err)))
		sutra_err_prefix(err, "%s", path);
	sutra_free(text);
	return rc;
}

int ml_quality(const struct ml_settings *settings, const char *pairs, const char *dims,
	       struct sutra_err *err)
{
	struct survey s = { .settings = settings };
	char *folder = sutra_model_folder(settings->model_path, settings->model);
	int rc = folder ? 0 : sutra_fail(err, SUTRA_E_NOMEM, "out of memory");

	rc = rc ? rc : read_pairs(pairs, &s.pairs, err);
	for (int p = SUTRA_FP32; !rc && p < SUTRA_PRECISIONS; p++)
		rc = survey_precision(&s, folder, (enum sutra_precision)p, dims, err);
	rc = rc ? rc : print(s.doc, err);
	json_decref(s.doc);
	sutra_quality_pairs_free(s.pairs);
	sutra_free(s.reference);
	sutra_free(folder);
	return rc;
}
