/* lib/model: the choice of a precision, and packed weights on disk. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <math.h>

#include "base/str.h"
#include "vector/onednn.h"
#include "model_folder.h"

enum { TOKENS = 12, WIDTH = 32 };

static const uint32_t ids[TOKENS] = { 2, 5, 6, 3, 2, 6, 3, 2, 100, 101, 102, 3 }, lengths[3] = { 4, 3, 5 };

static struct sutra_model *open_as(enum sutra_precision precision, bool keep)
{
	struct sutra_model_options o = { .precision = precision, .keep = keep };
	struct sutra_model *m;
	struct sutra_err err;

	if (sutra_model_open(dir, &o, &m, &err))
		fail_msg("%s", err.message);
	return m;
}

/* Three texts, from text `from` on. */
static void embed(const struct sutra_model *m, size_t from, size_t n, float *out)
{
	struct sutra_encoder_session *s;
	struct sutra_err err;
	size_t at = 0;

	for (size_t i = 0; i < from; i++)
		at += lengths[i];
	assert_int_equal(sutra_encoder_session_new(m->encoder, 40, NULL, &s, &err), 0);
	assert_int_equal(sutra_encoder_run(s, ids + at, lengths + from, n, SUTRA_POOL_MEAN, out, &err), 0);
	sutra_encoder_session_free(s);
}

static void same_vectors(const struct sutra_model *m, const float *want)
{
	float got[3 * WIDTH];

	embed(m, 0, 3, got);
	assert_memory_equal(got, want, sizeof(got));
}

/* The path of the one file of packed weights. */
static char *packed_file(void)
{
	DIR *d = opendir(dir);
	char *path = NULL;
	struct dirent *e;

	assert_non_null(d);
	while ((e = readdir(d)))
		if (sutra_str_starts(e->d_name, "packed-")) {
			assert_null(path);
			path = sutra_asprintf("%s/%s", dir, e->d_name);
		}
	closedir(d);
	assert_non_null(path);
	return path;
}

static void names_are_known(void **state)
{
	enum sutra_precision p;

	assert_true(sutra_precision_parse("auto", &p) && p == SUTRA_AUTO);
	assert_true(sutra_precision_parse("fp32", &p) && p == SUTRA_FP32);
	assert_true(sutra_precision_parse("bf16", &p) && p == SUTRA_BF16);
	assert_true(sutra_precision_parse("int8", &p) && p == SUTRA_INT8);
	assert_false(sutra_precision_parse("int4", &p));
}

static void int8_is_near_and_does_not_know_its_batch(void **state)
{
	struct sutra_model *exact = open_as(SUTRA_FP32, false), *m = open_as(SUTRA_INT8, false);
	float want[3 * WIDTH], got[3 * WIDTH], alone[WIDTH];

	embed(exact, 0, 3, want);
	embed(m, 0, 3, got);
	for (size_t t = 0; t < 3; t++) {
		double dot = 0, a = 0, b = 0;

		for (size_t i = t * WIDTH; i < (t + 1) * WIDTH; i++) {
			dot += (double)want[i] * (double)got[i];
			a += (double)want[i] * (double)want[i];
			b += (double)got[i] * (double)got[i];
		}
		assert_true(dot / sqrt(a * b) > 0.98);
		embed(m, t, 1, alone);
		assert_memory_equal(alone, got + t * WIDTH, sizeof(alone));
	}
	assert_true(m->precision.cosine_min < 1 && m->precision.cosine_mean >= m->precision.cosine_min);
	assert_true(exact->precision.cosine_min == 1);
	assert_string_not_equal(m->fingerprint, exact->fingerprint);
	sutra_model_close(exact);
	sutra_model_close(m);
}

static void auto_takes_what_is_near_enough(void **state)
{
	struct sutra_model *m = open_as(SUTRA_AUTO, false), *int8 = open_as(SUTRA_INT8, false);
	const struct sutra_precision_report *r = &m->precision;

	assert_true(r->cosine_min >= SUTRA_PRECISION_FLOOR);
	if (sutra_onednn_is_native(SUTRA_INT8) &&
	    int8->precision.cosine_min >= SUTRA_PRECISION_FLOOR)
		assert_int_equal(r->precision, SUTRA_INT8);
	else if (!sutra_onednn_is_native(SUTRA_BF16))
		assert_int_equal(r->precision, SUTRA_FP32);
	assert_non_null(strstr(r->why, "int8"));
	sutra_model_close(int8);
	sutra_model_close(m);
}

