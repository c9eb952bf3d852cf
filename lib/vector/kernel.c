#include "vector/kernel.h"

#include "vector/onednn.h"

#define SIMD_LANES 4
#define SIMD_TARGET
#define SIMD_(name) name##_generic
#define SIMD_LOW 0, 4, 1, 5
#define SIMD_HIGH 2, 6, 3, 7
#include "vector/kernel_simd.h"
static const struct sutra_kernels set_generic = { "generic", add_norm_generic, attention_generic,
						   rotate_generic, swiglu_generic, to_bf16_generic,
						   quantize_generic, dequantize_generic };

#ifdef __x86_64__
#include <immintrin.h>

#define SIMD_LANES 8
#define SIMD_TARGET __attribute__((target("avx2,fma")))
#define SIMD_MIN(a, b) _mm256_min_ps((__m256)(a), (__m256)(b))
#define SIMD_MAX(a, b) _mm256_max_ps((__m256)(a), (__m256)(b))
#define SIMD_(name) name##_avx2
#define SIMD_LOW 0, 8, 1, 9, 2, 10, 3, 11
#define SIMD_HIGH 4, 12, 5, 13, 6, 14, 7, 15
#include "vector/kernel_simd.h"
static const struct sutra_kernels set_avx2 = { "avx2", add_norm_avx2, attention_avx2,
						   rotate_avx2, swiglu_avx2, to_bf16_avx2,
						   quantize_avx2, dequantize_avx2 };

#define SIMD_LANES 16
#define SIMD_TARGET __attribute__((target("avx512f,avx512dq,avx512vl,avx2,fma")))
#define SIMD_MIN(a, b) _mm512_min_ps((__m512)(a), (__m512)(b))
#define SIMD_MAX(a, b) _mm512_max_ps((__m512)(a), (__m512)(b))
#define SIMD_(name) name##_avx512
#define SIMD_LOW 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define SIMD_HIGH 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#include "vector/kernel_simd.h"
static const struct sutra_kernels set_avx512 = { "avx512", add_norm_avx512, attention_avx512,
						   rotate_avx512, swiglu_avx512, to_bf16_avx512,
						   quantize_avx512, dequantize_avx512 };
#endif

enum { WIDEST = 16, QUERY_ROWS = 4 };

const struct sutra_kernels *const *sutra_kernels_all(void)
{
	static const struct sutra_kernels *const all[] = {
#ifdef __x86_64__
		&set_avx512, &set_avx2,
#endif
		&set_generic, &sutra_kernels_scalar, NULL,
	};
	size_t first = 0;

#ifdef __x86_64__
	unsigned bits = sutra_onednn_vector_bits();	/* products and kernels obey one limit */

	if (bits < 512 || !__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512dq") ||
	    !__builtin_cpu_supports("avx512vl"))
		first = 1;
	if (first && (bits < 256 || !__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")))
		first = 2;
#endif
	return all + first;
}

const struct sutra_kernels *sutra_kernels_best(void) { return sutra_kernels_all()[0]; }

/* Computed for the widest vectors. vnni_attention.c needs less. */
size_t sutra_attention_scratch(size_t rows, size_t width)
{
	size_t padded = (width + 2 * WIDEST - 1) / (2 * WIDEST) * 2 * WIDEST;

	return (width + rows) * WIDEST + (2 * rows + QUERY_ROWS) * padded;
}
