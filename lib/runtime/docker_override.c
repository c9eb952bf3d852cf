#include <stdio.h>

#include "base/file.h"
#include "runtime/docker.h"
#include "compose/yaml.h"

/* A text as a compose file holds it: every $ is doubled. */
static json_t *literal(const char *text)
{
	struct sutra_buf b;
	json_t *o;

	sutra_buf_init(&b, 2 * SUTRA_MAX_VALUE);
	for (; *text; text++) {
		if (*text == '$')
			sutra_buf_addc(&b, '$');
		sutra_buf_addc(&b, *text);
	}
	o = sutra_buf_error(&b) ? NULL : json_string(sutra_buf_str(&b));
	sutra_buf_release(&b);
	return o;
}

/* The override holds the images of a generation, and the environments as they were read here: compose makes
 * 1.1 of 1.10 and reads some env_files in another way. */
static json_t *override_of(const struct sutra_desired *d)
{
	json_t *services = json_object(), *image;
	const char *name;

	json_object_foreach (d->images, name, image) {
		json_object_set_new(services, name, json_pack("{s:O}", "image", image));
	}
	for (size_t i = 0; i < d->selected->n_services; i++) {
		const struct sutra_service *e = &d->selected->services[i];
		json_t *o = json_object_get(services, e->name), *env;

		if (!e->env.n)
			continue;
		if (!o)
			json_object_set_new(services, e->name, o = json_object());
		json_object_set_new(o, "environment", env = json_object());
		for (size_t k = 0; k < e->env.n; k++)
			json_object_set_new(env, e->env.items[k].key, literal(e->env.items[k].value));
	}
	return services;
}

int sutra_docker_override(const struct sutra_scene *s, char *path, size_t size, struct sutra_err *err)
{
	json_t *services = override_of(s->desired), *file = json_pack("{s:s, s:O}", "version", "3.8", "services", services);
	struct sutra_buf b;
	int rc = 0;

	snprintf(path, size, "%s/override.yml", s->state_dir);
	sutra_buf_init(&b, 64 << 20);
	sutra_yaml_add(&b, file);
	if (!json_object_size(services))
		*path = '\0';
	else
		rc = sutra_buf_error(&b) ? sutra_fail(err, b.error, "%s cannot be written", path) :
					   sutra_file_write(path, b.data, b.len, 0600, err);
	sutra_buf_release(&b);
	json_decref(file);
	json_decref(services);
	return rc;
}
