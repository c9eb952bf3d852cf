/*
 * concept_table - the concepts in memory: by id, bounded, least recently used out first. Internal to
 * lib/store.
 *
 * The table owns its entries; what take and insert hand out is the caller's. Nodes are numbers from
 * 1 to lru.capacity; entries[node] is NULL where nobody lives. Order of use: through lru.
 */
#ifndef SUTRA_STORE_CONCEPT_TABLE_H
#define SUTRA_STORE_CONCEPT_TABLE_H

#include "base/lru.h"
#include "store/entry.h"

struct concept_table {
	struct sutra_lru lru;
	struct entry **entries;	/* by node */
	uint64_t bytes, evictions;
};

int sutra_concept_table_init(struct concept_table *t, size_t max);	/* 0 or SUTRA_E_NOMEM: then release it too */
void sutra_concept_table_release(struct concept_table *t);
uint32_t sutra_concept_table_find(const struct concept_table *t, const char *id, size_t n);	/* a node, or 0 */
/* Puts e in the place of its id; returns what was there or, counted, what made room for it; or NULL. */
struct entry *sutra_concept_table_insert(struct concept_table *t, struct entry *e);
struct entry *sutra_concept_table_take(struct concept_table *t, uint32_t node);
void sutra_concept_table_drop(struct concept_table *t, uint32_t node);
void sutra_concept_table_clear(struct concept_table *t);

#endif
