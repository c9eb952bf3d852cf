/* lib/model: every kernel against the scalar referee; products independent of the batch. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "vector/onednn.h"
#include "vector/gemm.h"
#include "vector/kernel.h"
#include "vector/vnni.h"

static uint32_t seed = 2463534242u;

static float next(void)	/* in (-1, 1) */
{
	seed ^= seed << 13;
	seed ^= seed >> 17;
	seed ^= seed << 5;
	return (float)(int32_t)seed * 0x1p-31f;
}

static float *numbers(size_t n, float scale)
{
	float *p = sutra_alloc_aligned(64, n * sizeof(*p));

	for (size_t i = 0; i < n; i++)
		p[i] = next() * scale;
	return p;
}

static double worst(const float *a, const float *b, size_t n)
{
	double max = 0;

	for (size_t i = 0; i < n; i++) {
		double d = fabs((double)a[i] - (double)b[i]) / fmax(1, fabs((double)b[i]));

		if (!(d <= max))	/* NaN counts as worst */
			max = d;
	}
	return max;
}

static void add_norm_equals_the_referee(void **state)
{
	static const size_t widths[] = { 1, 7, 16, 24, 384, 401 };

	for (const struct sutra_kernels *const *k = sutra_kernels_all(); *k; k++)
		for (size_t w = 0; w < sizeof(widths) / sizeof(widths[0]); w++) {
			size_t width = widths[w], n = 5 * width;
			float *delta = numbers(n, 1), *more = numbers(n, 1), *gamma = numbers(width, 1),
			      *beta = numbers(width, 1);

			for (int deltas = 0; deltas < 3; deltas++) {
				float *x = numbers(n, 3), *want = sutra_memdup(x, n * sizeof(*x)),
				      *one = deltas > 0 ? delta : NULL, *two = deltas > 1 ? more : NULL;

				(*k)->add_norm(x, one, two, gamma, beta, 5, width, 1e-12f);
				sutra_kernels_scalar.add_norm(want, one, two, gamma, beta, 5, width,
								 1e-12f);
				if (width > 1)	/* one number has no variance: only rounding is normalised */
					assert_true(worst(x, want, n) < 2e-5);
				sutra_free(x);
				sutra_free(want);
			}
			sutra_free(delta);
			sutra_free(more);
			sutra_free(gamma);
			sutra_free(beta);
		}
}

static void attention_equals_the_referee(void **state)
{
	static const struct { size_t rows, heads, width; float scale; } shapes[] = {
		{ 1, 1, 1, 1 },	  { 2, 3, 5, 1 },    { 10, 12, 32, 2 },	 { 33, 2, 64, 4 },
		{ 67, 3, 24, 8 }, { 256, 1, 32, 3 }, { 31, 2, 32, 60 },
	};

	for (const struct sutra_kernels *const *k = sutra_kernels_all(); *k; k++)
		for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
			size_t rows = shapes[i].rows, hidden = shapes[i].heads * shapes[i].width;
			float *qkv = numbers(rows * 3 * hidden, shapes[i].scale),
			      *scratch = numbers(sutra_attention_scratch(rows, shapes[i].width), 9),
			      *out = numbers(rows * hidden, 1), *want = numbers(rows * hidden, 1);

			(*k)->attention(qkv, rows, shapes[i].heads, shapes[i].width, scratch, out);
			sutra_kernels_scalar.attention(qkv, rows, shapes[i].heads, shapes[i].width,
							  scratch, want);
			/* scores of up to 60^2 * 32 carry a float's error of 1e-2 into the exponent */
			assert_true(worst(out, want, rows * hidden) < (shapes[i].scale > 10 ? 0.1 : 1e-4));
			sutra_free(qkv);
			sutra_free(scratch);
			sutra_free(out);
			sutra_free(want);
		}
}

/* Whole numbers instead of floats, of q, k and v of such magnitudes: the direction is the referee's within 1.3
 * degrees; no number is further off than a twentieth of the greatest. */
