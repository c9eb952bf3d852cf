/*
 * l1 - the memory cache: a bounded number of entries in shards with a lock each; the least recently used
 * entry of a shard makes room. A hit allocates nothing: it moves a list link and counts a reference.
 */
#ifndef SUTRA_CACHE_L1_H
#define SUTRA_CACHE_L1_H

#include "base/err.h"
#include "cache/vector_entry.h"

struct sutra_l1;

struct sutra_l1_stats {
	uint64_t size, max_size, evictions, expired;
};

int sutra_l1_new(size_t max_entries, struct sutra_l1 **ret, struct sutra_err *err);
void sutra_l1_free(struct sutra_l1 *c);
/* The vector with one reference for the caller, or NULL: not there, or expired at now_ns. */
struct sutra_vector *sutra_l1_get(struct sutra_l1 *c, const struct sutra_cache_key *k, uint64_t now_ns);
/* Adds a reference to v; replaces an entry of the same key. */
void sutra_l1_put(struct sutra_l1 *c, struct sutra_vector *v);
bool sutra_l1_remove(struct sutra_l1 *c, const struct sutra_cache_key *k);
uint64_t sutra_l1_clear(struct sutra_l1 *c);	/* number of entries dropped */
void sutra_l1_stats(struct sutra_l1 *c, struct sutra_l1_stats *ret);

#endif
