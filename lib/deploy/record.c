#include "deploy/record.h"

#include <stddef.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/jsonio.h"
#include "compose/config.h"
#include "runtime/runit.h"

#define SCHEMA "sutra.deployment/"

enum { FORMAT = 1, MAX_RECORD = 4 << 20 };

enum field_type { TEXT, NUMBER, FLAG, END };

/* A member of a struct, by whose name the document has it. */
struct field {
	const char *key;
	enum field_type type;
	size_t offset;
};

#define FIELD(of, type, member) { #member, type, offsetof(struct of, member) }

static const struct field record_fields[] = {
	FIELD(sutra_record, TEXT, project), FIELD(sutra_record, TEXT, runtime), FIELD(sutra_record, TEXT, edition),
	FIELD(sutra_record, TEXT, deployed_at), FIELD(sutra_record, NUMBER, dimension),
	FIELD(sutra_record, NUMBER, generation), FIELD(sutra_record, FLAG, cache_enabled),
	FIELD(sutra_record, FLAG, complete), { NULL, END, 0 },
};

static const struct field unit_fields[] = {
	FIELD(sutra_unit, TEXT, name), FIELD(sutra_unit, TEXT, group), FIELD(sutra_unit, TEXT, program),
	FIELD(sutra_unit, TEXT, address), FIELD(sutra_unit, TEXT, published), FIELD(sutra_unit, TEXT, health_url),
	FIELD(sutra_unit, TEXT, hash), FIELD(sutra_unit, TEXT, user), FIELD(sutra_unit, TEXT, image),
	FIELD(sutra_unit, TEXT, container), FIELD(sutra_unit, TEXT, compose_file),
	FIELD(sutra_unit, NUMBER, memory_limit), FIELD(sutra_unit, NUMBER, start_period_ns),
	FIELD(sutra_unit, NUMBER, stop_grace_ns), { NULL, END, 0 },
};

static const struct field balancer_fields[] = {
	FIELD(sutra_balancer, TEXT, service), FIELD(sutra_balancer, TEXT, group), FIELD(sutra_balancer, TEXT, stats),
	FIELD(sutra_balancer, FLAG, credentials), { NULL, END, 0 },
};

/* --- reading --- */

static char *text_of(const json_t *o)
{
	const char *s = json_string_value(o);

	return s ? xstrdup(s) : NULL;
}

static void read_fields(const json_t *o, const struct field *f, void *to)
{
	for (; f->key; f++) {
		const json_t *v = json_object_get(o, f->key);
		void *at = (char *)to + f->offset;

		if (f->type == TEXT)
			*(char **)at = text_of(v);
		else if (f->type == NUMBER)
			*(int64_t *)at = json_integer_value(v);
		else
			*(bool *)at = json_is_true(v);
	}
}

static void read_unit(const json_t *o, struct sutra_unit *u)
{
	json_t *needs = json_object_get(o, "depends_on"), *argv = json_object_get(o, "command"),
	       *env = json_object_get(o, "environment"), *v;
	const char *key;
	size_t i;

	*u = (struct sutra_unit){ .restart = json_is_true(json_object_get(o, "one_shot")) ? SUTRA_RESTART_NO :
											      SUTRA_RESTART_ALWAYS };
	read_fields(o, unit_fields, u);
	u->depends_on = xcalloc(json_array_size(needs), sizeof(*u->depends_on));
	json_array_foreach (needs, i, v)
		if (json_is_string(v))
			u->depends_on[u->n_depends_on++].service = text_of(v);
	json_array_foreach (argv, i, v)
		if (json_is_string(v))
			sutra_strv_add(&u->argv, json_string_value(v));
	json_object_foreach (env, key, v)
		if (json_is_string(v))
			sutra_env_set(&u->env, key, json_string_value(v));
}

static void read_balancers(const json_t *list, const char *state_dir, struct sutra_record *r)
{
	const json_t *o;
	size_t i;

	r->balancers = xcalloc(json_array_size(list), sizeof(*r->balancers));
	json_array_foreach (list, i, o) {
		struct sutra_balancer *b = &r->balancers[r->n_balancers++];

		read_fields(o, balancer_fields, b);
		if (b->service && b->group && b->stats)
			b->csv = sutra_balancer_url(state_dir, b);
		else
			sutra_balancer_release(&r->balancers[--r->n_balancers]);
	}
}