static void attention_in_bytes_is_near_the_referee(void **state)
{
	static const struct { size_t rows, heads, width; float q, k, v; } shapes[] = {
		{ 17, 12, 32, 1, 1, 1 },    { 18, 2, 32, 2, 2, 2 },   { 31, 12, 32, 1.5f, 1.5f, 1 },
		{ 64, 1, 64, 1, 1, 9 },	    { 123, 2, 32, 2, 2, 2 },  { 512, 1, 32, 3, 3, 3 },
		{ 17, 1, 32, 0, 1, 1 },	    { 121, 1, 32, 1, 0, 1 },  { 121, 1, 32, 1e-3f, 1e-3f, 1 },
		{ 40, 1, 32, 1, 1, 0 },
	};

	if (!sutra_vnni_is_there())
		skip();
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		size_t rows = shapes[i].rows, width = shapes[i].width, hidden = shapes[i].heads * width;
		float *qkv = numbers(3 * rows * hidden, 1), *out = numbers(rows * hidden, 1),
		      *want = numbers(rows * hidden, 1),
		      *scratch = numbers(sutra_attention_scratch(rows, width), 9);
		double dot = 0, a = 0, b = 0, most = 0;

		for (size_t c = 0; c < 3 * rows * hidden; c++)
			qkv[c] *= c / hidden % 3 == 0 ? shapes[i].q : c / hidden % 3 == 1 ? shapes[i].k : shapes[i].v;
		for (size_t c = 0; c < hidden; c++)	/* a token of great magnitude costs the others no precision */
			qkv[c] *= 50;
		assert_true(sutra_vnni_attends(rows, width));
		sutra_vnni_attention(qkv, rows, shapes[i].heads, width, scratch, out);
		sutra_kernels_scalar.attention(qkv, rows, shapes[i].heads, width, scratch, want);
		for (size_t c = hidden; c < rows * hidden; c++) {
			dot += (double)out[c] * (double)want[c];
			a += (double)out[c] * (double)out[c];
			b += (double)want[c] * (double)want[c];
			most = fmax(most, fabs((double)want[c]));
		}
		assert_true(dot >= 0.99975 * sqrt(a * b) && fabs(sqrt(a) - sqrt(b)) <= 0.003 * sqrt(b));
		for (size_t c = hidden; c < rows * hidden; c++)
			assert_true(fabs((double)out[c] - (double)want[c]) <= most / 20);
		sutra_free(qkv);
		sutra_free(out);
		sutra_free(want);
		sutra_free(scratch);
	}
	assert_false(sutra_vnni_attends(513, 32) || sutra_vnni_attends(16, 32) || sutra_vnni_attends(17, 24) ||
		     sutra_vnni_attends(17, 128));
}

static void rotate_equals_the_referee(void **state)
{
	static const struct { size_t rows, heads, width; } shapes[] = {
		{ 1, 1, 2 }, { 3, 2, 10 }, { 9, 4, 16 }, { 20, 12, 64 }, { 5, 1, 66 },
	};

	for (const struct sutra_kernels *const *k = sutra_kernels_all(); *k; k++)
		for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
			size_t rows = shapes[i].rows, heads = shapes[i].heads, width = shapes[i].width,
			       n = rows * 3 * heads * width;
			float *x = numbers(n, 4), *table = numbers(rows * width, 1),
			      *want = sutra_memdup(x, n * sizeof(*x));

			(*k)->rotate(x, rows, heads, width, table);
			sutra_kernels_scalar.rotate(want, rows, heads, width, table);
			assert_true(worst(x, want, n) < 1e-6);
			sutra_free(x);
			sutra_free(table);
			sutra_free(want);
		}
}

