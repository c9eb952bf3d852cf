/* values - the existing values of each kind of operand and option: services, models, suites ... */
#ifndef SUTRA_CMD_VALUES_H
#define SUTRA_CMD_VALUES_H

#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"

/* Names, and for each a short text (or ""). */
struct values {
	struct sutra_strv names, helps;
};

/* Adds the values of a kind of the synopsis (SERVICE, GENERATION, MODEL, SUITE, COMMAND, KEY, TIME). A kind that
 * cannot be listed, or whose record or folder is missing, adds nothing. */
void values_add(struct values *v, const char *kind);
void values_put(struct values *v, const char *name, const char *help);
/* Whether an argument of that kind is the path of a file. */
bool values_is_path(const char *kind);
/* SUTRA_E_USAGE, "no service is called "x"": with the nearest value of the kind as the hint, else all of them. what: "service", "suite" ... */
int values_missing(const char *kind, const char *what, const char *word, struct sutra_err *err);
/* Prints the same error as the failure of the command; returns 2. */
int values_unknown(const char *kind, const char *what, const char *word);
void values_release(struct values *v);

#endif
