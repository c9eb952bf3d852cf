/* The model store's rules that need no server: names, listings, dimensions, records. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/weightsum.h"
#include "hub/hub.h"
#include "hub/modelstore.h"

#define COMMIT "\"sha\":\"0123456789abcdef0123456789abcdef01234567\""
#define SHA "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define SMALL "{\"rfilename\":\"config.json\",\"size\":9},{\"rfilename\":\"vocab.txt\",\"size\":3}"
#define LFS(sha) "{\"rfilename\":\"model.safetensors\",\"size\":1,\"lfs\":{\"sha256\":\"" sha "\",\"size\":9}}"

static char dir[64];

static int setup(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/test_modelstore.XXXXXX");
	return !mkdtemp(dir) || setenv("SUTRA_MODEL_DIR", dir, 1);
}

static int teardown(void **state)
{
	(void)state;
	return sutra_remove_tree(dir, NULL);
}

static void put(const char *name, const char *text)
{
	char *path = xasprintf("%s/%s", dir, name), *slash = strrchr(path, '/');

	*slash = '\0';
	assert_int_equal(sutra_mkdirs(path, 0755, NULL), 0);
	*slash = '/';
	assert_int_equal(sutra_file_write(path, text, strlen(text), 0644, NULL), 0);
	sutra_free(path);
}

static void test_repo_names(void **state)
{
	static const char *const good[] = { "a/b", "nomic-ai/nomic-embed-text-v1.5", "A_1/b.c-d" };
	static const char *const bad[] = { "", "a", "/", "a/", "/b", "a/b/c", "../b", "a/..", "a/.", "a b/c", "a/b?c",
					   "a/b#c", "a/%2e", "a\n/b" };
	char longest[200];

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		assert_true(sutra_hub_is_repo(good[i]));
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_false(sutra_hub_is_repo(bad[i]));
	memset(longest, 'x', sizeof(longest));
	longest[1] = '/';
	longest[98] = '\0';
	assert_true(sutra_hub_is_repo(longest));
	longest[98] = 'x';
	longest[99] = '\0';
	assert_false(sutra_hub_is_repo(longest));
}

static int parse(const char *json, struct sutra_hub_listing *l, struct sutra_err *err)
{
	return sutra_hub_parse(json, strlen(json), l, err);
}

static void test_listing(void **state)
{
	struct sutra_hub_listing l = { .n = 99 };
	struct sutra_err err;

	(void)state;
	assert_int_equal(parse("{" COMMIT ",\"siblings\":[{\"rfilename\":\"../x\",\"size\":-1}," SMALL "," LFS(SHA) "]}", &l,
			       &err),
			 0);
	assert_int_equal(l.n, 3);
	assert_string_equal(l.commit, "0123456789abcdef0123456789abcdef01234567");
	assert_string_equal(l.files[2].sha256, SHA);
	assert_int_equal(l.files[2].size, 9);
	assert_string_equal(l.files[0].sha256, "");
}

static void test_listing_refused(void **state)
{
	static const struct {
		const char *json;
		int code;
		const char *words;
	} rows[] = {
		{ "{", SUTRA_E_SYNTAX, "" },
		{ "[]", SUTRA_E_CORRUPT, "no commit" },
		{ "{\"sha\":\"../../x\",\"siblings\":[]}", SUTRA_E_CORRUPT, "no commit" },
		{ "{\"sha\":7,\"siblings\":[]}", SUTRA_E_INVALID, "sha" },
		{ "{" COMMIT ",\"siblings\":{}}", SUTRA_E_CORRUPT, "siblings" },
		{ "{" COMMIT ",\"siblings\":[" SMALL "]}", SUTRA_E_INVALID, "no model.safetensors" },
		{ "{" COMMIT ",\"siblings\":[" LFS(SHA) "]}", SUTRA_E_INVALID, "no config.json" },
		{ "{" COMMIT ",\"siblings\":[" SMALL "," LFS("xyz") "]}", SUTRA_E_CORRUPT, "SHA-256" },
		{ "{" COMMIT ",\"siblings\":[" SMALL ",{\"rfilename\":\"model.safetensors\",\"size\":9}]}", SUTRA_E_CORRUPT,
		  "no SHA-256" },
		{ "{" COMMIT ",\"siblings\":[{\"rfilename\":\"config.json\"}]}", SUTRA_E_CORRUPT, "size of config.json" },
		{ "{" COMMIT ",\"siblings\":[{\"rfilename\":\"config.json\",\"size\":\"9\"}]}", SUTRA_E_INVALID, "size" },
	};
	struct sutra_hub_listing l = { .n = 99 };
	struct sutra_err err;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		assert_int_equal(parse(rows[i].json, &l, &err), rows[i].code);
		assert_non_null(strstr(err.message, rows[i].words));
		assert_int_equal(l.n, 99);
	}
}

static void test_states(void **state)
{
	struct sutra_strv names = { 0 };
	struct sutra_err err;
	char *folder;

	(void)state;
	assert_int_equal(sutra_model_state("own/m"), SUTRA_MODEL_ABSENT);
	put("own/m/config.json", "{\"hidden_size\":32}");
	put("own/m/vocab.txt", "a\n");
	assert_int_equal(sutra_model_state("own/m"), SUTRA_MODEL_INCOMPLETE);
	put("own/m/model.safetensors", "x");
	put(".partial/own/n/model.safetensors", "x");
	put("all-minilm-l6-v2/config.json", "{}");
	put("all-minilm-l6-v2/vocab.txt", "a\n");
	put("all-minilm-l6-v2/model.safetensors", "x");
	assert_int_equal(sutra_model_state("own/m"), SUTRA_MODEL_PRESENT);
	/* Known, so its sizes are: by either name. */
	assert_int_equal(sutra_model_state("all-minilm-l6-v2"), SUTRA_MODEL_CHANGED);
	assert_int_equal(sutra_model_state("sentence-transformers/all-MiniLM-L6-v2"), SUTRA_MODEL_CHANGED);
	assert_int_equal(sutra_model_names(&names), 0);
	assert_int_equal(names.n, 2);
	assert_string_equal(names.items[1], "own/m");
	sutra_strv_release(&names);
	assert_int_equal(sutra_model_find(NULL, "none", &folder, &err), SUTRA_E_NOTFOUND);
	assert_non_null(strstr(err.hint, "sutra model fetch"));
	assert_non_null(strstr(err.hint, "OWNER/NAME"));
	assert_non_null(strstr(err.hint, "MODEL_PATH"));
	assert_int_equal(sutra_model_ensure("/nowhere", "all-minilm-l6-v2", NULL, &folder, &err), SUTRA_E_NOTFOUND);
	assert_int_equal(sutra_model_fetch("none", false, NULL, &err), SUTRA_E_USAGE);
}

