/* cachestats - the counters of a gateway's cache, as GET /cache/stats answers them. */
#ifndef SUTRA_PROBE_CACHESTATS_H
#define SUTRA_PROBE_CACHESTATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct sutra_cache_level {
	int64_t size, max_size, hits, misses, evictions, expired;
	int64_t errors, write_errors;	/* calls that failed or were late; write_errors: the writes among them */
	double hit_rate, p50_us, p99_us;	/* -1: unknown */
};
struct sutra_cache_stats {
	bool enabled;
	struct sutra_cache_level l1, l2;
	bool l2_enabled, l2_up;	/* not up: the shard did not answer, its sizes are not known */
	char shard[64], backend[64];
	int64_t requests, hits, misses, coalesced, ttl_seconds;
	double hit_rate;
};
/* Look-ups among `n` that failed or were late, when they are a tenth at most (a busy machine, which
 * proves nothing about the level's content); else 0. */
static inline int64_t sutra_cache_late(const struct sutra_cache_level *l, int64_t n)
{
	int64_t late = l->errors - l->write_errors;

	return late <= n / 10 ? late : 0;
}
/* The document of GET /cache/stats; what it lacks stays 0, rates and times -1. */
int sutra_cache_stats_parse(const char *json, size_t n, struct sutra_cache_stats *ret,
			    struct sutra_err *err);
int sutra_cache_stats_fetch(const char *base, uint64_t timeout_ns, struct sutra_cache_stats *ret,
			    struct sutra_err *err);
/* Empties both levels. */
int sutra_cache_empty(const char *base, uint64_t timeout_ns, struct sutra_err *err);
/* Writes to L2 are asynchronous: returns once it holds `want` entries, or after limit_ns. */
void sutra_cache_settle(const char *base, int64_t want, uint64_t limit_ns);

#endif
