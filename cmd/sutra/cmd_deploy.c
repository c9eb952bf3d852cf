#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/jsonio.h"
#include "base/proc.h"
#include "stack/credentials.h"
#include "stack/deploy.h"
#include "stack/deployment.h"
#include "stack/lock.h"
#include "stack/modelstore.h"
#include "stack/docker.h"
#include "stack/record.h"
#include "sutra/command.h"
#include "sutra/gateway.h"
#include "sutra/images.h"
#include "sutra/modelbar.h"
#include "sutra/stackio.h"

static bool yes, dry_run, plan_only;
static const char *runtime;
static uint64_t timeout_ns = 60000000000u, lock_wait_ns = 1;

static const struct sutra_option rows[] = {
	{ 'y', "yes", SUTRA_OPT_FLAG, &yes, NULL, "answer every question with yes", 0, 0, NULL },
	{ 0, "runtime", SUTRA_OPT_CHOICE, &runtime, "NAME", "what runs the services", 0, 0,
	  "auto|native|docker" },
	{ 0, "timeout", SUTRA_OPT_DURATION, &timeout_ns, "TIME", "longest wait for health (60s; none)", 0, 0,
	  NULL },
	{ 0, "lock-wait", SUTRA_OPT_DURATION, &lock_wait_ns, "TIME", "wait for another deploy to end", 0, 0,
	  NULL },
	{ 0, "plan", SUTRA_OPT_FLAG, &plan_only, NULL, "show what would change, touch nothing; exit 3 if anything would",
	  0, 0, NULL },
	{ 0, "dry-run", SUTRA_OPT_FLAG, &dry_run, NULL, "the same as --plan", 0, 0, NULL },
	{ 0 },
};

static const struct sutra_option *options(void) { return rows; }

static volatile int stopped;

static void on_signal(int sig)
{
	if (stopped)
		_exit(128 + sig);
	stopped = sig;
}

