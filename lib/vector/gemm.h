/*
 * gemm - products with packed weights, y = act(x * W^T + b), in three precisions: bytes by vnni.h on
 * AVX-512 VNNI, everything else by onednn.h.
 *
 * fp32: as written. bf16: x and W are rounded to bfloat16, sums are fp32. int8: W in bytes with a scale
 * per output, a row of x in bytes with a scale and a zero point of its own (quantize.h); sums are
 * exact integers. x and y are fp32 in all of them.
 *
 * A plan is compiled for one shape (k inputs, n outputs, activation, precision) and serves every
 * layer of that shape; weights are packed once into the layout the plan wants. Both are
 * read-only afterwards and shared by threads; what a call writes besides y lives in a workspace;
 * each thread has its own.
 *
 * A row of y depends on its row of x alone, to the last bit: not on how many rows go
 * with it, nor on its place among them (onednn.c says how that is made sure).
 */
#ifndef SUTRA_VECTOR_GEMM_H
#define SUTRA_VECTOR_GEMM_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "vector/quantize.h"

enum sutra_activation { SUTRA_ACT_NONE, SUTRA_ACT_GELU };	/* GELU: the erf form */

struct sutra_gemm_plan;
struct sutra_gemm_weights;
struct sutra_gemm_workspace;

/* SUTRA_E_INVALID: this processor and library cannot multiply in that precision. */
int sutra_gemm_plan_new(size_t k, size_t n, enum sutra_activation act,
			enum sutra_precision precision, struct sutra_gemm_plan **ret,
			struct sutra_err *err);
void sutra_gemm_plan_free(struct sutra_gemm_plan *plan);
/* Whether its products go by vnni.h. */
bool sutra_gemm_plan_is_vnni(const struct sutra_gemm_plan *plan);

/* Packs w [n][k] row-major and b [n]. int8: magnitude [k] is the greatest one expected in each
 * column of x; NULL: all alike. */
int sutra_gemm_weights_new(const struct sutra_gemm_plan *plan, const float *w, const float *b,
			   const float *magnitude, struct sutra_gemm_weights **ret,
			   struct sutra_err *err);
void sutra_gemm_weights_free(struct sutra_gemm_weights *weights);

/* Packed weights as one block of bytes, a multiple of 64, and back: the view of a block, which
 * must be aligned to 64 and outlive it. A block fits plans of equal arguments on machines where
 * sutra_gemm_layout gives the same name. */
size_t sutra_gemm_packed_bytes(const struct sutra_gemm_plan *plan);
const void *sutra_gemm_packed(const struct sutra_gemm_weights *weights);
int sutra_gemm_weights_view(const struct sutra_gemm_plan *plan, const void *packed,
			    struct sutra_gemm_weights **ret, struct sutra_err *err);
/* Names the layout, in letters, digits, dots and dashes. */
#define SUTRA_GEMM_LAYOUT_MAX 64
void sutra_gemm_layout(char ret[SUTRA_GEMM_LAYOUT_MAX]);

int sutra_gemm_workspace_new(const struct sutra_gemm_plan *plan, struct sutra_gemm_workspace **ret,
			struct sutra_err *err);
void sutra_gemm_workspace_free(struct sutra_gemm_workspace *workspace);

/* y [rows][n] from x [rows][k], both aligned to 64 bytes, with spare rows. */
int sutra_gemm(struct sutra_gemm_workspace *workspace, const struct sutra_gemm_weights *weights,
	       const float *x, size_t rows, float *y, struct sutra_err *err);

/* The referee: the same from unpacked weights, in plain C, summed in double. */
void sutra_gemm_scalar(const float *x, const float *w, const float *b, size_t rows, size_t k,
		       size_t n, enum sutra_activation act, float *y);

#endif
