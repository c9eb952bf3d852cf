#include "runtime/unit.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/proc.h"
#include "compose/config.h"
#include "compose/interpolate.h"
#include "compose/compose.h"
#include "runtime/runtime.h"

enum { FIRST_HOST = 2, HOSTS = 250 };	/* 127.b.c.2 to .251 */
enum { HASH_VERSION = 2, MAX_VALUE = 2 * SUTRA_MAX_VALUE };	/* hosts may grow into addresses */

struct maker {
	const struct sutra_compose *all;
	const struct sutra_unit_options *o;
	unsigned b, c;	/* of 127.b.c.n */
	struct sutra_err *err;
};

static unsigned by_place(size_t i) { return (unsigned)i % HOSTS + FIRST_HOST; }

static unsigned host_of(const struct sutra_hosts *h, const char *service)
{
	for (size_t i = 0; h && i < h->n; i++)
		if (!strcmp(h->items[i].service, service))
			return h->items[i].n;
	return 0;
}

static void address_of(const struct maker *m, const char *name, char out[32])
{
	const struct sutra_service *s = sutra_compose_find(m->all, name);
	unsigned n = host_of(m->o->hosts, name);

	if (m->o->containers)
		snprintf(out, 32, "%s", SUTRA_CONTAINER);
	else
		snprintf(out, 32, "127.%u.%u.%u", m->b, m->c, n ? n : by_place((size_t)(s - m->all->services)));
}

/* The first free address, counted from `from` on and around; 0: none is left. */
static unsigned free_host(const bool *taken, unsigned from)
{
	for (unsigned i = 0; i < HOSTS; i++) {
		unsigned n = (from - FIRST_HOST + i) % HOSTS + FIRST_HOST;

		if (!taken[n])
			return n;
	}
	return 0;
}

int sutra_hosts_make(const struct sutra_compose *all, const struct sutra_hosts *old, struct sutra_hosts *ret,
		     struct sutra_err *err)
{
	bool taken[FIRST_HOST + HOSTS] = { false };
	struct sutra_hosts h = { 0 };

	for (size_t i = 0; old && i < old->n; i++) {
		unsigned host = old->items[i].n;

		if (host < FIRST_HOST || host >= FIRST_HOST + HOSTS || taken[host])
			continue;
		taken[host] = true;
		sutra_hosts_add(&h, old->items[i].service, host);
	}
	for (size_t i = 0; i < all->n_services; i++) {
		unsigned host = free_host(taken, by_place(i));

		if (host_of(&h, all->services[i].name))
			continue;
		if (!host) {
			sutra_fail(err, SUTRA_E_SETTING, "no address is left for %s: a stack has %d, and a service that is gone "
				   "keeps its own", all->services[i].name, HOSTS);
			sutra_hosts_release(&h);
			return sutra_hint(err, "sutra down frees them");
		}
		taken[host] = true;
		sutra_hosts_add(&h, all->services[i].name, host);
	}
	*ret = h;
	return 0;
}

void sutra_hosts_add(struct sutra_hosts *h, const char *service, unsigned n)
{
	h->items = xrealloc_array(h->items, h->n + 1, sizeof(*h->items));
	h->items[h->n++] = (struct sutra_host){ xstrdup(service), n };
}

void sutra_hosts_release(struct sutra_hosts *h)
{
	for (size_t i = 0; i < h->n; i++)
		sutra_free(h->items[i].service);
	sutra_free(h->items);
	*h = (struct sutra_hosts){ 0 };
}

static char *replace_hosts(const struct maker *m, const char *key, const char *text)
{
	struct sutra_buf b;

	sutra_buf_init(&b, MAX_VALUE);
	for (size_t at = 0; text[at];) {
		const struct sutra_service *s = sutra_host_at(m->all, key, text, at);
		char address[32];

		if (s) {
			address_of(m, s->name, address);
			sutra_buf_adds(&b, address);
			at += strlen(s->name);
		} else {
			sutra_buf_addc(&b, text[at++]);
		}
	}
	return sutra_buf_take(&b, NULL);
}

