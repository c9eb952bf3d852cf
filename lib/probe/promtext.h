/* promtext - reads Prometheus's text format (version 0.0.4), the answer of /metrics. */
#ifndef SUTRA_PROBE_PROMTEXT_H
#define SUTRA_PROBE_PROMTEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/* Checks that every line is a comment or a sample, and counts the samples. SUTRA_E_SYNTAX names the
 * first line that is neither. */
int sutra_promtext_check(const char *text, size_t *ret_samples, struct sutra_err *err);
/* The value of the first sample of that name, whatever its labels; -1: none. */
double sutra_promtext_value(const char *text, const char *name);
/* Copies a label of the first sample of that name into out; false: there is none. */
bool sutra_promtext_label(const char *text, const char *name, const char *label, char *out, size_t size);

#endif
