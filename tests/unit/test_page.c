/* The page loads nothing, escapes what it is given, and draws what is there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "base/jsonio.h"
#include "report/svg_chart.h"
#include "report/page.h"

enum { MAX_PAGE = 16 << 20 };

static void loads_nothing(const struct sutra_buf *b)
{
	static const char *const ways[] = { "<script", "src=", "href=", "url(", "@import", "<link", "<img", "<iframe",
					    "onload", "NaN", "nan", "inf\"" };

	for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++)
		if (strstr(sutra_buf_str(b), ways[i]))
			fail_msg("the page holds %s", ways[i]);
	assert_non_null(strstr(sutra_buf_str(b), "default-src 'none'"));
	assert_non_null(strstr(sutra_buf_str(b), "prefers-color-scheme:dark"));
	assert_non_null(strstr(sutra_buf_str(b), "</html>"));
}

static void page_of(json_t *doc, struct sutra_buf *b)
{
	struct sutra_err err;

	assert_non_null(doc);
	sutra_buf_init(b, MAX_PAGE);
	assert_int_equal(sutra_page_add(doc, b, &err), 0);
	json_decref(doc);
	loads_nothing(b);
}

static json_t *rows(int n)
{
	json_t *list = json_array();

	for (int i = 0; i < n; i++)
		json_array_append_new(list, json_pack("{s:i, s:i, s:i, s:i, s:f, s:f, s:f, s:i}", "t_ms", i * 1000, "sent", 10,
						      "ok", 9, "failed", 1, "p50_ms", 1.0, "p99_ms", 2.0, "max_ms",
						      3.0, "retried", 1));
	return list;
}

static void a_load_is_drawn(void **state)
{
	json_t *doc = json_pack("{s:s, s:s, s:{s:f, s:i}, s:i, s:i, s:o, s:[[f, f], [f, f]], s:{s:f}}", "schema",
				"sutra.load/1", "loop", "open", "asked", "rate", 10.0, "interval_ms", 1000, "sent", 50,
				"failed", 5, "timeline", rows(5), "response_curve", 0.0, 1.0, 0.9, 2.0, "response_ms",
				"p99", 2.0);
	struct sutra_buf b;

	page_of(doc, &b);
	assert_non_null(strstr(sutra_buf_str(&b), "requests failed"));
	assert_non_null(strstr(sutra_buf_str(&b), "<path class=\"s2\" d=\"M"));
	sutra_buf_release(&b);
}

/* Ten thousand rows: one point a column. */
static void long_runs_stay_small(void **state)
{
	struct sutra_buf b;
	const char *path;

	page_of(json_pack("{s:s, s:o}", "schema", "sutra.validate/1", "results",
			  json_pack("[{s:s, s:o}]", "title", "long", "timeline", rows(10000))), &b);
	path = strstr(sutra_buf_str(&b), "<path class=\"s5\"");
	assert_non_null(path);
	assert_true(strcspn(path, ">") < 14 * 700);
	sutra_buf_release(&b);
}

static void hostile_words_stay_words(void **state)
{
	static const char evil[] = "<script>alert(1)</script>\"'&\x01\u202e";
	struct sutra_buf b;

	page_of(json_pack("{s:s, s:s, s:s, s:s, s:i, s:{s:{s:s}}}", "schema", "sutra.load/1", "url", evil, "doubt", evil,
			  "first_failure", evil, "failed", 1, "asked", "texts", "source", evil), &b);
	assert_non_null(strstr(sutra_buf_str(&b), "&lt;script&gt;"));
	assert_non_null(strstr(sutra_buf_str(&b), "\\x01\\u202e"));
	assert_null(strstr(sutra_buf_str(&b), "\u202e"));
	sutra_buf_release(&b);
	page_of(json_pack("{s:s, s:[{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:[{s:s, s:s, s:f, s:f}]}]}", "schema",
			  "sutra.validate/1", "results", "status", evil, "title", evil, "found", evil, "reason", evil, "hint",
			  evil, "evidence", evil, "expected", evil, "timeline", rows(2), "values", "name", evil, "unit",
			  evil, "found", 1.0, "target", 2.0), &b);
	sutra_buf_release(&b);
	page_of(json_pack("{s:s, s:[{s:s}]}", "schema", "sutra.cache-stats/1", "gateways", "url", evil), &b);
	sutra_buf_release(&b);
}

