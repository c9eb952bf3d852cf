#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "check/check.h"
#include "check/compare.h"
#include "check/replay.h"
#include "check/report.h"
#include "stack/await.h"
#include "stack/deployment.h"
#include "stack/facts.h"
#include "stack/lock.h"
#include "sutra/command.h"
#include "sutra/gateway.h"
#include "sutra/health.h"
#include "sutra/scratch.h"
#include "sutra/values.h"
#include "term/progress.h"
#include "term/table.h"

static const uint64_t PROBE_NS = 2000000000;
/* Look-ups in the shard: the default where time is measured; where only what is kept counts, a
 * busy machine must not turn a hit into a miss. */
enum { SHARD_MS = 50, PATIENT_SHARD_MS = 2000 };

enum { MAX_GUARDED = 8, MAX_PHASES = 3, MAX_SUITES = 8, MAX_REPORT = 16 << 20 };

static const char *phases = "0,1,2", *url_flag;
static uint64_t timeout_ns = 600000000000u;
static bool compare;

static const struct sutra_option rows[] = {
	{ 0, "phases", SUTRA_OPT_STRING, &phases, "LIST", "which phases: 0, 1, 2 (0,1,2)", 0, 0, NULL },
	{ 0, "url", SUTRA_OPT_STRING, &url_flag, "URL", "another gateway; what would restart it is skipped", 0, 0,
	  NULL },
	{ 0, "compare", SUTRA_OPT_FLAG, &compare, NULL, "measure one workload with and without each phase", 0, 0,
	  NULL },
	{ 0, "timeout", SUTRA_OPT_DURATION, &timeout_ns, "TIME", "limit of the whole run (10m; none)", 0, 0, NULL },
	{ 0 },
};

static const struct sutra_option *options(void) { return rows; }

static const struct sutra_option named_rows[] = {
	{ 0, "url", SUTRA_OPT_STRING, &url_flag, "URL", "another gateway; what would restart it is skipped", 0, 0,
	  NULL },
	{ 0, "timeout", SUTRA_OPT_DURATION, &timeout_ns, "TIME", "limit of the whole run (10m; none)", 0, 0, NULL },
	{ 0 },
};

static const struct sutra_option *named_options(void) { return named_rows; }

/* What the checks work with, beside the library's environment. */
struct context {
	struct sutra_deployment *d;	/* NULL with --url */
	char *state_dir;
	char *gateway, *front;
	const char *csv;
	char **replicas;		/* base URLs */
	const char **replica_names;
	const char *names[4];		/* by enum sutra_check_role */
	struct sutra_check_service *services;	/* beside d->services */
	struct sutra_probe *probes;
	pid_t killed;
	char handle[80];		/* of the stand-in (runtime.h) */
	const char *guarded[MAX_GUARDED];
	size_t n_guarded;
	struct scratch scratch;
	struct sutra_progress progress;
};

static int restart(void *user, const char *service, uint64_t limit_ns, struct sutra_err *err)
{
	struct context *c = user;

	return sutra_deployment_restart(c->d, service, limit_ns, err);
}

/* A child that outlives this command however it ends and then lets a stopped service go on. */
static void guard(struct context *c, const char *service)
{
	int ends[2];

	for (size_t i = 0; i < c->n_guarded; i++)
		if (!strcmp(c->guarded[i], service))
			return;
	if (c->n_guarded == MAX_GUARDED || pipe(ends))
		return;
	c->guarded[c->n_guarded++] = service;
	if (!fork()) {
		signal(SIGINT, SIG_IGN);
		signal(SIGTERM, SIG_IGN);
		close(ends[1]);
		if (read(ends[0], ends, 1) >= 0)	/* the end of the command */
			sutra_deployment_kill(c->d, service, SIGCONT, NULL);
		_exit(0);
	}
	close(ends[0]);	/* the other end closes with the process */
	fcntl(ends[1], F_SETFD, FD_CLOEXEC);
}

static int kill_service(void *user, const char *service, int sig, struct sutra_err *err)
{
	struct context *c = user;
	const struct sutra_deployed *s = sutra_deployment_find(c->d, service);
	int rc;

	if (sig == SIGSTOP)
		guard(c, service);
	rc = sutra_deployment_kill(c->d, service, sig, err);

	c->killed = s ? s->pid : 0;
	return rc;
}

