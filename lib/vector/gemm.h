/*
 * gemm - products with packed weights, y = act(x * W^T + b), in three precisions. vnni.h computes int8 on
 * AVX-512 VNNI, onednn.h everything else.
 *
 * fp32: all numbers are fp32. bf16: x and W are rounded to bfloat16, sums are fp32. int8: W is bytes with
 * a scale per output, a row of x is bytes with its own scale and zero point (quantize.h); sums are
 * exact integers. x and y are fp32 in all three.
 *
 * A plan is compiled for one shape (k inputs, n outputs, activation, precision) and serves every
 * layer of that shape; weights are packed once into the plan's layout. Both are read-only afterwards and
 * shared by threads. A call writes only y and its workspace; each thread has its own workspace.
 *
 * A row of y depends on its row of x alone, to the last bit: neither on the number of other rows nor on
 * its place among them (onednn.c describes how this is checked).
 */
#ifndef SUTRA_VECTOR_GEMM_H
#define SUTRA_VECTOR_GEMM_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "vector/quantize.h"

struct sutra_gemm_plan;
struct sutra_gemm_weights;
struct sutra_gemm_workspace;

/* For k inputs and n outputs; gelu: act is GELU (erf form), else identity. SUTRA_E_INVALID: this processor
 * and library cannot multiply in that precision. */
int sutra_gemm_plan_new(size_t k, size_t n, bool gelu, enum sutra_precision precision,
			struct sutra_gemm_plan **ret, struct sutra_err *err);
void sutra_gemm_plan_free(struct sutra_gemm_plan *plan);
/* Whether vnni.h computes its products. */
bool sutra_gemm_plan_is_vnni(const struct sutra_gemm_plan *plan);

/* Packs w [n][k], row-major, and b [n]. int8: magnitude [k] is the greatest magnitude expected in each
 * column of x; NULL: the columns are alike. */
int sutra_gemm_weights_new(const struct sutra_gemm_plan *plan, const float *w, const float *b,
			   const float *magnitude, struct sutra_gemm_weights **ret,
			   struct sutra_err *err);
void sutra_gemm_weights_free(struct sutra_gemm_weights *weights);

/* The size of packed weights, a multiple of 64, their block of bytes, and weights that view such a block.
 * A viewed block must be aligned to 64 and outlive the weights. A block fits plans of equal arguments on
 * machines where sutra_gemm_layout gives the same name. */
size_t sutra_gemm_packed_bytes(const struct sutra_gemm_plan *plan);
const void *sutra_gemm_packed(const struct sutra_gemm_weights *weights);
int sutra_gemm_weights_view(const struct sutra_gemm_plan *plan, const void *packed,
			    struct sutra_gemm_weights **ret, struct sutra_err *err);
/* Writes the layout's name: letters, digits, dots and dashes. */
#define SUTRA_GEMM_LAYOUT_MAX 64
void sutra_gemm_layout(char ret[SUTRA_GEMM_LAYOUT_MAX]);

int sutra_gemm_workspace_new(const struct sutra_gemm_plan *plan, struct sutra_gemm_workspace **ret,
			struct sutra_err *err);
void sutra_gemm_workspace_free(struct sutra_gemm_workspace *workspace);

/* Computes y [rows][n] from x [rows][k]; both are aligned to 64 bytes and have SUTRA_GEMM_SPARE_ROWS more. */
int sutra_gemm(struct sutra_gemm_workspace *workspace, const struct sutra_gemm_weights *weights,
	       const float *x, size_t rows, float *y, struct sutra_err *err);

/* The referee for tests: the same from unpacked weights, in plain C, summed in double. */
void sutra_gemm_scalar(const float *x, const float *w, const float *b, size_t rows, size_t k,
		       size_t n, bool gelu, float *y);

#endif
