/*
 * texts - the texts of a request body, with the same errors for every service:
 * {"texts":["...", ...]} or {"text":"..."}.
 *
 * Where token ids are taken, a list of them may stand in the place of a text of "texts": ids of the
 * model's own vocabulary, complete with [CLS] and [SEP], as ml-base's /tokenize gives them.
 * On its way through the cache such a list is bytes: SUTRA_TEXT_IDS, which no UTF-8 text holds,
 * then the ids as little-endian 32-bit numbers.
 *
 * There, too, {"text":"...","input_type":"..."} may stand for a text: one that is given the prefix of
 * that name. As bytes it is SUTRA_TEXT_TYPED, the name, NUL, the text; so a query and a document
 * of the same words are two texts to the cache and to whoever waits for one under way.
 */
#ifndef SUTRA_MODEL_TEXTS_H
#define SUTRA_MODEL_TEXTS_H

#include <jansson.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

enum { SUTRA_MAX_TEXTS = 2048, SUTRA_TEXT_IDS = 0xFF, SUTRA_TEXT_TYPED = 0xFE };

struct sutra_texts {
	json_t *body;		/* owns the texts */
	json_t *list;		/* of strings, none empty; where ids are taken, of lists and objects too */
	bool single;		/* came as "text" */
};

struct sutra_ids_limits {
	size_t vocab;		/* ids are below */
	size_t max_tokens;	/* of a list */
};

/* Reads a body. With limits not NULL, lists of ids and typed texts may stand among the texts.
 * SUTRA_E_SYNTAX, SUTRA_E_INVALID name field, type and limit. */
int sutra_texts_read(const char *body, size_t n, const struct sutra_ids_limits *limits,
		     struct sutra_texts *ret, struct sutra_err *err);
void sutra_texts_release(struct sutra_texts *t);

/* Whether v is a list of ids within the limits; SUTRA_E_INVALID names `field` and the fault. */
int sutra_ids_check(const json_t *v, const char *field, const struct sutra_ids_limits *limits,
		    struct sutra_err *err);
/* Appends a checked list as bytes. */
void sutra_ids_pack(const json_t *list, struct sutra_buf *b);
/* Appends n bytes of text with the name of its type as bytes: n + strlen(type) + 2. */
void sutra_typed_pack(const char *type, const char *text, size_t n, struct sutra_buf *b);
/* Appends a text, or ids or a typed text packed as one, as JSON. */
void sutra_text_add_json(const char *text, size_t n, struct sutra_buf *b);

#endif
