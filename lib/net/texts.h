/* texts - the texts of a request body, with the same errors for every service:
 * {"texts":["...", ...]} or {"text":"..."}. */
#ifndef SUTRA_NET_TEXTS_H
#define SUTRA_NET_TEXTS_H

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"

enum { SUTRA_MAX_TEXTS = 2048 };

struct sutra_texts {
	json_t *body;		/* owns the texts */
	json_t *list;		/* of strings, none empty */
	bool single;		/* came as "text" */
};

/* 0, or SUTRA_E_SYNTAX, SUTRA_E_INVALID naming field, type and limit. */
int sutra_texts_read(const char *body, size_t n, struct sutra_texts *ret, struct sutra_err *err);
void sutra_texts_release(struct sutra_texts *t);

#endif
