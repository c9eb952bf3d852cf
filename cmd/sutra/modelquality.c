#include "sutra/modelquality.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/jsonio.h"
#include "base/proc.h"
#include "base/shown.h"
#include "base/str.h"
#include "deploy/deployment.h"
#include "sutra/command.h"
#include "sutra/stackio.h"
#include "term/progress.h"
#include "term/table.h"

enum { MAX_ANSWER = 1 << 20 };

static double number(const json_t *row, const char *key)
{
	return json_number_value(json_object_get(row, key));
}

static const char *word(const json_t *row, const char *key)
{
	return json_string_value(json_object_get(row, key));
}

static void print_table(const json_t *doc)
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

/* The program's one line of complaint, without its name. */
static int complain(const char *said, int status, struct sutra_err *err)
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

static int measure(const char *folder, const char *dims, const char *pairs, uint64_t timeout_ns,
		   struct sutra_buf *ret, struct sutra_err *err)
{
	char *dir = sutra_program_dir(), *program = xasprintf("%s/sutra-ml-base", dir);
	const char *argv[] = { program, "--quality", pairs, dims, NULL };
	int status, rc;

	setenv("MODEL_PATH", folder, 1);
	rc = sutra_proc_run(argv, ret, timeout_ns, &status, err);
	if (rc == SUTRA_E_TIMEOUT)
		sutra_hint(err, "--timeout TIME gives it longer");
	if (!rc && status)
		rc = complain(sutra_buf_str(ret), status, err);
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

int model_quality(const char *folder, const char *dims, const char *pairs, uint64_t timeout_ns)
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
	rc = measure(folder, dims, file, timeout_ns, &answer, &err);
	sutra_progress_clear(&progress);
	if (!rc)
		rc = sutra_json_parse(sutra_buf_str(&answer), answer.len, &doc, &err);
	if (!rc && common.json)
		print_document(json_incref(doc));
	else if (!rc)
		print_table(doc);
	json_decref(doc);
	sutra_buf_release(&answer);
	sutra_free(file);
	return rc ? command_fail(&err) : EXIT_YES;
}
