/*
 * gemm - products with packed weights: y = act(x * W^T + b), in fp32, by oneDNN.
 *
 * A plan is compiled for one shape (k inputs, n outputs, activation) and serves every
 * layer of that shape; weights are packed once into the layout the plan wants. Both are
 * read-only afterwards and shared by threads; what a call writes besides y lives in a lane,
 * of which each thread has its own.
 *
 * A row of y depends on its row of x alone, to the last bit: not on how many rows go
 * with it, nor on its place among them (gemm.c says how that is made sure).
 */
#ifndef SUTRA_MODEL_GEMM_H
#define SUTRA_MODEL_GEMM_H

#include <stddef.h>

#include "base/err.h"

enum sutra_activation { SUTRA_ACT_NONE, SUTRA_ACT_GELU };	/* GELU: the erf form */

/* Rows are computed in blocks: x and y must have room for this many rows beyond the last,
 * which are read (any numbers) and written. */
#define SUTRA_GEMM_SPARE_ROWS 64

struct sutra_gemm_plan;
struct sutra_gemm_weights;
struct sutra_gemm_lane;

int sutra_gemm_plan_new(size_t k, size_t n, enum sutra_activation act, struct sutra_gemm_plan **ret,
			struct sutra_err *err);
void sutra_gemm_plan_free(struct sutra_gemm_plan *plan);
/* From w [n][k] row-major and b [n], both copied. */
int sutra_gemm_weights_new(const struct sutra_gemm_plan *plan, const float *w, const float *b,
			   struct sutra_gemm_weights **ret, struct sutra_err *err);
void sutra_gemm_weights_free(struct sutra_gemm_weights *weights);
/* Bytes that the packed weights take. */
size_t sutra_gemm_weights_bytes(const struct sutra_gemm_weights *weights);
int sutra_gemm_lane_new(const struct sutra_gemm_plan *plan, struct sutra_gemm_lane **ret,
			struct sutra_err *err);
void sutra_gemm_lane_free(struct sutra_gemm_lane *lane);

/* y [rows][n] from x [rows][k], both aligned to 64 bytes, with spare rows. */
int sutra_gemm(struct sutra_gemm_lane *lane, const struct sutra_gemm_weights *weights,
	       const float *x, size_t rows, float *y, struct sutra_err *err);

/* The referee: the same from unpacked weights, in plain C, summed in double. */
void sutra_gemm_scalar(const float *x, const float *w, const float *b, size_t rows, size_t k,
		       size_t n, enum sutra_activation act, float *y);

#endif
