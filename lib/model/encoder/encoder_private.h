/*
 * encoder_private - the parts of an encoder, for encoder.c, which makes it, encoder_weights.c, which reads
 * its weights, and encoder_run.c, which runs it. Everyone else uses model/encoder/encoder.h.
 */
#ifndef SUTRA_MODEL_ENCODER_ENCODER_PRIVATE_H
#define SUTRA_MODEL_ENCODER_ENCODER_PRIVATE_H

#include "model/encoder/encoder.h"
#include "vector/gemm.h"

/* The products with weights of one layer. */
enum { QKV, OUT, UP, DOWN, PRODUCTS };

/* The most parts of a layer (encoder_run.c); SUTRA_ENCODER_LAYOUT names the number. */
enum { PARTS = 2 };

struct encoder_norm {
	float *gamma, *beta;	/* [hidden], both in gamma's block */
};

struct encoder_layer {
	struct sutra_gemm_weights *products[PRODUCTS][PARTS];
	struct encoder_norm attention_norm, output_norm;
};

struct sutra_encoder {
	struct sutra_encoder_config config;
	size_t max_tokens;
	size_t parts;			/* per layer: PARTS, or 1 */
	size_t up;			/* outputs of UP: inner, or 2 * inner if it is gated */
	struct sutra_tensor word;	/* [vocab][hidden], in the mapped file */
	float *offsets;			/* position + type 0, added to words; [max_tokens][hidden] */
	size_t offset_stride;		/* hidden; 0: one row for every position */
	float *rotary;			/* the table for rotate, [max_tokens][hidden / heads], or NULL */
	struct encoder_norm norm;
	struct sutra_gemm_plan *plans[PRODUCTS];	/* each for one part */
	struct encoder_layer *layers;
};

/* Checks that all tensors exist with the types and shapes that e->config requires. */
int sutra_encoder_check_weights(struct sutra_encoder *e, const struct sutra_safetensors *weights,
				struct sutra_err *err);
/* Fills e's tables and layers from the tensors and drops their pages; e's plans must exist. Products are
 * taken from options->packed unless it is NULL. After an error, e owns what was filled. */
int sutra_encoder_read_weights(struct sutra_encoder *e, const struct sutra_safetensors *weights,
			       const struct sutra_encoder_options *options, struct sutra_err *err);
/* The index in sutra_encoder_watch's magnitude of the first column of a part's product, and their number. */
size_t sutra_encoder_magnitude_of(const struct sutra_encoder *e, size_t layer, int product, size_t part,
				  size_t *ret_columns);

#endif
