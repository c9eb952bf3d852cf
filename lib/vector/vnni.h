/*
 * vnni - products of bytes on AVX-512 VNNI, whose sums are dequantised while they are in the first
 * cache, and attention in integers. Sums are exact, so a row of a product depends on its row alone, and
 * the attention of a text on the text alone.
 *
 * W is stored in panels: [n / 32][k / 4][32 outputs][4 inputs], the last panel padded with zeros.
 */
#ifndef SUTRA_VECTOR_VNNI_H
#define SUTRA_VECTOR_VNNI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vector/kernel.h"

/* Whether the processor has the instructions. */
bool sutra_vnni_is_there(void);
/* Whether a product of k inputs can be computed. */
static inline bool sutra_vnni_fits(size_t k) { return k % 4 == 0; }

/* The size of the panels of w [n][k] in bytes; writes them. */
size_t sutra_vnni_bytes(size_t n, size_t k);
void sutra_vnni_pack(const int8_t *w, size_t n, size_t k, int8_t *panels);
/* y [rows][n] = dequantize of the sums of x [rows][k] * W^T; panels are aligned to 64 bytes. Only if
 * sutra_vnni_is_there. */
void sutra_vnni_multiply(const uint8_t *x, size_t rows, size_t k, const int8_t *panels, size_t n,
			 const struct sutra_kernels *kernels, const struct sutra_dequantizer *d,
			 float *y);

/* Whether sutra_vnni_attention can be used: for 17 rows or more, since fewer are not faster; at most 512, so
 * that sums fit into 32 bits; heads 32 or 64 wide. */
bool sutra_vnni_attends(size_t rows, size_t width);
/* As kernel.h's attention, in integers: q and k in bytes, v in ten bits; qkv is finite. Only if
 * sutra_vnni_is_there and sutra_vnni_attends. */
void sutra_vnni_attention(const float *qkv, size_t rows, size_t heads, size_t width, float *scratch,
			  float *out);

#endif
