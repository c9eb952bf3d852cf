/*
 * quantize - the precisions of a product, and the quantisation of weights for products in int8.
 *
 * x * W^T is computed as (x / f) * (W * f)^T. Each column of x has a factor f that balances the magnitudes
 * of the column in x and in W, so that bytes represent both equally well (SmoothQuant, Xiao et al. 2022,
 * alpha 1/2). A row of W then has one scale, by which its greatest magnitude becomes 127. A row of x is
 * quantised at each product (kernel.h), with a scale and a zero point; what the zero point adds to a sum,
 * zero * sum of W's row, is subtracted afterwards.
 */
#ifndef SUTRA_VECTOR_QUANTIZE_H
#define SUTRA_VECTOR_QUANTIZE_H

#include <stddef.h>
#include <stdint.h>

enum sutra_precision { SUTRA_FP32, SUTRA_BF16, SUTRA_INT8, SUTRA_PRECISIONS };

/* "fp32", "bf16", "int8". */
const char *sutra_precision_name(enum sutra_precision p);

/* Products compute blocks of rows: x and y have room for this many rows after the last one. Those of x are
 * read and may hold any numbers; those of y are written. */
#define SUTRA_GEMM_SPARE_ROWS 64

/* Quantises w [n][k] with magnitude [k], the greatest magnitude in each column of x (NULL: the columns are
 * alike). Writes bytes [n][k], scale [n] and sum [n] of W's rows, and inverse [k] = 1 / f. */
void sutra_quantize_weights(const float *w, size_t n, size_t k, const float *magnitude, int8_t *bytes,
			    float *scale, int32_t *sum, float *inverse);

#endif
