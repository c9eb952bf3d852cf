#include "stack/deploy.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/jsonio.h"
#include "net/port.h"
#include "stack/balancer.h"
#include "stack/cgroup.h"
#include "stack/record.h"
#include "stack/runit.h"

enum { DOWN_GRACE_S = 15 };

/* Edition and cache decide the profiles (CONTRACT section 1). */
static int profiles_of(struct sutra_config *config, struct sutra_strv *ret, struct sutra_err *err)
{
	const char *edition = sutra_config_get(config, "SUTRA_EDITION");
	bool cache = true;

	if (!strcmp(edition, "enterprise")) {
		sutra_fail(err, SUTRA_E_SETTING, "SUTRA_EDITION is \"enterprise\", which is not in this version");
		return sutra_hint(err, "simple and community are");
	}
	sutra_str_bool(sutra_config_get(config, "SUTRA_CACHE_ENABLED"), &cache);
	sutra_strv_add(ret, edition);
	if (!strcmp(edition, "community"))
		sutra_strv_add(ret, "scaling");
	if (cache)
		sutra_strv_add(ret, "cache");
	return 0;
}

int sutra_desired_make(struct sutra_config *config, const char *data_dir, const char *state_dir,
		       struct sutra_desired *ret, struct sutra_err *err)
{
	char *file = xasprintf("%s/compose/docker-compose.yml", data_dir);
	char *folder = xasprintf("%s/compose", data_dir), *program_dir = sutra_program_dir();
	struct sutra_unit_options o = { state_dir, program_dir, folder };
	struct sutra_desired d = { 0 };
	struct sutra_strv profiles = { 0 };
	int rc = profiles_of(config, &profiles, err);

	rc = rc ? rc : sutra_compose_read(file, sutra_config_get, config, &d.all, err);
	rc = rc ? rc : sutra_compose_read(file, sutra_config_get, config, &d.selected, err);
	rc = rc ? rc : sutra_compose_select(d.selected, &profiles, err);
	rc = rc ? rc : sutra_units_make(d.selected, d.all, &o, &d.units, &d.n, err);
	sutra_strv_release(&profiles);
	sutra_free(file);
	sutra_free(folder);
	sutra_free(program_dir);
	if (rc)
		sutra_desired_release(&d);
	else
		*ret = d;
	return rc;
}

void sutra_desired_release(struct sutra_desired *d)
{
	sutra_units_free(d->units, d->n);
	sutra_compose_free(d->selected);
	sutra_compose_free(d->all);
	*d = (struct sutra_desired){ 0 };
}

static json_t *record_begin(struct sutra_config *config, const struct sutra_desired *d,
			    const char *state_dir)
{
	char stamp[SUTRA_RFC3339_LEN];
	json_t *record = NULL;
	int64_t dimension = 0;
	bool cache = true;

	if (sutra_record_load(state_dir, &record, NULL))
		record = json_pack("{s:[]}", "services");
	sutra_clock_rfc3339(sutra_clock_wall_us(), stamp);
	sutra_str_int(sutra_config_get(config, "MATRYOSHKA_DIM"), 1, 1 << 16, &dimension);
	sutra_str_bool(sutra_config_get(config, "SUTRA_CACHE_ENABLED"), &cache);
	json_object_set_new(record, "schema", json_string("sutra.deployment/1"));
	json_object_set_new(record, "project", json_string("sutra"));
	json_object_set_new(record, "runtime", json_string("native"));
	json_object_set_new(record, "edition", json_string(sutra_config_get(config, "SUTRA_EDITION")));
	json_object_set_new(record, "deployed_at", json_string(stamp));
	json_object_set_new(record, "dimension", json_integer(dimension));
	json_object_set_new(record, "cache_enabled", json_boolean(cache));
	json_object_set_new(record, "haproxy_stats", json_null());
	for (size_t i = 0; i < d->n; i++) {
		const char *listen = sutra_env_get(&d->units[i].env, "SUTRA_LISTEN_9999");

		if (listen && !strcmp(d->units[i].program, "haproxy"))
			json_object_set_new(record, "haproxy_stats",
					    json_stringn(listen, strcspn(listen, ",")));
	}
	return record;
}

/* As sutra_port_holder, but a process that is just ending (nobody has it open, it is still
 * there) gets a second to be gone. */
