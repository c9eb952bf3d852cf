/*
 * The only file that knows oneDNN; written for 2.6, the version of Debian 12. 3.x differs in
 * make_primitive (no operation descriptor) and in memory descriptors being pointers.
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
 * Threads: oneDNN here runs on libgomp; every entry sets the calling thread's OpenMP team to
 * one, since parallelism is by texts, above.
 */
#include "model/gemm.h"

#include <dnnl.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/alloc.h"

/* libgomp's, which oneDNN is linked with; <omp.h> comes with one compiler only. */
void omp_set_num_threads(int n);

/* The last step is used only when no other one is consistent. */
static const size_t ladder[] = { 64, 48, 32, 24, 16, 8, 1 };
enum { STEPS = sizeof(ladder) / sizeof(ladder[0]), LARGEST = 64, ALIGN = 64 };

struct sutra_gemm_plan {
	dnnl_engine_t engine;
	size_t k, n;
	enum sutra_activation act;
	dnnl_memory_desc_t weights;		/* the layout all steps share */
	size_t scratch[STEPS];			/* bytes */
	dnnl_primitive_t steps[STEPS];		/* NULL: not in the ladder */
};

struct sutra_gemm_weights {
	float *packed, *bias;
	size_t bytes;
	dnnl_memory_t weights_mem, bias_mem;
};

