#include "deploy/deploy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/jsonio.h"
#include "net/fetch.h"
#include "deploy/balancer.h"
#include "deploy/deployment.h"
#include "deploy/generation.h"
#include "deploy/record.h"

#define DRAIN_NS 30000000000u
#define READY_NS 2000000000u
#define HEAL_NS 8000000000u	/* a kept service that does not answer is restarted after it */

void sutra_profiles_of(struct sutra_config *config, struct sutra_strv *ret)
{
	const char *edition = sutra_config_get(config, "SUTRA_EDITION");
	bool cache = true;

	sutra_str_bool(sutra_config_get(config, "SUTRA_CACHE_ENABLED"), &cache);
	sutra_strv_add(ret, edition);
	if (strcmp(edition, "simple") != 0)
		sutra_strv_add(ret, "scaling");
	if (cache)
		sutra_strv_add(ret, "cache");
}

/* Images by name in place of the compose file's. */
static void take_images(struct sutra_desired *d, const json_t *images)
{
	d->images = json_object_size(images) ? json_incref((json_t *)(uintptr_t)images) : NULL;
	for (size_t i = 0; i < d->n; i++) {
		const char *image = json_string_value(json_object_get(images, d->units[i].name));

		if (!image)
			continue;
		sutra_free(d->units[i].image);
		d->units[i].image = xstrdup(image);
	}
}

int sutra_desired_make(const struct sutra_runtime *rt, struct sutra_config *config, const struct sutra_parts *parts,
		       const char *state_dir, struct sutra_desired *ret, struct sutra_err *err)
{
	char *file = xasprintf("%s/compose/docker-compose.yml", parts->data_dir);
	char *folder = xasprintf("%s/compose", parts->data_dir),
	     *program_dir = parts->program_dir ? xstrdup(parts->program_dir) : sutra_program_dir();
	struct sutra_unit_options o = { state_dir, program_dir, folder,
					   sutra_config_get(config, "SUTRA_USER"), rt == &sutra_docker, NULL };
	struct sutra_desired d = { .rt = rt, .file = file };
	struct sutra_record *record = NULL;
	int rc = sutra_config_settle_exposure(config, err);

	sutra_profiles_of(config, &d.profiles);
	rc = rc ? rc : sutra_compose_read(file, sutra_config_variable, config, &d.all, err);
	rc = rc ? rc : sutra_compose_read(file, sutra_config_variable, config, &d.selected, err);
	rc = rc ? rc : sutra_compose_select(d.selected, &d.profiles, err);
	sutra_record_load(state_dir, &record, NULL);
	rc = rc ? rc : sutra_hosts_make(d.all, record ? &record->hosts : NULL, &d.hosts, err);
	o.hosts = &d.hosts;
	rc = rc ? rc : sutra_units_make(d.selected, d.all, &o, &d.units, &d.n, err);
	if (!rc && rt == &sutra_docker)
		take_images(&d, parts->images);
	rc = rc || !rt->resolve ? rc : rt->resolve(d.units, d.n, err);
	sutra_record_free(record);
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
	sutra_strv_release(&d->profiles);
	sutra_free(d->file);
	json_decref(d->images);
	sutra_hosts_release(&d->hosts);
	*d = (struct sutra_desired){ 0 };
}

static void set_text(char **to, const char *text)
{
	sutra_free(*to);
	*to = xstrdup(text);
}

static struct sutra_record *record_begin(struct sutra_config *config, const struct sutra_desired *d,
					 const char *state_dir)
{
	char stamp[SUTRA_RFC3339_LEN];
	struct sutra_record *r = NULL;

	if (sutra_record_load(state_dir, &r, NULL))
		r = xcalloc(1, sizeof(*r));
	sutra_clock_rfc3339(sutra_clock_wall_us(), stamp);
	set_text(&r->project, "sutra");
	set_text(&r->runtime, d->rt->name);
	set_text(&r->edition, sutra_config_get(config, "SUTRA_EDITION"));
	set_text(&r->deployed_at, stamp);
	r->cache_enabled = true;
	r->complete = false;
	sutra_str_int(sutra_config_get(config, "MATRYOSHKA_DIM"), 1, 1 << 16, &r->dimension);
	sutra_str_bool(sutra_config_get(config, "SUTRA_CACHE_ENABLED"), &r->cache_enabled);
	sutra_hosts_release(&r->hosts);
	sutra_hosts_make(d->all, &d->hosts, &r->hosts, NULL);	/* a copy: none is missing */
	sutra_balancers_free(r->balancers, r->n_balancers);
	sutra_balancers_make(d->units, d->n, d->selected, state_dir, &r->balancers, &r->n_balancers);
	return r;
}

