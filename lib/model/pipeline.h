/*
 * pipeline - what follows the encoder, read from the files of sentence-transformers: modules.json and the
 * pooling's config.json.
 *
 * A Transformer, a Pooling (mean or CLS) and optionally a Normalize are allowed, in this order; errors name
 * anything else. A Normalize does not change answers, since the request decides ("normalize", true by
 * default); it is only reported.
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
	bool normalize;			/* the pipeline ends with a Normalize */
	bool pooling_named;		/* modules.json names pooling_folder, so that its file must exist */
	char pooling_folder[64];
};

/* v: modules.json; NULL, if there is none: mean pooling, unless the file in 1_Pooling names another. */
int sutra_pipeline_read_modules(const json_t *v, struct sutra_pipeline *ret, struct sutra_err *err);
/* v: the pooling's config.json, for vectors `width` wide; NULL: mean pooling. */
int sutra_pipeline_read_pooling(json_t *v, size_t width, struct sutra_pipeline *p,
				struct sutra_err *err);

const char *sutra_pooling_name(enum sutra_pooling p);	/* "mean", "cls" */

#endif
