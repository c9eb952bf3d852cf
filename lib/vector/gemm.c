/*
 * What computes a product:
 *
 *	fp32		oneDNN, on x as it is
 *	bf16		oneDNN, on x rounded to bfloat16
 *	int8		x is quantised to bytes; then vnni.c, or oneDNN and dequantize
 *
 * vnni.c multiplies bytes if the processor has AVX-512 VNNI, but no AMX, and the matrix fits: there it is
 * faster, most of all for short texts (vnni.c gives the figures). AMX tiles are faster still, and only
 * oneDNN uses them. In both cases a row's result does not depend on other rows: sums of bytes are exact,
 * other sums are checked (onednn.c), and conversions use one row only.
 *
 * Without VNNI the processor adds two products of a u8 and an s8 in 16 bits, which can overflow. There x
 * has 7 bits (2 * 127 * 127 fits into 16 bits), so that sums stay exact.
 */
#include "vector/gemm.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "vector/kernel.h"
#include "vector/onednn.h"
#include "vector/quantize.h"
#include "vector/vnni.h"

/* PANEL_ROWS: rows of x in one call of vnni.c. */
enum { ALIGN = 64, PANEL_ROWS = 128, NARROW_ROWS = SUTRA_ONEDNN_ROWS + SUTRA_GEMM_SPARE_ROWS };
_Static_assert((int)PANEL_ROWS <= (int)NARROW_ROWS, "the rows of narrow hold a block for vnni.c and for oneDNN");

struct sutra_gemm_plan {
	size_t k, n;
	bool gelu;
	enum sutra_precision precision;
	int top;				/* int8: the greatest byte of x */
	struct sutra_onednn_plan *onednn;	/* NULL: vnni.h multiplies, from panels */
};

/* Views of one block: bias, for int8 also scale, sum and inverse (quantize.h), then the matrix; each
 * begins at a multiple of ALIGN. */
struct sutra_gemm_weights {
	const void *block;
	void *owned;			/* the block, unless the caller owns it */
	const float *bias, *scale, *inverse;
	const int32_t *sum;
	const void *matrix;
	struct sutra_onednn_matrix *onednn;	/* NULL: panels */
};

struct sutra_gemm_workspace {
	const struct sutra_gemm_plan *plan;
	const struct sutra_kernels *kernels;
	struct sutra_onednn_workspace *onednn;	/* NULL: panels */
	void *narrow;			/* x as bf16 or int8, [NARROW_ROWS][k] */
	float scale[PANEL_ROWS];	/* int8: for each row of x */
	int32_t zero[PANEL_ROWS];
};

static bool has_panels(void)
{
	return sutra_onednn_has_vnni() && !sutra_onednn_has_tiles() && sutra_vnni_is_there();
}

void sutra_gemm_layout(char ret[SUTRA_GEMM_LAYOUT_MAX])
{
	char onednn[SUTRA_ONEDNN_LAYOUT_MAX];

	sutra_onednn_layout(onednn);
	snprintf(ret, SUTRA_GEMM_LAYOUT_MAX, "%s%s", onednn, has_panels() ? "-panels" : "");
}

int sutra_gemm_plan_new(size_t k, size_t n, bool gelu, enum sutra_precision precision,
			struct sutra_gemm_plan **ret, struct sutra_err *err)
{
	struct sutra_gemm_plan *p = sutra_calloc(1, sizeof(*p));
	int rc = 0;

	if (!p)
		return sutra_fail(err, SUTRA_E_NOMEM, "out of memory");
	p->k = k;
	p->n = n;
	p->gelu = gelu;
	p->precision = precision;
	p->top = sutra_onednn_is_native(SUTRA_INT8) ? 255 : 127;
	if (precision != SUTRA_INT8 || !has_panels() || !sutra_vnni_fits(k))
		rc = sutra_onednn_plan_new(k, n, gelu, precision, &p->onednn, err);
	if (rc)
		sutra_gemm_plan_free(p);
	else
		*ret = p;
	return rc;
}

void sutra_gemm_plan_free(struct sutra_gemm_plan *p)
{
	if (!p)
		return;
	sutra_onednn_plan_free(p->onednn);
	sutra_free(p);
}

