/*
 * lru - a bounded hash index that knows the order of use. Not thread-safe.
 *
 * It gives out node numbers from 1 to capacity; what belongs to a node (key, value) is the
 * owner's, in arrays of its own. Open addressing with linear probing, at most half full;
 * deletion shifts back, so there are no tombstones. 28 bytes a node.
 */
#ifndef SUTRA_BASE_LRU_H
#define SUTRA_BASE_LRU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sutra_lru {
	struct sutra_lru_node {
		uint64_t hash;
		uint32_t prev, next;	/* towards more and less recently used; 0: the list's head */
	} *nodes;		/* [capacity + 1] */
	uint32_t *table;	/* [mask + 1] node numbers, 0: empty */
	uint32_t capacity, used, mask, free_list;
};

int sutra_lru_init(struct sutra_lru *l, size_t capacity);	/* 0 or SUTRA_E_NOMEM */
void sutra_lru_release(struct sutra_lru *l);
/* The node with that hash that same() accepts, or 0. Does not count as use. */
uint32_t sutra_lru_find(const struct sutra_lru *l, uint64_t hash,
			bool (*same)(const void *ctx, uint32_t node), const void *ctx);
/* A new node, most recently used; 0 when full. The caller knows it is not there. */
uint32_t sutra_lru_add(struct sutra_lru *l, uint64_t hash);
void sutra_lru_touch(struct sutra_lru *l, uint32_t node);
void sutra_lru_remove(struct sutra_lru *l, uint32_t node);
static inline uint32_t sutra_lru_oldest(const struct sutra_lru *l) { return l->nodes[0].prev; }
static inline uint32_t sutra_lru_newest(const struct sutra_lru *l) { return l->nodes[0].next; }
/* The next more recently used node, or 0. */
static inline uint32_t sutra_lru_newer(const struct sutra_lru *l, uint32_t node)
{
	return l->nodes[node].prev;
}

#endif