struct apply {
	const struct sutra_desired *d;
	const struct sutra_plan *plan;
	struct sutra_deploy *deploy;
	struct sutra_scene scene;
	struct sutra_record *record;
	struct sutra_err *err;
	bool *replaced;		/* by step */
};

static int interrupted(const struct apply *a)
{
	return a->deploy->stop && *a->deploy->stop ? sutra_fail(a->err, SUTRA_E_INTERRUPTED, "interrupted") : 0;
}

static int wait_for(const struct apply *a, struct sutra_awaited *list, size_t n,
		    void (*ready)(const struct sutra_awaited *a))
{
	int rc = sutra_await(a->d->rt, a->scene.state_dir, list, n, a->deploy->timeout_ns, ready, a->deploy->stop, a->err);

	for (size_t i = 0; rc && i < n; i++) {
		bool dead = list[i].reason && !strcmp(list[i].reason, "exited");

		if (!list[i].ready && (rc != SUTRA_E_IO || dead)) {
			a->deploy->failed = list[i];
			break;
		}
	}
	return rc;
}

static struct sutra_awaited awaited_of(const struct sutra_unit *u)
{
	return (struct sutra_awaited){ .unit = u };
}

/* Starts units, or restarts them with new settings, and puts them into the record. */
static int start_units(const struct apply *a, struct sutra_awaited *list, size_t n)
{
	struct sutra_supervised *now = xcalloc(n, sizeof(*now));
	const char **names = xcalloc(n, sizeof(*names));
	int rc;

	for (size_t i = 0; i < n; i++)
		names[i] = list[i].unit->name;
	a->deploy->touched = true;
	rc = a->d->rt->start(&a->scene, list, n, a->err);
	if (!rc)
		a->d->rt->observe(a->scene.state_dir, names, n, now);
	for (size_t i = 0; i < n && !rc; i++)
		sutra_record_put(a->record, list[i].unit, now[i].id, a->d->file);
	sutra_free(now);
	sutra_free(names);
	return rc ? rc : sutra_record_save(a->scene.state_dir, a->record, a->err);
}

static void announce(const struct apply *a, const struct sutra_step *s)
{
	if (a->deploy->step)
		a->deploy->step(s);
}

/* A replacement that the plan does not hold, or not with this cause. */
static void announce_cause(const struct apply *a, const struct sutra_unit *u, const char *cause)
{
	const struct sutra_step step = { .action = SUTRA_REPLACE, .unit = u, .name = u->name,
					 .cause = (char *)(uintptr_t)cause };

	announce(a, &step);
}

static const struct sutra_step *step_of(const struct apply *a, const char *name)
{
	for (size_t i = 0; i < a->plan->n; i++)
		if (!strcmp(a->plan->steps[i].name, name))
			return &a->plan->steps[i];
	return NULL;
}

static int stop_one(const struct apply *a, const struct sutra_step *s)
{
	int rc;

	announce(a, s);
	a->deploy->touched = true;
	rc = a->d->rt->remove(a->scene.state_dir, s->name, a->err);
	if (rc)
		return rc;
	sutra_record_remove(a->record, s->name);
	return sutra_record_save(a->scene.state_dir, a->record, a->err);
}

/* Whether every condition of u's depends_on is met. */
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

/* A unit that takes an address over starts last: the service with that address serves until then. */
static bool may_take_over(const struct apply *a, const struct sutra_step *s, const bool *healthy)
{
	for (size_t i = 0; sutra_plan_predecessor(a->plan, s) && i < a->plan->n; i++) {
		const struct sutra_step *other = &a->plan->steps[i];

		if (other->action == SUTRA_START && !healthy[i] && !sutra_plan_predecessor(a->plan, other))
			return false;
	}
	return true;
}

/* The next wave: all whose conditions are met, in an order that meets them. */
static size_t next_wave(const struct apply *a, bool *started, const bool *healthy,
			struct sutra_awaited *wave)
{
	bool more = true;
	size_t n = 0;