static void test_records(void **state)
{
	/* SHA-256 of "x" and of "a\n" */
	static const char sums[] =
		"2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881  model.safetensors\n"
		"87428fc522803d31065e7bce3cf03fe475096631e5e07bbd7a0fde60c4cf25c7  vocab.txt\n";
	char *folder = xasprintf("%s/own/m", dir), *weights = xasprintf("%s/model.safetensors", folder);
	char hex[SUTRA_SHA256_HEX];
	struct sutra_err err;
	size_t files = 0;

	(void)state;
	put("own/m/model.safetensors", "x");
	put("own/m/vocab.txt", "a\n");
	assert_int_equal(sutra_model_verify("own/m", folder, &files, &err), SUTRA_E_NOTFOUND);
	assert_non_null(strstr(err.message, "SHA256SUMS"));
	put("own/m/SHA256SUMS", sums);
	assert_int_equal(sutra_model_verify("own/m", folder, &files, &err), 0);
	assert_int_equal(files, 2);
	assert_int_equal(sutra_weightsum_read(weights, hex, &err), 0);
	assert_memory_equal(hex, sums, 64);
	put("own/m/vocab.txt", "b\n");
	assert_int_equal(sutra_model_verify("own/m", folder, &files, &err), SUTRA_E_CORRUPT);
	assert_non_null(strstr(err.message, "vocab.txt"));
	put("own/m/SHA256SUMS", "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881  ../../etc/passwd\n");
	assert_int_equal(sutra_model_verify("own/m", folder, &files, &err), SUTRA_E_CORRUPT);
	assert_non_null(strstr(err.message, "line that is not"));
	sutra_free(weights);
	sutra_free(folder);
}

static void test_dimensions(void **state)
{
	static const int64_t good[] = { 64, 128, 256, 384 }, bad[] = { -1, 0, 1, 63, 257, 383, 385, 512, 1000000000 };
	struct sutra_err err;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		assert_int_equal(sutra_model_check_dimension(384, good[i], &err), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		assert_int_equal(sutra_model_check_dimension(384, bad[i], &err), SUTRA_E_SETTING);
		assert_non_null(strstr(err.message, "64, 128, 256, 384"));
	}
	assert_int_equal(sutra_model_check_dimension(32, 32, &err), 0);
}

static void test_costs(void **state)
{
	(void)state;
	/* Every step below the native width of an untrained model has its measured cost. */
	for (const struct sutra_known_model *m = sutra_known_models; m->name; m++) {
		double last = 0;

		for (const struct sutra_model_cost *c = m->costs; c->dimension; c++) {
			assert_int_equal(sutra_model_check_dimension(m->dimension, c->dimension, NULL), 0);
			assert_true(c->rank_correlation > last && c->rank_correlation < 1);
			last = c->rank_correlation;
		}
		assert_true(m->matryoshka_trained || last > 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_repo_names),
		cmocka_unit_test(test_listing),
		cmocka_unit_test(test_listing_refused),
		cmocka_unit_test_setup_teardown(test_states, setup, teardown),
		cmocka_unit_test_setup_teardown(test_records, setup, teardown),
		cmocka_unit_test(test_dimensions),
		cmocka_unit_test(test_costs),
	};

	return cmocka_run_group_tests_name("modelstore", tests, NULL, NULL);
}