static bool held(const char *address, pid_t *pid, char *holder, size_t size)
{
	uint64_t end = sutra_clock_ns() + 1000000000u;
	bool yes;

	while ((yes = sutra_port_holder(address, pid, holder, size)) && !*pid && sutra_clock_ns() < end)
		poll(NULL, 0, 5);
	return yes;
}

/* Every address the unit will listen on must be free; tells who holds it otherwise. */
static int check_ports(const struct sutra_unit *u, struct sutra_err *err)
{
	struct sutra_strv addresses = { 0 };
	char holder[64];
	pid_t pid;
	int rc = 0;

	for (size_t i = 0; i < u->env.n; i++)
		if (sutra_str_starts(u->env.items[i].key, "SUTRA_LISTEN_"))
			sutra_strv_split(&addresses, u->env.items[i].value, ",");
	for (size_t i = 0; i < addresses.n && !rc; i++) {
		if (!held(addresses.items[i], &pid, holder, sizeof(holder)))
			continue;
		rc = pid ? sutra_fail(err, SUTRA_E_EXISTS, "%s needs %s, which is in use by %s (pid %ld)",
				      u->name, addresses.items[i], holder, (long)pid) :
			   sutra_fail(err, SUTRA_E_EXISTS, "%s needs %s, which is in use", u->name,
				      addresses.items[i]);
		sutra_hint(err, "end that program, or deploy beside it with SUTRA_PORT_OFFSET=1000");
	}
	sutra_strv_release(&addresses);
	return rc;
}

struct apply {
	const struct sutra_desired *d;
	const struct sutra_plan *plan;
	const char *state_dir;
	uint64_t timeout_ns;
	const volatile int *stop;
	struct sutra_deploy_events *events;
	json_t *record;
	struct sutra_err *err;
};

static int interrupted(const struct apply *a)
{
	return a->stop && *a->stop ? sutra_fail(a->err, SUTRA_E_INTERRUPTED, "interrupted") : 0;
}

static int wait_for(const struct apply *a, struct sutra_awaited *list, size_t n,
		    void (*ready)(const struct sutra_awaited *a))
{
	int rc = sutra_await(a->state_dir, list, n, a->timeout_ns, ready, a->stop, a->err);

	for (size_t i = 0; rc && i < n; i++) {
		bool dead = list[i].reason && !strcmp(list[i].reason, "exited");

		if (!list[i].ready && (rc != SUTRA_E_IO || dead)) {
			*a->events->failed = list[i];
			break;
		}
	}
	return rc;
}

static struct sutra_awaited awaited_of(const struct sutra_unit *u)
{
	return (struct sutra_awaited){ .name = u->name, .program = u->program, .health_url = u->health_url };
}

static int write_unit(const struct apply *a, const struct sutra_step *s)
{
	int rc;

	if (a->events->step)
		a->events->step(s);
	rc = sutra_runit_write(a->state_dir, s->unit, a->err);
	if (rc)
		return rc;
	sutra_record_put(a->record, s->name, sutra_record_service(s->unit));
	return sutra_record_save(a->state_dir, a->record, a->err);
}

static const struct sutra_step *step_of(const struct apply *a, const char *name)
{
	for (size_t i = 0; i < a->plan->n; i++)
		if (!strcmp(a->plan->steps[i].name, name))
			return &a->plan->steps[i];
	return NULL;
}

/* Whether all that u waits for (conditions other than "started") is already through. */
static bool may_start(const struct apply *a, const struct sutra_unit *u, const bool *started,
		      const bool *healthy)
{
	for (size_t i = 0; i < u->n_depends_on; i++) {
		const struct sutra_step *s = step_of(a, u->depends_on[i].service);
		size_t at = s ? (size_t)(s - a->plan->steps) : 0;

		if (s && s->action == SUTRA_START &&
		    !(u->depends_on[i].condition == SUTRA_STARTED ? started[at] : healthy[at]))
			return false;
	}
	return true;
}

static void reset_counters(const char *state_dir, const char *name)
{
	static const char *const files[] = { "restarts", "last-exit", "planned" };

	for (size_t i = 0; i < 3; i++) {
		char *path = xasprintf("%s/native/services/%s/%s", state_dir, name, files[i]);

		unlink(path);
		sutra_free(path);
	}
}

