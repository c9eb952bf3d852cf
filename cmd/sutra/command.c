#include "sutra/command.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/shown.h"
#include "base/str.h"

const struct command *const *commands;

struct common common = { .output = "table", .color = "auto" };

static const char *running = "";
static bool yes;	/* only the launcher reads it */

int command_fail(const struct sutra_err *err)
{
	sutra_shown_printf(stderr, "sutra%s%s: %s\n", *running ? " " : "", running, err->message);
	if (err->hint[0])
		sutra_shown_printf(stderr, "  hint: %s\n", err->hint);
	return sutra_err_exit(err->code);
}

int command_usage(const char *fmt, ...)
{
	struct sutra_buf text;
	va_list ap;

	sutra_buf_init(&text, 1 << 20);
	va_start(ap, fmt);
	sutra_buf_vaddf(&text, fmt, ap);
	va_end(ap);
	sutra_shown_printf(stderr, "sutra%s%s: %s", *running ? " " : "", running, sutra_buf_str(&text));
	sutra_buf_release(&text);
	fprintf(stderr, "\n  hint: sutra help%s%s\n", *running ? " " : "", running);
	return EXIT_USAGE;
}

int command_formats(const char *allowed)
{
	if (sutra_str_is_choice(allowed, common.output))
		return 0;
	return command_usage("-o %s is not printed here; allowed are %s", common.output, allowed);
}

static const struct sutra_option common_rows[] = {
	{ 'o', "output", SUTRA_OPT_CHOICE, &common.output, "FORMAT", "output format", 0, 0, NULL },
	{ 0, "json", SUTRA_OPT_FLAG, &common.json, NULL, "the same as -o json", 0, 0, NULL },
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

	for (const struct sutra_option *o = c ? c->options : NULL;
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

/* Prints the synopsis, wrapped between its parts; text in brackets is kept together. */
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

void command_set_running(const char *name) { running = name; }

volatile sig_atomic_t command_stopped;

static void on_signal(int sig)
{
	if (command_stopped)
		_exit(128 + sig);
	command_stopped = sig;
}

void command_catch_signals(void)
{
	struct sigaction action = { .sa_handler = on_signal };

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}
