#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/str.h"
#include "load/loadreport.h"
#include "load/textsource.h"

/* A run of n requests of which request i took i ms, sent at `rate`. */
static void fill(struct sutra_load_result *t, unsigned n, double asked, double sent)
{
	*t = (struct sutra_load_result){ .sent = n, .ok = n, .asked_rate = asked, .sent_rate = sent,
					 .wall_ns = 1000000000u };
	t->response = sutra_histogram_new();
	t->service = sutra_histogram_new();
	t->lateness = sutra_histogram_new();
	for (unsigned i = 1; i <= n; i++) {
		sutra_histogram_record(t->response, i * 1000000u);
		sutra_histogram_record(t->service, i * 500000u);
		sutra_histogram_record(t->lateness, 2000000);
	}
}

static double at(const json_t *doc, const char *o, const char *key)
{
	return json_number_value(json_object_get(json_object_get(doc, o), key));
}

static void document_holds_what_was_measured(void **state)
{
	const struct sutra_load_options o = { .rate = 1000, .bucket_ms = 1000, .span_ns = 1000000000u };
	struct sutra_load_result t;
	json_t *texts = json_object(), *doc;
	struct sutra_load_run r = { .url = "http://me:hunter2@h", .asked = &o, .result = &t, .texts = texts,
				    .max_late_ns = UINT64_MAX };
	const json_t *curve;

	fill(&t, 1000, 1000, 1000);
	doc = sutra_load_document(&r, 0);
	/* Three digits. */
	assert_float_equal(at(doc, "response_ms", "p50"), 500, 0.5);
	assert_float_equal(at(doc, "response_ms", "p99"), 990, 1);
	assert_float_equal(at(doc, "service_ms", "p99"), 495, 0.5);
	assert_float_equal(at(doc, "response_ms", "max"), 1000, 1);
	assert_true(json_is_null(json_object_get(doc, "doubt")));
	assert_string_equal(json_string_value(json_object_get(doc, "url")), "http://********@h");
	curve = json_object_get(doc, "response_curve");
	assert_true(json_array_size(curve) > 70 && json_array_size(curve) < 90);
	json_decref(doc);
	json_decref(texts);
	sutra_load_result_release(&t);
}

static void doubts_are_named(void **state)
{
	const struct sutra_load_options o = { .rate = 1000, .bucket_ms = 1000 };
	struct sutra_load_result t;
	struct sutra_load_run r = { .asked = &o, .result = &t, .max_late_ns = UINT64_MAX };
	char why[400];

	fill(&t, 10, 1000, 990);
	sutra_load_doubt(&r, why, sizeof(why));
	assert_string_equal(why, "");
	r.max_late_ns = 1000000;
	sutra_load_doubt(&r, why, sizeof(why));
	assert_non_null(strstr(why, "sent late: 2.0"));
	t.sent_rate = 989;
	sutra_load_doubt(&r, why, sizeof(why));
	assert_non_null(strstr(why, "989.0/s of 1000/s"));
	t.ok = 0;
	sutra_load_doubt(&r, why, sizeof(why));
	assert_non_null(strstr(why, "no request was answered"));
	sutra_load_result_release(&t);
}

static void comparison_gives_ratios(void **state)
{
	json_t *now = json_pack("{s:f, s:i, s:{s:f}}", "ok_rate", 300.0, "failed", 0, "response_ms", "p99", 2.0);
	json_t *before = json_pack("{s:s, s:s, s:f, s:i, s:{s:f}}", "schema", "sutra.load/1", "started", "then",
				   "ok_rate", 100.0, "failed", 0, "response_ms", "p99", 8.0);
	json_t *other = json_pack("{s:s}", "schema", "sutra.validate/1");
	const json_t *figures;
	struct sutra_err err;

	assert_int_equal(sutra_load_compare(now, before, &err), 0);
	figures = json_object_get(json_object_get(now, "against"), "figures");
	assert_int_equal(json_array_size(figures), 3);
	assert_true(json_number_value(json_object_get(json_array_get(figures, 0), "ratio")) == 3.0);
	assert_true(json_is_null(json_object_get(json_array_get(figures, 1), "ratio")));
	assert_true(json_number_value(json_object_get(json_array_get(figures, 2), "ratio")) == 0.25);
	assert_int_equal(sutra_load_compare(now, other, &err), SUTRA_E_INVALID);
	json_decref(now);
	json_decref(before);
	json_decref(other);
}

static void take(struct sutra_textsource *s, const char *want)
{
	struct sutra_buf b;
	uint32_t id;

	sutra_buf_init(&b, 1 << 20);
	assert_true(sutra_textsource_next(s, &b, &id));
	if (want)
		assert_string_equal(sutra_buf_str(&b), want);
	assert_true(b.len > 0);
	sutra_buf_release(&b);
}

static void texts_come_from_where_they_should(void **state)
{
	char path[] = "/tmp/sutra-texts-XXXXXX";
	struct sutra_textsource *s;
	struct sutra_err err;
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(sutra_file_write(path, "one\r\n\ntwo", 9, 0600, &err), 0);
	assert_int_equal(sutra_textsource_file(path, &s, &err), 0);
	for (int i = 0; i < 2; i++) {
		take(s, "one");
		take(s, "two");
	}
	sutra_textsource_free(s);
	assert_int_equal(sutra_file_write(path, "a\n\xff", 3, 0600, &err), 0);
	assert_int_equal(sutra_textsource_file(path, &s, &err), SUTRA_E_INVALID);
	assert_non_null(strstr(err.message, "line 2"));
	assert_int_equal(sutra_file_write(path, "a\0b", 3, 0600, &err), 0);
	assert_int_equal(sutra_textsource_file(path, &s, &err), SUTRA_E_INVALID);
	assert_int_equal(sutra_file_write(path, "\n\n", 2, 0600, &err), 0);
	assert_int_equal(sutra_textsource_file(path, &s, &err), SUTRA_E_USAGE);
	unlink(path);
	assert_int_equal(sutra_textsource_fresh(7, &s, &err), 0);
	take(s, NULL);
	sutra_textsource_free(s);
}

static void sources_survive_every_failing_allocation(void **state)
{
	for (long n = 1;; n++) {
		struct sutra_textsource *s = NULL;
		int rc;

		sutra_alloc_fail_at(n);
		rc = sutra_textsource_zipf(&s, NULL);
		if (!sutra_alloc_failed()) {
			sutra_alloc_fail_at(0);
			assert_int_equal(rc, 0);
			take(s, NULL);
			sutra_textsource_free(s);
			break;
		}
		assert_int_equal(rc, SUTRA_E_NOMEM);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(document_holds_what_was_measured),
		cmocka_unit_test(doubts_are_named),
		cmocka_unit_test(comparison_gives_ratios),
		cmocka_unit_test(texts_come_from_where_they_should),
		cmocka_unit_test(sources_survive_every_failing_allocation),
	};

	return cmocka_run_group_tests_name("load", tests, NULL, NULL);
}