char *sutra_volume_folder(const struct sutra_volume *v, const char *state_dir, const char *compose_dir)
{
	if (!v->source)
		return xasprintf("%s/volumes/anonymous", state_dir);
	if (v->named)
		return xasprintf("%s/volumes/%s", state_dir, v->source);
	if (v->source[0] == '/')
		return xstrdup(v->source);
	return xasprintf("%s/%s", compose_dir, v->source);
}

/* A path at or below a mount point becomes the host's path; other texts stay as they are. */
static char *replace_path(const struct maker *m, const struct sutra_service *s, const char *text)
{
	for (size_t i = 0; i < s->n_volumes; i++) {
		size_t n = strlen(s->volumes[i].target);
		char *folder, *path;

		if (strncmp(text, s->volumes[i].target, n) || (text[n] && text[n] != '/'))
			continue;
		folder = sutra_volume_folder(&s->volumes[i], m->o->state_dir, m->o->compose_dir);
		path = xasprintf("%s%s", folder, text + n);
		sutra_free(folder);
		return path;
	}
	return xstrdup(text);
}

/* NULL: the value is too long. */
static char *localise(const struct maker *m, const struct sutra_service *s, const char *key,
		      const char *text)
{
	char *hosts, *path;

	if (m->o->containers || sutra_config_is_text(key))
		return xstrdup(text);
	hosts = replace_hosts(m, key, text);
	path = hosts ? replace_path(m, s, hosts) : NULL;
	sutra_free(hosts);
	return path;
}

static int no_memory(const struct maker *m) { return sutra_fail(m->err, SUTRA_E_NOMEM, "out of memory"); }

/* The absolute path of a program: beside the command, on PATH, or in /usr/sbin; NULL: it is not there. */
static char *find_program(const struct maker *m, const char *name)
{
	char *beside = xasprintf("%s/%s", m->o->program_dir, name), *sbin = xasprintf("/usr/sbin/%s", name), *found = NULL;

	if (!access(beside, X_OK))
		found = xstrdup(beside);
	else if (!sutra_proc_find(name, &found) && !access(sbin, X_OK))
		found = xstrdup(sbin);
	sutra_free(beside);
	sutra_free(sbin);
	return found;
}

static int make_argv(const struct maker *m, const struct sutra_service *s, struct sutra_unit *u)
{
	const struct sutra_strv *parts[] = { &s->entrypoint, &s->command };
	const char *slash;
	char *path;

	for (size_t p = 0; p < 2; p++) {
		for (size_t i = 0; i < parts[p]->n; i++) {
			char *word = localise(m, s, "", parts[p]->items[i]);
			int rc = word ? sutra_strv_add(&u->argv, word) : SUTRA_E_NOMEM;

			sutra_free(word);
			if (rc)
				return no_memory(m);
		}
	}
	if (m->o->containers) {
		slash = u->argv.n ? strrchr(u->argv.items[0], '/') : NULL;
		u->program = xstrdup(slash ? slash + 1 : u->argv.n ? u->argv.items[0] : u->name);
		return 0;
	}
	if (!u->argv.n)
		return sutra_fail(m->err, SUTRA_E_SETTING,
				  "%s:%d: services.%s has no command; natively there is no image to take it from",
				  m->all->file, s->line, s->name);
	u->program = u->argv.items[0];
	path = find_program(m, u->program);
	u->argv.items[0] = path ? path : xstrdup(u->program);
	if (path)
		return 0;
	sutra_fail(m->err, SUTRA_E_NOTFOUND, "%s needs the program %s, which is not installed", u->name, u->program);
	return sutra_hint(m->err, strcmp(u->program, "haproxy") ? "build it with make, or look at PATH" :
								  "apt-get install haproxy");
}

/* Appends ",host:port". 0.0.0.0 becomes every address of this machine: a socket on 0.0.0.0 would also
 * answer for the own address of a replica that is dead. */
