/* A snapshot as a line of JSON, written and read by the same tables of fields. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/jsonio.h"
#include "probe/snapshot.h"

#define SCHEMA "sutra.monitor/1"

enum { MAX_ITEMS = 4096 };

/* WHOLE and REAL below 0 are unknown: null. MOMENT is a time, written as its age. LIST is a pointer
 * to objects and their number. */
enum kind { TEXT, WHOLE, REAL, YES, MOMENT, LIST };

struct field {
	const char *name;
	enum kind kind;
	size_t offset, size;	/* of the member; LIST: of the pointer, and the size of an item */
	size_t n_offset, room;	/* LIST: of the number; the fewest items that memory is allocated for */
	const struct field *fields;	/* LIST: of an item */
};

#define F(type, of_kind, key, member) \
	{ .name = key, .kind = of_kind, .offset = offsetof(struct type, member), .size = sizeof(((struct type *)0)->member) }
#define L(type, key, member, least, item_fields) \
	{ .name = key, .kind = LIST, .offset = offsetof(struct type, member), .size = sizeof(*((struct type *)0)->member), \
	  .n_offset = offsetof(struct type, n_##member), .room = least, .fields = item_fields }
#define END { .name = NULL }

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
	F(sutra_snap_balancer, MOMENT, "age_ms", at_us), F(sutra_snap_balancer, REAL, "balance_index", balance),
	L(sutra_snap_balancer, "replicas", replicas, 1, replica_fields), END,
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
	F(sutra_snap_cache, WHOLE, "clears", clears), F(sutra_snap_cache, REAL, "texts_per_s", texts_rate),
	F(sutra_snap_cache, REAL, "requests_per_s", requests_rate), F(sutra_snap_cache, REAL, "errors_per_s", error_rate),
	F(sutra_snap_cache, MOMENT, "detail_age_ms", detail_at_us), F(sutra_snap_cache, MOMENT, "l2_age_ms", l2_at_us),
	F(sutra_snap_cache, YES, "enabled", enabled), F(sutra_snap_cache, YES, "l2_enabled", l2_enabled),
	F(sutra_snap_cache, WHOLE, "l1_size", l1_size), F(sutra_snap_cache, WHOLE, "l1_max_size", l1_max),
	F(sutra_snap_cache, WHOLE, "l1_evictions", l1_evictions), F(sutra_snap_cache, WHOLE, "l2_size", l2_size),
	F(sutra_snap_cache, WHOLE, "l2_max_size", l2_max), F(sutra_snap_cache, WHOLE, "l2_evictions", l2_evictions),
	F(sutra_snap_cache, WHOLE, "l2_expired", l2_expired), F(sutra_snap_cache, WHOLE, "ttl_seconds", ttl_seconds),
	F(sutra_snap_cache, REAL, "l1_p50_us", l1_p50_us), F(sutra_snap_cache, REAL, "l1_p99_us", l1_p99_us),
	F(sutra_snap_cache, REAL, "l2_p50_us", l2_p50_us), F(sutra_snap_cache, REAL, "l2_p99_us", l2_p99_us),
	L(sutra_snap_cache, "history", minutes, 1, minute_fields), END,
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
	F(sutra_snapshot, MOMENT, "lookup_age_ms", looked_at_us),
	F(sutra_snapshot, YES, "deployed", deployed), F(sutra_snapshot, YES, "complete", complete),
	F(sutra_snapshot, YES, "supervised", supervised), F(sutra_snapshot, TEXT, "trouble", trouble),
	F(sutra_snapshot, TEXT, "root_cause", cause), L(sutra_snapshot, "services", services, 1, service_fields),
	L(sutra_snapshot, "balancers", balancers, 1, balancer_fields), L(sutra_snapshot, "caches", caches, 1, cache_fields),
	L(sutra_snapshot, "events", events, SUTRA_SNAP_EVENTS, event_fields), END,
};

static json_t *text_value(const char *s)
{
	json_t *v = json_string(s);

	return v ? v : json_string("?");	/* cut inside a character */
}

static json_t *object_of(const struct field *f, const void *base, int64_t time_us);

static json_t *list_of(const struct field *f, const void *base, int64_t time_us)
{
	json_t *list = json_array();
	const char *items;
	size_t n;

	memcpy(&items, (const char *)base + f->offset, sizeof(items));
	memcpy(&n, (const char *)base + f->n_offset, sizeof(n));
	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, object_of(f->fields, items + i * f->size, time_us));
	return list;
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
		/* Four digits suffice, and keep a share of 1/3 short. */
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
		json_object_set_new(o, f->name, f->kind == LIST ? list_of(f, base, time_us) :
							  value_of(f, (const char *)base + f->offset, time_us));
	return o;
}

