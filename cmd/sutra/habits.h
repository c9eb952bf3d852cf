/* habits - commands, options and variables of other tools, with their names in sutra. */
#ifndef SUTRA_CMD_HABITS_H
#define SUTRA_CMD_HABITS_H

#include "base/err.h"
#include "sutra/command.h"

/* The command that other tools call word ("deploy" for up); NULL: none. */
const char *habits_command(const char *word);
/* When an unknown option is one of another tool, sets the hint of err to its name in sutra. */
void habits_option(const struct command *c, int argc, char **argv, struct sutra_err *err);
/* Prints a warning on standard error for each environment variable that looks like a setting and is none:
 * SUTRA_ with an unknown name, or the name of a setting with a typing error. Not with -q. */
void habits_environment(void);

#endif
