/*
 * kernel_simd - the vector kernels, written once in the compilers' vector types and
 * included by kernel.c once for every instruction set:
 *
 *	SIMD_LANES	floats in a vector
 *	SIMD_TARGET	the functions' target attribute, or nothing
 *	SIMD_(name)	name with the set's suffix
 *
 * No include guard, on purpose; the defaults below only let the file compile alone.
 *
 * Attention works head by head on copies that suit it: q scaled, k transposed in panels of
 * PANEL keys ([panel][width][PANEL]), v with rows padded to whole panels. Four query rows are
 * taken at a time, so that a loaded vector serves four products. Padding is zero in all
 * copies and takes no part in the sums.
 */
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifndef SIMD_LANES
#define SIMD_LANES 4
#define SIMD_TARGET
#define SIMD_(name) name##_alone
#endif

#define PANEL (2 * SIMD_LANES)
#define QROWS 4
#define STRIP 64	/* floats worked on at a time; whole vectors */

#define vec SIMD_(vec)
#define bits SIMD_(bits)
/* Loads and stores may be unaligned and alias the floats they come from. */
typedef float vec __attribute__((vector_size(SIMD_LANES * 4), aligned(4), may_alias));
typedef uint32_t bits __attribute__((vector_size(SIMD_LANES * 4), aligned(4), may_alias));

#define LOAD(p) (*(const vec *)(p))
#define STORE(p, v) (*(vec *)(p) = (v))

static inline SIMD_TARGET float SIMD_(total)(const float *v)
{
	float sum = 0;

	for (size_t i = 0; i < SIMD_LANES; i++)
		sum += v[i];
	return sum;
}

/* p[i] = exp(p[i] - top) for n floats, a multiple of SIMD_LANES; below exp(-87): 0. Cody and
 * Waite's reduction to [-ln2/2, ln2/2], then a polynomial (coefficients of Cephes expf). */
static inline SIMD_TARGET void SIMD_(exp_below)(float *p, float top, size_t n)
{
	const float magic = 12582912.0f;	/* 1.5 * 2^23: rounds, and leaves the integer in the low bits */

	for (size_t i = 0; i < n; i += SIMD_LANES) {
		vec x = LOAD(p + i) - top, shifted, whole, r, y, scale;
		bits keep = (bits)(x > -87.0f);

		x = (vec)((bits)x & keep);
		shifted = x * 1.44269504088896341f + magic;
		whole = shifted - magic;
		r = x - whole * 0.693359375f + whole * 2.12194440e-4f;
		y = r * 1.9875691500e-4f + 1.3981999507e-3f;
		y = y * r + 8.3334519073e-3f;
		y = y * r + 4.1665795894e-2f;
		y = y * r + 1.6666665459e-1f;
		y = y * r + 5.0000001201e-1f;
		y = y * r * r + r + 1.0f;
		scale = (vec)(((bits)shifted << 23) + (127u << 23));
		STORE(p + i, (vec)((bits)(y * scale) & keep));
	}
}

static SIMD_TARGET void SIMD_(add_norm)(float *x, const float *delta, const float *gamma,
					const float *beta, size_t rows, size_t width, float eps)
{
	size_t whole = width / SIMD_LANES * SIMD_LANES;

	for (size_t r = 0; r < rows; r++, x += width) {
		vec sums = { 0 }, squares = { 0 };
		float lanes[SIMD_LANES], mean = 0, variance = 0, scale;

		if (delta)
			for (size_t i = 0; i < width; i++)
				x[i] += delta[r * width + i];
		for (size_t i = 0; i < whole; i += SIMD_LANES)
			sums += LOAD(x + i);
		for (size_t i = whole; i < width; i++)
			mean += x[i];
		STORE(lanes, sums);
		mean = (mean + SIMD_(total)(lanes)) / (float)width;
		for (size_t i = 0; i < whole; i += SIMD_LANES) {
			vec d = LOAD(x + i) - mean;

			squares += d * d;
		}
		for (size_t i = whole; i < width; i++)
			variance += (x[i] - mean) * (x[i] - mean);
		STORE(lanes, squares);
		variance = (variance + SIMD_(total)(lanes)) / (float)width;
		scale = 1.0f / sqrtf(variance + eps);
		for (size_t i = 0; i < whole; i += SIMD_LANES)
			STORE(x + i, (LOAD(x + i) - mean) * scale * LOAD(gamma + i) + LOAD(beta + i));
		for (size_t i = whole; i < width; i++)
			x[i] = (x[i] - mean) * scale * gamma[i] + beta[i];
	}
}