static void auto_refuses_what_is_too_far(void **state)
{
	struct sutra_model_options o = { .precision = SUTRA_AUTO, .floor = 0.99999999, .keep = true };
	struct sutra_model *m;
	struct sutra_err err;

	for (int i = 0; i < 2; i++) {	/* measured, then remembered */
		assert_int_equal(sutra_model_open(dir, &o, &m, &err), 0);
		assert_int_equal(m->precision.precision, SUTRA_FP32);
		if (sutra_onednn_is_native(SUTRA_INT8))
			assert_non_null(strstr(m->precision.why, "below 1.000"));
		sutra_model_close(m);
	}
}

static void bf16_needs_a_processor_for_it(void **state)
{
	struct sutra_model_options o = { .precision = SUTRA_BF16 };
	struct sutra_model *m = NULL;
	struct sutra_err err;
	int rc = sutra_model_open(dir, &o, &m, &err);

	if (sutra_onednn_is_native(SUTRA_BF16)) {
		assert_int_equal(rc, 0);
		assert_true(m->precision.cosine_min > 0.999);
	} else {
		assert_int_equal(rc, SUTRA_E_INVALID);
		assert_non_null(strstr(err.message, "no instructions for bf16"));
	}
	sutra_model_close(m);
}

static void kept_weights_give_the_same_bits(void **state)
{
	static const enum sutra_precision each[] = { SUTRA_FP32, SUTRA_INT8 };

	for (size_t i = 0; i < 2; i++) {
		struct sutra_model *made = open_as(each[i], false), *kept = open_as(each[i], true),
				   *again = open_as(each[i], true);
		float want[3 * WIDTH];
		char *path = packed_file();
		struct sutra_err err;

		embed(made, 0, 3, want);
		same_vectors(kept, want);
		same_vectors(again, want);
		assert_false(made->precision.mapped);
		assert_true(kept->precision.mapped && again->precision.mapped);
		assert_true(again->precision.cosine_min == made->precision.cosine_min);
		assert_string_equal(again->fingerprint, made->fingerprint);
		sutra_model_close(made);
		sutra_model_close(kept);
		sutra_model_close(again);
		assert_int_equal(sutra_remove_tree(path, &err), 0);
		sutra_free(path);
	}
}

/* Whatever byte is changed, and wherever the file ends: the vectors are right, and the file too, then. */
static void damaged_files_are_made_again(void **state)
{
	struct sutra_model *m = open_as(SUTRA_INT8, true);
	char *path = packed_file(), *whole, *now;
	float want[3 * WIDTH];
	struct sutra_err err;
	size_t n, m_len;

	embed(m, 0, 3, want);
	sutra_model_close(m);
	assert_int_equal(sutra_file_read(path, 1 << 24, &whole, &n, &err), 0);
	for (size_t at = 0; at < n; at += at < 80 ? 1 : 4099) {
		bool pad = at >= 80 && at < 4096;	/* the rest of the header says nothing */

		whole[at] ^= 0x10;
		assert_int_equal(sutra_file_write(path, whole, at % 3 || pad ? n : at, 0644, &err), 0);
		whole[at] ^= 0x10;
		m = open_as(SUTRA_INT8, true);
		same_vectors(m, want);
		sutra_model_close(m);
		assert_int_equal(sutra_file_read(path, 1 << 24, &now, &m_len, &err), 0);
		assert_int_equal(m_len, n);
		assert_memory_equal(now, whole, pad ? 80 : n);
		sutra_free(now);
	}
	sutra_free(whole);
	sutra_free(path);
}

static void other_weights_are_packed_again(void **state)
{
	struct sutra_model *m = open_as(SUTRA_INT8, true);
	float before[3 * WIDTH], want[3 * WIDTH];
	struct sutra_buf b;

	embed(m, 0, 3, before);
	sutra_model_close(m);
	tiny_weights(&tiny_default, &b);
	for (size_t i = b.len - 8192; i < b.len; i += 4)	/* the last layer's signs */
		b.data[i + 3] ^= (char)0x80;
	put("model.safetensors", b.data, b.len);
	sutra_buf_release(&b);
	m = open_as(SUTRA_INT8, false);
	embed(m, 0, 3, want);
	sutra_model_close(m);
	assert_memory_not_equal(before, want, sizeof(want));
	for (int i = 0; i < 2; i++) {
		m = open_as(SUTRA_INT8, true);
		same_vectors(m, want);
		sutra_model_close(m);
	}
}

