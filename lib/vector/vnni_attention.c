/*
 * For each head, with keys j, queries i of a block of LANES, columns c:
 *
 *	K [j][c]	unsigned bytes with offset 128, a scale per column
 *	Q [i][c]	times K's scales, signed bytes, a scale per query; words of four columns, [c / 4][i]
 *	S [j][i]	their dot products, exact integers: a lane is a query
 *	P [j][i]	2^PEAK * exp(S - the query's maximum), rounded
 *	V [j][c]	integers of magnitude V_TOP at most, a scale per column
 *	out [i][c]	the sum over j of P * V, exact integers again, divided by the sum of P
 *
 * P and V are stored in words of two keys, [j / 2]; sums of MAX_ROWS products fit into 32 bits. K has a
 * scale per column, since columns differ more than keys. P in bytes would lose the sum of many keys of
 * small weight.
 *
 * On one Cascade Lake core, 12 heads of 32, kernel.h's attention and this one (us): 16 rows 7.7 and 8, 31
 * rows 30 and 20, 64 rows 88 and 54, 123 rows 314 and 173, 512 rows 6,900 and 3,200.
 */
#include "vector/vnni.h"

#include <math.h>
#include <string.h>

enum { LANES = 16, KEYS = 8, QUERIES = 8, FOUR = 4, PEAK = 13, V_TOP = 511 };
enum { MIN_ROWS = 17, MAX_ROWS = 512, MAX_WIDTH = 64 };

bool sutra_vnni_attends(size_t rows, size_t width)
{
	return rows >= MIN_ROWS && rows <= MAX_ROWS && width % (2 * LANES) == 0 && width <= MAX_WIDTH;
}

#ifdef __x86_64__
#include <immintrin.h>

#define TARGET __attribute__((target("avx512f,avx512vnni")))
#define INLINE inline __attribute__((always_inline)) TARGET

/* The greatest magnitudes of 16 columns, at least 1e-30. */
static INLINE __m512 magnitude(const float *x, size_t stride, size_t rows)
{
	__m512 most = _mm512_set1_ps(1e-30f);

	for (size_t j = 0; j < rows; j++)
		most = _mm512_max_ps(most, _mm512_abs_ps(_mm512_loadu_ps(x + j * stride)));
	return most;
}

/* Quantises k [rows][width], rows `stride` apart, to bytes [padded][width]. */
static TARGET void narrow_keys(const float *k, size_t stride, size_t rows, size_t padded, size_t width,
			       uint8_t *bytes, float *scale)
{
	memset(bytes + rows * width, 0, (padded - rows) * width);
	for (size_t c = 0; c < width; c += LANES) {
		__m512 most = magnitude(k + c, stride, rows), times = 127 / most;

		_mm512_storeu_ps(scale + c, most * (1.0f / 127));
		for (size_t j = 0; j < rows; j++) {
			__m512i v = _mm512_cvtps_epi32(_mm512_loadu_ps(k + j * stride + c) * times);

			v = _mm512_add_epi32(v, _mm512_set1_epi32(128));
			_mm_storeu_si128((__m128i *)(bytes + j * width + c), _mm512_cvtepi32_epi8(v));
		}
	}
}

/* Quantises q [rows][width], rows `stride` apart, times `times` by column, to signed bytes [rows][width]. Each
 * query has its own scale, so that a row of great magnitude costs no other row precision. */
static TARGET void narrow_queries(const float *q, size_t stride, size_t rows, size_t width,
				  const float *times, int8_t *bytes, float *scale)
{
	for (size_t i = 0; i < rows; i++, q += stride, bytes += width) {
		__m512 even[MAX_WIDTH / LANES], most = _mm512_set1_ps(1e-30f);
		float top;

		for (size_t c = 0; c < width / LANES; c++) {
			even[c] = _mm512_loadu_ps(q + c * LANES) * _mm512_loadu_ps(times + c * LANES);
			most = _mm512_max_ps(most, _mm512_abs_ps(even[c]));
		}
		top = _mm512_reduce_max_ps(most);
		scale[i] = top / 127;
		for (size_t c = 0; c < width / LANES; c++) {
			__m512i v = _mm512_cvtps_epi32(even[c] * _mm512_set1_ps(127 / top));

			_mm_storeu_si128((__m128i *)(bytes + c * LANES), _mm512_cvtepi32_epi8(v));
		}
	}
}