static int stand_in(void *user, const char *service, bool on, struct sutra_err *err)
{
	struct context *c = user;
	const struct sutra_deployed *s = sutra_deployment_find(c->d, service);

	c->killed = s->pid;
	return on ? c->d->rt->stand_in(c->d->state_dir, service, s->asked_address, c->handle, err) :
		    c->d->rt->stand_down(c->d->state_dir, service, c->handle, err);
}

/* The supervisor first has to see that the process is gone: until another one runs. */
static int wait_healthy(void *user, const char *service, uint64_t limit_ns, struct sutra_err *err)
{
	struct context *c = user;
	uint64_t until = sutra_clock_ns() + limit_ns;
	const struct sutra_deployed *s = sutra_deployment_find(c->d, service);
	struct sutra_awaited a = { .name = service, .program = s->program, .health_url = s->asked_health };

	for (;;) {
		sutra_deployment_refresh(c->d);
		a.restarts = s->restarts;	/* the kill itself is no sign of a start that failed */
		if (s->pid && s->pid != c->killed)
			return sutra_await(c->d->rt, c->d->state_dir, &a, 1, limit_ns, NULL, NULL, err);
		if (sutra_clock_ns() >= until)
			return sutra_fail(err, SUTRA_E_TIMEOUT, "%s was not started again", service);
		nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
	}
}

static void log_tail(void *user, const char *service, unsigned lines, struct sutra_buf *out)
{
	struct context *c = user;
	char *text = c->d->rt->log_tail(c->d->state_dir, service, (int)lines);

	sutra_buf_adds(out, text);
	sutra_free(text);
}

static void progress(void *user, const char *what, const char *detail)
{
	struct context *c = user;

	sutra_progress_state(&c->progress, what, detail);
}

static int probe_all(void *user, const struct sutra_probe **ret, struct sutra_err *err)
{
	struct context *c = user;

	sutra_deployment_refresh(c->d);
	*ret = c->probes;
	return health_probe(c->d, PROBE_NS, c->probes, err);
}

static json_t *facts(void *user, size_t service)
{
	struct context *c = user;

	return sutra_facts_of(c->d, &c->d->services[service]);
}

static json_t *files(void *user) { return sutra_facts_files(((struct context *)user)->d); }

static const char *first_of_program(const struct sutra_deployment *d, const char *program)
{
	for (size_t i = 0; i < d->n; i++)
		if (!strcmp(d->services[i].program, program))
			return d->services[i].name;
	return NULL;
}

/* Behind a balancer the first gateway, at its own address; else what is published. */
static char *one_gateway(const struct sutra_deployment *d, const char *name, const char *front)
{
	const struct sutra_deployed *s = name ? sutra_deployment_find(d, name) : NULL;

	return s && !s->published ? xasprintf("http://%s", s->address) : xstrdup(front);
}

/* Where a service's statistics are; NULL: it is no balancer. */
static const char *stats_url(const struct sutra_deployment *d, const char *service)
{
	for (size_t i = 0; i < d->n_balancers; i++)
		if (!strcmp(d->balancers[i].service, service))
			return d->balancers[i].csv;
	return NULL;
}

/* Metrics are beside the health page, a balancer's beside its statistics. Nobody can be asked
 * who does not run. */
static char *metrics_url(const struct sutra_deployment *d, const struct sutra_deployed *s)
{
	const char *stats = stats_url(d, s->name), *beside = stats ? stats : s->health_url;
	const char *slash = beside && s->pid ? strrchr(beside, '/') : NULL;

	return slash ? xasprintf("%.*s/metrics", (int)(slash - beside), beside) : NULL;
}