static void swiglu_equals_the_referee(void **state)
{
	static const size_t widths[] = { 1, 7, 16, 63, 64, 192, 401 };
	static const float scales[] = { 1, 20, 200 };	/* the last: sigmoid is 0 or 1 */

	for (const struct sutra_kernels *const *k = sutra_kernels_all(); *k; k++)
		for (size_t i = 0; i < 3 * sizeof(widths) / sizeof(widths[0]); i++) {
			size_t width = widths[i / 3], n = 5 * 2 * width;
			float *x = numbers(n, scales[i % 3]), *want = sutra_memdup(x, n * sizeof(*x));

			x[width] = want[width] = -0.0f;
			(*k)->swiglu(x, 5, width);
			sutra_kernels_scalar.swiglu(want, 5, width);
			assert_true(worst(x, want, 5 * width) < 2e-6);
			sutra_free(x);
			sutra_free(want);
		}
}

static void to_bf16_equals_the_referee(void **state)
{
	enum { N = 401 };
	float *x = numbers(N, 3);
	uint16_t got[N], want[N];

	sutra_kernels_scalar.to_bf16(x, N, want);
	for (size_t i = 0; i < N; i++) {
		uint32_t wide = (uint32_t)want[i] << 16;
		float v;

		memcpy(&v, &wide, sizeof(v));
		assert_true(fabsf(v - x[i]) <= fabsf(x[i]) * 0x1p-8f);
	}
	for (const struct sutra_kernels *const *k = sutra_kernels_all(); *k; k++) {
		(*k)->to_bf16(x, N, got);
		assert_memory_equal(got, want, sizeof(got));
	}
	sutra_free(x);
}

/* Bytes differ by one at most, where rounding is a toss-up, and stand for what they came from. */
static void quantize_equals_the_referee(void **state)
{
	enum { ROWS = 6, WIDEST = 401 };
	static const size_t widths[] = { 1, 7, 16, 384, WIDEST };
	static const int tops[] = { 255, 127 };

	for (const struct sutra_kernels *const *k = sutra_kernels_all(); *k; k++)
		for (size_t w = 0; w < 2 * sizeof(widths) / sizeof(widths[0]); w++) {
			size_t width = widths[w / 2], n = ROWS * width;
			int top = tops[w % 2];
			float *x = numbers(n, 3), *inverse = numbers(width, 1), scale[ROWS], want_scale[ROWS];
			int32_t zero[ROWS], want_zero[ROWS];
			uint8_t q[ROWS * WIDEST], want[ROWS * WIDEST];

			memset(x, 0, width * sizeof(*x));	/* a row of zeros */
			for (size_t i = 0; i < width; i++)	/* one without a change of sign */
				x[width + i] = 1 + fabsf(x[width + i]), inverse[i] = 1 + fabsf(inverse[i]);
			(*k)->quantize(x, inverse, ROWS, width, top, q, scale, zero);
			sutra_kernels_scalar.quantize(x, inverse, ROWS, width, top, want, want_scale,
							 want_zero);
			assert_memory_equal(zero, want_zero, sizeof(zero));
			assert_true(worst(scale, want_scale, ROWS) < 1e-6);
			for (size_t i = 0; i < n; i++) {
				float back = (float)(q[i] - zero[i / width]) * scale[i / width];

				assert_in_range(q[i] - want[i] + 1, 0, 2);
				assert_in_range(q[i], 0, top);
				assert_true(fabsf(back - x[i] * inverse[i % width]) <=
					    scale[i / width] * 0.51f);
			}
			sutra_free(x);
			sutra_free(inverse);
		}
}

static const int32_t *as_sums(const float *y) { return (const int32_t *)(const void *)y; }