static struct sutra_record *read_record(const json_t *o, const char *state_dir)
{
	json_t *services = json_object_get(o, "services"), *hosts = json_object_get(o, "addresses"), *v;
	struct sutra_record *r = xcalloc(1, sizeof(*r));
	const char *name;
	size_t i;

	read_fields(o, record_fields, r);
	json_object_foreach (hosts, name, v) {
		sutra_hosts_add(&r->hosts, name, (unsigned)json_integer_value(v));
	}
	read_balancers(json_object_get(o, "balancers"), state_dir, r);
	r->units = xcalloc(json_array_size(services), sizeof(*r->units));
	json_array_foreach (services, i, v) {
		read_unit(v, &r->units[r->n++]);
	}
	return r;
}

static bool is_service(const json_t *o)
{
	static const char *const needed[] = { "name", "program", "address", "group", "hash" };

	for (size_t i = 0; i < sizeof(needed) / sizeof(*needed); i++)
		if (!json_is_string(json_object_get(o, needed[i])))
			return false;
	return true;
}

static int check(const json_t *o, const char *path, struct sutra_err *err)
{
	const char *schema = json_string_value(json_object_get(o, "schema"));
	const json_t *services = json_object_get(o, "services"), *s;
	int64_t format = 0;
	size_t i;

	if (schema && sutra_str_starts(schema, SCHEMA))
		sutra_str_int(schema + strlen(SCHEMA), 1, INT32_MAX, &format);
	if (format > FORMAT) {
		sutra_fail(err, SUTRA_E_UNSUPPORTED, "%s has the format %s; this sutra knows up to " SCHEMA "%d", path, schema,
			   FORMAT);
		return sutra_hint(err, "use the sutra that deployed it, or a newer one");
	}
	if (!format || !json_is_array(services))
		return sutra_fail(err, SUTRA_E_CORRUPT, "%s is no record of a deployment", path);
	json_array_foreach (services, i, s)
		if (!is_service(s))
			return sutra_fail(err, SUTRA_E_CORRUPT, "%s: service %zu lacks a field", path, i);
	return 0;
}

int sutra_record_load(const char *state_dir, struct sutra_record **ret, struct sutra_err *err)
{
	char *path = xasprintf("%s/deployment.json", state_dir);
	json_t *o = NULL;
	int rc = sutra_json_read(path, MAX_RECORD, &o, err);

	if (!rc)
		rc = check(o, path, err);
	if (rc == SUTRA_E_NOTFOUND) {
		sutra_fail(err, rc, "nothing is deployed (no record in %s)", state_dir);
		sutra_hint(err, "sutra deploy starts the stack");
	} else if (rc && rc != SUTRA_E_UNSUPPORTED) {
		sutra_hint(err, "sutra deploy writes it anew");
	}
	if (!rc)
		*ret = read_record(o, state_dir);
	json_decref(o);
	sutra_free(path);
	return rc;
}

int sutra_record_recover(const char *state_dir, struct sutra_record **ret, struct sutra_err *err)
{
	struct sutra_strv names = { 0 };
	struct sutra_record *r = NULL;
	int rc = sutra_record_load(state_dir, &r, err);

	if (rc == SUTRA_E_UNSUPPORTED)
		return rc;
	if (rc)
		sutra_runit_services(state_dir, &names);
	if (names.n) {
		r = xcalloc(1, sizeof(*r));
		r->units = xcalloc(names.n, sizeof(*r->units));
		for (; r->n < names.n; r->n++)
			r->units[r->n].name = xstrdup(names.items[r->n]);
	}
	sutra_strv_release(&names);
	*ret = r;
	return 0;
}

/* --- writing --- */

static void write_fields(json_t *o, const struct field *f, const void *from)
{
	for (; f->key; f++) {
		const void *at = (const char *)from + f->offset;
		const char *text = f->type == TEXT ? *(char *const *)at : NULL;

		if (f->type == TEXT)
			json_object_set_new(o, f->key, text ? json_string(text) : json_null());
		else
			json_object_set_new(o, f->key, f->type == FLAG ? json_boolean(*(const bool *)at) :
									 json_integer(*(const int64_t *)at));
	}
}

