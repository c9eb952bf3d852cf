/*
 * cache - the two-level cache: memory, the cache shard, and the model behind them.
 *
 * A request is a batch of texts. Each is looked up in L1; the misses of the batch go to L2 in one
 * GetConcepts; what is still missing is computed upstream, together with other requests' texts. A text that
 * another request has asked for and that is not answered yet is waited for, not computed again. The request
 * names its model. When another model computed a text, as happens while replicas change, the vector carries
 * that model's fingerprint and is kept under its key. Vectors from L2 and upstream go into L1; computed ones
 * are written to L2 after the answer. An L2 that is slow, down, full or wrong counts as a miss, never as a
 * failure.
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
	uint64_t deadline_ns;	/* the latest of the texts', by sutra_clock_ns; 0: none */
	const char *trace_parent;	/* of the first request that has one, or NULL */
	/* the answer */
	struct sutra_err err;	/* code 0: done */
	const float *rows;	/* [n][dimension] */
	uint32_t tokens[SUTRA_CACHE_BATCH];
	bool truncated[SUTRA_CACHE_BATCH];
	char fingerprint[SUTRA_CACHE_MODEL_LEN];	/* of the model that computed them; "": the requested one */
	void (*done)(struct sutra_upstream_batch *b);
	void *user;		/* the upstream's own */
};

struct sutra_cache_options {
	bool enabled;		/* false: nothing is kept; equal texts are still computed once at a time */
	size_t l1_entries;
	const char *l2_host;	/* NULL: no L2 */
	int l2_port;
	uint64_t l2_timeout_ns, ttl_seconds;
	uint32_t dimension;	/* of what is stored */
	unsigned upstream_parallel;	/* limit of requests in flight; 0: 6 */
	void (*upstream)(void *ctx, struct sutra_upstream_batch *b);	/* calls b->done once, on any thread */
	void *ctx;
};

struct sutra_cache;

struct sutra_cache_request {
	/* the request; texts are borrowed until done() */
	size_t n;
	const char *const *texts;
	const size_t *lengths;
	const char *model, *fingerprint;	/* of the vectors; borrowed as texts are */
	uint64_t deadline_ns;	/* texts not computed by then are SUTRA_E_TIMEOUT; 0: none */
	const char *trace_parent;	/* of the request's trace (W3C Trace Context), or NULL; borrowed */
	void (*done)(struct sutra_cache_request *r);
	void *user;
	/* the answer, n each: vectors, which the caller unrefs, are NULL for texts that failed. The
	 * fingerprints in their keys may differ. */
	struct sutra_vector **vectors;
	enum sutra_cache_source *sources;
	struct sutra_err err;	/* of the first text that failed; code 0: none did */
	atomic_size_t pending;
};

int sutra_cache_new(const struct sutra_cache_options *o, struct sutra_cache **ret, struct sutra_err *err);
void sutra_cache_free(struct sutra_cache *c);	/* after the last request was answered */
void sutra_cache_get(struct sutra_cache *c, struct sutra_cache_request *r);
/* Removes one text of a model from both levels. done gets how many each level removed (0 or 1), and in
 * l2_code 0 or why L2 has not confirmed the removal. */
void sutra_cache_invalidate(struct sutra_cache *c, const char *fingerprint, const char *text, size_t n,
			    void (*done)(void *user, uint64_t l1, uint64_t l2, int l2_code), void *user);
/* Empties both levels. l2_code is 0, or why L2 was not emptied. */
void sutra_cache_clear(struct sutra_cache *c,
		       void (*done)(void *user, uint64_t l1, uint64_t l2, int l2_code), void *user);
/* The document of /cache/stats; done runs on L2's thread or this one. */
void sutra_cache_stats(struct sutra_cache *c, void (*done)(void *user, struct sutra_buf *json),
		       void *user);
/* Waits at most limit_ns until every earlier write to L2 is in the shard's log. */
void sutra_cache_flush(struct sutra_cache *c, uint64_t limit_ns);
bool sutra_cache_l2_up(const struct sutra_cache *c);
/* False when L2 refused the last write: no space, or read-only. */
bool sutra_cache_l2_writes(const struct sutra_cache *c);
/* Adds a point to the history of 24 hours; call it once a minute. */
void sutra_cache_tick(struct sutra_cache *c);
void sutra_cache_prometheus(struct sutra_cache *c, struct sutra_buf *out);

#endif
