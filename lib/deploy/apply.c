#include "deploy/apply.h"

#include <string.h>

#include "base/clock.h"
#include "deploy/audit.h"
#include "deploy/credentials.h"
#include "runtime/docker.h"

int sutra_check_runtime(const struct sutra_record *record, const struct sutra_runtime *rt, struct sutra_err *err)
{
	const struct sutra_runtime *deployed = sutra_runtime_named(record ? record->runtime : NULL);

	if (!deployed || deployed == rt)
		return 0;
	sutra_fail(err, SUTRA_E_SETTING, "the stack runs on the runtime %s, not %s", deployed->name, rt->name);
	return sutra_hint(err, "sutra down ends it first");
}

int sutra_restore(const char *state_dir, int number, struct sutra_restored *r, struct sutra_err *err)
{
	const struct sutra_runtime *rt;
	struct sutra_record *record = NULL;
	struct sutra_parts parts;
	int rc;

	*r = (struct sutra_restored){ 0 };
	rc = sutra_generation_open(state_dir, number, &r->g, err);
	if (rc)
		return rc;
	parts = (struct sutra_parts){ r->g.dir, r->g.program_dir, r->g.images };
	rt = sutra_runtime_named(r->g.runtime);
	rc = rt ? 0 : sutra_fail(err, SUTRA_E_CORRUPT, "generation %d has no runtime", number);
	rc = rc ? rc : sutra_record_load(state_dir, &record, err);
	rc = rc ? rc : sutra_check_runtime(record, rt, err);
	rc = rc ? rc : sutra_config_restore(r->g.settings, &r->config, err);
	rc = rc ? rc : sutra_credentials_settle(state_dir, r->config, false, &r->credentials_made, err);
	rc = rc ? rc : sutra_desired_make(rt, r->config, &parts, state_dir, &r->desired, err);
	if (!rc && rt == &sutra_docker && (rc = sutra_docker_images(r->desired.units, r->desired.n, err)))
		sutra_hint(err, "sutra rollback --list shows other generations");
	rc = rc ? rc : sutra_plan_make(rt, r->desired.units, r->desired.n, record, state_dir, true, &r->plan, err);
	sutra_record_free(record);
	return rc;
}

void sutra_restored_release(struct sutra_restored *r)
{
	sutra_plan_release(&r->plan);
	sutra_desired_release(&r->desired);
	sutra_config_free(r->config);
	sutra_generation_release(&r->g);
}

/* The generation that the record calls its last good one; 0: none. */
static int last_good(const char *state_dir)
{
	struct sutra_record *r = NULL;
	int number = 0;

	if (!sutra_record_load(state_dir, &r, NULL))
		number = (int)r->generation;
	sutra_record_free(r);
	return number;
}

/* Leaves services that ran beside that generation before the deploy that failed. */
static void leave_earlier(struct sutra_plan *plan, const struct sutra_plan *failed)
{
	for (size_t i = 0; i < plan->n; i++) {
		for (size_t k = 0; plan->steps[i].action == SUTRA_STOP && k < failed->n; k++) {
			if (!failed->steps[k].old_hash || strcmp(failed->steps[k].name, plan->steps[i].name) != 0)
				continue;
			plan->steps[i].action = SUTRA_LEAVE;
			plan->n_left++;
			plan->n_changes--;
		}
	}
}

static enum sutra_applied take_back(struct sutra_apply *a, int number)
{
	struct sutra_deploy back = a->deploy;
	char since[SUTRA_RFC3339_LEN];
	struct sutra_restored r;
	struct sutra_err err;
	int rc;

	sutra_clock_rfc3339(sutra_clock_wall_us(), since);
	a->returned_to = number;
	a->returns(number);
	rc = sutra_restore(back.state_dir, number, &r, &err);
	leave_earlier(&r.plan, a->deploy.plan);
	r.plan.unfinished = true;
	back.generation = number;
	back.config = r.config;
	back.desired = &r.desired;
	back.plan = &r.plan;
	back.failed = (struct sutra_awaited){ 0 };
	rc = rc ? rc : sutra_deploy_apply(&back, &err);
	sutra_audit(back.state_dir, "return", rc ? err.message : "ok");
	if (rc)
		a->failed(&back, since, &err);
	sutra_restored_release(&r);
	return rc ? SUTRA_APPLY_STUCK : SUTRA_APPLY_RETURNED;
}

enum sutra_applied sutra_apply(struct sutra_apply *a, struct sutra_err *err)
{
	struct sutra_deploy *d = &a->deploy;
	const struct sutra_runtime *rt = d->desired->rt;
	bool changes = d->plan->n_changes || d->plan->unfinished;
	int number = last_good(d->state_dir), rc = 0;
	char since[SUTRA_RFC3339_LEN];

	sutra_clock_rfc3339(sutra_clock_wall_us(), since);
	if (changes)
		rc = sutra_generation_prepare(d->state_dir, d->config, d->desired, a->data_dir, a->cause, err);
	rc = rc ? rc : sutra_deploy_apply(d, err);
	if (changes)
		sutra_audit(d->state_dir, a->command, rc ? err->message : "ok");
	if (!rc)
		return SUTRA_APPLIED;
	a->failed(d, since, err);
	if (rc == SUTRA_E_INTERRUPTED || (d->stop && *d->stop))	/* Ctrl-C reaches Compose too, which fails then */
		return SUTRA_APPLY_STOPPED;
	if (rt->ping && rt->ping(err)) {	/* the engine is the cause, and there is no return without it */
		d->failed.unit = NULL;
		a->failed(d, since, err);
		return SUTRA_APPLY_FAILED;
	}
	return number && d->touched && !a->no_return ? take_back(a, number) : SUTRA_APPLY_FAILED;
}