	while (more) {
		more = false;
		for (size_t i = 0; i < a->plan->n; i++) {
			const struct sutra_step *s = &a->plan->steps[i];

			if (s->action != SUTRA_START || started[i] || !may_start(a, s->unit, started, healthy) ||
			    !may_take_over(a, s, healthy))
				continue;
			announce(a, s);
			wave[n++] = awaited_of(s->unit);
			started[i] = more = true;
		}
	}
	return n;
}

/* Stops the services whose addresses the wave takes over. */
static int stop_predecessors(const struct apply *a, const struct sutra_awaited *wave, size_t n)
{
	int rc = 0;

	for (size_t i = 0; i < n && !rc; i++) {
		const struct sutra_step *old = sutra_plan_predecessor(a->plan, step_of(a, wave[i].unit->name));

		rc = old ? stop_one(a, old) : 0;
	}
	return rc;
}

static int start_all(const struct apply *a)
{
	bool *started = xcalloc(a->plan->n, 1), *healthy = xcalloc(a->plan->n, 1);
	struct sutra_awaited *wave = xcalloc(a->plan->n, sizeof(*wave));
	size_t n;
	int rc = 0;

	while (!rc && !(rc = interrupted(a)) && (n = next_wave(a, started, healthy, wave))) {
		rc = stop_predecessors(a, wave, n);
		rc = rc ? rc : start_units(a, wave, n);
		rc = rc ? rc : wait_for(a, wave, n, a->deploy->ready);
		memcpy(healthy, started, a->plan->n);
	}
	sutra_free(started);
	sutra_free(healthy);
	sutra_free(wave);
	return rc;
}

static bool is_replica(const struct sutra_unit *u) { return u && strcmp(u->group, u->name) != 0; }

/* The statistics of the balancer in front of a replica; NULL: there is none. */
static const char *csv_of(const struct apply *a, const struct sutra_unit *u)
{
	return is_replica(u) && a->record ? sutra_balancers_csv(a->record->balancers, a->record->n_balancers, u->group) :
					    NULL;
}

/* A started replica is ready once its balancer reports it as UP. */
static int wait_balanced(const struct apply *a, const struct sutra_unit *u)
{
	const char *csv = csv_of(a, u);

	return !csv ? 0 : sutra_balancer_wait_up(csv, u->group, u->name, a->deploy->timeout_ns, a->deploy->stop, a->err);
}

static int wait_all_balanced(const struct apply *a)
{
	int rc = 0;

	for (size_t i = 0; i < a->plan->n && !rc; i++)
		if (a->plan->steps[i].action == SUTRA_START)
			rc = wait_balanced(a, a->plan->steps[i].unit);
	return rc;
}

/* Before a replica is replaced: its balancer sends it no new requests, and it finishes those in flight. A
 * replica that has not finished them after DRAIN_NS is replaced too. */
static int drain(const struct apply *a, const struct sutra_unit *u)
{
	const char *csv = csv_of(a, u);
	int rc;

	if (!csv || !a->d->rt->drain)
		return 0;
	rc = a->d->rt->drain(a->scene.state_dir, u->name, a->err);
	rc = rc ? rc : sutra_balancer_wait_drained(csv, u->group, u->name, DRAIN_NS, a->deploy->stop, a->err);
	if (rc != SUTRA_E_TIMEOUT)
		return rc;
	announce_cause(a, u, "after 30 s it still has requests in flight");
	return 0;
}

/* One service after the other; a replica must be up in the balancer before the next is replaced. */
static int replace_one(const struct apply *a, const struct sutra_step *s)
{
	struct sutra_awaited w = awaited_of(s->unit);
	int rc = interrupted(a);

	a->replaced[s - a->plan->steps] = true;
	if (!rc)
		announce(a, s);
	rc = rc ? rc : drain(a, s->unit);
	rc = rc ? rc : start_units(a, &w, 1);
	rc = rc ? rc : wait_for(a, &w, 1, a->deploy->ready);
	return rc ? rc : wait_balanced(a, s->unit);
}

/* Replaces balancers whose port or credentials change: their new statistics do not answer yet, and
 * nothing can be waited for in them until they are replaced. */
