#include "stack/plan.h"

#include <string.h>

#include "base/alloc.h"
#include "stack/config.h"

const char *sutra_action_name(enum sutra_action a)
{
	static const char *const names[] = { "keep", "start", "replace", "stop" };

	return names[a];
}

static const json_t *recorded(const json_t *record, const char *name)
{
	const json_t *list = json_object_get(record, "services"), *s;
	size_t i;

	json_array_foreach(list, i, s)
	{
		const char *have = json_string_value(json_object_get(s, "name"));

		if (have && !strcmp(have, name))
			return s;
	}
	return NULL;
}

/* The first variable that differs becomes the step's field; without one it is the program. */
static void find_change(const struct sutra_unit *u, const json_t *old, struct sutra_step *step)
{
	json_t *env = json_object_get(old, "environment"), *value;
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

/* orphaned: the supervisor is gone, so that what still runs is watched by nobody. */
static void plan_unit(const struct sutra_runtime *rt, const struct sutra_unit *u, const json_t *record,
		      const char *state_dir, bool orphaned, struct sutra_step *step)
{
	const json_t *old = recorded(record, u->name);
	const char *hash = json_string_value(json_object_get(old, "hash"));
	const char *image = json_string_value(json_object_get(old, "image"));
	struct sutra_supervised now;

	*step = (struct sutra_step){ .unit = u, .name = xstrdup(u->name) };
	rt->observe(state_dir, u->name, &now);
	if (!old) {
		step->action = SUTRA_START;
		step->cause = xstrdup("not deployed");
	} else if (orphaned) {
		step->action = SUTRA_START;
		step->cause = xstrdup("its supervisor was killed");
	} else if (!now.supervised || !now.running) {
		step->action = SUTRA_START;
		step->cause = xstrdup("not running");
	} else if (!hash) {
		step->action = SUTRA_REPLACE;
		step->cause = xstrdup("its record was lost");
	} else if (u->image && strcmp(u->image, image ? image : "") != 0) {
		step->action = SUTRA_REPLACE;
		step->field = xstrdup("image");
		step->old_value = image ? xstrdup(image) : NULL;
		step->new_value = xstrdup(u->image);
		step->cause = xstrdup("its image changed");
	} else if (strcmp(hash, u->hash) != 0) {
		step->action = SUTRA_REPLACE;
		find_change(u, old, step);
	} else {
		step->cause = xstrdup("unchanged");
	}
}

int sutra_plan_make(const struct sutra_runtime *rt, const struct sutra_unit *units, size_t n,
		    const json_t *record, const char *state_dir, struct sutra_plan *ret, struct sutra_err *err)
{
	const json_t *list = json_object_get(record, "services"), *s;
	struct sutra_plan p = { .steps = xcalloc(n + json_array_size(list), sizeof(*p.steps)) };
	bool orphaned = record && !rt->alive(state_dir);
	size_t i;

	for (i = 0; i < n; i++)
		plan_unit(rt, &units[i], record, state_dir, orphaned, &p.steps[p.n++]);
	json_array_foreach(list, i, s)
	{
		const char *name = json_string_value(json_object_get(s, "name"));
		size_t u = 0;

		while (name && u < n && strcmp(units[u].name, name) != 0)
			u++;
		if (name && u == n)
			p.steps[p.n++] = (struct sutra_step){ .action = SUTRA_STOP,
							      .name = xstrdup(name),
							      .cause = xstrdup("not in this edition") };
	}
	for (i = 0; i < p.n; i++)
		p.n_changes += p.steps[i].action != SUTRA_KEEP;
	p.unfinished = record && !json_is_true(json_object_get(record, "complete"));
	*ret = p;
	return 0;
}

void sutra_plan_release(struct sutra_plan *p)
{
	for (size_t i = 0; i < p->n; i++) {
		sutra_free(p->steps[i].name);
		sutra_free(p->steps[i].cause);
		sutra_free(p->steps[i].field);
		sutra_free(p->steps[i].old_value);
		sutra_free(p->steps[i].new_value);
	}
	sutra_free(p->steps);
	*p = (struct sutra_plan){ 0 };
}
