#include "model/quality.h"

#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/jsonio.h"

enum { MAX_TEXT = 16 << 20 };

static int read_text(const json_t *pair, const char *key, const json_t **ret, struct sutra_err *err)
{
	const json_t *text = json_object_get(pair, key);

	if (!json_string_length(text))
		return sutra_fail(err, SUTRA_E_INVALID, "\"%s\" is %s; it must be a string with a sentence", key,
				  json_is_string(text) ? "empty" : text ? sutra_json_type_name(text) : "missing");
	*ret = text;
	return 0;
}

static int read_pair(struct sutra_quality_pairs *p, size_t i, const json_t *pair, struct sutra_err *err)
{
	double grade = -1;
	int rc = json_is_object(pair) ? sutra_json_get_double(pair, "grade", &grade, err) :
					sutra_fail(err, SUTRA_E_INVALID, "it is %s, not an object",
						   sutra_json_type_name(pair));

	if (!rc && !(grade >= 0 && grade <= 5))
		rc = sutra_fail(err, SUTRA_E_INVALID, "\"grade\" is missing or not 0 to 5");
	if (!rc)
		rc = read_text(pair, "first", &p->texts[i], err);
	if (!rc)
		rc = read_text(pair, "second", &p->texts[p->n + i], err);
	if (rc)
		return err ? sutra_err_prefix(err, "pair %zu", i + 1) : rc;
	p->grades[i] = grade;
	p->queries += grade >= SUTRA_QUALITY_RELEVANT;
	return 0;
}

static int read_pairs(struct sutra_quality_pairs *p, struct sutra_err *err)
{
	const json_t *pairs = json_object_get(p->doc, "pairs");
	bool differ = false;
	int rc = 0;

	p->n = json_array_size(pairs);
	if (p->n < 2 || p->n > SUTRA_QUALITY_MAX_PAIRS)
		return sutra_fail(err, SUTRA_E_INVALID, "\"pairs\" must be a list of 2 to %d; it has %zu",
				  SUTRA_QUALITY_MAX_PAIRS, p->n);
	p->grades = sutra_calloc(p->n, sizeof(*p->grades));
	p->texts = sutra_calloc(2 * p->n, sizeof(*p->texts));
	if (!p->grades || !p->texts)
		return sutra_fail(err, SUTRA_E_NOMEM, "out of memory");
	for (size_t i = 0; !rc && i < p->n; i++) {
		rc = read_pair(p, i, json_array_get(pairs, i), err);
		differ |= !rc && (p->grades[i] < p->grades[0] || p->grades[i] > p->grades[0]);
	}
	if (!rc && !(differ && p->queries))
		rc = sutra_fail(err, SUTRA_E_INVALID, "%s: nothing can be measured",
				differ ? "no pair is graded 4 or more" : "all pairs have the same grade");
	return rc;
}

int sutra_quality_pairs_parse(const char *json, size_t n, struct sutra_quality_pairs **ret,
			      struct sutra_err *err)
{
	struct sutra_quality_pairs *p = sutra_calloc(1, sizeof(*p));
	int rc = p ? sutra_json_parse(json, n, &p->doc, err) : sutra_fail(err, SUTRA_E_NOMEM, "out of memory");

	if (!rc)
		rc = read_pairs(p, err);
	if (rc)
		sutra_quality_pairs_free(p);
	else
		*ret = p;
	return rc;
}

void sutra_quality_pairs_free(struct sutra_quality_pairs *p)
{
	if (!p)
		return;
	json_decref(p->doc);
	sutra_free(p->grades);
	sutra_free(p->texts);
	sutra_free(p);
}

int sutra_quality_encode(const struct sutra_model *m, const json_t *const *texts, size_t n, float *out,
			 struct sutra_err *err)
{
	uint32_t length, *ids = sutra_calloc(m->max_tokens, sizeof(*ids));
	struct sutra_encoder_session *s = NULL;
	struct sutra_buf text;
	int rc = ids ? sutra_encoder_session_new(m->encoder, m->max_tokens, NULL, &s, err) :
		       sutra_fail(err, SUTRA_E_NOMEM, "out of memory");

	sutra_buf_init(&text, MAX_TEXT);
	for (size_t i = 0; !rc && i < n; i++) {
		sutra_buf_clear(&text);
		sutra_buf_adds(&text, m->prefix);
		sutra_buf_add(&text, json_string_value(texts[i]), json_string_length(texts[i]));
		if (sutra_buf_error(&text)) {
			rc = sutra_fail(err, sutra_buf_error(&text), "text %zu has %zu bytes; the limit is %d", i + 1,
					json_string_length(texts[i]), MAX_TEXT);
			break;
		}
		length = (uint32_t)sutra_wordpiece_encode(m->tokenizer, text.data, text.len, ids, m->max_tokens,
							  NULL);
		rc = sutra_encoder_run(s, ids, &length, 1, m->pooling, out + i * m->dimension, err);
	}
	sutra_buf_release(&text);
	sutra_encoder_session_free(s);
	sutra_free(ids);
	return rc;
}

