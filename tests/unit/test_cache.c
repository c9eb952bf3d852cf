/* lib/base/lru and lib/cache: order of use, bounds, coalescing, failures. The model is a function. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/lru.h"
#include "cache/cache.h"
#include "cache/l1.h"

enum { DIM = 4, MANY = 1000 };

static uint64_t keys[64];

static bool same_key(const void *ctx, uint32_t node) { return keys[node] == *(const uint64_t *)ctx; }

/* Against a model: an array in order of use. Few hashes, so that they collide. */
static void lru_agrees_with_a_list(void **state)
{
	uint64_t order[16];
	size_t n = 0;
	struct sutra_lru l;

	assert_int_equal(sutra_lru_init(&l, 16), 0);
	srandom(3);
	for (int step = 0; step < 20000; step++) {
		uint64_t key = (uint64_t)random() % 40, hash = key % 5;
		uint32_t node = sutra_lru_find(&l, hash, same_key, &key);
		size_t at = 0;

		while (at < n && order[at] != key)
			at++;
		assert_int_equal(node != 0, at < n);
		if (node && random() % 3 == 0) {
			sutra_lru_remove(&l, node);
			memmove(order + at, order + at + 1, (--n - at) * sizeof(*order));
			continue;
		}
		if (!node && n == 16) {
			assert_true(keys[sutra_lru_oldest(&l)] == order[15]);
			assert_int_equal(sutra_lru_add(&l, hash), 0);
			sutra_lru_remove(&l, sutra_lru_oldest(&l));
			n--;
		}
		if (node)
			sutra_lru_touch(&l, node);
		else
			keys[sutra_lru_add(&l, hash)] = key;
		at = node ? at : n++;
		memmove(order + 1, order, at * sizeof(*order));
		order[0] = key;
	}
	sutra_lru_release(&l);
}

static void lru_refuses_what_it_cannot_count(void **state)
{
	static const size_t sizes[] = { UINT32_MAX / 4, UINT32_MAX, SIZE_MAX / 2, SIZE_MAX };
	struct sutra_lru l;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		assert_int_equal(sutra_lru_init(&l, sizes[i]), SUTRA_E_NOMEM);
		sutra_lru_release(&l);
	}
}

/* Nodes that are used and removed during a walk: each that stays is met, also one that the walk stands at. */
static void lru_is_walked_while_it_is_used(void **state)
{
	bool met[17], is_there[17];
	uint32_t node;
	struct sutra_lru l;

	srandom(5);
	for (int round = 0; round < 2000; round++) {
		int left = 40;

		assert_int_equal(sutra_lru_init(&l, 16), 0);
		memset(met, 0, sizeof(met));
		memset(is_there, 0, sizeof(is_there));
		for (uint64_t hash = 0; hash < 16; hash++)
			is_there[sutra_lru_add(&l, hash)] = true;
		sutra_lru_walk(&l);
		while ((node = sutra_lru_walked(&l))) {
			uint32_t any = 1 + (uint32_t)random() % 16;

			met[node] = true;
			if (!is_there[any] || !left)
				continue;
			left--;
			if (random() % 4) {
				sutra_lru_touch(&l, any);
			} else {
				sutra_lru_remove(&l, any);
				is_there[any] = false;
			}
		}
		for (int i = 1; i <= 16; i++)
			assert_true(met[i] || !is_there[i]);
		sutra_lru_release(&l);
	}
}

static struct sutra_vector *vector(const char *text, uint64_t expires)
{
	static const float values[DIM] = { 0.5f, 0.5f, 0.5f, 0.5f };
	struct sutra_cache_key k;

	sutra_cache_key_make("model", DIM, text, strlen(text), &k);
	return sutra_vector_new(&k, values, DIM, 3, false, expires);
}

static void l1_drops_the_least_recently_used_and_the_expired(void **state)
{
	struct sutra_vector *v[4] = { vector("a", 100), vector("b", 100), vector("c", 100), vector("d", 5) };
	struct sutra_l1_stats s;
	struct sutra_vector *got;
	struct sutra_l1 *c;

	assert_int_equal(sutra_l1_new(2, &c, NULL), 0);
	sutra_l1_put(c, v[0]);
	sutra_l1_put(c, v[1]);
	got = sutra_l1_get(c, &v[0]->key, 1);
	assert_ptr_equal(got, v[0]);
	assert_int_equal(got->json_len, 17);
	assert_memory_equal(got->json, "[0.5,0.5,0.5,0.5]", 17);
	sutra_vector_unref(got);
	sutra_l1_put(c, v[2]);	/* b goes: a was used after it */
	assert_null(sutra_l1_get(c, &v[1]->key, 1));
	sutra_l1_put(c, v[3]);
	assert_null(sutra_l1_get(c, &v[3]->key, 5));
	sutra_l1_stats(c, &s);
	assert_true(s.size == 1 && s.evictions == 2 && s.expired == 1);
	assert_true(sutra_l1_remove(c, &v[2]->key));
	assert_int_equal(sutra_l1_clear(c), 0);
	sutra_l1_free(c);
	for (int i = 0; i < 4; i++)
		sutra_vector_unref(v[i]);
}

