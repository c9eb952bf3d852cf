/*
 * kernel - the encoder's arithmetic that is not a product with weights.
 *
 * There is a set of kernels for AVX-512, for AVX2 and for the compiler's baseline; the best one is that
 * which the processor has and ONEDNN_MAX_CPU_ISA allows. The scalar set is the referee that tests compare
 * the others with. Each row of a result depends on its own text alone. Pure functions; any thread.
 */
#ifndef SUTRA_VECTOR_KERNEL_H
#define SUTRA_VECTOR_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What turns the integer sums of an int8 product into floats. */
struct sutra_dequantizer {
	const float *scale;		/* per row of x */
	const int32_t *zero;
	const float *weight_scale;	/* per output */
	const int32_t *weight_sum;
	const float *bias;
	bool gelu;			/* act is GELU (erf form), else identity */
};

struct sutra_kernels {
	const char *name;	/* "avx512", "avx2", "generic", "scalar" */
	/* x [rows][width] = layer_norm(x + delta + more) * gamma + beta, added in this order; more, or
	 * delta and more, may be NULL. */
	void (*add_norm)(float *x, const float *delta, const float *more, const float *gamma,
			 const float *beta, size_t rows, size_t width, float eps);
	/* Self-attention of one text: qkv [rows][3 * heads * width] holds q, k and v side by side,
	 * each heads * width wide; out [rows][heads * width]. scratch: sutra_attention_scratch floats. */
	void (*attention)(const float *qkv, size_t rows, size_t heads, size_t width,
			  float *scratch, float *out);
	/* Rotary positions of one text, in place: in every head of q and k of qkv (as above; width
	 * even) the pair (i, i + width / 2) is rotated by its row's angle i. table [rows][width]:
	 * the width / 2 cosines of a row, then its sines. */
	void (*rotate)(float *qkv, size_t rows, size_t heads, size_t width, const float *table);
	/* x [rows][2 * width], each row values then gates, becomes [rows][width], packed at its start:
	 * value * gate * sigmoid(gate). */
	void (*swiglu)(float *x, size_t rows, size_t width);
	/* Rounds to bfloat16, ties to even; x is finite. */
	void (*to_bf16)(const float *x, size_t n, uint16_t *out);
	/* Quantises rows for a product in int8: x [rows][width], finite, is multiplied by inverse [width]
	 * (quantize.h); then each row becomes q = round(x / scale + zero) in 0..top, and 0.0 becomes zero.
	 * top is 127 or 255, scale at least 1e-30. */
	void (*quantize)(const float *x, const float *inverse, size_t rows, size_t width, int top,
			 uint8_t *q, float *scale, int32_t *zero);
	/* Converts the sums s of such a product, rows `from` apart, to y, rows `to` apart:
	 * y = act((s - zero * weight_sum) * scale * weight_scale + bias). y may overlay s. */
	void (*dequantize)(const struct sutra_dequantizer *d, const int32_t *s, size_t from,
			   size_t rows, size_t n, float *y, size_t to);
};

extern const struct sutra_kernels sutra_kernels_scalar;
const struct sutra_kernels *sutra_kernels_best(void);
/* Every set that this processor and sutra_onednn_vector_bits allow, the best first, ending with NULL. */
const struct sutra_kernels *const *sutra_kernels_all(void);

/* Floats of scratch for attention over at most `rows` rows of heads `width` wide. */
size_t sutra_attention_scratch(size_t rows, size_t width);

#endif
