/*
 * cache - the two-level cache: memory, the cache shard, and the model behind them.
 *
 * A request is a batch of texts. Each is looked up in L1; the misses of the batch go to L2 in
 * one GetConcepts; what is still missing is computed upstream, together with other callers'
 * texts. A text that is already under way, for whichever caller, is waited for, not computed
 * again. The request names the model it is for. When another model computed a text, as happens
 * while replicas change, the vector carries that model's fingerprint and is kept under its key.
 * Found and computed vectors go into L1; computed ones are written to L2 after the answer. L2 that is
 * slow, down, full or wrong is a miss and a counter, never a failure.
 *
 * Threads: calls from any thread; done() runs on the caller's thread (all in L1), L2's or upstream's.
 */
#ifndef SUTRA_CACHE_CACHE_H
#define SUTRA_CACHE_CACHE_H

#include "base/buf.h"
#include "base/err.h"
#include "cache/vector_entry.h"

enum { SUTRA_CACHE_BATCH = 64 };	/* texts of one upstream request at most */

enum sutra_cache_source { SUTRA_FROM_L1, SUTRA_FROM_L2, SUTRA_FROM_MODEL };

/* Texts to compute, and their answer. */
struct sutra_upstream_batch {
	size_t n;
	const char *texts[SUTRA_CACHE_BATCH];
	size_t lengths[SUTRA_CACHE_BATCH];
	uint64_t deadline_ns;	/* of the one that waits longest, by sutra_clock_ns; 0: none */
	const char *trace_parent;	/* of the first request that has one; NULL */
	/* answered */
	struct sutra_err err;	/* code 0: done */
	const float *rows;	/* [n][dimension] */
	uint32_t tokens[SUTRA_CACHE_BATCH];
	bool truncated[SUTRA_CACHE_BATCH];
	char fingerprint[SUTRA_CACHE_MODEL_LEN];	/* of the model that computed them; "": who asked's */
	void (*done)(struct sutra_upstream_batch *b);
	void *user;		/* the upstream's own */
};

struct sutra_cache_options {
	bool enabled;		/* false: nothing is kept; equal texts under way are still shared */
	size_t l1_entries;
	const char *l2_host;	/* NULL: no L2 */
	int l2_port;
	uint64_t l2_timeout_ns, ttl_seconds;
	uint32_t dimension;	/* of what is stored */
	unsigned upstream_parallel;	/* requests under way at most; 0: 6 */
	void (*upstream)(void *ctx, struct sutra_upstream_batch *b);	/* calls b->done once, on any thread */
	void *ctx;
};

struct sutra_cache;

struct sutra_cache_request {
	/* asked; texts are borrowed until done() */
	size_t n;
	const char *const *texts;
	const size_t *lengths;
	const char *model, *fingerprint;	/* whose vectors are wanted; borrowed as texts are */
	uint64_t deadline_ns;	/* texts that nobody computes by then are SUTRA_E_TIMEOUT; 0: none */
	const char *trace_parent;	/* of the request's trace (W3C Trace Context), or NULL; borrowed */
	void (*done)(struct sutra_cache_request *r);
	void *user;
	/* answered: n each; the caller unrefs the vectors, NULL where code says an error, and looks at
	 * their keys' fingerprints: those of one request need not agree */
	struct sutra_vector **vectors;
	enum sutra_cache_source *sources;
	struct sutra_err err;	/* of the first text that failed; code 0: all are there */
	atomic_size_t pending;
};

int sutra_cache_new(const struct sutra_cache_options *o, struct sutra_cache **ret, struct sutra_err *err);
void sutra_cache_free(struct sutra_cache *c);	/* after the last request was answered */
void sutra_cache_get(struct sutra_cache *c, struct sutra_cache_request *r);
/* Removes one text of a model from both levels; done gets what each held (0 or 1), and l2_code: 0,
 * or why L2 has not confirmed the removal. */
void sutra_cache_invalidate(struct sutra_cache *c, const char *fingerprint, const char *text, size_t n,
			    void (*done)(void *user, uint64_t l1, uint64_t l2, int l2_code), void *user);
/* Empties both levels; l2_code is 0 or why L2 could not be emptied. */
void sutra_cache_clear(struct sutra_cache *c,
		       void (*done)(void *user, uint64_t l1, uint64_t l2, int l2_code), void *user);
/* The contract's /cache/stats document; done on L2's thread or this one. */
void sutra_cache_stats(struct sutra_cache *c, void (*done)(void *user, struct sutra_buf *json),
		       void *user);
/* Waits at most limit_ns until every write to L2 so far is in the shard's log. */
void sutra_cache_flush(struct sutra_cache *c, uint64_t limit_ns);
bool sutra_cache_l2_up(const struct sutra_cache *c);
/* False when L2 had no space for the last write. */
bool sutra_cache_l2_writes(const struct sutra_cache *c);
/* Puts one point into the 24 h history; call it once a minute. */
void sutra_cache_tick(struct sutra_cache *c);
void sutra_cache_prometheus(struct sutra_cache *c, struct sutra_buf *out);

#endif