static void find_services(struct context *c)
{
	const struct sutra_deployed *front = gateway_service(c->d);
	size_t n = 0;

	c->services = xcalloc(c->d->n + 1, sizeof(*c->services));
	c->probes = xcalloc(c->d->n + 1, sizeof(*c->probes));
	for (size_t i = 0; i < c->d->n; i++) {
		const struct sutra_deployed *s = &c->d->services[i];

		c->services[i] = (struct sutra_check_service){ s->name, s->program, metrics_url(c->d, s),
							       stats_url(c->d, s->name), s->published,
							       s->memory_limit };
	}
	c->replicas = xcalloc(c->d->n + 1, sizeof(*c->replicas));
	c->replica_names = xcalloc(c->d->n + 1, sizeof(*c->replica_names));
	for (size_t i = 0; i < c->d->n; i++) {
		const struct sutra_deployed *s = &c->d->services[i];

		if (strcmp(s->program, "sutra-ml-base") != 0)
			continue;
		c->replica_names[n] = s->name;
		c->replicas[n++] = xasprintf("http://%s", s->address);
	}
	if (front)
		c->front = xasprintf("http://%s", front->published ? front->published : front->address);
	c->csv = sutra_deployment_csv(c->d, "ml-base");
	c->names[SUTRA_LOGS_GATEWAY] = first_of_program(c->d, "sutra-embedding");
	if (front)
		c->gateway = one_gateway(c->d, c->names[SUTRA_LOGS_GATEWAY], c->front);
	c->names[SUTRA_LOGS_REPLICA] = first_of_program(c->d, "sutra-ml-base");
	c->names[SUTRA_LOGS_SHARD] = sutra_deployment_find(c->d, "storage-cache-shard") ?
					     "storage-cache-shard" : NULL;
	c->names[SUTRA_LOGS_BALANCER] = sutra_deployment_find(c->d, "ml-base-lb") ? "ml-base-lb" : NULL;
}

static int open_context(struct context *c, struct sutra_err *err)
{
	int rc;

	if (url_flag) {
		int failed = gateway_url(url_flag, &c->gateway, err);

		c->front = failed ? NULL : xstrdup(c->gateway);
		return failed;
	}
	c->state_dir = sutra_state_dir();
	rc = sutra_deployment_load(c->state_dir, &c->d, err);
	if (rc) {
		if (rc == SUTRA_E_NOTFOUND)
			err->code = SUTRA_E_UNAVAILABLE;
		return rc;
	}
	find_services(c);
	return c->front ? 0 : sutra_fail(err, SUTRA_E_UNAVAILABLE, "no embedding gateway is deployed");
}

static void close_context(struct context *c)
{
	for (size_t i = 0; c->replicas && c->replicas[i]; i++)
		sutra_free(c->replicas[i]);
	sutra_free(c->replicas);
	sutra_free(c->replica_names);
	for (size_t i = 0; c->services && i < c->d->n; i++)
		sutra_free((char *)(uintptr_t)c->services[i].metrics);
	sutra_free(c->services);
	sutra_free(c->probes);
	sutra_free(c->gateway);
	sutra_free(c->front);
	sutra_deployment_free(c->d);
	sutra_free(c->state_dir);
}

static int start_scratch(void *user, const char *ml_base, char *ret_base, size_t size,
			 struct sutra_err *err)
{
	struct context *c = user;
	const struct sutra_deployed *shard = sutra_deployment_find(c->d, "storage-cache-shard");

	return scratch_start(&c->scratch, ml_base, shard->address, c->d->dimension, SHARD_MS, ret_base, size, err);
}

static void stop_scratch(void *user) { scratch_stop(&((struct context *)user)->scratch); }

static int start_spare(void *user, char *ret_base, size_t size, struct sutra_err *err)
{
	struct context *c = user;
	const struct sutra_deployed *balancer = sutra_deployment_find(c->d, "ml-base-lb");
	const struct sutra_deployed *shard = sutra_deployment_find(c->d, "storage-cache-shard");
	char *models = xasprintf("%s%s", balancer ? "http://" : "", balancer ? balancer->address : c->replicas[0]);
	int rc = shard ? scratch_start(&c->scratch, models, shard->address, c->d->dimension, PATIENT_SHARD_MS, ret_base,
				       size, err) :
			 sutra_fail(err, SUTRA_E_UNAVAILABLE, "no cache shard is deployed");

	sutra_free(models);
	return rc;
}

static void fill_env(struct context *c, struct sutra_check_env *env)
{
	uint64_t now = sutra_clock_ns();

	*env = (struct sutra_check_env){
		.gateway = c->gateway,
		.front = c->front,
		.deadline_ns = timeout_ns < UINT64_MAX - now ? now + timeout_ns : UINT64_MAX,
		.user = c,
		.progress = progress,
	};
	if (!c->d)
		return;
	env->replicas = (const char *const *)c->replicas;
	env->replica_names = c->replica_names;
	env->haproxy_csv = c->csv;
	env->names = c->names;
	env->dimension = c->d->dimension;
	env->restart = restart;
	env->kill = kill_service;
	env->wait = wait_healthy;
	env->stand_in = stand_in;
	env->log_tail = log_tail;
	env->services = c->services;
	env->n_services = c->d->n;
	env->probe = probe_all;
	env->facts = facts;
	env->files = files;
	env->spare = start_spare;
	env->spare_end = stop_scratch;
}

