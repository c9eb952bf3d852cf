#include "compose/compose.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "compose/compose_reader.h"
#include "compose/compose_service.h"
#include "compose/config.h"
#include "compose/yaml.h"

enum { MAX_FILE = 256 << 10, MAX_SERVICES = 512 };

static int read_name(struct reader *r, struct fy_node *n, void *object, const char *what)
{
	struct sutra_compose *c = object;
	int rc = sutra_reader_string(r, n, &c->name, what);

	return rc ? rc : sutra_reader_name(r, c->name, what);
}

static int read_version(struct reader *r, struct fy_node *n, void *object, const char *what)
{
	char *text;
	int rc = sutra_reader_string(r, n, &text, what);

	sutra_free(rc ? NULL : text);
	return rc;
}

static int read_one_service(struct reader *r, const char *key, struct fy_node *value, void *object)
{
	struct sutra_compose *c = object;
	struct sutra_service *grown;

	if (c->n_services == MAX_SERVICES)
		return sutra_reader_fail(r, "more than %d services", MAX_SERVICES);
	grown = sutra_realloc_array(c->services, c->n_services + 1, sizeof(*grown));
	if (!grown)
		return sutra_reader_fail(r, "out of memory");
	c->services = grown;
	return sutra_service_read(r, key, value, &c->services[c->n_services++]);
}

static int read_services(struct reader *r, struct fy_node *n, void *object, const char *what)
{
	return sutra_reader_pairs(r, n, what, read_one_service, object);
}

static const struct reader_key volume_keys[] = {
	READER_SKIP("driver"),
	READER_SKIP("driver_opts"),
	READER_SKIP("labels"),
	READER_OBJECT("name", sutra_reader_name_skip),
	READER_SKIP("external"),
	READER_OBJECT("x-sutra-size", sutra_reader_size),	/* the object is the volume's size */
	{ 0 },
};

static int read_one_volume(struct reader *r, const char *key, struct fy_node *value, void *object)
{
	struct sutra_compose *c = object;
	uint64_t *sizes = sutra_realloc_array(c->volume_sizes, c->volumes.n + 1, sizeof(*sizes));
	char what[300];

	if (!sizes)
		return sutra_reader_fail(r, "out of memory");
	c->volume_sizes = sizes;
	sizes[c->volumes.n] = 0;
	if (sutra_strv_add(&c->volumes, key))
		return sutra_reader_fail(r, "out of memory");
	snprintf(what, sizeof(what), "volumes.%s", key);
	if (sutra_reader_name(r, key, "volumes"))
		return SUTRA_E_SETTING;
	return sutra_reader_mapping(r, value, what, volume_keys, &sizes[c->volumes.n - 1]);
}

static int read_volumes(struct reader *r, struct fy_node *n, void *object, const char *what)
{
	return sutra_reader_pairs(r, n, what, read_one_volume, object);
}

static int check_key(struct reader *r, const char *key, struct fy_node *value, void *what)
{
	return sutra_reader_name(r, key, what);
}

/* Checks the names of networks, configs and secrets; the engine reads the rest. */
static int read_declared(struct reader *r, struct fy_node *n, void *object, const char *what)
{
	return sutra_reader_pairs(r, n, what, check_key, (void *)(uintptr_t)what);
}

static const struct reader_key top_keys[] = {
	READER_OBJECT("version", read_version),
	READER_OBJECT("name", read_name),
	READER_OBJECT("services", read_services),
	READER_OBJECT("volumes", read_volumes),
	READER_OBJECT("networks", read_declared),
	READER_OBJECT("configs", read_declared),
	READER_OBJECT("secrets", read_declared),
	{ 0 },
};

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct sutra_service *)a)->name, ((const struct sutra_service *)b)->name);
}

/* Checks that the dependencies of s exist and form no circle. mark: 1 while s is visited, 2 afterwards. */
static int visit(const struct sutra_compose *c, const struct sutra_service *s, unsigned char *mark,
		 struct sutra_err *err)
{
	size_t at = (size_t)(s - c->services);

