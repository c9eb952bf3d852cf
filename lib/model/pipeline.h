/*
 * pipeline - what follows the encoder, as the files of sentence-transformers say it: modules.json,
 * the pooling's config.json.
 *
 * Only a Transformer, a Pooling (mean or CLS) and perhaps a Normalize may follow each other, in
 * this order; anything else is refused by name. Whether there is a Normalize changes nothing about
 * an answer: here the request decides ("normalize", true by default); it is told, no more.
 */
#ifndef SUTRA_MODEL_PIPELINE_H
#define SUTRA_MODEL_PIPELINE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "model/encoder/encoder.h"

struct sutra_pipeline {
	enum sutra_pooling pooling;
	bool normalize;			/* the model's own pipeline ends with L2 normalisation */
	bool pooling_named;		/* modules.json says where the pooling's file is: it must be there */
	char pooling_folder[64];
};

/* v: modules.json, or NULL where there is none: mean pooling, or what 1_Pooling says. */
int sutra_pipeline_read_modules(const json_t *v, struct sutra_pipeline *ret, struct sutra_err *err);
/* v: the pooling's config.json, of vectors `width` wide; NULL: mean. */
int sutra_pipeline_read_pooling(json_t *v, size_t width, struct sutra_pipeline *p,
				struct sutra_err *err);

const char *sutra_pooling_name(enum sutra_pooling p);	/* "mean", "cls" */

#endif