/* Quantises v to words of two rows, [padded / 2][width]; the padding is 0. */
static TARGET void narrow_values(const float *v, size_t stride, size_t rows, size_t padded,
				 size_t width, int32_t *words, float *scale)
{
	memset(words + rows / 2 * width, 0, (padded - rows + 1) / 2 * width * sizeof(*words));
	for (size_t c = 0; c < width; c += LANES) {
		__m512 most = magnitude(v + c, stride, rows), times = V_TOP / most;

		_mm512_storeu_ps(scale + c, most * (1.0f / V_TOP));
		for (size_t j = 0; j < rows; j += 2) {
			const float *at = v + j * stride + c;
			__m512 second = j + 1 < rows ? _mm512_loadu_ps(at + stride) : _mm512_setzero_ps();
			__m512i a = _mm512_cvtps_epi32(_mm512_loadu_ps(at) * times);
			__m512i b = _mm512_cvtps_epi32(second * times);

			a = _mm512_and_si512(a, _mm512_set1_epi32(0xffff));
			_mm512_storeu_si512(words + j / 2 * width + c,
					    _mm512_or_si512(a, _mm512_slli_epi32(b, 16)));
		}
	}
}

/* Transposes LANES queries to words [width / 4][LANES]; returns the sums of each query's bytes. */
static TARGET __m512i transpose(const int8_t *q, size_t width, int32_t *words)
{
	__m512i sum = _mm512_setzero_si512();
	__m512i lines = _mm512_mullo_epi32(_mm512_set1_epi32((int)width),
					   _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0));

	for (size_t c = 0; c < width; c += FOUR) {
		__m512i word = _mm512_i32gather_epi32(lines, q + c, 1);

		sum = _mm512_dpbusd_epi32(sum, _mm512_set1_epi32(0x01010101), word);
		_mm512_storeu_si512(words + c / FOUR * LANES, word);
	}
	return sum;
}

/* Computes s [padded][LANES] of keys in bytes and queries in words; sum: the sums of each query's bytes. */
static TARGET void scores(const uint8_t *k, size_t padded, size_t width, const int32_t *q, __m512i sum,
			  int32_t *s)
{
	__m512i begin = _mm512_sub_epi32(_mm512_setzero_si512(), _mm512_slli_epi32(sum, 7));

	for (size_t j = 0; j < padded; j += KEYS, k += KEYS * width, s += KEYS * LANES) {
		__m512i sums[KEYS];

#pragma GCC unroll 8
		for (size_t i = 0; i < KEYS; i++)
			sums[i] = begin;
		for (size_t c = 0; c < width; c += FOUR) {
			__m512i at = _mm512_loadu_si512(q + c / FOUR * LANES);

#pragma GCC unroll 8
			for (size_t i = 0; i < KEYS; i++) {
				int32_t four;

				memcpy(&four, k + i * width + c, sizeof(four));
				sums[i] = _mm512_dpbusd_epi32(sums[i], _mm512_set1_epi32(four), at);
			}
		}
#pragma GCC unroll 8
		for (size_t i = 0; i < KEYS; i++)
			_mm512_storeu_si512(s + i * LANES, sums[i]);
	}
}

/* In place: s [padded][LANES], whose first `rows` rows are scores, becomes P in words [padded / 2][LANES];
 * returns 1 / their sum. scale: each query's, times log2 e. 2^x is computed by a polynomial for the
 * fraction within [-1/2, 1/2] (Chebyshev's nodes; error 4e-6, while P has steps of 1e-4). */
static TARGET __m512 exponentials(int32_t *s, size_t rows, size_t padded, __m512 scale)
{
	const __m512 magic = _mm512_set1_ps(12582912.0f);	/* kernel_simd.h */
	__m512i top = _mm512_loadu_si512(s), sums = _mm512_set1_epi32(-((int)(padded - rows) << PEAK));

	for (size_t j = 1; j < rows; j++)
		top = _mm512_max_epi32(top, _mm512_loadu_si512(s + j * LANES));
	for (size_t j = rows; j < padded; j++)
		_mm512_storeu_si512(s + j * LANES, top);	/* their P is 2^PEAK, their V is 0 */
	for (size_t j = 0; j < padded; j += KEYS) {
		__m512 x[KEYS], whole[KEYS], y[KEYS];
		__m512i p[KEYS];

#define EACH _Pragma("GCC unroll 8") for (size_t i = 0; i < KEYS; i++)
		EACH p[i] = _mm512_sub_epi32(_mm512_loadu_si512(s + (j + i) * LANES), top);
		EACH x[i] = _mm512_mul_ps(_mm512_cvtepi32_ps(p[i]), scale);
		EACH whole[i] = _mm512_sub_ps(_mm512_add_ps(x[i], magic), magic);
		EACH x[i] = _mm512_sub_ps(x[i], whole[i]);
		EACH y[i] = _mm512_fmadd_ps(x[i], _mm512_set1_ps(0.00966636852f), _mm512_set1_ps(0.0559219758f));
		EACH y[i] = _mm512_fmadd_ps(x[i], y[i], _mm512_set1_ps(0.24022349f));
		EACH y[i] = _mm512_fmadd_ps(x[i], y[i], _mm512_set1_ps(0.693121045f));
		EACH y[i] = _mm512_fmadd_ps(x[i], y[i], _mm512_set1_ps(1));
		EACH p[i] = _mm512_cvtps_epi32(
			_mm512_scalef_ps(y[i], _mm512_add_ps(whole[i], _mm512_set1_ps(PEAK))));
		EACH sums = _mm512_add_epi32(sums, p[i]);
#undef EACH
#pragma GCC unroll 4
		for (size_t i = 0; i < KEYS; i += 2)
			_mm512_storeu_si512(s + (j + i) / 2 * LANES,
					    _mm512_or_si512(p[i], _mm512_slli_epi32(p[i + 1], 16)));
	}
	return _mm512_div_ps(_mm512_set1_ps(1), _mm512_cvtepi32_ps(sums));
}

