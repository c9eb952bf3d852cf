#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/jsonio.h"
#include "base/shown.h"
#include "deploy/deploy.h"
#include "runtime/docker.h"
#include "base/lock.h"
#include "hub/modelstore.h"
#include "deploy/record.h"
#include "sutra/deploy_progress.h"
#include "sutra/command.h"
#include "sutra/habits.h"
#include "sutra/modelbar.h"
#include "sutra/prepare.h"
#include "sutra/stackio.h"

enum { MAX_PLAN = 4 << 20 };

static bool dry_run, plan_only, prune, no_return, insecure;
static const char *runtime, *from;
static uint64_t timeout_ns = 60000000000u, lock_wait_ns = 1;

static const struct sutra_option rows[] = {
	{ 0, "runtime", SUTRA_OPT_CHOICE, &runtime, "NAME", "what runs the services", 0, 0,
	  "auto|native|docker" },
	{ 0, "timeout", SUTRA_OPT_DURATION, &timeout_ns, "TIME", "longest wait for health (60s; none)", 0, 0,
	  NULL },
	{ 0, "lock-wait", SUTRA_OPT_DURATION, &lock_wait_ns, "TIME", "wait for another deploy to end", 0, 0,
	  NULL },
	{ 0, "plan", SUTRA_OPT_FLAG, &plan_only, NULL, "show what would change, touch nothing; exit 3 if anything would",
	  0, 0, NULL },
	{ 0, "from", SUTRA_OPT_STRING, &from, "PLAN", "carry out a plan of --plan -o json, if nothing has moved since",
	  0, 0, NULL },
	{ 0, "prune", SUTRA_OPT_FLAG, &prune, NULL, "stop services that are not in the edition", 0, 0, NULL },
	{ 0, "no-rollback", SUTRA_OPT_FLAG, &no_return, NULL, "leave a failed deploy as it is", 0, 0, NULL },
	{ 0, "insecure", SUTRA_OPT_FLAG, &insecure, NULL, "publish storage, replicas and statistics on SUTRA_BIND too", 0, 0,
	  NULL },
	{ 0, "dry-run", SUTRA_OPT_FLAG, &dry_run, NULL, "the same as --plan", 0, 0, NULL },
	{ 0 },
};

/* --runtime or SUTRA_RUNTIME; auto: the runtime of the current deployment, else docker if its engine answers. */
static int choose_runtime(struct sutra_config *config, const char *state_dir, const struct sutra_runtime **ret,
			  struct sutra_err *err)
{
	const struct sutra_runtime *deployed;
	struct sutra_record *record = NULL;
	int rc = runtime ? sutra_config_set(config, "SUTRA_RUNTIME", runtime, SUTRA_FROM_FLAG, err) : 0;

	if (rc)
		return rc;
	rc = sutra_record_recover(state_dir, &record, err);
	if (rc)
		return rc;
	deployed = sutra_runtime_named(record ? record->runtime : NULL);
	*ret = sutra_runtime_named(sutra_config_get(config, "SUTRA_RUNTIME"));
	if (!*ret)
		*ret = deployed ? deployed : !sutra_docker.ping(NULL) ? &sutra_docker : &sutra_native;
	rc = sutra_check_runtime(record, *ret, err);
	sutra_record_free(record);
	return rc ? rc : (*ret)->check(err);
}

/* Makes the desired stack; builds missing images, unless only a plan is wanted. */
static int make_desired(const struct sutra_runtime *rt, struct sutra_config *config, const char *data_dir,
			const char *state_dir, struct sutra_desired *ret, struct sutra_err *err)
{
	const struct sutra_parts parts = { data_dir, NULL, NULL };
	int rc = sutra_desired_make(rt, config, &parts, state_dir, ret, err);

	if (!rc)
		warn_unset("compose/docker-compose.yml", &ret->all->unset);
	if (rc || rt != &sutra_docker || plan_only || !sutra_docker_images(ret->units, ret->n, NULL))
		return rc;
	rc = prepare_script(data_dir, "build-all", NULL, err);
	sutra_desired_release(ret);
	rc = rc ? rc : sutra_desired_make(rt, config, &parts, state_dir, ret, err);
	return rc ? rc : sutra_docker_images(ret->units, ret->n, err);
}

/* Finds the model, or fetches it unless only a plan is wanted, and sets its folder and name for the compose
 * file. */
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
	if (!rc && !plan_only)
		prepare_weights(folder, sutra_config_get(config, "SUTRA_PRECISION"));
	slash = folder ? strrchr(folder, '/') : NULL;
	if (!rc && slash && slash > folder) {
		*slash = '\0';
		rc = sutra_config_set(config, "SUTRA_MODEL_DIR", folder, SUTRA_FROM_RECORD, err);
		rc = rc ? rc : sutra_config_set(config, "SUTRA_MODEL", slash + 1, SUTRA_FROM_RECORD, err);
	}
	sutra_free(folder);
	return rc;
}

