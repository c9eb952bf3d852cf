/*
 * The only file that uses oneDNN: 2.6, the version of Debian 12, and 3.x.
 *
 * Batch invariance. A text must get the same bits alone and in any batch, so a row's result must
 * not depend on the number of rows M. oneDNN does not guarantee that: it may choose another kernel for
 * another M. So each plan holds primitives for a few fixed numbers of rows (the ladder), all with one
 * weight layout. The caller's rows are computed as whole blocks of the largest step, and the rest by the
 * smallest step that holds it, whose spare rows are computed and ignored. The invariance is checked, not
 * assumed: sutra_onednn_plan_new runs every step on the same rows, at two places each, and drops a step
 * whose bits differ from the first one's. On AVX-512 (brgemm kernels, one accumulator an output, k
 * ascending) all steps agree. If a machine's kernels do not, the ladder is shorter and small batches are
 * slower, but never wrong. Sums of bytes are integers, the same in any order: int8 needs no check.
 *
 * Rejected: a run-time M (DNNL_RUNTIME_DIM_VAL falls back to unpacked sgemm in 2.6, a third of
 * the speed); padding every text to one size (a short text would take the time of 64 rows).
 *
 * Why these steps: below 16 rows the time is that of streaming the weights from memory, at 64
 * the kernels run at full speed (97 of 100 GFLOP/s on one Cascade Lake core).
 *
 * Threads: oneDNN uses libgomp. Every function that computes sets the calling thread's OpenMP team to one,
 * since the encoder's threads compute texts and parts in parallel.
 */
#include "vector/onednn.h"

#include <dnnl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

/* From libgomp, which oneDNN is linked with; declared here because not every compiler brings <omp.h>. */
void omp_set_num_threads(int n);

/* The last step is used only if no other one is consistent. */
static const size_t ladder[] = { 64, 48, 32, 24, 16, 8, 1 };
enum { STEPS = sizeof(ladder) / sizeof(ladder[0]), LARGEST = SUTRA_ONEDNN_ROWS, ALIGN = 64 };

/* The types of a precision's matrices. */
static const struct {
	dnnl_data_type_t x, w, y;
} kinds[SUTRA_PRECISIONS] = {
	[SUTRA_FP32] = { dnnl_f32, dnnl_f32, dnnl_f32 },
	[SUTRA_BF16] = { dnnl_bf16, dnnl_bf16, dnnl_f32 },
	[SUTRA_INT8] = { dnnl_u8, dnnl_s8, dnnl_s32 },
};

/*
 * The differences between 2.6 and 3.x. A memory descriptor is an open struct in 2.6 and an opaque object in
 * 3.x; here it is an allocated onednn_desc in both. 2.6 compiles a product from an operation's descriptor,
 * 3.x from the matrices' descriptors. All other calls are the same; oneDNN's scales and zero points, which
 * changed most, are not used.
 */
#if DNNL_VERSION_MAJOR < 3
#define onednn_desc dnnl_memory_desc_t

static dnnl_status_t onednn_desc_copy(onednn_desc **ret, const onednn_desc *d)
{
	*ret = sutra_alloc(sizeof(**ret));
	if (!*ret)
		return dnnl_out_of_memory;
	**ret = *d;
	return dnnl_success;
}

static dnnl_status_t onednn_desc_new(onednn_desc **ret, int n, const dnnl_dims_t dims,
				     dnnl_data_type_t type, dnnl_format_tag_t tag)
{
	onednn_desc d;
	dnnl_status_t s = dnnl_memory_desc_init_by_tag(&d, n, dims, type, tag);

	return s ? s : onednn_desc_copy(ret, &d);
}

static void onednn_desc_free(onednn_desc *d) { sutra_free(d); }

static dnnl_status_t onednn_product(dnnl_primitive_desc_t *ret, dnnl_engine_t engine,
				    const onednn_desc *x, const onednn_desc *w,
				    const onednn_desc *bias, const onednn_desc *y,
				    dnnl_primitive_attr_t attr)
{
	dnnl_inner_product_desc_t op;
	dnnl_status_t s = dnnl_inner_product_forward_desc_init(&op, dnnl_forward_inference, x, w, bias, y);

	return s ? s : dnnl_primitive_desc_create(ret, &op, attr, engine, NULL);
}

static dnnl_status_t onednn_append_gelu(dnnl_post_ops_t ops)
{
	return dnnl_post_ops_append_eltwise(ops, 1.0f, dnnl_eltwise_gelu_erf, 0.0f, 0.0f);
}
#else
#define onednn_desc struct dnnl_memory_desc

