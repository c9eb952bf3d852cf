/*
 * interpolate - variables in compose files and .env, as Docker Compose 2 replaces them.
 *
 * $VAR ${VAR} ${VAR:-x} ${VAR-x} ${VAR:?msg} ${VAR?msg} ${VAR:+x} ${VAR+x} and $$ for a
 * dollar. The words x and msg are interpolated when they are used, to a depth of 16; they end at
 * the brace that closes the variable, with nested braces counted. A dollar before anything else is
 * literal.
 */
#ifndef SUTRA_COMPOSE_INTERPOLATE_H
#define SUTRA_COMPOSE_INTERPOLATE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

/* The value of a variable, or NULL when it is unset; the string outlives the call. */
typedef const char *sutra_lookup(void *ctx, const char *name);

/* Looks up the environment of this process: compose files and .env may name any variable. */
sutra_lookup sutra_environment;

/* Longest value in bytes: with its name it stays below the kernel's limit of 128 KiB. */
enum { SUTRA_MAX_VALUE = 127 << 10 };

/* Appends text with its variables replaced. An unset variable without a word is empty; the first 100 of
 * them are added to unset (may be NULL), once each. SUTRA_E_SYNTAX shows the malformed text, SUTRA_E_SETTING
 * a missing required variable with the message of the file; SUTRA_E_TOOBIG: the result does not fit. */
int sutra_interpolate(const char *text, sutra_lookup *lookup, void *ctx, struct sutra_buf *out,
		      struct sutra_strv *unset, struct sutra_err *err);

#endif
