/*
 * lib/model: nomic_bert against vectors of the reference implementation (tests/data/nomic-tiny:
 * small random models of nomic-embed-text-v1.5's architecture, in both layouts of the tensors).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/jsonio.h"
#include "model/encoder/encoder.h"
#include "vector/onednn.h"
#include "vector/matryoshka.h"

#define DATA "tests/data/nomic-tiny/"

enum { WIDTH = 64, TOKENS = 1024, CASES = 16 };

static const struct { const char *config, *weights; } stored[] = {
	{ DATA "config.json", DATA "model.safetensors" },
	{ DATA "config-v5.json", DATA "model-v5-names.safetensors" },
};

static json_t *expected;
static uint32_t ids[TOKENS], lengths[CASES];
static size_t n_cases, n_tokens;

static int setup(void **state)
{
	json_t *c, *id;
	size_t i, k;

	if (sutra_json_read(DATA "expected.json", 1 << 20, &expected, NULL))
		return -1;
	json_array_foreach (json_object_get(expected, "cases"), i, c) {
		lengths[n_cases++] = (uint32_t)json_array_size(json_object_get(c, "ids"));
		json_array_foreach (json_object_get(c, "ids"), k, id)
			ids[n_tokens++] = (uint32_t)json_integer_value(id);
	}
	return n_cases == 9 ? 0 : -1;
}

static int teardown(void **state)
{
	json_decref(expected);
	return 0;
}

struct nomic {
	struct sutra_encoder_config config;
	struct sutra_safetensors *weights;
	struct sutra_encoder *encoder;
};

static void open_in(enum sutra_precision precision, size_t which, size_t max_tokens,
		    struct nomic *n)
{
	struct sutra_encoder_options o = { .precision = precision };
	struct sutra_err err = { 0 };
	char *text;
	size_t len;

	if (sutra_file_read(stored[which].config, 1 << 16, &text, &len, &err) ||
	    sutra_encoder_read_config(text, len, &n->config, &err) ||
	    sutra_safetensors_open(stored[which].weights, &n->weights, &err))
		fail_msg("%s", err.message);
	if (max_tokens)
		n->config.positions = n->config.max_tokens = max_tokens;
	o.max_tokens = n->config.max_tokens;
	if (sutra_encoder_new(n->weights, &n->config, &o, &n->encoder, &err))
		fail_msg("%s", err.message);
	sutra_free(text);
}

static void open_nomic(size_t which, size_t max_tokens, struct nomic *n)
{
	open_in(SUTRA_FP32, which, max_tokens, n);
}

static void close_nomic(struct nomic *n)
{
	sutra_encoder_free(n->encoder);
	sutra_safetensors_free(n->weights);
}

static void run(const struct nomic *n, const struct sutra_kernels *k, const uint32_t *from,
		const uint32_t *sizes, size_t texts, float *out)
{
	struct sutra_encoder_session *s;
	struct sutra_err err;
	size_t tokens = 0;

	for (size_t i = 0; i < texts; i++)
		tokens += sizes[i];
	assert_int_equal(sutra_encoder_session_new(n->encoder, tokens, k, &s, &err), 0);
	assert_int_equal(sutra_encoder_run(s, from, sizes, texts, SUTRA_POOL_MEAN, out, &err), 0);
	sutra_encoder_session_free(s);
}

static double cosine(const float *v, const json_t *want, size_t n)
{
	double dot = 0, a = 0, b = 0;

	assert_int_equal(json_array_size(want), n);
	for (size_t i = 0; i < n; i++) {
		double w = json_number_value(json_array_get(want, i));

		dot += (double)v[i] * w;
		a += (double)v[i] * (double)v[i];
		b += w * w;
	}
	return dot / sqrt(a * b);
}

/* The worst cosine of one width's vectors, of every case of out [cases][WIDTH]. */
static double worst_of(const float *out, const char *field, size_t width, enum sutra_mrl mrl)
{
	double worst = 1;
	float v[WIDTH];
	json_t *c;
	size_t i;

	json_array_foreach (json_object_get(expected, "cases"), i, c) {
		sutra_matryoshka(out + i * WIDTH, WIDTH, width, mrl, true, v);
		worst = fmin(worst, cosine(v, json_object_get(c, field), width));
	}
	return worst;
}

static void vectors_equal_the_reference(void **state)
{
	static const struct { const char *field; size_t width; enum sutra_mrl mrl; } kinds[] = {
		{ "full", 64, SUTRA_MRL_LAYER_NORM },	{ "mrl_48", 48, SUTRA_MRL_LAYER_NORM },
		{ "mrl_32", 32, SUTRA_MRL_LAYER_NORM }, { "mrl_16", 16, SUTRA_MRL_LAYER_NORM },
		{ "plain_48", 48, SUTRA_MRL_PLAIN },	{ "plain_32", 32, SUTRA_MRL_PLAIN },
		{ "plain_16", 16, SUTRA_MRL_PLAIN },
	};
	float out[CASES * WIDTH];

	for (size_t which = 0; which < 2; which++)
		for (const struct sutra_kernels *const *k = sutra_kernels_all(); *k; k++) {
			struct nomic n;
			double worst = 1;

			open_nomic(which, 0, &n);
			assert_int_equal(n.config.max_tokens, 256);
			run(&n, *k, ids, lengths, n_cases, out);
			for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
				worst = fmin(worst, worst_of(out, kinds[i].field, kinds[i].width,
							     kinds[i].mrl));
			print_message("# %s, %s kernels: worst cosine %.9f\n", stored[which].weights,
				      (*k)->name, worst);
			assert_true(worst >= 0.99999);
			close_nomic(&n);
		}
}