static dnnl_status_t onednn_desc_copy(onednn_desc **ret, const onednn_desc *d)
{
	return dnnl_memory_desc_clone(ret, d);
}

static dnnl_status_t onednn_desc_new(onednn_desc **ret, int n, const dnnl_dims_t dims,
				     dnnl_data_type_t type, dnnl_format_tag_t tag)
{
	return dnnl_memory_desc_create_with_tag(ret, n, dims, type, tag);
}

static void onednn_desc_free(onednn_desc *d)
{
	if (d)
		dnnl_memory_desc_destroy(d);
}

static dnnl_status_t onednn_product(dnnl_primitive_desc_t *ret, dnnl_engine_t engine,
				    const onednn_desc *x, const onednn_desc *w,
				    const onednn_desc *bias, const onednn_desc *y,
				    dnnl_primitive_attr_t attr)
{
	return dnnl_inner_product_forward_primitive_desc_create(ret, engine, dnnl_forward_inference, x,
								w, bias, y, attr);
}

static dnnl_status_t onednn_append_gelu(dnnl_post_ops_t ops)
{
	return dnnl_post_ops_append_eltwise(ops, dnnl_eltwise_gelu_erf, 0.0f, 0.0f);
}
#endif

struct sutra_onednn_plan {
	dnnl_engine_t engine;
	size_t k, n;
	bool gelu;
	enum sutra_precision precision;
	onednn_desc *weights;			/* one layout for all steps */
	size_t scratch[STEPS];			/* bytes */
	dnnl_primitive_t steps[STEPS];		/* NULL: not in the ladder */
};

struct sutra_onednn_matrix {
	const struct sutra_onednn_plan *plan;
	dnnl_memory_t weights, bias;
};

struct sutra_onednn_workspace {
	const struct sutra_onednn_plan *plan;
	dnnl_stream_t stream;
	void *scratch;
	dnnl_memory_t x[STEPS], y[STEPS], scratch_mem[STEPS];
};

/* Converts oneDNN's status to an error. */
static int check(dnnl_status_t s, const char *what, struct sutra_err *err)
{
	if (s == dnnl_success)
		return 0;
	return sutra_fail(err, s == dnnl_out_of_memory ? SUTRA_E_NOMEM : SUTRA_E_INTERNAL,
			  "oneDNN: cannot %s (status %d)", what, (int)s);
}

/* Describes a dense matrix, or a vector if rows is 0. */
static dnnl_status_t dense(size_t rows, size_t columns, dnnl_data_type_t type, onednn_desc **ret)
{
	dnnl_dims_t matrix = { (dnnl_dim_t)rows, (dnnl_dim_t)columns },
		    vector = { (dnnl_dim_t)columns };

	return rows ? onednn_desc_new(ret, 2, matrix, type, dnnl_ab) :
		      onednn_desc_new(ret, 1, vector, type, dnnl_a);
}

/* The same as a memory object for the numbers at `at`. */
static dnnl_status_t dense_memory(const struct sutra_onednn_plan *p, size_t rows, size_t columns,
				  dnnl_data_type_t type, const void *at, dnnl_memory_t *ret)
{
	onednn_desc *d = NULL;
	dnnl_status_t s = dense(rows, columns, type, &d);

	if (!s)
		s = dnnl_memory_create(ret, d, p->engine, (void *)(uintptr_t)at);
	onednn_desc_free(d);
	return s;
}

static dnnl_status_t make_attributes(const struct sutra_onednn_plan *p, dnnl_primitive_attr_t *ret)
{
	dnnl_post_ops_t ops = NULL;
	dnnl_status_t s = dnnl_primitive_attr_create(ret);

	if (!s)
		s = dnnl_primitive_attr_set_scratchpad_mode(*ret, dnnl_scratchpad_mode_user);
	if (s || !p->gelu || p->precision == SUTRA_INT8)	/* int8: the sums are the result */
		return s;
	s = dnnl_post_ops_create(&ops);
	if (!s)
		s = onednn_append_gelu(ops);
	if (!s)
		s = dnnl_primitive_attr_set_post_ops(*ret, ops);
	dnnl_post_ops_destroy(ops);
	return s;
}

/* Compiles step i; the first one chooses the weights' layout for all. */
static dnnl_status_t make_primitive(struct sutra_onednn_plan *p, size_t i)
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
static size_t choose_step(const struct sutra_onednn_plan *p, size_t rows)
{
	size_t best = STEPS;

	for (size_t i = 0; i < STEPS; i++)
		if (p->steps[i] && (best == STEPS || ladder[i] >= rows))
			best = i;
	return best;
}

