/*
 * kernel - the encoder's arithmetic that is not a product with weights.
 *
 * A set of kernels is chosen once by what the processor can do and ONEDNN_MAX_CPU_ISA leaves of it
 * (AVX-512, AVX2, else what the compiler's baseline has); the scalar set is the referee that the
 * tests hold the others to. Each row of a result depends on its own text alone. Pure functions; any thread.
 */
#ifndef SUTRA_VECTOR_KERNEL_H
#define SUTRA_VECTOR_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What makes numbers of the sums of a product in int8. */
struct sutra_dequantizer {
	const float *scale;		/* of the rows of x */
	const int32_t *zero;
	const float *weight_scale;	/* of the outputs */
	const int32_t *weight_sum;
	const float *bias;
	bool gelu;			/* act: GELU by erf; else nothing */
};

struct sutra_kernels {
	const char *name;	/* "avx512", "avx2", "generic", "scalar" */
	/* x [rows][width] = layer_norm(x + delta + more) * gamma + beta, added in this order. Without
	 * more (NULL), or without both, nothing else is. */
	void (*add_norm)(float *x, const float *delta, const float *more, const float *gamma,
			 const float *beta, size_t rows, size_t width, float eps);
	/* Self-attention of one text: qkv [rows][3 * heads * width] holds q, k and v side by side,
	 * each heads * width wide; out [rows][heads * width]. scratch: see below. */
	void (*attention)(const float *qkv, size_t rows, size_t heads, size_t width,
			  float *scratch, float *out);
	/* Rotary positions of one text, in place: in every head of q and k of qkv (as above; width
	 * even) the pair (i, i + width / 2) is turned by the angle of its row. table [rows][width]:
	 * the width / 2 cosines of a row, then its sines. */
	void (*rotate)(float *qkv, size_t rows, size_t heads, size_t width, const float *table);
	/* x [rows][2 * width], values beside gates, becomes [rows][width] at its front:
	 * value * gate * sigmoid(gate). */
	void (*swiglu)(float *x, size_t rows, size_t width);
	/* Rounded to bfloat16, ties to even; x finite. */
	void (*to_bf16)(const float *x, size_t n, uint16_t *out);
	/* Rows to bytes for a product in int8: x [rows][width], finite, times inverse [width] (quantize.h), then by
	 * row q = round(x / scale + zero) in 0..top, where 0.0 falls on zero; top 127 or 255,
	 * scale 1e-30 or more. */
	void (*quantize)(const float *x, const float *inverse, size_t rows, size_t width, int top,
			 uint8_t *q, float *scale, int32_t *zero);
	/* Sums of such a product, rows `from` apart, to numbers, rows `to` apart:
	 * y = act((s - zero * weight_sum) * scale * weight_scale + bias). y may be where s is. */
	void (*dequantize)(const struct sutra_dequantizer *d, const int32_t *s, size_t from,
			   size_t rows, size_t n, float *y, size_t to);
};

extern const struct sutra_kernels sutra_kernels_scalar;
const struct sutra_kernels *sutra_kernels_best(void);
/* Every set that this processor can run and sutra_onednn_vector_bits allows, ending with NULL. */
const struct sutra_kernels *const *sutra_kernels_all(void);

/* Floats of scratch that attention over at most `rows` rows needs. */
size_t sutra_attention_scratch(size_t rows, size_t width);

#endif
