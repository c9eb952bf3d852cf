/*
 * model - a model folder, opened: tokenizer, encoder, pooling, limits, fingerprint.
 *
 * The folder holds config.json, vocab.txt and model.safetensors, and maybe tokenizer_config.json,
 * sentence_bert_config.json (max_seq_length), modules.json, 1_Pooling/config.json and
 * config_sentence_transformers.json (prompts). What these ask for and this program cannot do is
 * refused by name. Read-only once open; any thread.
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
	struct sutra_packed *packed;		/* what the encoder stands on, or NULL */
	struct sutra_encoder *encoder;
	struct sutra_precision_report precision;
	struct sutra_wordpiece *tokenizer;
	struct sutra_wordpiece_options tokenizer_options;
	enum sutra_architecture architecture;
	enum sutra_pooling pooling;
	enum sutra_mrl mrl;
	bool normalizes;			/* modules.json ends with a Normalize; told only */
	struct sutra_prompts prompts;
	const char *prefix;			/* before texts whose request names no input_type */
	const char *input_type;			/* its name, "" when it has none */
	size_t dimension;			/* native */
	size_t max_tokens;			/* of a text, with [CLS] and [SEP] */
	bool matryoshka_trained;		/* config.json says so */
	char weights_sha256[SUTRA_SHA256_HEX], vocab_sha256[SUTRA_SHA256_HEX], config_sha256[SUTRA_SHA256_HEX];
	char fingerprint[SUTRA_FINGERPRINT_LEN];	/* what a vector depends on; see model.c */
};

/* The store: $SUTRA_MODEL_DIR, or models in the user's folder for data (base/file.h); x-allocated. */
char *sutra_model_dir(void);
/* Which folder: `path` if not NULL or empty; else <store>/<model>, where model NULL is SUTRA_MODEL's
 * default. sutra_free it; NULL: out of memory. */
char *sutra_model_folder(const char *path, const char *model);

/* The first of config.json, vocab.txt and model.safetensors that the folder does not hold, or NULL. */
const char *sutra_model_missing(const char *folder);

struct sutra_model_options {
	enum sutra_mrl mrl;
	enum sutra_precision precision;	/* or SUTRA_AUTO */
	double floor;			/* of SUTRA_AUTO; 0: SUTRA_PRECISION_FLOOR */
	bool keep;			/* packed weights are read from and written to the folder */
};

/* Opens a folder; options NULL: all 0. SUTRA_E_NOTFOUND: no model there, with the ways to get one
 * as hint; SUTRA_E_CORRUPT, SUTRA_E_INVALID name the file and the fault. */
int sutra_model_open(const char *folder, const struct sutra_model_options *options,
		     struct sutra_model **ret, struct sutra_err *err);
void sutra_model_close(struct sutra_model *m);
/* Another prefix than the folder's own default, before the model is shared; both strings live as
 * long as the model. Makes another fingerprint. */
int sutra_model_use_prompt(struct sutra_model *m, const char *input_type, const char *prefix,
			   struct sutra_err *err);

const char *sutra_mrl_name(enum sutra_mrl m);		/* "layer_norm", "plain" */

#endif
