#include "probe/cachestats.h"

#include <stddef.h>
#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "base/jsonio.h"
#include "net/fetch.h"

enum { MAX_URL = 512 };

static int read_level(const json_t *o, struct sutra_cache_level *l, struct sutra_err *err)
{
	static const struct {
		const char *name;
		size_t offset;
	} figures[] = {
		{ "size", offsetof(struct sutra_cache_level, size) },
		{ "max_size", offsetof(struct sutra_cache_level, max_size) },
		{ "hits", offsetof(struct sutra_cache_level, hits) },
		{ "misses", offsetof(struct sutra_cache_level, misses) },
		{ "evictions", offsetof(struct sutra_cache_level, evictions) },
		{ "expired", offsetof(struct sutra_cache_level, expired) },
		{ "errors", offsetof(struct sutra_cache_level, errors) },
		{ "write_errors", offsetof(struct sutra_cache_level, write_errors) },
	};
	const json_t *latency = json_object_get(o, "latency_us");
	int rc = 0;

	*l = (struct sutra_cache_level){ .hit_rate = -1, .p50_us = -1, .p99_us = -1 };
	for (size_t i = 0; !rc && i < sizeof(figures) / sizeof(*figures); i++)
		rc = sutra_json_get_int(o, figures[i].name,
					(int64_t *)(void *)((char *)l + figures[i].offset), err);
	rc = rc ? rc : sutra_json_get_double(o, "hit_rate", &l->hit_rate, err);
	rc = rc ? rc : sutra_json_get_double(latency, "p50", &l->p50_us, err);
	return rc ? rc : sutra_json_get_double(latency, "p99", &l->p99_us, err);
}

static int read_stats(const json_t *doc, struct sutra_cache_stats *s, struct sutra_err *err)
{
	const json_t *l2 = json_object_get(doc, "l2"), *total = json_object_get(doc, "total");
	const char *shard = "", *backend = "";
	int rc;

	if (!json_is_object(doc) || !json_object_get(doc, "enabled"))
		return sutra_fail(err, SUTRA_E_INVALID, "this is no document of /cache/stats");
	s->hit_rate = -1;
	rc = sutra_json_get_bool(doc, "enabled", &s->enabled, err);
	rc = rc ? rc : read_level(json_object_get(doc, "l1"), &s->l1, err);
	rc = rc ? rc : read_level(l2, &s->l2, err);
	rc = rc ? rc : sutra_json_get_bool(l2, "enabled", &s->l2_enabled, err);
	rc = rc ? rc : sutra_json_get_bool(l2, "up", &s->l2_up, err);
	rc = rc ? rc : sutra_json_get_string(l2, "shard", &shard, err);
	rc = rc ? rc : sutra_json_get_string(l2, "backend", &backend, err);
	rc = rc ? rc : sutra_json_get_int(total, "requests", &s->requests, err);
	rc = rc ? rc : sutra_json_get_int(total, "hits", &s->hits, err);
	rc = rc ? rc : sutra_json_get_int(total, "misses", &s->misses, err);
	rc = rc ? rc : sutra_json_get_double(total, "hit_rate", &s->hit_rate, err);
	rc = rc ? rc : sutra_json_get_int(doc, "coalesced", &s->coalesced, err);
	rc = rc ? rc : sutra_json_get_int(doc, "ttl_seconds", &s->ttl_seconds, err);
	snprintf(s->shard, sizeof(s->shard), "%s", shard);
	snprintf(s->backend, sizeof(s->backend), "%s", backend);
	return rc;
}

int sutra_cache_stats_parse(const char *json, size_t n, struct sutra_cache_stats *ret,
			    struct sutra_err *err)
{
	struct sutra_cache_stats s = { 0 };
	json_t *doc = NULL;
	int rc = sutra_json_parse(json, n, &doc, err);

	if (rc)
		return rc;
	rc = read_stats(doc, &s, err);
	json_decref(doc);
	if (!rc)
		*ret = s;
	return rc;
}

int sutra_cache_stats_fetch(const char *base, uint64_t timeout_ns, struct sutra_cache_stats *ret,
			    struct sutra_err *err)
{
	struct sutra_fetch f;
	int rc = sutra_fetch_get(&f, base, "/cache/stats", timeout_ns, err);

	if (!rc)
		rc = sutra_cache_stats_parse(sutra_buf_str(&f.answer), f.answer.len, ret, err);
	if (rc)
		sutra_err_prefix(err, "cache statistics");
	sutra_fetch_release(&f);
	return rc;
}

int sutra_cache_empty(const char *base, uint64_t timeout_ns, struct sutra_err *err)
{
	struct sutra_fetch f;
	char url[MAX_URL];
	int rc;

	snprintf(url, sizeof(url), "%s/cache/clear", base);
	sutra_fetch_init(&f);
	f.method = "POST";
	f.url = url;
	f.timeout_ns = timeout_ns;
	rc = sutra_fetch_one(&f, err);
	sutra_fetch_release(&f);
	return rc;
}

void sutra_cache_settle(const char *base, int64_t want, uint64_t limit_ns)
{
	uint64_t until = sutra_clock_ns() + limit_ns;
	struct sutra_cache_stats s;

	while (!sutra_cache_stats_fetch(base, limit_ns, &s, NULL) && s.l2_enabled && s.l2.size < want &&
	       sutra_clock_ns() < until)
		nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
}
