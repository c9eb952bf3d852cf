/*
 * texts - the texts of a request body, with the same errors for every service:
 * {"texts":["...", ...]} or {"text":"..."}.
 *
 * If a service accepts token ids, an item of "texts" may be a list of them: ids of the model's own
 * vocabulary, including [CLS] and [SEP], as ml-base's /tokenize returns them. As the key of a cached
 * vector such a list is bytes: SUTRA_TEXT_IDS, which no UTF-8 text contains, then the ids as
 * little-endian 32-bit numbers.
 *
 * An item may then also be {"text":"...","input_type":"..."}: a text to which the prefix of that name is
 * added. As bytes it is SUTRA_TEXT_TYPED, the name, NUL, the text; so a query and a document of the same
 * words are different keys for the cache and for requests in flight.
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
	json_t *list;		/* strings, none empty; with limits also lists and objects */
	bool single;		/* the body has "text", not "texts" */
};

struct sutra_ids_limits {
	size_t vocab;		/* ids are below */
	size_t max_tokens;	/* per list */
};

/* Reads a body. With limits not NULL, lists of ids and typed texts may stand among the texts.
 * SUTRA_E_SYNTAX, SUTRA_E_INVALID name field, type and limit. */
int sutra_texts_read(const char *body, size_t n, const struct sutra_ids_limits *limits,
		     struct sutra_texts *ret, struct sutra_err *err);
void sutra_texts_release(struct sutra_texts *t);

/* Checks that the ids of the list v are within the limits; SUTRA_E_INVALID names `field` and the fault. */
int sutra_ids_check(const json_t *v, const char *field, const struct sutra_ids_limits *limits,
		    struct sutra_err *err);
/* Appends a checked list as bytes. */
void sutra_ids_pack(const json_t *list, struct sutra_buf *b);
/* Appends n bytes of text with the name of its type as bytes: n + strlen(type) + 2. */
void sutra_typed_pack(const char *type, const char *text, size_t n, struct sutra_buf *b);
/* Appends a text, or ids or a typed text packed as one, as JSON. */
void sutra_text_add_json(const char *text, size_t n, struct sutra_buf *b);

#endif
