/* sample - texts that a precision is measured on: of many kinds, lengths and scripts. */
#ifndef SUTRA_MODEL_SAMPLE_H
#define SUTRA_MODEL_SAMPLE_H

#include <stddef.h>

enum { SUTRA_SAMPLE_TEXTS = 48 };
#define SUTRA_SAMPLE_VERSION "1"	/* to be changed with the texts */

const char *sutra_sample_text(size_t i);	/* i < SUTRA_SAMPLE_TEXTS */

#endif
