/*
 * concept_table - the concepts in memory, by id; the least recently used one makes room. Internal to
 * lib/store.
 *
 * The table owns its entries; entries that take and insert return are the caller's. Nodes are numbers from
 * 1 to lru.capacity; entries[node] of a free node is NULL. lru keeps the order of use.
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

int sutra_concept_table_init(struct concept_table *t, size_t max);	/* 0 or SUTRA_E_NOMEM; release it in both cases */
void sutra_concept_table_release(struct concept_table *t);
uint32_t sutra_concept_table_find(const struct concept_table *t, const char *id, size_t n);	/* a node, or 0 */
/* Inserts e; returns the entry of the same id that it replaces, or the one evicted for it, or NULL. */
struct entry *sutra_concept_table_insert(struct concept_table *t, struct entry *e);
struct entry *sutra_concept_table_take(struct concept_table *t, uint32_t node);
void sutra_concept_table_drop(struct concept_table *t, uint32_t node);
void sutra_concept_table_clear(struct concept_table *t);

#endif
