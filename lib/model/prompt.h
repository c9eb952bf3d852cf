/*
 * prompt - the prefixes that a model was trained with, by the type of input.
 *
 * Some models expect a prefix that says what a text is for: "search_document: " before a document,
 * "search_query: " before a query. The names and prefixes come from the folder's
 * config_sentence_transformers.json ("prompts"); nomic_bert models without that field have those
 * which they were trained with. A request names one as its input_type; the prefix is put before the
 * text as it is.
 *
 * The names of other services are synonyms: query for search_query; document and passage for
 * search_document; and the reverse.
 */
#ifndef SUTRA_MODEL_PROMPT_H
#define SUTRA_MODEL_PROMPT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "model/encoder/encoder.h"

enum { SUTRA_MAX_PROMPTS = 16, SUTRA_INPUT_TYPE_LEN = 40, SUTRA_MAX_PROMPT = 4096 };

/* The names alone, for a gateway, which has no model. */
struct sutra_input_types {
	size_t n;
	char names[SUTRA_MAX_PROMPTS][SUTRA_INPUT_TYPE_LEN];
};

struct sutra_prompts {
	struct sutra_input_types types;
	char *texts[SUTRA_MAX_PROMPTS];		/* the names' prefixes, owned; at most SUTRA_MAX_PROMPT bytes each */
	char fallback[SUTRA_INPUT_TYPE_LEN];	/* the file's default_prompt_name, or "" */
};

/* v: config_sentence_transformers.json, or NULL. *ret must be released even after an error. */
int sutra_prompts_read(const json_t *v, enum sutra_architecture architecture,
		       struct sutra_prompts *ret, struct sutra_err *err);
void sutra_prompts_release(struct sutra_prompts *p);

/* The index of the name `asked`, else of its first synonym; SUTRA_E_INVALID names `field`, its value and the
 * allowed names. */
int sutra_input_type_find(const struct sutra_input_types *t, const char *field, const char *asked,
			  size_t *ret, struct sutra_err *err);
/* Adds a name; false: too many, empty, or too long. */
bool sutra_input_type_add(struct sutra_input_types *t, const char *name);

#endif
