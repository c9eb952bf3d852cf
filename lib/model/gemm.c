/*
 * The only file that knows oneDNN: 2.6, the version of Debian 12, and 3.x; onednn.h has what they
 * spell differently.
 *
 * Batch invariance. A text must get the same bits alone and in any batch, so a row's result must
 * not depend on the number of rows. oneDNN promises nothing of the kind: it may choose
 * another kernel for another M. So M is never what the caller has: each plan holds
 * primitives for a few fixed numbers of rows (the ladder), all bound to one weight layout; m rows
 * are computed as whole blocks of the largest, and the rest by the smallest that holds it, with
 * spare rows computed in vain. And the promise is checked, not assumed: sutra_gemm_plan_new
 * runs every step on the same rows, at two places each, and drops a step whose bits differ from
 * the first one's. On AVX-512 (brgemm kernels, one accumulator an output, k ascending) all
 * steps agree; where a machine's kernels should not, the ladder gets shorter and small
 * batches slower, never wrong.
 *
 * Rejected: a run-time M (DNNL_RUNTIME_DIM_VAL falls back to unpacked sgemm in 2.6, a third of
 * the speed); padding every text to one size (a short text would pay for 64 rows).
 *
 * Why these steps: below 16 rows the time is that of streaming the weights from memory, at 64
 * the kernels run at full speed (97 of 100 GFLOP/s on one Cascade Lake core).
 *
 * int8. Sums of bytes are integers, the same in any order, so the ladder needs no check. Without VNNI
 * the instruction set adds two products of a u8 and an s8 in 16 bits, which overflow: there x gets 7
 * bits (127 * 127 * 2 fits), and results are exact all the same.
 *
 * Threads: oneDNN here runs on libgomp; every entry sets the calling thread's OpenMP team to
 * one, since parallelism is by texts, above.
 */
#include "model/gemm.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "model/kernel.h"
#include "model/onednn.h"
#include "model/quantize.h"
#include "model/vnni.h"

/* libgomp's, which oneDNN is linked with; <omp.h> comes with one compiler only. */
void omp_set_num_threads(int n);

/* The last step is used only when no other one is consistent. */
static const size_t ladder[] = { 64, 48, 32, 24, 16, 8, 1 };
enum { STEPS = sizeof(ladder) / sizeof(ladder[0]), LARGEST = 64, ALIGN = 64, BLOCK = 128 };

/* How a precision keeps its numbers. */
static const struct {
	const char *name;
	dnnl_data_type_t x, w, y;
} kinds[SUTRA_PRECISIONS] = {
	[SUTRA_FP32] = { "fp32", dnnl_f32, dnnl_f32, dnnl_f32 },
	[SUTRA_BF16] = { "bf16", dnnl_bf16, dnnl_bf16, dnnl_f32 },
	[SUTRA_INT8] = { "int8", dnnl_u8, dnnl_s8, dnnl_s32 },
};

struct sutra_gemm_plan {
	dnnl_engine_t engine;
	size_t k, n;
	enum sutra_activation act;
	enum sutra_precision precision;
	int top;				/* int8: the greatest byte of x */
	bool panels;				/* int8: by vnni.h; what follows is not there then */
	onednn_desc *weights;			/* the layout all steps share */
	size_t scratch[STEPS];			/* bytes */
	dnnl_primitive_t steps[STEPS];		/* NULL: not in the ladder */
};

/* Views of one block: bias, of int8 also scale, sum and inverse (quantize.h), the matrix; each
 * begins at a multiple of ALIGN. */
struct sutra_gemm_weights {
	const void *block;
	void *owned;			/* the block, when it is ours */
	const float *bias, *scale, *inverse;
	const int32_t *sum;
	const void *matrix;
	dnnl_memory_t weights_mem, bias_mem;	/* unless in panels */
};

struct sutra_gemm_lane {
	const struct sutra_gemm_plan *plan;
	const struct sutra_kernels *kernels;
	dnnl_stream_t stream;
	void *scratch;
	void *narrow;			/* bf16, int8: x, [BLOCK][k] */
	float scale[BLOCK];		/* int8: of the rows of x */
	int32_t zero[BLOCK];
	dnnl_memory_t x[STEPS], y[STEPS], scratch_mem[STEPS];
};

