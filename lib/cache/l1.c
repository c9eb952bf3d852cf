/* Each shard: an LRU index (base/lru.h), and the vector of each of its nodes. */
#include "cache/l1.h"

#include <pthread.h>
#include <string.h>

#include "base/alloc.h"
#include "base/lru.h"

enum { MAX_SHARDS = 16, MIN_PER_SHARD = 64 };

struct shard {
	_Alignas(64) pthread_mutex_t lock;
	struct sutra_lru lru;
	struct sutra_vector **vectors;	/* [capacity + 1], by node */
	uint64_t evictions, expired;
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
	s->vectors = sutra_calloc(capacity + 1, sizeof(struct sutra_vector *));
	if (!s->vectors || sutra_lru_init(&s->lru, capacity) || pthread_mutex_init(&s->lock, NULL))
		return SUTRA_E_NOMEM;
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

		for (uint32_t n = 1; s->vectors && n <= s->lru.capacity; n++)
			sutra_vector_unref(s->vectors[n]);
		sutra_free(s->vectors);
		sutra_lru_release(&s->lru);
	}
	sutra_free(c);
}

struct wanted {
	const struct shard *shard;
	const struct sutra_cache_key *key;
};

static bool same_key(const void *ctx, uint32_t node)
{
	const struct wanted *w = ctx;

	return sutra_cache_key_equal(&w->shard->vectors[node]->key, w->key);
}

static uint32_t find(const struct shard *s, const struct sutra_cache_key *k)
{
	const struct wanted w = { s, k };

	return sutra_lru_find(&s->lru, sutra_cache_key_hash(k), same_key, &w);
}

/* Removes a node; its vector's reference is the caller's. */
static struct sutra_vector *take_out(struct shard *s, uint32_t node)
{
	struct sutra_vector *v = s->vectors[node];

	sutra_lru_remove(&s->lru, node);
	s->vectors[node] = NULL;
	return v;
}

struct sutra_vector *sutra_l1_get(struct sutra_l1 *c, const struct sutra_cache_key *k, uint64_t now_ns)
{
	struct shard *s = shard_of(c, sutra_cache_key_hash(k));
	struct sutra_vector *v = NULL, *dead = NULL;
	uint32_t n;

	pthread_mutex_lock(&s->lock);
	n = find(s, k);
	if (n && s->vectors[n]->expires_ns <= now_ns) {
		dead = take_out(s, n);
		s->expired++;
	} else if (n) {
		v = sutra_vector_ref(s->vectors[n]);
		sutra_lru_touch(&s->lru, n);
	}
	pthread_mutex_unlock(&s->lock);
	sutra_vector_unref(dead);
	return v;
}

void sutra_l1_put(struct sutra_l1 *c, struct sutra_vector *v)
{
	struct shard *s = shard_of(c, sutra_cache_key_hash(&v->key));
	struct sutra_vector *old = NULL;
	uint32_t n;

	pthread_mutex_lock(&s->lock);
	n = find(s, &v->key);
	if (n) {
		old = s->vectors[n];
		sutra_lru_touch(&s->lru, n);
	} else {
		if (s->lru.used == s->lru.capacity) {
			old = take_out(s, sutra_lru_oldest(&s->lru));
			s->evictions++;
		}
		n = sutra_lru_add(&s->lru, sutra_cache_key_hash(&v->key));
	}
	s->vectors[n] = sutra_vector_ref(v);
	pthread_mutex_unlock(&s->lock);
	sutra_vector_unref(old);
}

bool sutra_l1_remove(struct sutra_l1 *c, const struct sutra_cache_key *k)
{
	struct shard *s = shard_of(c, sutra_cache_key_hash(k));
	struct sutra_vector *old = NULL;
	uint32_t n;

	pthread_mutex_lock(&s->lock);
	n = find(s, k);
	if (n)
		old = take_out(s, n);
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
		while (s->lru.used) {
			sutra_vector_unref(take_out(s, sutra_lru_oldest(&s->lru)));
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
		ret->size += s->lru.used;
		ret->evictions += s->evictions;
		ret->expired += s->expired;
		pthread_mutex_unlock(&s->lock);
	}
}
