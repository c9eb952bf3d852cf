/* sample - the texts that precisions are measured on: many kinds, lengths and scripts. */
#ifndef SUTRA_MODEL_ENCODER_SAMPLE_H
#define SUTRA_MODEL_ENCODER_SAMPLE_H

#include <stddef.h>

#include "base/buf.h"

/* 48 short texts of 1 to 75 words, then five long ones, up to a model's max_tokens. */
enum { SUTRA_SAMPLE_SHORT = 48, SUTRA_SAMPLE_TEXTS = SUTRA_SAMPLE_SHORT + 5 };
#define SUTRA_SAMPLE_VERSION "2"	/* change it when a text changes */

/* Appends text i < SUTRA_SAMPLE_TEXTS. */
void sutra_sample_add(struct sutra_buf *b, size_t i);

#endif