static void print_report(const struct sutra_outcome *o, struct sutra_suite *const *suites, size_t n)
{
	struct sutra_report_style style = { "", "", "", "", "", "", 0, true };
	struct sutra_term term;
	struct sutra_buf b;

	sutra_buf_init(&b, MAX_REPORT);
	sutra_term_init(&term, stdout, common.color);
	style.width = sutra_term_columns(&term);
	style.ok = sutra_term_on(&term, SUTRA_ROLE_OK);
	style.bad = sutra_term_on(&term, SUTRA_ROLE_BAD);
	style.warn = sutra_term_on(&term, SUTRA_ROLE_WARN);
	style.dim = sutra_term_on(&term, SUTRA_ROLE_DIM);
	style.head = sutra_term_on(&term, SUTRA_ROLE_HEAD);
	style.off = sutra_term_off(&term, SUTRA_ROLE_HEAD);
	if (common.json)
		sutra_report_json(o, &b);
	else if (!strcmp(common.output, "junit"))
		sutra_report_junit(o, &b);
	else if (!strcmp(common.output, "tap"))
		sutra_report_tap(o, &b);
	else if (!strcmp(common.output, "prom"))
		sutra_report_prom(o, &b);
	else if (!common.quiet)
		sutra_report_text(o, suites, n, &style, &b);
	fwrite(sutra_buf_str(&b), 1, b.len, stdout);
	sutra_buf_release(&b);
}

/* Reads the suite of an x-allocated path behind the others; an exit code. */
static int add_suite(char *path, struct sutra_suite **suites, size_t *ret_n)
{
	struct sutra_err err;
	int rc = sutra_suite_read(path, &suites[*ret_n], &err);

	sutra_free(path);
	if (rc) {
		command_fail(&err);
		return EXIT_USAGE;
	}
	++*ret_n;
	return 0;
}

/* Reads validate/phase-N.json for every N of the list; an exit code, 0 when all are there. */
static int load_suites(struct sutra_suite **suites, size_t *ret_n)
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
			code = add_suite(xasprintf("%s/validate/phase-%s.json", dir, p), suites, ret_n);
	}
	sutra_strv_release(&list);
	sutra_free(dir);
	return code;
}

/* Reads validate/NAME.json for every operand. */
static int load_named(int n, char **argv, struct sutra_suite **suites, size_t *ret_n)
{
	char *dir = sutra_data_dir();
	int code = n ? 0 : command_usage("which suite? sutra validate checklist, smoke or failover");

	if (!dir && !code)
		code = command_usage("the folder with validate/ is not found; SUTRA_DATA_DIR names it");
	if (n > MAX_SUITES)
		code = command_usage("at most %d suites at once", MAX_SUITES);
	for (int i = 1; i <= n && !code; i++) {
		bool is_path = strchr(argv[i], '/') != NULL;
		char *path = is_path ? xstrdup(argv[i]) : xasprintf("%s/validate/%s.json", dir, argv[i]);

		if (is_path || sutra_is_file(path)) {
			code = add_suite(path, suites, ret_n);
		} else {
			sutra_free(path);
			code = values_unknown("SUITE", "suite", argv[i]);
		}
	}
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

/* The workload of phase 1, measured on the four set-ups. */
static int run_compare(struct context *c, const struct sutra_check_env *env, struct sutra_suite *const *suites,
		       size_t n, struct sutra_err *err)
{
	static const struct sutra_compare_actions actions = { start_scratch, stop_scratch };
	const struct sutra_check *workload = NULL;
	struct sutra_workload_spec spec;
	struct sutra_compare m;
	struct sutra_buf b;
	int rc;

	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < suites[i]->n; k++)
			if (!strcmp(suites[i]->checks[k].kind->name, "workload"))
				workload = &suites[i]->checks[k];
	if (!workload)
		return sutra_fail(err, SUTRA_E_USAGE, "--compare replays phase 1's workload: --phases must name 1");
	spec = sutra_workload_of(workload);
	rc = sutra_compare_run(env, &actions, &spec, (unsigned)sutra_check_parameter(workload, "parallel"), &m,
			       err);
	sutra_progress_clear(&c->progress);
	if (rc)
		return rc;
	if (common.json) {
		sutra_buf_init(&b, MAX_REPORT);
		sutra_compare_json(&m, &b);
		fwrite(sutra_buf_str(&b), 1, b.len, stdout);
		sutra_buf_release(&b);
	} else {
		print_comparison(&m);
	}
	return 0;
}

