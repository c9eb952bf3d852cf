/*
 * complete - the words that can come next on a command line, for the completions of three shells and
 * for `sutra shell`.
 *
 * Commands, options, choices and formats come from the tables, operands from the synopsis of the
 * command (literal words, and kinds that values.h lists).
 */
#ifndef SUTRA_CMD_COMPLETE_H
#define SUTRA_CMD_COMPLETE_H

#include <stdbool.h>
#include <stddef.h>

#include "sutra/values.h"

struct completion {
	struct values found;	/* each begins with the last word */
	bool files;		/* paths are possible too: the caller lists them */
};

/* words[0..n): the words after "sutra"; the last one is being typed (maybe ""). bash splits --name=value at
 * "=", which is then a word. */
void complete_line(const char *const *words, size_t n, struct completion *ret);

#endif
