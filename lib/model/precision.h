/*
 * precision - the encoder in the precision that was asked for, or the best one.
 *
 * What a precision costs is measured on a built-in sample of texts: the cosine of each text's vector
 * to that of fp32. SUTRA_AUTO takes the fastest precision that the processor has instructions for
 * and whose least cosine is at least the floor (SUTRA_PRECISION_FLOOR). For int8, half of the sample also
 * gives the magnitudes of the columns (quantize.h). All this is done once: packed weights and cosines are
 * kept in a file in the model's folder, which is made again if it does not fit (precision.c).
 */
#ifndef SUTRA_MODEL_PRECISION_H
#define SUTRA_MODEL_PRECISION_H

#include <stdbool.h>

#include "base/err.h"
#include "model/encoder/encoder.h"
#include "model/tokenizer/wordpiece.h"

#define SUTRA_AUTO SUTRA_PRECISIONS
#define SUTRA_PRECISION_FLOOR 0.995

/* Reads "auto" or a name of sutra_precision_name; false: it is neither. */
bool sutra_precision_parse(const char *name, enum sutra_precision *ret);

struct sutra_packed;
void sutra_packed_free(struct sutra_packed *p);

struct sutra_encoder_source {
	const struct sutra_safetensors *weights;
	const char *weights_sha256;
	const struct sutra_encoder_config *config;
	const struct sutra_wordpiece *tokenizer;
	const char *tokenizer_key;	/* names the vocabulary and the tokenizer's options */
	enum sutra_pooling pooling;
	size_t max_tokens;
	const char *folder;		/* where packed weights are kept; NULL: they are neither read nor written */
	double floor;			/* least cosine that SUTRA_AUTO accepts */
};

struct sutra_precision_report {
	enum sutra_precision precision;
	double cosine_min, cosine_mean;	/* to fp32, over the sample; 1 in fp32 */
	char why[192];			/* one sentence */
	bool mapped;			/* the packed weights are a mapped file */
	char unkept[192];		/* why no file was written; "": it was, or none is kept */
};

/* Makes the encoder; *ret_packed (or NULL) holds its mapped weights and must outlive it. SUTRA_E_INVALID:
 * this processor cannot multiply in that precision. */
int sutra_precision_open(const struct sutra_encoder_source *source, enum sutra_precision asked,
			 struct sutra_encoder **ret, struct sutra_packed **ret_packed,
			 struct sutra_precision_report *report, struct sutra_err *err);

#endif