bool sutra_gemm_plan_is_vnni(const struct sutra_gemm_plan *p) { return !p->onednn; }

static size_t aligned(size_t bytes) { return (bytes + ALIGN - 1) / ALIGN * ALIGN; }

static void set_views(const struct sutra_gemm_plan *p, struct sutra_gemm_weights *g)
{
	size_t outputs = aligned(p->n * sizeof(float)) / sizeof(float);
	const float *at = g->block;

	g->bias = at;
	at += outputs;
	if (p->precision == SUTRA_INT8) {
		g->scale = at;
		g->sum = (const int32_t *)(const void *)(at + outputs);
		g->inverse = at + 2 * outputs;
		at = g->inverse + aligned(p->k * sizeof(float)) / sizeof(float);
	}
	g->matrix = at;
}

size_t sutra_gemm_packed_bytes(const struct sutra_gemm_plan *p)
{
	size_t bytes = aligned(p->onednn ? sutra_onednn_matrix_bytes(p->onednn) :
					   sutra_vnni_bytes(p->n, p->k));

	bytes += aligned(p->n * sizeof(float));
	if (p->precision == SUTRA_INT8)
		bytes += 2 * aligned(p->n * sizeof(float)) + aligned(p->k * sizeof(float));
	return bytes;
}

const void *sutra_gemm_packed(const struct sutra_gemm_weights *weights) { return weights->block; }

int sutra_gemm_weights_view(const struct sutra_gemm_plan *p, const void *packed,
			    struct sutra_gemm_weights **ret, struct sutra_err *err)
{
	struct sutra_gemm_weights *g = sutra_calloc(1, sizeof(*g));
	int rc = 0;

	if (!g)
		return sutra_fail(err, SUTRA_E_NOMEM, "out of memory for the weights");
	g->block = packed;
	set_views(p, g);
	if (p->onednn)
		rc = sutra_onednn_matrix_new(p->onednn, g->matrix, g->bias, &g->onednn, err);
	if (rc)
		sutra_gemm_weights_free(g);
	else
		*ret = g;
	return rc;
}

static int pack_bytes(const struct sutra_gemm_plan *p, const float *w, const float *magnitude,
		      struct sutra_gemm_weights *g, struct sutra_err *err)
{
	int8_t *bytes = sutra_alloc(p->n * p->k);
	int rc = 0;

	if (!bytes)
		return sutra_fail(err, SUTRA_E_NOMEM, "out of memory for the weights");
	sutra_quantize_weights(w, p->n, p->k, magnitude, bytes, (float *)(uintptr_t)g->scale,
			       (int32_t *)(uintptr_t)g->sum, (float *)(uintptr_t)g->inverse);
	if (p->onednn)
		rc = sutra_onednn_matrix_pack(g->onednn, bytes, err);
	else
		sutra_vnni_pack(bytes, p->n, p->k, (int8_t *)(uintptr_t)g->matrix);
	sutra_free(bytes);
	return rc;
}

int sutra_gemm_weights_new(const struct sutra_gemm_plan *p, const float *w, const float *b,
			   const float *magnitude, struct sutra_gemm_weights **ret,
			   struct sutra_err *err)
{
	struct sutra_gemm_weights *g = NULL;
	size_t bytes = sutra_gemm_packed_bytes(p);
	void *block = sutra_alloc_aligned(ALIGN, bytes);
	int rc;

	if (!block)
		return sutra_fail(err, SUTRA_E_NOMEM, "out of memory for the weights");
	memset(block, 0, bytes);
	memcpy(block, b, p->n * sizeof(*b));
	rc = sutra_gemm_weights_view(p, block, &g, err);
	if (rc) {
		sutra_free(block);
		return rc;
	}
	g->owned = block;
	rc = p->precision == SUTRA_INT8 ? pack_bytes(p, w, magnitude, g, err) :
					  sutra_onednn_matrix_pack(g->onednn, w, err);
	if (rc)
		sutra_gemm_weights_free(g);
	else
		*ret = g;
	return rc;
}

void sutra_gemm_weights_free(struct sutra_gemm_weights *g)
{
	if (!g)
		return;
	sutra_onednn_matrix_free(g->onednn);
	sutra_free(g->owned);
	sutra_free(g);
}

