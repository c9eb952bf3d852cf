/* The real model against vectors of the reference implementation (tests/data). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/jsonio.h"
#include "model/model.h"
#include "model_files.h"

enum { CASES_MAX = 64, TOKENS_MAX = 256, WIDTH = 384 };

static struct sutra_model *model;	/* NULL: not on this machine */
static json_t *reference;

/* The cases, tokenized. */
static struct {
	size_t n, tokens;
	uint32_t ids[CASES_MAX * TOKENS_MAX], lengths[CASES_MAX];
	size_t at[CASES_MAX], whole[CASES_MAX];
} cases;

static int setup(void **state)
{
	struct sutra_err err;
	char *folder = real_model_folder();
	json_t *c;
	size_t i;

	if (sutra_json_read("tests/data/minilm-reference.json", 4 << 20, &reference, &err))
		return -1;
	if (!folder)
		return 0;
	if (sutra_model_open(folder, NULL, &model, &err)) {
		fprintf(stderr, "%s\n", err.message);
		return -1;
	}
	sutra_free(folder);
	json_array_foreach (json_object_get(reference, "cases"), i, c) {
		json_t *text = json_object_get(c, "text");

		cases.at[i] = cases.tokens;
		cases.lengths[i] = (uint32_t)sutra_wordpiece_encode(
			model->tokenizer, json_string_value(text), json_string_length(text),
			cases.ids + cases.tokens, model->max_tokens, NULL);
		cases.whole[i] = sutra_wordpiece_count(model->tokenizer, json_string_value(text),
						       json_string_length(text));
		cases.tokens += cases.lengths[i];
		cases.n++;
	}
	return 0;
}

static int teardown(void **state)
{
	sutra_model_close(model);
	json_decref(reference);
	return 0;
}

static void need_model(void)
{
	if (!model)
		skip();
}

static void token_ids_are_identical(void **state)
{
	json_t *c, *id;
	size_t i, k;

	need_model();
	assert_int_equal(model->max_tokens, TOKENS_MAX);
	assert_true(cases.n >= 40);
	json_array_foreach (json_object_get(reference, "cases"), i, c) {
		json_t *ids = json_object_get(c, "ids");

		assert_int_equal(cases.lengths[i], json_array_size(ids));
		json_array_foreach (ids, k, id)
			assert_int_equal(cases.ids[cases.at[i] + k], json_integer_value(id));
		assert_int_equal(cases.whole[i], json_integer_value(json_object_get(
							 c, "tokens_before_truncation")));
	}
}

/* Every step of the tokenizer, on chosen and random texts (the file says where they are from). */
static void tokenizer_equals_the_original(void **state)
{
	uint32_t ids[1024];
	json_t *file, *c, *id;
	struct sutra_err err;
	size_t i, k;

	need_model();
	assert_int_equal(sutra_json_read("tests/data/tokenizer-cases.json", 1 << 20, &file, &err), 0);
	assert_true(json_array_size(json_object_get(file, "cases")) > 250);
	json_array_foreach (json_object_get(file, "cases"), i, c) {
		json_t *text = json_object_get(c, "text"), *want = json_object_get(c, "ids");
		size_t n = sutra_wordpiece_encode(model->tokenizer, json_string_value(text),
						  json_string_length(text), ids, 1024, NULL);

		if (n != json_array_size(want))
			fail_msg("case %zu has %zu ids, not %zu", i, n, json_array_size(want));
		json_array_foreach (want, k, id)
			assert_int_equal(ids[k], json_integer_value(id));
	}
	json_decref(file);
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

static float *encode(const struct sutra_kernels *kernels, size_t from, size_t n)
{
	struct sutra_encoder_session *s;
	struct sutra_err err;
	float *out = sutra_alloc(n * WIDTH * sizeof(*out));

	assert_int_equal(sutra_encoder_session_new(model->encoder, cases.tokens, kernels, &s, &err), 0);
	assert_int_equal(sutra_encoder_run(s, cases.ids + cases.at[from], cases.lengths + from, n,
					   model->pooling, out, &err), 0);
	sutra_encoder_session_free(s);
	return out;
}

static void vectors_equal_the_reference(void **state)
{
	double worst = 1, worst_mrl = 1;
	float *out, v[WIDTH];
	json_t *c;
	size_t i;

	need_model();
	for (const struct sutra_kernels *const *k = sutra_kernels_all(); *k; k++) {
		out = encode(*k, 0, cases.n);
		json_array_foreach (json_object_get(reference, "cases"), i, c) {
			sutra_matryoshka(out + i * WIDTH, WIDTH, WIDTH, SUTRA_MRL_LAYER_NORM, true, v);
			worst = fmin(worst, cosine(v, json_object_get(c, "embedding"), WIDTH));
			sutra_matryoshka(out + i * WIDTH, WIDTH, 256, SUTRA_MRL_LAYER_NORM, true, v);
			worst_mrl = fmin(worst_mrl, cosine(v, json_object_get(c, "mrl_256"), 256));
		}
		sutra_free(out);
		print_message("# %s kernels: worst cosine %.9f, at 256 of 384 %.9f\n", (*k)->name, worst,
			      worst_mrl);
		assert_true(worst >= 0.9999);
		assert_true(worst_mrl >= 0.9999);
	}
}

static void a_text_has_one_vector_in_any_batch(void **state)
{
	float *all, *part;

	need_model();
	all = encode(NULL, 0, cases.n);
	for (size_t i = 0; i < cases.n; i++) {
		size_t n = i + 5 <= cases.n && i % 3 ? 5 : 1;

		part = encode(NULL, i, n);
		assert_memory_equal(part, all + i * WIDTH, n * WIDTH * sizeof(*part));
		sutra_free(part);
	}
	sutra_free(all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(token_ids_are_identical),
		cmocka_unit_test(tokenizer_equals_the_original),
		cmocka_unit_test(vectors_equal_the_reference),
		cmocka_unit_test(a_text_has_one_vector_in_any_batch),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
