/*
 * interpolate - variables in compose files and .env, as Docker Compose 2 replaces them.
 *
 * $VAR ${VAR} ${VAR:-x} ${VAR-x} ${VAR:?msg} ${VAR?msg} ${VAR:+x} ${VAR+x} and $$ for a
 * dollar; the words x and msg are interpolated themselves where they are used, to a depth of
 * 16, and end at the brace that closes the variable, braces within them counted. A dollar
 * before anything else stands for itself.
 */
#ifndef SUTRA_COMPOSE_INTERPOLATE_H
#define SUTRA_COMPOSE_INTERPOLATE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

/* Value of a variable, or NULL when it is unset; the string outlives the call. */
typedef const char *sutra_lookup(void *ctx, const char *name);

/* The lookup of this process's environment, for compose files and .env, which may name any variable. */
sutra_lookup sutra_environment;

/* Bytes of a value: with its name it is within what the kernel takes, 128 KiB. */
enum { SUTRA_MAX_VALUE = 127 << 10 };

/* Appends text with its variables replaced. An unset variable without a word is empty; its name goes
 * into unset (may be NULL), once, the first 100 do. SUTRA_E_SYNTAX names the malformed place, SUTRA_E_SETTING a required
 * variable that is missing, with the file's message, SUTRA_E_TOOBIG a result that out has no room for. */
int sutra_interpolate(const char *text, sutra_lookup *lookup, void *ctx, struct sutra_buf *out,
		      struct sutra_strv *unset, struct sutra_err *err);

#endif
