/*
 * onednn - products with packed weights, computed by oneDNN, for gemm.c. Only onednn.c uses the library.
 *
 * A plan is compiled for one shape and precision; matrices and workspaces belong to a plan, which must
 * outlive them. A plan and a packed matrix are read-only and shared by threads; each thread has its own
 * workspace. A row of y depends on its row of x alone, to the last bit.
 *
 * Types of x and y: fp32: float, float; bf16: bfloat16, float; int8: u8, and s32 sums of u8 * s8, to which
 * the caller applies bias and activation.
 */
#ifndef SUTRA_VECTOR_ONEDNN_H
#define SUTRA_VECTOR_ONEDNN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "vector/quantize.h"

/* What the processor has and ONEDNN_MAX_CPU_ISA allows: bits of a vector (128, 256 with AVX2, 512 with
 * AVX-512), instructions for products in a precision, AVX-512 VNNI, tiles (AMX). */
unsigned sutra_onednn_vector_bits(void);
bool sutra_onednn_is_native(enum sutra_precision p);
bool sutra_onednn_has_vnni(void);
bool sutra_onednn_has_tiles(void);
/* Writes the name of what packed bytes depend on: letters, digits, dots and dashes. */
#define SUTRA_ONEDNN_LAYOUT_MAX 56
void sutra_onednn_layout(char ret[SUTRA_ONEDNN_LAYOUT_MAX]);

struct sutra_onednn_plan;
struct sutra_onednn_matrix;
struct sutra_onednn_workspace;

/* For k inputs and n outputs; gelu: it is applied to the sums with bias. SUTRA_E_INVALID: this processor and
 * library cannot multiply in that precision. */
int sutra_onednn_plan_new(size_t k, size_t n, bool gelu, enum sutra_precision precision,
			  struct sutra_onednn_plan **ret, struct sutra_err *err);
void sutra_onednn_plan_free(struct sutra_onednn_plan *plan);

/* Makes a matrix that views packed bytes (sutra_onednn_matrix_bytes of them, aligned to 64) and a bias [n]
 * (int8: not read); both must outlive it. */
size_t sutra_onednn_matrix_bytes(const struct sutra_onednn_plan *plan);
int sutra_onednn_matrix_new(const struct sutra_onednn_plan *plan, const void *packed, const float *bias,
			    struct sutra_onednn_matrix **ret, struct sutra_err *err);
/* Packs w [n][k], floats or (int8) bytes, into the bytes that the matrix views. */
int sutra_onednn_matrix_pack(struct sutra_onednn_matrix *matrix, const void *w, struct sutra_err *err);
void sutra_onednn_matrix_free(struct sutra_onednn_matrix *matrix);

int sutra_onednn_workspace_new(const struct sutra_onednn_plan *plan, struct sutra_onednn_workspace **ret,
			  struct sutra_err *err);
void sutra_onednn_workspace_free(struct sutra_onednn_workspace *workspace);

/* Computes y [rows][n] from x [rows][k], both with SUTRA_GEMM_SPARE_ROWS more, in blocks of at most
 * SUTRA_ONEDNN_ROWS: more rows in one call are not faster. */
#define SUTRA_ONEDNN_ROWS 64
int sutra_onednn_run(struct sutra_onednn_workspace *workspace, const struct sutra_onednn_matrix *matrix,
		     const void *x, size_t rows, void *y, struct sutra_err *err);

#endif