/* Ctrl-C takes the run's time away: faults are undone, and what was found is printed. */
static struct sutra_check_env *running;
static volatile sig_atomic_t stopped;

static void on_signal(int sig)
{
	if (stopped)
		_exit(128 + sig);
	stopped = sig;
	running->deadline_ns = 1;
}

static void catch_signals(struct sutra_check_env *env)
{
	struct sigaction action = { .sa_handler = on_signal };

	running = env;
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

static int validate(struct sutra_suite *const *suites, size_t n, struct context *c, struct sutra_err *err)
{
	static struct sutra_check_env env;
	struct sutra_outcome *o = NULL;
	int lock = -1, rc = 0, code;

	/* The checks restart services: nobody else may change the stack meanwhile. */
	if (c->d)
		rc = sutra_lock_take(c->state_dir, "validate-scaling", 1, NULL, &lock, err);
	fill_env(c, &env);
	catch_signals(&env);
	if (!rc && compare)
		rc = run_compare(c, &env, suites, n, err);
	else if (!rc)
		rc = sutra_check_run_all(suites, n, &env, &o, err);
	sutra_progress_clear(&c->progress);
	if (lock >= 0)
		sutra_lock_release(c->state_dir, lock);
	if (rc || !o)
		return stopped ? 128 + stopped : rc ? command_fail(err) : EXIT_YES;
	print_report(o, suites, n);
	code = stopped ? 128 + stopped : sutra_outcome_exit(o);
	sutra_outcome_free(o);
	return code;
}

/* Runs the suites and frees them. */
static int run_suites(struct sutra_suite **suites, size_t n)
{
	struct context c = { 0 };
	struct sutra_err err;
	int code;

	sutra_progress_init(&c.progress, common.color, common.quiet);
	code = open_context(&c, &err) ? command_fail(&err) : validate(suites, n, &c, &err);
	close_context(&c);
	return code;
}

static int run(int n, char **argv)
{
	struct sutra_suite *suites[MAX_SUITES] = { 0 };
	size_t n_suites = 0;
	int code;

	if (n)
		return command_usage("validate-scaling takes no operand, got \"%s\"", argv[1]);
	code = compare ? command_formats("table|json") : 0;
	if (!code && compare && url_flag)
		code = command_usage("--compare needs the deployed stack, not --url");
	code = code ? code : load_suites(suites, &n_suites);
	code = code ? code : run_suites(suites, n_suites);
	for (size_t i = 0; i < n_suites; i++)
		sutra_suite_free(suites[i]);
	return code;
}

static int run_named(int n, char **argv)
{
	struct sutra_suite *suites[MAX_SUITES] = { 0 };
	size_t n_suites = 0;
	int code = load_named(n, argv, suites, &n_suites);

	code = code ? code : run_suites(suites, n_suites);
	for (size_t i = 0; i < n_suites; i++)
		sutra_suite_free(suites[i]);
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
	.options = options,
	.formats = "table|json|junit|tap|prom",
	.run = run,
};

const struct command cmd_validate = {
	.name = "validate",
	.summary = "run suites of checks: checklist, smoke, failover, or a file of your own",
	.synopsis = "SUITE ... [--url URL] [--timeout TIME] [-o FORMAT]",
	.examples = "sutra validate checklist\tready for production? harms nothing\n"
		    "sutra validate smoke\tthe embedding endpoints, in a few seconds\n"
		    "sutra validate failover\tfaults under load; no request may fail\n"
		    "sutra validate ./my-suite.json -o junit\ta suite of your own\n",
	.options = named_options,
	.formats = "table|json|junit|tap|prom",
	.run = run_named,
};