	if (mark[at] == 2)
		return 0;
	if (mark[at] == 1)
		return sutra_fail(err, SUTRA_E_SETTING, "%s:%d: services.%s depends on itself in a circle",
				  c->file, s->line, s->name);
	mark[at] = 1;
	for (size_t i = 0; i < s->n_depends_on; i++) {
		const struct sutra_service *d = sutra_compose_find(c, s->depends_on[i].service);
		int rc;

		if (!d)
			return sutra_fail(err, SUTRA_E_SETTING,
					  "%s:%d: services.%s depends on \"%s\", which is not in the file",
					  c->file, s->depends_on[i].line, s->name, s->depends_on[i].service);
		rc = visit(c, d, mark, err);
		if (rc)
			return rc;
	}
	mark[at] = 2;
	return 0;
}

static int check_whole(const struct sutra_compose *c, struct sutra_err *err)
{
	unsigned char *mark;
	int rc = 0;

	if (!c->n_services)
		return sutra_fail(err, SUTRA_E_SETTING, "%s: there are no services", c->file);
	for (size_t i = 0; i < c->n_services; i++)
		for (size_t v = 0; v < c->services[i].n_volumes; v++)
			if (c->services[i].volumes[v].named &&
			    !sutra_strv_has(&c->volumes, c->services[i].volumes[v].source))
				return sutra_fail(err, SUTRA_E_SETTING,
						  "%s:%d: services.%s uses the volume \"%s\", which is not declared",
						  c->file, c->services[i].line, c->services[i].name,
						  c->services[i].volumes[v].source);
	mark = sutra_calloc(c->n_services, 1);
	if (!mark)
		return sutra_fail(err, SUTRA_E_NOMEM, "out of memory");
	for (size_t i = 0; i < c->n_services && !rc; i++)
		rc = visit(c, &c->services[i], mark, err);
	sutra_free(mark);
	return rc;
}

int sutra_compose_parse(const char *text, size_t n, const char *file, sutra_lookup *lookup, void *ctx,
			struct sutra_compose **ret, struct sutra_err *err)
{
	struct sutra_compose *c = sutra_calloc(1, sizeof(*c));
	struct reader r = { .file = file, .lookup = lookup, .ctx = ctx, .unset = c ? &c->unset : NULL, .err = err,
			    .line = 1 };
	struct fy_document *doc = NULL;
	int rc;

	if (!c || !(c->file = sutra_strdup(file))) {
		rc = sutra_fail(err, SUTRA_E_NOMEM, "out of memory reading %s", file);
		goto out;
	}
	rc = sutra_yaml_load(text, n, file, &doc, err);
	rc = rc ? rc : sutra_reader_mapping(&r, fy_document_root(doc), "the file", top_keys, c);
	if (!rc) {
		if (c->n_services)
			qsort(c->services, c->n_services, sizeof(*c->services), by_name);
		rc = check_whole(c, err);
	}
out:
	fy_document_destroy(doc);
	if (rc)
		sutra_compose_free(c);
	else
		*ret = c;
	return rc;
}

/* Compose merges these files into the default file, or reads them instead of it; sutra reads one file. */
static int refuse_others(const char *path, struct sutra_err *err)
{
	static const char *const others[] = { "docker-compose.override.yml", "docker-compose.override.yaml",
					      "compose.override.yml", "compose.override.yaml", "compose.yaml",
					      "compose.yml" };
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	int rc = 0;

	for (size_t i = 0; i < sizeof(others) / sizeof(*others) && !strcmp(name, "docker-compose.yml") && !rc; i++) {
		char *other = sutra_asprintf("%.*s%s", (int)(name - path), path, others[i]);

		if (!other)
			rc = sutra_fail(err, SUTRA_E_NOMEM, "out of memory");
		else if (sutra_is_file(other))
			rc = sutra_hint((sutra_fail(err, SUTRA_E_SETTING, "%s is not read: %s alone is", other, name), err),
					"write what it says into %s or .env, and remove it", name);
		sutra_free(other);
	}
	return rc;
}

int sutra_compose_read(const char *path, sutra_lookup *lookup, void *ctx, struct sutra_compose **ret,
		       struct sutra_err *err)
{
	size_t n;
	char *text;
	int rc = refuse_others(path, err);

	rc = rc ? rc : sutra_file_read(path, MAX_FILE, &text, &n, err);
	if (rc)
		return rc;
	rc = sutra_compose_parse(text, n, path, lookup, ctx, ret, err);
	sutra_free(text);
	return rc;
}

