/* lib/model: the Matryoshka steps and model folders. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "vector/matryoshka.h"
#include "model_folder.h"

static void matryoshka_follows_the_steps(void **state)
{
	const float v[4] = { 4, 2 - 1.41421356f, 2 + 1.41421356f, 0 };
	const float zero[4] = { 0 };
	double a = 2 / sqrt(3 + 1e-5), b = -1.41421356 / sqrt(3 + 1e-5), n = sqrt(a * a + b * b);
	float out[4];

	/* variance is (4 + 2 + 2 + 4) / 4 = 3 */
	sutra_matryoshka(v, 4, 2, SUTRA_MRL_LAYER_NORM, false, out);
	assert_true(fabs((double)out[0] - a) < 1e-6 && fabs((double)out[1] - b) < 1e-6);
	sutra_matryoshka(v, 4, 2, SUTRA_MRL_LAYER_NORM, true, out);
	assert_true(fabs((double)out[0] - a / n) < 1e-6 && fabs((double)out[1] - b / n) < 1e-6);
	sutra_matryoshka(v, 4, 2, SUTRA_MRL_PLAIN, false, out);
	assert_true(out[0] == v[0] && out[1] == v[1]);
	/* at the native width there is no layer norm */
	sutra_matryoshka(v, 4, 4, SUTRA_MRL_LAYER_NORM, false, out);
	assert_memory_equal(out, v, sizeof(v));
	sutra_matryoshka(zero, 4, 4, SUTRA_MRL_LAYER_NORM, true, out);
	assert_memory_equal(out, zero, sizeof(zero));
	sutra_matryoshka(zero, 4, 2, SUTRA_MRL_LAYER_NORM, true, out);
	assert_true(out[0] == 0 && out[1] == 0);
}

static void matryoshka_offers_steps_and_the_native_width(void **state)
{
	char list[SUTRA_MRL_LIST];

	sutra_matryoshka_list(384, list);
	assert_string_equal(list, "64, 128, 256, 384");
	sutra_matryoshka_list(768, list);
	assert_string_equal(list, "64, 128, 256, 512, 768");
	sutra_matryoshka_list(8192, list);
	assert_string_equal(list, "64, 128, 256, 512, 768, 1024, 8192");
	assert_true(sutra_matryoshka_allows(32, 32));
	assert_false(sutra_matryoshka_allows(384, 512));
	assert_false(sutra_matryoshka_allows(384, 0));
	assert_false(sutra_matryoshka_allows(384, 257));
}

/* ---- folders ---- */

static struct sutra_model *open_model(enum sutra_mrl mrl)
{
	struct sutra_model *m;
	struct sutra_err err;

	if (sutra_model_open(dir, &(struct sutra_model_options){ .mrl = mrl }, &m, &err))
		fail_msg("%s", err.message);
	return m;
}

static void refused(int code, const char *word)
{
	struct sutra_model *m = NULL;
	struct sutra_err err;

	assert_int_equal(sutra_model_open(dir, NULL, &m, &err), code);
	assert_null(m);
	if (!strstr(err.message, word))
		fail_msg("\"%s\" does not say \"%s\"", err.message, word);
}

static void folder_files_decide(void **state)
{
	struct sutra_model *m = open_model(SUTRA_MRL_LAYER_NORM);

	assert_string_equal(m->name, strrchr(dir, '/') + 1);
	assert_int_equal(m->dimension, 32);
	assert_int_equal(m->max_tokens, 40);
	assert_int_equal(m->pooling, SUTRA_POOL_MEAN);
	assert_false(m->matryoshka_trained);
	assert_int_equal(strlen(m->fingerprint), 32);
	assert_true(m->tokenizer_options.lowercase && m->tokenizer_options.strip_accents);
	sutra_model_close(m);

	puts_in("sentence_bert_config.json", "{\"max_seq_length\":16,\"do_lower_case\":false}");
	puts_in("tokenizer_config.json", "{\"do_lower_case\":false,\"strip_accents\":null}");
	puts_in("1_Pooling/config.json",
		"{\"word_embedding_dimension\":32,\"pooling_mode_cls_token\":true,"
		"\"pooling_mode_mean_tokens\":false}");
	puts_in("modules.json", "[{\"type\":\"sentence_transformers.models.Transformer\"},"
				"{\"path\":\"1_Pooling\",\"type\":\"sentence_transformers.models.Pooling\"}]");
	m = open_model(SUTRA_MRL_LAYER_NORM);
	assert_int_equal(m->max_tokens, 16);
	assert_int_equal(m->pooling, SUTRA_POOL_CLS);
	assert_false(m->tokenizer_options.lowercase || m->tokenizer_options.strip_accents);
	sutra_model_close(m);
}