static int run_step(struct sutra_onednn_workspace *workspace, const struct sutra_onednn_matrix *m, size_t i,
		    const void *x, void *y, struct sutra_err *err)
{
	dnnl_exec_arg_t args[] = {
		{ DNNL_ARG_SRC, workspace->x[i] },	   { DNNL_ARG_WEIGHTS, m->weights },
		{ DNNL_ARG_DST, workspace->y[i] },	   { DNNL_ARG_SCRATCHPAD, workspace->scratch_mem[i] },
		{ DNNL_ARG_BIAS, m->bias },	   /* the last, since int8 has none */
	};
	int n = sizeof(args) / sizeof(args[0]) - (workspace->plan->precision == SUTRA_INT8);
	dnnl_status_t s = dnnl_memory_set_data_handle(workspace->x[i], (void *)(uintptr_t)x);

	if (!s)
		s = dnnl_memory_set_data_handle(workspace->y[i], y);
	if (!s)
		s = dnnl_primitive_execute(workspace->plan->steps[i], workspace->stream, n, args);
	if (!s)
		s = dnnl_stream_wait(workspace->stream);	/* waits only in a SYCL build of oneDNN */
	return check(s, "run a product", err);
}

int sutra_onednn_run(struct sutra_onednn_workspace *workspace, const struct sutra_onednn_matrix *matrix,
		     const void *x, size_t rows, void *y, struct sutra_err *err)
{
	const struct sutra_onednn_plan *p = workspace->plan;
	size_t x_row = p->k * dnnl_data_type_size(kinds[p->precision].x), y_row = p->n * sizeof(float);
	int rc = 0;

	omp_set_num_threads(1);
	for (size_t at = 0, step; !rc && at < rows; at += ladder[step]) {
		step = choose_step(p, rows - at);
		rc = run_step(workspace, matrix, step, (const char *)x + at * x_row, (char *)y + at * y_row, err);
	}
	return rc;
}

/* Sets *ret to whether step i computes the bits of `reference` from the first rows of x, and again if the rows
 * are shifted by one place. out has room for the spare rows. */
static int step_agrees(struct sutra_onednn_workspace *workspace, const struct sutra_onednn_matrix *m, size_t i,
		       const void *x, const float *reference, float *out, bool *ret,
		       struct sutra_err *err)
{
	const struct sutra_onednn_plan *p = workspace->plan;
	size_t x_row = p->k * dnnl_data_type_size(kinds[p->precision].x), n = p->n, rows = ladder[i];
	int rc = run_step(workspace, m, i, x, out, err);

	*ret = !rc && !memcmp(out, reference, rows * n * sizeof(float));
	if (*ret && rows > 1) {
		rc = run_step(workspace, m, i, (const char *)x + x_row, out, err);
		*ret = !rc && !memcmp(out, reference + n, (rows - 1) * n * sizeof(float));
	}
	return rc;
}

/* Writes n numbers from -1 to 1, as floats or (their upper halves) bfloat16. */
static void fill_random(void *ret, size_t n, dnnl_data_type_t type)
{
	uint32_t s = 2463534242u, bits;

	for (size_t i = 0; i < n; i++) {
		float number;

		s ^= s << 13;	/* xorshift32, Marsaglia 2003 */
		s ^= s >> 17;
		s ^= s << 5;
		number = (float)(int32_t)s * 0x1p-31f;
		memcpy(&bits, &number, sizeof(bits));
		if (type == dnnl_bf16)
			((uint16_t *)ret)[i] = (uint16_t)(bits >> 16);
		else
			((float *)ret)[i] = number;
	}
}