/* The model: keeps batches until the test answers them. */
static struct sutra_upstream_batch *waiting[64];
static size_t n_waiting, texts_asked, answered;
static const char *asked_of, *computed_by;	/* fingerprints of the models; computed_by "": asked_of */
static float computing;	/* what its vectors are full of */

static void upstream(void *ctx, struct sutra_upstream_batch *b)
{
	texts_asked += b->n;
	waiting[n_waiting++] = b;
}

static void answer_all(int code)
{
	static float rows[SUTRA_CACHE_BATCH * DIM];

	for (size_t i = 0; i < SUTRA_CACHE_BATCH * DIM; i++)
		rows[i] = computing;
	while (n_waiting) {
		struct sutra_upstream_batch *b = waiting[--n_waiting];

		memset(b->tokens, 0, sizeof(b->tokens));
		memset(b->truncated, 0, sizeof(b->truncated));
		b->err.code = 0;
		if (code)
			sutra_fail(&b->err, code, "the model is down");
		b->rows = rows;
		snprintf(b->fingerprint, sizeof(b->fingerprint), "%s", computed_by);
		b->done(b);
	}
}

static void on_answer(struct sutra_cache_request *r) { answered++; }

struct ask {
	struct sutra_cache_request r;
	size_t lengths[8];
	struct sutra_vector *vectors[8];
	enum sutra_cache_source sources[8];
};

static void ask(struct sutra_cache *c, struct ask *a, const char *const *texts, size_t n)
{
	*a = (struct ask){ .r = { .n = n, .texts = texts, .model = "m", .fingerprint = asked_of,
				  .done = on_answer } };
	for (size_t i = 0; i < n; i++)
		a->lengths[i] = strlen(texts[i]);
	a->r.lengths = a->lengths;
	a->r.vectors = a->vectors;
	a->r.sources = a->sources;
	sutra_cache_get(c, &a->r);
}

static void release(struct ask *a)
{
	for (size_t i = 0; i < a->r.n; i++)
		sutra_vector_unref(a->vectors[i]);
}

static struct sutra_cache *open_cache(bool enabled)
{
	const struct sutra_cache_options o = { .enabled = enabled, .l1_entries = 100, .ttl_seconds = 60,
					       .dimension = DIM, .upstream = upstream };
	struct sutra_cache *c;

	n_waiting = texts_asked = answered = 0;
	asked_of = "fingerprint-1";
	computed_by = "";
	computing = 1;
	assert_int_equal(sutra_cache_new(&o, &c, NULL), 0);
	return c;
}

static void equal_texts_under_way_are_computed_once(void **state)
{
	static const char *const text[] = { "the same" };
	struct sutra_cache *c = open_cache(true);
	static struct ask asks[MANY];

	for (size_t i = 0; i < MANY; i++)
		ask(c, &asks[i], text, 1);
	assert_int_equal(texts_asked, 1);
	assert_int_equal(answered, 0);
	answer_all(0);
	assert_int_equal(answered, MANY);
	for (size_t i = 0; i < MANY; i++) {
		assert_ptr_equal(asks[i].vectors[0], asks[0].vectors[0]);
		release(&asks[i]);
	}
	sutra_cache_free(c);
}

static void a_batch_sends_only_its_misses_and_duplicates_once(void **state)
{
	static const char *const first[] = { "a" }, *const mixed[] = { "b", "a", "b", "c" };
	struct sutra_cache *c = open_cache(true);
	struct ask a, m;

	ask(c, &a, first, 1);
	answer_all(0);
	ask(c, &m, mixed, 4);
	assert_int_equal(texts_asked, 3);
	answer_all(0);
	assert_int_equal(answered, 2);
	assert_int_equal(m.sources[1], SUTRA_FROM_L1);
	assert_int_equal(m.sources[0], SUTRA_FROM_MODEL);
	assert_ptr_equal(m.vectors[0], m.vectors[2]);
	release(&a);
	release(&m);
	sutra_cache_free(c);
}