static void add_published(struct sutra_buf *b, const char *host, int port)
{
	struct ifaddrs *all = NULL;
	char text[INET_ADDRSTRLEN];

	if (strcmp(host, "0.0.0.0") != 0) {
		sutra_buf_addf(b, ",%s:%d", host, port);
		return;
	}
	sutra_buf_addf(b, ",127.0.0.1:%d", port);
	if (getifaddrs(&all))
		return;
	for (const struct ifaddrs *i = all; i; i = i->ifa_next) {
		const struct sockaddr_in *in = (const void *)i->ifa_addr;

		if (in && in->sin_family == AF_INET && !(i->ifa_flags & IFF_LOOPBACK) &&
		    inet_ntop(AF_INET, &in->sin_addr, text, sizeof(text)))
			sutra_buf_addf(b, ",%s:%d", text, port);
	}
	freeifaddrs(all);
}

/* SUTRA_LISTEN_<port> for every port of the service. */
static int make_listen(const struct maker *m, const struct sutra_service *s, struct sutra_unit *u)
{
	char own[32], key[40], value[64];
	struct sutra_buf b;
	int rc = 0;

	address_of(m, s->name, own);
	for (size_t i = 0; i < s->expose.n && !rc; i++) {
		snprintf(key, sizeof(key), "SUTRA_LISTEN_%s", s->expose.items[i]);
		snprintf(value, sizeof(value), "%s:%s", own, s->expose.items[i]);
		rc = sutra_env_set(&u->env, key, value);
	}
	for (size_t i = 0; i < s->n_ports && !rc; i++) {
		const struct sutra_port *p = &s->ports[i];

		snprintf(key, sizeof(key), "SUTRA_LISTEN_%d", p->target);
		sutra_buf_init(&b, MAX_VALUE);
		sutra_buf_addf(&b, "%s:%d", own, p->target);
		add_published(&b, p->host_ip ? p->host_ip : "0.0.0.0", p->published);
		rc = sutra_buf_error(&b) ? SUTRA_E_NOMEM : sutra_env_set(&u->env, key, sutra_buf_str(&b));
		sutra_buf_release(&b);
	}
	return rc ? no_memory(m) : 0;
}

/* The addresses to show: its own with the first port, and the first published one. */
static void make_addresses(const struct maker *m, const struct sutra_service *s, struct sutra_unit *u)
{
	const struct sutra_port *p = s->n_ports ? &s->ports[0] : NULL;
	char own[32];

	address_of(m, s->name, own);
	if (s->expose.n)
		u->address = xasprintf("%s:%s", own, s->expose.items[0]);
	else
		u->address = p ? xasprintf("%s:%d", own, p->target) : xstrdup(own);
	if (p)
		u->published = xasprintf("%s:%d", p->host_ip ? p->host_ip : "0.0.0.0", p->published);
}

static int make_env(const struct maker *m, const struct sutra_service *s, struct sutra_unit *u)
{
	for (size_t i = 0; i < s->env.n; i++) {
		const char *key = s->env.items[i].key, *said = s->env.items[i].value;
		char *value;
		int rc;

		if (!sutra_str_utf8(said, strlen(said), NULL))	/* the record is JSON */
			return sutra_fail(m->err, SUTRA_E_SETTING, "%s:%d: services.%s: environment.%s is not UTF-8", m->all->file,
					  s->line, s->name, key);
		value = localise(m, s, key, said);
		rc = value ? sutra_env_set(&u->env, key, value) : SUTRA_E_NOMEM;

		sutra_free(value);
		if (rc)
			return no_memory(m);
	}
	return m->o->containers ? 0 : make_listen(m, s, u);
}

