/* lib/model: configs and weights that are read, refused by name, or too much for the memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "encoder_bert.h"

static void configs_are_refused_by_name(void **state)
{
#define SIZES "\"hidden_size\":32,\"num_hidden_layers\":2,\"intermediate_size\":64,\"vocab_size\":200"
	static const struct { const char *json, *word; int code; } bad[] = {
		{ "{", "JSON", SUTRA_E_SYNTAX },
		{ "[]", "array", SUTRA_E_INVALID },
		{ "{\"model_type\":\"distilbert\"}", "\"distilbert\"; the architectures supported are "
		  "bert, nomic_bert", SUTRA_E_INVALID },
		{ "{\"hidden_act\":\"gelu_new\"}", "gelu_new", SUTRA_E_INVALID },
		{ "{\"position_embedding_type\":\"relative_key\"}", "relative_key", SUTRA_E_INVALID },
		{ "{}", "hidden_size", SUTRA_E_INVALID },
		{ "{\"hidden_size\":\"32\"}", "a string", SUTRA_E_INVALID },
		{ "{\"hidden_size\":100000}", "8192", SUTRA_E_INVALID },
		{ "{" SIZES ",\"num_attention_heads\":5}", "multiple", SUTRA_E_INVALID },
		{ "{" SIZES ",\"num_attention_heads\":4,\"layer_norm_eps\":-1}", "layer_norm_eps",
		  SUTRA_E_INVALID },
	};
	struct sutra_encoder_config c;
	struct sutra_err err;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(sutra_encoder_read_config(bad[i].json, strlen(bad[i].json), &c, &err),
				 bad[i].code);
		assert_non_null(strstr(err.message, bad[i].word));
	}
}

static void weights_must_fit_the_config(void **state)
{
	struct sutra_encoder *e = NULL;
	struct sutra_encoder_config c;
	struct sutra_err err;
	struct bert b;

	open_bert(&tiny_default, &b);
	c = b.config;
	c.inner = 63;
	assert_int_equal(sutra_encoder_new(b.weights, &c,
		&(struct sutra_encoder_options){ .max_tokens = 40 }, &e, &err), SUTRA_E_CORRUPT);
	assert_non_null(strstr(err.message, "encoder.layer.0.intermediate.dense.weight"));
	c = b.config;
	c.layers = 3;
	assert_int_equal(sutra_encoder_new(b.weights, &c,
		&(struct sutra_encoder_options){ .max_tokens = 40 }, &e, &err), SUTRA_E_CORRUPT);
	assert_non_null(strstr(err.message, "encoder.layer.2."));
	c = b.config;
	c.vocab = 201;
	assert_int_equal(sutra_encoder_new(b.weights, &c,
		&(struct sutra_encoder_options){ .max_tokens = 40 }, &e, &err), SUTRA_E_CORRUPT);
	assert_int_equal(sutra_encoder_new(b.weights, &b.config,
		&(struct sutra_encoder_options){ .max_tokens = 41 }, &e, &err), SUTRA_E_INVALID);
	assert_null(e);
	close_bert(&b);
}

/* The same model over other bytes or another config. */
static void run_changed(const struct sutra_buf *bytes, const struct sutra_encoder_config *c, float *out)
{
	struct bert b = { .config = *c };
	struct sutra_err err;

	assert_int_equal(sutra_safetensors_parse(bytes->data, bytes->len, &b.weights, &err), 0);
	assert_int_equal(sutra_encoder_new(b.weights, c,
		&(struct sutra_encoder_options){ .max_tokens = c->max_tokens }, &b.encoder, &err), 0);
	run(&b, NULL, 0, TEXTS, SUTRA_POOL_MEAN, out);
	sutra_encoder_free(b.encoder);
	sutra_safetensors_free(b.weights);
}

/* Bytes of the file at which the numbers of the tensor `name` begin. */
static size_t place(const struct bert *b, const char *name)
{
	return (size_t)((const char *)sutra_safetensors_find(b->weights, name)->data - b->bytes.data);
}