/* oneDNN's status as ours. */
static int check(dnnl_status_t s, const char *what, struct sutra_err *err)
{
	if (s == dnnl_success)
		return 0;
	return sutra_fail(err, s == dnnl_out_of_memory ? SUTRA_E_NOMEM : SUTRA_E_INTERNAL,
			  "oneDNN: cannot %s (status %d)", what, (int)s);
}

/* Descriptor of a dense matrix, or of a vector when rows is 0. */
static dnnl_status_t dense(size_t rows, size_t columns, dnnl_data_type_t type, onednn_desc **ret)
{
	dnnl_dims_t matrix = { (dnnl_dim_t)rows, (dnnl_dim_t)columns },
		    vector = { (dnnl_dim_t)columns };

	return rows ? onednn_desc_new(ret, 2, matrix, type, dnnl_ab) :
		      onednn_desc_new(ret, 1, vector, type, dnnl_a);
}

/* The same with its numbers, which are at `at`. */
static dnnl_status_t dense_memory(const struct sutra_gemm_plan *p, size_t rows, size_t columns,
				  dnnl_data_type_t type, const void *at, dnnl_memory_t *ret)
{
	onednn_desc *d = NULL;
	dnnl_status_t s = dense(rows, columns, type, &d);

	if (!s)
		s = dnnl_memory_create(ret, d, p->engine, (void *)(uintptr_t)at);
	onednn_desc_free(d);
	return s;
}

static dnnl_status_t make_attributes(const struct sutra_gemm_plan *p, dnnl_primitive_attr_t *ret)
{
	dnnl_post_ops_t ops = NULL;
	dnnl_status_t s = dnnl_primitive_attr_create(ret);

	if (!s)
		s = dnnl_primitive_attr_set_scratchpad_mode(*ret, dnnl_scratchpad_mode_user);
	if (s || p->act == SUTRA_ACT_NONE || p->precision == SUTRA_INT8)	/* int8: dequantize does it */
		return s;
	s = dnnl_post_ops_create(&ops);
	if (!s)
		s = onednn_append_gelu(ops);
	if (!s)
		s = dnnl_primitive_attr_set_post_ops(*ret, ops);
	dnnl_post_ops_destroy(ops);
	return s;
}

/* Compiles step i; the first one chooses the weights' layout, the others take it. */
static dnnl_status_t make_primitive(struct sutra_gemm_plan *p, size_t i)
{
	dnnl_dims_t wdims = { (dnnl_dim_t)p->n, (dnnl_dim_t)p->k };
	onednn_desc *x = NULL, *y = NULL, *b = NULL, *any = NULL;
	dnnl_primitive_attr_t attr = NULL;
	dnnl_primitive_desc_t pd = NULL;
	dnnl_status_t s = make_attributes(p, &attr);

	if (!s)
		s = dense(ladder[i], p->k, kinds[p->precision].x, &x);
	if (!s)
		s = dense(ladder[i], p->n, kinds[p->precision].y, &y);
	if (!s && p->precision != SUTRA_INT8)
		s = dense(0, p->n, dnnl_f32, &b);
	if (!s && !p->weights)
		s = onednn_desc_new(&any, 2, wdims, kinds[p->precision].w, dnnl_format_tag_any);
	if (!s)
		s = onednn_product(&pd, p->engine, x, any ? any : p->weights, b, y, attr);
	if (!s && any)
		s = onednn_desc_copy(&p->weights,
				     dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0));
	if (!s) {
		p->scratch[i] = dnnl_memory_desc_get_size(
			dnnl_primitive_desc_query_md(pd, dnnl_query_scratchpad_md, 0));
		s = dnnl_primitive_create(&p->steps[i], pd);
	}
	dnnl_primitive_desc_destroy(pd);
	onednn_desc_free(x);
	onednn_desc_free(y);
	onednn_desc_free(b);
	onednn_desc_free(any);
	dnnl_primitive_attr_destroy(attr);
	return s;
}

/* The smallest step that holds `rows` rows, or the largest there is. */
static size_t choose_step(const struct sutra_gemm_plan *p, size_t rows)
{
	size_t best = STEPS;

	for (size_t i = 0; i < STEPS; i++)
		if (p->steps[i] && (best == STEPS || ladder[i] >= rows))
			best = i;
	return best;
}