/* The URL in a health check's command, at the unit's own address. */
static int make_health(const struct maker *m, const struct sutra_service *s, struct sutra_unit *u)
{
	char own[32];

	u->start_period_ns = s->health.start_period_ns;
	address_of(m, s->name, own);
	for (size_t i = 0; i < s->health.test.n && !s->health.disabled && !u->health_url; i++) {
		const char *url = strstr(s->health.test.items[i], "http://"), *rest;

		if (!url)
			continue;
		rest = url + 7 + strcspn(url + 7, ":/ ");
		u->health_url = xasprintf("http://%s%.*s", own, (int)strcspn(rest, " \"'"), rest);
	}
	if (s->health.test.n && !s->health.disabled && !u->health_url)
		return sutra_fail(m->err, SUTRA_E_SETTING,
				  "%s:%d: services.%s: the native runtime wants an http:// address in healthcheck.test",
				  m->all->file, s->line, s->name);
	return 0;
}

static void hash_file(struct sutra_buf *b, const char *path)
{
	uint8_t digest[SUTRA_SHA256_LEN];

	if (sutra_is_file(path) && !sutra_sha256_file(path, digest, NULL))
		sutra_buf_add(b, digest, sizeof(digest));
	else
		sutra_buf_addc(b, '-');
}

/* Hashes the words of the command as the compose file has them, and the bytes of the files that they name, so
 * that a copy of them in another folder (generation.h) has the same hash. */
static void hash_command(const struct maker *m, const struct sutra_service *s, const struct sutra_unit *u,
			 struct sutra_buf *b)
{
	const struct sutra_strv *parts[] = { &s->entrypoint, &s->command };

	if (!m->o->containers)
		hash_file(b, u->argv.items[0]);
	for (size_t p = 0; p < 2; p++) {
		for (size_t i = 0; i < parts[p]->n; i++) {
			const char *word = parts[p]->items[i];
			char *path = *word == '/' ? replace_path(m, s, word) : NULL;

			sutra_buf_add(b, word, strlen(word) + 1);
			if (path)
				hash_file(b, path);
			sutra_free(path);
		}
	}
}

/* The hash of what the process sees, and of nothing else: not of dependencies, profiles, comments. */
static int make_hash(const struct maker *m, const struct sutra_service *s, struct sutra_unit *u)
{
	uint8_t digest[SUTRA_SHA256_LEN];
	char hex[SUTRA_SHA256_HEX];
	struct sutra_buf b;

	sutra_buf_init(&b, 16 << 20);
	hash_command(m, s, u, &b);
	for (size_t i = 0; m->o->containers && i < s->n_ports; i++)
		sutra_buf_addf(&b, "%s:%d:%d\n", s->ports[i].host_ip ? s->ports[i].host_ip : "", s->ports[i].published,
			       s->ports[i].target);
	for (size_t i = 0; m->o->containers && i < s->n_volumes; i++)
		sutra_buf_addf(&b, "%s:%s:%d\n", s->volumes[i].source ? s->volumes[i].source : "",
			       s->volumes[i].target, s->volumes[i].read_only);
	for (size_t i = 0; i < u->env.n; i++) {
		sutra_buf_addf(&b, "%s=", u->env.items[i].key);
		for (const char *v = u->env.items[i].value; *v; v++) {
			sutra_buf_addc(&b, *v);
			if (*v == '\n')	/* a value's line is no variable */
				sutra_buf_addc(&b, '\t');
		}
		sutra_buf_addc(&b, '\n');
	}
	if (u->user)
		sutra_buf_addf(&b, "user %s\n", u->user);
	sutra_buf_addf(&b, "%llu %llu %d %lld", (unsigned long long)u->memory_limit, (unsigned long long)u->stop_grace_ns,
		       (int)u->restart, (long long)u->restart_max);
	if (sutra_buf_error(&b)) {
		sutra_buf_release(&b);
		return no_memory(m);
	}
	sutra_sha256(b.data, b.len, digest);
	sutra_hex(digest, sizeof(digest), hex);
	u->hash = xasprintf("%d-%.30s", HASH_VERSION, hex);
	sutra_buf_release(&b);
	return 0;
}

/* Whether a service waits for this one's end. */
static bool is_awaited_end(const struct sutra_compose *all, const char *name)
{
	for (size_t i = 0; i < all->n_services; i++) {
		const struct sutra_service *s = &all->services[i];

		for (size_t d = 0; d < s->n_depends_on; d++)
			if (s->depends_on[d].condition == SUTRA_COMPLETED && !strcmp(s->depends_on[d].service, name))
				return true;
	}
	return false;
}

