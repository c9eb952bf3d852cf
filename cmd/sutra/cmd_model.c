#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/jsonio.h"
#include "base/setting.h"
#include "base/shown.h"
#include "hub/modelstore.h"
#include "sutra/command.h"
#include "sutra/modelbar.h"
#include "sutra/modelquality.h"
#include "sutra/stackio.h"

static bool again;
static const char *dims, *pairs;
static uint64_t timeout_ns = 600000000000u;

static const struct sutra_option rows[] = {
	{ 0, "again", SUTRA_OPT_FLAG, &again, NULL, "fetch it even when it is here", 0, 0, NULL },
	{ 0, "dims", SUTRA_OPT_STRING, &dims, "LIST", "quality: at these dimensions, with commas (all)", 0, 0, NULL },
	{ 0, "pairs", SUTRA_OPT_STRING, &pairs, "FILE", "quality: on these graded pairs (the installed ones)", 0, 0,
	  NULL },
	{ 0, "timeout", SUTRA_OPT_DURATION, &timeout_ns, "TIME", "quality: limit of the measuring (10m)", 0, 0, NULL },
	{ 0 },
};

/* One model as a document: where it is, and what was checked. */
static int print_folder(const char *schema, const char *name, char *folder, int64_t files)
{
	json_t *o;

	if (!common.json) {
		puts(folder);
	} else {
		o = json_pack("{s:s, s:s, s:s}", "schema", schema, "name", name, "folder", folder);
		if (files >= 0)
			json_object_set_new(o, "files_verified", json_integer(files));
		print_document(o);
	}
	sutra_free(folder);
	return EXIT_YES;
}

static int fetch(const char *name)
{
	struct sutra_err err;
	char *folder;
	int rc = sutra_model_fetch(name, again, modelbar_step, &err);

	modelbar_end();
	rc = rc ? rc : sutra_model_find(NULL, name, &folder, &err);
	return rc ? command_fail(&err) : print_folder("sutra.model/1", name, folder, -1);
}

static int path(const char *name)
{
	struct sutra_err err;
	char *folder;

	if (sutra_model_find(sutra_setting_env("MODEL_PATH"), name, &folder, &err))
		return command_fail(&err);
	return print_folder("sutra.model/1", name, folder, -1);
}

static int quality(const char *name)
{
	struct sutra_err err;
	char *folder;
	int code;

	if (sutra_model_find(sutra_setting_env("MODEL_PATH"), name, &folder, &err))
		return command_fail(&err);
	code = model_quality(folder, dims, pairs, timeout_ns);
	sutra_free(folder);
	return code;
}

static int verify(const char *name)
{
	struct sutra_err err;
	size_t files = 0;
	char *folder;
	int rc = sutra_model_find(NULL, name, &folder, &err);

	if (rc)
		return command_fail(&err);
	modelbar_step("hashing every file", 0, 0);
	rc = sutra_model_verify(name, folder, &files, &err);
	modelbar_end();
	if (rc) {
		sutra_free(folder);
		return command_fail(&err);
	}
	if (common.json)
		return print_folder("sutra.model/1", name, folder, (int64_t)files);
	sutra_shown_printf(stdout, "%s: %zu files have their recorded SHA-256\n", name, files);
	sutra_free(folder);
	return EXIT_YES;
}

static uint64_t weights_bytes(const char *folder)
{
	char *path = xasprintf("%s/model.safetensors", folder);
	struct stat st;
	uint64_t size = stat(path, &st) ? 0 : (uint64_t)st.st_size;

	sutra_free(path);
	return size;
}

static void list_one(const char *name, json_t *models)
{
	const struct sutra_known_model *m = sutra_model_known(name);
	enum sutra_model_state state = sutra_model_state(name);
	char *folder = sutra_model_store_folder(name), size[32] = "-";
	const char *hub = m ? m->alias : strchr(name, '/') ? name : NULL;
	const char *trained = !m ? "unknown" : m->matryoshka_trained ? "trained" : "untrained";
	bool here = state >= SUTRA_MODEL_CHANGED;
	int64_t width = m ? m->dimension : 0;
	uint64_t bytes = here ? weights_bytes(folder) : 0;

	if (here)
		sutra_model_width(folder, &width, NULL);
	if (bytes)
		sutra_str_bytes(bytes, size, sizeof(size));
	if (!common.json)
		sutra_shown_printf(stdout, "%-36s %9lld %-10s %10s  %s\n", name, (long long)width, sutra_model_state_name(state), size,
		       trained);
	json_array_append_new(models, json_pack("{s:o, s:o, s:I, s:s, s:b, s:I, s:s, s:o}", "name",
						sutra_json_text(name), "hub", hub ? sutra_json_text(hub) : json_null(), "dimension",
						(json_int_t)width, "state", sutra_model_state_name(state), "here",
						here, "weights_bytes", (json_int_t)bytes, "matryoshka", trained,
						"folder", sutra_json_text(folder)));
	sutra_free(folder);
}

static int list(void)
{
	struct sutra_strv names = { 0 };
	json_t *models = json_array();

	if (!common.json)
		printf("%-36s %9s %-10s %10s  %s\n", "MODEL", "DIMENSION", "STATE", "WEIGHTS", "MATRYOSHKA");
	for (const struct sutra_known_model *m = sutra_known_models; m->name; m++)
		list_one(m->name, models);
	sutra_model_names(&names);
	for (size_t i = 0; i < names.n; i++)
		if (!sutra_model_known(names.items[i]))
			list_one(names.items[i], models);
	if (common.json)
		print_document(json_pack("{s:s, s:O}", "schema", "sutra.models/1", "models", models));
	json_decref(models);
	sutra_strv_release(&names);
	return EXIT_YES;
}

static int run(int n, char **argv)
{
	const char *chosen = sutra_setting_env("SUTRA_MODEL"), *name = sutra_known_models[0].name;

	if (!n || n > 2)
		return command_usage("say fetch, list, verify, path or quality, and perhaps a model");
	if (chosen)
		name = chosen;
	if (n > 1)
		name = argv[2];
	if (!strcmp(argv[1], "fetch"))
		return fetch(name);
	if (!strcmp(argv[1], "verify"))
		return verify(name);
	if (!strcmp(argv[1], "path"))
		return path(name);
	if (!strcmp(argv[1], "quality"))
		return quality(name);
	if (!strcmp(argv[1], "list") && n == 1)
		return list();
	return command_usage("\"%s\" is not fetch [MODEL], list, verify [MODEL], path [MODEL] or quality [MODEL]",
			     argv[1]);
}

const struct command cmd_model = {
	.name = "model",
	.summary = "fetch, list, verify, measure models, or say where one is",
	.synopsis = "fetch [--again] [MODEL] | list | verify [MODEL] | path [MODEL] | quality [--dims LIST] "
		    "[--pairs FILE] [--timeout TIME] [MODEL]",
	.examples = "sutra model fetch\tget the default model, all-minilm-l6-v2\n"
		    "sutra model fetch OWNER/NAME\tget one of the Hugging Face hub\n"
		    "sutra model verify\thash every file again\n"
		    "sutra model quality --dims 64,128,256,384\twhat a smaller dimension costs\n",
	.options = rows,
	.formats = "table|json",
	.operands = true,
	.run = run,
};