/* Runs step i on x, which is as the precision keeps it. */
static int run_step(struct sutra_gemm_lane *lane, const struct sutra_gemm_weights *w, size_t i,
		    const void *x, float *y, struct sutra_err *err)
{
	dnnl_exec_arg_t args[] = {
		{ DNNL_ARG_SRC, lane->x[i] },	   { DNNL_ARG_WEIGHTS, w->weights_mem },
		{ DNNL_ARG_DST, lane->y[i] },	   { DNNL_ARG_SCRATCHPAD, lane->scratch_mem[i] },
		{ DNNL_ARG_BIAS, w->bias_mem },	   /* the last: int8 has none */
	};
	int n = sizeof(args) / sizeof(args[0]) - (lane->plan->precision == SUTRA_INT8);
	dnnl_status_t s = dnnl_memory_set_data_handle(lane->x[i], (void *)(uintptr_t)x);

	if (!s)
		s = dnnl_memory_set_data_handle(lane->y[i], y);
	if (!s)
		s = dnnl_primitive_execute(lane->plan->steps[i], lane->stream, n, args);
	if (!s)
		s = dnnl_stream_wait(lane->stream);	/* only a SYCL build of oneDNN has work to wait for */
	return check(s, "run a product", err);
}

/* A block of at most BLOCK rows in panels, or of as many as step i holds. */
static int run_block(struct sutra_gemm_lane *lane, const struct sutra_gemm_weights *w, size_t i,
		     const float *x, size_t rows, float *y, struct sutra_err *err)
{
	const struct sutra_gemm_plan *p = lane->plan;
	const struct sutra_dequantizer d = { lane->scale, lane->zero, w->scale, w->sum, w->bias,
					     p->act == SUTRA_ACT_GELU };
	int rc;

	switch (p->precision) {
	case SUTRA_BF16:
		lane->kernels->to_bf16(x, rows * p->k, lane->narrow);
		return run_step(lane, w, i, lane->narrow, y, err);
	case SUTRA_INT8:
		lane->kernels->quantize(x, w->inverse, rows, p->k, p->top, lane->narrow,
					lane->scale, lane->zero);
		if (p->panels) {
			sutra_vnni_multiply(lane->narrow, rows, p->k, w->matrix, p->n, lane->kernels, &d, y);
			return 0;
		}
		rc = run_step(lane, w, i, lane->narrow, y, err);
		if (!rc)
			lane->kernels->dequantize(&d, (const int32_t *)(const void *)y, p->n, rows, p->n, y,
						  p->n);
		return rc;
	default:
		return run_step(lane, w, i, x, y, err);
	}
}

int sutra_gemm(struct sutra_gemm_lane *lane, const struct sutra_gemm_weights *weights,
	       const float *x, size_t rows, float *y, struct sutra_err *err)
{
	const struct sutra_gemm_plan *p = lane->plan;

	omp_set_num_threads(1);
	for (size_t at = 0, step = 0, block = BLOCK; at < rows; at += block) {
		size_t left = rows - at;
		int rc;

		if (!p->panels) {
			step = choose_step(p, left);
			block = ladder[step];
		}
		rc = run_block(lane, weights, step, x + at * p->k, left < block ? left : block,
			       y + at * p->n, err);
		if (rc)
			return rc;
	}
	return 0;
}

/* Whether step i gives `reference` (bits) for LARGEST rows of x, and for the same rows one
 * place further up. out has room for the spare rows. */
static int step_agrees(struct sutra_gemm_lane *lane, const struct sutra_gemm_weights *w, size_t i,
		       const float *x, const float *reference, float *out, bool *ret,
		       struct sutra_err *err)
{
	size_t k = lane->plan->k, n = lane->plan->n, rows = ladder[i];
	int rc = run_block(lane, w, i, x, rows, out, err);

	*ret = !rc && !memcmp(out, reference, rows * n * sizeof(float));
	if (*ret && rows > 1) {
		rc = run_block(lane, w, i, x + k, rows, out, err);
		*ret = !rc && !memcmp(out, reference + n, (rows - 1) * n * sizeof(float));
	}
	return rc;
}

static void fill_random(float *p, size_t n)
{
	uint32_t s = 2463534242u;

	for (size_t i = 0; i < n; i++) {
		s ^= s << 13;	/* xorshift32, Marsaglia 2003 */
		s ^= s >> 17;
		s ^= s << 5;
		p[i] = (float)(int32_t)s * 0x1p-31f;
	}
}

