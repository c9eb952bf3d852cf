/*
 * matryoshka - from the encoder's pooled vector to the vector of an answer (CONTRACT
 * section 3): below the native width first a layer norm without weights over the whole
 * (eps 1e-5; left out by SUTRA_MRL=plain), then the first `dimension` numbers, then the L2
 * norm. Sums in double. Pure functions.
 */
#ifndef SUTRA_VECTOR_MATRYOSHKA_H
#define SUTRA_VECTOR_MATRYOSHKA_H

#include <stdbool.h>
#include <stddef.h>

enum sutra_mrl { SUTRA_MRL_LAYER_NORM, SUTRA_MRL_PLAIN };

/* The dimensions a model of that native width offers: of 64, 128, 256, 512, 768, 1024 those
 * below it, and itself. Fills ret (room for SUTRA_MRL_MAX_DIMS), returns how many. */
#define SUTRA_MRL_MAX_DIMS 7
size_t sutra_matryoshka_dims(size_t native, size_t ret[SUTRA_MRL_MAX_DIMS]);
bool sutra_matryoshka_allows(size_t native, size_t dimension);
/* "64, 128, 256, 384" */
#define SUTRA_MRL_LIST 64
void sutra_matryoshka_list(size_t native, char out[SUTRA_MRL_LIST]);

/* v [native] to out [dimension], dimension <= native; out may be v. A zero vector stays zero. */
void sutra_matryoshka(const float *v, size_t native, size_t dimension, enum sutra_mrl mrl,
		      bool normalize, float *out);

#endif
