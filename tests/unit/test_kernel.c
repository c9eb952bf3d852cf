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
#include "model/gemm.h"
#include "model/kernel.h"

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
			float *x = numbers(n, 3), *delta = numbers(n, 1), *gamma = numbers(width, 1),
			      *beta = numbers(width, 1), *want = sutra_memdup(x, n * sizeof(*x));

			(*k)->add_norm(x, w % 2 ? delta : NULL, gamma, beta, 5, width, 1e-12f);
			sutra_kernels_scalar()->add_norm(want, w % 2 ? delta : NULL, gamma, beta, 5,
							 width, 1e-12f);
			if (width > 1)	/* one number has no variance: only rounding is normalised */
				assert_true(worst(x, want, n) < 2e-5);
			sutra_free(x);
			sutra_free(delta);
			sutra_free(gamma);
			sutra_free(beta);
			sutra_free(want);
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
			sutra_kernels_scalar()->attention(qkv, rows, shapes[i].heads, shapes[i].width,
							  scratch, want);
			/* scores of up to 60^2 * 32 carry a float's error of 1e-2 into the exponent */
			assert_true(worst(out, want, rows * hidden) < (shapes[i].scale > 10 ? 0.1 : 1e-4));
			sutra_free(qkv);
			sutra_free(scratch);
			sutra_free(out);
			sutra_free(want);
		}
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
			sutra_kernels_scalar()->rotate(want, rows, heads, width, table);
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
			sutra_kernels_scalar()->swiglu(want, 5, width);
			assert_true(worst(x, want, 5 * width) < 2e-6);
			sutra_free(x);
			sutra_free(want);
		}
}

static void gemm_equals_the_referee(void **state)
{
	static const struct { size_t rows, k, n; enum sutra_activation act; } shapes[] = {
		{ 3, 8, 24, SUTRA_ACT_NONE },	   { 70, 384, 384, SUTRA_ACT_GELU },
		{ 130, 32, 100, SUTRA_ACT_GELU },  { 17, 1536, 384, SUTRA_ACT_NONE },
	};
	struct sutra_err err;

	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		size_t rows = shapes[i].rows, k = shapes[i].k, n = shapes[i].n;
		float *x = numbers((rows + SUTRA_GEMM_SPARE_ROWS) * k, 1), *w = numbers(n * k, 0.2f),
		      *b = numbers(n, 1), *y = numbers((rows + SUTRA_GEMM_SPARE_ROWS) * n, 1),
		      *want = numbers(rows * n, 1);
		struct sutra_gemm_plan *plan;
		struct sutra_gemm_weights *packed;
		struct sutra_gemm_lane *lane;

		assert_int_equal(sutra_gemm_plan_new(k, n, shapes[i].act, &plan, &err), 0);
		assert_int_equal(sutra_gemm_weights_new(plan, w, b, &packed, &err), 0);
		assert_int_equal(sutra_gemm_lane_new(plan, &lane, &err), 0);
		assert_true(sutra_gemm_weights_bytes(packed) >= k * n * sizeof(float));
		assert_int_equal(sutra_gemm(lane, packed, x, rows, y, &err), 0);
		sutra_gemm_scalar(x, w, b, rows, k, n, shapes[i].act, want);
		assert_true(worst(y, want, rows * n) < 2e-5);
		sutra_gemm_lane_free(lane);
		sutra_gemm_weights_free(packed);
		sutra_gemm_plan_free(plan);
		sutra_free(x);
		sutra_free(w);
		sutra_free(b);
		sutra_free(y);
		sutra_free(want);
	}
}

/* Row r of any number of rows, from any start, has the bits of row r of all. */
static void gemm_rows_do_not_know_their_batch(void **state)
{
	enum { K = 384, N = 1536, ROWS = 150 };
	float *x = numbers((ROWS + SUTRA_GEMM_SPARE_ROWS) * K, 1), *w = numbers(N * K, 0.1f),
	      *b = numbers(N, 1), *all = numbers((ROWS + SUTRA_GEMM_SPARE_ROWS) * N, 1),
	      *y = numbers((ROWS + SUTRA_GEMM_SPARE_ROWS) * N, 1);
	struct sutra_gemm_plan *plan;
	struct sutra_gemm_weights *packed;
	struct sutra_gemm_lane *lane;
	struct sutra_err err;

	assert_int_equal(sutra_gemm_plan_new(K, N, SUTRA_ACT_GELU, &plan, &err), 0);
	assert_int_equal(sutra_gemm_weights_new(plan, w, b, &packed, &err), 0);
	assert_int_equal(sutra_gemm_lane_new(plan, &lane, &err), 0);
	assert_int_equal(sutra_gemm(lane, packed, x, ROWS, all, &err), 0);
	for (size_t rows = 1; rows <= 66; rows++) {
		size_t from = rows * 7 % (ROWS - rows);
		float *part = numbers((rows + SUTRA_GEMM_SPARE_ROWS) * K, 1e9f);

		memcpy(part, x + from * K, rows * K * sizeof(*x));
		assert_int_equal(sutra_gemm(lane, packed, part, rows, y, &err), 0);
		assert_memory_equal(y, all + from * N, rows * N * sizeof(*y));
		sutra_free(part);
	}
	sutra_gemm_lane_free(lane);
	sutra_gemm_weights_free(packed);
	sutra_gemm_plan_free(plan);
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
		cmocka_unit_test(rotate_equals_the_referee),
		cmocka_unit_test(swiglu_equals_the_referee),
		cmocka_unit_test(gemm_equals_the_referee),
		cmocka_unit_test(gemm_rows_do_not_know_their_batch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
