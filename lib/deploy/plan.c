#include "deploy/plan.h"

#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "compose/config.h"
#include "deploy/record.h"

const char *sutra_action_name(enum sutra_action a)
{
	static const char *const names[] = { "keep", "start", "replace", "stop", "leave" };

	return names[a];
}

static char *copy_of(const char *text) { return text ? xstrdup(text) : NULL; }

/* The first variable that differs becomes the step's field; without one it is the program. */
static void find_change(const struct sutra_unit *u, const struct sutra_unit *old, struct sutra_step *step)
{
	for (size_t i = 0; i < u->env.n; i++) {
		const char *was = sutra_env_get(&old->env, u->env.items[i].key);

		if (sutra_config_is_secret(u->env.items[i].key) || (was && !strcmp(was, u->env.items[i].value)))
			continue;
		step->field = xstrdup(u->env.items[i].key);
		step->old_value = copy_of(was);
		step->new_value = xstrdup(u->env.items[i].value);
		step->cause = xasprintf("%s changed", step->field);
		return;
	}
	if (!u->image && strcmp(old->user ? old->user : "", u->user ? u->user : "") != 0) {
		step->cause = xstrdup("SUTRA_USER changed");
		return;
	}
	for (size_t i = 0; i < old->env.n; i++) {
		if (sutra_env_get(&u->env, old->env.items[i].key))
			continue;
		step->field = xstrdup(old->env.items[i].key);
		step->old_value = xstrdup(old->env.items[i].value);
		step->cause = xasprintf("%s is unset", step->field);
		return;
	}
	step->cause = xstrdup(u->image ? "its command, ports, volumes or configuration file changed" :
					 "its program, arguments or configuration file changed");
}

/* By id: another name for the same image is no change. */
static bool same_image(const char *a, const char *b)
{
	const char *id_a = strchr(a, '@'), *id_b = b ? strchr(b, '@') : NULL;

	return id_a && id_b && !strcmp(id_a, id_b);
}

/* Whether deploy made another container than the present one, or one with another memory limit. */
static bool changed_by_hand(const struct sutra_unit *u, const struct sutra_unit *old,
			    const struct sutra_supervised *now)
{
	const char *id = old->container;

	return u->image && id && *id && (strcmp(id, now->id) != 0 || now->memory_limit != u->memory_limit);
}

static void set(struct sutra_step *step, enum sutra_action action, const char *cause)
{
	step->action = action;
	step->cause = xstrdup(cause);
}

/* anew: why every service is started, whatever runs; or NULL. */
static void plan_unit(const struct sutra_unit *u, const struct sutra_record *record, const char *anew,
		      const struct sutra_supervised *now, struct sutra_step *step)
{
	const struct sutra_unit *old = sutra_record_find(record, u->name);
	const char *hash = old ? old->hash : NULL;

	*step = (struct sutra_step){ .unit = u, .name = xstrdup(u->name), .old_hash = copy_of(hash) };
	if (!old && now->running && !anew) {
		set(step, SUTRA_REPLACE, "left by a deploy that was cut off");
	} else if (!old) {
		set(step, SUTRA_START, "not deployed");
	} else if (anew) {
		set(step, SUTRA_START, anew);
	} else if (now->supervised && !now->running && now->last_exit == 0 &&
		   u->restart == SUTRA_RESTART_NO && hash && !strcmp(hash, u->hash)) {
		set(step, SUTRA_KEEP, "done");
	} else if (!now->supervised || !now->running) {
		set(step, SUTRA_START, "not running");
	} else if (!hash) {
		set(step, SUTRA_REPLACE, "its record was lost");
	} else if (u->image && !same_image(u->image, old->image)) {
		set(step, SUTRA_REPLACE, "its image changed");
		step->field = xstrdup("image");
		step->old_value = copy_of(old->image);
		step->new_value = xstrdup(u->image);
	} else if (strcmp(hash, u->hash) != 0) {
		step->action = SUTRA_REPLACE;
		find_change(u, old, step);
	} else if (changed_by_hand(u, old, now)) {
		set(step, SUTRA_REPLACE, "its container was changed by hand");
	} else {
		set(step, SUTRA_KEEP, "unchanged");
	}
}

/* A recorded unit that the edition lacks. */
static void plan_surplus(const struct sutra_unit *u, bool prune, struct sutra_step *step)
{
	*step = (struct sutra_step){ .action = prune ? SUTRA_STOP : SUTRA_LEAVE,
				     .name = xstrdup(u->name),
				     .cause = xstrdup("not in this edition"),
				     .old_hash = copy_of(u->hash),
				     .published = copy_of(u->published) };
}

