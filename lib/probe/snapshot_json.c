/* A snapshot as one line of JSON and back: one table of fields for both directions. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/jsonio.h"
#include "probe/snapshot.h"

#define SCHEMA "sutra.monitor/1"

enum { MAX_ITEMS = 4096 };

/* WHOLE and REAL below 0 are unknown: null. MOMENT is a wall clock, told as an age. */
enum kind { TEXT, WHOLE, REAL, YES, MOMENT };

struct field {
	const char *name;
	enum kind kind;
	size_t offset, size;
};

#define F(type, kind, name, member) { name, kind, offsetof(struct type, member), sizeof(((struct type *)0)->member) }
#define END { NULL, TEXT, 0, 0 }

static const struct field service_fields[] = {
	F(sutra_snap_service, TEXT, "name", name), F(sutra_snap_service, TEXT, "group", group),
	F(sutra_snap_service, TEXT, "program", program), F(sutra_snap_service, TEXT, "address", address),
	F(sutra_snap_service, TEXT, "published", published), F(sutra_snap_service, TEXT, "version", version),
	F(sutra_snap_service, TEXT, "state", state), F(sutra_snap_service, TEXT, "reason", reason),
	F(sutra_snap_service, TEXT, "detail", detail), F(sutra_snap_service, TEXT, "affected_by", affected_by),
	F(sutra_snap_service, MOMENT, "age_ms", at_us), F(sutra_snap_service, REAL, "latency_ms", latency_ms),
	F(sutra_snap_service, REAL, "uptime_seconds", uptime_s),
	F(sutra_snap_service, REAL, "cpu_percent", cpu_percent), F(sutra_snap_service, WHOLE, "cpu_us", cpu_us),
	F(sutra_snap_service, MOMENT, "memory_age_ms", memory_at_us),
	F(sutra_snap_service, WHOLE, "memory_bytes", memory_bytes),
	F(sutra_snap_service, WHOLE, "rss_bytes", rss_bytes),
	F(sutra_snap_service, WHOLE, "memory_limit_bytes", memory_limit),
	F(sutra_snap_service, WHOLE, "pid", pid), F(sutra_snap_service, WHOLE, "restarts", restarts),
	F(sutra_snap_service, WHOLE, "last_exit", last_exit), END,
};

static const struct field replica_fields[] = {
	F(sutra_snap_replica, TEXT, "name", name), F(sutra_snap_replica, TEXT, "status", status),
	F(sutra_snap_replica, TEXT, "check_code", check_code), F(sutra_snap_replica, TEXT, "check_text", check_text),
	F(sutra_snap_replica, WHOLE, "sessions", sessions), F(sutra_snap_replica, WHOLE, "sessions_max", sessions_max),
	F(sutra_snap_replica, WHOLE, "queue", queue), F(sutra_snap_replica, WHOLE, "queue_max", queue_max),
	F(sutra_snap_replica, WHOLE, "requests", total), F(sutra_snap_replica, WHOLE, "errors", errors),
	F(sutra_snap_replica, WHOLE, "last_change_seconds", last_change_s),
	F(sutra_snap_replica, WHOLE, "check_ms", check_ms), F(sutra_snap_replica, WHOLE, "mean_ms", mean_ms),
	F(sutra_snap_replica, REAL, "requests_per_s", rate), F(sutra_snap_replica, REAL, "errors_per_s", error_rate),
	F(sutra_snap_replica, REAL, "recent_requests", recent), F(sutra_snap_replica, REAL, "share", share),
	F(sutra_snap_replica, YES, "up", up), F(sutra_snap_replica, YES, "skewed", skewed), END,
};

static const struct field balancer_fields[] = {
	F(sutra_snap_balancer, TEXT, "service", service), F(sutra_snap_balancer, TEXT, "group", group),
	F(sutra_snap_balancer, TEXT, "algorithm", algorithm), F(sutra_snap_balancer, TEXT, "trouble", trouble),
	F(sutra_snap_balancer, MOMENT, "age_ms", at_us), F(sutra_snap_balancer, REAL, "balance_index", balance), END,
};

static const struct field minute_fields[] = {
	F(sutra_snap_minute, WHOLE, "t", unix_s), F(sutra_snap_minute, WHOLE, "l1", l1),
	F(sutra_snap_minute, WHOLE, "l2", l2), F(sutra_snap_minute, WHOLE, "miss", misses), END,
};

