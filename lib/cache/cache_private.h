/* cache_private - internals of the cache, for cache.c, cache_l2.c and cache_stats.c. */
#ifndef SUTRA_CACHE_CACHE_PRIVATE_H
#define SUTRA_CACHE_CACHE_PRIVATE_H

#include <pthread.h>

#include "base/histogram.h"
#include "base/metric.h"
#include "cache/cache.h"
#include "cache/l1.h"
#include "wire/store_client.h"

enum { JOB_SLOTS = 4096, HISTORY_POINTS = 1440 };	/* points: one a minute for 24 hours */

struct waiter {
	struct sutra_cache_request *request;
	size_t at;
	struct waiter *next;
};

struct job {
	struct sutra_cache_key key;
	const char *text;
	size_t length;
	struct waiter first, *more;	/* the request that made the job; a list of those that joined */
	struct job *next_slot, *next_queued;
	char model[128];	/* name of the key's model */
	uint64_t deadline_ns;	/* the latest of the waiters'; 0: none */
};

#define CACHE_METRICS(X)                                                                          \
	X(L1_HITS, "sutra_l1_hits_total", COUNTER, "texts answered from memory")                   \
	X(L2_HITS, "sutra_l2_hits_total", COUNTER, "texts answered from the cache shard")          \
	X(L2_MISSES, "sutra_l2_misses_total", COUNTER, "texts the cache shard did not have")       \
	X(L2_ERRORS, "sutra_l2_errors_total", COUNTER, "calls to the cache shard that failed or were late") \
	X(L2_WRITES, "sutra_l2_writes_total", COUNTER, "vectors written to the cache shard")       \
	X(L2_WRITE_ERRORS, "sutra_l2_write_errors_total", COUNTER, "writes to the cache shard that failed") \
	X(MISSES, "sutra_cache_misses_total", COUNTER, "texts the model had to compute")           \
	X(COALESCED, "sutra_cache_coalesced_total", COUNTER, "texts that waited for an equal one under way") \
	X(REQUESTS, "sutra_cache_texts_total", COUNTER, "texts asked for")                         \
	X(UPSTREAM, "sutra_upstream_requests_total", COUNTER, "requests to ml-base")               \
	X(LATE, "sutra_upstream_dropped_total{reason=\"deadline\"}", COUNTER,                       \
	  "texts that were not sent to ml-base any more")                                          \
	X(CLEARS, "sutra_cache_clears_total", COUNTER, "times the cache was emptied on request")   \
	X(FULL, "sutra_cache_refused_total", COUNTER, "texts refused because too many were under way") \
	X(JOBS, "sutra_cache_flights", GAUGE, "texts under way")

enum {
#define X(sym, name, type, help) M_##sym,
	CACHE_METRICS(X)
#undef X
	M_COUNT
};

/* What became of the texts: what was added in each minute, and the totals at the last point. */
struct history {
	pthread_mutex_t lock;
	struct point {
		int64_t unix_s;
		uint64_t l1, l2, miss;
	} points[HISTORY_POINTS], last;
	size_t n, at;
};

struct sutra_cache {
	struct sutra_cache_options o;
	struct sutra_l1 *l1;
	struct sutra_store_client *l2;
	struct sutra_histogram *l1_times, *l2_times;
	struct history history;
	pthread_mutex_t lock;
	struct job *slots[JOB_SLOTS];
	struct job *queue, **queue_tail;
	unsigned upstream_running;
	struct sutra_metric metrics[M_COUNT];
	char shard[300];
	atomic_bool l2_refuses;	/* the last write to L2 was refused: no space, or read-only */
};

/* Writes a vector that the model of that name computed to the shard, if there is one. The result is counted
 * and not awaited. */
void sutra_cache_l2_write(struct sutra_cache *c, const struct sutra_vector *v, const char *model);
/* The vector in the concept that the shard has under k's id. NULL: there is none, its dimension differs, it
 * is another text's (ids may collide), or out of memory. */
struct sutra_vector *sutra_cache_l2_read(struct sutra_cache *c, const struct sutra_cache_key *k,
					 const struct sutra_concept *stored);

#endif
