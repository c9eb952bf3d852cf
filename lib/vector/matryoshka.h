/*
 * matryoshka - turns the encoder's pooled vector into the vector of an answer. Below the native width, the
 * whole vector is first layer-normalised without weights (eps 1e-5; not with SUTRA_MRL=plain). Then the
 * first `dimension` numbers are taken and, if asked for, divided by their L2 norm. Sums are in double.
 * Pure functions.
 */
#ifndef SUTRA_VECTOR_MATRYOSHKA_H
#define SUTRA_VECTOR_MATRYOSHKA_H

#include <stdbool.h>
#include <stddef.h>

enum sutra_mrl { SUTRA_MRL_LAYER_NORM, SUTRA_MRL_PLAIN };

/* Writes the dimensions that a model of that native width offers: those of 64, 128, 256, 512, 768, 1024
 * that are below it, and the width itself. Returns their number. */
#define SUTRA_MRL_MAX_DIMS 7
size_t sutra_matryoshka_dims(size_t native, size_t ret[SUTRA_MRL_MAX_DIMS]);
bool sutra_matryoshka_allows(size_t native, size_t dimension);
/* Writes them as "64, 128, 256, 384". */
#define SUTRA_MRL_LIST 64
void sutra_matryoshka_list(size_t native, char out[SUTRA_MRL_LIST]);

/* Computes out [dimension] from v [native], dimension <= native; out may be v. A zero vector stays zero. */
void sutra_matryoshka(const float *v, size_t native, size_t dimension, enum sutra_mrl mrl,
		      bool normalize, float *out);

#endif
