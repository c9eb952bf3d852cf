#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "stack/modelstore.h"
#include "sutra/command.h"
#include "sutra/stackio.h"

static bool yes;

static const struct sutra_option rows[] = {
	{ 'y', "yes", SUTRA_OPT_FLAG, &yes, NULL, "answer every question with yes", 0, 0, NULL },
	{ 0 },
};

static const struct sutra_option *options(void) { return rows; }

static void say(const char *line)
{
	if (!common.quiet)
		fprintf(stderr, "  %s\n", line);
}

static int fetch(const char *name)
{
	struct sutra_err err;
	char *folder;
	int rc = sutra_model_fetch(name, say, &err);

	rc = rc ? rc : sutra_model_find(NULL, name, &folder, &err);
	if (rc)
		return command_fail(&err);
	puts(folder);
	sutra_free(folder);
	return EXIT_YES;
}

static int path(const char *name)
{
	struct sutra_err err;
	char *folder;

	if (sutra_model_find(getenv("MODEL_PATH"), name, &folder, &err))
		return command_fail(&err);
	puts(folder);
	sutra_free(folder);
	return EXIT_YES;
}

static int verify(const char *name)
{
	const struct sutra_known_model *m = sutra_model_known(name);
	struct sutra_err err;
	char *folder;
	int rc;

	if (!m)
		return command_usage("the model \"%s\" is not known, so there is nothing to verify it against", name);
	rc = sutra_model_find(NULL, name, &folder, &err);
	if (rc)
		return command_fail(&err);
	rc = sutra_model_verify(m, folder, &err);
	if (!rc)
		printf("%s: every file has its recorded SHA-256\n", m->name);
	sutra_free(folder);
	return rc ? command_fail(&err) : EXIT_YES;
}

static int list(void)
{
	json_t *models = json_array();

	if (!common.json)
		printf("%-20s %-9s %-10s %-10s %s\n", "MODEL", "WIDTH", "STATE", "MATRYOSHKA", "HUB NAME");
	for (const struct sutra_known_model *m = sutra_known_models; m->name; m++) {
		char *folder = NULL;
		bool here = !sutra_model_find(NULL, m->name, &folder, NULL);

		if (!common.json)
			printf("%-20s %-9d %-10s %-10s %s\n", m->name, m->dimension, here ? "here" : "not here",
			       m->matryoshka_trained ? "trained" : "untrained", m->alias);
		json_array_append_new(models, json_pack("{s:s, s:s, s:i, s:b, s:b, s:s?}", "name", m->name, "hub",
							m->alias, "dimension", m->dimension, "here", here,
							"matryoshka_trained", m->matryoshka_trained, "folder",
							folder));
		sutra_free(folder);
	}
	if (common.json)
		print_document(json_pack("{s:s, s:O}", "schema", "sutra.models/1", "models", models));
	json_decref(models);
	return EXIT_YES;
}

static int run(int n, char **argv)
{
	const char *name = n > 1 ? argv[2] : "all-minilm-l6-v2";

	if (!n || n > 2)
		return command_usage("say fetch, list, verify or path, and perhaps a model");
	if (!strcmp(argv[1], "fetch"))
		return fetch(name);
	if (!strcmp(argv[1], "verify"))
		return verify(name);
	if (!strcmp(argv[1], "path"))
		return path(name);
	if (!strcmp(argv[1], "list") && n == 1)
		return list();
	return command_usage("\"%s\" is not fetch, list, verify or path", argv[1]);
}

const struct command cmd_model = {
	.name = "model",
	.summary = "fetch, list, verify models, or say where one is",
	.synopsis = "fetch [NAME] | list | verify [NAME] | path [NAME]",
	.examples = "sutra model fetch\tget the default model, all-minilm-l6-v2\n"
		    "sutra model verify\thash every file again\n",
	.options = options,
	.run = run,
};
