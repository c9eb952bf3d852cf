/*
 * mask - replaces secrets in text that others will read.
 *
 * Two methods. A known secret (a password of the settings) is replaced wherever it occurs: as it is,
 * percent-encoded, in base64, in hexadecimal. Unknown secrets are replaced by their form: the value of
 * a name such as password=, "api_key": or --token, the token after Bearer and Basic, cookies,
 * credentials in URLs, private keys, tokens with a well-known beginning. In doubt it masks: one masked
 * word too many does no harm in a report.
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
/* Adds a known secret. A value shorter than 4 bytes, a small number or a word such as true is ignored: only
 * its form can mask it. */
int sutra_mask_secret(struct sutra_mask *m, const char *value);
/* Adds the base64 of "user:password", as HTTP sends it. */
int sutra_mask_login(struct sutra_mask *m, const char *user, const char *password);
/* Appends n bytes with their secrets masked. m NULL: by form only. out holds an error when they do not fit. */
void sutra_mask_add(const struct sutra_mask *m, const char *text, size_t n, struct sutra_buf *out);
/* Whether a setting or variable of this name holds a secret. */
bool sutra_mask_is_secret_name(const char *name);

#endif
