/*
 * Each shard: an open-addressing table of node numbers (linear probing, deletion by shifting
 * back, at most half full) over an array of nodes that are also the doubly linked list of use.
 * Node 0 is the list's head: next is the most recently used, prev the least. Numbers, not
 * pointers, so that a node is 16 bytes and the table 4 bytes a slot.
 */
#include "cache/l1.h"

#include <pthread.h>
#include <string.h>

#include "base/alloc.h"

enum { MAX_SHARDS = 16, MIN_PER_SHARD = 64 };

struct node {
	struct sutra_vector *vector;
	uint32_t prev, next;
};

struct shard {
	_Alignas(64) pthread_mutex_t lock;
	struct node *nodes;	/* [capacity + 1] */
	uint32_t *table;	/* [mask + 1], 0: empty */
	uint32_t capacity, used, mask, free_list;
	uint64_t hits, misses, evictions, expired;
};

struct sutra_l1 {
	size_t max_entries, n_shards;
	struct shard shards[MAX_SHARDS];
};

static struct shard *shard_of(struct sutra_l1 *c, uint64_t hash)
{
	return &c->shards[(hash >> 56) % c->n_shards];
}

static int shard_init(struct shard *s, size_t capacity)
{
	size_t slots = 4;

	while (slots < 2 * (capacity + 1))
		slots *= 2;
	s->capacity = (uint32_t)capacity;
	s->mask = (uint32_t)slots - 1;
	s->nodes = sutra_calloc(capacity + 1, sizeof(*s->nodes));
	s->table = sutra_calloc(slots, sizeof(*s->table));
	if (!s->nodes || !s->table || pthread_mutex_init(&s->lock, NULL))
		return SUTRA_E_NOMEM;
	for (uint32_t i = 1; i <= s->capacity; i++)
		s->nodes[i].next = i < s->capacity ? i + 1 : 0;
	s->free_list = 1;
	return 0;
}

int sutra_l1_new(size_t max_entries, struct sutra_l1 **ret, struct sutra_err *err)
{
	struct sutra_l1 *c = sutra_alloc_aligned(64, sizeof(*c));

	if (!c)
		return sutra_fail(err, SUTRA_E_NOMEM, "out of memory for the memory cache");
	memset(c, 0, sizeof(*c));
	c->max_entries = max_entries;
	c->n_shards = max_entries / MIN_PER_SHARD;
	c->n_shards = c->n_shards < 1 ? 1 : c->n_shards > MAX_SHARDS ? MAX_SHARDS : c->n_shards;
	for (size_t i = 0; i < c->n_shards; i++) {
		size_t share = max_entries / c->n_shards + (i < max_entries % c->n_shards);

		if (shard_init(&c->shards[i], share)) {
			sutra_l1_free(c);
			return sutra_fail(err, SUTRA_E_NOMEM, "out of memory for %zu cache entries", max_entries);
		}
	}
	*ret = c;
	return 0;
}

void sutra_l1_free(struct sutra_l1 *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->n_shards; i++) {
		struct shard *s = &c->shards[i];

		for (uint32_t n = 1; s->nodes && n <= s->capacity; n++)
			sutra_vector_unref(s->nodes[n].vector);
		sutra_free(s->nodes);
		sutra_free(s->table);
	}
	sutra_free(c);
}

static bool same_key(const struct sutra_cache_key *a, const struct sutra_cache_key *b)
{
	return !memcmp(a->digest, b->digest, sizeof(a->digest));
}

static uint32_t slot_of(const struct shard *s, const struct sutra_vector *v)
{
	return (uint32_t)sutra_cache_key_hash(&v->key) & s->mask;
}

/* The slot that holds the key, or the empty one where it would go. */
static uint32_t find_slot(const struct shard *s, const struct sutra_cache_key *k)
{
	uint32_t slot = (uint32_t)sutra_cache_key_hash(k) & s->mask;

	while (s->table[slot] && !same_key(&s->nodes[s->table[slot]].vector->key, k))
		slot = (slot + 1) & s->mask;
	return slot;
}

static void unlink_node(struct shard *s, uint32_t n)
{
	s->nodes[s->nodes[n].prev].next = s->nodes[n].next;
	s->nodes[s->nodes[n].next].prev = s->nodes[n].prev;
}

static void link_first(struct shard *s, uint32_t n)
{
	s->nodes[n].prev = 0;
	s->nodes[n].next = s->nodes[0].next;
	s->nodes[s->nodes[0].next].prev = n;
	s->nodes[0].next = n;
}