static void models_without_token_types_are_read(void **state)
{
	float none[TEXTS * 32], absent[TEXTS * 32], zero[TEXTS * 32], with[TEXTS * 32];
	struct sutra_encoder_config c;
	struct bert b;
	char *at;

	open_bert(&tiny_default, &b);
	run(&b, NULL, 0, TEXTS, SUTRA_POOL_MEAN, with);
	c = b.config;
	c.types = 0;
	run_changed(&b.bytes, &c, none);
	memset(b.bytes.data + place(&b, "embeddings.token_type_embeddings.weight"), 0,
	       32 * sizeof(float));
	run_changed(&b.bytes, &b.config, zero);
	at = memmem(b.bytes.data, b.bytes.len, "token_type", 10);
	at[0] = 'T';
	run_changed(&b.bytes, &b.config, absent);
	assert_memory_equal(none, zero, sizeof(zero));
	assert_memory_equal(absent, zero, sizeof(zero));
	assert_memory_not_equal(with, zero, sizeof(zero));
	close_bert(&b);
}

static void weights_that_are_no_numbers_are_found_and_named(void **state)
{
	static const float wrong[] = { NAN, INFINITY, -INFINITY };
	static const char *const names[] = {
		"embeddings.word_embeddings.weight", "embeddings.position_embeddings.weight",
		"embeddings.token_type_embeddings.weight", "embeddings.LayerNorm.bias",
		"encoder.layer.0.attention.self.key.weight", "encoder.layer.1.output.dense.bias",
		"encoder.layer.1.output.LayerNorm.weight",
	};
	struct sutra_encoder *e = NULL;
	struct sutra_err err;
	struct bert b;

	open_bert(&tiny_default, &b);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		for (size_t w = 0; w < 3; w++) {
			char *at = b.bytes.data + place(&b, names[i]) + 5 * sizeof(float);
			float was;

			memcpy(&was, at, sizeof(was));
			memcpy(at, &wrong[w], sizeof(was));
			assert_int_equal(sutra_encoder_new(b.weights, &b.config,
		&(struct sutra_encoder_options){ .max_tokens = 40 }, &e, &err),
					 SUTRA_E_CORRUPT);
			assert_non_null(strstr(err.message, names[i]));
			assert_non_null(strstr(err.message, w ? "inf at place 5" : "nan at place 5"));
			memcpy(at, &was, sizeof(was));
		}
	assert_null(e);
	close_bert(&b);
}

static void unreadable_dtypes_are_refused_when_needed(void **state)
{
	struct sutra_encoder *e = NULL;
	struct sutra_buf bytes;
	struct sutra_safetensors *st;
	struct sutra_encoder_config c;
	struct sutra_err err;
	char *at;

	tiny_config(&tiny_default, &bytes);
	assert_int_equal(sutra_encoder_read_config(bytes.data, bytes.len, &c, &err), 0);
	sutra_buf_release(&bytes);
	tiny_weights(&tiny_default, &bytes);
	at = memmem(bytes.data, bytes.len, "\"F32\"", 5);
	memcpy(at, "\"I32\"", 5);
	assert_int_equal(sutra_safetensors_parse(bytes.data, bytes.len, &st, &err), 0);
	assert_int_equal(sutra_encoder_new(st, &c,
		&(struct sutra_encoder_options){ .max_tokens = 40 }, &e, &err), SUTRA_E_INVALID);
	assert_non_null(strstr(err.message, "I32"));
	sutra_safetensors_free(st);
	sutra_buf_release(&bytes);
}

static void every_failing_allocation_is_reported(void **state)
{
	struct sutra_encoder_session *s = NULL;
	struct sutra_encoder *e = NULL;
	struct sutra_err err;
	struct bert b;
	long n = 0;
	int rc;

	open_bert(&tiny_default, &b);
	do {
		sutra_alloc_fail_at(++n);
		rc = sutra_encoder_new(b.weights, &b.config,
		&(struct sutra_encoder_options){ .max_tokens = 40 }, &e, &err);
		assert_true(!rc || rc == SUTRA_E_NOMEM);
	} while (sutra_alloc_failed());
	assert_true(n > 40);
	n = 0;
	do {
		sutra_alloc_fail_at(++n);
		rc = sutra_encoder_session_new(e, TOKENS, NULL, &s, &err);
		assert_true(!rc || rc == SUTRA_E_NOMEM);
	} while (sutra_alloc_failed());
	sutra_alloc_fail_at(0);
	sutra_encoder_session_free(s);
	sutra_encoder_free(e);
	close_bert(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(configs_are_refused_by_name),
		cmocka_unit_test(weights_must_fit_the_config),
		cmocka_unit_test(models_without_token_types_are_read),
		cmocka_unit_test(weights_that_are_no_numbers_are_found_and_named),
		cmocka_unit_test(unreadable_dtypes_are_refused_when_needed),
		cmocka_unit_test(every_failing_allocation_is_reported),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