/* out [n][width], rows `stride` apart, = P * V * scale [width] * share [n]; n <= QUERIES. */
static TARGET void mix(const int32_t *p, const int32_t *v, size_t pairs, size_t width, size_t n,
		       const float *scale, const float *share, float *out, size_t stride)
{
	for (size_t c = 0; c < width; c += 2 * LANES) {
		__m512i left[QUERIES], right[QUERIES];
		__m512 by = _mm512_loadu_ps(scale + c), by2 = _mm512_loadu_ps(scale + c + LANES);

#define EACH _Pragma("GCC unroll 8") for (size_t i = 0; i < QUERIES; i++)
		EACH left[i] = right[i] = _mm512_setzero_si512();
		for (size_t j = 0; j < pairs; j++) {
			__m512i v0 = _mm512_loadu_si512(v + j * width + c);
			__m512i v1 = _mm512_loadu_si512(v + j * width + c + LANES);

			EACH {
				__m512i two = _mm512_set1_epi32(p[j * LANES + i]);

				left[i] = _mm512_dpwssd_epi32(left[i], v0, two);
				right[i] = _mm512_dpwssd_epi32(right[i], v1, two);
			}
		}
		EACH if (i < n) {
			float *to = out + i * stride + c;
			__m512 part = _mm512_set1_ps(share[i]);

			_mm512_storeu_ps(to, _mm512_cvtepi32_ps(left[i]) * (by * part));
			_mm512_storeu_ps(to + LANES, _mm512_cvtepi32_ps(right[i]) * (by2 * part));
		}
#undef EACH
	}
}

void TARGET sutra_vnni_attention(const float *qkv, size_t rows, size_t heads, size_t width, float *scratch,
				 float *out)
{
	size_t hidden = heads * width, stride = 3 * hidden, padded = (rows + KEYS - 1) / KEYS * KEYS;
	size_t blocks = (rows + LANES - 1) / LANES;
	float *k_scale = scratch, *v_scale = k_scale + width, *q_scale = v_scale + width, share[LANES];
	int32_t *q = (int32_t *)(void *)(q_scale + blocks * LANES), *s = q + width / FOUR * LANES;
	int32_t *v = s + padded * LANES;
	uint8_t *k_bytes = (uint8_t *)(v + padded / 2 * width);
	int8_t *q_bytes = (int8_t *)(k_bytes + padded * width);
	__m512 to_log2 = _mm512_set1_ps(1.44269504f / sqrtf((float)width));

	memset(q_scale, 0, blocks * LANES * sizeof(*q_scale));
	memset(q_bytes, 0, blocks * LANES * width);
	for (size_t h = 0; h < heads; h++, qkv += width, out += width) {
		narrow_keys(qkv + hidden, stride, rows, padded, width, k_bytes, k_scale);
		narrow_queries(qkv, stride, rows, width, k_scale, q_bytes, q_scale);
		narrow_values(qkv + 2 * hidden, stride, rows, padded, width, v, v_scale);
		for (size_t from = 0; from < rows; from += LANES) {
			__m512i sum = transpose(q_bytes + from * width, width, q);

			scores(k_bytes, padded, width, q, sum, s);
			_mm512_storeu_ps(share, exponentials(s, rows, padded,
						     _mm512_loadu_ps(q_scale + from) * to_log2));
			for (size_t i = 0; i < LANES && from + i < rows; i += QUERIES)
				mix(s + i, v, padded / 2, width, rows - from - i, v_scale, share + i,
				    out + (from + i) * hidden, hidden);
		}
	}
}
#else
void sutra_vnni_attention(const float *qkv, size_t rows, size_t heads, size_t width, float *scratch,
			  float *out)
{
	(void)qkv, (void)rows, (void)heads, (void)width, (void)scratch, (void)out;
}
#endif
