/*
 * kernel_attention - self-attention in the vector types of kernel_simd.h, which includes this file once
 * for every instruction set. So it has no include guard; compiled alone it is empty.
 *
 * Attention is computed head by head. A block of SIMD_LANES queries is scaled and transposed, so that each
 * lane is a query; its scores [key][lane] then need no sums across lanes.
 */
#ifdef SIMD_

/* Transposes a block: lane j of at[i] goes to lane i of at[j]. Each round interleaves the lower halves of
 * rows i and i + SIMD_LANES / 2, then their upper halves. */
static inline SIMD_TARGET void SIMD_(transpose)(vec at[SIMD_LANES])
{
	for (size_t round = 1; round < SIMD_LANES; round *= 2) {
		vec to[SIMD_LANES];

#pragma GCC unroll 8
		for (size_t i = 0; i < SIMD_LANES / 2; i++) {
			to[2 * i] = __builtin_shufflevector(at[i], at[i + SIMD_LANES / 2], SIMD_LOW);
			to[2 * i + 1] = __builtin_shufflevector(at[i], at[i + SIMD_LANES / 2], SIMD_HIGH);
		}
#pragma GCC unroll 16
		for (size_t i = 0; i < SIMD_LANES; i++)
			at[i] = to[i];
	}
}

/* q [width][SIMD_LANES] = from [rows][width], rows `stride` apart, times `by`; rows <= SIMD_LANES. */
static inline SIMD_TARGET void SIMD_(transpose_queries)(const float *from, size_t stride, size_t rows,
							size_t width, float by, float *q)
{
	size_t c = 0;

	for (; c + SIMD_LANES <= width; c += SIMD_LANES) {
		vec block[SIMD_LANES] = { { 0 } };

		for (size_t i = 0; i < rows; i++)
			block[i] = LOAD(from + i * stride + c) * by;
		SIMD_(transpose)(block);
		for (size_t i = 0; i < SIMD_LANES; i++)
			STORE(q + (c + i) * SIMD_LANES, block[i]);
	}
	for (; c < width; c++)
		for (size_t i = 0; i < rows; i++)
			q[c * SIMD_LANES + i] = from[i * stride + c] * by;
}

/* s [rows][SIMD_LANES] = the dot products of `rows` keys with SIMD_LANES queries; q [width][SIMD_LANES]. */
static inline SIMD_TARGET void SIMD_(scores)(const float *q, const float *k, size_t stride,
					     size_t width, size_t rows, float *s)
{
	enum { KEYS = 8 };
	size_t j = 0;

	for (; j + KEYS <= rows; j += KEYS, k += KEYS * stride, s += KEYS * SIMD_LANES) {
		vec sums[KEYS] = { 0 };

		for (size_t c = 0; c < width; c++) {
			vec at = LOAD(q + c * SIMD_LANES);

#pragma GCC unroll 8
			for (size_t i = 0; i < KEYS; i++)
				sums[i] += at * k[i * stride + c];
		}
#pragma GCC unroll 8
		for (size_t i = 0; i < KEYS; i++)
			STORE(s + i * SIMD_LANES, sums[i]);
	}
	for (; j < rows; j++, k += stride, s += SIMD_LANES) {
		vec sum = { 0 };

		for (size_t c = 0; c < width; c++)
			sum += LOAD(q + c * SIMD_LANES) * k[c];
		STORE(s, sum);
	}
}

/* s [n][SIMD_LANES] = exp(s - top), n <= SIDE a constant; returns `sums` plus their sum. */
static inline SIMD_TARGET INLINE vec SIMD_(exp_sum)(float *s, const size_t n, vec top, vec sums)
{
	vec e[SIDE] = { { 0 } };

#pragma GCC unroll 8
	for (size_t i = 0; i < n; i++)
		e[i] = LOAD(s + i * SIMD_LANES) - top;
	SIMD_(exp)(e);
#pragma GCC unroll 8
	for (size_t i = 0; i < n; i++) {
		STORE(s + i * SIMD_LANES, e[i]);
		sums += e[i];
	}
	return sums;
}

