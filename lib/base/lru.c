#include "base/lru.h"

#include "base/alloc.h"
#include "base/err.h"

int sutra_lru_init(struct sutra_lru *l, size_t capacity)
{
	size_t slots = 4;

	*l = (struct sutra_lru){ 0 };
	if (capacity >= UINT32_MAX / 4)
		return SUTRA_E_NOMEM;
	while (slots < 2 * (capacity + 1))
		slots *= 2;
	l->capacity = (uint32_t)capacity;
	l->mask = (uint32_t)slots - 1;
	l->nodes = sutra_calloc(capacity + 1, sizeof(*l->nodes));
	l->table = sutra_calloc(slots, sizeof(*l->table));
	if (!l->nodes || !l->table) {
		sutra_lru_release(l);
		return SUTRA_E_NOMEM;
	}
	return 0;
}

void sutra_lru_release(struct sutra_lru *l)
{
	sutra_free(l->nodes);
	sutra_free(l->table);
	*l = (struct sutra_lru){ 0 };
}

uint32_t sutra_lru_find(const struct sutra_lru *l, uint64_t hash,
			bool (*same)(const void *ctx, uint32_t node), const void *ctx)
{
	for (uint32_t slot = (uint32_t)hash & l->mask; l->table[slot]; slot = (slot + 1) & l->mask)
		if (l->nodes[l->table[slot]].hash == hash && same(ctx, l->table[slot]))
			return l->table[slot];
	return 0;
}

static void unlink_node(struct sutra_lru *l, uint32_t n)
{
	if (n == l->next_walked)
		l->next_walked = l->nodes[n].prev;
	l->nodes[l->nodes[n].prev].next = l->nodes[n].next;
	l->nodes[l->nodes[n].next].prev = l->nodes[n].prev;
}

static void link_first(struct sutra_lru *l, uint32_t n)
{
	l->nodes[n].prev = 0;
	l->nodes[n].next = l->nodes[0].next;
	l->nodes[l->nodes[0].next].prev = n;
	l->nodes[0].next = n;
}

uint32_t sutra_lru_add(struct sutra_lru *l, uint64_t hash)
{
	uint32_t n = l->free_list, slot = (uint32_t)hash & l->mask;

	if (l->used == l->capacity)
		return 0;
	/* New nodes are used in order, so pages of unused ones are never touched. */
	if (n)
		l->free_list = l->nodes[n].next;
	else
		n = l->used + 1;
	while (l->table[slot])
		slot = (slot + 1) & l->mask;
	l->table[slot] = n;
	l->nodes[n].hash = hash;
	l->used++;
	link_first(l, n);
	return n;
}

void sutra_lru_touch(struct sutra_lru *l, uint32_t node)
{
	if (node == sutra_lru_newest(l))	/* relinking it would move a walk that is at it */
		return;
	unlink_node(l, node);
	link_first(l, node);
}

/* Empties a slot, and moves back later entries that a search would no longer find. */
static void erase_slot(struct sutra_lru *l, uint32_t slot)
{
	uint32_t hole = slot, at = slot;

	for (;;) {
		uint32_t home;

		at = (at + 1) & l->mask;
		if (!l->table[at])
			break;
		home = (uint32_t)l->nodes[l->table[at]].hash & l->mask;
		if (((at - home) & l->mask) < ((at - hole) & l->mask))
			continue;
		l->table[hole] = l->table[at];
		hole = at;
	}
	l->table[hole] = 0;
}

void sutra_lru_remove(struct sutra_lru *l, uint32_t node)
{
	uint32_t slot = (uint32_t)l->nodes[node].hash & l->mask;

	while (l->table[slot] != node)
		slot = (slot + 1) & l->mask;
	erase_slot(l, slot);
	unlink_node(l, node);
	l->nodes[node].next = l->free_list;
	l->free_list = node;
	l->used--;
}