static void both_layouts_give_the_same_bits(void **state)
{
	float a[CASES * WIDTH], b[CASES * WIDTH];
	struct nomic n;

	open_nomic(0, 0, &n);
	run(&n, NULL, ids, lengths, n_cases, a);
	close_nomic(&n);
	open_nomic(1, 0, &n);
	run(&n, NULL, ids, lengths, n_cases, b);
	close_nomic(&n);
	assert_memory_equal(a, b, n_cases * WIDTH * sizeof(float));
}

static void a_text_does_not_know_its_batch(void **state)
{
	float all[CASES * WIDTH], part[CASES * WIDTH];

	for (int p = SUTRA_FP32; p < SUTRA_PRECISIONS; p++) {
		struct nomic n;

		if (!sutra_onednn_is_native((enum sutra_precision)p))
			continue;
		open_in((enum sutra_precision)p, 0, 0, &n);
		run(&n, NULL, ids, lengths, n_cases, all);
		for (size_t from = 0, at = 0; from < n_cases; at += lengths[from++])
			for (size_t k = 1; from + k <= n_cases; k++) {
				run(&n, NULL, ids + at, lengths + from, k, part);
				assert_memory_equal(part, all + from * WIDTH, k * WIDTH * sizeof(float));
			}
		print_message("# %s: worst cosine %.6f\n", sutra_precision_name((enum sutra_precision)p),
			      worst_of(all, "full", WIDTH, SUTRA_MRL_LAYER_NORM));
		assert_true(worst_of(all, "full", WIDTH, SUTRA_MRL_LAYER_NORM) > 0.995);
		close_nomic(&n);
	}
}

/* As long as a text can be; beside a short one, whose bits stay what they are. */
static void two_thousand_tokens_are_one_text(void **state)
{
	enum { LONG = 2048 };
	const uint32_t sizes[] = { LONG, 7 };
	uint32_t text[LONG + 7];
	float out[2 * WIDTH], want[2 * WIDTH];
	struct nomic n;
	double dot = 0;

	for (size_t i = 0; i < LONG + 7; i++)
		text[i] = (uint32_t)(i * 7919 % 512);
	open_nomic(0, LONG, &n);
	run(&n, NULL, text, sizes, 2, out);
	run(&n, NULL, text + LONG, sizes + 1, 1, want);
	assert_memory_equal(out + WIDTH, want, WIDTH * sizeof(float));
	run(&n, &sutra_kernels_scalar, text, sizes, 2, want);
	sutra_matryoshka(out, WIDTH, WIDTH, SUTRA_MRL_PLAIN, true, out);
	sutra_matryoshka(want, WIDTH, WIDTH, SUTRA_MRL_PLAIN, true, want);
	for (size_t i = 0; i < WIDTH; i++)
		dot += (double)out[i] * (double)want[i];
	assert_true(dot > 0.999999);
	close_nomic(&n);
}

/* ---- config.json ---- */

#define OLD "\"model_type\":\"nomic_bert\",\"n_embd\":64,\"n_layer\":3,\"n_head\":4"
#define NEW "\"model_type\":\"nomic_bert\",\"hidden_size\":64,\"num_hidden_layers\":3," \
	    "\"num_attention_heads\":4"

static void configs_of_both_spellings_are_read(void **state)
{
	static const struct {
		const char *json;
		size_t inner, vocab, positions, max_tokens;
		float base;
	} good[] = {
		{ "{" OLD ",\"vocab_size\":500}", 256, 500, 2048, 2048, 1000 },
		{ "{" OLD ",\"n_inner\":null,\"vocab_size\":500,\"pad_vocab_size_multiple\":64,"
		  "\"n_positions\":8192,\"max_trained_positions\":2048,\"rotary_emb_base\":1000}",
		  256, 512, 8192, 2048, 1000 },
		{ "{" OLD ",\"n_inner\":100,\"vocab_size\":512,\"n_positions\":8192,"
		  "\"max_trained_positions\":8192,\"rotary_emb_base\":10000.0}", 100, 512, 8192, 2048,
		  10000 },
		{ "{" NEW ",\"intermediate_size\":192,\"vocab_size\":512,\"max_position_embeddings\":256,"
		  "\"rope_parameters\":{\"rope_theta\":500,\"rope_type\":\"dynamic\",\"factor\":2}}",
		  192, 512, 256, 256, 500 },
		{ "{" OLD ",\"hidden_size\":64,\"vocab_size\":512,\"rotary_emb_base\":1000,"
		  "\"rope_parameters\":{\"rope_theta\":1000.0}}", 256, 512, 2048, 2048, 1000 },
	};

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct sutra_encoder_config c;
		struct sutra_err err = { 0 };

		if (sutra_encoder_read_config(good[i].json, strlen(good[i].json), &c, &err))
			fail_msg("%s", err.message);
		assert_int_equal(c.architecture, SUTRA_ARCH_NOMIC_BERT);
		assert_int_equal(c.hidden, 64);
		assert_int_equal(c.inner, good[i].inner);
		assert_int_equal(c.vocab, good[i].vocab);
		assert_int_equal(c.positions, good[i].positions);
		assert_int_equal(c.max_tokens, good[i].max_tokens);
		assert_true(c.rotary_base == good[i].base);
	}
}

