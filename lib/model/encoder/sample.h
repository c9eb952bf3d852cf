/* sample - texts that a precision is measured on: of many kinds, lengths and scripts. */
#ifndef SUTRA_MODEL_ENCODER_SAMPLE_H
#define SUTRA_MODEL_ENCODER_SAMPLE_H

#include <stddef.h>

#include "base/buf.h"

/* 48 of a word to 75, and five long ones, of up to a model's most tokens. */
enum { SUTRA_SAMPLE_SHORT = 48, SUTRA_SAMPLE_TEXTS = SUTRA_SAMPLE_SHORT + 5 };
#define SUTRA_SAMPLE_VERSION "2"	/* to be changed with the texts */

/* Appends text i < SUTRA_SAMPLE_TEXTS. */
void sutra_sample_add(struct sutra_buf *b, size_t i);

#endif