static void catch_signals(void)
{
	struct sigaction action = { .sa_handler = on_signal };

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

static void say_step(const struct sutra_step *s)
{
	if (common.quiet)
		return;
	fprintf(stderr, "  %-9s %s (%s%s%s%s%s)\n", sutra_action_name(s->action), s->name, s->cause,
		s->old_value || s->new_value ? ": " : "", s->old_value ? s->old_value : "",
		s->old_value && s->new_value ? " -> " : "", s->new_value ? s->new_value : "");
}

static void say_ready(const struct sutra_awaited *a)
{
	if (!common.quiet)
		fprintf(stderr, "  healthy   %s after %.1f s\n", a->name, a->took_s);
}

/* --runtime or SUTRA_RUNTIME; auto: what is deployed already, else an engine if one answers. */
static int choose_runtime(struct sutra_config *config, const char *state_dir, const struct sutra_runtime **ret,
			  struct sutra_err *err)
{
	const struct sutra_runtime *deployed = NULL;
	json_t *record = NULL;
	int rc = runtime ? sutra_config_set(config, "SUTRA_RUNTIME", runtime, SUTRA_FROM_FLAG, err) : 0;

	if (rc)
		return rc;
	if (!sutra_record_load(state_dir, &record, NULL))
		deployed = sutra_runtime_named(json_string_value(json_object_get(record, "runtime")));
	json_decref(record);
	*ret = sutra_runtime_named(sutra_config_get(config, "SUTRA_RUNTIME"));
	if (!*ret)
		*ret = deployed ? deployed : sutra_docker_answers() ? &sutra_docker : &sutra_native;
	if (!deployed || *ret == deployed)
		return (*ret)->check(err);
	sutra_fail(err, SUTRA_E_SETTING, "the stack runs on the runtime %s, not %s", deployed->name, (*ret)->name);
	return sutra_hint(err, "sutra down ends it first");
}

/* The desired stack; images that are missing are built, unless only a plan is wanted. */
static int make_desired(const struct sutra_runtime *rt, struct sutra_config *config, const char *data_dir,
			const char *state_dir, struct sutra_desired *ret, struct sutra_err *err)
{
	int rc = sutra_desired_make(rt, config, data_dir, state_dir, ret, err);

	if (rc || rt != &sutra_docker || plan_only || !sutra_docker_images(ret->units, ret->n, NULL))
		return rc;
	rc = build_images(data_dir, err);
	sutra_desired_release(ret);
	rc = rc ? rc : sutra_desired_make(rt, config, data_dir, state_dir, ret, err);
	return rc ? rc : sutra_docker_images(ret->units, ret->n, err);
}

/* The model's folder goes to the compose file as store and name; fetches it when it may. */
static int settle_model(struct sutra_config *config, struct sutra_err *err)
{
	const char *path = sutra_config_get(config, "MODEL_PATH"), *name = sutra_config_get(config, "SUTRA_MODEL");
	int64_t width, dimension = 0;
	char *folder = NULL, *slash;
	int rc = plan_only ? sutra_model_find(path, name, &folder, err) :
			     sutra_model_ensure(path, name, modelbar_step, &folder, err);

	modelbar_end();
	rc = rc ? rc : sutra_model_width(folder, &width, err);
	sutra_str_int(sutra_config_get(config, "MATRYOSHKA_DIM"), 1, 1 << 20, &dimension);
	rc = rc ? rc : sutra_model_check_dimension(width, dimension, err);
	if (!rc && (slash = realpath(folder, NULL))) {
		sutra_free(folder);
		folder = slash;
	}
	slash = folder ? strrchr(folder, '/') : NULL;
	if (!rc && slash && slash > folder) {
		*slash = '\0';
		rc = sutra_config_set(config, "SUTRA_MODEL_DIR", folder, SUTRA_FROM_RECORD, err);
		rc = rc ? rc : sutra_config_set(config, "SUTRA_MODEL", slash + 1, SUTRA_FROM_RECORD, err);
	}
	sutra_free(folder);
	return rc;
}

/* embedding-ha's statistics have credentials; made here, they are shown this once. */
static int settle_credentials(struct sutra_config *config, const char *state_dir, struct sutra_err *err)
{
	bool made;
	int rc;

	if (strcmp(sutra_config_get(config, "SUTRA_EDITION"), "enterprise") != 0)
		return 0;
	rc = sutra_credentials_settle(state_dir, config, plan_only, &made, err);
	if (!rc && made)
		fprintf(stderr,
			"note: the statistics at :%s/stats ask for user %s, password %s; shown this once, kept in "
			"%s/haproxy-stats.json\n",
			sutra_config_get(config, "SUTRA_PORT_8404"), sutra_config_get(config, "HAPROXY_STATS_USER"),
			sutra_config_get(config, "HAPROXY_STATS_PASSWORD"), state_dir);
	return rc;
}

static void print_plan_text(const struct sutra_plan *plan)
{
	for (size_t i = 0; i < plan->n; i++) {
		const struct sutra_step *s = &plan->steps[i];

		printf("%-8s %-22s %s", sutra_action_name(s->action), s->name, s->cause);
		if (s->field)
			printf(": %s -> %s", s->old_value ? s->old_value : "(unset)",
			       s->new_value ? s->new_value : "(unset)");
		putchar('\n');
	}
	printf("%zu of %zu services would change\n", plan->n_changes, plan->n);
}

static json_t *string_or_null(const char *s) { return s ? json_string(s) : json_null(); }

static int print_plan(const struct sutra_plan *plan)
{
	json_t *o, *steps;

	if (!common.json) {
		print_plan_text(plan);
		return plan->n_changes ? EXIT_QUALIFIED : EXIT_YES;
	}
	o = json_object();
	steps = json_array();
	for (size_t i = 0; i < plan->n; i++) {
		const struct sutra_step *s = &plan->steps[i];
		json_t *step = json_object();

		json_object_set_new(step, "service", json_string(s->name));
		json_object_set_new(step, "action", json_string(sutra_action_name(s->action)));
		json_object_set_new(step, "cause", json_string(s->cause));
		json_object_set_new(step, "field", string_or_null(s->field));
		json_object_set_new(step, "old", string_or_null(s->old_value));
		json_object_set_new(step, "new", string_or_null(s->new_value));
		json_array_append_new(steps, step);
	}
	json_object_set_new(o, "schema", json_string("sutra.plan/1"));
	json_object_set_new(o, "changes", json_integer((json_int_t)plan->n_changes));
	json_object_set_new(o, "steps", steps);
	print_document(o);
	return plan->n_changes ? EXIT_QUALIFIED : EXIT_YES;
}

/* All the evidence of a failed wait (OPERATORS: "failure comes with its evidence"). */
static void print_evidence(const struct sutra_runtime *rt, const char *state_dir, const struct sutra_awaited *a)
{
	char *tail;

	if (!a->name)
		return;
	tail = rt->log_tail(state_dir, a->name, 20);
	fprintf(stderr, "  service   %s\n  reason    %s\n", a->name, a->reason ? a->reason : "starting");
	if (a->health_url)
		fprintf(stderr, "  probe     %s\n", a->probed);
	if (a->last_reply[0])
		fprintf(stderr, "  reply     %s\n", a->last_reply);
	if (a->last_exit >= 0)
		fprintf(stderr, "  exit      %d\n", a->last_exit);
	fprintf(stderr, "  the end of its log:\n");
	for (char *line = tail; *line;) {
		int n = (int)strcspn(line, "\n");

		fprintf(stderr, "    %.*s\n", n, line);
		line += n + (line[n] == '\n');
	}
	sutra_free(tail);
}

static void print_matryoshka_note(struct sutra_config *config)
{
	const struct sutra_known_model *m = sutra_model_known(sutra_config_get(config, "SUTRA_MODEL"));
	int64_t dimension = 0;

	sutra_str_int(sutra_config_get(config, "MATRYOSHKA_DIM"), 1, 1 << 16, &dimension);
	if (!m || m->matryoshka_trained || dimension == m->dimension || common.quiet)
		return;
	for (const struct sutra_model_cost *c = m->costs; c->dimension; c++)
		if (c->dimension == dimension)
			fprintf(stderr,
				"note: %s was not trained for Matryoshka; measured at %d of %d dimensions: "
				"rank correlation %.3f, top-10 overlap %.0f %%\n",
				m->name, c->dimension, m->dimension, c->rank_correlation,
				100 * c->top10_overlap);
}

static void print_result(const char *state_dir, const struct sutra_plan *plan, double took_s)
{
	struct sutra_deployment *d;
	json_t *o;

	if (sutra_deployment_load(state_dir, &d, NULL))
		return;
	if (common.json) {
		o = deployment_document(d, "sutra.deploy/1");
		json_object_set_new(o, "changes", json_integer((json_int_t)plan->n_changes));
		json_object_set_new(o, "took_seconds", json_real(took_s));
		print_document(o);
	} else if (common.quiet) {
		;	/* the exit code tells */
	} else if (!plan->n_changes) {
		printf("nothing to do: %zu services unchanged\n", d->n);
	} else {
		print_services(d);
		printf("\nready in %.1f s. Try next:\n"
		       "  curl -s localhost:%s/embed -d '{\"texts\":[\"The Eiffel Tower is in Paris\"]}'\n"
		       "  ./sutra status\n"
		       "  ./sutra validate-scaling --phases 0,1,2\n",
		       took_s, published_port(gateway_service(d)));
	}
	sutra_deployment_free(d);
}

static int apply(struct sutra_config *config, const struct sutra_desired *desired,
		 const struct sutra_plan *plan, const char *state_dir, struct sutra_err *err)
{
	struct sutra_awaited failed = { .last_exit = -1 };
	struct sutra_deploy_events events = { say_step, say_ready, &failed };
	uint64_t began = sutra_clock_ns();
	int code, rc = sutra_deploy_apply(config, desired, plan, state_dir, timeout_ns, &stopped, &events, err);

	if (plan->n_changes)
		sutra_audit(state_dir, "deploy", rc ? err->message : "ok");
	if (!rc) {
		print_matryoshka_note(config);
		print_result(state_dir, plan, (double)(sutra_clock_ns() - began) / 1e9);
		return EXIT_YES;
	}
	code = command_fail(err);
	print_evidence(desired->rt, state_dir, &failed);
	if (rc == SUTRA_E_INTERRUPTED) {
		fputs("  stopped here; sutra deploy goes on, sutra down ends what runs\n", stderr);
		return 128 + (stopped ? stopped : SIGINT);
	}
	return code;
}

/* From settings to a plan, and on. The lock is held. */
static int deploy_locked(const struct sutra_runtime *rt, struct sutra_config *config, const char *data_dir, const char *state_dir,
			 struct sutra_err *err)
{
	struct sutra_desired desired = { 0 };
	struct sutra_plan plan = { 0 };
	json_t *record = NULL;
	int code, rc;

	if (sutra_record_load(state_dir, &record, err))
		record = sutra_record_recover(state_dir);
	rc = make_desired(rt, config, data_dir, state_dir, &desired, err);
	rc = rc ? rc : sutra_plan_make(rt, desired.units, desired.n, record, state_dir, &plan, err);
	if (rc)
		code = command_fail(err);
	else if (plan_only)
		code = print_plan(&plan);
	else
		code = apply(config, &desired, &plan, state_dir, err);
	json_decref(record);
	sutra_plan_release(&plan);
	sutra_desired_release(&desired);
	return code;
}

static int run(int n, char **argv)
{
	const struct sutra_runtime *rt = NULL;
	struct sutra_config *config = NULL;
	char *data_dir, *state_dir;
	struct sutra_err err;
	int rc, code, lock = -1;

	if (n)
		return command_usage("deploy takes no operand, got \"%s\"", argv[1]);
	plan_only = plan_only || dry_run;
	catch_signals();
	modelbar_stop_on(&stopped);
	rc = stack_open(&config, &data_dir, &state_dir, !plan_only, &err);
	rc = rc ? rc : choose_runtime(config, state_dir, &rt, &err);
	rc = rc ? rc : settle_model(config, &err);
	if (!rc && !plan_only)
		rc = sutra_lock_take(state_dir, "deploy", lock_wait_ns, &lock, &err);
	rc = rc ? rc : settle_credentials(config, state_dir, &err);
	code = rc ? command_fail(&err) : deploy_locked(rt, config, data_dir, state_dir, &err);
	if (lock >= 0)
		sutra_lock_release(state_dir, lock);
	sutra_config_free(config);
	sutra_free(data_dir);
	sutra_free(state_dir);
	return code;
}

const struct command cmd_deploy = {
	.name = "deploy",
	.summary = "start or change the stack, and wait until it is healthy",
	.synopsis = "[--yes] [--runtime NAME] [--timeout TIME] [--lock-wait TIME] [--plan]",
	.examples = "sutra deploy\tstart everything, or change what differs\n"
		    "MATRYOSHKA_DIM=128 sutra deploy\tchange a setting, one replica at a time\n"
		    "sutra deploy --plan\tonly show what would change\n",
	.options = options,
	.run = run,
};