static void folder_faults_are_named(void **state)
{
	puts_in("sentence_bert_config.json", "{\"max_seq_length\":41}");
	refused(SUTRA_E_INVALID, "sentence_bert_config.json");
	drop("sentence_bert_config.json");
	puts_in("modules.json", "[{\"type\":\"sentence_transformers.models.Dense\"}]");
	refused(SUTRA_E_INVALID, "Dense");
	drop("modules.json");
	puts_in("1_Pooling/config.json", "{\"pooling_mode_max_tokens\":true}");
	refused(SUTRA_E_INVALID, "pooling_mode_max_tokens");
	puts_in("1_Pooling/config.json", "{\"pooling_mode_cls_token\":true}");
	refused(SUTRA_E_INVALID, "both");
	puts_in("1_Pooling/config.json", "{\"pooling_mode\":\"lasttoken\"}");
	refused(SUTRA_E_INVALID, "lasttoken");
	puts_in("1_Pooling/config.json", "{\"pooling_mode_mean_tokens\":false}");
	refused(SUTRA_E_INVALID, "neither");
	puts_in("1_Pooling/config.json", "{\"word_embedding_dimension\":384}");
	refused(SUTRA_E_INVALID, "384");
	puts_in("1_Pooling/config.json", "{\"include_prompt\":false}");
	refused(SUTRA_E_INVALID, "include_prompt");
	puts_in("1_Pooling/config.json", "[]");
	refused(SUTRA_E_INVALID, "1_Pooling/config.json");
	drop("1_Pooling/config.json");
	puts_in("config_sentence_transformers.json", "{\"prompts\":{\"query\":7}}");
	refused(SUTRA_E_INVALID, "query");
	puts_in("config_sentence_transformers.json",
		"{\"prompts\":{\"query\":\"q: \"},\"default_prompt_name\":\"clustering\"}");
	refused(SUTRA_E_INVALID, "allowed is query");
	drop("config_sentence_transformers.json");
	puts_in("tokenizer_config.json", "{\"do_lower_case\":1}");
	refused(SUTRA_E_INVALID, "do_lower_case");
	puts_in("tokenizer_config.json", "{");
	refused(SUTRA_E_SYNTAX, "tokenizer_config.json");
	drop("tokenizer_config.json");
	puts_in("vocab.txt", "[PAD]\n");
	refused(SUTRA_E_CORRUPT, "vocab.txt");
	puts_in("vocab.txt", "[UNK]\n[CLS]\n[SEP]\n");
	puts_in("config.json", "{\"model_type\":\"distilbert\"}");
	refused(SUTRA_E_INVALID, "distilbert");
	puts_in("model.safetensors", "short");
	refused(SUTRA_E_INVALID, "distilbert");
	drop("config.json");
	refused(SUTRA_E_NOTFOUND, "config.json");
}

/* ---- modules.json, prompts ---- */

#define MODULE(kind, path) "{\"path\":\"" path "\",\"type\":\"sentence_transformers.models." kind "\"}"

static void modules_come_in_their_order(void **state)
{
	static const struct { const char *json, *word; } bad[] = {
		{ "{}", "an object" },
		{ "[]", "no module is a Pooling" },
		{ "[7]", "nothing" },
		{ "[{\"type\":7}]", "module 0" },
		{ "[" MODULE("Transformer", "") "]", "no module is a Pooling" },
		{ "[" MODULE("Pooling", "1_Pooling") "]", "module 0 is a Pooling" },
		{ "[" MODULE("Transformer", "") "," MODULE("Normalize", "2") "]", "module 1 is a Normalize" },
		{ "[" MODULE("Transformer", "0_BERT") "]", "0_BERT" },
		{ "[" MODULE("Transformer", "") "," MODULE("Pooling", "../x") "]", "../x" },
		{ "[" MODULE("Transformer", "") "," MODULE("Pooling", "/x") "]", "/x" },
		{ "[" MODULE("Transformer", "") "," MODULE("Pooling", "") "]", "Pooling, lies in \"\"" },
		{ "[" MODULE("Transformer", "") "," MODULE("Pooling", "1") "," MODULE("Pooling", "2") "]",
		  "one Pooling" },
		{ "[" MODULE("Transformer", "") "," MODULE("Pooling", "1") "," MODULE("Dense", "2") "]",
		  "Dense" },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		puts_in("modules.json", bad[i].json);
		refused(SUTRA_E_INVALID, bad[i].word);
	}
	puts_in("modules.json", "[" MODULE("Transformer", "") "," MODULE("Pooling", "9_Pooling") "]");
	refused(SUTRA_E_NOTFOUND, "9_Pooling/config.json");
}

