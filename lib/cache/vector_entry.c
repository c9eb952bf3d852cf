#include "cache/vector_entry.h"

#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/digest.h"
#include "base/jsonio.h"

void sutra_cache_key_make(const char *fingerprint, uint32_t dimension, const char *text, size_t n,
			  struct sutra_cache_key *ret)
{
	uint8_t all[SUTRA_CACHE_MODEL_LEN + sizeof(dimension) + SUTRA_SHA256_LEN];
	size_t len = strnlen(fingerprint, SUTRA_CACHE_MODEL_LEN - 1);

	memset(ret->fingerprint, 0, sizeof(ret->fingerprint));
	memcpy(ret->fingerprint, fingerprint, len);
	memcpy(all, fingerprint, len);
	for (size_t i = 0; i < sizeof(dimension); i++)
		all[len++] = (uint8_t)(dimension >> 8 * i);
	sutra_sha256(text, n, all + len);
	sutra_sha256(all, len + SUTRA_SHA256_LEN, ret->digest);
}

bool sutra_cache_key_equal(const struct sutra_cache_key *a, const struct sutra_cache_key *b)
{
	return !memcmp(a->digest, b->digest, sizeof(a->digest));
}

uint64_t sutra_cache_key_hash(const struct sutra_cache_key *k)
{
	uint64_t h;

	memcpy(&h, k->digest, sizeof(h));
	return h;
}

void sutra_cache_key_id(const struct sutra_cache_key *k, char out[SUTRA_CACHE_ID_LEN])
{
	sutra_hex(k->digest, 8, out);
}

struct sutra_vector *sutra_vector_new(const struct sutra_cache_key *k, const float *values,
				      uint32_t dimension, uint32_t tokens, bool truncated,
				      uint64_t expires_ns)
{
	struct sutra_vector *v = sutra_alloc(sizeof(*v) + dimension * sizeof(float));
	struct sutra_buf b;
	size_t n;
	char *json;

	if (!v)
		return NULL;
	sutra_buf_init(&b, 64 + (size_t)dimension * 24);
	sutra_json_add_floats(&b, values, dimension);
	json = sutra_buf_take(&b, &n);
	if (!json) {
		sutra_free(v);
		return NULL;
	}
	atomic_init(&v->refs, 1);
	v->key = *k;
	v->expires_ns = expires_ns;
	v->dimension = dimension;
	v->tokens = tokens;
	v->truncated = truncated;
	v->json_len = n;
	v->json = sutra_memdup(json, n);	/* without the buffer's slack */
	sutra_free(json);
	memcpy(v->values, values, dimension * sizeof(float));
	if (!v->json) {
		sutra_free(v);
		return NULL;
	}
	return v;
}

struct sutra_vector *sutra_vector_ref(struct sutra_vector *v)
{
	atomic_fetch_add_explicit(&v->refs, 1, memory_order_relaxed);
	return v;
}

void sutra_vector_unref(struct sutra_vector *v)
{
	if (!v || atomic_fetch_sub_explicit(&v->refs, 1, memory_order_acq_rel) != 1)
		return;
	sutra_free(v->json);
	sutra_free(v);
}
