/*
 * onednn - products with packed weights, by oneDNN: what gemm.c does not compute itself. Only
 * onednn.c knows the library.
 *
 * A plan is compiled for one shape and precision; matrices and workspaces belong to a plan, which must
 * outlive them. Plan and matrix are read-only once made and packed, and shared by threads; a workspace is
 * one thread's. A row of y depends on its row of x alone, to the last bit.
 *
 * x and y are as the precision keeps them: fp32 floats and floats; bf16 bfloat16 and floats; int8
 * u8 and the s32 sums of u8 * s8, without bias and activation, which are the caller's.
 */
#ifndef SUTRA_VECTOR_ONEDNN_H
#define SUTRA_VECTOR_ONEDNN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "vector/quantize.h"

/* What the processor has, unless ONEDNN_MAX_CPU_ISA takes it away: bits of a vector (128, 256 with AVX2,
 * 512 with AVX-512), instructions of their own for a precision, AVX-512 VNNI, tiles (AMX). */
unsigned sutra_onednn_vector_bits(void);
bool sutra_onednn_is_native(enum sutra_precision p);
bool sutra_onednn_has_vnni(void);
bool sutra_onednn_has_tiles(void);
/* Names what packed bytes depend on, in letters, digits, dots and dashes. */
#define SUTRA_ONEDNN_LAYOUT_MAX 56
void sutra_onednn_layout(char ret[SUTRA_ONEDNN_LAYOUT_MAX]);

struct sutra_onednn_plan;
struct sutra_onednn_matrix;
struct sutra_onednn_workspace;

/* For k inputs and n outputs; gelu: of the sums with bias. SUTRA_E_INVALID: this processor and library
 * cannot multiply in that precision. */
int sutra_onednn_plan_new(size_t k, size_t n, bool gelu, enum sutra_precision precision,
			  struct sutra_onednn_plan **ret, struct sutra_err *err);
void sutra_onednn_plan_free(struct sutra_onednn_plan *plan);

/* The view of a packed matrix of sutra_onednn_matrix_bytes, aligned to 64, and of its bias [n] (int8:
 * not read), which must outlive it. */
size_t sutra_onednn_matrix_bytes(const struct sutra_onednn_plan *plan);
int sutra_onednn_matrix_new(const struct sutra_onednn_plan *plan, const void *packed, const float *bias,
			    struct sutra_onednn_matrix **ret, struct sutra_err *err);
/* Writes what it views, from w [n][k]: floats, of int8 bytes. */
int sutra_onednn_matrix_pack(struct sutra_onednn_matrix *matrix, const void *w, struct sutra_err *err);
void sutra_onednn_matrix_free(struct sutra_onednn_matrix *matrix);

int sutra_onednn_workspace_new(const struct sutra_onednn_plan *plan, struct sutra_onednn_workspace **ret,
			  struct sutra_err *err);
void sutra_onednn_workspace_free(struct sutra_onednn_workspace *workspace);

/* y [rows][n] from x [rows][k], both with SUTRA_GEMM_SPARE_ROWS more. It goes in blocks of at most
 * SUTRA_ONEDNN_ROWS, so more at a time gain nothing. */
#define SUTRA_ONEDNN_ROWS 64
int sutra_onednn_run(struct sutra_onednn_workspace *workspace, const struct sutra_onednn_matrix *matrix,
		     const void *x, size_t rows, void *y, struct sutra_err *err);

#endif