/* s [QROWS][columns] = q [QROWS][width] * k, k in panels. */
static inline SIMD_TARGET void SIMD_(scores)(const float *q, const float *k, size_t width,
					     size_t columns, float *s)
{
	for (size_t j = 0; j < columns; j += PANEL, k += width * PANEL) {
		vec a0 = { 0 }, b0 = { 0 }, c0 = { 0 }, d0 = { 0 };
		vec a1 = { 0 }, b1 = { 0 }, c1 = { 0 }, d1 = { 0 };

		for (size_t i = 0; i < width; i++) {
			vec k0 = LOAD(k + i * PANEL), k1 = LOAD(k + i * PANEL + SIMD_LANES);

			a0 += q[i] * k0;
			a1 += q[i] * k1;
			b0 += q[width + i] * k0;
			b1 += q[width + i] * k1;
			c0 += q[2 * width + i] * k0;
			c1 += q[2 * width + i] * k1;
			d0 += q[3 * width + i] * k0;
			d1 += q[3 * width + i] * k1;
		}
		STORE(s + j, a0);
		STORE(s + j + SIMD_LANES, a1);
		STORE(s + columns + j, b0);
		STORE(s + columns + j + SIMD_LANES, b1);
		STORE(s + 2 * columns + j, c0);
		STORE(s + 2 * columns + j + SIMD_LANES, c1);
		STORE(s + 3 * columns + j, d0);
		STORE(s + 3 * columns + j + SIMD_LANES, d1);
	}
}

/* Softmax of s [n] in place, of which the first `rows` count; the others become 0. */
static inline SIMD_TARGET void SIMD_(softmax)(float *s, size_t rows, size_t n)
{
	vec sums = { 0 };
	float lanes[SIMD_LANES], top = s[0], scale;

	for (size_t j = 1; j < rows; j++)
		top = s[j] > top ? s[j] : top;
	SIMD_(exp_below)(s, top, n);
	memset(s + rows, 0, (n - rows) * sizeof(*s));
	for (size_t j = 0; j < n; j += SIMD_LANES)
		sums += LOAD(s + j);
	STORE(lanes, sums);
	scale = 1.0f / SIMD_(total)(lanes);
	for (size_t j = 0; j < n; j += SIMD_LANES)
		STORE(s + j, LOAD(s + j) * scale);
}

/* o [QROWS][padded] = s [QROWS][columns] * v [rows][padded]. */
static inline SIMD_TARGET void SIMD_(mix)(const float *s, const float *v, size_t rows,
					  size_t columns, size_t padded, float *o)
{
	for (size_t c = 0; c < padded; c += PANEL) {
		vec a0 = { 0 }, b0 = { 0 }, c0 = { 0 }, d0 = { 0 };
		vec a1 = { 0 }, b1 = { 0 }, c1 = { 0 }, d1 = { 0 };

		for (size_t j = 0; j < rows; j++) {
			vec v0 = LOAD(v + j * padded + c), v1 = LOAD(v + j * padded + c + SIMD_LANES);

			a0 += s[j] * v0;
			a1 += s[j] * v1;
			b0 += s[columns + j] * v0;
			b1 += s[columns + j] * v1;
			c0 += s[2 * columns + j] * v0;
			c1 += s[2 * columns + j] * v1;
			d0 += s[3 * columns + j] * v0;
			d1 += s[3 * columns + j] * v1;
		}
		STORE(o + c, a0);
		STORE(o + c + SIMD_LANES, a1);
		STORE(o + padded + c, b0);
		STORE(o + padded + c + SIMD_LANES, b1);
		STORE(o + 2 * padded + c, c0);
		STORE(o + 2 * padded + c + SIMD_LANES, c1);
		STORE(o + 3 * padded + c, d0);
		STORE(o + 3 * padded + c + SIMD_LANES, d1);
	}
}