/* Empties the ladder of steps that disagree with the largest that agrees with itself. */
static int check_ladder(struct sutra_gemm_plan *p, struct sutra_err *err)
{
	size_t k = p->k, n = p->n, rows = LARGEST + SUTRA_GEMM_SPARE_ROWS;
	struct sutra_gemm_weights *w = NULL;
	struct sutra_gemm_lane *lane = NULL;
	float *x = sutra_alloc_aligned(ALIGN, rows * k * sizeof(float)),
	      *y = sutra_alloc_aligned(ALIGN, rows * n * sizeof(float)),
	      *reference = sutra_alloc_aligned(ALIGN, rows * n * sizeof(float)),
	      *matrix = sutra_alloc_aligned(ALIGN, (k + 1) * n * sizeof(float));
	bool have_reference = false, agrees = false;
	int rc = x && y && reference && matrix ? 0 :
						 sutra_fail(err, SUTRA_E_NOMEM, "out of memory");

	if (rc)
		goto out;
	fill_random(x, rows * k);
	fill_random(matrix, (k + 1) * n);
	rc = sutra_gemm_weights_new(p, matrix, matrix + k * n, NULL, &w, err);
	if (!rc)
		rc = sutra_gemm_lane_new(p, &lane, err);
	for (size_t i = 0; !rc && i < STEPS; i++) {
		if (!have_reference)
			rc = run_block(lane, w, i, x, ladder[i], reference, err);
		if (!rc)
			rc = step_agrees(lane, w, i, x, reference, y, &agrees, err);
		if (!rc && (!agrees || (ladder[i] == 1 && have_reference))) {
			dnnl_primitive_destroy(p->steps[i]);
			p->steps[i] = NULL;
		}
		have_reference |= !rc && agrees;
	}
	if (!rc && !have_reference)
		rc = sutra_fail(err, SUTRA_E_INTERNAL,
				"oneDNN: what a row gives depends on its place, for any number of rows");
out:
	sutra_gemm_lane_free(lane);
	sutra_gemm_weights_free(w);
	sutra_free(x);
	sutra_free(y);
	sutra_free(reference);
	sutra_free(matrix);
	return rc;
}

const char *sutra_precision_name(enum sutra_precision p) { return kinds[p].name; }

static bool has(unsigned isa) { return (dnnl_get_effective_cpu_isa() & isa) == isa; }

bool sutra_precision_is_native(enum sutra_precision p)
{
	if (p == SUTRA_BF16)
		return has(dnnl_cpu_isa_avx512_core_bf16);
	return p == SUTRA_FP32 || has(dnnl_cpu_isa_avx512_core_vnni) || has(dnnl_cpu_isa_avx2_vnni);
}

/* Where there are tiles oneDNN uses them. */
static bool has_panels(void)
{
	return has(dnnl_cpu_isa_avx512_core_vnni) && !has(dnnl_cpu_isa_avx512_core_amx) &&
	       sutra_vnni_is_there();
}

unsigned sutra_gemm_vector_bits(void)
{
	return has(dnnl_cpu_isa_avx512_core) ? 512 : has(dnnl_cpu_isa_avx2) ? 256 : 128;
}

void sutra_gemm_layout(char ret[SUTRA_GEMM_LAYOUT_MAX])
{
	const dnnl_version_t *v = dnnl_version();

	snprintf(ret, SUTRA_GEMM_LAYOUT_MAX, "onednn-%d.%d.%d-isa-%x%s", v->major, v->minor, v->patch,
		 (unsigned)dnnl_get_effective_cpu_isa(), has_panels() ? "-panels" : "");
}

static int compile_step(struct sutra_gemm_plan *p, size_t i, struct sutra_err *err)
{
	dnnl_status_t s = make_primitive(p, i);

	if (s == dnnl_unimplemented)
		return sutra_fail(err, SUTRA_E_INVALID,
				  "this processor cannot multiply in %s; fp32 is always there",
				  kinds[p->precision].name);
	return check(s, "compile a product", err);
}

int sutra_gemm_plan_new(size_t k, size_t n, enum sutra_activation act,
			enum sutra_precision precision, struct sutra_gemm_plan **ret,
			struct sutra_err *err)
{
	struct sutra_gemm_plan *p = sutra_calloc(1, sizeof(*p));
	int rc;

