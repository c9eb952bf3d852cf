/* lib/model: weight files, good and hostile, and the remembered digest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "model/safetensors.h"
#include "base/weightsum.h"

/* The bytes of a file with that header and `data` bytes of data. */
static void make(struct sutra_buf *b, const char *header, const void *data, size_t n)
{
	uint64_t len = strlen(header);

	sutra_buf_init(b, 1 << 20);
	for (int i = 0; i < 8; i++)
		sutra_buf_addc(b, (char)(len >> 8 * i));
	sutra_buf_adds(b, header);
	sutra_buf_add(b, data, n);
}

static void numbers_of_every_dtype_are_read(void **state)
{
	static const unsigned char data[] = {
		0, 0, 0x80, 0x3F, 0, 0, 0x20, 0xC1,	/* F32: 1, -10 */
		0, 0x3C, 0, 0xC9, 1, 0, 0xFF, 0x7B,	/* F16: 1, -10, smallest, largest */
		0, 0x7C, 0, 0x80,			/* F16: infinity, -0 */
		0x80, 0x3F, 0x20, 0xC1,			/* BF16: 1, -10 */
		9, 0, 0, 0, 0, 0, 0, 0,			/* I64: 9 */
	};
	static const char header[] =
		"{\"__metadata__\":{\"format\":\"pt\"},"
		"\"w\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":[0,8]},"
		"\"h\":{\"dtype\":\"F16\",\"shape\":[6],\"data_offsets\":[8,20]},"
		"\"b\":{\"dtype\":\"BF16\",\"shape\":[2],\"data_offsets\":[20,24]},"
		"\"i\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[24,32]},"
		"\"empty\":{\"dtype\":\"F32\",\"shape\":[0,5],\"data_offsets\":[32,32]}}  ";
	struct sutra_safetensors *st;
	const struct sutra_tensor *t;
	struct sutra_buf b;
	struct sutra_err err;
	float v[6];

	make(&b, header, data, sizeof(data));
	assert_int_equal(sutra_safetensors_parse(b.data, b.len, &st, &err), 0);
	assert_int_equal(sutra_safetensors_count(st), 5);
	assert_string_equal(sutra_safetensors_at(st, 0)->name, "b");
	assert_null(sutra_safetensors_find(st, "__metadata__"));
	t = sutra_safetensors_find(st, "w");
	assert_int_equal(t->dims, 2);
	sutra_tensor_read(t, 0, 2, v);
	assert_true(v[0] == 1 && v[1] == -10);
	sutra_tensor_read(sutra_safetensors_find(st, "h"), 0, 6, v);
	assert_true(v[0] == 1 && v[1] == -10 && v[2] == 0x1p-24f && v[3] == 65504);
	assert_true(isinf(v[4]) && v[5] == 0 && signbit(v[5]));
	sutra_tensor_read(sutra_safetensors_find(st, "h"), 3, 1, v);
	assert_true(v[0] == 65504);
	sutra_tensor_read(sutra_safetensors_find(st, "b"), 0, 2, v);
	assert_true(v[0] == 1 && v[1] == -10);
	assert_int_equal(sutra_safetensors_find(st, "i")->dtype, SUTRA_DTYPE_OTHER);
	sutra_safetensors_free(st);
	sutra_buf_release(&b);
}

#define T(name, dtype, shape, from, to) \
	"\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" #from "," #to "]}"

static void hostile_headers_are_refused_by_name(void **state)
{
	static const struct { const char *header, *word; } bad[] = {
		{ "", "JSON" },
		{ "[]", "an array" },
		{ "{\"a\":1}", "dtype" },
		{ "{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}", "dtype" },
		{ "{" T("a", "F32", "[4]", 0, 20) "}", "outside" },
		{ "{" T("a", "F32", "[4]", 16, 0) "}", "outside" },
		{ "{" T("a", "F32", "[3]", 0, 16) "}", "fit" },
		{ "{" T("a", "F32", "[-1]", 0, 16) "}", "shape" },
		{ "{" T("a", "F32", "[1.5]", 0, 16) "}", "shape" },
		{ "{" T("a", "F32", "4", 0, 16) "}", "shape" },
		{ "{" T("a", "F32", "[1,1,1,1,1,1,1,1,4]", 0, 16) "}", "shape" },
		{ "{" T("a", "F32", "[4294967296,4294967296,4]", 0, 16) "}", "shape" },
		{ "{" T("a", "F32", "[4611686018427387905]", 0, 4) "}", "fit" },
		{ "{" T("a", "F32", "[3]", 0, 12) "}", "belong to no tensor" },
		{ "{" T("a", "F32", "[3]", 0, 12) "," T("b", "F32", "[2]", 8, 16) "}", "overlaps" },
		{ "{" T("a", "F32", "[1]", 0, 4) "," T("b", "F32", "[2]", 8, 16) "}", "hole" },
		{ "{" T("a", "F32", "[4]", 0, 16) "," T("b", "F32", "[4]", 0, 16) "}", "overlaps" },
		{ "{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0]}}", "two numbers" },
		{ "{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":{}}}", "two numbers" },
		{ "{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,\"16\"]}}", "two numbers" },
	};
	static const char data[16];
	struct sutra_safetensors *st = NULL;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct sutra_buf b;
		struct sutra_err err;

		make(&b, bad[i].header, data, sizeof(data));
		assert_int_equal(sutra_safetensors_parse(b.data, b.len, &st, &err), SUTRA_E_CORRUPT);
		if (!strstr(err.message, bad[i].word))
			fail_msg("\"%s\" does not say \"%s\" (%s)", err.message, bad[i].word, bad[i].header);
		sutra_buf_release(&b);
	}
	assert_null(st);
}

