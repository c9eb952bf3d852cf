/* cmdline - a line of `sutra shell` as words: quotes, comments, settings before the command. */
#ifndef SUTRA_CMD_CMDLINE_H
#define SUTRA_CMD_CMDLINE_H

#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"

struct cmdline {
	struct sutra_strv settings;	/* NAME=VALUE before the command */
	struct sutra_strv words;	/* the command and what follows; a leading "sutra" is left out */
};

/* Blanks separate words; '...' is literal, in "..." and outside a backslash takes the next byte
 * literally; # at the start of a word begins a comment. Nothing is expanded. SUTRA_E_USAGE: a quote
 * is left open, or a character that only a shell knows (| ; & < > $ ` *) stands unquoted. */
int cmdline_split(const char *line, struct cmdline *ret, struct sutra_err *err);
/* The same of what is typed so far, for completion: anything goes, and a last word is always there. */
void cmdline_typed(const char *line, size_t n, struct cmdline *ret);
/* Whether the line gives away a secret: a password, key or token as a setting or in a URL. */
bool cmdline_has_secret(const struct cmdline *c);
void cmdline_release(struct cmdline *c);

#endif