void sutra_compose_free(struct sutra_compose *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->n_services; i++)
		sutra_service_release(&c->services[i]);
	sutra_free(c->services);
	sutra_strv_release(&c->volumes);
	sutra_free(c->volume_sizes);
	sutra_strv_release(&c->unset);
	sutra_free(c->file);
	sutra_free(c->name);
	sutra_free(c);
}

struct sutra_service *sutra_compose_find(const struct sutra_compose *c, const char *name)
{
	for (size_t i = 0; i < c->n_services; i++)
		if (!strcmp(c->services[i].name, name))
			return &c->services[i];
	return NULL;
}

static bool is_active(const struct sutra_service *s, const struct sutra_strv *profiles)
{
	for (size_t i = 0; i < s->profiles.n; i++)
		if (sutra_strv_has(profiles, s->profiles.items[i]))
			return true;
	return !s->profiles.n;
}

int sutra_compose_select(struct sutra_compose *c, const struct sutra_strv *profiles,
			 struct sutra_err *err)
{
	size_t kept = 0;

	for (size_t i = 0; i < c->n_services; i++) {
		const struct sutra_service *s = &c->services[i];

		for (size_t d = 0; d < s->n_depends_on && is_active(s, profiles); d++)
			if (!is_active(sutra_compose_find(c, s->depends_on[d].service), profiles))
				return sutra_fail(err, SUTRA_E_SETTING,
						  "%s:%d: services.%s depends on \"%s\", whose profile is not active",
						  c->file, s->depends_on[d].line, s->name,
						  s->depends_on[d].service);
	}
	for (size_t i = 0; i < c->n_services; i++) {
		struct sutra_service *s = &c->services[i];

		if (s->kube.scale_profile && !sutra_strv_has(profiles, s->kube.scale_profile))
			s->kube.scale = (struct sutra_scale){ 0 };
		if (is_active(s, profiles))
			c->services[kept++] = *s;
		else
			sutra_service_release(s);
	}
	c->n_services = kept;
	return 0;
}

static bool is_name_char(char c) { return isalnum((unsigned char)c) || c == '-' || c == '_' || c == '.'; }

/* Whether host is a whole word at text[at], after "//", before ":<digit>", or the value of a *_HOST variable. */
static bool is_host_at(const char *key, const char *text, size_t at, const char *host)
{
	size_t n = strlen(host);

	if (!n || (at && is_name_char(text[at - 1])) || strncmp(text + at, host, n) || is_name_char(text[at + n]))
		return false;
	return (at >= 2 && text[at - 1] == '/' && text[at - 2] == '/') ||
	       (text[at + n] == ':' && isdigit((unsigned char)text[at + n + 1])) ||
	       (!at && !text[n] && sutra_str_ends(key, "_HOST"));
}

bool sutra_env_names_host(const struct sutra_env *env, const char *host)
{
	for (size_t i = 0; i < env->n; i++) {
		const char *key = env->items[i].key, *text = env->items[i].value;

		if (sutra_str_starts(key, "SUTRA_LISTEN_") || sutra_config_is_text(key))
			continue;
		for (size_t at = 0; text[at]; at++)
			if (is_host_at(key, text, at, host))
				return true;
	}
	return false;
}

const struct sutra_service *sutra_host_at(const struct sutra_compose *all, const char *key, const char *text,
					  size_t at)
{
	for (size_t i = 0; i < all->n_services && !sutra_config_is_text(key); i++)
		if (is_host_at(key, text, at, all->services[i].name))
			return &all->services[i];
	return NULL;
}

char *sutra_group_of(const struct sutra_compose *all, const struct sutra_service *s)
{
	size_t n = strlen(s->name), stem = n;

	while (stem && isdigit((unsigned char)s->name[stem - 1]))
		stem--;
	if (stem == n || stem < 2 || s->name[stem - 1] != '-')
		return sutra_strdup(s->name);
	for (size_t i = 0; i < all->n_services; i++) {
		const struct sutra_service *o = &all->services[i];

		if (o != s && !strncmp(o->name, s->name, stem) && isdigit((unsigned char)o->name[stem]))
			return sutra_strndup(s->name, stem - 1);
	}
	return sutra_strdup(s->name);
}
