#include "probe/observe.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

void sutra_event_add(struct sutra_snapshot *s, int64_t at_us, const char *source, const char *kind,
		     const char *subject, const char *level, const char *fmt, ...)
{
	struct sutra_snap_event *e;
	va_list args;

	if (!s->events)
		s->events = sutra_calloc(SUTRA_SNAP_EVENTS, sizeof(*s->events));
	if (!s->events || s->n_events >= SUTRA_SNAP_EVENTS) {
		s->events_lost++;
		return;
	}
	e = &s->events[s->n_events++];
	e->at_us = at_us;
	snprintf(e->source, sizeof(e->source), "%s", source);
	snprintf(e->kind, sizeof(e->kind), "%s", kind);
	snprintf(e->subject, sizeof(e->subject), "%s", subject);
	snprintf(e->level, sizeof(e->level), "%s", level);
	va_start(args, fmt);
	vsnprintf(e->text, sizeof(e->text), fmt, args);
	va_end(args);
}

/* Adds an event that this program found in this sample. */
#define SEEN(s, ...) sutra_event_add(s, (s)->time_us, "monitor", __VA_ARGS__)

/* The deployment as a whole. */
static void stack_events(struct sutra_snapshot *now, const struct sutra_snapshot *before)
{
	if (now->trouble[0] && now->deployed && !before->trouble[0])
		SEEN(now, "stack", "deployment", "bad", "cannot be looked up: %s", now->trouble);
	if (!now->trouble[0] && before->trouble[0] && before->deployed)
		SEEN(now, "stack", "deployment", "ok", "can be looked up again");
	if (now->deployed != before->deployed)
		SEEN(now, "stack", "deployment", now->deployed ? "ok" : "warn", now->deployed ? "deployed: %zu services" :
		     "not deployed any more: %zu services are gone", now->deployed ? now->n_services : before->n_services);
	if (!now->deployed || !before->deployed)
		return;
	if (now->generation > 0 && before->generation >= 0 && now->generation != before->generation)
		SEEN(now, "stack", "deployment", "info", "generation %lld, was %lld", (long long)now->generation,
		     (long long)before->generation);
	if (now->dimension != before->dimension)
		SEEN(now, "stack", "deployment", "info", "%lld dimensions, were %lld", (long long)now->dimension,
		     (long long)before->dimension);
	if (strcmp(now->edition, before->edition) != 0)
		SEEN(now, "stack", "deployment", "info", "edition %s, was %s", now->edition, before->edition);
}

static const char *level_of(const char *state)
{
	return !strcmp(state, "up") ? "ok" : !strcmp(state, "down") ? "bad" : "warn";
}

static void service_events(struct sutra_snapshot *now, struct sutra_snap_service *s,
			   const struct sutra_snap_service *old)
{
	int64_t last = old->pid > 0 ? old->pid : old->last_pid;	/* a sample may fall between two processes */
	bool root = !s->affected_by[0];

	s->last_pid = last;
	if (strcmp(s->state, old->state) != 0)
		SEEN(now, "state", s->name, level_of(s->state), "%s, was %s%s%s%s%s%s", s->state, old->state,
		     !root ? "; affected by " : s->reason[0] ? ": " : "", root ? s->reason : s->affected_by,
		     s->detail[0] && root ? " (" : "", root ? s->detail : "", s->detail[0] && root ? ")" : "");
	if (old->restarts >= 0 && s->restarts > old->restarts) {
		SEEN(now, "restart", s->name, "warn", "%lld restarts by its supervisor, were %lld; last exit %lld",
		     (long long)s->restarts, (long long)old->restarts, (long long)s->last_exit);
		s->last_pid = 0;	/* this restart is reported */
	} else if (s->pid > 0 && last > 0 && s->pid != last) {
		SEEN(now, "restart", s->name, "info", "runs anew: process %lld, was %lld", (long long)s->pid,
		     (long long)last);
	}
}

static void services_events(struct sutra_snapshot *now, const struct sutra_snapshot *before)
{
	for (size_t i = 0; i < now->n_services; i++) {
		struct sutra_snap_service *s = &now->services[i];
		const struct sutra_snap_service *old = sutra_snapshot_service(before, s->name);

		if (old)
			service_events(now, s, old);
		else
			SEEN(now, "stack", s->name, "info", "is new in the deployment, %s", s->state);
	}
	for (size_t i = 0; i < before->n_services; i++)
		if (!sutra_snapshot_service(now, before->services[i].name))
			SEEN(now, "stack", before->services[i].name, "info", "is gone from the deployment");
}

