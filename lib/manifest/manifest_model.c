#include "manifest/manifest_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "compose/compose.h"

enum { MAX_TEXT = 1 << 20 };

const char *sutra_manifest_lookup(void *config, const char *key)
{
	static char mark[128];

	if (!sutra_config_is_secret(key))
		return sutra_config_variable(config, key);
	snprintf(mark, sizeof(mark), "%c%s%c", MARK_BEGIN, key, MARK_END);
	return mark;
}

bool sutra_workload_port_is_open(const struct sutra_port *p)
{
	return !p->host_ip || !sutra_str_starts(p->host_ip, "127.");
}

char *sutra_workload_image(const struct workloads *all, const char *image)
{
	const char *registry = all->m->registry ? all->m->registry : "";

	return xasprintf("%s%s%s", registry, *registry && !sutra_str_ends(registry, "/") ? "/" : "", image);
}

char *sutra_workload_duration(uint64_t ns)
{
	return ns % 1000000000u ? xasprintf("%llums", (unsigned long long)(ns / 1000000u)) :
				  xasprintf("%llus", (unsigned long long)(ns / 1000000000u));
}

char *sutra_workload_size(uint64_t bytes, const char *suffix)
{
	static const char units[] = "KMGT";
	int at = -1;

	while (at < 3 && bytes && bytes % 1024 == 0) {
		bytes /= 1024;
		at++;
	}
	return at < 0 ? xasprintf("%llu", (unsigned long long)bytes) :
			xasprintf("%llu%c%s", (unsigned long long)bytes, units[at], suffix);
}

char *sutra_workload_tmpfs(const char *text, uint64_t *ret_size)
{
	const char *size = strstr(text, "size=");
	char *word = size ? xasprintf("%.*s", (int)strcspn(size + 5, ","), size + 5) : NULL;

	*ret_size = 0;
	if (word)
		sutra_str_size(word, ret_size);
	sutra_free(word);
	return xasprintf("%.*s", (int)strcspn(text, ":"), text);
}

static char *quote(const char *text, const struct workload_quoting *q)
{
	struct sutra_buf b;

	sutra_buf_init(&b, MAX_TEXT);
	for (; *text; text++) {
		if (*text == MARK_BEGIN && strchr(text, MARK_END)) {
			size_t n = (size_t)(strchr(text, MARK_END) - text) - 1;

			q->secret(&b, text + 1, n);
			text += n + 1;
		} else if (*text == MARK_HOST && strchr(text + 1, MARK_HOST)) {
			size_t n = strcspn(text + 1, (char[]){ MARK_HOST, 0 });

			q->host(&b, text + 1, n);
			text += n + 1;
		} else if (*text == '$') {
			q->dollar(&b, text[1]);
		} else {
			sutra_buf_addc(&b, *text);
		}
	}
	return sutra_buf_take(&b, NULL);
}

json_t *sutra_manifest_own(char *s)
{
	json_t *text = json_string(s);

	sutra_free(s);
	return text;
}

json_t *sutra_manifest_text(const char *text, const struct workload_quoting *q)
{
	return sutra_manifest_own(quote(text, q));
}

json_t *sutra_manifest_list(const struct sutra_strv *v, const struct workload_quoting *q)
{
	json_t *list = json_array();

	for (size_t i = 0; i < v->n; i++)
		json_array_append_new(list, sutra_manifest_text(v->items[i], q));
	return sutra_manifest_some(list);
}

json_t *sutra_manifest_some(json_t *o)
{
	if (json_array_size(o) || json_object_size(o))
		return o;
	json_decref(o);
	return NULL;
}

struct workload *sutra_workload_named(const struct workloads *all, const char *name)
{
	for (size_t i = 0; i < all->n; i++)
		if (!strcmp(all->items[i].name, name))
			return &all->items[i];
	return NULL;
}