static int make_unit(const struct maker *m, const struct sutra_service *s, struct sutra_unit *u)
{
	int rc;

	u->name = xstrdup(s->name);
	u->group = sutra_must(sutra_group_of(m->all, s));
	u->depends_on = xcalloc(s->n_depends_on, sizeof(*u->depends_on));
	for (; u->n_depends_on < s->n_depends_on; u->n_depends_on++) {
		u->depends_on[u->n_depends_on] = s->depends_on[u->n_depends_on];
		u->depends_on[u->n_depends_on].service = xstrdup(s->depends_on[u->n_depends_on].service);
	}
	u->restart = s->restart;
	u->awaited_end = is_awaited_end(m->all, s->name);
	u->restart_max = s->restart_max;
	u->memory_limit = s->memory_limit;
	u->stop_grace_ns = s->stop_grace_ns;
	u->image = s->image && m->o->containers ? xstrdup(s->image) : NULL;
	u->user = m->o->user && !m->o->containers ? xstrdup(m->o->user) : NULL;
	make_addresses(m, s, u);
	rc = make_argv(m, s, u);
	rc = rc ? rc : make_env(m, s, u);
	rc = rc ? rc : make_health(m, s, u);
	return rc ? rc : make_hash(m, s, u);
}

int sutra_units_make(const struct sutra_compose *selected, const struct sutra_compose *all,
		     const struct sutra_unit_options *o, struct sutra_unit **ret, size_t *ret_n,
		     struct sutra_err *err)
{
	struct maker m = { all, o, 0, 0, err };
	struct sutra_unit *units = xcalloc(selected->n_services, sizeof(*units));
	uint8_t digest[SUTRA_SHA256_LEN];
	int rc = 0;

	sutra_sha256(o->state_dir, strlen(o->state_dir), digest);
	m.b = 16 + digest[0] % 224;
	m.c = digest[1];
	for (size_t i = 0; i < selected->n_services && !rc; i++)
		rc = make_unit(&m, &selected->services[i], &units[i]);
	if (rc) {
		sutra_units_free(units, selected->n_services);
		return rc;
	}
	*ret = units;
	*ret_n = selected->n_services;
	return 0;
}

void sutra_unit_release(struct sutra_unit *u)
{
	char *const texts[] = { u->name, u->group, u->program, u->address, u->published, u->health_url,
				u->user, u->image, u->hash, u->container, u->compose_file };

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		sutra_free(texts[i]);
	for (size_t i = 0; i < u->n_depends_on; i++)
		sutra_free(u->depends_on[i].service);
	sutra_free(u->depends_on);
	sutra_strv_release(&u->argv);
	sutra_env_release(&u->env);
}

void sutra_units_free(struct sutra_unit *units, size_t n)
{
	for (size_t i = 0; units && i < n; i++)
		sutra_unit_release(&units[i]);
	sutra_free(units);
}

const struct sutra_unit *sutra_units_find(const struct sutra_unit *units, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(units[i].name, name))
			return &units[i];
	return NULL;
}

static void add_once(struct sutra_strv *list, const char *name)
{
	if (!sutra_strv_has(list, name))
		sutra_strv_add(list, name);
}

void sutra_units_needs(const struct sutra_unit *units, size_t n, size_t at, struct sutra_strv *ret)
{
	const struct sutra_unit *u = &units[at];

	for (size_t i = 0; i < u->n_depends_on; i++)
		add_once(ret, u->depends_on[i].service);
	for (size_t i = 0; i < n; i++) {
		char host[256];

		snprintf(host, sizeof(host), "%.*s", (int)strcspn(units[i].address, ":"), units[i].address);
		if (i != at && (sutra_env_names_host(&u->env, units[i].name) || sutra_env_names_host(&u->env, host)))
			add_once(ret, units[i].name);
	}
}