/* Adds that figures became stale or were read again; before_at_us 0: they were never read. */
static void figures_events(struct sutra_snapshot *now, const struct sutra_snapshot *before, const char *name,
			   const char *what, const char *trouble, int64_t at_us, int64_t before_at_us)
{
	bool is = sutra_snapshot_stale(now, at_us, now->time_us),
	     was = sutra_snapshot_stale(before, before_at_us, before->time_us);

	if (!before_at_us || is == was)
		return;
	if (is)
		SEEN(now, "figures", name, "warn", "%s stale%s%s", what, trouble[0] ? ": " : "", trouble);
	else
		SEEN(now, "figures", name, "ok", "%s back after %.1f s", what, (double)(at_us - before_at_us) / 1e6);
}

/* The length of "UP" in HAProxy's "UP 1/2", a replica that is up and failed a check. */
static size_t word_of(const char *status) { return strcspn(status, " "); }

static void replica_events(struct sutra_snapshot *now, const struct sutra_snap_balancer *b,
			   const struct sutra_snap_balancer *old)
{
	for (size_t i = 0; i < b->n_replicas; i++) {
		const struct sutra_snap_replica *r = &b->replicas[i], *was = sutra_snapshot_replica(old, r->name);
		int n = (int)word_of(r->status), n_was = was ? (int)word_of(was->status) : 0;

		if (was && (n != n_was || strncmp(r->status, was->status, (size_t)n) != 0))
			SEEN(now, "replica", r->name, r->up ? "ok" : !strncmp(r->status, "DOWN", 4) ? "bad" : "warn",
			     "%.*s in %s, was %.*s%s%s %s", n, r->status, b->service, n_was, was->status,
			     r->check_code[0] ? ": " : "", r->check_code, r->check_text);
	}
}

static void source_events(struct sutra_snapshot *now, const struct sutra_snapshot *before)
{
	for (size_t i = 0; i < now->n_balancers; i++) {
		const struct sutra_snap_balancer *b = &now->balancers[i],
						 *old = sutra_snapshot_balancer(before, b->service);

		if (!old)
			continue;
		figures_events(now, before, b->service, "replica load is", b->trouble, b->at_us, old->at_us);
		replica_events(now, b, old);
	}
	for (size_t i = 0; i < now->n_caches; i++) {
		const struct sutra_snap_cache *c = &now->caches[i], *old = sutra_snapshot_cache(before, c->service);

		if (!old)
			continue;
		figures_events(now, before, c->service, "hit rates and traffic are", c->trouble, c->at_us, old->at_us);
		if (old->at_us && old->clears >= 0 && c->clears > old->clears)
			SEEN(now, "cache", c->service, "info", "cache cleared; L1 held %lld, L2 %lld", (long long)old->l1_size,
			     (long long)old->l2_size);
	}
}

void sutra_observe(struct sutra_snapshot *now, const struct sutra_snapshot *before)
{
	now->observed = true;
	now->events_lost = now->events_lost > 0 ? now->events_lost : 0;	/* unknown in an old recording */
	if (!before)
		return;
	stack_events(now, before);
	if (now->deployed && before->deployed)
		services_events(now, before);
	source_events(now, before);
}

static void keep(struct sutra_events *e, const struct sutra_snap_event *event)
{
	size_t at = 0;

	while (at < e->n && e->items[at].at_us > event->at_us)
		at++;
	if (at == SUTRA_EVENTS_KEPT || e->n == SUTRA_EVENTS_KEPT)
		e->lost++;
	if (at == SUTRA_EVENTS_KEPT)
		return;
	e->n -= e->n == SUTRA_EVENTS_KEPT;
	memmove(&e->items[at + 1], &e->items[at], (e->n - at) * sizeof(*e->items));
	e->items[at] = *event;
	e->n++;
}

void sutra_events_take(struct sutra_events *e, const struct sutra_snapshot *s)
{
	for (size_t i = 0; i < s->n_events; i++)
		keep(e, &s->events[i]);
	e->lost += s->events_lost > 0 ? s->events_lost : 0;
}

enum sutra_alarm_change sutra_alarm_look(struct sutra_alarm *a, enum sutra_look look)
{
	if (look == SUTRA_LOOK_NONE)
		return SUTRA_ALARM_SAME;
	if ((look == SUTRA_LOOK_BAD) == a->active) {
		a->in_a_row = 0;
		return SUTRA_ALARM_SAME;
	}
	if (++a->in_a_row < (a->active ? a->good_needed : a->bad_needed))
		return SUTRA_ALARM_SAME;
	a->in_a_row = 0;
	a->active = !a->active;
	return a->active ? SUTRA_ALARM_RAISED : SUTRA_ALARM_CLEARED;
}
