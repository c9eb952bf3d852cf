/* sutra - deploys, watches, validates and scales the embedding platform. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/shown.h"
#include "base/str.h"
#include "sutra/command.h"
#include "sutra/habits.h"

extern const struct command cmd_help, cmd_version;

static bool json, yes;

static const struct sutra_option common_rows[] = {
	{ 'o', "output", SUTRA_OPT_CHOICE, &common.output, "FORMAT", "output format", 0, 0, NULL },
	{ 0, "json", SUTRA_OPT_FLAG, &json, NULL, "the same as -o json", 0, 0, NULL },
	{ 'q', "quiet", SUTRA_OPT_FLAG, &common.quiet, NULL, "errors only", 0, 0, NULL },
	{ 'v', "verbose", SUTRA_OPT_COUNT, &common.verbose, NULL, "say more; twice: every request", 0,
	  0, NULL },
	{ 0, "color", SUTRA_OPT_CHOICE, &common.color, "WHEN", "colour", 0, 0, "auto|always|never" },
	{ 'y', "yes", SUTRA_OPT_FLAG, &yes, NULL, "answer yes; the launcher installs packages unasked", 0, 0, NULL },
	{ 'h', "help", SUTRA_OPT_FLAG, &common.help, NULL, "show this help", 0, 0, NULL },
	{ 0 },
};

void command_rows(const struct command *c, struct sutra_option rows[COMMAND_MAX_ROWS])
{
	size_t n = 0;

	for (const struct sutra_option *o = c && c->options ? c->options() : NULL;
	     o && (o->name || o->letter) && n < COMMAND_MAX_ROWS - 8; o++)
		rows[n++] = *o;
	for (const struct sutra_option *o = common_rows; o->name || o->letter; o++) {
		rows[n] = *o;
		if (o->type == SUTRA_OPT_CHOICE && !o->choices)
			rows[n].choices = c ? c->formats : "table|wide|json|jsonl|junit|tap|prom";
		n++;
	}
	rows[n] = (struct sutra_option){ 0 };
}

/* The synopsis, broken between its parts; what stands in brackets stays together. */
static void print_usage(const struct command *c, FILE *out)
{
	int start = fprintf(out, "usage: sutra %s", c->name), at = start;

	for (const char *s = c->synopsis; *s;) {
		int n = 0, depth = 0;

		for (; s[n] && (depth || s[n] != ' '); n++)
			depth += (s[n] == '[') - (s[n] == ']');
		if (at + 1 + n > 80) {
			fprintf(out, "\n%*s", start, "");
			at = start;
		}
		at += fprintf(out, " %.*s", n, s);
		s += n + (s[n] == ' ');
	}
	fputs("\n\n", out);
}

void command_help(const struct command *c, FILE *out)
{
	struct sutra_option rows[COMMAND_MAX_ROWS];

	command_rows(c, rows);
	fprintf(out, "sutra %s - %s\n\n", c->name, c->summary);
	for (const char *line = c->examples; line && *line;) {
		int n = (int)strcspn(line, "\n"), left = (int)strcspn(line, "\t\n");

		fprintf(out, "  %-48.*s%s%.*s\n", left, line, left < n ? " # " : "",
			left < n ? n - left - 1 : 0, line + left + 1);
		line += n + (line[n] == '\n');
	}
	fputc('\n', out);
	print_usage(c, out);
	sutra_options_help(rows, out);
}

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

/* How many words before the command are common options (`sutra -o json status`); -1: one is not.
 * *ret_help: -h is among them. --version is a command. */
static int options_before(int argc, char **argv, bool *ret_help)
{
	int at = 1;

	while (at < argc && argv[at][0] == '-' && argv[at][1] && strcmp(argv[at], "--version") != 0) {
		const struct sutra_option *o = common_rows;
		const char *word = argv[at];
		size_t n = strcspn(word, "=");

		for (; o->name || o->letter; o++)
			if (word[1] == '-' ? strlen(o->name) + 2 == n && !strncmp(o->name, word + 2, n - 2) :
					     o->letter && word[strlen(word) - 1] == o->letter)
				break;
		if ((!o->name && !o->letter) && !(word[1] == 'o' && word[2])) {
			command_usage("%s stands before the command; there only -o, --json, -q, -v, --color, -y, -h and --version may",
				      word);
			return -1;
		}
		*ret_help = *ret_help || o->letter == 'h';
		at += 1 + (o->type == SUTRA_OPT_CHOICE && o->name && !word[n]);
	}
	return at - 1;
}

/* The command, moved to argv[1]; the options that stood before it come behind it. No command is
 * help when that was asked for, or nothing at all. */
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
	if (json)
		common.output = "json";
	common.json = !strcmp(common.output, "json");
	if (common.help) {
		command_help(c, stdout);
		return EXIT_YES;
	}
	if (command_formats(c->formats))	/* --json, where there is none */
		return EXIT_USAGE;
	return c->run(n, argv + 1);
}

int main(int argc, char **argv)
{
	int code;

	code = run(argc, argv);
	if (fflush(stdout) || ferror(stdout)) {
		if (errno != EPIPE)
			fprintf(stderr, "sutra: cannot write the result: %s\n", strerror(errno));
		return code ? code : EXIT_NO;
	}
	return code;
}