/* A new file takes the place of those that only another version of this program can have made for the
 * same oneDNN and processor; who has one mapped keeps it. */
static void what_other_versions_packed_goes(void **state)
{
	struct sutra_model *m = open_as(SUTRA_INT8, true);
	char *path = packed_file(), onednn[SUTRA_ONEDNN_LAYOUT_MAX], names[6][80], older[128];
	float want[3 * WIDTH];

	sutra_onednn_layout(onednn);
	snprintf(names[0], sizeof(names[0]), "packed-int8-%s-older.bin", onednn);
	snprintf(names[1], sizeof(names[1]), "packed-int8-%s0.bin", onednn);	/* another processor's */
	snprintf(names[2], sizeof(names[2]), "packed-int8-onednn-0.1.0-isa-67.bin");
	snprintf(names[3], sizeof(names[3]), "packed-fp32-%s-older.bin", onednn);
	snprintf(names[4], sizeof(names[4]), "packed-int8-%s-older.bin.txt", onednn);
	snprintf(names[5], sizeof(names[5]), "packed-int8-%s%s.bin", onednn,
		 strstr(path, "-panels.bin") ? "" : "-panels");
	snprintf(older, sizeof(older), "%s/%s", dir, names[0]);
	assert_int_equal(rename(path, older), 0);
	for (size_t i = 1; i < 6; i++)
		puts_in(names[i], "x");
	embed(m, 0, 3, want);
	for (int i = 0; i < 2; i++) {	/* one writes its file, one finds it there and touches nothing */
		struct sutra_model *other = open_as(SUTRA_INT8, true);

		assert_true(other->precision.mapped);
		same_vectors(other, want);
		same_vectors(m, want);
		sutra_model_close(other);
		assert_int_equal(sutra_is_file(path), true);
		for (size_t j = 0; j < 6; j++) {
			char at[128];

			snprintf(at, sizeof(at), "%s/%s", dir, names[j]);
			assert_int_equal(sutra_is_file(at), i || (j > 0 && j < 5));
		}
		puts_in(names[0], "x");
		puts_in(names[5], "x");
	}
	sutra_model_close(m);
	sutra_free(path);
}

static void what_cannot_be_kept_still_runs(void **state)
{
	struct sutra_model *m = open_as(SUTRA_INT8, true);
	char *path = packed_file(), *below;
	float want[3 * WIDTH];
	struct sutra_err err;

	embed(m, 0, 3, want);
	sutra_model_close(m);
	assert_int_equal(sutra_remove_tree(path, &err), 0);
	below = sutra_asprintf("%s/in-the-way", path);	/* a folder cannot be replaced by a file */
	assert_int_equal(sutra_mkdirs(below, 0755, &err), 0);
	m = open_as(SUTRA_INT8, true);
	same_vectors(m, want);
	assert_false(m->precision.mapped);
	assert_non_null(strstr(m->precision.unkept, path));
	sutra_model_close(m);
	sutra_free(below);
	sutra_free(path);
}

static void every_failing_allocation_is_reported(void **state)
{
	open_with_failing_allocations(&(struct sutra_model_options){ .precision = SUTRA_AUTO, .keep = true });
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_known),
		FOLDER_TEST(int8_is_near_and_does_not_know_its_batch),
		FOLDER_TEST(auto_takes_what_is_near_enough),
		FOLDER_TEST(auto_refuses_what_is_too_far),
		FOLDER_TEST(bf16_needs_a_processor_for_it),
		FOLDER_TEST(kept_weights_give_the_same_bits),
		FOLDER_TEST(damaged_files_are_made_again),
		FOLDER_TEST(other_weights_are_packed_again),
		FOLDER_TEST(what_other_versions_packed_goes),
		FOLDER_TEST(what_cannot_be_kept_still_runs),
		FOLDER_TEST(every_failing_allocation_is_reported),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
