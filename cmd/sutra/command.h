/*
 * command - the descriptor of a command of `sutra`, and functions that all commands share.
 *
 * A command is one file (cmd/sutra/cmd_<name>.c) and one descriptor. A new one needs:
 * the file, a row in main.c, man/sutra-<name>.1, a case folder in tests/cli, a line in
 * the README's table, and CHANGES. Completion and help come from the descriptor: completion takes
 * options from the rows, and operands from the synopsis, where words in lower case are literal and words in capitals are kinds (values.c); "..." repeats the last, "|" separates alternatives.
 */
#ifndef SUTRA_CMD_COMMAND_H
#define SUTRA_CMD_COMMAND_H

#include <signal.h>
#include "base/err.h"
#include "base/option.h"

/* Exit codes of every command (CONTRACT section 9). When several apply, the order of precedence is
 * 2, 7, 6, 5, 4, 1, 3. */
enum {
	EXIT_YES = 0,
	EXIT_NO = 1,
	EXIT_USAGE = 2,
	EXIT_QUALIFIED = 3,
	EXIT_TIME = 4,
	EXIT_ROLLED_BACK = 5,
	EXIT_INCONCLUSIVE = 6,
	EXIT_LOCK = 7,
};

struct command {
	const char *name;
	const char *summary;	/* one line, lower case, without a full stop */
	const char *synopsis;	/* operands and main options, after the name */
	const char *examples;	/* lines of "command\tmeaning\n" */
	const char *formats;	/* formats of -o: "table|json"; parser, help and completion read them */
	const struct sutra_option *options;	/* ended rows; NULL: the common options only */
	bool operands;				/* false: an operand is a usage error, and run gets none */
	/* argv[1..n] are the operands; the options have been parsed. Returns an exit code. */
	int (*run)(int n, char **argv);
};

/* The values of the common options (-o, --json, -q, -v, --color, -y, -h). */
struct common {
	const char *output;	/* "table" unless asked otherwise */
	bool json;
	bool quiet;
	int verbose;
	const char *color;	/* auto, always, never */
	bool help;
};
extern struct common common;

extern const struct command *const *commands;	/* set by main; NULL-terminated, in order of help */

/* Prints "sutra <command>: message" and the hint on standard error; returns the exit
 * code of err->code. */
int command_fail(const struct sutra_err *err);
/* Prints a usage error with the hint "sutra help <command>"; returns 2. */
int command_usage(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* A usage error unless -o is one of allowed: for modes that print fewer formats than the command. */
int command_formats(const char *allowed);
void command_help(const struct command *c, FILE *out);
/* The option rows of the command, then the common ones, ended; c NULL: only the common ones. */
enum { COMMAND_MAX_ROWS = 64 };
void command_rows(const struct command *c, struct sutra_option rows[COMMAND_MAX_ROWS]);
/* The name that command_fail and command_usage print; set by main. */
void command_set_running(const char *name);
/* The signal (INT, TERM) that arrived after command_catch_signals, or 0; a second one ends the process. */
extern volatile sig_atomic_t command_stopped;
void command_catch_signals(void);

#endif