/* However many models there were, a text's vector is that of the model that is asked of. */
static void no_model_answers_for_another(void **state)
{
	enum { MODELS = 300 };
	static const char *const text[] = { "the same" };
	struct sutra_cache *c = open_cache(true);
	char fingerprint[32];
	struct ask a;

	asked_of = fingerprint;
	for (int round = 0; round < 2; round++) {
		for (int m = 0; m < MODELS; m++) {
			snprintf(fingerprint, sizeof(fingerprint), "fingerprint-%d", m);
			computing = (float)m;
			ask(c, &a, text, 1);
			if (!a.vectors[0])
				answer_all(0);
			assert_true(a.vectors[0]->values[0] == (float)m);
			assert_string_equal(a.vectors[0]->key.fingerprint, fingerprint);
			release(&a);
		}
		assert_true(round ? texts_asked > MODELS : texts_asked == MODELS);
	}
	sutra_cache_free(c);
}

/* A flight's answer may be of a model that replicas have changed to meanwhile: it says so, and is kept
 * as that one's. */
static void what_another_model_computed_is_kept_as_its_own(void **state)
{
	static const char *const text[] = { "x" };
	struct sutra_cache *c = open_cache(true);
	struct ask a, b;

	ask(c, &a, text, 1);
	asked_of = "fingerprint-2";
	ask(c, &b, text, 1);	/* under way for another model: not joined */
	assert_int_equal(texts_asked, 2);
	computed_by = "fingerprint-2";
	answer_all(0);
	assert_string_equal(a.vectors[0]->key.fingerprint, "fingerprint-2");
	assert_string_equal(b.vectors[0]->key.fingerprint, "fingerprint-2");
	release(&a);
	release(&b);
	ask(c, &b, text, 1);
	assert_int_equal(b.sources[0], SUTRA_FROM_L1);
	release(&b);
	asked_of = "fingerprint-1";
	ask(c, &a, text, 1);
	assert_null(a.vectors[0]);
	assert_int_equal(texts_asked, 3);
	computed_by = "";
	answer_all(0);
	assert_string_equal(a.vectors[0]->key.fingerprint, "fingerprint-1");
	release(&a);
	sutra_cache_free(c);
}

/* One shard serves gateways of several models and dimensions: what differs in any of them differs. */
static void every_part_of_the_key_counts(void **state)
{
	static const struct {
		const char *fingerprint;
		uint32_t dimension;
		const char *text;
	} parts[] = {
		{ "f", 256, "text" }, { "g", 256, "text" }, { "f", 128, "text" }, { "f", 256, "texT" },
		{ "f", 256, "text " }, { "", 256, "text" }, { "ff", 256, "text" },
		{ "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", 256, "text" },
		{ "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdee", 256, "text" },
	};
	enum { N = sizeof(parts) / sizeof(parts[0]) };
	struct sutra_cache_key keys_of[N], again;

	for (size_t i = 0; i < N; i++) {
		sutra_cache_key_make(parts[i].fingerprint, parts[i].dimension, parts[i].text,
				     strlen(parts[i].text), &keys_of[i]);
		for (size_t k = 0; k < i; k++)
			assert_false(sutra_cache_key_equal(&keys_of[i], &keys_of[k]));
	}
	sutra_cache_key_make("f", 256, "text", 4, &again);
	assert_true(sutra_cache_key_equal(&keys_of[0], &again));
}

static void a_failure_reaches_all_who_waited_and_is_not_kept(void **state)
{
	static const char *const text[] = { "x", "y" };
	struct sutra_cache *c = open_cache(true);
	struct ask a, b;

	ask(c, &a, text, 2);
	ask(c, &b, text, 1);
	answer_all(SUTRA_E_UNAVAILABLE);
	assert_int_equal(answered, 2);
	assert_int_equal(a.r.err.code, SUTRA_E_UNAVAILABLE);
	assert_int_equal(b.r.err.code, SUTRA_E_UNAVAILABLE);
	assert_null(a.vectors[0]);
	ask(c, &a, text, 1);
	assert_int_equal(n_waiting, 1);
	answer_all(0);
	assert_int_equal(a.r.err.code, 0);
	release(&a);
	sutra_cache_free(c);
}

static void ask_until(struct sutra_cache *c, struct ask *a, const char *const *texts, uint64_t deadline_ns)
{
	*a = (struct ask){ .lengths = { 1 }, .r = { .n = 1, .texts = texts, .model = "m",
						    .fingerprint = asked_of, .done = on_answer,
						    .deadline_ns = deadline_ns } };
	a->r.lengths = a->lengths;
	a->r.vectors = a->vectors;
	a->r.sources = a->sources;
	sutra_cache_get(c, &a->r);
}

