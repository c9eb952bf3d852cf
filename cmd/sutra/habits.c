#include "sutra/habits.h"

#include <stdio.h>
#include <string.h>

#include "base/setting.h"
#include "base/shown.h"
#include "base/str.h"

extern char **environ;

static const struct {
	const char *word, *command;
} words[] = {
	{ "up", "deploy" },	  { "start", "deploy" },      { "apply", "deploy" },   { "install", "deploy" },
	{ "stop", "down" },	  { "rm", "down" },	      { "destroy", "down" },   { "delete", "down" },
	{ "ps", "status" },	  { "ls", "status" },	      { "health", "status" },  { "tail", "logs" },
	{ "undo", "rollback" },	  { "reload", "restart" },    { "check", "validate" }, { "test", "validate" },
	{ "settings", "config" }, { "env", "config" },	      { "stats", "cache-stats" }, { "top", "monitor" },
	{ "generate", "manifest" }, { "pull", "model fetch" }, { "models", "model list" }, { "smoke", "validate smoke" },
	{ "watch", "production-monitor" }, { "repl", "shell" }, { "complete", "completion" },
};

static const struct {
	const char *command, *option, *here;
} options[] = {
	{ "logs", "--tail", "sutra logs -n N" },
	{ "logs", "--since", "each line has its time; -n N says how many lines" },
	{ "logs", "-t", "each line has its time; -n N says how many lines" },
	{ "deploy", "-d", "a deploy ends when all is healthy; the services run on" },
	{ "deploy", "--detach", "a deploy ends when all is healthy; the services run on" },
	{ "deploy", "--wait", "deploy always waits; --timeout TIME is how long" },
	{ "deploy", "--build", "sutra build" }, { "deploy", "--force-recreate", "sutra restart" },
	{ "down", "--remove-orphans", "sutra deploy --prune" },
	{ "status", "-a", "status shows every service" }, { "rollback", "--to", "sutra rollback GENERATION" },
};

const char *habits_command(const char *word)
{
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
		size_t n = strcspn(words[i].command, " ");

		for (size_t k = 0; !strcmp(words[i].word, word) && commands[k]; k++)
			if (strlen(commands[k]->name) == n && !strncmp(commands[k]->name, words[i].command, n))
				return words[i].command;
	}
	return NULL;
}

void habits_option(const struct command *c, int argc, char **argv, struct sutra_err *err)
{
	if (!sutra_str_starts(err->message, "unknown option"))
		return;
	for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++) {
		size_t n = strlen(options[i].option);

		for (int k = 1; !strcmp(options[i].command, c->name) && k < argc; k++)
			if (!strncmp(argv[k], options[i].option, n) && (!argv[k][n] || argv[k][n] == '='))
				sutra_hint(err, "%s", options[i].here);
	}
}

/* Variables of images and of the test suite. */
static const char *const others[] = { "SUTRA_BASE_IMAGE", "SUTRA_BIN", "SUTRA_SERVICE", "SUTRA_STACK", "SUTRA_TESTS" };

static const char *nearest(const char *name, size_t *ret)
{
	const char *best = NULL;
	size_t n = sizeof(others) / sizeof(*others), d;

	*ret = sutra_setting_find(name) ? 0 : 64;
	for (const struct sutra_setting *s = sutra_settings; s->name && *ret; s++)
		if ((d = sutra_str_distance(name, s->name)) < *ret) {
			*ret = d;
			best = s->name;
		}
	for (size_t i = 0; i < n && *ret; i++)
		if ((d = sutra_str_distance(name, others[i])) < *ret) {
			*ret = d;
			best = others[i];
		}
	return best;
}

void habits_environment(void)
{
	for (char **e = environ; *e && !common.quiet; e++) {
		char name[64];
		size_t n = strcspn(*e, "="), distance;
		const char *near;
		bool own;

		if (n >= sizeof(name))
			continue;
		snprintf(name, sizeof(name), "%.*s", (int)n, *e);
		own = sutra_str_starts(name, "SUTRA_");
		near = nearest(name, &distance);
		if (!distance || sutra_str_starts(name, "SUTRA_ALERT"))	/* set for hooks of production-monitor */
			continue;
		if (distance <= (n < 10 ? 1u : 2u))
			sutra_shown_printf(stderr, "sutra: %s is not a setting; did you mean %s?\n", name, near);
		else if (own)
			sutra_shown_printf(stderr, "sutra: %s is not a setting; sutra config lists them\n", name);
	}
}
