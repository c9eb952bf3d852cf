/* modelquality - `sutra model quality`: what a model's vectors are worth on graded pairs of sentences. */
#ifndef SUTRA_CMD_MODELQUALITY_H
#define SUTRA_CMD_MODELQUALITY_H

#include <stdint.h>

/* Measures the model in `folder` with sutra-ml-base and prints a table or a document. dims: a list
 * with commas, NULL: all the model has; pairs: a file, NULL: the installed one. Returns an exit code. */
int model_quality(const char *folder, const char *dims, const char *pairs, uint64_t timeout_ns);

#endif
