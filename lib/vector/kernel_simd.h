/*
 * kernel_simd - the vector kernels, written in the compilers' vector types. kernel.c includes this file
 * once for every instruction set, with these macros:
 *
 *	SIMD_LANES	floats in a vector
 *	SIMD_TARGET	the functions' target attribute, or nothing
 *	SIMD_(name)	name with the set's suffix
 *	SIMD_MIN, _MAX	the set's instructions for minimum and maximum, if it has them
 *	SIMD_LOW, _HIGH	indices that interleave the lower, the upper halves of a and b: a0 b0 a1 b1 ...
 *
 * So it has no include guard; the defaults below only let the file compile alone.
 */
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "vector/kernel.h"

#ifndef SIMD_LANES
#define SIMD_LANES 4
#define SIMD_TARGET
#define SIMD_(name) name##_alone
#define SIMD_LOW 0, 4, 1, 5
#define SIMD_HIGH 2, 6, 3, 7
#endif

#define PANEL (2 * SIMD_LANES)
#define QROWS 4
#define SIDE (SIMD_LANES / 2)
#define INLINE __attribute__((always_inline))

#define vec SIMD_(vec)
#define bits SIMD_(bits)
#define ints SIMD_(ints)
#define bytes SIMD_(bytes)
#define halves SIMD_(halves)
/* Loads and stores may be unaligned, and these types may alias floats. */
typedef float vec __attribute__((vector_size(SIMD_LANES * 4), aligned(4), may_alias));
typedef uint32_t bits __attribute__((vector_size(SIMD_LANES * 4), aligned(4), may_alias));

typedef uint16_t halves __attribute__((vector_size(SIMD_LANES * 2), aligned(2), may_alias));
typedef uint8_t bytes __attribute__((vector_size(SIMD_LANES), aligned(1), may_alias));
typedef int32_t ints __attribute__((vector_size(SIMD_LANES * 4), aligned(4), may_alias));

#define MAGIC 12582912.0f	/* 1.5 * 2^23: adding it rounds and leaves the integer in the low bits */
#define LOAD(p) (*(const vec *)(p))
#define STORE(p, v) (*(vec *)(p) = (v))