static void dequantize_equals_the_referee(void **state)
{
	enum { ROWS = 3 };
	static const size_t widths[] = { 1, 24, 401 };

	for (const struct sutra_kernels *const *k = sutra_kernels_all(); *k; k++)
		for (size_t w = 0; w < 2 * sizeof(widths) / sizeof(widths[0]); w++) {
			size_t width = widths[w / 2], n = ROWS * width;
			float *y = numbers(n, 1), *weight_scale = numbers(width, 1e-3f),
			      *bias = numbers(width, 1), *want, scale[ROWS] = { 1e-2f, 2e-2f, 3e-2f };
			int32_t zero[ROWS] = { 0, 100, 255 }, *sum = sutra_alloc(width * sizeof(*sum));
			struct sutra_dequantizer d = { scale, zero, weight_scale, sum, bias, w % 2 };

			for (size_t i = 0; i < n; i++) {
				int32_t v = (int32_t)(y[i] * 1e5f);

				memcpy(y + i, &v, sizeof(v));
			}
			for (size_t i = 0; i < width; i++)
				sum[i] = (int32_t)(next() * 1e3f);
			want = sutra_memdup(y, n * sizeof(*y));
			(*k)->dequantize(&d, as_sums(y), width, ROWS, width, y, width);
			sutra_kernels_scalar.dequantize(&d, as_sums(want), width, ROWS, width, want, width);
			assert_true(worst(y, want, n) < 1e-5);
			sutra_free(y);
			sutra_free(weight_scale);
			sutra_free(bias);
			sutra_free(want);
			sutra_free(sum);
		}
}

/* The GELU of dequantize, from -12 to 12, against the C library's erf. */
static void gelu_is_the_erf_form(void **state)
{
	enum { N = 24001 };
	static const int32_t zero = 0;
	static const float scale = 1;
	float *y = numbers(N, 1), *weight_scale = numbers(N, 1), *bias = numbers(N, 1);
	int32_t *sum = sutra_calloc(N, sizeof(*sum));
	struct sutra_dequantizer d = { &scale, &zero, weight_scale, sum, bias, true };

	for (const struct sutra_kernels *const *k = sutra_kernels_all(); *k; k++) {
		memset(y, 0, N * sizeof(*y));
		for (size_t i = 0; i < N; i++)
			bias[i] = (float)i / 1000 - 12;
		(*k)->dequantize(&d, as_sums(y), N, 1, N, y, N);
		for (size_t i = 0; i < N; i++) {
			double x = (double)bias[i], want = 0.5 * x * (1 + erf(x * M_SQRT1_2));

			assert_true(fabs((double)y[i] - want) <= fmax(2.5e-6, 4e-7 * fabs(x)));
		}
	}
	sutra_free(y);
	sutra_free(weight_scale);
	sutra_free(bias);
	sutra_free(sum);
}

/* How far a product may be from the referee's, relative to the greatest of the numbers: a byte's
 * rounding, 1.5e-3 rms here, over 1536 inputs makes 0.015 rms. */
static const double allowed[SUTRA_PRECISIONS] = { 2e-5, 4e-2, 1e-1 };

struct product {
	struct sutra_gemm_plan *plan;
	struct sutra_gemm_weights *weights;
	struct sutra_gemm_workspace *workspace;
};

/* Whether the processor can. */
static bool make_product(struct product *p, size_t k, size_t n, bool gelu,
			 enum sutra_precision precision, const float *w, const float *b,
			 const float *magnitude)
{
	struct sutra_err err;
	int rc = sutra_gemm_plan_new(k, n, gelu, precision, &p->plan, &err);

	if (rc == SUTRA_E_INVALID && precision != SUTRA_FP32 && !sutra_onednn_is_native(precision))
		return false;
	assert_int_equal(rc, 0);
	assert_int_equal(sutra_gemm_weights_new(p->plan, w, b, magnitude, &p->weights, &err), 0);
	assert_int_equal(sutra_gemm_workspace_new(p->plan, &p->workspace, &err), 0);
	return true;
}

static void release_product(struct product *p)
{
	sutra_gemm_workspace_free(p->workspace);
	sutra_gemm_weights_free(p->weights);
	sutra_gemm_plan_free(p->plan);
}

