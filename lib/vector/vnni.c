/*
 * A tile is up to 12 rows by one panel of 32 outputs: 24 accumulators of 16 sums, and per four
 * inputs two vectors of W and, for each row, a broadcast of its four bytes: 38 instructions for 24
 * vpdpbusd; the processor starts two of these a cycle. Rows are divided evenly: 13 rows are 7 and 6, not
 * 12 and 1, since a single row's chain of additions would be bound by latency. The sums of a strip of
 * panels are computed before they are dequantised, since dequantisation uses eight vectors of a row at
 * once (kernel_simd.h). Strips are the outer loop, so that W is loaded once. Measured and rejected:
 * prefetching the next strip (a text of 8 tokens: 121 instead of 84 us a token), strips of 1 and 2 panels
 * (10 % slower).
 *
 * Why not oneDNN's product, which is as fast in the first cache (550 Gop/s on one Cascade Lake
 * core): a call costs 3 us, and a short text makes 48 calls in 1 ms; the number of rows is fixed
 * when it is compiled, so 33 rows cost as much as 48 (onednn.c); its sums are written out and read again.
 * With oneDNN and with this file, us a token: 8 tokens 119 and 84, 31 tokens 95 and 73, 32 texts of 31
 * tokens 79 and 69. On processors with tiles (AMX) oneDNN uses them and is faster.
 */
#include "vector/vnni.h"

#include <string.h>

enum { PANEL = 32, GROUP = 4, MAX_ROWS = 12, STRIP = 8 * PANEL };

size_t sutra_vnni_bytes(size_t n, size_t k) { return (n + PANEL - 1) / PANEL * PANEL * k; }

void sutra_vnni_pack(const int8_t *w, size_t n, size_t k, int8_t *panels)
{
	memset(panels, 0, sutra_vnni_bytes(n, k));
	for (size_t j = 0; j < n; j++)
		for (size_t i = 0; i < k; i += GROUP)
			memcpy(panels + j / PANEL * PANEL * k + i * PANEL + j % PANEL * GROUP,
			       w + j * k + i, GROUP);
}

#ifdef __x86_64__
#include <immintrin.h>

#define TARGET __attribute__((target("avx512f,avx512vnni")))

bool sutra_vnni_is_there(void)
{
	return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vnni");
}

/* Computes PANEL columns of sums [rows][STRIP]. rows is a constant at every inlined call, so that the
 * accumulators are registers. */
static inline __attribute__((always_inline)) TARGET void
tile(const uint8_t *x, size_t k, const int8_t *panel, const size_t rows, int32_t *sums)
{
	__m512i left[MAX_ROWS], right[MAX_ROWS];

#pragma GCC unroll 12
	for (size_t r = 0; r < rows; r++)
		left[r] = right[r] = _mm512_setzero_si512();
	for (size_t i = 0; i < k; i += GROUP, panel += PANEL * GROUP) {
		__m512i w0 = _mm512_load_si512(panel), w1 = _mm512_load_si512(panel + PANEL * GROUP / 2);

#pragma GCC unroll 12
		for (size_t r = 0; r < rows; r++) {
			__m512i four;
			int32_t word;

			memcpy(&word, x + r * k + i, sizeof(word));
			four = _mm512_set1_epi32(word);
			left[r] = _mm512_dpbusd_epi32(left[r], four, w0);
			right[r] = _mm512_dpbusd_epi32(right[r], four, w1);
		}
	}
#pragma GCC unroll 12
	for (size_t r = 0; r < rows; r++) {
		_mm512_store_si512(sums + r * STRIP, left[r]);
		_mm512_store_si512(sums + r * STRIP + PANEL / 2, right[r]);
	}
}

#define EACH_HEIGHT(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12)
#define X(rows)                                                                                     \
	static TARGET void tile_##rows(const uint8_t *x, size_t k, const int8_t *panel, int32_t *s) \
	{                                                                                           \
		tile(x, k, panel, rows, s);                                                         \
	}
EACH_HEIGHT(X)
#undef X

static void (*const tiles[])(const uint8_t *x, size_t k, const int8_t *panel, int32_t *sums) = {
	NULL,
#define X(rows) tile_##rows,
	EACH_HEIGHT(X)
#undef X
};

void sutra_vnni_multiply(const uint8_t *x, size_t rows, size_t k, const int8_t *panels, size_t n,
			 const struct sutra_kernels *kernels, const struct sutra_dequantizer *d,
			 float *y)
{
	int32_t sums[MAX_ROWS * STRIP] __attribute__((aligned(64)));
	size_t count = (rows + MAX_ROWS - 1) / MAX_ROWS;

	for (size_t column = 0; column < n; column += STRIP)
		for (size_t i = 0; i < count; i++) {
			size_t row = rows * i / count, height = rows * (i + 1) / count - row;
			size_t width = n - column < STRIP ? n - column : STRIP;
			struct sutra_dequantizer part = {
				d->scale + row, d->zero + row, d->weight_scale + column,
				d->weight_sum + column, d->bias + column, d->gelu,
			};

			for (size_t at = 0; at < width; at += PANEL)
				tiles[height](x + row * k, k, panels + (column + at) * k, sums + at);
			kernels->dequantize(&part, sums, STRIP, height, width, y + row * n + column, n);
		}
}
#else
bool sutra_vnni_is_there(void) { return false; }

void sutra_vnni_multiply(const uint8_t *x, size_t rows, size_t k, const int8_t *panels, size_t n,
			 const struct sutra_kernels *kernels, const struct sutra_dequantizer *d,
			 float *y)
{
	(void)x, (void)rows, (void)k, (void)panels, (void)n, (void)kernels, (void)d, (void)y;
}
#endif