/* The sum of the lanes, in a fixed order. */
static inline SIMD_TARGET float SIMD_(total)(vec v)
{
	float lanes[SIMD_LANES], sums[4] = { 0 };

	STORE(lanes, v);
	for (size_t i = 0; i < SIMD_LANES; i += 4)
		for (size_t j = 0; j < 4; j++)
			sums[j] += lanes[i + j];
	return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

static inline SIMD_TARGET vec SIMD_(select)(bits mask, vec yes, vec no)
{
	return (vec)(((bits)yes & mask) | ((bits)no & ~mask));
}

#ifdef SIMD_MIN
#define MIN(a, b) ((vec)SIMD_MIN(a, b))
#define MAX(a, b) ((vec)SIMD_MAX(a, b))
#else
#define MIN(a, b) SIMD_(select)((bits)((a) < (b)), a, b)
#define MAX(a, b) SIMD_(select)((bits)((a) > (b)), a, b)
#endif
#define ALL(number) ((vec){ 0 } + (number))

/* Long chains of arithmetic are computed for SIDE vectors at once, since a chain has more instructions than
 * the processor looks ahead. */
#define EACH _Pragma("GCC unroll 8") for (size_t i = 0; i < SIDE; i++)

/* x = exp(x) for x <= 0; below -87, exp(-87). Cody and Waite's reduction to [-ln2/2, ln2/2], then a
 * polynomial (coefficients of Cephes expf). */
static inline SIMD_TARGET INLINE void SIMD_(exp)(vec x[SIDE])
{
	vec shifted[SIDE], whole[SIDE], r[SIDE], r2[SIDE], y[SIDE], low[SIDE];

	EACH shifted[i] = MAX(x[i], ALL(-87.0f));
	EACH r[i] = shifted[i];
	EACH shifted[i] = shifted[i] * 1.44269504088896341f + MAGIC;
	EACH whole[i] = shifted[i] - MAGIC;
	EACH r[i] -= whole[i] * 0.693359375f;
	EACH r[i] += whole[i] * 2.12194440e-4f;
	EACH r2[i] = r[i] * r[i];
	EACH y[i] = r[i] * 1.9875691500e-4f + 1.3981999507e-3f;
	EACH low[i] = r[i] * 8.3334519073e-3f + 4.1665795894e-2f;
	EACH y[i] = y[i] * r2[i] + low[i];
	EACH low[i] = r[i] * 1.6666665459e-1f + 5.0000001201e-1f;
	EACH y[i] = y[i] * r2[i] + low[i];
	EACH y[i] = y[i] * r2[i] + (r[i] + 1.0f);
	EACH x[i] = y[i] * (vec)(((bits)shifted[i] << 23) + (127u << 23));
}

/* GELU by erf: x * (1/2 + a * p(u)), a = x within [-5, 5], u = a^2 * 2/25 - 1. The polynomial is the
 * minimax one of degree 12 for the error of the result, which is below 2e-6 for |x| <= 8 and below 3e-7 * |x|
 * beyond. In u the coefficients are small, so that there is no cancellation. */
static inline SIMD_TARGET INLINE void SIMD_(gelu)(vec x[SIDE])
{
	vec a[SIDE], u[SIDE], p[SIDE];

	EACH a[i] = MAX(MIN(x[i], ALL(5.0f)), ALL(-5.0f));
	EACH u[i] = a[i] * a[i] * 0.08f - 1.0f;
	EACH p[i] = u[i] * 0.000492969237f - 0.00151415425f;
	EACH p[i] = p[i] * u[i] + 0.00200186111f;
	EACH p[i] = p[i] * u[i] - 0.00291567203f;
	EACH p[i] = p[i] * u[i] + 0.00616542948f;
	EACH p[i] = p[i] * u[i] - 0.0109732328f;
	EACH p[i] = p[i] * u[i] + 0.0164976567f;
	EACH p[i] = p[i] * u[i] - 0.0233367309f;
	EACH p[i] = p[i] * u[i] + 0.0314262286f;
	EACH p[i] = p[i] * u[i] - 0.0404329486f;
	EACH p[i] = p[i] * u[i] + 0.0515214205f;
	EACH p[i] = p[i] * u[i] - 0.0702966526f;
	EACH p[i] = p[i] * u[i] + 0.141363785f;
	EACH x[i] *= a[i] * p[i] + 0.5f;
}

/* Normalises one row, with four sums, so that an addition need not wait for the previous one. */
static inline SIMD_TARGET void SIMD_(norm_row)(float *x, const float *gamma, const float *beta,
					       size_t width, float eps)
{
	enum { SUMS = 4, STEP = SUMS * SIMD_LANES };
	size_t steps = width / STEP * STEP, whole = width / SIMD_LANES * SIMD_LANES, i;
	vec sums[SUMS] = { 0 }, squares[SUMS] = { 0 };
	float mean = 0, variance = 0, scale;

	for (i = 0; i < steps; i += STEP)
#pragma GCC unroll 4
		for (size_t k = 0; k < SUMS; k++)
			sums[k] += LOAD(x + i + k * SIMD_LANES);
	for (; i < whole; i += SIMD_LANES)
		sums[0] += LOAD(x + i);
	for (; i < width; i++)
		mean += x[i];
	mean += SIMD_(total)((sums[0] + sums[1]) + (sums[2] + sums[3]));
	mean /= (float)width;
	for (i = 0; i < steps; i += STEP)
#pragma GCC unroll 4
		for (size_t k = 0; k < SUMS; k++) {
			vec d = LOAD(x + i + k * SIMD_LANES) - mean;

			squares[k] += d * d;
		}
	for (; i < whole; i += SIMD_LANES)
		squares[0] += (LOAD(x + i) - mean) * (LOAD(x + i) - mean);
	for (; i < width; i++)
		variance += (x[i] - mean) * (x[i] - mean);
	variance += SIMD_(total)((squares[0] + squares[1]) + (squares[2] + squares[3]));
	scale = 1.0f / sqrtf(variance / (float)width + eps);
	for (i = 0; i < whole; i += SIMD_LANES)
		STORE(x + i, (LOAD(x + i) - mean) * scale * LOAD(gamma + i) + LOAD(beta + i));
	for (; i < width; i++)
		x[i] = (x[i] - mean) * scale * gamma[i] + beta[i];
}

/* x [width] = x + delta, + more unless it is NULL. */
static inline SIMD_TARGET void SIMD_(add_row)(float *x, const float *delta, const float *more,
					      size_t width)
{
	size_t whole = width / SIMD_LANES * SIMD_LANES, i = 0;

	for (; more && i < whole; i += SIMD_LANES)
		STORE(x + i, LOAD(x + i) + LOAD(delta + i) + LOAD(more + i));
	for (; i < whole; i += SIMD_LANES)
		STORE(x + i, LOAD(x + i) + LOAD(delta + i));
	for (; i < width; i++)
		x[i] = more ? x[i] + delta[i] + more[i] : x[i] + delta[i];
}

static SIMD_TARGET void SIMD_(add_norm)(float *x, const float *delta, const float *more,
					const float *gamma, const float *beta, size_t rows,
					size_t width, float eps)
{
	for (size_t r = 0; r < rows; r++, x += width) {
		if (delta)
			SIMD_(add_row)(x, delta + r * width, more ? more + r * width : NULL, width);
		SIMD_(norm_row)(x, gamma, beta, width, eps);
	}
}

#include "vector/kernel_attention.h"

/* The minimum of the lanes. */
static inline SIMD_TARGET float SIMD_(least)(vec v)
{
	float lanes[SIMD_LANES], m[4];

	STORE(lanes, v);
	memcpy(m, lanes, sizeof(m));
	for (size_t i = 4; i < SIMD_LANES; i += 4)
		for (size_t j = 0; j < 4; j++)
			m[j] = lanes[i + j] < m[j] ? lanes[i + j] : m[j];
	m[0] = m[1] < m[0] ? m[1] : m[0];
	m[2] = m[3] < m[2] ? m[3] : m[2];
	return m[2] < m[0] ? m[2] : m[0];
}

/* The minimum and the maximum of 0 and x * inverse. */
static inline SIMD_TARGET void SIMD_(range)(const float *x, const float *inverse, size_t width,
					    float *ret_low, float *ret_high)
{
	enum { AHEAD = 4 };
	vec low[AHEAD] = { { 0 } }, high[AHEAD] = { { 0 } };
	float least, greatest;
	size_t i = 0;

	for (; i + AHEAD * SIMD_LANES <= width; i += AHEAD * SIMD_LANES)
#pragma GCC unroll 4
		for (size_t k = 0; k < AHEAD; k++) {
			vec v = LOAD(x + i + k * SIMD_LANES) * LOAD(inverse + i + k * SIMD_LANES);

			low[k] = MIN(v, low[k]);
			high[k] = MAX(v, high[k]);
		}
	for (; i + SIMD_LANES <= width; i += SIMD_LANES) {
		vec v = LOAD(x + i) * LOAD(inverse + i);

		low[0] = MIN(v, low[0]);
		high[0] = MAX(v, high[0]);
	}
	least = SIMD_(least)(MIN(MIN(low[0], low[1]), MIN(low[2], low[3])));
	greatest = -SIMD_(least)(-MAX(MAX(high[0], high[1]), MAX(high[2], high[3])));
	for (; i < width; i++) {
		float v = x[i] * inverse[i];

		least = v < least ? v : least;
		greatest = v > greatest ? v : greatest;
	}
	*ret_low = least;
	*ret_high = greatest;
}

static SIMD_TARGET void SIMD_(to_bf16)(const float *x, size_t n, uint16_t *out)
{
	size_t whole = n / SIMD_LANES * SIMD_LANES;

	for (size_t i = 0; i < whole; i += SIMD_LANES) {
		bits b = (bits)LOAD(x + i);

		b = (b + 0x7fff + (b >> 16 & 1)) >> 16;
		*(halves *)(out + i) = __builtin_convertvector(b, halves);
	}
	for (size_t i = whole; i < n; i++) {
		uint32_t b;

		memcpy(&b, x + i, sizeof(b));
		out[i] = (uint16_t)((b + 0x7fff + (b >> 16 & 1)) >> 16);
	}
}

static SIMD_TARGET void SIMD_(quantize)(const float *x, const float *inverse, size_t rows,
					size_t width, int top, uint8_t *q, float *scale,
					int32_t *zero)
{
	float most = (float)top;
	size_t whole = width / SIMD_LANES * SIMD_LANES;

	for (size_t r = 0; r < rows; r++, x += width, q += width) {
		float low, high, times, shift;

		SIMD_(range)(x, inverse, width, &low, &high);
		scale[r] = high > low ? (high - low) / most : 1;
		scale[r] = scale[r] > 1e-30f ? scale[r] : 1e-30f;
		times = 1 / scale[r];
		shift = rintf(-low * times);
		zero[r] = (int32_t)shift;
		for (size_t i = 0; i < whole; i += SIMD_LANES) {
			vec v = LOAD(x + i) * LOAD(inverse + i) * times + (shift + MAGIC);

			v = MIN(MAX(v, ALL(MAGIC)), ALL(most + MAGIC));
			*(bytes *)(q + i) = __builtin_convertvector((ints)v & 0xff, bytes);
		}
		for (size_t i = whole; i < width; i++) {
			float v = rintf(x[i] * inverse[i] * times + shift);

			q[i] = (uint8_t)(v < 0 ? 0 : v > most ? most : v);
		}
	}
}

/* Dequantises n <= SIDE vectors of a row from column `at` on, n a constant. */
static inline SIMD_TARGET INLINE void SIMD_(dequantize_some)(const struct sutra_dequantizer *d, size_t row,
							     size_t at, const size_t n,
							     const int32_t *s, float *y)
{
	float scale = d->scale[row];
	int32_t zero = d->zero[row];
	vec v[SIDE] = { { 0 } };

#pragma GCC unroll 8
	for (size_t i = 0; i < n; i++) {
		size_t c = at + i * SIMD_LANES;
		ints sum = *(const ints *)(s + c) - zero * *(const ints *)(d->weight_sum + c);

		v[i] = __builtin_convertvector(sum, vec) * (scale * LOAD(d->weight_scale + c)) +
		       LOAD(d->bias + c);
	}
	if (d->gelu)
		SIMD_(gelu)(v);
#pragma GCC unroll 8
	for (size_t i = 0; i < n; i++)
		STORE(y + at + i * SIMD_LANES, v[i]);
}

static SIMD_TARGET void SIMD_(dequantize)(const struct sutra_dequantizer *d, const int32_t *s,
					  size_t from, size_t rows, size_t n, float *y, size_t to)
{
	for (size_t r = 0; r < rows; r++, s += from, y += to) {
		size_t i = 0;

		for (; i + SIDE * SIMD_LANES <= n; i += SIDE * SIMD_LANES)
			SIMD_(dequantize_some)(d, r, i, SIDE, s, y);
		for (; i + SIMD_LANES <= n; i += SIMD_LANES)
			SIMD_(dequantize_some)(d, r, i, 1, s, y);
		for (; i < n; i++) {
			int32_t sum;
			float v;

			memcpy(&sum, s + i, sizeof(sum));	/* s may overlay y */
			v = (float)(sum - d->zero[r] * d->weight_sum[i]) *
				    (d->scale[r] * d->weight_scale[i]) + d->bias[i];
			y[i] = d->gelu ? 0.5f * v * (1 + erff(v * 0.70710678f)) : v;
		}
	}
}

static SIMD_TARGET void SIMD_(rotate)(float *qkv, size_t rows, size_t heads, size_t width,
				      const float *table)
{
	size_t half = width / 2, whole = half / SIMD_LANES * SIMD_LANES;

	for (size_t r = 0; r < rows; r++, qkv += 3 * heads * width, table += width)
		for (float *a = qkv, *end = qkv + 2 * heads * width; a < end; a += width) {
			const float *cosine = table, *sine = table + half;
			float *b = a + half;

			for (size_t i = 0; i < whole; i += SIMD_LANES) {
				vec x = LOAD(a + i), y = LOAD(b + i), c = LOAD(cosine + i),
				    s = LOAD(sine + i);

				STORE(a + i, x * c - y * s);
				STORE(b + i, y * c + x * s);
			}
			for (size_t i = whole; i < half; i++) {
				float x = a[i], y = b[i];

				a[i] = x * cosine[i] - y * sine[i];
				b[i] = y * cosine[i] + x * sine[i];
			}
		}
}

/* Computes n <= SIDE vectors of swiglu, n a constant. With e = exp(-|gate|), which cannot overflow, the sigmoid is
 * 1 / (1 + e), for a negative gate e / (1 + e). */
static inline SIMD_TARGET INLINE void SIMD_(swiglu_some)(const float *value, const float *gate,
							 const size_t n, float *x)
{
	vec e[SIDE] = { { 0 } };

#pragma GCC unroll 8
	for (size_t i = 0; i < n; i++)
		e[i] = (vec)((bits)LOAD(gate + i * SIMD_LANES) | 0x80000000u);
	SIMD_(exp)(e);
#pragma GCC unroll 8
	for (size_t i = 0; i < n; i++) {
		vec g = LOAD(gate + i * SIMD_LANES);
		vec top = SIMD_(select)((bits)(g >= 0.0f), ALL(1.0f), e[i]);

		STORE(x + i * SIMD_LANES, LOAD(value + i * SIMD_LANES) * g * top / (1.0f + e[i]));
	}
}

/* In place: a row is written only over numbers that have been read. */
static SIMD_TARGET void SIMD_(swiglu)(float *x, size_t rows, size_t width)
{
	size_t whole = width / SIMD_LANES * SIMD_LANES;
	size_t sides = width / (SIDE * SIMD_LANES) * SIDE * SIMD_LANES;
	const float *value = x, *gate = x + width;

	for (size_t r = 0; r < rows; r++, value += 2 * width, gate += 2 * width, x += width) {
		size_t i = 0;

		for (; i < sides; i += SIDE * SIMD_LANES)
			SIMD_(swiglu_some)(value + i, gate + i, SIDE, x + i);
		for (; i < whole; i += SIMD_LANES)
			SIMD_(swiglu_some)(value + i, gate + i, 1, x + i);
		for (; i < width; i++) {
			float e = expf(-fabsf(gate[i]));

			x[i] = value[i] * gate[i] * (gate[i] >= 0 ? 1.0f : e) / (1.0f + e);
		}
	}
}

#undef vec
#undef bits
#undef ints
#undef bytes
#undef halves
#undef MAGIC
#undef MIN
#undef MAX
#undef ALL
#undef SIMD_LOW
#undef SIMD_HIGH
#undef SIMD_MIN
#undef SIMD_MAX
#undef LOAD
#undef STORE
#undef PANEL
#undef QROWS
#undef SIDE
#undef INLINE
#undef EACH
#undef SIMD_LANES
#undef SIMD_TARGET
#undef SIMD_
