#include "sutra/values.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/shown.h"
#include "compose/config.h"
#include "deploy/deployment.h"
#include "deploy/generation.h"
#include "hub/modelstore.h"
#include "deploy/record.h"
#include "sutra/command.h"

enum { MAX_LISTED = 160 };	/* bytes of names in a hint */

void values_put(struct values *v, const char *name, const char *help)
{
	if (!sutra_shown_is_text(name))	/* such a name cannot be typed, and shells print it unescaped */
		return;
	sutra_strv_add(&v->names, name);
	sutra_strv_add(&v->helps, help ? help : "");
}

static void add_services(struct values *v)
{
	char *dir = sutra_state_dir();
	struct sutra_record *r = NULL;

	sutra_record_load(dir, &r, NULL);
	for (size_t i = 0; r && i < r->n; i++)
		values_put(v, r->units[i].name, r->units[i].program);
	sutra_record_free(r);
	sutra_free(dir);
}

static void add_generations(struct values *v)
{
	char *dir = sutra_state_dir();
	int *list = NULL;
	size_t n = sutra_generation_list(dir, &list);

	for (size_t i = 0; i < n; i++) {
		struct sutra_generation g;
		char number[16], help[128];

		if (sutra_generation_open(dir, list[i], &g, NULL))
			continue;
		snprintf(number, sizeof(number), "%d", list[i]);
		snprintf(help, sizeof(help), "%s %.19s", g.cause, g.deployed_at);
		values_put(v, number, help);
		sutra_generation_release(&g);
	}
	sutra_free(list);
	sutra_free(dir);
}

static void add_models(struct values *v)
{
	struct sutra_strv here = { 0 };

	for (const struct sutra_known_model *m = sutra_known_models; m->name; m++)
		values_put(v, m->name, sutra_model_state_name(sutra_model_state(m->name)));
	sutra_model_names(&here);
	for (size_t i = 0; i < here.n; i++)
		if (!sutra_strv_has(&v->names, here.items[i]))
			values_put(v, here.items[i], "here");
	sutra_strv_release(&here);
}

static void add_suites(struct values *v)
{
	char *data = sutra_data_dir(), *path = data ? xasprintf("%s/validate", data) : NULL;
	DIR *d = path ? opendir(path) : NULL;
	struct sutra_strv found = { 0 };
	struct dirent *e;

	while (d && (e = readdir(d)))
		if (sutra_str_ends(e->d_name, ".json"))
			sutra_strv_addn(&found, e->d_name, strlen(e->d_name) - 5);
	sutra_strv_sort(&found);
	for (size_t i = 0; i < found.n; i++)
		values_put(v, found.items[i], "suite of checks");
	sutra_strv_release(&found);
	if (d)
		closedir(d);
	sutra_free(path);
	sutra_free(data);
}

static void add_commands(struct values *v)
{
	for (size_t i = 0; commands[i]; i++)
		values_put(v, commands[i]->name, commands[i]->summary);
}

static void add_keys(struct values *v)
{
	SUTRA_EACH_SETTING (s, SUTRA_OF_OPERATOR)
		values_put(v, s->name, s->help);
}

static void add_times(struct values *v)
{
	static const char *const some[] = { "10s", "30s", "1m", "5m", "1h", "none" };

	for (size_t i = 0; i < sizeof(some) / sizeof(*some); i++)
		values_put(v, some[i], "");
}

static const struct {
	const char *kind;
	void (*add)(struct values *v);
} kinds[] = {
	{ "COMMAND", add_commands }, { "GENERATION", add_generations }, { "KEY", add_keys },
	{ "MODEL", add_models },     { "SERVICE", add_services },	{ "SUITE", add_suites },
	{ "TIME", add_times },
};

void values_add(struct values *v, const char *kind)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (!strcmp(kinds[i].kind, kind))
			kinds[i].add(v);
}

bool values_is_path(const char *kind)
{
	static const char *const paths[] = { "FILE", "PATH", "PLAN", "HOOK", "DIR" };

	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++)
		if (!strcmp(paths[i], kind))
			return true;
	return false;
}

int values_missing(const char *kind, const char *what, const char *word, struct sutra_err *err)
{
	struct values v = { 0 };
	const char *near;
	struct sutra_buf all;

	values_add(&v, kind);
	near = v.names.n ? sutra_str_nearest(word, (const char *const *)v.names.items) : NULL;
	sutra_fail(err, SUTRA_E_USAGE, "no %s is called \"%.200s\"", what, word);
	sutra_buf_init(&all, 8192);
	for (size_t i = 0; i < v.names.n; i++)
		sutra_buf_addf(&all, "%s%s", i ? ", " : "", v.names.items[i]);
	if (near)
		sutra_hint(err, "did you mean %s?", near);
	else if (all.len > MAX_LISTED)
		sutra_hint(err, "sutra %s lists them", strcmp(kind, "KEY") ? "help" : "config");
	else
		sutra_hint(err, "%s%s", v.names.n ? "there are " : "there is none", sutra_buf_str(&all));
	sutra_buf_release(&all);
	values_release(&v);
	return err->code;
}

int values_unknown(const char *kind, const char *what, const char *word)
{
	struct sutra_err err;

	values_missing(kind, what, word, &err);
	return command_fail(&err);
}

void values_release(struct values *v)
{
	sutra_strv_release(&v->names);
	sutra_strv_release(&v->helps);
}
