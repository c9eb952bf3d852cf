/* values - what there is now of each kind an operand or option names: services, models, suites ... */
#ifndef SUTRA_CMD_VALUES_H
#define SUTRA_CMD_VALUES_H

#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"

/* Names, and beside each a few words ("" when there are none to say). */
struct values {
	struct sutra_strv names, helps;
};

/* Adds what a synopsis calls `kind` (SERVICE, GENERATION, MODEL, SUITE, COMMAND, KEY, TIME); a kind
 * that cannot be listed adds nothing, nor does one whose record or folder is not there. */
void values_add(struct values *v, const char *kind);
void values_put(struct values *v, const char *name, const char *help);
/* Whether an argument of that kind is the path of a file. */
bool values_is_path(const char *kind);
/* SUTRA_E_USAGE, "no service is called "x"": with the nearest of its kind as the hint, else with all there
 * are. what: "service", "suite" ... */
int values_missing(const char *kind, const char *what, const char *word, struct sutra_err *err);
/* The same as the command's failure: prints it, returns 2. */
int values_unknown(const char *kind, const char *what, const char *word);
void values_release(struct values *v);

#endif