static SIMD_TARGET void SIMD_(attention)(const float *qkv, size_t rows, size_t heads, size_t width,
					 float *scratch, float *out)
{
	size_t hidden = heads * width, stride = 3 * hidden;
	size_t qrows = (rows + QROWS - 1) / QROWS * QROWS;
	size_t columns = (rows + PANEL - 1) / PANEL * PANEL;
	size_t padded = (width + PANEL - 1) / PANEL * PANEL;
	float *q = scratch, *k = q + qrows * width, *v = k + columns * width, *s = v + rows * padded,
	      *o = s + QROWS * columns;
	float scale = 1.0f / sqrtf((float)width);

	memset(scratch, 0, (size_t)(s - scratch) * sizeof(*scratch));
	for (size_t h = 0; h < heads; h++) {
		for (size_t i = 0; i < rows; i++) {
			const float *from = qkv + i * stride + h * width;
			float *panel = k + i / PANEL * PANEL * width + i % PANEL;

			for (size_t c = 0; c < width; c++) {
				q[i * width + c] = from[c] * scale;
				panel[c * PANEL] = from[hidden + c];
			}
			memcpy(v + i * padded, from + 2 * hidden, width * sizeof(*v));
		}
		for (size_t i = 0; i < rows; i += QROWS) {
			SIMD_(scores)(q + i * width, k, width, columns, s);
			for (size_t r = 0; r < QROWS; r++)
				SIMD_(softmax)(s + r * columns, rows, columns);
			SIMD_(mix)(s, v, rows, columns, padded, o);
			for (size_t r = 0; r < QROWS && i + r < rows; r++)
				memcpy(out + (i + r) * hidden + h * width, o + r * padded,
				       width * sizeof(*out));
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

/* to [n] = value * gate * sigmoid(gate), n <= STRIP; to may be value. With e = exp(-|gate|), which
 * cannot overflow, the sigmoid is 1 / (1 + e), or e / (1 + e) of a negative gate. */
static inline SIMD_TARGET void SIMD_(gate_strip)(const float *value, const float *gate, size_t n,
						 float *to)
{
	float e[STRIP] = { 0 };
	size_t i = 0;

	for (size_t k = 0; k < n; k++)
		e[k] = -fabsf(gate[k]);
	SIMD_(exp_below)(e, 0, (n + SIMD_LANES - 1) / SIMD_LANES * SIMD_LANES);
	for (; i + SIMD_LANES <= n; i += SIMD_LANES) {
		vec g = LOAD(gate + i), t = LOAD(e + i), one = (vec){ 0 } + 1.0f;
		bits up = (bits)(g >= 0.0f);
		vec top = (vec)(((bits)one & up) | ((bits)t & ~up));

		STORE(to + i, LOAD(value + i) * g * top / (1.0f + t));
	}
	for (; i < n; i++)
		to[i] = value[i] * gate[i] * (gate[i] >= 0 ? 1.0f : e[i]) / (1.0f + e[i]);
}

/* In place: a row is written over what earlier rows have been read from, or itself was. */
static SIMD_TARGET void SIMD_(swiglu)(float *x, size_t rows, size_t width)
{
	for (size_t r = 0; r < rows; r++)
		for (size_t i = 0; i < width; i += STRIP) {
			const float *value = x + 2 * r * width + i;

			SIMD_(gate_strip)(value, value + width, width - i < STRIP ? width - i : STRIP,
					  x + r * width + i);
		}
}

#undef vec
#undef bits
#undef LOAD
#undef STORE
#undef PANEL
#undef QROWS
#undef STRIP
#undef SIMD_LANES
#undef SIMD_TARGET
#undef SIMD_
