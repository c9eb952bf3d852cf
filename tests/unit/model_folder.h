/*
 * model_folder - for tests: a folder with a tiny model (model_files.h) that tests may change; made and
 * removed around each.
 */
#ifndef SUTRA_TESTS_MODEL_FOLDER_H
#define SUTRA_TESTS_MODEL_FOLDER_H

#include "model_files.h"

static char dir[32];

static inline void put(const char *name, const void *data, size_t n)
{
	char path[128];
	struct sutra_err err;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_int_equal(sutra_file_write(path, data, n, 0644, &err), 0);
}

static inline void puts_in(const char *name, const char *text) { put(name, text, strlen(text)); }

static inline void drop(const char *name)
{
	char path[128];
	struct sutra_err err;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_int_equal(sutra_remove_tree(path, &err), 0);
}

static inline int make_folder(void **state)
{
	struct sutra_buf b;
	char path[64];
	struct sutra_err err;

	strcpy(dir, "/tmp/sutra-test-XXXXXX");
	assert_non_null(mkdtemp(dir));
	tiny_weights(&tiny_default, &b);
	put("model.safetensors", b.data, b.len);
	sutra_buf_release(&b);
	tiny_config(&tiny_default, &b);
	put("config.json", b.data, b.len);
	sutra_buf_release(&b);
	puts_in("vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nhello\nworld\n");
	snprintf(path, sizeof(path), "%s/1_Pooling", dir);
	return sutra_mkdirs(path, 0755, &err);
}

static inline int remove_folder(void **state)
{
	struct sutra_err err;

	return sutra_remove_tree(dir, &err);
}

/* Opens the folder's model with the first, the second, ... allocation failing, until none does. */
static inline void open_with_failing_allocations(const struct sutra_model_options *options)
{
	struct sutra_model *m = NULL;
	struct sutra_err err;
	long n = 0;
	int rc;

	do {
		sutra_alloc_fail_at(++n);
		rc = sutra_model_open(dir, options, &m, &err);
		if (rc)
			assert_int_equal(rc, SUTRA_E_NOMEM);
		else if (sutra_alloc_failed())	/* only something was not remembered */
			sutra_model_close(m);
	} while (sutra_alloc_failed());
	sutra_alloc_fail_at(0);
	sutra_model_close(m);
}

#define FOLDER_TEST(f) cmocka_unit_test_setup_teardown(f, make_folder, remove_folder)

#endif