static int replace_mute_balancers(const struct apply *a)
{
	int rc = 0;

	for (size_t i = 0; i < a->plan->n && !rc; i++) {
		const struct sutra_step *s = &a->plan->steps[i];

		for (size_t b = 0; b < a->record->n_balancers && !rc; b++)
			if (s->action == SUTRA_REPLACE && !strcmp(s->name, a->record->balancers[b].service) &&
			    !sutra_balancer_answers(a->record->balancers[b].csv))
				rc = replace_one(a, s);
	}
	return rc;
}

static int replace_all(const struct apply *a)
{
	int rc = 0;

	/* Replicas first: the balancer in front of them retries requests meanwhile. */
	for (int replicas = 1; replicas >= 0; replicas--) {
		for (size_t i = 0; i < a->plan->n && !rc; i++) {
			const struct sutra_step *s = &a->plan->steps[i];

			if (s->action == SUTRA_REPLACE && !a->replaced[i] && is_replica(s->unit) == (replicas == 1))
				rc = replace_one(a, s);
		}
	}
	return rc;
}

static int restart_kept(const struct apply *a, const struct sutra_unit *u, const char *cause)
{
	struct sutra_deployment *d;
	int rc = interrupted(a);

	rc = rc ? rc : sutra_deployment_load(a->scene.state_dir, &d, a->err);
	if (rc)
		return rc;
	announce_cause(a, u, cause);
	a->deploy->healed++;
	rc = sutra_deployment_restart(d, u->name, a->deploy->timeout_ns, a->err);
	sutra_deployment_free(d);
	return rc;
}

/* Whether a replica answers its balancer with 404: an interrupted command has drained it. */
static bool is_drained(const char *health_url)
{
	size_t stem = strlen(health_url) - strlen("/health");
	struct sutra_fetch f;
	bool drained;
	char *url;

	if (!sutra_str_ends(health_url, "/health"))
		return false;
	url = xasprintf("%.*s/ready", (int)stem, health_url);
	sutra_fetch_init(&f);
	f.url = url;
	f.timeout_ns = READY_NS;
	sutra_fetch_one(&f, NULL);
	drained = f.status == 404;
	sutra_fetch_release(&f);
	sutra_free(url);
	return drained;
}

static uint64_t heal_limit(const struct apply *a)
{
	return a->deploy->timeout_ns / 2 < HEAL_NS ? a->deploy->timeout_ns / 2 : HEAL_NS;
}

/* Restarts a healthy replica that its balancer does not use. */
static int heal_replica(const struct apply *a, const struct sutra_unit *u, const char *health_url)
{
	const char *csv = csv_of(a, u);
	int rc;

	if (!csv)
		return 0;
	if (is_drained(health_url))
		return restart_kept(a, u, "it was drained and left so");
	rc = sutra_balancer_wait_up(csv, u->group, u->name, heal_limit(a), a->deploy->stop, a->err);
	return rc == SUTRA_E_TIMEOUT ? restart_kept(a, u, "its balancer does not use it") : rc;
}

/* The units that the plan keeps; returns how many. */
static size_t kept_of(const struct apply *a, struct sutra_awaited *kept)
{
	size_t n = 0;

	for (size_t i = 0; i < a->plan->n; i++)
		if (a->plan->steps[i].action == SUTRA_KEEP)
			kept[n++] = awaited_of(a->plan->steps[i].unit);
	return n;
}

/* The kept units must serve before others are replaced: one that does not answer is restarted. */
static int heal_kept(const struct apply *a)
{
	struct sutra_awaited *kept = xcalloc(a->plan->n + 1, sizeof(*kept));
	size_t n = kept_of(a, kept);
	int rc = n ? sutra_await(a->d->rt, a->scene.state_dir, kept, n, heal_limit(a), NULL, a->deploy->stop, a->err) : 0;

	if (rc == SUTRA_E_TIMEOUT) {
		rc = 0;
		for (size_t i = 0; i < n && !rc; i++)
			rc = kept[i].ready ? 0 : restart_kept(a, kept[i].unit, "it does not answer");
	}
	for (size_t i = 0; i < n && !rc; i++)
		rc = heal_replica(a, kept[i].unit, kept[i].probed);
	sutra_free(kept);
	return rc;
}

/* The kept units must be healthy too, or the deploy has failed. */
static int wait_kept(const struct apply *a)
{
	struct sutra_awaited *kept = xcalloc(a->plan->n + 1, sizeof(*kept));
	size_t n = kept_of(a, kept);
	int rc = n ? wait_for(a, kept, n, NULL) : 0;

	sutra_free(kept);
	return rc;
}

