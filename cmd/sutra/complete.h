/*
 * complete - what may come next on a command line: one engine behind the three shells' completions
 * and behind `sutra shell`.
 *
 * Commands, options, choices and formats come from the tables; what an operand is, from the
 * command's synopsis (literal words, and kinds that values.h lists).
 */
#ifndef SUTRA_CMD_COMPLETE_H
#define SUTRA_CMD_COMPLETE_H

#include <stdbool.h>
#include <stddef.h>

#include "sutra/values.h"

struct completion {
	struct values found;	/* all of them begin with the last word */
	bool files;		/* paths fit too: the caller lists them */
};

/* words[0..n): what stands behind "sutra", the last one being what is typed now (maybe ""). A word
 * that is "=" is what bash makes of --name=value. */
void complete_line(const char *const *words, size_t n, struct completion *ret);

#endif
