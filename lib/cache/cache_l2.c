/*
 * The cache shard as the second level: vectors to concepts and back, whether the shard takes writes, and the
 * wait until they are in its log. cache.c decides when L2 is asked.
 *
 * A vector is a concept: its id is the first 64 bits of the key, its embedding the values, its content
 * "<model>:<first 16 hex digits of the key> <key in hex> <tokens>", with " t" behind it if the text was
 * truncated. Reading compares the whole key: ids may collide.
 */
#include "cache/cache_private.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/digest.h"

static void put_done(void *user, int code, const struct sutra_message *answer)
{
	struct sutra_cache *c = user;

	sutra_metric_add(&c->metrics[code ? M_L2_WRITE_ERRORS : M_L2_WRITES], 1);
	atomic_store(&c->l2_refuses, code == SUTRA_E_FULL || code == SUTRA_E_READONLY);
	if (code)
		sutra_metric_add(&c->metrics[M_L2_ERRORS], 1);
}

static size_t l2_content(const char *model, const struct sutra_cache_key *k, uint32_t tokens,
			 bool truncated, char *out, size_t size)
{
	char hex[SUTRA_SHA256_HEX];

	sutra_hex(k->digest, sizeof(k->digest), hex);
	return (size_t)snprintf(out, size, "%s:%.16s %s %u%s", model, hex, hex, tokens,
				truncated ? " t" : "");
}

void sutra_cache_l2_write(struct sutra_cache *c, const struct sutra_vector *v, const char *model)
{
	char id[SUTRA_CACHE_ID_LEN], content[320];
	struct sutra_message learn = { .op = SUTRA_OP_LEARN_CONCEPT,
				       .concept = { .id = id,
						    .id_len = SUTRA_CACHE_ID_LEN - 1,
						    .content = content,
						    .embedding = v->values,
						    .dimension = v->dimension,
						    .strength = 1,
						    .confidence = 1,
						    .ttl_seconds = c->o.ttl_seconds } };

	if (!c->l2)
		return;
	sutra_cache_key_id(&v->key, id);
	learn.concept.content_len = l2_content(model, &v->key, v->tokens, v->truncated, content, sizeof(content));
	sutra_store_call(c->l2, &learn, put_done, c);
}

struct sutra_vector *sutra_cache_l2_read(struct sutra_cache *c, const struct sutra_cache_key *k,
					 const struct sutra_concept *stored)
{
	char hex[SUTRA_SHA256_HEX], text[400], *key;
	unsigned tokens = 0;
	char mark = 0;

	if (!stored->embedding || stored->dimension != c->o.dimension ||
	    stored->content_len >= sizeof(text))
		return NULL;
	memcpy(text, stored->content, stored->content_len);
	text[stored->content_len] = '\0';
	sutra_hex(k->digest, sizeof(k->digest), hex);
	key = strstr(text, hex);
	if (!key || sscanf(key + 64, " %u %c", &tokens, &mark) < 1)
		return NULL;	/* another text's, by a collision of 64 bits */
	return sutra_vector_new(k, stored->embedding, c->o.dimension, tokens, mark == 't',
				sutra_clock_ns() + c->o.ttl_seconds * 1000000000u);
}

bool sutra_cache_l2_writes(const struct sutra_cache *c) { return !atomic_load(&c->l2_refuses); }

bool sutra_cache_l2_up(const struct sutra_cache *c) { return c->l2 && sutra_store_client_up(c->l2); }

/* Outlives sutra_cache_flush when the shard does not answer in time: the last user frees it. */
struct flush_call {
	pthread_mutex_t lock;
	pthread_cond_t done;
	bool answered, abandoned;
};

static void flush_free(struct flush_call *call)
{
	pthread_cond_destroy(&call->done);
	pthread_mutex_destroy(&call->lock);
	sutra_free(call);
}

static void flushed(void *user, int code, const struct sutra_message *answer)
{
	struct flush_call *call = user;
	bool abandoned;

	pthread_mutex_lock(&call->lock);
	call->answered = true;
	abandoned = call->abandoned;
	pthread_cond_signal(&call->done);
	pthread_mutex_unlock(&call->lock);
	if (abandoned)
		flush_free(call);
}

void sutra_cache_flush(struct sutra_cache *c, uint64_t limit_ns)
{
	struct flush_call *call = sutra_cache_l2_up(c) ? sutra_calloc(1, sizeof(*call)) : NULL;
	uint64_t end = sutra_clock_ns() + limit_ns;
	const struct timespec t = sutra_clock_timespec(end);
	bool answered;

	if (!call)
		return;
	pthread_mutex_init(&call->lock, NULL);
	sutra_clock_cond_init(&call->done);
	sutra_store_call(c->l2, &(struct sutra_message){ .op = SUTRA_OP_FLUSH }, flushed, call);
	pthread_mutex_lock(&call->lock);
	while (!call->answered && !pthread_cond_timedwait(&call->done, &call->lock, &t))
		;
	answered = call->answered;
	call->abandoned = !answered;
	pthread_mutex_unlock(&call->lock);
	if (answered)
		flush_free(call);
}
