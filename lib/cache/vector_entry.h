/*
 * vector_entry - a cached vector: immutable, with counted references and its JSON text.
 *
 * The key is SHA-256 over the model's fingerprint (weights, tokenizer, pooling, MRL mode, precision,
 * prompts, maximum length), the dimension that is kept, and the SHA-256 of the text as received. Its
 * first 64 bits are the concept id and the hash in tables; the whole key is compared, so a collision is a
 * miss, never a wrong vector. Fingerprints are not numbered: a table of numbers would be bounded, and a
 * number used twice would give a wrong vector.
 */
#ifndef SUTRA_CACHE_VECTOR_ENTRY_H
#define SUTRA_CACHE_VECTOR_ENTRY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SUTRA_CACHE_ID_LEN 17	/* 16 hex digits and NUL */

enum { SUTRA_CACHE_MODEL_LEN = 65 };	/* of a fingerprint, with NUL */

struct sutra_cache_key {
	uint8_t digest[32];
	char fingerprint[SUTRA_CACHE_MODEL_LEN];	/* of the model; part of the digest */
};

struct sutra_vector {
	atomic_uint refs;
	struct sutra_cache_key key;
	uint64_t expires_ns;	/* monotonic */
	uint32_t dimension, tokens;
	bool truncated;
	size_t json_len;
	char *json;		/* "[0.1,...]" at this dimension */
	float values[];		/* [dimension] */
};

/* fingerprint: shorter than SUTRA_CACHE_MODEL_LEN. */
void sutra_cache_key_make(const char *fingerprint, uint32_t dimension, const char *text, size_t n,
			  struct sutra_cache_key *ret);
bool sutra_cache_key_equal(const struct sutra_cache_key *a, const struct sutra_cache_key *b);
uint64_t sutra_cache_key_hash(const struct sutra_cache_key *k);
void sutra_cache_key_id(const struct sutra_cache_key *k, char out[SUTRA_CACHE_ID_LEN]);

/* Copies the values and writes their JSON; one reference. NULL: out of memory. */
struct sutra_vector *sutra_vector_new(const struct sutra_cache_key *k, const float *values,
				      uint32_t dimension, uint32_t tokens, bool truncated,
				      uint64_t expires_ns);
struct sutra_vector *sutra_vector_ref(struct sutra_vector *v);
void sutra_vector_unref(struct sutra_vector *v);	/* NULL is fine */

#endif