/* Starts what is not running, in waves: each wave is all whose conditions are met. */
static int start_all(const struct apply *a)
{
	bool *started = xcalloc(a->plan->n, 1), *healthy = xcalloc(a->plan->n, 1);
	struct sutra_awaited *wave = xcalloc(a->plan->n, sizeof(*wave));
	size_t n;
	int rc = 0;

	do {
		bool more = true;

		for (n = 0; more && !rc;) {
			more = false;
			for (size_t i = 0; i < a->plan->n && !rc; i++) {
				const struct sutra_step *s = &a->plan->steps[i];

				if (s->action != SUTRA_START || started[i] ||
				    !may_start(a, s->unit, started, healthy))
					continue;
				rc = interrupted(a);
				rc = rc ? rc : write_unit(a, s);
				wave[n] = awaited_of(s->unit);
				reset_counters(a->state_dir, s->name);
				rc = rc ? rc : sutra_await_restart(a->state_dir, &wave[n++], a->err);
				started[i] = more = true;
			}
		}
		rc = rc || !n ? rc : wait_for(a, wave, n, a->events->ready);
		for (size_t i = 0; i < a->plan->n && !rc; i++)
			healthy[i] = started[i];
	} while (n && !rc);
	sutra_free(started);
	sutra_free(healthy);
	sutra_free(wave);
	return rc;
}

static bool is_replica(const struct sutra_unit *u) { return u && strcmp(u->group, u->name) != 0; }

/* A replica that is started is of use once its balancer says so. */
static int wait_balanced(const struct apply *a, const struct sutra_unit *u)
{
	const char *stats = json_string_value(json_object_get(a->record, "haproxy_stats"));

	if (!stats || !is_replica(u))
		return 0;
	return sutra_balancer_wait_up(stats, u->group, u->name, a->timeout_ns, a->stop, a->err);
}

static int wait_all_balanced(const struct apply *a)
{
	int rc = 0;

	for (size_t i = 0; i < a->plan->n && !rc; i++)
		if (a->plan->steps[i].action == SUTRA_START)
			rc = wait_balanced(a, a->plan->steps[i].unit);
	return rc;
}

/* One service after the other; a replica must be up in the balancer before the next goes. */
static int replace_one(const struct apply *a, const struct sutra_step *s)
{
	struct sutra_awaited w = awaited_of(s->unit);
	int rc = interrupted(a);

	rc = rc ? rc : write_unit(a, s);
	rc = rc ? rc : sutra_await_restart(a->state_dir, &w, a->err);
	rc = rc ? rc : wait_for(a, &w, 1, a->events->ready);
	return rc ? rc : wait_balanced(a, s->unit);
}

static int replace_all(const struct apply *a)
{
	int rc = 0;

	/* Replicas first: what stands in front of them retries meanwhile. */
	for (int replicas = 1; replicas >= 0; replicas--) {
		for (size_t i = 0; i < a->plan->n && !rc; i++) {
			const struct sutra_step *s = &a->plan->steps[i];

			if (s->action == SUTRA_REPLACE && is_replica(s->unit) == (replicas == 1))
				rc = replace_one(a, s);
		}
	}
	return rc;
}

/* What is not touched must be healthy too, or the stack is not. */
static int wait_kept(const struct apply *a)
{
	struct sutra_awaited *kept = xcalloc(a->plan->n + 1, sizeof(*kept));
	size_t n = 0;
	int rc;

	for (size_t i = 0; i < a->plan->n; i++)
		if (a->plan->steps[i].action == SUTRA_KEEP)
			kept[n++] = awaited_of(a->plan->steps[i].unit);
	rc = n ? wait_for(a, kept, n, NULL) : 0;
	sutra_free(kept);
	return rc;
}

static int stop_all(const struct apply *a)
{
	int rc = 0;

	for (size_t i = 0; i < a->plan->n && !rc; i++) {
		const struct sutra_step *s = &a->plan->steps[i];

		if (s->action != SUTRA_STOP)
			continue;
		if (a->events->step)
			a->events->step(s);
		rc = sutra_runit_remove(a->state_dir, s->name, DOWN_GRACE_S * 1000000000ull, a->err);
		if (!rc) {
			sutra_record_put(a->record, s->name, NULL);
			rc = sutra_record_save(a->state_dir, a->record, a->err);
		}
	}
	return rc;
}

