/*
 * quantize - weights in bytes, for products in int8.
 *
 * x * W^T is computed as (x / f) * (W * f)^T, with a factor f for each column of x that evens out
 * columns which are large in x and small in W, so that bytes hold both equally well (SmoothQuant,
 * Xiao et al. 2022, alpha 1/2). A row of W then gets one scale, its greatest magnitude being 127. A row
 * of x is made bytes when it comes (kernel.h), with a scale and a zero point: the zero point's part in
 * the sums, zero * sum of W's row, is subtracted afterwards.
 */
#ifndef SUTRA_VECTOR_QUANTIZE_H
#define SUTRA_VECTOR_QUANTIZE_H

#include <stddef.h>
#include <stdint.h>

/* From w [n][k] and reach [k] (greatest magnitudes of x's columns; NULL: all alike) to bytes [n][k],
 * scale [n] and sum [n] of W's rows, and inverse [k] = 1 / f. */
void sutra_quantize_weights(const float *w, size_t n, size_t k, const float *reach, int8_t *bytes,
			    float *scale, int32_t *sum, float *inverse);

#endif
