#include "compose/compose_parts.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "compose/dotenv.h"

enum { MAX_NAME = 255 };

/* value NULL: the value is that of the lookup; without one, the variable is left out. */
static int set_env(struct reader *r, struct sutra_env *env, const char *key, const char *value)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-[]";

	if (!*key || key[strspn(key, letters)] || *key == '.' || strlen(key) > MAX_NAME)
		return sutra_reader_fail(r, "environment: \"%.60s\" is no name of a variable", key);
	if (!value)
		value = r->lookup(r->ctx, key);
	return value && sutra_env_set(env, key, value) ? sutra_reader_fail(r, "out of memory") : 0;
}

static int env_pair(struct reader *r, const char *key, struct fy_node *n, void *env)
{
	char *value = NULL, what[300];
	int rc;

	snprintf(what, sizeof(what), "environment.%s", key);
	rc = sutra_reader_is_null(n) ? 0 : sutra_reader_string(r, n, &value, what);
	rc = rc ? rc : set_env(r, env, key, value);
	sutra_free(value);
	return rc;
}

int sutra_service_environment(struct reader *r, struct fy_node *n, void *service, const char *what)
{
	struct sutra_env *env = &((struct sutra_service *)service)->env;
	struct sutra_strv list = { 0 };
	int rc;

	if (!n || !fy_node_is_sequence(n))
		return sutra_reader_pairs(r, n, what, env_pair, env);
	rc = sutra_reader_strings(r, n, &list, what);
	for (size_t i = 0; i < list.n && !rc; i++) {
		char *eq = strchr(list.items[i], '=');

		if (eq)
			*eq = '\0';
		rc = set_env(r, env, list.items[i], eq ? eq + 1 : NULL);
	}
	sutra_strv_release(&list);
	return rc;
}

static const struct reader_key file_keys[] = {
	READER_FIELD("path", sutra_reader_string, sutra_env_file, path),
	READER_FIELD("required", sutra_reader_bool, sutra_env_file, required),
	{ 0 },
};

static int add_file(struct reader *r, struct fy_node *n, void *service, const char *what)
{
	struct sutra_service *s = service;
	struct sutra_env_file *grown = sutra_realloc_array(s->env_files, s->n_env_files + 1, sizeof(*grown)), *f;
	int rc;

	if (!grown)
		return sutra_reader_fail(r, "out of memory");
	s->env_files = grown;
	f = &grown[s->n_env_files++];
	*f = (struct sutra_env_file){ .required = true };
	rc = n && fy_node_is_mapping(n) ? sutra_reader_mapping(r, n, what, file_keys, f) :
					  sutra_reader_string(r, n, &f->path, what);
	f->line = r->line;
	return rc || f->path ? rc : sutra_reader_fail(r, "%s wants a path", what);
}

int sutra_service_env_file(struct reader *r, struct fy_node *n, void *service, const char *what)
{
	return sutra_reader_items(r, n, what, add_file, service);
}

struct sources {	/* of variables in an env_file: the lookup, then the environment of the service */
	struct reader *r;
	const struct sutra_env *env;
};

static const char *variable(void *ctx, const char *name)
{
	const struct sources *b = ctx;
	const char *value = b->r->lookup(b->r->ctx, name);

	return value ? value : sutra_env_get(b->env, name);
}

int sutra_service_env_files_load(struct reader *r, struct sutra_service *s, const char *what)
{
	struct sources sources = { r, &s->env };
	const struct sutra_dotenv how = { .lookup = variable, .ctx = &sources, .unset = r->unset };
	const char *slash = strrchr(r->file, '/');
	struct sutra_env all = { 0 };
	struct sutra_err why = { 0 };
	int rc = 0;

	for (size_t i = 0; i < s->n_env_files && !rc; i++) {
		const struct sutra_env_file *f = &s->env_files[i];
		char *path = f->path[0] == '/' || !slash ?
				     sutra_strdup(f->path) :
				     sutra_asprintf("%.*s/%s", (int)(slash - r->file), r->file, f->path);

		r->line = f->line;
		if (path && (f->required || sutra_is_file(path)))
			rc = sutra_dotenv_read(path, &how, &all, &why);
		if (rc || !path) {
			rc = sutra_reader_fail(r, "%s.env_file: %s", what, path ? why.message : "out of memory");
			sutra_hint(r->err, "%s", why.hint);
		}
		sutra_free(path);
	}
	for (size_t i = 0; i < all.n && !rc; i++)
		if (!sutra_env_get(&s->env, all.items[i].key))
			rc = set_env(r, &s->env, all.items[i].key, all.items[i].value);
	sutra_env_release(&all);
	return rc;
}

void sutra_service_env_release(struct sutra_service *s)
{
	for (size_t i = 0; i < s->n_env_files; i++)
		sutra_free(s->env_files[i].path);
	sutra_free(s->env_files);
	sutra_env_release(&s->env);
}
