#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "report/compare.h"
#include "sutra/command.h"
#include "sutra/validate/validate_run.h"
#include "term/table.h"

enum { MAX_PHASES = 3, MAX_JSON = 1 << 20 };

static const char *phases = "0,1,2", *url;
static uint64_t timeout_ns = 600000000000u;
static bool compare;

static const struct sutra_option rows[] = {
	{ 0, "phases", SUTRA_OPT_STRING, &phases, "LIST", "which phases: 0, 1, 2 (0,1,2)", 0, 0, NULL },
	{ 0, "url", SUTRA_OPT_STRING, &url, "URL", "another gateway; what would restart it is skipped", 0, 0, NULL },
	{ 0, "compare", SUTRA_OPT_FLAG, &compare, NULL, "measure one workload with and without each phase", 0, 0,
	  NULL },
	{ 0, "timeout", SUTRA_OPT_DURATION, &timeout_ns, "TIME", "limit of the whole run (10m; none)", 0, 0, NULL },
	{ 0 },
};

/* Reads validate/phase-N.json for every N of the list. Returns an exit code. */
static int load(struct validate_suites *suites)
{
	char *dir = sutra_data_dir();
	struct sutra_strv list = { 0 };
	int code = 0;

	sutra_strv_split(&list, phases, ",");
	if (!dir)
		code = command_usage("the folder with validate/ is not found; SUTRA_DATA_DIR names it");
	else if (!list.n)
		code = command_usage("--phases names no phase");
	for (size_t i = 0; !code && i < list.n; i++) {
		const char *p = list.items[i];

		if (strlen(p) != 1 || *p < '0' || *p >= '0' + MAX_PHASES)
			code = command_usage("--phases is \"%s\"; allowed are 0, 1, 2, joined by commas", phases);
		for (size_t k = 0; !code && k < i; k++)
			if (!strcmp(list.items[k], p))
				code = command_usage("--phases names phase %s twice", p);
		if (!code)
			code = validate_add(suites, xasprintf("%s/validate/phase-%s.json", dir, p));
	}
	sutra_strv_release(&list);
	sutra_free(dir);
	return code;
}

static void print_comparison(const struct sutra_compare *m)
{
	static const struct sutra_column columns[] = {
		{ "METRIC", false, 0 },	  { "BASELINE", true, 0 },    { "PHASE 0", true, 0 },
		{ "PHASE 0+1", true, 0 }, { "PHASE 0+1+2", true, 0 }, { NULL, false, 0 },
	};
	struct sutra_table *t = sutra_table_new(columns);
	const struct sutra_compare_stage *s = m->stages;
	struct sutra_term term;
	struct sutra_buf b;

#define ROW(name, role, ...)                                                             \
	do {                                                                             \
		sutra_table_cell(t, role, name);                                         \
		for (size_t i = 0; i < SUTRA_COMPARE_STAGES; i++)                        \
			sutra_table_cellf(t, role, __VA_ARGS__);                         \
	} while (0)
	ROW("Throughput", SUTRA_ROLE_PLAIN, "%.0f/s", s[i].per_second);
	ROW("Improvement", SUTRA_ROLE_HEAD, "%.1f x", s[i].per_second / s[0].per_second);
	ROW("Avg latency", SUTRA_ROLE_PLAIN, "%.1f ms", s[i].mean_ms);
	ROW("P50 latency", SUTRA_ROLE_PLAIN, "%.1f ms", s[i].p50_ms);
	ROW("P95 latency", SUTRA_ROLE_PLAIN, "%.1f ms", s[i].p95_ms);
	ROW("Cache hit", SUTRA_ROLE_PLAIN, s[i].cached ? "%.1f %%" : "-", s[i].l1_percent + s[i].l2_percent);
	ROW("Storage/concept", SUTRA_ROLE_PLAIN, "%lld B", (long long)(4 * s[i].dimension));
	ROW("Reference says", SUTRA_ROLE_DIM, "%s", sutra_compare_reference(i));
#undef ROW
	sutra_term_init(&term, stdout, common.color);
	sutra_table_print(t, &term, 0);
	sutra_table_free(t);
	sutra_buf_init(&b, 8192);
	sutra_compare_notes(m, &b);
	printf("\n%s", sutra_buf_str(&b));
	sutra_buf_release(&b);
}

/* Measures the workload of phase 1 on the four configurations. */
static int run_compare(const struct validate_suites *suites, struct validate_env *v, struct sutra_err *err)
{
	const struct sutra_check *workload = NULL;
	struct sutra_workload_spec spec;
	struct sutra_compare m;
	struct sutra_buf b;
	int rc;

	for (size_t i = 0; i < suites->n; i++)
		for (size_t k = 0; k < suites->list[i]->n; k++)
			if (!strcmp(suites->list[i]->checks[k].kind->name, "workload"))
				workload = &suites->list[i]->checks[k];
	if (!workload)
		return sutra_fail(err, SUTRA_E_USAGE, "--compare replays phase 1's workload: --phases must name 1");
	spec = sutra_workload_of(workload);
	rc = sutra_compare_run(&v->check, &spec, (unsigned)sutra_check_param(workload, "parallel"), &m,
			       err);
	sutra_progress_clear(&v->progress);
	if (rc)
		return rc;
	if (common.json) {
		sutra_buf_init(&b, MAX_JSON);
		sutra_compare_json(&m, &b);
		fwrite(sutra_buf_str(&b), 1, b.len, stdout);
		sutra_buf_release(&b);
	} else {
		print_comparison(&m);
	}
	return 0;
}

static int run(int n, char **argv)
{
	struct validate_suites suites = { 0 };
	int code;

	code = compare ? command_formats("table|json") : 0;
	if (!code && compare && url)
		code = command_usage("--compare needs the deployed stack, not --url");
	code = code ? code : load(&suites);
	code = code ? code : validate_run(&suites, url, timeout_ns, compare ? run_compare : NULL);
	validate_release(&suites);
	return code;
}

const struct command cmd_validate_scaling = {
	.name = "validate-scaling",
	.summary = "prove the three scaling phases, with measured figures",
	.synopsis = "[--phases LIST] [--compare] [--url URL] [--timeout TIME] [-o FORMAT]",
	.examples = "sutra validate-scaling\tall three; empties the cache, kills one replica\n"
		    "sutra validate-scaling --phases 0,1\twithout the balancer\n"
		    "sutra validate-scaling --compare\tthe improvement table, measured\n"
		    "sutra validate-scaling -o junit >report.xml\tfor continuous integration\n",
	.options = rows,
	.formats = "table|json|junit|tap|prom",
	.run = run,
};