static json_t *unit_document(const struct sutra_unit *u)
{
	json_t *o = json_object(), *env = json_object(), *needs = json_array(), *argv = json_array();

	write_fields(o, unit_fields, u);
	json_object_set_new(o, "one_shot", json_boolean(u->restart == SUTRA_RESTART_NO));
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

json_t *sutra_record_document(const struct sutra_record *r)
{
	json_t *o = json_object(), *hosts = json_object(), *balancers = json_array(), *services = json_array();

	write_fields(o, record_fields, r);
	for (size_t i = 0; i < r->hosts.n; i++)
		json_object_set_new(hosts, r->hosts.items[i].service, json_integer(r->hosts.items[i].n));
	for (size_t i = 0; i < r->n_balancers; i++) {
		json_array_append_new(balancers, json_object());
		write_fields(json_array_get(balancers, i), balancer_fields, &r->balancers[i]);
	}
	for (size_t i = 0; i < r->n; i++)
		json_array_append_new(services, unit_document(&r->units[i]));
	json_object_set_new(o, "schema", json_sprintf(SCHEMA "%d", FORMAT));
	json_object_set_new(o, "addresses", hosts);
	json_object_set_new(o, "balancers", balancers);
	json_object_set_new(o, "services", services);
	return o;
}

int sutra_record_save(const char *state_dir, const struct sutra_record *r, struct sutra_err *err)
{
	char *path = xasprintf("%s/deployment.json", state_dir);
	json_t *o = sutra_record_document(r);
	int rc = sutra_json_write(path, MAX_RECORD, o, err);

	json_decref(o);
	sutra_free(path);
	return rc;
}

/* --- in memory --- */

void sutra_record_free(struct sutra_record *r)
{
	if (!r)
		return;
	sutra_free(r->project);
	sutra_free(r->runtime);
	sutra_free(r->edition);
	sutra_free(r->deployed_at);
	sutra_hosts_release(&r->hosts);
	sutra_balancers_free(r->balancers, r->n_balancers);
	sutra_units_free(r->units, r->n);
	sutra_free(r);
}

const struct sutra_unit *sutra_record_find(const struct sutra_record *r, const char *name)
{
	return r ? sutra_units_find(r->units, r->n, name) : NULL;
}

void sutra_record_put(struct sutra_record *r, const struct sutra_unit *u, const char *container,
		      const char *compose_file)
{
	size_t at = 0;
	json_t *o;

	while (at < r->n && strcmp(r->units[at].name, u->name) != 0)
		at++;
	if (at == r->n)
		r->units = xrealloc_array(r->units, ++r->n, sizeof(*r->units));
	else
		sutra_unit_release(&r->units[at]);
	o = unit_document(u);	/* a copy of what the file holds, without secrets */
	read_unit(o, &r->units[at]);
	json_decref(o);
	sutra_free(r->units[at].container);
	sutra_free(r->units[at].compose_file);
	r->units[at].container = xstrdup(container);
	r->units[at].compose_file = xstrdup(compose_file);
}

void sutra_record_remove(struct sutra_record *r, const char *name)
{
	const struct sutra_unit *u = sutra_record_find(r, name);
	size_t at = u ? (size_t)(u - r->units) : r->n;

	if (!u)
		return;
	sutra_unit_release(&r->units[at]);
	memmove(&r->units[at], &r->units[at + 1], (--r->n - at) * sizeof(*r->units));
}

bool sutra_record_uses(const struct sutra_record *r, const char *folder)
{
	for (size_t i = 0; i < r->n; i++) {
		const struct sutra_unit *u = &r->units[i];

		if (u->compose_file && strstr(u->compose_file, folder))
			return true;
		for (size_t k = 0; k < u->argv.n; k++)
			if (strstr(u->argv.items[k], folder))
				return true;
		for (size_t k = 0; k < u->env.n; k++)
			if (strstr(u->env.items[k].value, folder))
				return true;
	}
	return false;
}
