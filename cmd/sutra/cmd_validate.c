#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "sutra/command.h"
#include "sutra/validate/validate_run.h"
#include "sutra/values.h"

static const char *url;
static uint64_t timeout_ns = 600000000000u;

static const struct sutra_option rows[] = {
	{ 0, "url", SUTRA_OPT_STRING, &url, "URL", "another gateway; what would restart it is skipped", 0, 0, NULL },
	{ 0, "timeout", SUTRA_OPT_DURATION, &timeout_ns, "TIME", "limit of the whole run (10m; none)", 0, 0, NULL },
	{ 0 },
};

/* Reads validate/NAME.json for every operand. */
static int load(int n, char **argv, struct validate_suites *suites)
{
	char *dir = sutra_data_dir();
	int code = n ? 0 : command_usage("which suite? sutra validate checklist, smoke or failover");

	if (!dir && !code)
		code = command_usage("the folder with validate/ is not found; SUTRA_DATA_DIR names it");
	if (n > VALIDATE_SUITES)
		code = command_usage("at most %d suites at once", VALIDATE_SUITES);
	for (int i = 1; i <= n && !code; i++) {
		bool is_path = strchr(argv[i], '/') != NULL;
		char *path = is_path ? xstrdup(argv[i]) : xasprintf("%s/validate/%s.json", dir, argv[i]);

		if (is_path || sutra_is_file(path)) {
			code = validate_add(suites, path);
		} else {
			sutra_free(path);
			code = values_unknown("SUITE", "suite", argv[i]);
		}
	}
	sutra_free(dir);
	return code;
}

static int run(int n, char **argv)
{
	struct validate_suites suites = { 0 };
	int code = load(n, argv, &suites);

	code = code ? code : validate_run(&suites, url, timeout_ns, NULL);
	validate_release(&suites);
	return code;
}

const struct command cmd_validate = {
	.name = "validate",
	.summary = "run suites of checks: checklist, smoke, failover, or a file of your own",
	.synopsis = "SUITE ... [--url URL] [--timeout TIME] [-o FORMAT]",
	.examples = "sutra validate checklist\tready for production? harms nothing\n"
		    "sutra validate smoke\tthe embedding endpoints, in a few seconds\n"
		    "sutra validate failover\tfaults under load; no request may fail\n"
		    "sutra validate ./my-suite.json -o junit\ta suite of your own\n",
	.options = rows,
	.formats = "table|json|junit|tap|prom",
	.operands = true,
	.run = run,
};
