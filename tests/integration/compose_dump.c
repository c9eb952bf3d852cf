/* compose_dump FILE PROFILE... - our reading of a compose file as JSON; with OVERRIDE=FOLDER what the
 * docker runtime would tell compose beside that file is written there. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "compose/compose.h"
#include "runtime/docker.h"

static const char *from_environment(void *ctx, const char *name) { return getenv(name); }

static json_t *list_of(const struct sutra_strv *v)
{
	json_t *list = json_array();

	for (size_t i = 0; i < v->n; i++)
		json_array_append_new(list, json_string(v->items[i]));
	return list;
}

static json_t *dump(const struct sutra_service *s)
{
	static const char *const restarts[] = { "no", "always", "on-failure", "unless-stopped" };
	json_t *env = json_object(), *ports = json_array(), *o;
	struct sutra_strv needs = { 0 };

	for (size_t i = 0; i < s->env.n; i++)
		json_object_set_new(env, s->env.items[i].key, json_string(s->env.items[i].value));
	for (size_t i = 0; i < s->n_ports; i++)
		json_array_append_new(ports, json_sprintf("%d:%d", s->ports[i].published, s->ports[i].target));
	for (size_t i = 0; i < s->n_depends_on; i++)
		sutra_strv_add(&needs, s->depends_on[i].service);
	sutra_strv_sort(&needs);
	o = json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:s}", "image", s->image, "command",
			 list_of(&s->command), "environment", env, "ports", ports, "depends_on",
			 list_of(&needs), "health_test", list_of(&s->health.test), "restart",
			 restarts[s->restart]);
	sutra_strv_release(&needs);
	return o;
}

int main(int argc, char **argv)
{
	struct sutra_strv profiles = { 0 };
	json_t *all = json_object();
	struct sutra_compose *c;
	struct sutra_err err;
	char path[512];
	struct sutra_desired desired = { 0 };

	for (int i = 2; i < argc; i++)
		sutra_strv_add(&profiles, argv[i]);
	if (argc < 2 || sutra_compose_read(argv[1], from_environment, NULL, &c, &err) ||
	    sutra_compose_select(c, &profiles, &err)) {
		fprintf(stderr, "compose_dump: %s\n", argc < 2 ? "which file?" : err.message);
		return 1;
	}
	desired.selected = c;
	if (getenv("OVERRIDE") && sutra_docker_override(&(struct sutra_scene){ .state_dir = getenv("OVERRIDE"), .desired = &desired },
							path, sizeof(path), &err)) {
		fprintf(stderr, "compose_dump: %s\n", err.message);
		return 1;
	}
	for (size_t i = 0; i < c->n_services; i++)
		json_object_set_new(all, c->services[i].name, dump(&c->services[i]));
	json_dumpf(all, stdout, JSON_SORT_KEYS);
	json_decref(all);
	sutra_compose_free(c);
	sutra_strv_release(&profiles);
	return 0;
}