struct ranked {
	double value;
	size_t at;
};

static int by_value(const void *a, const void *b)
{
	double x = ((const struct ranked *)a)->value, y = ((const struct ranked *)b)->value;

	return (x > y) - (x < y);
}

/* Writes the ranks of v [n], from 0; equal values share the mean of their ranks. */
static void rank(const double *v, size_t n, struct ranked *scratch, double *ranks)
{
	for (size_t i = 0; i < n; i++)
		scratch[i] = (struct ranked){ v[i], i };
	qsort(scratch, n, sizeof(*scratch), by_value);
	for (size_t from = 0, end; from < n; from = end) {
		for (end = from + 1; end < n && scratch[end].value <= scratch[from].value;)
			end++;
		for (size_t i = from; i < end; i++)
			ranks[scratch[i].at] = (double)(from + end - 1) / 2;
	}
}

int sutra_rank_correlation(const double *a, const double *b, size_t n, double *ret,
			   struct sutra_err *err)
{
	struct ranked *scratch = sutra_calloc(n, sizeof(*scratch));
	double *x = sutra_calloc(n, sizeof(*x)), *y = sutra_calloc(n, sizeof(*y));
	double mean = ((double)n - 1) / 2, xy = 0, xx = 0, yy = 0;
	int rc = 0;

	if (!scratch || !x || !y) {
		rc = sutra_fail(err, SUTRA_E_NOMEM, "out of memory");
		goto out;
	}
	rank(a, n, scratch, x);
	rank(b, n, scratch, y);
	for (size_t i = 0; i < n; i++) {
		xy += (x[i] - mean) * (y[i] - mean);
		xx += (x[i] - mean) * (x[i] - mean);
		yy += (y[i] - mean) * (y[i] - mean);
	}
	*ret = xx > 0 && yy > 0 ? xy / sqrt(xx * yy) : 0;
out:
	sutra_free(scratch);
	sutra_free(x);
	sutra_free(y);
	return rc;
}

static double dot(const float *a, const float *b, size_t n)
{
	double sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += (double)a[i] * (double)b[i];
	return sum;
}

/* Whether the second sentence of pair j answers the query of pair i. */
static bool relevant(const struct sutra_quality_pairs *p, size_t i, size_t j)
{
	return p->grades[j] >= SUTRA_QUALITY_RELEVANT && json_equal(p->texts[i], p->texts[j]);
}

/* Measures retrieval with unit vectors v [2 n][dimension]. */
static void retrieve(const struct sutra_quality_pairs *p, const float *v, size_t dimension,
		     struct sutra_quality *q)
{
	const float *pool = v + p->n * dimension;
	size_t in10 = 0, in1 = 0;

	for (size_t i = 0; i < p->n; i++) {
		double own = dot(v + i * dimension, pool + i * dimension, dimension);
		size_t nearer = 0;

		if (p->grades[i] < SUTRA_QUALITY_RELEVANT)
			continue;
		for (size_t j = 0; j < p->n && nearer < 10; j++)
			nearer += dot(v + i * dimension, pool + j * dimension, dimension) > own &&
				  !relevant(p, i, j);
		in10 += nearer < 10;
		in1 += !nearer;
	}
	q->retrieval10 = (double)in10 / (double)p->queries;
	q->retrieval1 = (double)in1 / (double)p->queries;
}

int sutra_quality_measure(const struct sutra_quality_pairs *p, const float *pooled,
			  const float *reference, size_t native, size_t dimension, enum sutra_mrl mrl,
			  struct sutra_quality *ret, struct sutra_err *err)
{
	float *v = sutra_calloc(2 * p->n * dimension, sizeof(*v)), *other = sutra_calloc(dimension, sizeof(*other));
	double *cosines = sutra_calloc(p->n, sizeof(*cosines)), cosine;
	struct sutra_quality q = { .least_cosine = 1 };
	int rc = v && other && cosines ? 0 : sutra_fail(err, SUTRA_E_NOMEM, "out of memory");

	for (size_t i = 0; !rc && i < 2 * p->n; i++) {
		sutra_matryoshka(pooled + i * native, native, dimension, mrl, true, v + i * dimension);
		if (!reference)
			continue;
		sutra_matryoshka(reference + i * native, native, dimension, mrl, true, other);
		cosine = dot(v + i * dimension, other, dimension);
		q.least_cosine = cosine < q.least_cosine ? cosine : q.least_cosine;
	}
	for (size_t i = 0; !rc && i < p->n; i++)
		cosines[i] = dot(v + i * dimension, v + (p->n + i) * dimension, dimension);
	if (!rc)
		rc = sutra_rank_correlation(cosines, p->grades, p->n, &q.spearman, err);
	if (!rc) {
		retrieve(p, v, dimension, &q);
		*ret = q;
	}
	sutra_free(v);
	sutra_free(other);
	sutra_free(cosines);
	return rc;
}
