/*
 * vnni - products of bytes on AVX-512 VNNI, whose sums become numbers while they are in the first
 * cache, and attention in whole numbers. Sums are exact, so a row's numbers depend on nothing but the
 * row, a text's on nothing but the text.
 *
 * W is kept in panels: [n / 32][k / 4][32 outputs][4 inputs], the last panel filled up with zeros.
 */
#ifndef SUTRA_VECTOR_VNNI_H
#define SUTRA_VECTOR_VNNI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vector/kernel.h"

/* Whether the processor has the instructions. */
bool sutra_vnni_is_there(void);
/* Whether it takes a product of k inputs. */
static inline bool sutra_vnni_fits(size_t k) { return k % 4 == 0; }

/* Bytes of the panels of w [n][k], and w in panels. */
size_t sutra_vnni_bytes(size_t n, size_t k);
void sutra_vnni_pack(const int8_t *w, size_t n, size_t k, int8_t *panels);
/* y [rows][n] = dequantize of the sums of x [rows][k] * W^T; panels aligned to 64 bytes. Only where
 * sutra_vnni_is_there. */
void sutra_vnni_multiply(const uint8_t *x, size_t rows, size_t k, const int8_t *panels, size_t n,
			 const struct sutra_kernels *kernels, const struct sutra_dequantizer *d,
			 float *y);

/* Whether sutra_vnni_attention takes such a text: of 17 rows or more, fewer are no faster; of 512 at most, so
 * that sums fit into 32 bits; with heads of 32 or 64. */
bool sutra_vnni_attends(size_t rows, size_t width);
/* As kernel.h's attention, in whole numbers: q and k in bytes, v in ten bits, qkv finite. Only where
 * sutra_vnni_is_there. */
void sutra_vnni_attention(const float *qkv, size_t rows, size_t heads, size_t width, float *scratch,
			  float *out);

#endif
