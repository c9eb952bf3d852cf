/*
 * quality - how well a model's vectors agree with human grades of pairs of sentences.
 *
 * A file of pairs is {"pairs": [{"grade": 0 to 5, "first": "...", "second": "..."}, ...]}; other
 * members are ignored. There are two measures, both over the vectors that the services return:
 *
 *   spearman    rank correlation of the pairs' cosines with their grades; ties share ranks
 *   retrieval   the first sentence of every pair graded SUTRA_QUALITY_RELEVANT or more is a query over
 *               the second sentences of all pairs; the share of queries whose own second sentence is
 *               among the 10 nearest (the nearest) by cosine, not counting other second sentences
 *               that are as relevant to the same first sentence
 *
 * Pairs are read-only once made.
 */
#ifndef SUTRA_MODEL_QUALITY_H
#define SUTRA_MODEL_QUALITY_H

#include <jansson.h>
#include <stddef.h>

#include "base/err.h"
#include "vector/matryoshka.h"
#include "model/model.h"

enum { SUTRA_QUALITY_MAX_PAIRS = 5000 };
#define SUTRA_QUALITY_RELEVANT 4.0

struct sutra_quality_pairs {
	size_t n, queries;
	double *grades;		/* [n] */
	const json_t **texts;	/* [2 n]: the first sentences, then the second ones */
	json_t *doc;		/* owns the texts */
};

/* Reads a file's text. SUTRA_E_SYNTAX, SUTRA_E_INVALID name the pair (from 1) and the fault; at least two
 * different grades and one query are required. */
int sutra_quality_pairs_parse(const char *json, size_t n, struct sutra_quality_pairs **ret,
			      struct sutra_err *err);
void sutra_quality_pairs_free(struct sutra_quality_pairs *p);

/* Computes the pooled vectors [n][m->dimension], not normalised, of n JSON strings, each after m->prefix. */
int sutra_quality_encode(const struct sutra_model *m, const json_t *const *texts, size_t n, float *out,
			 struct sutra_err *err);

struct sutra_quality {
	double spearman, retrieval10, retrieval1;
	double least_cosine;	/* between a text's vector and its reference */
};
/* Measures pooled vectors [2 n][native] at a dimension. reference: other pooled vectors of the same texts, for
 * least_cosine; NULL: that is 1. SUTRA_E_NOMEM. */
int sutra_quality_measure(const struct sutra_quality_pairs *p, const float *pooled,
			  const float *reference, size_t native, size_t dimension, enum sutra_mrl mrl,
			  struct sutra_quality *ret, struct sutra_err *err);

/* Spearman's rank correlation of a and b [n]; 0 if one of them is constant. SUTRA_E_NOMEM. */
int sutra_rank_correlation(const double *a, const double *b, size_t n, double *ret,
			   struct sutra_err *err);

#endif
