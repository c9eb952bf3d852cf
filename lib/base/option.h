/*
 * option - one table of command-line options, which the parser, -h, the check of the man
 * pages and completion read.
 *
 * Options may stand anywhere; `--` ends them; `--name=value`, `--name value`, `-n value`,
 * `-nvalue`; flags may be joined (-qv). An unknown option names its nearest match.
 */
#ifndef SUTRA_BASE_OPTION_H
#define SUTRA_BASE_OPTION_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"

enum sutra_option_type {
	SUTRA_OPT_FLAG,		/* bool * */
	SUTRA_OPT_COUNT,	/* int *, +1 each time (-vv) */
	SUTRA_OPT_STRING,	/* const char **, points into argv */
	SUTRA_OPT_INT,		/* int64_t *, within [min, max] */
	SUTRA_OPT_DURATION,	/* uint64_t * nanoseconds; "none" is UINT64_MAX */
	SUTRA_OPT_PERIOD,	/* like DURATION, but the value is optional (default: min nanoseconds); as a
				   word of its own it must begin with a digit */
	SUTRA_OPT_CHOICE,	/* const char **, one of choices ("a|b|c") */
};

struct sutra_option {
	char letter;		/* 0: none */
	const char *name;	/* long name without dashes; NULL with letter 0 ends the table */
	enum sutra_option_type type;
	void *value;
	const char *arg;	/* name of the argument in help: "FILE"; NULL for flags */
	const char *help;	/* one line, lower case */
	int64_t min, max;
	const char *choices;
};

/* Parses argv[1..argc). Operands are moved to argv[1..]; *ret_operands is their count.
 * SUTRA_E_USAGE names the option and the value. */
int sutra_options_parse(const struct sutra_option *rows, int argc, char **argv, int *ret_operands,
			struct sutra_err *err);
/* The row of "--name", "--name=value", "-l", or of the last letter of "-ql"; NULL: none. */
const struct sutra_option *sutra_option_of(const struct sutra_option *rows, const char *word);
bool sutra_option_takes_value(const struct sutra_option *o);
/* Prints the rows as help lines in two columns. */
void sutra_options_help(const struct sutra_option *rows, FILE *out);

#endif