static const struct field cache_fields[] = {
	F(sutra_snap_cache, TEXT, "service", service), F(sutra_snap_cache, TEXT, "shard", shard),
	F(sutra_snap_cache, TEXT, "trouble", trouble), F(sutra_snap_cache, MOMENT, "age_ms", at_us),
	F(sutra_snap_cache, WHOLE, "l1_hits", l1_hits), F(sutra_snap_cache, WHOLE, "l2_hits", l2_hits),
	F(sutra_snap_cache, WHOLE, "misses", misses), F(sutra_snap_cache, WHOLE, "texts", texts),
	F(sutra_snap_cache, WHOLE, "requests", requests), F(sutra_snap_cache, WHOLE, "errors", errors),
	F(sutra_snap_cache, WHOLE, "coalesced", coalesced), F(sutra_snap_cache, WHOLE, "l2_errors", l2_errors),
	F(sutra_snap_cache, WHOLE, "clears", clears), F(sutra_snap_cache, REAL, "texts_per_s", texts_rate), F(sutra_snap_cache, REAL, "requests_per_s", requests_rate),
	F(sutra_snap_cache, REAL, "errors_per_s", error_rate), F(sutra_snap_cache, MOMENT, "detail_age_ms", detail_at_us),
	F(sutra_snap_cache, MOMENT, "l2_age_ms", l2_at_us), F(sutra_snap_cache, YES, "enabled", enabled), F(sutra_snap_cache, YES, "l2_enabled", l2_enabled),
	F(sutra_snap_cache, WHOLE, "l1_size", l1_size), F(sutra_snap_cache, WHOLE, "l1_max_size", l1_max),
	F(sutra_snap_cache, WHOLE, "l1_evictions", l1_evictions), F(sutra_snap_cache, WHOLE, "l2_size", l2_size),
	F(sutra_snap_cache, WHOLE, "l2_max_size", l2_max), F(sutra_snap_cache, WHOLE, "l2_evictions", l2_evictions),
	F(sutra_snap_cache, WHOLE, "l2_expired", l2_expired), F(sutra_snap_cache, WHOLE, "ttl_seconds", ttl_seconds),
	F(sutra_snap_cache, REAL, "l1_p50_us", l1_p50_us), F(sutra_snap_cache, REAL, "l1_p99_us", l1_p99_us),
	F(sutra_snap_cache, REAL, "l2_p50_us", l2_p50_us), F(sutra_snap_cache, REAL, "l2_p99_us", l2_p99_us), END,
};

static const struct field event_fields[] = {
	F(sutra_snap_event, MOMENT, "age_ms", at_us), F(sutra_snap_event, TEXT, "source", source),
	F(sutra_snap_event, TEXT, "kind", kind), F(sutra_snap_event, TEXT, "subject", subject),
	F(sutra_snap_event, TEXT, "level", level), F(sutra_snap_event, TEXT, "text", text), END,
};

static const struct field top_fields[] = {
	F(sutra_snapshot, WHOLE, "time_us", time_us), F(sutra_snapshot, REAL, "interval_seconds", interval_s),
	F(sutra_snapshot, TEXT, "project", project), F(sutra_snapshot, TEXT, "runtime", runtime),
	F(sutra_snapshot, TEXT, "edition", edition), F(sutra_snapshot, WHOLE, "dimension", dimension),
	F(sutra_snapshot, WHOLE, "generation", generation), F(sutra_snapshot, WHOLE, "events_lost", events_lost),
	F(sutra_snapshot, MOMENT, "lookup_age_ms", looked_at_us), F(sutra_snapshot, YES, "deployed", deployed), F(sutra_snapshot, YES, "complete", complete),
	F(sutra_snapshot, YES, "supervised", supervised), F(sutra_snapshot, TEXT, "trouble", trouble),
	F(sutra_snapshot, TEXT, "root_cause", cause), END,
};

static json_t *text_value(const char *s)
{
	json_t *v = json_string(s);

	return v ? v : json_string("?");	/* cut inside a character */
}

static json_t *value_of(const struct field *f, const void *at, int64_t time_us)
{
	int64_t whole;
	double real;

	switch (f->kind) {
	case TEXT:
		return text_value(at);
	case YES:
		return json_boolean(*(const bool *)at);
	case REAL:
		real = *(const double *)at;
		/* Four digits are what anybody can use; a share of 1/3 stays a short word. */
		return real < 0 || !isfinite(real) ? json_null() : json_real(round(real * 1e4) / 1e4);
	case MOMENT:
		whole = *(const int64_t *)at;
		return whole ? json_integer((time_us - whole) / 1000) : json_null();
	default:
		whole = *(const int64_t *)at;
		return whole < 0 ? json_null() : json_integer(whole);
	}
}

