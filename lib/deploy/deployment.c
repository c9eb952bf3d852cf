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
#include "base/setting.h"
#include "deploy/await.h"
#include "runtime/cgroup.h"
#include "runtime/runit.h"
#include "runtime/runtime.h"

#define IN_PLACE_NS 10000000000u	/* a restart in place that takes longer becomes a kill */

char *sutra_state_dir(void)
{
	const char *own = sutra_setting_env("SUTRA_STATE_DIR");
	char *dir = own ? xstrdup(own) : sutra_home_state(), *real = realpath(dir, NULL);

	/* One name for a folder: addresses and locks depend on it. */
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

static void set_addresses(struct sutra_deployed *s, const char *ip)
{
	char text[300];

	sutra_runtime_address(s->unit->address, ip, text, sizeof(text));
	sutra_free(s->address);
	s->address = xstrdup(text);
	if (!s->unit->health_url)
		return;
	sutra_runtime_address(s->unit->health_url, ip, text, sizeof(text));
	sutra_free(s->health_url);
	s->health_url = xstrdup(text);
}

int sutra_deployment_load(const char *state_dir, struct sutra_deployment **ret, struct sutra_err *err)
{
	const struct sutra_runtime *rt;
	struct sutra_deployment *d;
	struct sutra_record *r;
	int rc = sutra_record_load(state_dir, &r, err);

	if (rc)
		return rc;
	rt = sutra_runtime_named(r->runtime);
	rt = rt ? rt : &sutra_native;
	rc = rt->ping ? rt->ping(err) : 0;
	if (rc) {
		sutra_record_free(r);
		return rc;
	}
	d = xcalloc(1, sizeof(*d));
	*d = (struct sutra_deployment){ .state_dir = xstrdup(state_dir), .record = r, .rt = rt, .n = r->n,
					.services = xcalloc(r->n, sizeof(*d->services)) };
	for (size_t i = 0; i < d->n; i++) {
		struct sutra_deployed *s = &d->services[i];

		s->unit = &r->units[i];
		s->log_dir = xasprintf("%s/native/log/%s", state_dir, s->unit->name);
		set_addresses(s, SUTRA_CONTAINER);
		sutra_units_needs(r->units, r->n, i, &s->needs);
	}
	sutra_deployment_refresh(d);
	*ret = d;
	return 0;
}

void sutra_deployment_free(struct sutra_deployment *d)
{
	if (!d)
		return;
	for (size_t i = 0; i < d->n; i++) {
		sutra_free(d->services[i].address);
		sutra_free(d->services[i].health_url);
		sutra_free(d->services[i].log_dir);
		sutra_strv_release(&d->services[i].needs);
	}
	sutra_free(d->services);
	sutra_free(d->state_dir);
	sutra_record_free(d->record);
	sutra_free(d);
}

const struct sutra_deployed *sutra_deployment_find(const struct sutra_deployment *d, const char *name)
{
	for (size_t i = 0; i < d->n; i++)
		if (!strcmp(d->services[i].unit->name, name))
			return &d->services[i];
	return NULL;
}

const char *sutra_deployment_csv(const struct sutra_deployment *d, const char *group)
{
	return sutra_balancers_csv(d->record->balancers, d->record->n_balancers, group);
}

const char *sutra_deployment_statistics(const struct sutra_deployment *d, const char *service)
{
	for (size_t i = 0; i < d->record->n_balancers; i++)
		if (!strcmp(d->record->balancers[i].service, service))
			return d->record->balancers[i].csv;
	return NULL;
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

static bool is_roots(pid_t pid)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%ld", (long)pid);
	return !stat(path, &st) && !st.st_uid;
}

static void refresh(struct sutra_deployment *d, bool sizes)
{
	struct sutra_supervised *all = sutra_runtime_observe(d->rt, d->state_dir, d->record->units, d->n);

	d->supervised = d->rt->alive(d->state_dir);
	d->as_root = false;
	d->files = UINT64_MAX;
	d->limits_enforced = sizes ? true : d->limits_enforced;
	for (size_t i = 0; i < d->n; i++) {
		struct sutra_deployed *s = &d->services[i];
		const struct sutra_supervised *now = &all[i];

		if (now->unknown)	/* the old values stay; it will not answer about the others either */
			break;
		set_addresses(s, now->ip);
		s->state = !now->supervised ? SUTRA_RUN_ABSENT :
			   now->running	   ? SUTRA_RUN_RUNNING :
			   s->unit->restart == SUTRA_RESTART_NO && now->last_exit == 0 ? SUTRA_RUN_DONE :
			   now->wants_up	   ? SUTRA_RUN_EXITED :
					     SUTRA_RUN_STOPPED;
		s->now = *now;
		s->now.pid = now->running ? now->pid : 0;
		s->now.since_us = now->running ? now->since_us : 0;
		d->as_root |= d->rt == &sutra_native && s->now.pid && is_roots(s->now.pid);
		if (d->rt == &sutra_native && s->now.pid && sutra_runit_files(s->now.pid) < d->files)
			d->files = sutra_runit_files(s->now.pid);
		s->cpu_us = 0;
		if (sizes || !s->now.pid)
			s->rss_bytes = s->pss_bytes = 0;
		if (s->now.pid)
			add_usage(s->now.pid, s, sizes);
		if (sizes && d->rt == &sutra_native && s->now.pid && s->unit->memory_limit &&
		    !sutra_cgroup_holds(d->state_dir, s->unit->name, s->now.pid))
			d->limits_enforced = false;
	}
	sutra_free(all);
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
	a = (struct sutra_awaited){ .unit = s->unit };
	csv = strcmp(s->unit->group, name) ? sutra_deployment_csv(d, s->unit->group) : NULL;
	if (csv && d->rt->drain) {
		rc = d->rt->drain(d->state_dir, name, err);
		rc = rc ? rc : sutra_balancer_wait_drained(csv, s->unit->group, name, timeout_ns / 2, NULL, err);
		if (rc == SUTRA_E_TIMEOUT)	/* the balancer retries its remaining requests elsewhere */
			rc = 0;
	}
	rc = rc ? rc : d->rt->restart(d->state_dir, &a, err);
	first = timeout_ns < 2 * IN_PLACE_NS ? timeout_ns / 2 : IN_PLACE_NS;
	rc = rc ? rc : sutra_await(d->rt, d->state_dir, &a, 1, first, NULL, NULL, err);
	if (rc == SUTRA_E_TIMEOUT) {	/* it ignores the signal: the supervisor starts another process */
		sutra_deployment_refresh(d);
		a.in_place = false;
		a.old_pid = s->now.pid;
		a.restarts = s->now.restarts + 1;
		rc = d->rt->kill(d->state_dir, name, SIGKILL, err);
		rc = rc ? rc : sutra_await(d->rt, d->state_dir, &a, 1, timeout_ns - first, NULL, NULL, err);
	}
	if (!rc && csv)
		rc = sutra_balancer_wait_up(csv, s->unit->group, name, timeout_ns, NULL, err);
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
