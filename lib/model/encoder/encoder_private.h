/*
 * encoder_private - what an encoder is made of; for encoder.c, which makes it, encoder_weights.c,
 * which reads it from a file, and encoder_run.c, which runs it. Use it through model/encoder/encoder.h.
 */
#ifndef SUTRA_MODEL_ENCODER_ENCODER_PRIVATE_H
#define SUTRA_MODEL_ENCODER_ENCODER_PRIVATE_H

#include "model/encoder/encoder.h"
#include "vector/gemm.h"

/* The products with weights of one layer. */
enum { QKV, OUT, UP, DOWN, PRODUCTS };

/* A layer's most parts (encoder_run.c); SUTRA_ENCODER_LAYOUT names it. */
enum { PARTS = 2 };

struct encoder_norm {
	float *gamma, *beta;	/* [hidden] */
};

struct encoder_layer {
	struct sutra_gemm_weights *products[PRODUCTS][PARTS];
	struct encoder_norm attention_norm, output_norm;
};

struct sutra_encoder {
	struct sutra_encoder_config config;
	size_t max_tokens;
	size_t parts;			/* of every layer: PARTS, or 1 */
	size_t up;			/* outputs of UP: inner, twice that where it is gated */
	struct sutra_tensor word;	/* [vocab][hidden], in the file's mapping */
	float *offsets;			/* added to words: position + type 0; [max_tokens][hidden] */
	size_t offset_stride;		/* hidden, or 0: one row serves every position */
	float *rotary;			/* [max_tokens][hidden / heads] for rotate, or NULL */
	struct encoder_norm norm;
	struct sutra_gemm_plan *plans[PRODUCTS];	/* each for a part */
	struct encoder_layer *layers;
};

/* Whether all tensors are there, of the types and shapes that e->config asks for. */
int sutra_encoder_check_weights(struct sutra_encoder *e, const struct sutra_safetensors *weights,
				struct sutra_err *err);
/* Fills e's tables and layers, whose plans are made, from the tensors by name, and gives their
 * pages back; products come from the packed ones, where there are some. What was filled before
 * an error is freed with e. */
int sutra_encoder_read_weights(struct sutra_encoder *e, const struct sutra_safetensors *weights,
			       const struct sutra_encoder_options *options, struct sutra_err *err);
/* Where in `magnitude` the columns of a part of a layer's product begin, and how many they are. */
size_t sutra_encoder_magnitude_of(const struct sutra_encoder *e, size_t layer, int product, size_t part,
				  size_t *ret_columns);

#endif