/* s [rows][SIMD_LANES] = exp(s - the column's maximum); returns 1 / the column's sum. */
static inline SIMD_TARGET vec SIMD_(softmax)(float *s, size_t rows)
{
	vec top = LOAD(s), sums = { 0 };
	size_t j = 0;

	for (size_t i = 1; i < rows; i++)
		top = MAX(top, LOAD(s + i * SIMD_LANES));
	for (; j + SIDE <= rows; j += SIDE)
		sums = SIMD_(exp_sum)(s + j * SIMD_LANES, SIDE, top, sums);
	for (; j < rows; j++)
		sums = SIMD_(exp_sum)(s + j * SIMD_LANES, 1, top, sums);
	return 1.0f / sums;
}

/* o [QROWS][padded] = transposed s [rows][QROWS of SIMD_LANES] times v [rows][padded], rows `stride` apart. */
static inline SIMD_TARGET void SIMD_(mix)(const float *s, const float *v, size_t stride, size_t rows,
					  size_t padded, float *o)
{
	for (size_t c = 0; c < padded; c += PANEL) {
		vec a0 = { 0 }, b0 = { 0 }, c0 = { 0 }, d0 = { 0 };
		vec a1 = { 0 }, b1 = { 0 }, c1 = { 0 }, d1 = { 0 };

		for (size_t j = 0; j < rows; j++) {
			const float *p = s + j * SIMD_LANES;
			vec v0 = LOAD(v + j * stride + c), v1 = LOAD(v + j * stride + c + SIMD_LANES);

			a0 += p[0] * v0;
			a1 += p[0] * v1;
			b0 += p[1] * v0;
			b1 += p[1] * v1;
			c0 += p[2] * v0;
			c1 += p[2] * v1;
			d0 += p[3] * v0;
			d1 += p[3] * v1;
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

/* to [n] = from [n] * by. */
static inline SIMD_TARGET void SIMD_(scale)(const float *from, float by, size_t n, float *to)
{
	size_t whole = n / SIMD_LANES * SIMD_LANES;

	for (size_t i = 0; i < whole; i += SIMD_LANES)
		STORE(to + i, LOAD(from + i) * by);
	for (size_t i = whole; i < n; i++)
		to[i] = from[i] * by;
}

/* to [rows][padded] = from [rows][width], rows `stride` apart; the padding is not written. */
static inline SIMD_TARGET void SIMD_(gather)(const float *from, size_t stride, size_t rows,
					     size_t width, float *to, size_t padded)
{
	for (size_t i = 0; i < rows; i++)
		SIMD_(scale)(from + i * stride, 1, width, to + i * padded);
}

/* With more than one block of queries, or a width that is no multiple of PANEL, k and v are gathered first:
 * in qkv their rows are 3 * hidden apart, which maps them to few sets of the first cache. */
static SIMD_TARGET void SIMD_(attention)(const float *qkv, size_t rows, size_t heads, size_t width,
					 float *scratch, float *out)
{
	size_t hidden = heads * width, stride = 3 * hidden, between = stride;
	size_t padded = (width + PANEL - 1) / PANEL * PANEL;
	bool in_place = rows <= SIMD_LANES && padded == width;
	float *q = scratch, *s = q + width * SIMD_LANES, *o = s + rows * SIMD_LANES,
	      *ks = o + QROWS * padded, *vs = ks + rows * padded, share[SIMD_LANES];
	float scale = 1.0f / sqrtf((float)width);

	memset(q, 0, width * SIMD_LANES * sizeof(*q));
	if (!in_place)
		memset(vs, 0, rows * padded * sizeof(*vs));
	for (size_t h = 0; h < heads; h++, qkv += width, out += width) {
		const float *k = qkv + hidden, *v = qkv + 2 * hidden;

		if (!in_place) {
			SIMD_(gather)(k, stride, rows, width, ks, padded);
			SIMD_(gather)(v, stride, rows, width, vs, padded);
			k = ks;
			v = vs;
			between = padded;
		}
		for (size_t from = 0; from < rows; from += SIMD_LANES) {
			size_t n = rows - from < SIMD_LANES ? rows - from : SIMD_LANES;

			SIMD_(transpose_queries)(qkv + from * stride, stride, n, width, scale, q);
			SIMD_(scores)(q, k, between, width, rows, s);
			STORE(share, SIMD_(softmax)(s, rows));
			for (size_t i = 0; i < n; i++) {
				if (i % QROWS == 0)
					SIMD_(mix)(s + i, v, between, rows, padded, o);
				SIMD_(scale)(o + i % QROWS * padded, share[i], width,
					     out + (from + i) * hidden);
			}
		}
	}
}

#endif
