/* cachestats - the counters of a gateway's cache, as GET /cache/stats answers them. */
#ifndef SUTRA_PROBE_CACHESTATS_H
#define SUTRA_PROBE_CACHESTATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct sutra_cache_level {
	int64_t size, max_size, hits, misses, evictions, expired;
	int64_t errors, write_errors;	/* calls that failed or were late; of them writes */
	double hit_rate, p50_us, p99_us;	/* -1: unknown */
};
struct sutra_cache_stats {
	bool enabled;
	struct sutra_cache_level l1, l2;
	bool l2_enabled, l2_up;	/* l2_up false: the shard did not answer, its sizes are unknown */
	char shard[64], backend[64];
	int64_t requests, hits, misses, coalesced, ttl_seconds;
	double hit_rate;
};
/* The number of n look-ups that failed or were late; 0 when they are more than a tenth, for which a
 * busy machine is no explanation. */
static inline int64_t sutra_cache_late(const struct sutra_cache_level *l, int64_t n)
{
	int64_t late = l->errors - l->write_errors;

	return late <= n / 10 ? late : 0;
}
/* Reads the document of GET /cache/stats; a missing figure is 0, a missing rate or time -1.
 * SUTRA_E_SYNTAX, SUTRA_E_INVALID. */
int sutra_cache_stats_parse(const char *json, size_t n, struct sutra_cache_stats *ret,
			    struct sutra_err *err);
int sutra_cache_stats_fetch(const char *base, uint64_t timeout_ns, struct sutra_cache_stats *ret,
			    struct sutra_err *err);
/* Empties both levels of the gateway at base. */
int sutra_cache_empty(const char *base, uint64_t timeout_ns, struct sutra_err *err);
/* Waits for the asynchronous writes to L2: until it holds `want` entries, or limit_ns passed. */
void sutra_cache_settle(const char *base, int64_t want, uint64_t limit_ns);

#endif