/* Removes steps whose bits differ from those of the largest step that is consistent in itself. */
static int check_ladder(struct sutra_onednn_plan *p, struct sutra_err *err)
{
	size_t k = p->k, n = p->n, rows = LARGEST + SUTRA_GEMM_SPARE_ROWS;
	struct sutra_onednn_matrix *m = NULL;
	struct sutra_onednn_workspace *workspace = NULL;
	float *x = sutra_alloc_aligned(ALIGN, rows * k * sizeof(float)),
	      *y = sutra_alloc_aligned(ALIGN, rows * n * sizeof(float)),
	      *reference = sutra_alloc_aligned(ALIGN, rows * n * sizeof(float)),
	      *w = sutra_alloc_aligned(ALIGN, (k + 1) * n * sizeof(float));
	void *packed = sutra_alloc_aligned(ALIGN, sutra_onednn_matrix_bytes(p));
	bool have_reference = false, agrees = false;
	int rc = x && y && reference && w && packed ? 0 : sutra_fail(err, SUTRA_E_NOMEM, "out of memory");

	if (rc)
		goto out;
	memset(packed, 0, sutra_onednn_matrix_bytes(p));
	fill_random(x, rows * k, kinds[p->precision].x);
	fill_random(w, (k + 1) * n, dnnl_f32);
	rc = sutra_onednn_matrix_new(p, packed, w + k * n, &m, err);
	if (!rc)
		rc = sutra_onednn_matrix_pack(m, w, err);
	if (!rc)
		rc = sutra_onednn_workspace_new(p, &workspace, err);
	for (size_t i = 0; !rc && i < STEPS; i++) {
		if (!have_reference)
			rc = run_step(workspace, m, i, x, reference, err);
		if (!rc)
			rc = step_agrees(workspace, m, i, x, reference, y, &agrees, err);
		if (!rc && (!agrees || (ladder[i] == 1 && have_reference))) {
			dnnl_primitive_destroy(p->steps[i]);
			p->steps[i] = NULL;
		}
		have_reference |= !rc && agrees;
	}
	if (!rc && !have_reference)
		rc = sutra_fail(err, SUTRA_E_INTERNAL,
				"oneDNN: a row's result depends on its place, for any number of rows");
out:
	sutra_onednn_workspace_free(workspace);
	sutra_onednn_matrix_free(m);
	sutra_free(x);
	sutra_free(y);
	sutra_free(reference);
	sutra_free(w);
	sutra_free(packed);
	return rc;
}

static bool has(unsigned isa) { return (dnnl_get_effective_cpu_isa() & isa) == isa; }

unsigned sutra_onednn_vector_bits(void)
{
	return has(dnnl_cpu_isa_avx512_core) ? 512 : has(dnnl_cpu_isa_avx2) ? 256 : 128;
}

bool sutra_onednn_is_native(enum sutra_precision p)
{
	if (p == SUTRA_BF16)
		return has(dnnl_cpu_isa_avx512_core_bf16);
	return p == SUTRA_FP32 || sutra_onednn_has_vnni() || has(dnnl_cpu_isa_avx2_vnni);
}

bool sutra_onednn_has_vnni(void) { return has(dnnl_cpu_isa_avx512_core_vnni); }

bool sutra_onednn_has_tiles(void) { return has(dnnl_cpu_isa_avx512_core_amx); }

void sutra_onednn_layout(char ret[SUTRA_ONEDNN_LAYOUT_MAX])
{
	const dnnl_version_t *v = dnnl_version();

	snprintf(ret, SUTRA_ONEDNN_LAYOUT_MAX, "onednn-%d.%d.%d-isa-%x", v->major, v->minor, v->patch,
		 (unsigned)dnnl_get_effective_cpu_isa());
}

static int compile_step(struct sutra_onednn_plan *p, size_t i, struct sutra_err *err)
{
	dnnl_status_t s = make_primitive(p, i);

	if (s == dnnl_unimplemented)
		return sutra_fail(err, SUTRA_E_INVALID,
				  "this processor cannot multiply in %s; fp32 is always there",
				  sutra_precision_name(p->precision));
	return check(s, "compile a product", err);
}

int sutra_onednn_plan_new(size_t k, size_t n, bool gelu, enum sutra_precision precision,
			  struct sutra_onednn_plan **ret, struct sutra_err *err)
{
	struct sutra_onednn_plan *p = sutra_calloc(1, sizeof(*p));
	int rc;

	if (!p)
		return sutra_fail(err, SUTRA_E_NOMEM, "out of memory");
	omp_set_num_threads(1);
	p->k = k;
	p->n = n;
	p->gelu = gelu;
	p->precision = precision;
	rc = check(dnnl_engine_create(&p->engine, dnnl_cpu, 0), "start", err);
	for (size_t i = 0; !rc && i < STEPS; i++)
		rc = compile_step(p, i, err);
	if (!rc && precision != SUTRA_INT8)
		rc = check_ladder(p, err);
	if (rc)
		sutra_onednn_plan_free(p);
	else
		*ret = p;
	return rc;
}