static void modules_name_the_poolings_folder(void **state)
{
	struct sutra_model *m;

	puts_in("1_Pooling/config.json", "{\"pooling_mode\":\"cls\"}");
	puts_in("modules.json", "[" MODULE("Transformer", "") "," MODULE("Pooling", "1_Pooling") ","
				MODULE("Normalize", "2_Normalize") "]");
	m = open_model(SUTRA_MRL_LAYER_NORM);
	assert_int_equal(m->pooling, SUTRA_POOL_CLS);
	assert_true(m->normalizes);
	sutra_model_close(m);
	puts_in("modules.json", "[" MODULE("Transformer", "") "," MODULE("Pooling", "1_Pooling") "]");
	m = open_model(SUTRA_MRL_LAYER_NORM);
	assert_false(m->normalizes);
	sutra_model_close(m);
}

static void prompts_and_their_default_decide_the_fingerprint(void **state)
{
	char prints[4][SUTRA_FINGERPRINT_LEN];
	struct sutra_model *m = open_model(SUTRA_MRL_LAYER_NORM);
	struct sutra_err err;
	size_t at;

	assert_int_equal(m->prompts.types.n, 0);
	assert_string_equal(m->prefix, "");
	assert_int_equal(sutra_input_type_find(&m->prompts.types, "input_type", "query", &at, &err),
			 SUTRA_E_INVALID);
	assert_non_null(strstr(err.message, "\"query\"; allowed is none"));
	memcpy(prints[0], m->fingerprint, sizeof(prints[0]));
	sutra_model_close(m);

	puts_in("config_sentence_transformers.json",
		"{\"prompts\":{\"query\":\"ask: \",\"document\":\"\"},\"default_prompt_name\":null}");
	m = open_model(SUTRA_MRL_LAYER_NORM);
	assert_string_equal(m->prefix, "");
	memcpy(prints[1], m->fingerprint, sizeof(prints[1]));
	assert_int_equal(sutra_input_type_find(&m->prompts.types, "input_type", "search_query", &at, &err), 0);
	assert_string_equal(m->prompts.texts[at], "ask: ");
	assert_int_equal(sutra_input_type_find(&m->prompts.types, "input_type", "passage", &at, &err), 0);
	assert_string_equal(m->prompts.types.names[at], "document");
	assert_int_equal(sutra_input_type_find(&m->prompts.types, "input_type", "clustering", &at, &err),
			 SUTRA_E_INVALID);
	assert_non_null(strstr(err.message, "\"clustering\"; allowed is query, document"));
	assert_int_equal(sutra_model_use_prompt(m, "query", m->prompts.texts[0], &err), 0);
	memcpy(prints[2], m->fingerprint, sizeof(prints[2]));
	sutra_model_close(m);

	puts_in("config_sentence_transformers.json",
		"{\"prompts\":{\"query\":\"asked: \",\"document\":\"\"},\"default_prompt_name\":\"query\"}");
	m = open_model(SUTRA_MRL_LAYER_NORM);
	assert_string_equal(m->prefix, "asked: ");
	assert_string_equal(m->input_type, "query");
	memcpy(prints[3], m->fingerprint, sizeof(prints[3]));
	sutra_model_close(m);
	for (size_t i = 0; i < 4; i++)
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(prints[i], prints[k]);
}

static void vocabularies_may_be_padded_but_not_another_models(void **state)
{
	struct sutra_model *m;
	struct sutra_buf b;

	sutra_buf_init(&b, 1 << 20);
	sutra_buf_adds(&b, "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n");
	for (int i = 5; i <= 200; i++)
		sutra_buf_addf(&b, "w%d\n", i);
	put("vocab.txt", b.data, b.len);
	refused(SUTRA_E_CORRUPT, "201 tokens, but config.json's vocab_size is 200");
	put("vocab.txt", b.data, b.len - strlen("w200\n"));
	m = open_model(SUTRA_MRL_LAYER_NORM);
	sutra_model_close(m);
	sutra_buf_release(&b);
	puts_in("config.json", "{\"hidden_size\":32,\"num_hidden_layers\":2,\"num_attention_heads\":4,"
			       "\"intermediate_size\":64,\"vocab_size\":30522}");
	refused(SUTRA_E_CORRUPT, "200 tokens, but config.json's vocab_size is 30522");
}