static json_t *object_of(const struct field *f, const void *base, int64_t time_us)
{
	json_t *o = json_object();

	for (; f->name; f++)
		json_object_set_new(o, f->name, value_of(f, (const char *)base + f->offset, time_us));
	return o;
}

static json_t *array_of(const struct field *f, const void *base, size_t n, size_t size, int64_t time_us)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, object_of(f, (const char *)base + i * size, time_us));
	return list;
}

void sutra_snapshot_write(const struct sutra_snapshot *s, struct sutra_buf *out)
{
	json_t *o = object_of(top_fields, s, s->time_us), *balancers, *caches;
	char when[SUTRA_RFC3339_LEN];

	sutra_clock_rfc3339(s->time_us, when);
	json_object_set_new(o, "schema", json_string(SCHEMA));
	json_object_set_new(o, "time", json_string(when));
	json_object_set_new(o, "services", array_of(service_fields, s->services, s->n_services,
						    sizeof(*s->services), s->time_us));
	balancers = array_of(balancer_fields, s->balancers, s->n_balancers, sizeof(*s->balancers), s->time_us);
	for (size_t i = 0; i < s->n_balancers; i++)
		json_object_set_new(json_array_get(balancers, i), "replicas",
				    array_of(replica_fields, s->balancers[i].replicas, s->balancers[i].n,
					     sizeof(struct sutra_snap_replica), s->time_us));
	json_object_set_new(o, "balancers", balancers);
	caches = array_of(cache_fields, s->caches, s->n_caches, sizeof(*s->caches), s->time_us);
	for (size_t i = 0; i < s->n_caches; i++)
		json_object_set_new(json_array_get(caches, i), "history",
				    array_of(minute_fields, s->caches[i].minutes, s->caches[i].n_minutes,
					     sizeof(struct sutra_snap_minute), s->time_us));
	json_object_set_new(o, "caches", caches);
	if (s->observed)
		json_object_set_new(o, "events", array_of(event_fields, s->events, s->n_events, sizeof(*s->events),
							  s->time_us));
	sutra_json_add(out, o, 0);
	json_decref(o);
}

static int read_field(const struct field *f, const json_t *o, void *at, int64_t time_us, struct sutra_err *err)
{
	const char *text = "";
	int64_t age = -1;
	int rc = 0;

	switch (f->kind) {
	case TEXT:
		rc = sutra_json_get_string(o, f->name, &text, err);
		snprintf(at, f->size, "%s", text);
		return rc;
	case YES:
		return sutra_json_get_bool(o, f->name, at, err);
	case REAL:
		*(double *)at = -1;
		return sutra_json_get_double(o, f->name, at, err);
	case MOMENT:
		rc = sutra_json_get_int(o, f->name, &age, err);
		*(int64_t *)at = age < 0 || age > time_us / 1000 ? 0 : time_us - age * 1000;
		return rc;
	default:
		*(int64_t *)at = -1;
		return sutra_json_get_int(o, f->name, at, err);
	}
}

static int read_object(const struct field *f, const json_t *o, void *base, int64_t time_us, struct sutra_err *err)
{
	int rc = json_is_object(o) ? 0 : sutra_fail(err, SUTRA_E_INVALID, "%s where an object is expected",
						    sutra_json_type_name(o));

	for (; !rc && f->name; f++)
		rc = read_field(f, o, (char *)base + f->offset, time_us, err);
	return rc;
}

/* How many are read; read_array refuses a list that has more. */
static size_t items_of(const json_t *o, const char *key)
{
	size_t n = json_array_size(json_object_get(o, key));

	return n < MAX_ITEMS ? n : MAX_ITEMS;
}

static int read_array(const struct field *f, const json_t *o, const char *key, void *base, size_t n, size_t size,
		      int64_t time_us, struct sutra_err *err)
{
	const json_t *list = json_object_get(o, key);
	int rc = 0;

	if (json_array_size(list) > MAX_ITEMS)
		return sutra_fail(err, SUTRA_E_TOOBIG, "%s has %zu items; at most %d are read", key,
				  json_array_size(list), MAX_ITEMS);
	for (size_t i = 0; i < n && !rc; i++) {
		rc = read_object(f, json_array_get(list, i), (char *)base + i * size, time_us, err);
		if (rc)
			sutra_err_prefix(err, "%s[%zu]", key, i);
	}
	return rc;
}

