#include "deploy/deployment.h"

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/jsonio.h"
#include "base/setting.h"
#include "deploy/await.h"
#include "runtime/cgroup.h"
#include "compose/edges.h"
#include "deploy/record.h"
#include "runtime/runit.h"
#include "runtime/runtime.h"

#define PATIENCE_NS 10000000000u	/* with a restart in place, before it is killed */

char *sutra_state_dir(void)
{
	const char *own = sutra_setting_env("SUTRA_STATE_DIR"), *xdg = getenv("XDG_STATE_HOME");
	char *dir, *real;

	if (own)
		dir = xstrdup(own);
	else if (xdg && *xdg)
		dir = xasprintf("%s/sutra", xdg);
	else
		dir = xasprintf("%s/.local/state/sutra", sutra_home());
	real = realpath(dir, NULL);	/* one name a folder: addresses and locks hang on it */
	if (!real)
		return dir;
	sutra_free(dir);
	return real;
}

char *sutra_data_dir(void)
{
	const char *own = sutra_setting_env("SUTRA_DATA_DIR");
	char *program = sutra_program_dir(), *dir = NULL, *probe;

	if (own)
		dir = xstrdup(own);
	for (int up = 0; !dir && up < 5; up++) {
		static const char *const above[] = { "/../share/sutra", "/..", "/../..", "/../../..", "" };

		probe = xasprintf("%s%s/compose/docker-compose.yml", program, above[up]);
		if (sutra_is_file(probe))
			dir = xasprintf("%s%s", program, above[up]);
		sutra_free(probe);
	}
	sutra_free(program);
	if (dir && (probe = realpath(dir, NULL))) {
		sutra_free(dir);
		dir = probe;
	}
	return dir;
}

static char *text_of(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? xstrdup(s) : NULL;
}

static void load_service(const char *state_dir, const json_t *services, size_t at, struct sutra_deployed *s)
{
	const json_t *o = json_array_get(services, at);

	s->name = text_of(o, "name");
	s->program = text_of(o, "program");
	s->asked_address = text_of(o, "address");
	s->asked_health = text_of(o, "health_url");
	s->address = xstrdup(s->asked_address);
	s->published = text_of(o, "published");
	s->health_url = text_of(o, "health_url");
	s->group = text_of(o, "group");
	s->config_hash = text_of(o, "hash");
	s->one_shot = json_is_true(json_object_get(o, "one_shot"));
	s->memory_limit = (uint64_t)json_integer_value(json_object_get(o, "memory_limit"));
	s->start_period_ns = (uint64_t)json_integer_value(json_object_get(o, "start_period_ns"));
	s->log_dir = xasprintf("%s/native/log/%s", state_dir, s->name);
	sutra_edges_of(services, at, &s->depends_on);
}

int sutra_deployment_load(const char *state_dir, struct sutra_deployment **ret, struct sutra_err *err)
{
	const struct sutra_runtime *rt;
	struct sutra_deployment *d;
	json_t *o, *services;
	int rc = sutra_record_load(state_dir, &o, err);

	if (rc)
		return rc;
	services = json_object_get(o, "services");
	rt = sutra_runtime_named(json_string_value(json_object_get(o, "runtime")));
	rt = rt ? rt : &sutra_native;
	rc = rt->reach ? rt->reach(err) : 0;
	if (rc) {
		json_decref(o);
		return rc;
	}
	d = xcalloc(1, sizeof(*d));
	d->state_dir = xstrdup(state_dir);
	d->rt = rt;
	d->project = text_of(o, "project");
	d->runtime = text_of(o, "runtime");
	d->edition = text_of(o, "edition");
	d->deployed_at = text_of(o, "deployed_at");
	sutra_balancers_read(state_dir, o, &d->balancers, &d->n_balancers);
	d->dimension = json_integer_value(json_object_get(o, "dimension"));
	d->generation = json_integer_value(json_object_get(o, "generation"));
	d->complete = json_is_true(json_object_get(o, "complete"));
	d->cache_enabled = json_is_true(json_object_get(o, "cache_enabled"));
	d->n = json_array_size(services);
	d->services = xcalloc(d->n, sizeof(*d->services));
	for (size_t i = 0; i < d->n; i++)
		load_service(state_dir, services, i, &d->services[i]);
	json_decref(o);
	sutra_deployment_refresh(d);
	*ret = d;
	return 0;
}