static void a_cut_weight_file_is_named(void **state)
{
	struct sutra_buf b;

	tiny_weights(&tiny_default, &b);
	put("model.safetensors", b.data, b.len - 1);
	sutra_buf_release(&b);
	refused(SUTRA_E_CORRUPT, "model.safetensors");
}

static void no_model_names_the_ways_to_get_one(void **state)
{
	struct sutra_model *m = NULL;
	struct sutra_err err;

	assert_int_equal(sutra_model_open("/nonexistent", &(struct sutra_model_options){ .mrl = SUTRA_MRL_PLAIN }, &m, &err),
			 SUTRA_E_NOTFOUND);
	assert_non_null(strstr(err.hint, "sutra model fetch`"));
	assert_non_null(strstr(err.hint, "MODEL_PATH"));
	assert_non_null(strstr(err.hint, "owner/name"));
}

static void fingerprint(enum sutra_mrl mrl, char out[SUTRA_FINGERPRINT_LEN])
{
	struct sutra_model *m = open_model(mrl);

	memcpy(out, m->fingerprint, SUTRA_FINGERPRINT_LEN);
	sutra_model_close(m);
}

static void fingerprint_covers_what_decides(void **state)
{
	char prints[7][SUTRA_FINGERPRINT_LEN], again[SUTRA_FINGERPRINT_LEN];
	struct sutra_buf b;

	fingerprint(SUTRA_MRL_LAYER_NORM, prints[0]);
	fingerprint(SUTRA_MRL_LAYER_NORM, again);
	assert_string_equal(prints[0], again);
	fingerprint(SUTRA_MRL_PLAIN, prints[1]);
	puts_in("sentence_bert_config.json", "{\"max_seq_length\":16}");
	fingerprint(SUTRA_MRL_LAYER_NORM, prints[2]);
	puts_in("vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nhello\nthere\n");
	fingerprint(SUTRA_MRL_LAYER_NORM, prints[3]);
	puts_in("tokenizer_config.json", "{\"strip_accents\":false}");
	fingerprint(SUTRA_MRL_LAYER_NORM, prints[4]);
	tiny_weights(&tiny_default, &b);
	b.data[b.len - 1] ^= 1;
	put("model.safetensors", b.data, b.len);
	sutra_buf_release(&b);
	fingerprint(SUTRA_MRL_LAYER_NORM, prints[5]);
	tiny_config(&tiny_default, &b);	/* under the same weights */
	b.data[b.len - 1] = ' ';
	sutra_buf_adds(&b, ",\"layer_norm_eps\":1e-7}");
	put("config.json", b.data, b.len);
	sutra_buf_release(&b);
	fingerprint(SUTRA_MRL_LAYER_NORM, prints[6]);
	for (size_t i = 0; i < 7; i++)
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(prints[i], prints[k]);
}

static void store_is_found_by_environment(void **state)
{
	char *f;

	setenv("SUTRA_MODEL_DIR", "/store", 1);
	f = sutra_model_folder(NULL, "x");
	assert_string_equal(f, "/store/x");
	sutra_free(f);
	f = sutra_model_folder("/else/where", "x");
	assert_string_equal(f, "/else/where");
	sutra_free(f);
	unsetenv("SUTRA_MODEL_DIR");
}

static void every_failing_allocation_is_reported(void **state)
{
	open_with_failing_allocations(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(matryoshka_follows_the_steps),
		cmocka_unit_test(matryoshka_offers_steps_and_the_native_width),
		FOLDER_TEST(folder_files_decide),
		FOLDER_TEST(folder_faults_are_named),
		FOLDER_TEST(modules_come_in_their_order),
		FOLDER_TEST(modules_name_the_poolings_folder),
		FOLDER_TEST(prompts_and_their_default_decide_the_fingerprint),
		FOLDER_TEST(vocabularies_may_be_padded_but_not_another_models),
		FOLDER_TEST(a_cut_weight_file_is_named),
		cmocka_unit_test(no_model_names_the_ways_to_get_one),
		FOLDER_TEST(fingerprint_covers_what_decides),
		cmocka_unit_test(store_is_found_by_environment),
		FOLDER_TEST(every_failing_allocation_is_reported),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
