#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/jsonio.h"
#include "base/str.h"
#include "deploy/generation.h"
#include "base/lock.h"
#include "deploy/record.h"
#include "sutra/deploy_progress.h"
#include "sutra/command.h"
#include "sutra/stackio.h"
#include "term/table.h"

static bool list_only, no_return;
static uint64_t timeout_ns = 60000000000u, lock_wait_ns = 1;

static const struct sutra_option rows[] = {
	{ 0, "list", SUTRA_OPT_FLAG, &list_only, NULL, "show the generations that are kept", 0, 0, NULL },
	{ 0, "no-rollback", SUTRA_OPT_FLAG, &no_return, NULL, "leave a failed rollback as it is", 0, 0, NULL },
	{ 0, "timeout", SUTRA_OPT_DURATION, &timeout_ns, "TIME", "longest wait for health (60s; none)", 0, 0, NULL },
	{ 0, "lock-wait", SUTRA_OPT_DURATION, &lock_wait_ns, "TIME", "wait for another deploy to end", 0, 0, NULL },
	{ 0 },
};

static int current_generation(const char *state_dir, int *ret, struct sutra_err *err)
{
	struct sutra_record *r = NULL;
	int rc = sutra_record_load(state_dir, &r, err);

	*ret = rc ? 0 : (int)r->generation;
	sutra_record_free(r);
	if (rc == SUTRA_E_NOTFOUND)
		err->code = rc = SUTRA_E_UNAVAILABLE;
	return rc;
}

static const char *setting(const struct sutra_generation *g, const char *key)
{
	const char *value = json_string_value(json_object_get(g->settings, key));

	return value ? value : "-";
}

static json_t *row_json(const struct sutra_generation *g, bool current)
{
	json_t *o = json_copy(g->doc);

	json_object_del(o, "schema");
	json_object_set_new(o, "generation", json_integer(g->number));
	json_object_set_new(o, "current", json_boolean(current));
	return o;
}

static void row_table(struct sutra_table *t, const struct sutra_generation *g, bool current)
{
	sutra_table_cellf(t, SUTRA_ROLE_HEAD, "%d%s", g->number, current ? " *" : "");
	sutra_table_cellf(t, SUTRA_ROLE_PLAIN, "%.19s", g->deployed_at);
	sutra_table_cell(t, SUTRA_ROLE_PLAIN, setting(g, "SUTRA_EDITION"));
	sutra_table_cell(t, SUTRA_ROLE_PLAIN, setting(g, "MATRYOSHKA_DIM"));
	sutra_table_cellf(t, SUTRA_ROLE_PLAIN, "%zu", json_array_size(g->services));
	sutra_table_cell(t, SUTRA_ROLE_PLAIN, g->cause);
}

static int print_list(const char *state_dir, int current)
{
	static const struct sutra_column columns[] = {
		{ "GENERATION", false, 0 }, { "DEPLOYED (UTC)", false, 0 }, { "EDITION", false, 0 },
		{ "DIM", true, 0 },	    { "SERVICES", true, 0 },	    { "BY", false, 12 },
		{ NULL, false, 0 },
	};
	struct sutra_table *t = sutra_table_new(columns);
	json_t *all = json_array();
	struct sutra_term term;
	int *list;
	size_t n = sutra_generation_list(state_dir, &list);

	for (size_t i = 0; i < n; i++) {
		struct sutra_generation g;

		if (sutra_generation_open(state_dir, list[i], &g, NULL))
			continue;
		row_table(t, &g, list[i] == current);
		json_array_append_new(all, row_json(&g, list[i] == current));
		sutra_generation_release(&g);
	}
	sutra_term_init(&term, stdout, common.color);
	if (common.json)
		print_document(json_pack("{s:s, s:O}", "schema", "sutra.generations/1", "generations", all));
	else
		sutra_table_print(t, &term, 0);
	json_decref(all);
	sutra_table_free(t);
	sutra_free(list);
	return EXIT_YES;
}

/* The requested generation, else the one before the current one. */
static int choose(const char *state_dir, const char *asked, int current, int *ret, struct sutra_err *err)
{
	int64_t number;

	if (!asked)
		return sutra_generation_before(state_dir, current, ret, err);
	if (sutra_str_int(asked, 1, INT32_MAX, &number))
		return sutra_fail(err, SUTRA_E_USAGE, "a generation is a number, got \"%s\"", asked);
	*ret = (int)number;
	return 0;
}

static int roll_back(const char *state_dir, int number, struct sutra_err *err)
{
	struct sutra_restored r;
	char cause[40];
	struct sutra_apply a = { .command = "rollback", .cause = cause, .no_return = no_return };
	int code, rc = sutra_restore(state_dir, number, &r, err);

	snprintf(cause, sizeof(cause), "rollback to %d", number);
	if (r.credentials_made)
		deploying_show_credentials(r.config, state_dir);
	rc = rc ? rc : r.desired.rt->check(err);
	a.data_dir = r.g.dir;
	a.deploy = (struct sutra_deploy){ .state_dir = state_dir, .config = r.config, .desired = &r.desired,
					  .plan = &r.plan, .timeout_ns = timeout_ns };
	code = rc ? command_fail(err) : deploying_run(&a, err);
	sutra_restored_release(&r);
	return code;
}

static int run(int n, char **argv)
{
	struct stack s;
	int current, number, lock = -1, code, rc;
	struct sutra_err err;

	if (n > 1)
		return command_usage("rollback takes one generation, got \"%s\" too", argv[2]);
	command_catch_signals();
	rc = stack_open(&s, false, &err);
	rc = rc ? rc : current_generation(s.state_dir, &current, &err);
	if (!rc && !list_only) {
		rc = sutra_lock_take(s.state_dir, "rollback", lock_wait_ns, &command_stopped, &lock, &err);
		/* again: another command may have deployed before the lock was taken */
		rc = rc ? rc : current_generation(s.state_dir, &current, &err);
		rc = rc ? rc : choose(s.state_dir, n ? argv[1] : NULL, current, &number, &err);
	}
	if (rc)
		code = command_fail(&err);
	else
		code = list_only ? print_list(s.state_dir, current) : roll_back(s.state_dir, number, &err);
	if (lock >= 0)
		sutra_lock_release(s.state_dir, lock);
	stack_release(&s);
	return code;
}

const struct command cmd_rollback = {
	.name = "rollback",
	.summary = "bring an earlier state of the stack back",
	.synopsis = "[--list] [--timeout TIME] [--lock-wait TIME] [--no-rollback] [-o FORMAT] [GENERATION]",
	.examples = "sutra rollback --list\twhat is kept; * runs\n"
		    "sutra rollback\tthe one before\n"
		    "sutra rollback 4\tthat one\n",
	.formats = "table|json",
	.options = rows,
	.operands = true,
	.run = run,
};