void sutra_deployment_free(struct sutra_deployment *d)
{
	if (!d)
		return;
	for (size_t i = 0; i < d->n; i++) {
		struct sutra_deployed *s = &d->services[i];

		sutra_free(s->name);
		sutra_free(s->program);
		sutra_free(s->address);
		sutra_free(s->asked_address);
		sutra_free(s->asked_health);
		sutra_free(s->published);
		sutra_free(s->health_url);
		sutra_free(s->group);
		sutra_free(s->config_hash);
		sutra_free(s->log_dir);
		sutra_strv_release(&s->depends_on);
	}
	sutra_free(d->services);
	sutra_free(d->state_dir);
	sutra_free(d->project);
	sutra_free(d->runtime);
	sutra_free(d->edition);
	sutra_free(d->deployed_at);
	sutra_balancers_free(d->balancers, d->n_balancers);
	sutra_free(d);
}

const struct sutra_deployed *sutra_deployment_find(const struct sutra_deployment *d, const char *name)
{
	for (size_t i = 0; i < d->n; i++)
		if (!strcmp(d->services[i].name, name))
			return &d->services[i];
	return NULL;
}

const char *sutra_deployment_csv(const struct sutra_deployment *d, const char *group)
{
	return sutra_balancers_csv(d->balancers, d->n_balancers, group);
}

/* utime and stime, fields 14 and 15 of proc(5)'s stat: the name before them may hold blanks. */
static uint64_t cpu_of(pid_t pid)
{
	unsigned long user = 0, system = 0;
	char path[64], line[1024];
	const char *after;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%ld/stat", (long)pid);
	f = fopen(path, "re");
	if (!f)
		return 0;
	after = fgets(line, sizeof(line), f) ? strrchr(line, ')') : NULL;
	if (after && sscanf(after, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) != 2)
		user = system = 0;
	fclose(f);
	return (uint64_t)(user + system) * 1000000 / (uint64_t)sysconf(_SC_CLK_TCK);
}

static void add_sizes(pid_t pid, struct sutra_deployed *s)
{
	char path[64], line[256];
	unsigned long kib;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%ld/smaps_rollup", (long)pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "Rss: %lu kB", &kib) == 1)
			s->rss_bytes += (uint64_t)kib * 1024;
		else if (sscanf(line, "Pss: %lu kB", &kib) == 1)
			s->pss_bytes += (uint64_t)kib * 1024;
	}
	if (f)
		fclose(f);
}

static void add_usage(pid_t pid, struct sutra_deployed *s, bool sizes)
{
	char path[64];
	long child;
	FILE *f;

	s->cpu_us += cpu_of(pid);
	if (sizes)
		add_sizes(pid, s);
	/* A container's first process is the engine's init: the service is its child. */
	snprintf(path, sizeof(path), "/proc/%ld/task/%ld/children", (long)pid, (long)pid);
	f = fopen(path, "re");
	while (f && fscanf(f, "%ld", &child) == 1)
		add_usage((pid_t)child, s, sizes);
	if (f)
		fclose(f);
}

static void set_addresses(struct sutra_deployed *s, const char *ip)
{
	char text[300];

	sutra_runtime_address(s->asked_address, ip, text, sizeof(text));
	sutra_free(s->address);
	s->address = xstrdup(text);
	if (!s->asked_health)
		return;
	sutra_runtime_address(s->asked_health, ip, text, sizeof(text));
	sutra_free(s->health_url);
	s->health_url = xstrdup(text);
}

static bool is_roots(pid_t pid)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%ld", (long)pid);
	return !stat(path, &st) && !st.st_uid;
}