struct sutra_gemm_lane {
	const struct sutra_gemm_plan *plan;
	dnnl_stream_t stream;
	void *scratch;
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
static dnnl_status_t dense(dnnl_memory_desc_t *d, size_t rows, size_t columns)
{
	dnnl_dims_t matrix = { (dnnl_dim_t)rows, (dnnl_dim_t)columns },
		    vector = { (dnnl_dim_t)columns };

	return rows ? dnnl_memory_desc_init_by_tag(d, 2, matrix, dnnl_f32, dnnl_ab) :
		      dnnl_memory_desc_init_by_tag(d, 1, vector, dnnl_f32, dnnl_a);
}

static dnnl_status_t make_attributes(enum sutra_activation act, dnnl_primitive_attr_t *ret)
{
	dnnl_post_ops_t ops = NULL;
	dnnl_status_t s = dnnl_primitive_attr_create(ret);

	if (!s)
		s = dnnl_primitive_attr_set_scratchpad_mode(*ret, dnnl_scratchpad_mode_user);
	if (s || act == SUTRA_ACT_NONE)
		return s;
	s = dnnl_post_ops_create(&ops);
	if (!s)
		s = dnnl_post_ops_append_eltwise(ops, 1.0f, dnnl_eltwise_gelu_erf, 0.0f, 0.0f);
	if (!s)
		s = dnnl_primitive_attr_set_post_ops(*ret, ops);
	dnnl_post_ops_destroy(ops);
	return s;
}

/* Compiles step i; the first one chooses the weights' layout, the others take it. */
static dnnl_status_t make_primitive(struct sutra_gemm_plan *p, size_t i, bool choose)
{
	dnnl_dims_t wdims = { (dnnl_dim_t)p->n, (dnnl_dim_t)p->k };
	dnnl_memory_desc_t x, y, b, w = p->weights;
	dnnl_inner_product_desc_t op;
	dnnl_primitive_attr_t attr = NULL;
	dnnl_primitive_desc_t pd = NULL;
	dnnl_status_t s = make_attributes(p->act, &attr);

	if (!s)
		s = dense(&x, ladder[i], p->k);
	if (!s)
		s = dense(&y, ladder[i], p->n);
	if (!s)
		s = dense(&b, 0, p->n);
	if (!s && choose)
		s = dnnl_memory_desc_init_by_tag(&w, 2, wdims, dnnl_f32, dnnl_format_tag_any);
	if (!s)
		s = dnnl_inner_product_forward_desc_init(&op, dnnl_forward_inference, &x, &w, &b, &y);
	if (!s)
		s = dnnl_primitive_desc_create(&pd, &op, attr, p->engine, NULL);
	if (!s) {
		p->weights = *dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0);
		p->scratch[i] = dnnl_memory_desc_get_size(
			dnnl_primitive_desc_query_md(pd, dnnl_query_scratchpad_md, 0));
		s = dnnl_primitive_create(&p->steps[i], pd);
	}
	dnnl_primitive_desc_destroy(pd);
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

static int run_step(struct sutra_gemm_lane *lane, const struct sutra_gemm_weights *w, size_t i,
		    const float *x, float *y, struct sutra_err *err)
{
	dnnl_exec_arg_t args[] = {
		{ DNNL_ARG_SRC, lane->x[i] },		  { DNNL_ARG_WEIGHTS, w->weights_mem },
		{ DNNL_ARG_BIAS, w->bias_mem },		  { DNNL_ARG_DST, lane->y[i] },
		{ DNNL_ARG_SCRATCHPAD, lane->scratch_mem[i] },
	};
	dnnl_status_t s = dnnl_memory_set_data_handle(lane->x[i], (void *)(uintptr_t)x);

	if (!s)
		s = dnnl_memory_set_data_handle(lane->y[i], y);
	if (!s)
		s = dnnl_primitive_execute(lane->plan->steps[i], lane->stream,
					   sizeof(args) / sizeof(args[0]), args);
	return check(s, "run a product", err);
}

int sutra_gemm(struct sutra_gemm_lane *lane, const struct sutra_gemm_weights *weights,
	       const float *x, size_t rows, float *y, struct sutra_err *err)
{
	const struct sutra_gemm_plan *p = lane->plan;

	omp_set_num_threads(1);
	for (size_t at = 0, step; at < rows; at += ladder[step]) {
		int rc;

		step = choose_step(p, rows - at);
		rc = run_step(lane, weights, step, x + at * p->k, y + at * p->n, err);
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
	int rc = run_step(lane, w, i, x, out, err);

	*ret = !rc && !memcmp(out, reference, rows * n * sizeof(float));
	if (*ret && rows > 1) {
		rc = run_step(lane, w, i, x + k, out, err);
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
	rc = sutra_gemm_weights_new(p, matrix, matrix + k * n, &w, err);
	if (!rc)
		rc = sutra_gemm_lane_new(p, &lane, err);
	for (size_t i = 0; !rc && i < STEPS; i++) {
		if (!have_reference)
			rc = run_step(lane, w, i, x, reference, err);
		if (!rc)
			rc = step_agrees(lane, w, i, x, reference, y, &agrees, err);
		if (!rc && (!agrees || (ladder[i] == 1 && have_reference))) {
			dnnl_primitive_destroy(p->steps[i]);
			p->steps[i] = NULL;
		}
		have_reference |= !rc && agrees;
	}
out:
	sutra_gemm_lane_free(lane);
	sutra_gemm_weights_free(w);
	sutra_free(x);
	sutra_free(y);
	sutra_free(reference);
	sutra_free(matrix);
	return rc;
}

int sutra_gemm_plan_new(size_t k, size_t n, enum sutra_activation act, struct sutra_gemm_plan **ret,
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
	rc = check(dnnl_engine_create(&p->engine, dnnl_cpu, 0), "start", err);
	for (size_t i = 0; !rc && i < STEPS; i++)
		rc = check(make_primitive(p, i, !i), "compile a product", err);
	if (!rc)
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
	dnnl_engine_destroy(p->engine);
	sutra_free(p);
}

static dnnl_status_t reorder(const struct sutra_gemm_plan *p, dnnl_memory_t from, dnnl_memory_t to)
{
	const dnnl_memory_desc_t *a, *b;
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

int sutra_gemm_weights_new(const struct sutra_gemm_plan *p, const float *w, const float *b,
			   struct sutra_gemm_weights **ret, struct sutra_err *err)
{
	struct sutra_gemm_weights *g = sutra_calloc(1, sizeof(*g));
	dnnl_memory_desc_t plain, vector;
	dnnl_memory_t source = NULL;
	dnnl_status_t s;
	int rc;

	omp_set_num_threads(1);
	if (g) {
		g->bytes = dnnl_memory_desc_get_size(&p->weights);
		g->packed = sutra_alloc_aligned(ALIGN, g->bytes);
		g->bias = sutra_alloc_aligned(ALIGN, p->n * sizeof(float));
	}
	if (!g || !g->packed || !g->bias) {
		sutra_gemm_weights_free(g);
		return sutra_fail(err, SUTRA_E_NOMEM, "out of memory for the weights");
	}
	memcpy(g->bias, b, p->n * sizeof(float));
	s = dense(&plain, p->n, p->k);
	if (!s)
		s = dense(&vector, 0, p->n);
	if (!s)
		s = dnnl_memory_create(&source, &plain, p->engine, (void *)(uintptr_t)w);
	if (!s)
		s = dnnl_memory_create(&g->weights_mem, &p->weights, p->engine, g->packed);
	if (!s)
		s = dnnl_memory_create(&g->bias_mem, &vector, p->engine, g->bias);
	if (!s)
		s = reorder(p, source, g->weights_mem);
	dnnl_memory_destroy(source);
	rc = check(s, "pack weights", err);
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
	sutra_free(g->packed);
	sutra_free(g->bias);
	sutra_free(g);
}

size_t sutra_gemm_weights_bytes(const struct sutra_gemm_weights *g) { return g->bytes; }

static dnnl_status_t make_step_memory(struct sutra_gemm_lane *lane, size_t i)
{
	const struct sutra_gemm_plan *p = lane->plan;
	dnnl_dims_t bytes = { (dnnl_dim_t)p->scratch[i] };
	dnnl_memory_desc_t x, y, scratch;
	dnnl_status_t s = dense(&x, ladder[i], p->k);

	if (!s)
		s = dense(&y, ladder[i], p->n);
	if (!s)
		s = dnnl_memory_desc_init_by_tag(&scratch, 1, bytes, dnnl_u8, dnnl_a);
	if (!s)
		s = dnnl_memory_create(&lane->x[i], &x, p->engine, DNNL_MEMORY_NONE);
	if (!s)
		s = dnnl_memory_create(&lane->y[i], &y, p->engine, DNNL_MEMORY_NONE);
	if (!s)
		s = dnnl_memory_create(&lane->scratch_mem[i], &scratch, p->engine, lane->scratch);
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
	if (!lane || !(lane->scratch = sutra_alloc_aligned(ALIGN, largest))) {
		sutra_free(lane);
		return sutra_fail(err, SUTRA_E_NOMEM, "out of memory");
	}
	lane->plan = plan;
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
