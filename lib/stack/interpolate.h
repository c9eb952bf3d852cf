/*
 * interpolate - ${VAR} in compose files (compose-spec, "Interpolation").
 *
 * $VAR ${VAR} ${VAR:-x} ${VAR-x} ${VAR:?msg} ${VAR?msg} ${VAR:+x} ${VAR+x} and $$ for a
 * dollar; the words x and msg are interpolated themselves, to a depth of 16.
 */
#ifndef SUTRA_STACK_INTERPOLATE_H
#define SUTRA_STACK_INTERPOLATE_H

#include "base/buf.h"
#include "base/err.h"

/* Value of a variable, or NULL when it is unset; the string outlives the call. */
typedef const char *sutra_lookup(void *ctx, const char *name);

/* Appends text with its variables replaced. SUTRA_E_SYNTAX names the malformed place,
 * SUTRA_E_SETTING a required variable that is missing, with the file's message. An unset
 * variable without a default is empty. */
int sutra_interpolate(const char *text, sutra_lookup *lookup, void *ctx, struct sutra_buf *out,
		      struct sutra_err *err);

#endif
