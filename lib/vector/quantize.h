/*
 * quantize - the precisions of a product, and weights in bytes for products in int8.
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

enum sutra_precision { SUTRA_FP32, SUTRA_BF16, SUTRA_INT8, SUTRA_PRECISIONS };

/* "fp32", "bf16", "int8". */
const char *sutra_precision_name(enum sutra_precision p);

/* Products compute rows in blocks: x and y have room for this many rows beyond the last, which are read
 * (any numbers) and written. */
#define SUTRA_GEMM_SPARE_ROWS 64

/* From w [n][k] and magnitude [k] (the greatest of each column of x; NULL: all alike) to bytes [n][k],
 * scale [n] and sum [n] of W's rows, and inverse [k] = 1 / f. */
void sutra_quantize_weights(const float *w, size_t n, size_t k, const float *magnitude, int8_t *bytes,
			    float *scale, int32_t *sum, float *inverse);

#endif