/* Documents whose members are of another type, or absent. */
static void strange_documents_do_no_harm(void **state)
{
	static const char *const schemas[] = { "sutra.load/1", "sutra.validate/1", "sutra.cache-stats/1" };
	struct sutra_buf b;
	struct sutra_err err;
	json_t *doc;

	for (size_t i = 0; i < 3; i++) {
		page_of(json_pack("{s:s}", "schema", schemas[i]), &b);
		sutra_buf_release(&b);
		page_of(json_pack("{s:s, s:i, s:s, s:[i, s, n], s:[i], s:[i, {s:s}], s:[i, [], {}], s:{s:i}, s:[i, []]}",
				  "schema", schemas[i], "url", 3, "asked", "x", "timeline", 1, "x", "results", 1, "history",
				  1, "t", "x", "gateways", 1, "l1", "hits", -1, "response_curve", 1), &b);
		sutra_buf_release(&b);
	}
	sutra_buf_init(&b, MAX_PAGE);
	doc = json_pack("{s:s}", "schema", "sutra.status/1");
	assert_int_equal(sutra_page_add(doc, &b, &err), SUTRA_E_INVALID);
	json_decref(doc);
	sutra_buf_release(&b);
}

static void a_day_of_the_cache_is_drawn(void **state)
{
	json_t *history = json_array();
	struct sutra_buf b;

	for (int i = 0; i < 1440; i++)
		json_array_append_new(history, json_pack("{s:i, s:i, s:i, s:i}", "t", 1763683200 + 60 * i, "l1", i % 50, "l2",
							 5, "miss", i % 7));
	page_of(json_pack("{s:s, s:b, s:o}", "schema", "sutra.cache-stats/1", "enabled", 1, "history", history), &b);
	assert_non_null(strstr(sutra_buf_str(&b), ">04:00<"));
	assert_non_null(strstr(sutra_buf_str(&b), "<path class=\"a0\" d=\"M"));
	sutra_buf_release(&b);
}

/* Times and numbers that no calendar and no step of an axis can follow. */
static void far_away_numbers_are_drawn(void **state)
{
	static const double times[][2] = { { 1e18, 1e18 }, { 0, 1e18 }, { 1e18, 1e18 + 128 }, { -1e18, 1e18 }, { 1e300, 1e301 },
					   { -1e308, 1e308 }, { 253402300799.0, 253402300800.0 } };
	struct sutra_buf b;

	for (size_t i = 0; i < sizeof(times) / sizeof(*times); i++) {
		json_t *history = json_array(), *rows_ = json_array();

		for (size_t k = 0; k < 2; k++) {
			json_array_append_new(history, json_pack("{s:f, s:f, s:f, s:f}", "t", times[i][k], "l1", times[i][k],
								 "l2", 1e308, "miss", 1e308));
			json_array_append_new(rows_, json_pack("{s:f, s:f, s:f, s:f, s:f}", "t_ms", times[i][k], "sent",
							       times[i][k], "ok", 1e308, "failed", 1e18, "p50_ms", 1e300));
		}
		page_of(json_pack("{s:s, s:b, s:o}", "schema", "sutra.cache-stats/1", "enabled", 1, "history", history), &b);
		sutra_buf_release(&b);
		page_of(json_pack("{s:s, s:o}", "schema", "sutra.load/1", "timeline", rows_), &b);
		sutra_buf_release(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_load_is_drawn),
		cmocka_unit_test(long_runs_stay_small),
		cmocka_unit_test(hostile_words_stay_words),
		cmocka_unit_test(strange_documents_do_no_harm),
		cmocka_unit_test(a_day_of_the_cache_is_drawn),
		cmocka_unit_test(far_away_numbers_are_drawn),
	};

	return cmocka_run_group_tests_name("page", tests, NULL, NULL);
}
