#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/jsonio.h"
#include "base/proc.h"
#include "base/setting.h"
#include "base/shown.h"
#include "base/str.h"
#include "deploy/deployment.h"
#include "hub/modelstore.h"
#include "sutra/command.h"
#include "sutra/modelbar.h"
#include "sutra/stackio.h"
#include "term/progress.h"
#include "term/table.h"

enum { MAX_ANSWER = 1 << 20 };

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

/* Prints the folder of a model, or a document with it and the number of verified files (below 0: none). */
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

static double number(const json_t *row, const char *key)
{
	return json_number_value(json_object_get(row, key));
}

static const char *word(const json_t *row, const char *key)
{
	return json_string_value(json_object_get(row, key));
}

static void print_quality(const json_t *doc)
{
	static const struct sutra_column columns[] = {
		{ "PRECISION", false, 0 },   { "MRL", false, 0 },
		{ "DIMENSION", true, 0 },    { "SPEARMAN", true, 0 },
		{ "RETRIEVAL@10", true, 0 }, { "RETRIEVAL@1", true, 0 },
		{ "COSINE TO FP32", true, 0 }, { NULL, false, 0 },
	};
	struct sutra_table *t = sutra_table_new(columns);
	json_t *missing = json_object_get(doc, "not_available"), *row, *why;
	struct sutra_term term;
	const char *precision;
	size_t i;

	json_array_foreach (json_object_get(doc, "rows"), i, row) {
		sutra_table_cell(t, SUTRA_ROLE_PLAIN, word(row, "precision"));
		sutra_table_cell(t, SUTRA_ROLE_PLAIN, word(row, "mrl"));
		sutra_table_cellf(t, SUTRA_ROLE_PLAIN, "%.0f", number(row, "dimension"));
		sutra_table_cellf(t, SUTRA_ROLE_PLAIN, "%.4f", number(row, "spearman"));
		sutra_table_cellf(t, SUTRA_ROLE_PLAIN, "%.1f %%", 100 * number(row, "retrieval_at_10"));
		sutra_table_cellf(t, SUTRA_ROLE_PLAIN, "%.1f %%", 100 * number(row, "retrieval_at_1"));
		sutra_table_cellf(t, SUTRA_ROLE_PLAIN, "%.4f", number(row, "least_cosine"));
	}
	sutra_shown_printf(stdout, "%s: %.0f pairs, %.0f queries over %.0f texts\n\n", word(doc, "model"), number(doc, "pairs"),
	       number(doc, "queries"), number(doc, "pairs"));
	sutra_term_init(&term, stdout, common.color);
	sutra_table_print(t, &term, 0);
	json_object_foreach (missing, precision, why) {
		sutra_shown_printf(stdout, "%s is not measured: %s\n", precision, json_string_value(why));
	}
	sutra_table_free(t);
}

/* Fails with the line that the program printed, without its name. */
static int fail_with_output(const char *said, int status, struct sutra_err *err)
{
	static const char name[] = "sutra-ml-base: ";

	if (status > 128)
		return sutra_fail(err, SUTRA_E_INTERNAL, "sutra-ml-base ended by signal %d (%s)", status - 128,
				  strsignal(status - 128));
	if (sutra_str_starts(said, name))
		said += sizeof(name) - 1;
	return sutra_fail(err, status == EXIT_USAGE ? SUTRA_E_USAGE : SUTRA_E_IO, "%.*s",
			  (int)strcspn(said, "\n"), said);
}

static int run_quality(const char *folder, const char *file, struct sutra_buf *ret, struct sutra_err *err)
{
	char *dir = sutra_program_dir(), *program = xasprintf("%s/sutra-ml-base", dir);
	const char *argv[] = { program, "--quality", file, dims, NULL };
	int status, rc;

	setenv("MODEL_PATH", folder, 1);
	rc = sutra_proc_run(argv, ret, timeout_ns, &status, err);
	if (rc == SUTRA_E_TIMEOUT)
		sutra_hint(err, "--timeout TIME gives it longer");
	if (!rc && status)
		rc = fail_with_output(sutra_buf_str(ret), status, err);
	sutra_free(program);
	sutra_free(dir);
	return rc;
}

static char *bundled_pairs(void)
{
	char *data = sutra_data_dir(), *path = data ? xasprintf("%s/validate/quality/pairs.json", data) : NULL;

	sutra_free(data);
	return path;
}

/* Measures the model in folder with sutra-ml-base and prints a table or a document. */
static int measure_quality(const char *folder)
{
	char *file = pairs ? xstrdup(pairs) : bundled_pairs();
	struct sutra_progress progress;
	struct sutra_buf answer;
	struct sutra_err err;
	json_t *doc = NULL;
	int rc;

	if (!file)
		return command_usage("the folder with validate/ is not found; SUTRA_DATA_DIR names it");
	sutra_buf_init(&answer, MAX_ANSWER);
	sutra_progress_init(&progress, common.color, common.quiet);
	sutra_progress_busy(&progress, "measuring with fp32, then with each other precision");
	rc = run_quality(folder, file, &answer, &err);
	sutra_progress_clear(&progress);
	if (!rc)
		rc = sutra_json_parse(sutra_buf_str(&answer), answer.len, &doc, &err);
	if (!rc && common.json)
		print_document(json_incref(doc));
	else if (!rc)
		print_quality(doc);
	json_decref(doc);
	sutra_buf_release(&answer);
	sutra_free(file);
	return rc ? command_fail(&err) : EXIT_YES;
}

static int quality(const char *name)
{
	struct sutra_err err;
	char *folder;
	int code;

	if (sutra_model_find(sutra_setting_env("MODEL_PATH"), name, &folder, &err))
		return command_fail(&err);
	code = measure_quality(folder);
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
