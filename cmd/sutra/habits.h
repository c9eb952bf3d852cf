/* habits - what people type who come from other tools, and what it is called here. */
#ifndef SUTRA_CMD_HABITS_H
#define SUTRA_CMD_HABITS_H

#include "base/err.h"
#include "sutra/command.h"

/* The command that does what others call `word` ("deploy" for up); NULL: none. */
const char *habits_command(const char *word);
/* Where an unknown option of the command is another tool's, names the one it is here: sets err's hint. */
void habits_option(const struct command *c, int argc, char **argv, struct sutra_err *err);
/* A warning line on standard error for each variable of the environment that looks like a setting and
 * is none: SUTRA_ and a name that nothing reads, or a setting's name with a slip in it. Not with -q. */
void habits_environment(void);

#endif