static void every_truncation_is_refused(void **state)
{
	static const char data[16];
	struct sutra_safetensors *st = NULL;
	struct sutra_buf b;
	struct sutra_err err;

	make(&b, "{" T("a", "F32", "[4]", 0, 16) "}", data, sizeof(data));
	for (size_t n = 0; n < b.len; n++) {
		char *exact = sutra_memdup(b.data, n);

		assert_int_equal(sutra_safetensors_parse(exact, n, &st, &err), SUTRA_E_CORRUPT);
		sutra_free(exact);
	}
	memset(b.data, 0xFF, 8);	/* a header of 2^64 - 1 bytes */
	assert_int_equal(sutra_safetensors_parse(b.data, b.len, &st, &err), SUTRA_E_CORRUPT);
	assert_null(st);
	sutra_buf_release(&b);
}

static void every_failing_allocation_is_reported(void **state)
{
	static const char data[16];
	struct sutra_safetensors *st = NULL;
	struct sutra_buf b;
	struct sutra_err err;
	long n = 0;
	int rc;

	make(&b, "{" T("a", "F32", "[4]", 0, 16) "}", data, sizeof(data));
	do {
		sutra_alloc_fail_at(++n);
		rc = sutra_safetensors_parse(b.data, b.len, &st, &err);
		assert_true(!rc || rc == SUTRA_E_NOMEM);
	} while (sutra_alloc_failed());
	sutra_alloc_fail_at(0);
	assert_true(n > 1);
	sutra_safetensors_free(st);
	sutra_buf_release(&b);
}

static void files_are_mapped_or_named(void **state)
{
	char dir[] = "/tmp/sutra-test-XXXXXX", path[64];
	static const char data[16];
	struct sutra_safetensors *st;
	struct sutra_buf b;
	struct sutra_err err;

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/model.safetensors", dir);
	assert_int_equal(sutra_safetensors_open(path, &st, &err), SUTRA_E_NOTFOUND);
	assert_int_equal(sutra_safetensors_open(dir, &st, &err), SUTRA_E_IO);
	make(&b, "{" T("a", "F32", "[4]", 0, 16) "}", data, sizeof(data));
	assert_int_equal(sutra_file_write(path, b.data, b.len - 1, 0644, &err), 0);
	assert_int_equal(sutra_safetensors_open(path, &st, &err), SUTRA_E_CORRUPT);
	assert_non_null(strstr(err.message, path));
	assert_int_equal(sutra_file_write(path, "", 0, 0644, &err), 0);
	assert_int_equal(sutra_safetensors_open(path, &st, &err), SUTRA_E_CORRUPT);
	assert_int_equal(sutra_file_write(path, b.data, b.len, 0644, &err), 0);
	assert_int_equal(sutra_safetensors_open(path, &st, &err), 0);
	sutra_safetensors_drop_pages(st);
	assert_int_equal(sutra_safetensors_find(st, "a")->data[15], 0);
	sutra_safetensors_free(st);
	sutra_buf_release(&b);
	assert_int_equal(sutra_remove_tree(dir, &err), 0);
}

static void digest_is_remembered_until_the_file_changes(void **state)
{
	char dir[] = "/tmp/sutra-test-XXXXXX", path[64], record[64], hex[SUTRA_SHA256_HEX];
	static const char forged[] =
		"0000000000000000000000000000000000000000000000000000000000000001";
	struct sutra_err err;

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/model.safetensors", dir);
	snprintf(record, sizeof(record), "%s/model.sha256", dir);
	assert_int_equal(sutra_weightsum(path, hex, &err), SUTRA_E_NOTFOUND);
	assert_int_equal(sutra_file_write(path, "abc", 3, 0644, &err), 0);
	assert_int_equal(sutra_weightsum_read(path, hex, &err), SUTRA_E_NOTFOUND);
	assert_int_equal(sutra_weightsum(path, hex, &err), 0);
	assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	assert_true(sutra_is_file(record));
	/* what is remembered is believed ... */
	assert_int_equal(sutra_weightsum_write(path, forged, &err), 0);
	assert_int_equal(sutra_weightsum(path, hex, &err), 0);
	assert_string_equal(hex, forged);
	/* ... until size or time differ, or the record is no record */
	assert_int_equal(sutra_file_write(path, "abcd", 4, 0644, &err), 0);
	assert_int_equal(sutra_weightsum_read(path, hex, &err), SUTRA_E_NOTFOUND);
	assert_int_equal(sutra_file_write(record, "garbage", 7, 0644, &err), 0);
	assert_int_equal(sutra_weightsum(path, hex, &err), 0);
	assert_memory_equal(hex, "88d4266fd4e6338d", 16);
	assert_int_equal(sutra_remove_tree(dir, &err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_of_every_dtype_are_read),
		cmocka_unit_test(hostile_headers_are_refused_by_name),
		cmocka_unit_test(every_truncation_is_refused),
		cmocka_unit_test(every_failing_allocation_is_reported),
		cmocka_unit_test(files_are_mapped_or_named),
		cmocka_unit_test(digest_is_remembered_until_the_file_changes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
