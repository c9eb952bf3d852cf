#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/shown.h"
#include "deploy/audit.h"
#include "deploy/deploy.h"
#include "base/lock.h"
#include "sutra/command.h"
#include "sutra/stackio.h"
#include "sutra/values.h"

static uint64_t timeout_ns = 60000000000u, lock_wait_ns = 1;

static const struct sutra_option rows[] = {
	{ 0, "timeout", SUTRA_OPT_DURATION, &timeout_ns, "TIME", "longest wait for each service (60s; none)", 0, 0,
	  NULL },
	{ 0, "lock-wait", SUTRA_OPT_DURATION, &lock_wait_ns, "TIME", "wait for another deploy to end", 0, 0,
	  NULL },
	{ 0 },
};

static int restart_one(struct sutra_deployment *d, const char *name, json_t *list, struct sutra_err *err)
{
	uint64_t began = sutra_clock_ns();
	int rc = sutra_deployment_restart(d, name, timeout_ns, err);
	double took = (double)(sutra_clock_ns() - began) / 1e9;

	if (rc)
		return rc;
	json_array_append_new(list, json_pack("{s:s, s:f}", "service", name, "took_seconds", took));
	if (!common.json)
		sutra_shown_printf(stdout, "%s is healthy again after %.1f s\n", name, took);
	return 0;
}

static int restart_all(struct sutra_deployment *d, int n, char **argv, struct sutra_err *err)
{
	json_t *list = json_array();
	int rc = 0;

	for (int i = 1; i <= n && !rc; i++)
		if (!sutra_deployment_find(d, argv[i]))
			rc = values_missing("SERVICE", "service", argv[i], err);
	for (int i = 1; i <= n && !rc; i++)
		rc = restart_one(d, argv[i], list, err);
	for (size_t i = 0; i < d->n && !n && !rc; i++)
		rc = restart_one(d, d->services[i].unit->name, list, err);
	if (!rc && common.json)
		print_document(json_pack("{s:s, s:O}", "schema", "sutra.restart/1", "restarted", list));
	json_decref(list);
	return rc;
}

static int run(int n, char **argv)
{
	char *state_dir = sutra_state_dir();
	struct sutra_deployment *d = NULL;
	struct sutra_err err;
	int rc, lock = -1;

	rc = sutra_deployment_load(state_dir, &d, &err);
	if (rc == SUTRA_E_NOTFOUND) {
		command_fail(&err);
		sutra_free(state_dir);
		return EXIT_INCONCLUSIVE;
	}
	rc = rc ? rc : sutra_lock_take(state_dir, "restart", lock_wait_ns, NULL, &lock, &err);
	rc = rc ? rc : restart_all(d, n, argv, &err);
	if (lock >= 0) {
		sutra_audit(state_dir, "restart", rc ? err.message : "ok");
		sutra_lock_release(state_dir, lock);
	}
	sutra_deployment_free(d);
	sutra_free(state_dir);
	return rc ? command_fail(&err) : EXIT_YES;
}

const struct command cmd_restart = {
	.name = "restart",
	.summary = "restart services, each healthy before the next",
	.synopsis = "[--timeout TIME] [--lock-wait TIME] [SERVICE ...]",
	.examples = "sutra restart embedding-single\tone service, no connection is refused\n"
		    "sutra restart\tall, one at a time\n",
	.options = rows,
	.formats = "table|json",
	.operands = true,
	.run = run,
};