/* Folders that the units' volumes need. */
static int make_folders(const struct sutra_desired *d, const char *state_dir, struct sutra_err *err)
{
	char *dir = xasprintf("%s/native/services", state_dir);
	int rc = sutra_mkdirs(dir, 0700, err);

	sutra_free(dir);
	for (size_t i = 0; i < d->selected->n_services && !rc; i++) {
		const struct sutra_service *s = &d->selected->services[i];

		for (size_t v = 0; v < s->n_volumes && !rc; v++) {
			if (!s->volumes[v].named)
				continue;
			dir = xasprintf("%s/volumes/%s", state_dir, s->volumes[v].source);
			rc = sutra_mkdirs(dir, 0700, err);
			sutra_free(dir);
		}
	}
	return rc;
}

int sutra_deploy_apply(struct sutra_config *config, const struct sutra_desired *d,
		       const struct sutra_plan *plan, const char *state_dir, uint64_t timeout_ns,
		       const volatile int *stop, struct sutra_deploy_events *events,
		       struct sutra_err *err)
{
	struct apply a = { d, plan, state_dir, timeout_ns, stop, events, NULL, err };
	int killed, rc = sutra_runit_check(err);

	if (!rc && !plan->n_changes)
		return wait_kept(&a);
	/* A supervisor that was killed leaves services nobody watches: end them, then start. */
	if (!rc && !sutra_runit_alive(state_dir, NULL))
		rc = sutra_runit_stop(state_dir, DOWN_GRACE_S * 1000000000ull, &killed, err);
	for (size_t i = 0; i < plan->n && !rc; i++) {
		if (plan->steps[i].action != SUTRA_START)
			continue;
		sutra_runit_end_orphans(state_dir, plan->steps[i].name, DOWN_GRACE_S * 1000000000ull);
		rc = check_ports(plan->steps[i].unit, err);
	}
	rc = rc ? rc : make_folders(d, state_dir, err);
	if (rc)
		return rc;
	a.record = record_begin(config, d, state_dir);
	rc = sutra_record_save(state_dir, a.record, err);
	/* runsvdir looks for new folders when it starts, later only every five seconds. */
	for (size_t i = 0; i < plan->n && !rc; i++)
		if (plan->steps[i].action == SUTRA_START)
			rc = sutra_runit_write(state_dir, plan->steps[i].unit, err);
	rc = rc ? rc : sutra_runit_start(state_dir, err);
	rc = rc ? rc : start_all(&a);
	rc = rc ? rc : wait_all_balanced(&a);
	rc = rc ? rc : replace_all(&a);
	rc = rc ? rc : wait_kept(&a);
	rc = rc ? rc : stop_all(&a);	/* last: nobody uses them any more */
	json_decref(a.record);
	return rc;
}

int sutra_deploy_down(const char *state_dir, size_t *ret_n, int *ret_killed, struct sutra_err *err)
{
	char *services = xasprintf("%s/native/services", state_dir),
	     *record_path = xasprintf("%s/deployment.json", state_dir);
	json_t *running = sutra_record_recover(state_dir);
	int rc;

	*ret_n = json_array_size(json_object_get(running, "services"));
	json_decref(running);
	rc = sutra_runit_stop(state_dir, DOWN_GRACE_S * 1000000000ull, ret_killed, err);
	sutra_cgroup_clear(state_dir);
	rc = rc ? rc : sutra_remove_tree(services, err);
	if (!rc && unlink(record_path) && errno != ENOENT)
		rc = sutra_fail_errno(err, "cannot remove %s", record_path);
	sutra_free(services);
	sutra_free(record_path);
	return rc;
}

void sutra_audit(const char *state_dir, const char *command, const char *outcome)
{
	char *path = xasprintf("%s/audit.log", state_dir), stamp[SUTRA_RFC3339_LEN], line[512];
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	sutra_clock_rfc3339(sutra_clock_wall_us(), stamp);
	snprintf(line, sizeof(line), "%s uid=%ld pid=%ld command=\"%s\" outcome=\"%.300s\"\n", stamp,
		 (long)getuid(), (long)getpid(), command, outcome);
	if (fd >= 0 && write(fd, line, strlen(line)) < 0)
		line[0] = '\0';	/* an audit that cannot be written must not stop the work */
	if (fd >= 0)
		close(fd);
	sutra_free(path);
}