	if (!p)
		return sutra_fail(err, SUTRA_E_NOMEM, "out of memory");
	omp_set_num_threads(1);
	p->k = k;
	p->n = n;
	p->act = act;
	p->precision = precision;
	p->top = sutra_precision_is_native(SUTRA_INT8) ? 255 : 127;
	p->panels = precision == SUTRA_INT8 && has_panels() && sutra_vnni_fits(k);
	rc = check(dnnl_engine_create(&p->engine, dnnl_cpu, 0), "start", err);
	for (size_t i = 0; !rc && !p->panels && i < STEPS; i++)
		rc = compile_step(p, i, err);
	if (!rc && precision != SUTRA_INT8)
		rc = check_ladder(p, err);
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
	for (size_t i = 0; i < STEPS; i++)
		dnnl_primitive_destroy(p->steps[i]);
	onednn_desc_free(p->weights);
	dnnl_engine_destroy(p->engine);
	sutra_free(p);
}

static dnnl_status_t reorder(const struct sutra_gemm_plan *p, dnnl_memory_t from, dnnl_memory_t to)
{
	const onednn_desc *a, *b;
	dnnl_exec_arg_t args[] = { { DNNL_ARG_FROM, from }, { DNNL_ARG_TO, to } };
	dnnl_primitive_desc_t pd = NULL;
	dnnl_primitive_t move = NULL;
	dnnl_stream_t stream = NULL;
	dnnl_status_t s = dnnl_memory_get_memory_desc(from, &a);

	if (!s)
		s = dnnl_memory_get_memory_desc(to, &b);
	if (!s)
		s = dnnl_reorder_primitive_desc_create(&pd, a, p->engine, b, p->engine, NULL);
	if (!s)
		s = dnnl_primitive_create(&move, pd);
	if (!s)
		s = dnnl_stream_create(&stream, p->engine, dnnl_stream_default_flags);
	if (!s)
		s = dnnl_primitive_execute(move, stream, 2, args);
	if (!s)
		s = dnnl_stream_wait(stream);
	dnnl_stream_destroy(stream);
	dnnl_primitive_destroy(move);
	dnnl_primitive_desc_destroy(pd);
	return s;
}

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
	size_t bytes = aligned(p->panels ? sutra_vnni_bytes(p->n, p->k) :
					   dnnl_memory_desc_get_size(p->weights));

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
	dnnl_status_t s = dnnl_success;
	int rc;

	if (!g)
		return sutra_fail(err, SUTRA_E_NOMEM, "out of memory for the weights");
	g->block = packed;
	set_views(p, g);
	if (!p->panels)
		s = dense_memory(p, 0, p->n, dnnl_f32, g->bias, &g->bias_mem);
	if (!s && !p->panels)
		s = dnnl_memory_create(&g->weights_mem, p->weights, p->engine,
				       (void *)(uintptr_t)g->matrix);
	rc = check(s, "take packed weights", err);
	if (rc)
		sutra_gemm_weights_free(g);
	else
		*ret = g;
	return rc;
}

/* The matrix from w [n][k], which is kept as `type`. */
static int pack(const struct sutra_gemm_plan *p, const void *w, dnnl_data_type_t type,
		struct sutra_gemm_weights *g, struct sutra_err *err)
{
	dnnl_memory_t source = NULL;
	dnnl_status_t s = dense_memory(p, p->n, p->k, type, w, &source);

	if (!s)
		s = reorder(p, source, g->weights_mem);
	dnnl_memory_destroy(source);
	return check(s, "pack weights", err);
}

static int pack_bytes(const struct sutra_gemm_plan *p, const float *w, const float *reach,
		      struct sutra_gemm_weights *g, struct sutra_err *err)
{
	int8_t *bytes = sutra_alloc(p->n * p->k);
	int rc = 0;

	if (!bytes)
		return sutra_fail(err, SUTRA_E_NOMEM, "out of memory for the weights");
	sutra_quantize_weights(w, p->n, p->k, reach, bytes, (float *)(uintptr_t)g->scale,
			       (int32_t *)(uintptr_t)g->sum, (float *)(uintptr_t)g->inverse);
	if (p->panels)
		sutra_vnni_pack(bytes, p->n, p->k, (int8_t *)(uintptr_t)g->matrix);
	else
		rc = pack(p, bytes, dnnl_s8, g, err);
	sutra_free(bytes);
	return rc;
}

