#include "deploy/record.h"

#include <dirent.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/jsonio.h"
#include "compose/config.h"

enum { MAX_RECORD = 4 << 20 };

static bool is_service(const json_t *o)
{
	static const char *const needed[] = { "name", "program", "address", "group", "hash" };

	for (size_t i = 0; i < sizeof(needed) / sizeof(*needed); i++)
		if (!json_is_string(json_object_get(o, needed[i])))
			return false;
	return true;
}

static int check(const json_t *record, const char *path, struct sutra_err *err)
{
	const char *schema = json_string_value(json_object_get(record, "schema"));
	const json_t *services = json_object_get(record, "services"), *s;
	size_t i;

	if (!schema || strcmp(schema, "sutra.deployment/1") != 0 || !json_is_array(services))
		return sutra_fail(err, SUTRA_E_CORRUPT, "%s is no record of a deployment", path);
	json_array_foreach (services, i, s)
		if (!is_service(s))
			return sutra_fail(err, SUTRA_E_CORRUPT, "%s: service %zu lacks a field", path, i);
	return 0;
}

int sutra_record_load(const char *state_dir, json_t **ret, struct sutra_err *err)
{
	char *path = xasprintf("%s/deployment.json", state_dir);
	json_t *record = NULL;
	int rc = sutra_json_read(path, MAX_RECORD, &record, err);

	if (!rc)
		rc = check(record, path, err);
	if (rc == SUTRA_E_NOTFOUND) {
		sutra_fail(err, rc, "nothing is deployed (no record in %s)", state_dir);
		sutra_hint(err, "sutra deploy starts the stack");
	} else if (rc) {
		sutra_hint(err, "sutra deploy writes it anew");
	}
	if (rc)
		json_decref(record);
	else
		*ret = record;
	sutra_free(path);
	return rc;
}

json_t *sutra_record_recover(const char *state_dir)
{
	char *path = xasprintf("%s/native/services", state_dir);
	json_t *list = json_array();
	DIR *d = opendir(path);
	struct dirent *e;

	while (d && (e = readdir(d)))
		if (e->d_name[0] != '.')
			json_array_append_new(list, json_pack("{s:s}", "name", e->d_name));
	if (d)
		closedir(d);
	sutra_free(path);
	if (json_array_size(list))
		return json_pack("{s:o}", "services", list);
	json_decref(list);
	return NULL;
}

int sutra_record_save(const char *state_dir, const json_t *record, struct sutra_err *err)
{
	char *path = xasprintf("%s/deployment.json", state_dir);
	struct sutra_buf b;
	int rc;

	sutra_buf_init(&b, MAX_RECORD);
	sutra_json_add(&b, record, 1);
	rc = sutra_buf_error(&b) ? sutra_fail(err, b.error, "the record cannot be written") :
				   sutra_file_write(path, b.data, b.len, 0600, err);
	sutra_buf_release(&b);
	sutra_free(path);
	return rc;
}

json_t *sutra_record_service(const struct sutra_unit *u, const char *container, const char *compose_file)
{
	json_t *o = json_object(), *env = json_object(), *needs = json_array(), *argv = json_array();

	json_object_set_new(o, "name", json_string(u->name));
	json_object_set_new(o, "group", json_string(u->group));
	json_object_set_new(o, "program", json_string(u->program));
	json_object_set_new(o, "address", json_string(u->address));
	json_object_set_new(o, "published", u->published ? json_string(u->published) : json_null());
	json_object_set_new(o, "health_url", u->health_url ? json_string(u->health_url) : json_null());
	json_object_set_new(o, "hash", json_string(u->hash));
	json_object_set_new(o, "user", u->user ? json_string(u->user) : json_null());
	json_object_set_new(o, "image", u->image ? json_string(u->image) : json_null());
	json_object_set_new(o, "container", json_string(container));
	json_object_set_new(o, "compose_file", json_string(compose_file));
	json_object_set_new(o, "one_shot", json_boolean(u->restart == SUTRA_RESTART_NO));
	json_object_set_new(o, "memory_limit", json_integer((json_int_t)u->memory_limit));
	json_object_set_new(o, "start_period_ns", json_integer((json_int_t)u->health.start_period_ns));
	json_object_set_new(o, "stop_grace_ns", json_integer((json_int_t)u->stop_grace_ns));
	for (size_t i = 0; i < u->n_depends_on; i++)
		json_array_append_new(needs, json_string(u->depends_on[i].service));
	for (size_t i = 0; i < u->env.n; i++)
		if (!sutra_config_is_secret(u->env.items[i].key))
			json_object_set_new(env, u->env.items[i].key, json_string(u->env.items[i].value));
	for (size_t i = 0; i < u->argv.n; i++)
		json_array_append_new(argv, json_string(u->argv.items[i]));
	json_object_set_new(o, "command", argv);
	json_object_set_new(o, "depends_on", needs);
	json_object_set_new(o, "environment", env);
	return o;
}

json_t *sutra_record_find(const json_t *record, const char *name)
{
	json_t *list = json_object_get(record, "services"), *s;
	size_t i;

	json_array_foreach (list, i, s) {
		const char *have = json_string_value(json_object_get(s, "name"));

		if (have && !strcmp(have, name))
			return s;
	}
	return NULL;
}

void sutra_record_put(json_t *record, const char *name, json_t *service)
{
	json_t *list = json_object_get(record, "services"), *old = sutra_record_find(record, name);
	size_t i = 0;

	while (i < json_array_size(list) && json_array_get(list, i) != old)
		i++;
	if (old)
		json_array_remove(list, i);
	if (service)
		json_array_insert_new(list, i, service);
}
