#include "sutra/habits.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/shown.h"
#include "base/str.h"
#include "compose/config.h"

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

/* Read, but no setting of the stack: folders, the runtime's own, the suite's. */
static const char *const others[] = {
	"SUTRA_BASE_IMAGE", "SUTRA_BIN", "SUTRA_BIND_INTERNAL", "SUTRA_COLOR", "SUTRA_DATA_DIR", "SUTRA_HUB_URL",
	"SUTRA_LISTEN", "SUTRA_MODEL_DIR", "SUTRA_REEXEC",
	"SUTRA_ROLE",	 "SUTRA_SERVICE",  "SUTRA_STACK",    "SUTRA_TESTS",   NULL,
};

static const char *nearest(const char *name, size_t *ret)
{
	const struct sutra_setting *s = sutra_operator_settings;
	const char *best = NULL;

	*ret = 64;
	for (size_t i = 0; s->name || others[i];) {
		const char *known = s->name ? s++->name : others[i++];
		size_t d = sutra_str_distance(name, known);

		if (d < *ret) {
			*ret = d;
			best = known;
		}
	}
	for (s = sutra_operator_settings; s->name; s++)
		if (s->alias && !strcmp(s->alias, name))
			*ret = 0;
	return best;
}

/* SUTRA_PORT_8888, SUTRA_LISTEN_8888: worked out by deploy, or given to a service. */
static bool is_made(const char *name)
{
	static const char *const stems[] = { "SUTRA_PORT_", "SUTRA_LISTEN_" };

	for (size_t i = 0; i < sizeof(stems) / sizeof(*stems); i++)
		if (sutra_str_starts(name, stems[i]) && isdigit((unsigned char)name[strlen(stems[i])]))
			return true;
	return sutra_str_starts(name, "SUTRA_ALERT");	/* of a hook of production-monitor */
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
		if (!distance || is_made(name))
			continue;
		if (distance <= (n < 10 ? 1u : 2u))
			sutra_shown_printf(stderr, "sutra: %s is not a setting; did you mean %s?\n", name, near);
		else if (own)
			sutra_shown_printf(stderr, "sutra: %s is not a setting; sutra config lists them\n", name);
	}
}