static struct workload *workload_of(const struct workloads *all, const struct sutra_service *s)
{
	char *group = sutra_group_of(all->m->all, s);
	struct workload *w = group ? sutra_workload_named(all, group) : NULL;

	sutra_free(group);
	return w;
}

/* The text behind the group's name: "2" of ml-base-2; NULL when the service is no replica. */
static const char *number_of(const struct workload *w, const struct sutra_service *s)
{
	size_t n = strlen(w->name);

	return strcmp(s->name, w->name) ? s->name + n + 1 : NULL;
}

static bool same_lists(const struct sutra_strv *a, const struct sutra_strv *b)
{
	for (size_t i = 0; i < a->n && a->n == b->n; i++)
		if (strcmp(a->items[i], b->items[i]) != 0)
			return false;
	return a->n == b->n;
}

static bool same_text(const char *a, const char *b) { return a && b ? !strcmp(a, b) : a == b; }

/* Replicas become one workload: they must have the same settings. */
static int check_member(const struct workloads *all, const struct workload *w, const struct sutra_service *s)
{
	const struct sutra_service *f = w->s;
	const struct row {
		const char *key;
		bool same;
	} rows[] = {
		{ "image", same_text(s->image, f->image) },
		{ "command", same_lists(&s->command, &f->command) },
		{ "entrypoint", same_lists(&s->entrypoint, &f->entrypoint) },
		{ "expose", same_lists(&s->expose, &f->expose) },
		{ "healthcheck.test", same_lists(&s->health.test, &f->health.test) },
		{ "volumes", s->n_volumes == f->n_volumes },
		{ "deploy.resources", s->memory_limit == f->memory_limit && s->cpu_limit == f->cpu_limit &&
					      s->memory_reservation == f->memory_reservation &&
					      s->cpu_reservation == f->cpu_reservation },
		{ "environment", s->env.n == f->env.n },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (!rows[i].same)
			return service_fail(all, s, "%s is not that of %s; replicas of %s must agree", rows[i].key, f->name,
					    w->name);
	if (s->n_ports || f->n_ports)
		return service_fail(all, s, "ports: replicas of %s cannot share a port of the host", w->name);
	return 0;
}

static int add_service(struct workloads *all, const struct sutra_service *s)
{
	struct workload *w = workload_of(all, s);

	if (w) {
		w->replicas++;
		return check_member(all, w, s);
	}
	all->items = xrealloc_array(all->items, all->n + 1, sizeof(*all->items));
	w = &all->items[all->n++];
	*w = (struct workload){ .name = sutra_group_of(all->m->all, s), .s = s, .replicas = 1 };
	if (!s->image)
		return workload_fail(all, w, "there is no image");
	return w->name ? 0 : sutra_fail(all->err, SUTRA_E_NOMEM, "out of memory");
}

static int by_workload_name(const void *a, const void *b)
{
	return strcmp(((const struct workload *)a)->name, ((const struct workload *)b)->name);
}

static int by_number(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }

static void add_port(struct workload *w, int port)
{
	for (size_t i = 0; i < w->n_ports; i++)
		if (w->ports[i] == port)
			return;
	w->ports = xrealloc_array(w->ports, w->n_ports + 1, sizeof(*w->ports));
	w->ports[w->n_ports++] = port;
}

static void make_ports(struct workload *w)
{
	int64_t port;

	for (size_t i = 0; i < w->s->expose.n; i++)
		if (!sutra_str_int(w->s->expose.items[i], 1, 65535, &port))
			add_port(w, (int)port);
	for (size_t i = 0; i < w->s->n_ports; i++)
		add_port(w, w->s->ports[i].target);
	if (w->n_ports)
		qsort(w->ports, w->n_ports, sizeof(*w->ports), by_number);
}

static void add_edge(struct workload *to, size_t from, int port)
{
	for (size_t i = 0; i < to->n_edges; i++)
		if (to->edges[i].from == from && (to->edges[i].port == port || !to->edges[i].port))
			return;
	to->edges = xrealloc_array(to->edges, to->n_edges + 1, sizeof(*to->edges));
	to->edges[to->n_edges++] = (struct workload_edge){ from, port };
}

/* The port of the address at text, or that of X_PORT beside X_HOST; 0: not said. */
static int port_at(const struct sutra_env *env, const char *key, const char *end)
{
	char *sibling, *rest;
	int64_t port = 0;
	long number;

	if (*end == ':') {
		number = strtol(end + 1, &rest, 10);
		return number > 0 && number < 65536 ? (int)number : 0;
	}
	if (sutra_str_ends(key, "_HOST")) {
		sibling = xasprintf("%.*s_PORT", (int)strlen(key) - 5, key);
		if (sutra_env_get(env, sibling))
			sutra_str_int(sutra_env_get(env, sibling), 1, 65535, &port);
		sutra_free(sibling);
	}
	return (int)port;
}

/* The text with the names of services replaced by their workload's, marked. Each of them is an edge: w calls it. */
static char *replace_hosts(const struct workloads *all, const struct workload *w, const char *key, const char *text)
{
	struct sutra_buf b;

	sutra_buf_init(&b, MAX_TEXT);
	for (size_t at = 0; text[at];) {
		const struct sutra_service *host = sutra_host_at(all->m->all, key, text, at);
		char *group = host ? sutra_group_of(all->m->all, host) : NULL;
		struct workload *to = group ? sutra_workload_named(all, group) : NULL;

		if (group) {
			sutra_buf_addf(&b, "%c%s%c", MARK_HOST, group, MARK_HOST);
			at += strlen(host->name);
		} else {
			sutra_buf_addc(&b, text[at++]);
		}
		if (to && to != w)
			add_edge(to, (size_t)(w - all->items), port_at(&w->s->env, key, text + at));
		sutra_free(group);
	}
	return sutra_buf_take(&b, NULL);
}

static void add_env(struct workload *w, char *key, char *value, enum workload_env_kind kind)
{
	w->env = xrealloc_array(w->env, w->n_env + 1, sizeof(*w->env));
	w->env[w->n_env++] = (struct workload_env){ key, value, kind };
}

/* The workload of which KEY_<n>="<its n-th replica>:port" names one address. */
static struct workload *numbered_address(const struct workloads *all, const char *key, const char *value)
{
	const struct sutra_service *host = sutra_host_at(all->m->all, key, value, 0);
	struct workload *w = host ? workload_of(all, host) : NULL;
	const char *number = w ? number_of(w, host) : NULL, *digits = strrchr(key, '_');

	return number && value[strlen(host->name)] == ':' && digits && !strcmp(digits + 1, number) ? w : NULL;
}

/* KEY_1, KEY_2 ... become KEY_DNS, once. */
static bool add_addresses(struct workloads *all, struct workload *w, const char *key, const char *value)
{
	struct workload *to = numbered_address(all, key, value);
	char *name;

	if (!to)
		return false;
	name = xasprintf("%.*s_DNS", (int)(strrchr(key, '_') - key), key);
	for (size_t i = 0; i < w->n_env; i++) {
		if (!strcmp(w->env[i].key, name)) {
			sutra_free(name);
			return true;
		}
	}
	to->balanced = true;
	add_env(w, name, xasprintf("%s%s", to->name, strchr(value, ':')), ENV_ADDRESSES);
	return true;
}

/* The text before the replica's number, if that number ends the variable in each replica: "" or "ml-base-" (a
 * single service of the file may be scaled). Else NULL, and *ret_odd is the first replica with another value
 * than w->s, if any. x-allocated. */
static char *before_number(const struct workloads *all, const struct workload *w, const char *key,
			   const struct sutra_service **ret_odd)
{
	const char *first = sutra_env_get(&w->s->env, key);
	bool number = true, name = true;

	*ret_odd = NULL;
	for (size_t i = 0; i < all->m->all->n_services; i++) {
		const struct sutra_service *s = &all->m->all->services[i];
		const char *value = sutra_env_get(&s->env, key);

		if (workload_of(all, s) != w)
			continue;
		number = number && number_of(w, s) && value && !strcmp(value, number_of(w, s));
		name = name && (number_of(w, s) || !strcmp(key, "INSTANCE_ID")) && value && !strcmp(value, s->name);
		if (!value || strcmp(value, first) != 0)
			*ret_odd = *ret_odd ? *ret_odd : s;
	}
	return number ? xstrdup("") : name ? xasprintf("%s-", w->name) : NULL;
}

static int add_variable(struct workloads *all, struct workload *w, const char *key, const char *value)
{
	const struct sutra_service *odd;
	char *before, *text;

	if (!sutra_str_utf8(value, strlen(value), NULL))
		return workload_fail(all, w, "environment.%s is not UTF-8", key);
	if (strchr(value, MARK_HOST))
		return workload_fail(all, w, "environment.%s holds the control character 0x%02x", key, MARK_HOST);
	before = before_number(all, w, key, &odd);
	if (before) {
		add_env(w, xstrdup(key), before, ENV_NUMBER);
		return 0;
	}
	if (odd)
		return service_fail(all, odd, "environment.%s is not that of %s; replicas of %s must agree", key, w->s->name,
				    w->name);
	text = replace_hosts(all, w, key, value);
	if (!text)
		return sutra_fail(all->err, SUTRA_E_NOMEM, "out of memory");
	if (add_addresses(all, w, key, value))
		sutra_free(text);
	else
		add_env(w, xstrdup(key), text, ENV_TEXT);
	return 0;
}

/* Makes the variables, the edges to workloads that they name, and those to other dependencies. */
static int make_env(struct workloads *all, struct workload *w)
{
	size_t from = (size_t)(w - all->items);

	for (size_t i = 0; i < w->s->env.n; i++) {
		int rc = add_variable(all, w, w->s->env.items[i].key, w->s->env.items[i].value);

		if (rc)
			return rc;
	}
	for (size_t i = 0; i < w->s->n_depends_on; i++) {
		struct workload *to = workload_of(all, sutra_compose_find(all->m->all, w->s->depends_on[i].service));
		size_t known = 0;

		while (to && known < to->n_edges && to->edges[known].from != from)
			known++;
		if (to && known == to->n_edges)
			add_edge(to, from, 0);
	}
	return 0;
}

int sutra_workloads_make(const struct sutra_manifest *m, struct workloads *ret, struct sutra_err *err)
{
	struct workloads all = { .m = m, .err = err };
	int rc = 0;

	for (size_t i = 0; i < m->selected->n_services && !rc; i++)
		rc = add_service(&all, &m->selected->services[i]);
	if (all.n)
		qsort(all.items, all.n, sizeof(*all.items), by_workload_name);
	for (size_t i = 0; i < all.n && !rc; i++) {
		struct workload *w = &all.items[i];

		w->scale = m->instance && w->s->kube.scale.min ? &w->s->kube.scale : &w->s->scale;
		if (w->scale->min)
			w->replicas = (size_t)w->scale->min;
		make_ports(w);
		rc = make_env(&all, w);
		rc = rc ? rc : sutra_workload_mounts_make(&all, w);
	}
	if (rc)
		sutra_workloads_release(&all);
	else
		*ret = all;
	return rc;
}

void sutra_workloads_release(struct workloads *all)
{
	for (size_t i = 0; i < all->n; i++) {
		struct workload *w = &all->items[i];

		for (size_t e = 0; e < w->n_env; e++) {
			sutra_free(w->env[e].key);
			sutra_free(w->env[e].value);
		}
		sutra_workload_mounts_release(w);
		sutra_free(w->env);
		sutra_free(w->edges);
		sutra_free(w->ports);
		sutra_free(w->name);
	}
	sutra_free(all->items);
	*all = (struct workloads){ 0 };
}