static void a_deadline_goes_upstream_or_ends_the_text(void **state)
{
	static const char *const text[] = { "x" }, *const other[] = { "y" };
	uint64_t later = sutra_clock_ns() + 3600000000000u;
	struct sutra_cache *c = open_cache(true);
	struct ask a, b, late;

	ask_until(c, &late, other, 1);
	assert_int_equal(late.r.err.code, SUTRA_E_TIMEOUT);
	assert_int_equal(n_waiting, 0);
	ask_until(c, &a, text, later);
	assert_int_equal(n_waiting, 1);
	assert_true(waiting[0]->deadline_ns == later);
	ask_until(c, &b, text, later - 1);
	answer_all(SUTRA_E_TIMEOUT);
	assert_int_equal(answered, 3);
	assert_int_equal(a.r.err.code, SUTRA_E_TIMEOUT);
	assert_int_equal(b.r.err.code, SUTRA_E_TIMEOUT);
	sutra_cache_free(c);
}

static void who_joins_with_more_time_is_not_given_up_on(void **state)
{
	static const char *const text[] = { "x" };
	uint64_t later = sutra_clock_ns() + 3600000000000u;
	struct sutra_cache *c = open_cache(true);
	struct sutra_upstream_batch *first;
	struct ask a, b;

	ask_until(c, &a, text, later);
	ask_until(c, &b, text, 0);
	first = waiting[--n_waiting];
	sutra_fail(&first->err, SUTRA_E_TIMEOUT, "late");
	first->done(first);
	assert_int_equal(answered, 0);
	assert_int_equal(n_waiting, 1);
	assert_true(waiting[0]->deadline_ns == 0);
	answer_all(0);
	assert_int_equal(answered, 2);
	assert_int_equal(b.r.err.code, 0);
	release(&a);
	release(&b);
	sutra_cache_free(c);
}

static size_t depth, deepest;

static void upstream_fails_at_once(void *ctx, struct sutra_upstream_batch *b)
{
	if (*(bool *)ctx) {
		waiting[n_waiting++] = b;
		return;
	}
	deepest = ++depth > deepest ? depth : deepest;
	sutra_fail(&b->err, SUTRA_E_NOMEM, "at once");
	b->done(b);
	depth--;
}

/* However many batches are queued, each fails without another on the stack. */
static void a_queue_that_fails_at_once_does_not_recurse(void **state)
{
	enum { LONG = 3 << 20 };	/* a batch of its own */
	bool keep = true;
	const struct sutra_cache_options o = { .enabled = true, .l1_entries = 100, .ttl_seconds = 60, .dimension = DIM,
					       .upstream_parallel = 1, .upstream = upstream_fails_at_once, .ctx = &keep };
	char *text = sutra_alloc(LONG + 1);
	const char *texts[8];
	struct sutra_upstream_batch *first;
	struct sutra_cache *c;
	struct ask a;

	memset(text, 'x', LONG);
	text[LONG] = '\0';
	for (size_t i = 0; i < 8; i++)
		texts[i] = text + i;
	n_waiting = answered = 0;
	asked_of = "fingerprint-1";
	assert_int_equal(sutra_cache_new(&o, &c, NULL), 0);
	ask(c, &a, texts, 8);
	assert_int_equal(n_waiting, 1);
	keep = false;
	first = waiting[--n_waiting];
	sutra_fail(&first->err, SUTRA_E_UNAVAILABLE, "down");
	first->done(first);
	assert_int_equal(answered, 1);
	assert_int_equal(deepest, 1);
	sutra_cache_free(c);
	sutra_free(text);
}

static void switched_off_it_keeps_nothing(void **state)
{
	static const char *const text[] = { "x" };
	struct sutra_cache *c = open_cache(false);
	struct ask a;

	for (int i = 1; i <= 3; i++) {
		ask(c, &a, text, 1);
		assert_int_equal(texts_asked, i);
		answer_all(0);
		release(&a);
	}
	sutra_cache_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lru_agrees_with_a_list), cmocka_unit_test(lru_is_walked_while_it_is_used),
		cmocka_unit_test(lru_refuses_what_it_cannot_count),
		cmocka_unit_test(l1_drops_the_least_recently_used_and_the_expired),
		cmocka_unit_test(equal_texts_under_way_are_computed_once),
		cmocka_unit_test(a_batch_sends_only_its_misses_and_duplicates_once),
		cmocka_unit_test(no_model_answers_for_another),
		cmocka_unit_test(what_another_model_computed_is_kept_as_its_own),
		cmocka_unit_test(every_part_of_the_key_counts),
		cmocka_unit_test(a_failure_reaches_all_who_waited_and_is_not_kept),
		cmocka_unit_test(a_deadline_goes_upstream_or_ends_the_text),
		cmocka_unit_test(a_queue_that_fails_at_once_does_not_recurse),
		cmocka_unit_test(who_joins_with_more_time_is_not_given_up_on),
		cmocka_unit_test(switched_off_it_keeps_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