void sutra_onednn_plan_free(struct sutra_onednn_plan *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < STEPS; i++)
		dnnl_primitive_destroy(p->steps[i]);
	onednn_desc_free(p->weights);
	dnnl_engine_destroy(p->engine);
	sutra_free(p);
}

static dnnl_status_t reorder(const struct sutra_onednn_plan *p, dnnl_memory_t from, dnnl_memory_t to)
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

size_t sutra_onednn_matrix_bytes(const struct sutra_onednn_plan *p)
{
	return dnnl_memory_desc_get_size(p->weights);
}

int sutra_onednn_matrix_new(const struct sutra_onednn_plan *p, const void *packed, const float *bias,
			    struct sutra_onednn_matrix **ret, struct sutra_err *err)
{
	struct sutra_onednn_matrix *m = sutra_calloc(1, sizeof(*m));
	dnnl_status_t s;
	int rc;

	if (!m)
		return sutra_fail(err, SUTRA_E_NOMEM, "out of memory for the weights");
	m->plan = p;
	s = dense_memory(p, 0, p->n, dnnl_f32, bias, &m->bias);
	if (!s)
		s = dnnl_memory_create(&m->weights, p->weights, p->engine, (void *)(uintptr_t)packed);
	rc = check(s, "take packed weights", err);
	if (rc)
		sutra_onednn_matrix_free(m);
	else
		*ret = m;
	return rc;
}

int sutra_onednn_matrix_pack(struct sutra_onednn_matrix *m, const void *w, struct sutra_err *err)
{
	const struct sutra_onednn_plan *p = m->plan;
	dnnl_memory_t source = NULL;
	dnnl_status_t s;

	omp_set_num_threads(1);
	s = dense_memory(p, p->n, p->k, p->precision == SUTRA_INT8 ? dnnl_s8 : dnnl_f32, w, &source);
	if (!s)
		s = reorder(p, source, m->weights);
	dnnl_memory_destroy(source);
	return check(s, "pack weights", err);
}

void sutra_onednn_matrix_free(struct sutra_onednn_matrix *m)
{
	if (!m)
		return;
	dnnl_memory_destroy(m->weights);
	dnnl_memory_destroy(m->bias);
	sutra_free(m);
}

static dnnl_status_t make_step_memory(struct sutra_onednn_workspace *workspace, size_t i)
{
	const struct sutra_onednn_plan *p = workspace->plan;
	dnnl_status_t s = dense_memory(p, ladder[i], p->k, kinds[p->precision].x, DNNL_MEMORY_NONE,
				       &workspace->x[i]);

	if (!s)
		s = dense_memory(p, ladder[i], p->n, kinds[p->precision].y, DNNL_MEMORY_NONE, &workspace->y[i]);
	if (!s)
		s = dense_memory(p, 0, p->scratch[i], dnnl_u8, workspace->scratch, &workspace->scratch_mem[i]);
	return s;
}

int sutra_onednn_workspace_new(const struct sutra_onednn_plan *plan, struct sutra_onednn_workspace **ret,
			  struct sutra_err *err)
{
	struct sutra_onednn_workspace *workspace = sutra_calloc(1, sizeof(*workspace));
	size_t largest = 1;
	dnnl_status_t s;
	int rc;

	for (size_t i = 0; i < STEPS; i++)
		if (plan->scratch[i] > largest)
			largest = plan->scratch[i];
	if (workspace)
		workspace->scratch = sutra_alloc_aligned(ALIGN, largest);
	if (!workspace || !workspace->scratch) {
		sutra_onednn_workspace_free(workspace);
		return sutra_fail(err, SUTRA_E_NOMEM, "out of memory");
	}
	workspace->plan = plan;
	s = dnnl_stream_create(&workspace->stream, plan->engine, dnnl_stream_default_flags);
	for (size_t i = 0; !s && i < STEPS; i++)
		if (plan->steps[i])
			s = make_step_memory(workspace, i);
	rc = check(s, "make room for a product", err);
	if (rc)
		sutra_onednn_workspace_free(workspace);
	else
		*ret = workspace;
	return rc;
}

void sutra_onednn_workspace_free(struct sutra_onednn_workspace *workspace)
{
	if (!workspace)
		return;
	for (size_t i = 0; i < STEPS; i++) {
		dnnl_memory_destroy(workspace->x[i]);
		dnnl_memory_destroy(workspace->y[i]);
		dnnl_memory_destroy(workspace->scratch_mem[i]);
	}
	dnnl_stream_destroy(workspace->stream);
	sutra_free(workspace->scratch);
	sutra_free(workspace);
}
