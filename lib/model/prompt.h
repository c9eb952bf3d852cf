/*
 * prompt - the prefixes that a model was trained with, by the kind of input they announce.
 *
 * A model may want to be told what a text is for: "search_document: " before what is searched,
 * "search_query: " before what is asked. The names and prefixes come from the folder's
 * config_sentence_transformers.json ("prompts"); nomic_bert models whose folder names none have
 * those they were trained with. A request names one as its input_type; the prefix is literal text
 * before the text.
 *
 * Names that other services use for the same are understood: query for search_query; document and
 * passage for search_document; and the other way round.
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

/* The names alone, which is what a gateway knows. */
struct sutra_input_types {
	size_t n;
	char names[SUTRA_MAX_PROMPTS][SUTRA_INPUT_TYPE_LEN];
};

struct sutra_prompts {
	struct sutra_input_types types;
	char *texts[SUTRA_MAX_PROMPTS];		/* of the names, owned; at most SUTRA_MAX_PROMPT bytes */
	char fallback[SUTRA_INPUT_TYPE_LEN];	/* the file's default_prompt_name, or "" */
};

/* v: config_sentence_transformers.json, or NULL. Release *ret whatever comes back. */
int sutra_prompts_read(const json_t *v, enum sutra_architecture architecture,
		       struct sutra_prompts *ret, struct sutra_err *err);
void sutra_prompts_release(struct sutra_prompts *p);

/* Which of the names `asked` means; SUTRA_E_INVALID names `field`, its value and what is
 * allowed. */
int sutra_input_type_find(const struct sutra_input_types *t, const char *field, const char *asked,
			  size_t *ret, struct sutra_err *err);
/* Adds a name; false: too many, empty, or too long. */
bool sutra_input_type_add(struct sutra_input_types *t, const char *name);

#endif
