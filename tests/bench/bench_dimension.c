/*
 * bench_dimension - what a smaller dimension costs a model, measured: over the texts of a file
 * (tests/data/texts_medium.json unless named), every text's vector at each dimension, made
 * as the services make them, against the native one.
 *
 *   rank correlation   Spearman's, over the cosines of all pairs of texts (ties share ranks)
 *   top-10 overlap     of each text's 10 nearest others natively, the share that stays; mean
 *
 * The figures of lib/hub/modelstore.c come from here. No time is measured.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/jsonio.h"
#include "model/quality.h"

enum { MAX_TEXTS = 2048, TOP = 10, MAX_FILE = 64 << 20 };

static void die(const char *what)
{
	fprintf(stderr, "bench_dimension: %s\n", what);
	exit(1);
}

/* Pooled vectors [n][width], not normalised. */
static float *encode(const struct sutra_model *m, const json_t *texts, size_t n)
{
	const json_t **list = xalloc(n * sizeof(*list));
	float *out = xalloc(n * m->dimension * sizeof(*out));
	struct sutra_err err;

	for (size_t i = 0; i < n; i++)
		list[i] = json_array_get(texts, i);
	if (sutra_quality_encode(m, list, n, out, &err))
		die(err.message);
	sutra_free(list);
	return out;
}

/* Cosines of all pairs at one dimension, as a full matrix [n][n]. */
static float *cosines(const float *pooled, size_t n, size_t width, size_t dimension, enum sutra_mrl mrl)
{
	float *v = xalloc(n * dimension * sizeof(*v)), *c = xalloc(n * n * sizeof(*c));

	for (size_t i = 0; i < n; i++)
		sutra_matryoshka(pooled + i * width, width, dimension, mrl, true, v + i * dimension);
	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < n; j++) {
			double sum = 0;

			for (size_t k = 0; k < dimension; k++)
				sum += (double)v[i * dimension + k] * (double)v[j * dimension + k];
			c[i * n + j] = (float)sum;
		}
	}
	sutra_free(v);
	return c;
}

/* The cosines of the pairs i < j. */
static double *pairs_of(const float *c, size_t n, size_t *ret_pairs)
{
	double *p = xalloc(n * (n - 1) / 2 * sizeof(*p));
	size_t m = 0;

	for (size_t i = 0; i < n; i++)
		for (size_t j = i + 1; j < n; j++)
			p[m++] = (double)c[i * n + j];
	*ret_pairs = m;
	return p;
}

/* The indices of the TOP nearest of text i, itself left out. */
static void nearest(const float *c, size_t n, size_t i, size_t top[TOP])
{
	size_t have = 0;

	for (size_t j = 0; j < n; j++) {
		size_t at = have;

		if (j == i || (have == TOP && c[i * n + j] <= c[i * n + top[TOP - 1]]))
			continue;
		if (have == TOP)
			at = TOP - 1;
		else
			have++;
		for (; at && c[i * n + j] > c[i * n + top[at - 1]]; at--)
			top[at] = top[at - 1];
		top[at] = j;
	}
}

static double overlap(const float *a, const float *b, size_t n)
{
	size_t x[TOP], y[TOP], same = 0;

	for (size_t i = 0; i < n; i++) {
		nearest(a, n, i, x);
		nearest(b, n, i, y);
		for (size_t j = 0; j < TOP; j++)
			for (size_t k = 0; k < TOP; k++)
				same += x[j] == y[k];
	}
	return (double)same / (double)(n * TOP);
}

static void report(const struct sutra_model *m, const float *pooled, size_t n)
{
	size_t dims[SUTRA_MRL_MAX_DIMS], n_dims = sutra_matryoshka_dims(m->dimension, dims), pairs;
	float *native = cosines(pooled, n, m->dimension, m->dimension, m->mrl), *small;
	double *want = pairs_of(native, n, &pairs), *got, correlation;
	struct sutra_err err;

	printf("%-10s %16s %15s   %zu texts, %zu pairs\n", "dimension", "rank correlation", "top-10 overlap", n,
	       pairs);
	for (size_t i = 0; i < n_dims; i++) {
		small = cosines(pooled, n, m->dimension, dims[i], m->mrl);
		got = pairs_of(small, n, &pairs);
		if (sutra_rank_correlation(want, got, pairs, &correlation, &err))
			die(err.message);
		printf("%-10zu %16.4f %15.4f\n", dims[i], correlation, overlap(native, small, n));
		sutra_free(got);
		sutra_free(small);
	}
	sutra_free(want);
	sutra_free(native);
}

int main(int argc, char **argv)
{
	const char *file = argc > 1 ? argv[1] : "tests/data/texts_medium.json";
	char *folder = sutra_model_folder(getenv("MODEL_PATH"), getenv("SUTRA_MODEL"));
	struct sutra_model *m;
	struct sutra_err err;
	const json_t *texts;
	json_t *root;
	float *pooled;
	size_t n;

	if (!folder || sutra_model_open(folder, NULL, &m, &err))
		die(folder ? err.message : "out of memory");
	if (sutra_json_read(file, MAX_FILE, &root, &err))
		die(err.message);
	texts = json_object_get(root, "texts");
	n = json_array_size(texts) < MAX_TEXTS ? json_array_size(texts) : MAX_TEXTS;
	if (n <= TOP)
		die("the file has no \"texts\", or too few");
	pooled = encode(m, texts, n);
	printf("%s, %s\n", m->name, file);
	report(m, pooled, n);
	sutra_free(pooled);
	json_decref(root);
	sutra_model_close(m);
	sutra_free(folder);
	return 0;
}