/* Whether it was stopped already for a unit that takes its address over. */
static bool is_predecessor(const struct sutra_plan *plan, const struct sutra_step *s)
{
	for (size_t i = 0; i < plan->n; i++)
		if (sutra_plan_predecessor(plan, &plan->steps[i]) == s)
			return true;
	return false;
}

static int stop_all(const struct apply *a)
{
	int rc = 0;

	for (size_t i = 0; i < a->plan->n && !rc; i++)
		if (a->plan->steps[i].action == SUTRA_STOP && !is_predecessor(a->plan, &a->plan->steps[i]))
			rc = stop_one(a, &a->plan->steps[i]);
	return rc;
}

/* The plan has no changes: checks and heals the kept units. */
static int check_kept(struct apply *a)
{
	int rc;

	sutra_record_load(a->scene.state_dir, &a->record, NULL);
	rc = heal_kept(a);
	return rc ? rc : wait_kept(a);
}

static void make_starts(struct apply *a)
{
	a->scene.starts = xcalloc(a->plan->n, sizeof(*a->scene.starts));
	for (size_t i = 0; i < a->plan->n; i++) {
		const struct sutra_step *s = &a->plan->steps[i];

		if (s->action == SUTRA_START)
			a->scene.starts[a->scene.n_starts++] = (struct sutra_start){ s->unit, sutra_plan_predecessor(a->plan, s) };
	}
}

int sutra_deploy_apply(struct sutra_deploy *deploy, struct sutra_err *err)
{
	const struct sutra_desired *d = deploy->desired;
	const struct sutra_plan *plan = deploy->plan;
	const char *state_dir = deploy->state_dir;
	struct apply a = { .d = d, .plan = plan, .deploy = deploy,
			   .scene = { .state_dir = state_dir, .config = deploy->config, .desired = d }, .err = err };
	int generation = deploy->generation;
	int rc = d->rt->check(err);

	if (rc)
		return rc;
	if (!plan->n_changes && !plan->unfinished) {
		rc = check_kept(&a);
		goto out;
	}
	make_starts(&a);
	rc = d->rt->prepare(&a.scene, err);
	if (rc)
		goto out;
	a.record = record_begin(deploy->config, d, state_dir);
	a.replaced = xcalloc(plan->n + 1, sizeof(*a.replaced));
	rc = sutra_record_save(state_dir, a.record, err);
	rc = rc ? rc : d->rt->begin(&a.scene, err);
	rc = rc ? rc : start_all(&a);
	rc = rc ? rc : replace_mute_balancers(&a);
	rc = rc ? rc : wait_all_balanced(&a);
	rc = rc ? rc : heal_kept(&a);
	rc = rc ? rc : replace_all(&a);
	rc = rc ? rc : wait_kept(&a);
	rc = rc ? rc : stop_all(&a);	/* last: no service uses them any more */
	if (!rc && !generation)
		rc = sutra_generation_commit(state_dir, a.record, &generation, err);
	if (!rc) {
		a.record->generation = generation;
		a.record->complete = true;
		rc = sutra_record_save(state_dir, a.record, err);
	}
out:
	sutra_record_free(a.record);
	sutra_free(a.replaced);
	sutra_free(a.scene.starts);
	return rc;
}

/* The longest that a recorded service may take to end; 0: not known. */
static uint64_t longest_grace(const char *state_dir)
{
	struct sutra_record *r = NULL;
	uint64_t most = 0;

	sutra_record_load(state_dir, &r, NULL);
	for (size_t i = 0; r && i < r->n; i++)
		most = r->units[i].stop_grace_ns > most ? r->units[i].stop_grace_ns : most;
	sutra_record_free(r);
	return most;
}

int sutra_deploy_down(const struct sutra_runtime *rt, const char *state_dir, bool volumes, size_t *ret_n,
		      int *ret_killed, struct sutra_err *err)
{
	char *record = xasprintf("%s/deployment.json", state_dir);
	int rc = rt->down(state_dir, longest_grace(state_dir), volumes, ret_n, ret_killed, err);

	if (!rc && unlink(record) && errno != ENOENT)
		rc = sutra_fail_errno(err, "cannot remove %s", record);
	rc = rc || !volumes ? rc : sutra_generation_forget_all(state_dir, err);
	sutra_free(record);
	return rc;
}
