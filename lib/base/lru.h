/*
 * lru - a bounded hash index that knows the order of use. Not thread-safe.
 *
 * It assigns node numbers from 1 to capacity; the owner keeps the key and value of a node in arrays
 * of its own. Open addressing with linear probing, at most half full;
 * deletion shifts back, so there are no tombstones. 28 bytes per node.
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
	uint32_t next_walked;	/* 0: none */
};

int sutra_lru_init(struct sutra_lru *l, size_t capacity);	/* 0 or SUTRA_E_NOMEM */
void sutra_lru_release(struct sutra_lru *l);
/* The node with that hash that same() accepts, or 0. Does not count as use. */
uint32_t sutra_lru_find(const struct sutra_lru *l, uint64_t hash,
			bool (*same)(const void *ctx, uint32_t node), const void *ctx);
/* Adds a node as the most recently used; 0 when full. The caller has checked that it is not present. */
uint32_t sutra_lru_add(struct sutra_lru *l, uint64_t hash);
void sutra_lru_touch(struct sutra_lru *l, uint32_t node);
void sutra_lru_remove(struct sutra_lru *l, uint32_t node);
static inline uint32_t sutra_lru_oldest(const struct sutra_lru *l) { return l->nodes[0].prev; }
static inline uint32_t sutra_lru_newest(const struct sutra_lru *l) { return l->nodes[0].next; }
/* A walk from the oldest node, during which nodes may be used and removed: walk begins it, each walked
 * returns the next node, 0 at the end. A node that is used meanwhile is returned (again) at its new place. */
static inline void sutra_lru_walk(struct sutra_lru *l) { l->next_walked = sutra_lru_oldest(l); }
static inline uint32_t sutra_lru_walked(struct sutra_lru *l)
{
	uint32_t node = l->next_walked;

	if (node)
		l->next_walked = l->nodes[node].prev;
	return node;
}

#endif