static void print_plan_text(const struct sutra_plan *plan, const struct sutra_runtime *rt,
			    struct sutra_config *config)
{
	printf("runtime %s, edition %s\n", rt->name, sutra_config_get(config, "SUTRA_EDITION"));
	for (size_t i = 0; i < plan->n; i++) {
		const struct sutra_step *s = &plan->steps[i];

		sutra_shown_printf(stdout, "%-8s %-22s %s", sutra_action_name(s->action), s->name, s->cause);
		if (s->field)
			sutra_shown_printf(stdout, ": %s -> %s", s->old_value ? s->old_value : "(unset)",
					   s->new_value ? s->new_value : "(unset)");
		putchar('\n');
	}
	printf("%zu of %zu services would change\n", plan->n_changes, plan->n);
}

static void print_plan_json(const struct sutra_plan *plan, const struct sutra_runtime *rt, struct sutra_config *config)
{
	json_t *o = json_object();

	json_object_set_new(o, "schema", json_string("sutra.plan/1"));
	json_object_set_new(o, "runtime", json_string(rt->name));
	json_object_set_new(o, "edition", sutra_json_text(sutra_config_get(config, "SUTRA_EDITION")));
	json_object_set_new(o, "prune", json_boolean(prune));
	json_object_set_new(o, "changes", json_integer((json_int_t)plan->n_changes));
	json_object_set_new(o, "settings", sutra_config_settings(config));
	json_object_set_new(o, "steps", sutra_plan_steps(plan));
	print_document(o);
}

static int print_plan(const struct sutra_plan *plan, const struct sutra_runtime *rt, struct sutra_config *config)
{
	if (common.json)
		print_plan_json(plan, rt, config);
	else
		print_plan_text(plan, rt, config);
	return plan->n_changes ? EXIT_QUALIFIED : EXIT_YES;
}

/* Reads and checks the document of a plan. */
static int read_plan(json_t **ret, struct sutra_err *err)
{
	const char *schema = NULL;
	json_t *o = NULL;
	int rc = sutra_json_read(from, MAX_PLAN, &o, err);

	rc = rc ? rc : sutra_json_get_string(o, "schema", &schema, err);
	if (!rc && (!schema || strcmp(schema, "sutra.plan/1") != 0 || !json_is_object(json_object_get(o, "settings")) ||
		    !json_is_array(json_object_get(o, "steps"))))
		rc = sutra_fail(err, SUTRA_E_SETTING, "%s is no plan", from);
	if (!rc) {
		*ret = o;
		return 0;
	}
	err->code = SUTRA_E_SETTING;
	json_decref(o);
	return sutra_hint(err, "sutra deploy --plan -o json > FILE makes one");
}

static const char *text_of(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "nothing";
}

/* Checks that the plan made now equals the one in the file. */
static int check_moved(const json_t *then, const struct sutra_plan *plan, struct sutra_err *err)
{
	json_t *steps = json_object_get(then, "steps"), *now = sutra_plan_steps(plan);
	const json_t *a = NULL, *b = NULL;
	size_t i = 0;

	while (i < json_array_size(now) && json_equal(json_array_get(now, i), json_array_get(steps, i)))
		i++;
	if (i < json_array_size(now) || i < json_array_size(steps)) {
		a = json_array_get(steps, i);
		b = json_array_get(now, i);
		sutra_fail(err, SUTRA_E_EXISTS, "the world has moved since %s was made: %s was to %s (%s), now it would %s (%s)",
			   from, text_of(a ? a : b, "service"), text_of(a, "action"), text_of(a, "cause"),
			   text_of(b, "action"), text_of(b, "cause"));
		sutra_hint(err, "nothing was touched; make the plan anew");
	}
	json_decref(now);
	return a || b ? SUTRA_E_EXISTS : 0;
}

/* Makes the desired stack and the plan from the settings. */
static int make_plan(const struct sutra_runtime *rt, struct sutra_config *config, const char *data_dir,
		     const char *state_dir, const struct sutra_record *record, struct sutra_desired *desired,
		     struct sutra_plan *plan, struct sutra_err *err)
{
	int rc = make_desired(rt, config, data_dir, state_dir, desired, err);

	return rc ? rc : sutra_plan_make(rt, desired->units, desired->n, record, state_dir, prune, plan, err);
}

