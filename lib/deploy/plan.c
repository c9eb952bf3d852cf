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

/* The first variable that differs becomes the step's field; without one it is the program. */
static void find_change(const struct sutra_unit *u, const json_t *old, struct sutra_step *step)
{
	json_t *env = json_object_get(old, "environment"), *value;
	const char *user = json_string_value(json_object_get(old, "user"));
	const char *key;

	for (size_t i = 0; i < u->env.n; i++) {
		const char *was = json_string_value(json_object_get(env, u->env.items[i].key));

		if (sutra_config_is_secret(u->env.items[i].key) || (was && !strcmp(was, u->env.items[i].value)))
			continue;
		step->field = xstrdup(u->env.items[i].key);
		step->old_value = was ? xstrdup(was) : NULL;
		step->new_value = xstrdup(u->env.items[i].value);
		step->cause = xasprintf("%s changed", step->field);
		return;
	}
	if (!u->image && strcmp(user ? user : "", u->user ? u->user : "") != 0) {
		step->cause = xstrdup("SUTRA_USER changed");
		return;
	}
	json_object_foreach(env, key, value)
	{
		if (sutra_env_get(&u->env, key))
			continue;
		step->field = xstrdup(key);
		step->old_value = xstrdup(json_is_string(value) ? json_string_value(value) : "");
		step->cause = xasprintf("%s is unset", key);
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

/* A container that is not the one deploy made, or not with the limits it was made with. */
static bool changed_by_hand(const struct sutra_unit *u, const json_t *old, const struct sutra_supervised *now)
{
	const char *id = json_string_value(json_object_get(old, "container"));

	return u->image && id && *id && (strcmp(id, now->id) != 0 || now->memory_limit != u->memory_limit);
}

/* anew: why all is started anew, whatever runs; or NULL. */
static void plan_unit(const struct sutra_runtime *rt, const struct sutra_unit *u, const json_t *record,
		      const char *state_dir, const char *anew, struct sutra_step *step)
{
	const json_t *old = sutra_record_find(record, u->name);
	const char *hash = json_string_value(json_object_get(old, "hash"));
	const char *image = json_string_value(json_object_get(old, "image"));
	struct sutra_supervised now;

	*step = (struct sutra_step){ .unit = u, .name = xstrdup(u->name), .old_hash = hash ? xstrdup(hash) : NULL };
	rt->observe(state_dir, u->name, &now);
	if (!old && now.running && !anew) {
		step->action = SUTRA_REPLACE;
		step->cause = xstrdup("left by a deploy that was cut off");
	} else if (!old) {
		step->action = SUTRA_START;
		step->cause = xstrdup("not deployed");
	} else if (anew) {
		step->action = SUTRA_START;
		step->cause = xstrdup(anew);
	} else if (now.supervised && !now.running && now.last_exit == 0 &&
		   u->restart == SUTRA_RESTART_NO && hash && !strcmp(hash, u->hash)) {
		step->cause = xstrdup("done");
	} else if (!now.supervised || !now.running) {
		step->action = SUTRA_START;
		step->cause = xstrdup("not running");
	} else if (!hash) {
		step->action = SUTRA_REPLACE;
		step->cause = xstrdup("its record was lost");
	} else if (u->image && !same_image(u->image, image)) {
		step->action = SUTRA_REPLACE;
		step->field = xstrdup("image");
		step->old_value = image ? xstrdup(image) : NULL;
		step->new_value = xstrdup(u->image);
		step->cause = xstrdup("its image changed");
	} else if (strcmp(hash, u->hash) != 0) {
		step->action = SUTRA_REPLACE;
		find_change(u, old, step);
	} else if (changed_by_hand(u, old, &now)) {
		step->action = SUTRA_REPLACE;
		step->cause = xstrdup("its container was changed by hand");
	} else {
		step->cause = xstrdup("unchanged");
	}
}

/* What the record has and the edition has not. */
static void plan_surplus(const json_t *s, bool prune, struct sutra_step *step)
{
	const char *hash = json_string_value(json_object_get(s, "hash")),
		   *published = json_string_value(json_object_get(s, "published"));

	*step = (struct sutra_step){ .action = prune ? SUTRA_STOP : SUTRA_LEAVE,
				     .name = xstrdup(json_string_value(json_object_get(s, "name"))),
				     .cause = xstrdup("not in this edition"),
				     .old_hash = hash ? xstrdup(hash) : NULL,
				     .published = published ? xstrdup(published) : NULL };
}

/* Whether one host cannot listen on both, "address:port": 0.0.0.0 takes the port of every address. */
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

const struct sutra_step *sutra_plan_giver(const struct sutra_plan *p, const struct sutra_step *step)
{
	const struct sutra_step *s = holder_of(p, step);

	return s && s->action == SUTRA_STOP ? s : NULL;
}

/* A service that is left may not stand where one of the edition is to listen. */
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
		    const json_t *record, const char *state_dir, bool prune, struct sutra_plan *ret,
		    struct sutra_err *err)
{
	const json_t *list = json_object_get(record, "services"), *s;
	struct sutra_plan p = { .steps = xcalloc(n + json_array_size(list), sizeof(*p.steps)) };
	const char *anew = record && !rt->alive(state_dir) ? "its supervisor was killed" :
			   record && rt->outgrown && rt->outgrown(state_dir) ? "its supervisor may open fewer files" : NULL;
	size_t i;
	int rc;

	for (i = 0; i < n; i++)
		plan_unit(rt, &units[i], record, state_dir, anew, &p.steps[p.n++]);
	json_array_foreach(list, i, s)
	{
		const char *name = json_string_value(json_object_get(s, "name"));
		size_t u = 0;

		while (name && u < n && strcmp(units[u].name, name) != 0)
			u++;
		if (name && u == n)
			plan_surplus(s, prune, &p.steps[p.n++]);
	}
	for (i = 0; i < p.n; i++) {
		p.n_left += p.steps[i].action == SUTRA_LEAVE;
		p.n_changes += p.steps[i].action != SUTRA_KEEP && p.steps[i].action != SUTRA_LEAVE;
	}
	p.unfinished = record && !json_is_true(json_object_get(record, "complete"));
	rc = check_left(&p, err);
	if (rc)
		sutra_plan_release(&p);
	else
		*ret = p;
	return rc;
}

static json_t *string_or_null(const char *s) { return s ? json_string(s) : json_null(); }

json_t *sutra_plan_steps(const struct sutra_plan *p)
{
	json_t *steps = json_array();

	for (size_t i = 0; i < p->n; i++) {
		const struct sutra_step *s = &p->steps[i];
		json_t *step = json_object();

		json_object_set_new(step, "service", json_string(s->name));
		json_object_set_new(step, "action", json_string(sutra_action_name(s->action)));
		json_object_set_new(step, "cause", json_string(s->cause));
		json_object_set_new(step, "field", string_or_null(s->field));
		json_object_set_new(step, "old", string_or_null(s->old_value));
		json_object_set_new(step, "new", string_or_null(s->new_value));
		json_object_set_new(step, "from", string_or_null(s->old_hash));
		json_object_set_new(step, "to", string_or_null(s->unit ? s->unit->hash : NULL));
		json_array_append_new(steps, step);
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