/* Empties a slot, moving back those behind it that would no longer be found. */
static void erase_slot(struct shard *s, uint32_t slot)
{
	uint32_t hole = slot, at = slot;

	for (;;) {
		uint32_t home;

		at = (at + 1) & s->mask;
		if (!s->table[at])
			break;
		home = slot_of(s, s->nodes[s->table[at]].vector);
		if (((at - home) & s->mask) < ((at - hole) & s->mask))
			continue;
		s->table[hole] = s->table[at];
		hole = at;
	}
	s->table[hole] = 0;
}

/* Takes the entry of a slot out and gives its vector's reference to the caller. */
static struct sutra_vector *take_out(struct shard *s, uint32_t slot)
{
	uint32_t n = s->table[slot];
	struct sutra_vector *v = s->nodes[n].vector;

	erase_slot(s, slot);
	unlink_node(s, n);
	s->nodes[n].vector = NULL;
	s->nodes[n].next = s->free_list;
	s->free_list = n;
	s->used--;
	return v;
}

struct sutra_vector *sutra_l1_get(struct sutra_l1 *c, const struct sutra_cache_key *k, uint64_t now_ns)
{
	struct shard *s = shard_of(c, sutra_cache_key_hash(k));
	struct sutra_vector *v = NULL, *dead = NULL;
	uint32_t slot, n;

	pthread_mutex_lock(&s->lock);
	slot = find_slot(s, k);
	n = s->table[slot];
	if (n && s->nodes[n].vector->expires_ns <= now_ns) {
		dead = take_out(s, slot);
		s->expired++;
	} else if (n) {
		v = sutra_vector_ref(s->nodes[n].vector);
		unlink_node(s, n);
		link_first(s, n);
	}
	if (v)
		s->hits++;
	else
		s->misses++;
	pthread_mutex_unlock(&s->lock);
	sutra_vector_unref(dead);
	return v;
}

void sutra_l1_put(struct sutra_l1 *c, struct sutra_vector *v)
{
	struct shard *s = shard_of(c, sutra_cache_key_hash(&v->key));
	struct sutra_vector *old = NULL;
	uint32_t slot, n;

	pthread_mutex_lock(&s->lock);
	slot = find_slot(s, &v->key);
	n = s->table[slot];
	if (n) {
		old = s->nodes[n].vector;
		unlink_node(s, n);
	} else {
		if (s->used == s->capacity) {
			old = take_out(s, find_slot(s, &s->nodes[s->nodes[0].prev].vector->key));
			s->evictions++;
			slot = find_slot(s, &v->key);
		}
		n = s->free_list;
		s->free_list = s->nodes[n].next;
		s->table[slot] = n;
		s->used++;
	}
	s->nodes[n].vector = sutra_vector_ref(v);
	link_first(s, n);
	pthread_mutex_unlock(&s->lock);
	sutra_vector_unref(old);
}

bool sutra_l1_remove(struct sutra_l1 *c, const struct sutra_cache_key *k)
{
	struct shard *s = shard_of(c, sutra_cache_key_hash(k));
	struct sutra_vector *old = NULL;
	uint32_t slot;

	pthread_mutex_lock(&s->lock);
	slot = find_slot(s, k);
	if (s->table[slot])
		old = take_out(s, slot);
	pthread_mutex_unlock(&s->lock);
	sutra_vector_unref(old);
	return old != NULL;
}

uint64_t sutra_l1_clear(struct sutra_l1 *c)
{
	uint64_t dropped = 0;

	for (size_t i = 0; i < c->n_shards; i++) {
		struct shard *s = &c->shards[i];

		pthread_mutex_lock(&s->lock);
		while (s->used) {
			sutra_vector_unref(take_out(s, find_slot(s, &s->nodes[s->nodes[0].next].vector->key)));
			dropped++;
		}
		pthread_mutex_unlock(&s->lock);
	}
	return dropped;
}

void sutra_l1_stats(struct sutra_l1 *c, struct sutra_l1_stats *ret)
{
	*ret = (struct sutra_l1_stats){ .max_size = c->max_entries };
	for (size_t i = 0; i < c->n_shards; i++) {
		struct shard *s = &c->shards[i];

		pthread_mutex_lock(&s->lock);
		ret->size += s->used;
		ret->hits += s->hits;
		ret->misses += s->misses;
		ret->evictions += s->evictions;
		ret->expired += s->expired;
		pthread_mutex_unlock(&s->lock);
	}
}
