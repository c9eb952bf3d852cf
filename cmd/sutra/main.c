/* sutra - deploys, watches, validates and scales the embedding platform. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/shown.h"
#include "base/str.h"
#include "sutra/command.h"
#include "sutra/habits.h"

extern const struct command cmd_advise, cmd_bugreport, cmd_build, cmd_cache, cmd_cache_stats,
	cmd_completion, cmd_config, cmd_deploy, cmd_down, cmd_help, cmd_load, cmd_logs, cmd_manifest,
	cmd_model, cmd_monitor, cmd_production_monitor, cmd_report, cmd_restart, cmd_rollback,
	cmd_shell, cmd_status, cmd_validate, cmd_validate_scaling, cmd_version;

static const struct command *const table[] = {
	&cmd_deploy, &cmd_rollback, &cmd_build, &cmd_down, &cmd_restart, &cmd_status, &cmd_monitor,
	&cmd_production_monitor, &cmd_logs, &cmd_cache_stats, &cmd_cache, &cmd_validate_scaling,
	&cmd_validate, &cmd_load, &cmd_report, &cmd_advise, &cmd_model, &cmd_manifest, &cmd_config,
	&cmd_shell, &cmd_completion, &cmd_bugreport, &cmd_version, &cmd_help,
	NULL,
};

static const struct command *find(const char *name)
{
	const char *names[64], *near;
	size_t n = 0;

	for (; commands[n] && n < 63; n++) {
		if (!strcmp(commands[n]->name, name))
			return commands[n];
		names[n] = commands[n]->name;
	}
	names[n] = NULL;
	near = habits_command(name);
	near = near ? near : sutra_str_nearest(name, names);
	sutra_shown_printf(stderr, "sutra: unknown command \"%s\"\n  hint: %s%s%s\n", name,
		near ? "did you mean sutra " : "sutra help lists the commands", near ? near : "",
		near ? "?" : "");
	return NULL;
}

/* The number of words before the command that are common options (`sutra -o json status`); -1: another
 * option. *ret_help: -h is among them. --version is a command. */
static int options_before(int argc, char **argv, bool *ret_help)
{
	struct sutra_option rows[COMMAND_MAX_ROWS];
	int at = 1;

	command_rows(NULL, rows);
	while (at < argc && argv[at][0] == '-' && argv[at][1] && strcmp(argv[at], "--version") != 0) {
		const char *word = argv[at];
		const struct sutra_option *o = sutra_option_of(rows, word);

		if (!o && !(word[1] == 'o' && word[2])) {
			command_usage("%s stands before the command; there only -o, --json, -q, -v, --color, -y, -h and "
				      "--version may",
				      word);
			return -1;
		}
		*ret_help = *ret_help || (o && o->letter == 'h');
		at += 1 + (o && o->type == SUTRA_OPT_CHOICE && !strchr(word, '='));
	}
	return at - 1;
}

/* Moves the command to argv[1], before the options that preceded it. Without a command, -h or an empty
 * command line is help. */
static const struct command *choose(int *argc, char **argv)
{
	bool help = *argc < 2;
	int n = options_before(*argc, argv, &help);
	char *name;

	if (n < 0)
		return NULL;
	if (n + 1 >= *argc && help) {
		*argc = 1;
		return &cmd_help;
	}
	if (n + 1 >= *argc) {
		command_usage("which command? sutra help lists them");
		return NULL;
	}
	name = argv[n + 1];
	memmove(&argv[2], &argv[1], (size_t)n * sizeof(*argv));
	argv[1] = name;
	return strcmp(name, "--version") ? find(name) : &cmd_version;
}

static int run(int argc, char **argv)
{
	struct sutra_option rows[COMMAND_MAX_ROWS];
	const struct command *c = choose(&argc, argv);
	struct sutra_err err;
	int n = 0;

	if (!c)
		return EXIT_USAGE;
	command_set_running(c->name);
	command_rows(c, rows);
	if (argc > 2 && sutra_options_parse(rows, argc - 1, argv + 1, &n, &err)) {
		habits_option(c, argc - 1, argv + 1, &err);
		return command_fail(&err);
	}
	if (common.json)
		common.output = "json";
	common.json = !strcmp(common.output, "json");
	if (common.help) {
		command_help(c, stdout);
		return EXIT_YES;
	}
	if (command_formats(c->formats))	/* --json is not checked against the formats by the parser */
		return EXIT_USAGE;
	if (n && !c->operands)
		return command_usage("%s takes no operand, got \"%s\"", c->name, argv[2]);
	return c->run(n, argv + 1);
}

int main(int argc, char **argv)
{
	int code;

	commands = table;
	code = run(argc, argv);
	if (fflush(stdout) || ferror(stdout)) {
		if (errno != EPIPE)
			fprintf(stderr, "sutra: cannot write the result: %s\n", strerror(errno));
		return code ? code : EXIT_NO;
	}
	return code;
}
