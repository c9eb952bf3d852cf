/*
 * precision - the encoder in the precision that was asked for, or the best one.
 *
 * What a precision costs is measured, on a built-in sample of texts: the cosine of each text's vector
 * to that of fp32. SUTRA_AUTO takes the fastest precision that the processor has instructions for
 * and whose least cosine is at least the floor (SUTRA_PRECISION_FLOOR). For int8 half of the sample also tells
 * the magnitudes of the columns (quantize.h). All this is done once: packed weights and figures are kept
 * in a file beside the model (packed.h), and made again when it does not fit.
 */
#ifndef SUTRA_MODEL_PRECISION_H
#define SUTRA_MODEL_PRECISION_H

#include <stdbool.h>

#include "base/err.h"
#include "model/encoder/encoder.h"
#include "model/packed.h"
#include "model/tokenizer/wordpiece.h"

#define SUTRA_AUTO SUTRA_PRECISIONS
#define SUTRA_PRECISION_FLOOR 0.995

/* "auto" and the names of gemm.h; false: none of them. */
bool sutra_precision_parse(const char *name, enum sutra_precision *ret);

struct sutra_encoder_source {
	const struct sutra_safetensors *weights;
	const char *weights_sha256;
	const struct sutra_encoder_config *config;
	const struct sutra_wordpiece *tokenizer;
	const char *tokens_by;		/* names the vocabulary and what the tokenizer does */
	enum sutra_pooling pooling;
	size_t max_tokens;
	const char *folder;		/* of packed weights; NULL: none is read or written */
	double floor;			/* of the least cosine, for SUTRA_AUTO */
};

struct sutra_precision_report {
	enum sutra_precision precision;
	double cosine_min, cosine_mean;	/* to fp32, over the sample; 1 in fp32 */
	char why[192];			/* one sentence */
	bool mapped;			/* the weights are a mapped file's */
	char unkept[192];		/* why no file was written; "" */
};

/* The encoder, and what must outlive it in *ret_packed (NULL: nothing). SUTRA_E_INVALID: a
 * precision that this processor cannot multiply in. */
int sutra_precision_open(const struct sutra_encoder_source *source, enum sutra_precision asked,
			 struct sutra_encoder **ret, struct sutra_packed **ret_packed,
			 struct sutra_precision_report *report, struct sutra_err *err);

#endif