int sutra_gemm_weights_new(const struct sutra_gemm_plan *p, const float *w, const float *b,
			   const float *reach, struct sutra_gemm_weights **ret,
			   struct sutra_err *err)
{
	struct sutra_gemm_weights *g = NULL;
	size_t bytes = sutra_gemm_packed_bytes(p);
	void *block = sutra_alloc_aligned(ALIGN, bytes);
	int rc;

	if (!block)
		return sutra_fail(err, SUTRA_E_NOMEM, "out of memory for the weights");
	omp_set_num_threads(1);
	memset(block, 0, bytes);
	memcpy(block, b, p->n * sizeof(*b));
	rc = sutra_gemm_weights_view(p, block, &g, err);
	if (rc) {
		sutra_free(block);
		return rc;
	}
	g->owned = block;
	rc = p->precision == SUTRA_INT8 ? pack_bytes(p, w, reach, g, err) :
					  pack(p, w, dnnl_f32, g, err);
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
	dnnl_memory_destroy(g->weights_mem);
	dnnl_memory_destroy(g->bias_mem);
	sutra_free(g->owned);
	sutra_free(g);
}

static dnnl_status_t make_step_memory(struct sutra_gemm_lane *lane, size_t i)
{
	const struct sutra_gemm_plan *p = lane->plan;
	dnnl_status_t s = dense_memory(p, ladder[i], p->k, kinds[p->precision].x, DNNL_MEMORY_NONE,
				       &lane->x[i]);

	if (!s)
		s = dense_memory(p, ladder[i], p->n, kinds[p->precision].y, DNNL_MEMORY_NONE, &lane->y[i]);
	if (!s)
		s = dense_memory(p, 0, p->scratch[i], dnnl_u8, lane->scratch, &lane->scratch_mem[i]);
	return s;
}

int sutra_gemm_lane_new(const struct sutra_gemm_plan *plan, struct sutra_gemm_lane **ret,
			struct sutra_err *err)
{
	struct sutra_gemm_lane *lane = sutra_calloc(1, sizeof(*lane));
	size_t largest = 1;
	dnnl_status_t s;
	int rc;

	for (size_t i = 0; i < STEPS; i++)
		if (plan->scratch[i] > largest)
			largest = plan->scratch[i];
	if (lane) {
		lane->scratch = sutra_alloc_aligned(ALIGN, largest);
		if (plan->precision != SUTRA_FP32)
			lane->narrow = sutra_alloc_aligned(ALIGN, BLOCK * plan->k * sizeof(uint16_t));
	}
	if (!lane || !lane->scratch || (plan->precision != SUTRA_FP32 && !lane->narrow)) {
		sutra_gemm_lane_free(lane);
		return sutra_fail(err, SUTRA_E_NOMEM, "out of memory");
	}
	lane->plan = plan;
	lane->kernels = sutra_kernels_best();
	s = dnnl_stream_create(&lane->stream, plan->engine, dnnl_stream_default_flags);
	for (size_t i = 0; !s && i < STEPS; i++)
		if (plan->steps[i])
			s = make_step_memory(lane, i);
	rc = check(s, "make room for a product", err);
	if (rc)
		sutra_gemm_lane_free(lane);
	else
		*ret = lane;
	return rc;
}

void sutra_gemm_lane_free(struct sutra_gemm_lane *lane)
{
	if (!lane)
		return;
	for (size_t i = 0; i < STEPS; i++) {
		dnnl_memory_destroy(lane->x[i]);
		dnnl_memory_destroy(lane->y[i]);
		dnnl_memory_destroy(lane->scratch_mem[i]);
	}
	dnnl_stream_destroy(lane->stream);
	sutra_free(lane->scratch);
	sutra_free(lane->narrow);
	sutra_free(lane);
}

void sutra_gemm_scalar(const float *x, const float *w, const float *b, size_t rows, size_t k,
		       size_t n, enum sutra_activation act, float *y)
{
	for (size_t r = 0; r < rows; r++)
		for (size_t j = 0; j < n; j++) {
			double sum = (double)b[j];

			for (size_t i = 0; i < k; i++)
				sum += (double)x[r * k + i] * (double)w[j * k + i];
			if (act == SUTRA_ACT_GELU)
				sum = 0.5 * sum * (1.0 + erf(sum * M_SQRT1_2));
			y[r * n + j] = (float)sum;
		}
}