/* The caller holds the lock. then: the document of the plan to carry out, or NULL. */
static int deploy_locked(const struct sutra_runtime *rt, struct sutra_config *config, const char *data_dir,
			 const char *state_dir, const json_t *then, struct sutra_err *err)
{
	struct sutra_desired desired = { 0 };
	struct sutra_plan plan = { 0 };
	struct sutra_apply a = { .deploy = { .state_dir = state_dir, .config = config, .desired = &desired, .plan = &plan,
					     .timeout_ns = timeout_ns },
				 .command = "deploy", .data_dir = data_dir, .cause = "deploy", .no_return = no_return };
	bool no_user = !sutra_config_get(config, "HAPROXY_STATS_USER");
	struct sutra_record *record = NULL;
	int code, rc = sutra_record_recover(state_dir, &record, err);

	rc = rc ? rc : sutra_check_runtime(record, rt, err);	/* again: the record could change before the lock */
	rc = rc ? rc : make_plan(rt, config, data_dir, state_dir, record, &desired, &plan, err);
	rc = rc || !then ? rc : check_moved(then, &plan, err);
	rc = rc || !then ? rc : deploying_credentials(config, state_dir, plan_only, err);
	if (!rc && no_user && sutra_config_get(config, "HAPROXY_STATS_USER")) {	/* the credentials were made after the plan */
		sutra_plan_release(&plan);
		sutra_desired_release(&desired);
		rc = make_plan(rt, config, data_dir, state_dir, record, &desired, &plan, err);
	}
	if (rc)
		code = command_fail(err);
	else if (plan_only)
		code = print_plan(&plan, rt, config);
	else
		code = deploying_run(&a, err);
	sutra_record_free(record);
	sutra_plan_release(&plan);
	sutra_desired_release(&desired);
	return code;
}

/* Replaces the settings by those of a plan; keeps the credentials, which no plan holds. */
static int restore_settings(struct sutra_config **config, const json_t *then, struct sutra_err *err)
{
	static const char *const credentials[] = { "HAPROXY_STATS_USER", "HAPROXY_STATS_PASSWORD" };
	struct sutra_config *old = *config;
	int rc;

	*config = NULL;
	rc = sutra_config_restore(json_object_get(then, "settings"), config, err);
	for (size_t i = 0; i < 2 && !rc; i++) {
		const char *value = sutra_config_get(old, credentials[i]);

		rc = value ? sutra_config_set(*config, credentials[i], value, SUTRA_FROM_ENVIRONMENT, err) : 0;
	}
	sutra_config_free(old);
	return rc ? rc : sutra_config_set(*config, "SUTRA_RUNTIME", text_of(then, "runtime"), SUTRA_FROM_RECORD, err);
}

/* Completes the settings, from the environment and its files or from a plan. */
static int settle(struct sutra_config **config, const char *state_dir, const json_t *then,
		  const struct sutra_runtime **rt, struct sutra_err *err)
{
	int rc;

	if (!then) {
		rc = choose_runtime(*config, state_dir, rt, err);
		return rc ? rc : settle_model(*config, err);
	}
	rc = restore_settings(config, then, err);
	prune = json_is_true(json_object_get(then, "prune"));
	return rc ? rc : choose_runtime(*config, state_dir, rt, err);
}

static int run(int n, char **argv)
{
	const struct sutra_runtime *rt = NULL;
	struct stack s;
	json_t *then = NULL;
	struct sutra_err err;
	int rc, code, lock = -1;

	plan_only = plan_only || dry_run;
	habits_environment();
	command_catch_signals();
	modelbar_stop_on(&command_stopped);
	rc = stack_open(&s, !plan_only, &err);
	rc = rc || !insecure ? rc : sutra_config_set(s.config, "SUTRA_INSECURE", "true", SUTRA_FROM_FLAG, &err);
	rc = rc || !from ? rc : read_plan(&then, &err);
	rc = rc ? rc : settle(&s.config, s.state_dir, then, &rt, &err);
	if (!rc && !plan_only)
		rc = sutra_lock_take(s.state_dir, "deploy", lock_wait_ns, &command_stopped, &lock, &err);
	rc = rc ? rc : deploying_credentials(s.config, s.state_dir, plan_only || then, &err);
	code = rc ? command_fail(&err) : deploy_locked(rt, s.config, s.data_dir, s.state_dir, then, &err);
	if (lock >= 0)
		sutra_lock_release(s.state_dir, lock);
	json_decref(then);
	stack_release(&s);
	return code;
}

const struct command cmd_deploy = {
	.name = "deploy",
	.summary = "start or change the stack, and wait until it is healthy",
	.synopsis = "[--plan | --dry-run | --from PLAN] [--prune] [--runtime NAME] [--timeout TIME] "
		    "[--lock-wait TIME] [--no-rollback] [--insecure] [-o FORMAT]",
	.examples = "sutra deploy\tstart everything, or change what differs\n"
		    "MATRYOSHKA_DIM=128 sutra deploy\tchange a setting, one replica at a time\n"
		    "sutra deploy --plan\tonly show what would change\n"
		    "SUTRA_EDITION=simple sutra deploy --prune\tanother edition; what it lacks is stopped\n",
	.options = rows,
	.formats = "table|json",
	.run = run,
};