/* Whether two "address:port" of one host exclude each other: 0.0.0.0 takes the port of every address. */
static bool overlap(const char *a, const char *b)
{
	const char *port_a = strrchr(a, ':'), *port_b = strrchr(b, ':');
	bool any = sutra_str_starts(a, "0.0.0.0:") || sutra_str_starts(b, "0.0.0.0:");

	return !strcmp(a, b) || (any && port_a && port_b && !strcmp(port_a, port_b));
}

static const struct sutra_step *holder_of(const struct sutra_plan *p, const struct sutra_step *step)
{
	if (step->action != SUTRA_START || !step->unit || !step->unit->published)
		return NULL;
	for (size_t i = 0; i < p->n; i++)
		if (p->steps[i].published && overlap(p->steps[i].published, step->unit->published))
			return &p->steps[i];
	return NULL;
}

const struct sutra_step *sutra_plan_predecessor(const struct sutra_plan *p, const struct sutra_step *step)
{
	const struct sutra_step *s = holder_of(p, step);

	return s && s->action == SUTRA_STOP ? s : NULL;
}

/* Refuses a plan in which a service that is left holds an address that a unit of the edition needs. */
static int check_left(const struct sutra_plan *p, struct sutra_err *err)
{
	for (size_t i = 0; i < p->n; i++) {
		const struct sutra_step *s = holder_of(p, &p->steps[i]);

		if (s && s->action == SUTRA_LEAVE)
			return sutra_hint((sutra_fail(err, SUTRA_E_SETTING, "%s needs %s, which %s holds; nothing was touched",
						      p->steps[i].name, p->steps[i].unit->published, s->name), err),
					  "sutra deploy --prune stops what is not in the edition");
	}
	return 0;
}

int sutra_plan_make(const struct sutra_runtime *rt, const struct sutra_unit *units, size_t n,
		    const struct sutra_record *record, const char *state_dir, bool prune, struct sutra_plan *ret,
		    struct sutra_err *err)
{
	size_t n_old = record ? record->n : 0;
	struct sutra_plan p = { .steps = xcalloc(n + n_old, sizeof(*p.steps)) };
	const char *anew = record && !rt->alive(state_dir) ? "its supervisor was killed" :
			   record && rt->outgrown && rt->outgrown(state_dir) ? "its supervisor may open fewer files" : NULL;
	struct sutra_supervised *now = sutra_runtime_observe(rt, state_dir, units, n);
	int rc;

	for (size_t i = 0; i < n; i++)
		plan_unit(&units[i], record, anew, &now[i], &p.steps[p.n++]);
	sutra_free(now);
	for (size_t i = 0; i < n_old; i++)
		if (!sutra_units_find(units, n, record->units[i].name))
			plan_surplus(&record->units[i], prune, &p.steps[p.n++]);
	for (size_t i = 0; i < p.n; i++) {
		p.n_left += p.steps[i].action == SUTRA_LEAVE;
		p.n_changes += p.steps[i].action != SUTRA_KEEP && p.steps[i].action != SUTRA_LEAVE;
	}
	p.unfinished = record && !record->complete;
	rc = check_left(&p, err);
	if (rc)
		sutra_plan_release(&p);
	else
		*ret = p;
	return rc;
}

json_t *sutra_plan_steps(const struct sutra_plan *p)
{
	json_t *steps = json_array();

	for (size_t i = 0; i < p->n; i++) {
		const struct sutra_step *s = &p->steps[i];

		json_array_append_new(steps, json_pack("{s:s, s:s, s:s, s:s?, s:s?, s:s?, s:s?, s:s?}", "service", s->name,
						       "action", sutra_action_name(s->action), "cause", s->cause, "field",
						       s->field, "old", s->old_value, "new", s->new_value, "from",
						       s->old_hash, "to", s->unit ? s->unit->hash : NULL));
	}
	return steps;
}

void sutra_plan_release(struct sutra_plan *p)
{
	for (size_t i = 0; i < p->n; i++) {
		sutra_free(p->steps[i].name);
		sutra_free(p->steps[i].cause);
		sutra_free(p->steps[i].field);
		sutra_free(p->steps[i].old_value);
		sutra_free(p->steps[i].new_value);
		sutra_free(p->steps[i].old_hash);
		sutra_free(p->steps[i].published);
	}
	sutra_free(p->steps);
	*p = (struct sutra_plan){ 0 };
}
