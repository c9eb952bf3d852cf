/*
 * model - an open model folder: tokenizer, encoder, pooling, limits, fingerprint.
 *
 * The folder holds config.json, vocab.txt and model.safetensors, and may hold tokenizer_config.json,
 * sentence_bert_config.json (max_seq_length), modules.json, 1_Pooling/config.json and
 * config_sentence_transformers.json (prompts). If they ask for what this program cannot do, the error
 * names it. Read-only once open; any thread.
 */
#ifndef SUTRA_MODEL_MODEL_H
#define SUTRA_MODEL_MODEL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/digest.h"
#include "base/err.h"
#include "model/encoder/encoder.h"
#include "vector/matryoshka.h"
#include "model/pipeline.h"
#include "model/precision.h"
#include "model/prompt.h"
#include "model/tokenizer/wordpiece.h"

#define SUTRA_FINGERPRINT_LEN 33	/* 32 hex digits and NUL */

struct sutra_model {
	char *folder, *name;			/* name: the folder's last part */
	struct sutra_safetensors *weights;
	struct sutra_packed *packed;		/* the encoder's mapped weights, or NULL */
	struct sutra_encoder *encoder;
	struct sutra_precision_report precision;
	struct sutra_wordpiece *tokenizer;
	struct sutra_wordpiece_options tokenizer_options;
	enum sutra_architecture architecture;
	enum sutra_pooling pooling;
	enum sutra_mrl mrl;
	bool normalizes;			/* modules.json ends with a Normalize; only reported */
	struct sutra_prompts prompts;
	const char *prefix;			/* put before texts if the request names no input_type */
	const char *input_type;			/* the prefix's name, or "" */
	size_t dimension;			/* native */
	size_t max_tokens;			/* per text, with [CLS] and [SEP] */
	bool matryoshka_trained;		/* config.json says so */
	char weights_sha256[SUTRA_SHA256_HEX], vocab_sha256[SUTRA_SHA256_HEX], config_sha256[SUTRA_SHA256_HEX];
	char fingerprint[SUTRA_FINGERPRINT_LEN];	/* of all that a vector depends on (model.c) */
};

/* The store: $SUTRA_MODEL_DIR, or "models" in sutra_home_data (base/file.h); x-allocated. */
char *sutra_model_dir(void);
/* A model's folder: `path`, unless it is NULL or empty; else <store>/<model>, with SUTRA_MODEL's default for
 * a model that is NULL or empty. Freed with sutra_free; NULL: out of memory. */
char *sutra_model_folder(const char *path, const char *model);

/* The first of config.json, vocab.txt and model.safetensors that the folder does not hold, or NULL. */
const char *sutra_model_missing(const char *folder);

struct sutra_model_options {
	enum sutra_mrl mrl;
	enum sutra_precision precision;	/* or SUTRA_AUTO */
	double floor;			/* least cosine for SUTRA_AUTO; 0: SUTRA_PRECISION_FLOOR */
	bool keep;			/* read packed weights from the folder and write them there */
};

/* Opens a folder; options NULL: all 0. SUTRA_E_NOTFOUND: it holds no model, and the hint says how to get
 * one; SUTRA_E_CORRUPT, SUTRA_E_INVALID name the file and the fault. */
int sutra_model_open(const char *folder, const struct sutra_model_options *options,
		     struct sutra_model **ret, struct sutra_err *err);
void sutra_model_close(struct sutra_model *m);
/* Replaces the default prefix and the fingerprint; only before the model is shared. Both strings must live as
 * long as the model. */
int sutra_model_use_prompt(struct sutra_model *m, const char *input_type, const char *prefix,
			   struct sutra_err *err);

const char *sutra_mrl_name(enum sutra_mrl m);		/* "layer_norm", "plain" */

#endif
