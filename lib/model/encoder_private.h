/*
 * encoder_private - what an encoder is made of; for encoder.c, which runs it, and
 * encoder_weights.c, which reads it from a file. Use it through model/encoder.h.
 */
#ifndef SUTRA_MODEL_ENCODER_PRIVATE_H
#define SUTRA_MODEL_ENCODER_PRIVATE_H

#include "model/encoder.h"
#include "model/gemm.h"

/* The products with weights of one layer. */
enum { QKV, OUT, UP, DOWN, PRODUCTS };

struct encoder_norm {
	float *gamma, *beta;	/* [hidden] */
};

struct encoder_layer {
	struct sutra_gemm_weights *products[PRODUCTS];
	struct encoder_norm attention_norm, output_norm;
};

struct sutra_encoder {
	struct sutra_encoder_config config;
	size_t max_tokens;
	struct sutra_tensor word;	/* [vocab][hidden], in the file's mapping */
	float *positions;		/* [max_tokens][hidden]: position + type 0 */
	struct encoder_norm norm;
	struct sutra_gemm_plan *plans[PRODUCTS];
	struct encoder_layer *layers;
};

/* Fills e's tables and layers, whose plans are made, from the tensors by name, and gives their
 * pages back. What was filled before an error is freed with e. */
int sutra_encoder_read_weights(struct sutra_encoder *e, const struct sutra_safetensors *weights,
			       struct sutra_err *err);

#endif