void sutra_snapshot_write(const struct sutra_snapshot *s, struct sutra_buf *out)
{
	json_t *o = object_of(top_fields, s, s->time_us);
	char when[SUTRA_RFC3339_LEN];

	sutra_clock_rfc3339(s->time_us, when);
	json_object_set_new(o, "schema", json_string(SCHEMA));
	json_object_set_new(o, "time", json_string(when));
	if (!s->observed)
		json_object_del(o, "events");
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

static int read_list(const struct field *f, const json_t *o, void *base, int64_t time_us, struct sutra_err *err);

static int read_object(const struct field *f, const json_t *o, void *base, int64_t time_us, struct sutra_err *err)
{
	int rc = json_is_object(o) ? 0 : sutra_fail(err, SUTRA_E_INVALID, "%s where an object is expected",
						    sutra_json_type_name(o));

	for (; !rc && f->name; f++)
		rc = f->kind == LIST ? read_list(f, o, base, time_us, err) :
				       read_field(f, o, (char *)base + f->offset, time_us, err);
	return rc;
}

static int read_list(const struct field *f, const json_t *o, void *base, int64_t time_us, struct sutra_err *err)
{
	const json_t *list = json_object_get(o, f->name);
	size_t n = json_array_size(list);
	char *items, *old;
	int rc = 0;

	if (n > MAX_ITEMS)
		return sutra_fail(err, SUTRA_E_TOOBIG, "%s has %zu items; at most %d are read", f->name, n, MAX_ITEMS);
	items = sutra_calloc(n > f->room ? n : f->room, f->size);
	if (!items)
		return sutra_fail(err, SUTRA_E_NOMEM, "out of memory for %zu items of %s", n, f->name);
	memcpy(&old, (char *)base + f->offset, sizeof(old));
	sutra_free(old);
	memcpy((char *)base + f->offset, &items, sizeof(items));
	memcpy((char *)base + f->n_offset, &n, sizeof(n));
	for (size_t i = 0; i < n && !rc; i++) {
		rc = read_object(f->fields, json_array_get(list, i), items + i * f->size, time_us, err);
		if (rc)
			sutra_err_prefix(err, "%s[%zu]", f->name, i);
	}
	return rc;
}

/* Sets what a line does not hold as it is, or an older version wrote differently. */
static void complete(struct sutra_snapshot *s, const json_t *o)
{
	const json_t *caches = json_object_get(o, "caches");

	s->observed = json_object_get(o, "events") != NULL;
	if (s->n_events > SUTRA_SNAP_EVENTS) {
		s->events_lost += (int64_t)(s->n_events - SUTRA_SNAP_EVENTS);
		s->n_events = SUTRA_SNAP_EVENTS;
	}
	for (size_t i = 0; i < s->n_caches; i++)
		if (!json_object_get(json_array_get(caches, i), "l2_age_ms"))
			s->caches[i].l2_at_us = s->caches[i].detail_at_us;
}

int sutra_snapshot_read(const char *line, size_t n, struct sutra_snapshot **ret, struct sutra_err *err)
{
	struct sutra_snapshot *s = NULL;
	const char *schema = "";
	int64_t time_us = 0;
	json_t *o = NULL;
	int rc = sutra_json_parse(line, n, &o, err);

	if (rc)
		return rc;
	rc = sutra_json_get_string(o, "schema", &schema, err);
	if (!rc && strcmp(schema, SCHEMA) != 0)
		rc = sutra_fail(err, SUTRA_E_INVALID, "its schema is \"%.40s\", not " SCHEMA, schema);
	rc = rc ? rc : sutra_json_get_int(o, "time_us", &time_us, err);
	if (!rc && !(s = sutra_snapshot_new(0, 0, 0)))
		rc = sutra_fail(err, SUTRA_E_NOMEM, "out of memory for a snapshot");
	rc = rc ? rc : read_object(top_fields, o, s, time_us, err);
	if (!rc && (s->time_us < 0 || s->time_us > SUTRA_CLOCK_LAST_US || s->interval_s <= 0))
		rc = sutra_fail(err, SUTRA_E_INVALID, "\"time_us\" or \"interval_seconds\" is missing, not above 0 or too late");
	if (!rc)
		complete(s, o);
	json_decref(o);
	if (rc)
		sutra_snapshot_unref(s);
	else
		*ret = s;
	return rc;
}