static void options_that_the_encoder_lacks_are_refused_by_name(void **state)
{
	static const struct { const char *json, *word; } bad[] = {
		{ "{" OLD ",\"vocab_size\":512,\"prenorm\":true}", "prenorm" },
		{ "{" OLD ",\"vocab_size\":512,\"rotary_emb_fraction\":0.5}", "0.5" },
		{ "{" OLD ",\"vocab_size\":512,\"rotary_emb_interleaved\":true}", "interleaved" },
		{ "{" OLD ",\"vocab_size\":512,\"rotary_emb_scale_base\":512}", "scale_base" },
		{ "{" OLD ",\"vocab_size\":512,\"num_experts\":8}", "num_experts" },
		{ "{" OLD ",\"vocab_size\":512,\"activation_function\":\"gelu\"}", "swiglu" },
		{ "{" OLD ",\"vocab_size\":512,\"qkv_proj_bias\":true}", "qkv_proj_bias" },
		{ "{" OLD ",\"vocab_size\":512,\"use_rms_norm\":true}", "use_rms_norm" },
		{ "{" OLD ",\"vocab_size\":512,\"n_embd\":62}", "heads" },
		{ "{" OLD ",\"vocab_size\":512,\"hidden_size\":128}", "\"hidden_size\" is 128" },
		{ "{" OLD ",\"vocab_size\":512,\"n_positions\":1}", "n_positions" },
		{ "{" OLD ",\"vocab_size\":512,\"head_dim\":8}", "4 heads of width 8" },
		{ "{" OLD ",\"vocab_size\":512,\"n_head\":64}", "64 heads of width 1" },
		{ "{" OLD ",\"vocab_size\":512,\"rotary_emb_base\":1}", "base" },
		{ "{" OLD ",\"vocab_size\":512,\"rotary_emb_base\":10,"
		  "\"rope_parameters\":{\"rope_theta\":20}}", "\"rope_theta\" is 20" },
		{ "{" OLD ",\"vocab_size\":512,\"rope_parameters\":7}", "rope_parameters" },
		{ "{" OLD "}", "\"vocab_size\" is missing" },
		{ "{" NEW ",\"vocab_size\":512,\"rope_parameters\":{\"rope_type\":\"yarn\"}}", "yarn" },
		{ "{" NEW ",\"vocab_size\":512,\"rope_parameters\":{\"partial_rotary_factor\":0.5}}",
		  "partial_rotary_factor" },
		{ "{" NEW ",\"vocab_size\":512,\"hidden_act\":\"gelu\"}", "silu" },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct sutra_encoder_config c;
		struct sutra_err err = { 0 };

		assert_int_equal(sutra_encoder_read_config(bad[i].json, strlen(bad[i].json), &c, &err),
				 SUTRA_E_INVALID);
		if (!strstr(err.message, bad[i].word))
			fail_msg("\"%s\" does not say \"%s\"", err.message, bad[i].word);
	}
}

static void a_missing_tensor_is_named_as_stored(void **state)
{
	struct sutra_encoder *e = NULL;
	struct sutra_err err;
	struct nomic n;

	open_nomic(1, 0, &n);
	n.config.layers = 4;
	assert_int_equal(sutra_encoder_new(n.weights, &n.config,
		&(struct sutra_encoder_options){ .max_tokens = 256 }, &e, &err), SUTRA_E_CORRUPT);
	assert_non_null(strstr(err.message, "layers.3.self_attn.q_proj.weight"));
	n.config.layers = 3;
	n.config.inner = 191;
	assert_int_equal(sutra_encoder_new(n.weights, &n.config,
		&(struct sutra_encoder_options){ .max_tokens = 256 }, &e, &err), SUTRA_E_CORRUPT);
	assert_non_null(strstr(err.message,
			       "\"layers.0.mlp.up_proj.weight\" has the shape [192, 64]; config.json "
			       "asks for [191, 64]"));
	close_nomic(&n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vectors_equal_the_reference),
		cmocka_unit_test(both_layouts_give_the_same_bits),
		cmocka_unit_test(a_text_does_not_know_its_batch),
		cmocka_unit_test(two_thousand_tokens_are_one_text),
		cmocka_unit_test(configs_of_both_spellings_are_read),
		cmocka_unit_test(options_that_the_encoder_lacks_are_refused_by_name),
		cmocka_unit_test(a_missing_tensor_is_named_as_stored),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