static void gemm_equals_the_referee(void **state)
{
	static const struct { size_t rows, k, n; bool gelu; } shapes[] = {
		{ 3, 8, 24, false },	   { 70, 384, 384, true },
		{ 130, 32, 100, true },  { 17, 1536, 384, false },
		{ 9, 30, 40, true },	   { 33, 20, 300, false },
	};
	char layout[SUTRA_GEMM_LAYOUT_MAX];
	struct sutra_err err;

	sutra_gemm_layout(layout);
	print_message("# %s, %s kernels\n", layout, sutra_kernels_best()->name);
	for (size_t i = 0; i < SUTRA_PRECISIONS * sizeof(shapes) / sizeof(shapes[0]); i++) {
		enum sutra_precision precision = i % SUTRA_PRECISIONS;
		size_t at = i / SUTRA_PRECISIONS, rows = shapes[at].rows, k = shapes[at].k, n = shapes[at].n;
		float *x = numbers((rows + SUTRA_GEMM_SPARE_ROWS) * k, 1), *w = numbers(n * k, 0.2f),
		      *b = numbers(n, 1), *y = numbers((rows + SUTRA_GEMM_SPARE_ROWS) * n, 1),
		      *want = numbers(rows * n, 1);
		struct product p;

		if (make_product(&p, k, n, shapes[at].gelu, precision, w, b, NULL)) {
			assert_int_equal(sutra_gemm(p.workspace, p.weights, x, rows, y, &err), 0);
			sutra_gemm_scalar(x, w, b, rows, k, n, shapes[at].gelu, want);
			if (!(worst(y, want, rows * n) < allowed[precision]))
				fail_msg("%s: off by %g", sutra_precision_name(precision), worst(y, want, rows * n));
			release_product(&p);
		}
		sutra_free(x);
		sutra_free(w);
		sutra_free(b);
		sutra_free(y);
		sutra_free(want);
	}
}

/* Every height of a tile, panels that are not full, strips that are not: sums are exact. */
static void vnni_sums_are_exact(void **state)
{
	enum { K = 20, MOST_ROWS = 26, MOST = 300 };
	static const size_t widths[] = { 1, 31, 32, 33, 256, MOST };
	static uint8_t x[MOST_ROWS * K];
	static int8_t w[MOST * K];
	static float y[MOST_ROWS * MOST], ones[MOST], bias[MOST];
	static int32_t zero[MOST_ROWS], sum[MOST];
	struct sutra_dequantizer d = { ones, zero, ones, sum, bias, false };

	if (!sutra_vnni_is_there())
		skip();
	for (size_t i = 0; i < sizeof(x); i++)
		x[i] = (uint8_t)(i * 37 + 5);
	for (size_t i = 0; i < sizeof(w); i++)
		w[i] = (int8_t)(i * 91 - 3);
	for (size_t i = 0; i < MOST; i++)
		ones[i] = 1;
	for (size_t v = 0; v < sizeof(widths) / sizeof(widths[0]); v++) {
		size_t n = widths[v];
		int8_t *panels = sutra_alloc_aligned(64, sutra_vnni_bytes(n, K));

		sutra_vnni_pack(w, n, K, panels);
		for (size_t rows = 1; rows <= MOST_ROWS; rows++) {
			sutra_vnni_multiply(x, rows, K, panels, n, sutra_kernels_best(), &d, y);
			for (size_t i = 0; i < rows * n; i++) {
				int32_t want = 0;

				for (size_t c = 0; c < K; c++)
					want += x[i / n * K + c] * w[i % n * K + c];
				assert_true(y[i] == (float)want);
			}
		}
		sutra_free(panels);
	}
}

