/*
 * mask - takes secrets out of text that others will read.
 *
 * Two nets. What is known to be a secret (a password of the settings) goes wherever it stands, as it
 * is, percent-encoded, in base64, in hexadecimal. What looks like one goes by its shape: the value of
 * a name that says so (password=, "api_key":, --token), what follows Bearer and Basic, cookies,
 * credentials in URLs, private keys, tokens with a well-known beginning. When in doubt it masks: a
 * word too many in a report does no harm.
 *
 * One thread at a time.
 */
#ifndef SUTRA_BASE_MASK_H
#define SUTRA_BASE_MASK_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

#define SUTRA_MASKED "********"

struct sutra_mask;
struct sutra_mask *sutra_mask_new(void);	/* NULL: out of memory */
void sutra_mask_free(struct sutra_mask *m);
/* A value that must not appear; shorter than 4 bytes, a small number or a word such as true, it is left
 * to the second net. */
int sutra_mask_secret(struct sutra_mask *m, const char *value);
/* The base64 of "user:password", as HTTP sends it, must not appear either. */
int sutra_mask_login(struct sutra_mask *m, const char *user, const char *password);
/* Appends n bytes without their secrets. m NULL: by shape alone. out's error tells of too little room. */
void sutra_mask_add(const struct sutra_mask *m, const char *text, size_t n, struct sutra_buf *out);
/* Whether a setting or variable of that name holds a secret. */
bool sutra_mask_is_secret_name(const char *name);

#endif