int sutra_gemm_workspace_new(const struct sutra_gemm_plan *plan, struct sutra_gemm_workspace **ret,
			struct sutra_err *err)
{
	struct sutra_gemm_workspace *workspace = sutra_calloc(1, sizeof(*workspace));
	int rc = 0;

	if (workspace && plan->precision != SUTRA_FP32)
		workspace->narrow = sutra_alloc_aligned(ALIGN, NARROW_ROWS * plan->k * sizeof(uint16_t));
	if (!workspace || (plan->precision != SUTRA_FP32 && !workspace->narrow)) {
		sutra_gemm_workspace_free(workspace);
		return sutra_fail(err, SUTRA_E_NOMEM, "out of memory");
	}
	workspace->plan = plan;
	workspace->kernels = sutra_kernels_best();
	if (plan->onednn)
		rc = sutra_onednn_workspace_new(plan->onednn, &workspace->onednn, err);
	if (rc)
		sutra_gemm_workspace_free(workspace);
	else
		*ret = workspace;
	return rc;
}

void sutra_gemm_workspace_free(struct sutra_gemm_workspace *workspace)
{
	if (!workspace)
		return;
	sutra_onednn_workspace_free(workspace->onednn);
	sutra_free(workspace->narrow);
	sutra_free(workspace);
}

/* Multiplies at most SUTRA_ONEDNN_ROWS rows in bf16. */
static int run_bf16(struct sutra_gemm_workspace *workspace, const struct sutra_gemm_weights *w, const float *x,
		    size_t rows, float *y, struct sutra_err *err)
{
	workspace->kernels->to_bf16(x, rows * workspace->plan->k, workspace->narrow);
	return sutra_onednn_run(workspace->onednn, w->onednn, workspace->narrow, rows, y, err);
}

/* Multiplies in int8 at most PANEL_ROWS rows with panels, else SUTRA_ONEDNN_ROWS. */
static int run_bytes(struct sutra_gemm_workspace *workspace, const struct sutra_gemm_weights *w, const float *x,
		     size_t rows, float *y, struct sutra_err *err)
{
	const struct sutra_gemm_plan *p = workspace->plan;
	const struct sutra_dequantizer d = { workspace->scale, workspace->zero, w->scale, w->sum, w->bias,
					     p->gelu };
	int rc;

	workspace->kernels->quantize(x, w->inverse, rows, p->k, p->top, workspace->narrow, workspace->scale, workspace->zero);
	if (!p->onednn) {
		sutra_vnni_multiply(workspace->narrow, rows, p->k, w->matrix, p->n, workspace->kernels, &d, y);
		return 0;
	}
	rc = sutra_onednn_run(workspace->onednn, w->onednn, workspace->narrow, rows, y, err);
	if (!rc)
		workspace->kernels->dequantize(&d, (const int32_t *)(const void *)y, p->n, rows, p->n, y, p->n);
	return rc;
}

int sutra_gemm(struct sutra_gemm_workspace *workspace, const struct sutra_gemm_weights *weights,
	       const float *x, size_t rows, float *y, struct sutra_err *err)
{
	const struct sutra_gemm_plan *p = workspace->plan;
	size_t block = p->onednn ? SUTRA_ONEDNN_ROWS : PANEL_ROWS;
	int rc = 0;

	if (p->precision == SUTRA_FP32)
		return sutra_onednn_run(workspace->onednn, weights->onednn, x, rows, y, err);
	for (size_t at = 0; !rc && at < rows; at += block) {
		size_t n = rows - at < block ? rows - at : block;

		rc = (p->precision == SUTRA_BF16 ? run_bf16 : run_bytes)(
			workspace, weights, x + at * p->k, n, y + at * p->n, err);
	}
	return rc;
}

void sutra_gemm_scalar(const float *x, const float *w, const float *b, size_t rows, size_t k,
		       size_t n, bool gelu, float *y)
{
	for (size_t r = 0; r < rows; r++)
		for (size_t j = 0; j < n; j++) {
			double sum = (double)b[j];

			for (size_t i = 0; i < k; i++)
				sum += (double)x[r * k + i] * (double)w[j * k + i];
			if (gelu)
				sum = 0.5 * sum * (1.0 + erf(sum * M_SQRT1_2));
			y[r * n + j] = (float)sum;
		}
}