/* A column a hundred times as large as the others drowns them in bytes, unless it is evened out. */
static void magnitude_evens_columns_out(void **state)
{
	enum { K = 64, N = 32, ROWS = 20 };
	float *x = numbers((ROWS + SUTRA_GEMM_SPARE_ROWS) * K, 1), *w = numbers(N * K, 1), *b = numbers(N, 1),
	      *y = numbers((ROWS + SUTRA_GEMM_SPARE_ROWS) * N, 1), *want = numbers(ROWS * N, 1), magnitude[K];
	struct sutra_err err;
	double off[2];

	for (size_t i = 0; i < K; i++)
		magnitude[i] = 1;
	magnitude[5] = 100;
	for (size_t r = 0; r < ROWS; r++)
		x[r * K + 5] *= 100;
	for (size_t j = 0; j < N; j++)
		w[j * K + 5] /= 100;
	sutra_gemm_scalar(x, w, b, ROWS, K, N, false, want);
	for (int even = 0; even < 2; even++) {
		struct product p;

		assert_true(make_product(&p, K, N, false, SUTRA_INT8, w, b, even ? magnitude : NULL));
		assert_int_equal(sutra_gemm(p.workspace, p.weights, x, ROWS, y, &err), 0);
		off[even] = worst(y, want, ROWS * N);
		release_product(&p);
	}
	if (!(off[1] < 0.1))
		fail_msg("evened out, off by %g; else by %g", off[1], off[0]);
	assert_true(off[0] > 5 * off[1]);
	sutra_free(x);
	sutra_free(w);
	sutra_free(b);
	sutra_free(y);
	sutra_free(want);
}

/* Row r of any number of rows, from any start, has the bits of row r of all; and weights seen in
 * another's block are those weights. */
static void gemm_rows_do_not_know_their_batch(void **state)
{
	enum { K = 384, N = 1536, ROWS = 150 };
	float *x = numbers((ROWS + SUTRA_GEMM_SPARE_ROWS) * K, 1), *w = numbers(N * K, 0.1f),
	      *b = numbers(N, 1), *all = numbers((ROWS + SUTRA_GEMM_SPARE_ROWS) * N, 1),
	      *y = numbers((ROWS + SUTRA_GEMM_SPARE_ROWS) * N, 1);
	struct sutra_err err;

	for (enum sutra_precision precision = 0; precision < SUTRA_PRECISIONS; precision++) {
		struct sutra_gemm_weights *seen;
		struct product p;

		if (!make_product(&p, K, N, true, precision, w, b, NULL))
			continue;
		assert_int_equal(sutra_gemm(p.workspace, p.weights, x, ROWS, all, &err), 0);
		assert_int_equal(sutra_gemm_weights_view(p.plan, sutra_gemm_packed(p.weights), &seen, &err), 0);
		for (size_t rows = 1; rows <= 66; rows++) {
			size_t from = rows * 7 % (ROWS - rows);
			float *part = numbers((rows + SUTRA_GEMM_SPARE_ROWS) * K, 1e9f);

			memcpy(part, x + from * K, rows * K * sizeof(*x));
			assert_int_equal(sutra_gemm(p.workspace, seen, part, rows, y, &err), 0);
			assert_memory_equal(y, all + from * N, rows * N * sizeof(*y));
			sutra_free(part);
		}
		sutra_gemm_weights_free(seen);
		release_product(&p);
	}
	sutra_free(x);
	sutra_free(w);
	sutra_free(b);
	sutra_free(all);
	sutra_free(y);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(add_norm_equals_the_referee),
		cmocka_unit_test(attention_equals_the_referee),
		cmocka_unit_test(attention_in_bytes_is_near_the_referee),
		cmocka_unit_test(rotate_equals_the_referee),
		cmocka_unit_test(swiglu_equals_the_referee),
		cmocka_unit_test(to_bf16_equals_the_referee),
		cmocka_unit_test(quantize_equals_the_referee),
		cmocka_unit_test(dequantize_equals_the_referee),
		cmocka_unit_test(gelu_is_the_erf_form),
		cmocka_unit_test(gemm_equals_the_referee),
		cmocka_unit_test(vnni_sums_are_exact),
		cmocka_unit_test(magnitude_evens_columns_out),
		cmocka_unit_test(gemm_rows_do_not_know_their_batch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