static int read_minutes(const json_t *o, struct sutra_snap_cache *c, struct sutra_err *err)
{
	size_t n = items_of(o, "history");

	c->minutes = sutra_calloc(n + 1, sizeof(*c->minutes));
	if (!c->minutes)
		return sutra_fail(err, SUTRA_E_NOMEM, "out of memory for %zu points of history", n);
	c->n_minutes = n;
	return read_array(minute_fields, o, "history", c->minutes, n, sizeof(*c->minutes), 0, err);
}

static int read_events(const json_t *o, struct sutra_snapshot *s, struct sutra_err *err)
{
	size_t n = items_of(o, "events");

	s->observed = json_object_get(o, "events") != NULL;
	if (!n)
		return 0;
	s->events_lost += n > SUTRA_SNAP_EVENTS ? (int64_t)(n - SUTRA_SNAP_EVENTS) : 0;
	n = n < SUTRA_SNAP_EVENTS ? n : SUTRA_SNAP_EVENTS;
	if (sutra_snapshot_events(s, n))
		return sutra_fail(err, SUTRA_E_NOMEM, "out of memory for %zu events", n);
	s->n_events = n;
	return read_array(event_fields, o, "events", s->events, s->n_events, sizeof(*s->events), s->time_us, err);
}

static int read_inner(const json_t *o, struct sutra_snapshot *s, struct sutra_err *err)
{
	int rc = 0;

	for (size_t i = 0; i < s->n_balancers && !rc; i++) {
		const json_t *b = json_array_get(json_object_get(o, "balancers"), i);

		rc = sutra_snapshot_replicas(&s->balancers[i], items_of(b, "replicas"));
		if (rc)
			return sutra_fail(err, rc, "out of memory for a snapshot");
		rc = read_array(replica_fields, b, "replicas", s->balancers[i].replicas, s->balancers[i].n,
				sizeof(struct sutra_snap_replica), s->time_us, err);
	}
	for (size_t i = 0; i < s->n_caches && !rc; i++) {
		const json_t *c = json_array_get(json_object_get(o, "caches"), i);

		if (!json_object_get(c, "l2_age_ms"))	/* recorded before it was told apart */
			s->caches[i].l2_at_us = s->caches[i].detail_at_us;
		rc = read_minutes(c, &s->caches[i], err);
	}
	return rc;
}

int sutra_snapshot_read(const char *line, size_t n, struct sutra_snapshot **ret, struct sutra_err *err)
{
	struct sutra_snapshot *s = NULL;
	const char *schema = "";
	json_t *o = NULL;
	int rc = sutra_json_parse(line, n, &o, err);

	if (rc)
		return rc;
	rc = sutra_json_get_string(o, "schema", &schema, err);
	if (!rc && strcmp(schema, SCHEMA) != 0)
		rc = sutra_fail(err, SUTRA_E_INVALID, "its schema is \"%.40s\", not " SCHEMA, schema);
	if (!rc) {
		s = sutra_snapshot_new(items_of(o, "services"), items_of(o, "balancers"), items_of(o, "caches"));
		rc = s ? 0 : sutra_fail(err, SUTRA_E_NOMEM, "out of memory for a snapshot");
	}
	rc = rc ? rc : read_object(top_fields, o, s, 0, err);
	if (!rc && (s->time_us < 0 || s->time_us > SUTRA_CLOCK_LAST_US || s->interval_s <= 0))
		rc = sutra_fail(err, SUTRA_E_INVALID, "\"time_us\" or \"interval_seconds\" is missing, not above 0 or too late");
	rc = rc ? rc : read_array(service_fields, o, "services", s->services, s->n_services, sizeof(*s->services),
				  s->time_us, err);
	rc = rc ? rc : read_array(balancer_fields, o, "balancers", s->balancers, s->n_balancers,
				  sizeof(*s->balancers), s->time_us, err);
	rc = rc ? rc : read_array(cache_fields, o, "caches", s->caches, s->n_caches, sizeof(*s->caches),
				  s->time_us, err);
	rc = rc ? rc : read_inner(o, s, err);
	rc = rc ? rc : read_events(o, s, err);
	json_decref(o);
	if (rc)
		sutra_snapshot_unref(s);
	else
		*ret = s;
	return rc;
}