static void refresh(struct sutra_deployment *d, bool sizes)
{
	d->supervised = d->rt->alive(d->state_dir);
	d->as_root = false;
	d->files = UINT64_MAX;
	d->limits_enforced = sizes ? true : d->limits_enforced;
	for (size_t i = 0; i < d->n; i++) {
		struct sutra_deployed *s = &d->services[i];
		struct sutra_supervised now;

		d->rt->observe(d->state_dir, s->name, &now);
		if (now.unknown)	/* what was known stays; nor will it answer about the others */
			break;
		set_addresses(s, now.ip);
		s->state = !now.supervised ? SUTRA_RUN_ABSENT :
			   now.running	   ? SUTRA_RUN_RUNNING :
			   s->one_shot && now.last_exit == 0 ? SUTRA_RUN_DONE :
			   now.wants_up	   ? SUTRA_RUN_EXITED :
					     SUTRA_RUN_STOPPED;
		s->pid = now.running ? now.pid : 0;
		s->started_us = now.running ? now.since_us : 0;
		s->restarts = now.restarts;
		s->last_exit = now.last_exit;
		s->limit_reached = now.limit_reached;
		d->as_root |= d->rt == &sutra_native && s->pid && is_roots(s->pid);
		if (d->rt == &sutra_native && s->pid && sutra_runit_files(s->pid) < d->files)
			d->files = sutra_runit_files(s->pid);
		s->cpu_us = 0;
		if (sizes || !s->pid)
			s->rss_bytes = s->pss_bytes = 0;
		if (s->pid)
			add_usage(s->pid, s, sizes);
		if (sizes && d->rt == &sutra_native && s->pid && s->memory_limit &&
		    !sutra_cgroup_holds(d->state_dir, s->name, s->pid))
			d->limits_enforced = false;
	}
}

void sutra_deployment_refresh(struct sutra_deployment *d) { refresh(d, true); }

void sutra_deployment_refresh_state(struct sutra_deployment *d) { refresh(d, false); }

int sutra_deployment_restart(struct sutra_deployment *d, const char *name, uint64_t timeout_ns,
			     struct sutra_err *err)
{
	const struct sutra_deployed *s = sutra_deployment_find(d, name);
	struct sutra_awaited a;
	uint64_t first;
	const char *csv;
	int rc = 0;

	if (!s)
		return sutra_fail(err, SUTRA_E_USAGE, "no service is called \"%s\"", name);
	a = (struct sutra_awaited){ .name = s->name, .program = s->program, .health_url = s->health_url };
	a.health_url = s->asked_health;
	csv = strcmp(s->group, s->name) ? sutra_deployment_csv(d, s->group) : NULL;
	if (csv && d->rt->drain) {
		rc = d->rt->drain(d->state_dir, name, err);
		rc = rc ? rc : sutra_balancer_wait_drained(csv, s->group, name, timeout_ns / 2, NULL, err);
		if (rc == SUTRA_E_TIMEOUT)	/* what it still holds is tried again elsewhere */
			rc = 0;
	}
	rc = rc ? rc : d->rt->restart(d->state_dir, &a, err);
	first = timeout_ns < 2 * PATIENCE_NS ? timeout_ns / 2 : PATIENCE_NS;
	rc = rc ? rc : sutra_await(d->rt, d->state_dir, &a, 1, first, NULL, NULL, err);
	if (rc == SUTRA_E_TIMEOUT) {	/* it does not even hear: the supervisor starts another */
		sutra_deployment_refresh(d);
		a.in_place = false;
		a.old_pid = s->pid;
		a.restarts = s->restarts + 1;
		rc = d->rt->kill(d->state_dir, name, SIGKILL, err);
		rc = rc ? rc : sutra_await(d->rt, d->state_dir, &a, 1, timeout_ns - first, NULL, NULL, err);
	}
	if (!rc && csv)
		rc = sutra_balancer_wait_up(csv, s->group, name, timeout_ns, NULL, err);
	sutra_deployment_refresh(d);
	return rc;
}

int sutra_deployment_kill(struct sutra_deployment *d, const char *name, int sig, struct sutra_err *err)
{
	const struct sutra_deployed *s = sutra_deployment_find(d, name);

	if (!s)
		return sutra_fail(err, SUTRA_E_USAGE, "no service is called \"%s\"", name);
	return d->rt->kill(d->state_dir, name, sig, err);
}
