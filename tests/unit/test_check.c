/* lib/check: the suite loader's errors, the workload and its exact simulation, the reports. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/jsonio.h"
#include "load/ask.h"
#include "check/check.h"
#include "check/pass.h"
#include "report/compare.h"
#include "load/load.h"
#include "probe/promtext.h"
#include "report/report.h"
#include "check/suite.h"
#include "load/workload.h"
#include "net/port.h"

#define CHECK(fields) "{\"schema\":\"sutra.suite/1\",\"suite\":\"s\",\"title\":\"T\",\"phase\":1,\"checks\":[" fields "]}"
#define WARM "{\"id\":\"a\",\"title\":\"t\",\"kind\":\"warm_pass\"}"

static const struct {
	const char *json, *message, *hint;
} bad_suites[] = {
	{ "[", "malformed JSON", "" },
	{ "[]", "must be an object, not an array", "" },
	{ "{\"schema\":\"sutra.suite/2\"}", "this program reads sutra.suite/1", "" },
	{ "{\"schema\":\"sutra.suite/1\",\"titel\":\"x\"}", "unknown field \"titel\"", "did you mean \"title\"?" },
	{ CHECK(""), "\"checks\" must be an array", "" },
	{ CHECK("7"), "checks[0]: must be an object, not an integer", "" },
	{ CHECK("{\"title\":\"t\"}"), "checks[0]: field \"id\" is missing", "" },
	{ CHECK("{\"id\":\"a\",\"title\":\"t\"}"), "checks[0] (a): field \"kind\" is missing", "" },
	{ CHECK("{\"id\":\"a\",\"title\":\"t\",\"kind\":\"warmpass\"}"), "unknown kind \"warmpass\"",
	  "did you mean \"warm_pass\"?" },
	{ CHECK("{\"id\":\"a\",\"title\":7,\"kind\":\"warm_pass\"}"), "\"title\" must be a string", "" },
	{ CHECK(WARM "," WARM), "checks[1] (a): checks[0] has the same id", "" },
	{ CHECK("{\"id\":\"a\",\"title\":\"t\",\"kind\":\"cold_pass\",\"params\":{\"text\":3}}"),
	  "unknown parameter \"text\"", "did you mean \"texts\"?" },
	{ CHECK("{\"id\":\"a\",\"title\":\"t\",\"kind\":\"cold_pass\",\"params\":{\"texts\":0}}"),
	  "parameter \"texts\" is 0; allowed are whole numbers from 1 to 2000", "" },
	{ CHECK("{\"id\":\"a\",\"title\":\"t\",\"kind\":\"cold_pass\",\"params\":{\"texts\":1.5}}"),
	  "parameter \"texts\" is 1.5", "" },
	{ CHECK("{\"id\":\"a\",\"title\":\"t\",\"kind\":\"warm_pass\",\"expect\":{\"fast\":{}}}"),
	  "unknown value \"fast\"", "did you mean \"faster\"?" },
	{ CHECK("{\"id\":\"a\",\"title\":\"t\",\"kind\":\"warm_pass\",\"expect\":{\"faster\":{\"min\":2,\"max\":1}}}"),
	  "expect.faster: min 2 is above max 1", "" },
	{ CHECK("{\"id\":\"a\",\"title\":\"t\",\"kind\":\"warm_pass\",\"attempts\":9}"),
	  "\"attempts\" is 9; allowed are 1 to 5", "" },
	{ CHECK("{\"id\":\"a\",\"title\":\"t\",\"kind\":\"warm_pass\",\"needs\":[\"b\"]}"),
	  "\"needs\" names b, which no earlier check is called", "" },
	{ CHECK("{\"id\":\"a\",\"title\":\"t\",\"kind\":\"warm_pass\",\"service\":\"b\"}"),
	  "a check of kind warm_pass is about no single \"service\"", "" },
	{ CHECK("{\"id\":\"a\",\"title\":\"t\",\"kind\":\"healthy\",\"service\":7}"), "\"service\" must be a string", "" },
};

static void bad_suites_are_named(void **state)
{
	for (size_t i = 0; i < sizeof(bad_suites) / sizeof(*bad_suites); i++) {
		struct sutra_suite *s = NULL;
		struct sutra_err err = { 0 };

		assert_true(sutra_suite_parse(bad_suites[i].json, strlen(bad_suites[i].json), &s, &err) < 0);
		assert_null(s);
		if (!strstr(err.message, bad_suites[i].message))
			fail_msg("suite %zu: \"%s\" lacks \"%s\"", i, err.message, bad_suites[i].message);
		assert_string_equal(err.hint, bad_suites[i].hint);
	}
}

static void shipped_suites_load(void **state)
{
	static const struct {
		const char *name;
		int phase;
		size_t n;
	} shipped[] = { { "phase-0", 0, 6 },   { "phase-1", 1, 8 },  { "phase-2", 2, 5 },
			{ "failover", 2, 7 }, { "smoke", 10, 9 }, { "checklist", 11, 33 } };

	for (size_t i = 0; i < sizeof(shipped) / sizeof(*shipped); i++) {
		struct sutra_suite *s;
		struct sutra_err err;
		char path[64];

		snprintf(path, sizeof(path), "validate/%s.json", shipped[i].name);
		if (sutra_suite_read(path, &s, &err))
			fail_msg("%s", err.message);
		assert_int_equal(s->phase, shipped[i].phase);
		assert_int_equal(s->n, shipped[i].n);
		sutra_suite_free(s);
	}
}

static void prometheus_text_is_told_from_other(void **state)
{
	static const char good[] = "# HELP a x\na 1\nb{l=\"}\\\"x\",version=\"2.6\"} 1.5e3 170\n\nc{} +Inf\r\nab 7";
	static const char *const bad[] = { "<html>", "a", "a b", "a{l=x} 1", "a{l=\"x} 1", "1a 1", "a 1 x", "a \n1",
					   "a{l=\"x\"}1" };
	struct sutra_err err;
	size_t n = 0;
	char v[8];

	assert_int_equal(sutra_promtext_check(good, &n, &err), 0);
	assert_int_equal(n, 4);
	assert_true(sutra_promtext_value(good, "a") == 1);
	assert_true(sutra_promtext_value(good, "b") == 1500);
	assert_true(sutra_promtext_value(good, "ab") == 7);
	assert_true(sutra_promtext_value(good, "l") == -1);
	assert_true(sutra_promtext_label(good, "b", "version", v, sizeof(v)));
	assert_string_equal(v, "2.6");
	assert_false(sutra_promtext_label(good, "a", "version", v, sizeof(v)));
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		if (sutra_promtext_check(bad[i], &n, &err) != SUTRA_E_SYNTAX)
			fail_msg("\"%s\" is taken for Prometheus text", bad[i]);
}

static void suite_survives_every_failing_allocation(void **state)
{
	const char *json = CHECK(WARM);
	struct sutra_suite *s;

	for (long n = 1;; n++) {
		int rc;

		sutra_alloc_fail_at(n);
		rc = sutra_suite_parse(json, strlen(json), &s, NULL);
		if (!sutra_alloc_failed()) {
			sutra_alloc_fail_at(0);
			assert_int_equal(rc, 0);
			sutra_suite_free(s);
			return;
		}
		assert_int_equal(rc, SUTRA_E_NOMEM);
	}
}

static struct sutra_workload *published(void)
{
	struct sutra_workload_spec spec = { 15, 2000, 0.9, 2800, 3000 };
	struct sutra_workload *w;

	assert_int_equal(sutra_workload_new(&spec, &w, NULL), 0);
	return w;
}

/* The published trace, the same on every machine. A change here changes every published rate. */
static void workload_is_the_published_one(void **state)
{
	struct sutra_workload *w = published();
	struct sutra_expected e;
	struct sutra_buf b;

	assert_true(w->digest == 0xc9b61c53ccb19fa9u);
	assert_int_equal(sutra_workload_expect(w, 10000, 100000, &e, NULL), 0);
	assert_int_equal(e.l1 + e.l2 + e.computed, 3000);
	assert_int_equal(e.l1, 2046);
	assert_int_equal(e.l2, 516);
	assert_int_equal(e.fill_computed, 907);
	sutra_buf_init(&b, 10000);
	sutra_workload_text(w, 0, &b);
	assert_string_equal(sutra_buf_str(&b), "house book bay roof bay lion guitar coin table");
	sutra_buf_release(&b);
	sutra_workload_free(w);
}

static void workload_texts_are_distinct_and_of_three_lengths(void **state)
{
	struct sutra_workload *w = published();
	struct sutra_strv all = { 0 };
	size_t classes[3] = { 0 };
	struct sutra_buf b;

	sutra_buf_init(&b, 10000);
	for (uint32_t i = 0; i < 2000; i++) {
		size_t words = 1;

		sutra_buf_clear(&b);
		sutra_workload_text(w, i, &b);
		for (const char *c = b.data; *c; c++)
			words += *c == ' ';
		classes[words < 10 ? 0 : words < 30 ? 1 : 2]++;
		sutra_strv_add(&all, b.data);
	}
	sutra_strv_sort(&all);
	for (size_t i = 1; i < all.n; i++)
		assert_string_not_equal(all.items[i - 1], all.items[i]);
	assert_in_range(classes[0], 1100, 1300);
	assert_in_range(classes[1], 500, 700);
	assert_in_range(classes[2], 140, 260);
	sutra_strv_release(&all);
	sutra_buf_release(&b);
	sutra_workload_free(w);
}

/* The array lists against the simplest LRU there is: a row shifted by hand. */
static void simulation_equals_a_plain_lru(void **state)
{
	enum { L1 = 50 };
	struct sutra_workload *w = published();
	struct sutra_expected e;
	uint32_t row[L1];
	size_t used = 0, hits = 0;

	for (size_t i = 0; i < w->spec.trace; i++) {
		size_t at = 0;

		while (at < used && row[at] != w->trace[i])
			at++;
		hits += at < used;
		used += at == used && used < L1;
		at = at < used ? at : used - 1;
		memmove(row + 1, row, at * sizeof(*row));
		row[0] = w->trace[i];
	}
	assert_int_equal(sutra_workload_expect(w, L1, 0, &e, NULL), 0);
	assert_int_equal(e.l1, hits);
	assert_int_equal(e.l2, 0);
	assert_in_range(hits, 300, 2000);
	sutra_workload_free(w);
}

static void fresh_texts_depend_on_nonce_and_number(void **state)
{
	struct sutra_buf b[4];
	const uint64_t nonces[] = { 1, 1, 2, 1 };
	const uint32_t numbers[] = { 7, 8, 7, 7 };

	for (int i = 0; i < 4; i++) {
		sutra_buf_init(&b[i], 1000);
		sutra_fresh_text(nonces[i], numbers[i], 8, &b[i]);
	}
	assert_string_not_equal(b[0].data, b[1].data);
	assert_string_not_equal(b[0].data, b[2].data);
	assert_string_equal(b[0].data, b[3].data);
	for (int i = 0; i < 4; i++)
		sutra_buf_release(&b[i]);
}

static void answers_are_read_strictly(void **state)
{
	static const char *const bad[] = { "{}", "{\"embeddings\":[]}", "{\"embeddings\":[[1,2],[1]]}",
					   "{\"embeddings\":[[1,\"x\"]]}",
					   "{\"embeddings\":[[1]],\"cache\":{\"l1\":\"x\"}}" };
	const char *good = "{\"embeddings\":[[1,0.5],[2,3]],\"cache\":{\"l1\":1,\"l2\":0,\"miss\":1}}";
	struct sutra_embed_answer a;
	struct sutra_err err;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(sutra_embed_parse(bad[i], strlen(bad[i]), &a, &err), SUTRA_E_INVALID);
	assert_int_equal(sutra_embed_parse(good, strlen(good), &a, &err), 0);
	assert_int_equal(a.count, 2);
	assert_true(a.vectors[1] == 0.5f && a.vectors[3] == 3);
	assert_int_equal(a.l1, 1);
	assert_int_equal(a.computed, 1);
	sutra_embed_release(&a);
}

/* One passed, one failed, one skipped, with texts that every format must escape. */
static struct sutra_suite *report_suite;

static struct sutra_outcome *sample_outcome(void)
{
	static const char json[] = CHECK(
		"{\"id\":\"p.cold\",\"title\":\"cold\",\"kind\":\"cold_pass\",\"expect\":{\"p50_ms\":{\"max\":667,\"target\":667}}},"
		"{\"id\":\"p.warm\",\"title\":\"warm\",\"kind\":\"warm_pass\",\"hint\":\"try & see\",\"expect\":{\"faster\":{\"min\":1}}},"
		"{\"id\":\"p.skip\",\"title\":\"skip\",\"kind\":\"restart_pass\"}");
	struct sutra_outcome *o = sutra_calloc(1, sizeof(*o));

	assert_int_equal(sutra_suite_parse(json, sizeof(json) - 1, &report_suite, NULL), 0);
	o->results = sutra_calloc(3, sizeof(*o->results));
	o->n = 3;
	o->duration_ms = 1500;
	o->started_us = 1700000000000000;
	for (int i = 0; i < 3; i++) {
		o->results[i].check = &report_suite->checks[i];
		o->results[i].verdict = (enum sutra_verdict)i;
		o->results[i].attempts = i < 2;
		o->results[i].duration_ms = 10;
		o->count[i] = 1;
	}
	o->results[0].has[0] = true;
	o->results[0].values[0] = 4.1;
	o->results[1].attempts = 2;
	strcpy(o->results[0].found, "40 computed");
	strcpy(o->results[1].found, "found <b> \"x\"");
	strcpy(o->results[1].why, "faster is 0.5 & less");
	o->results[1].evidence = sutra_strdup("last reply: <7>\nline two\n");
	strcpy(o->results[2].why, "cannot restart");
	return o;
}

static void assert_golden(const char *name, const struct sutra_buf *b)
{
	char path[96], *want;
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "tests/data/report.%s", name);
	if (getenv("UPDATE_GOLDEN")) {
		f = fopen(path, "w");
		fwrite(b->data, 1, b->len, f);
		fclose(f);
	}
	f = fopen(path, "r");
	assert_non_null(f);
	want = calloc(1, 100000);
	n = fread(want, 1, 99999, f);
	fclose(f);
	want[n] = '\0';
	assert_string_equal(b->data, want);
	free(want);
}

static void reports_are_golden(void **state)
{
	struct sutra_outcome *o = sample_outcome();
	const struct sutra_report_style plain = { "", "", "", "", "", "", 80, true };
	struct sutra_buf b;

	sutra_buf_init(&b, 100000);
	sutra_report_text(o, &report_suite, 1, &plain, &b);
	assert_golden("txt", &b);
	sutra_buf_clear(&b);
	sutra_report_json(o, &b);
	assert_golden("json", &b);
	sutra_buf_clear(&b);
	sutra_report_junit(o, &b);
	assert_golden("xml", &b);
	sutra_buf_clear(&b);
	sutra_report_tap(o, &b);
	assert_golden("tap", &b);
	sutra_buf_clear(&b);
	sutra_report_prom(o, &b);
	assert_golden("prom", &b);
	sutra_buf_release(&b);
	sutra_outcome_free(o);
	sutra_suite_free(report_suite);
}

static void exit_code_follows_the_table(void **state)
{
	static const struct {
		size_t count[4];
		bool timed_out;
		int code;
	} rows[] = {
		{ { 3, 0, 0, 0 }, false, 0 }, { { 3, 1, 0, 0 }, false, 1 }, { { 2, 0, 3, 0 }, false, 0 },
		{ { 0, 0, 3, 0 }, false, 6 }, { { 2, 1, 0, 1 }, false, 6 }, { { 2, 0, 0, 1 }, true, 4 },
		{ { 2, 1, 0, 1 }, true, 4 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct sutra_outcome o = { .timed_out = rows[i].timed_out };

		memcpy(o.count, rows[i].count, sizeof(o.count));
		assert_int_equal(sutra_outcome_exit(&o), rows[i].code);
	}
}

static void nothing_to_reach_is_unavailable(void **state)
{
	/* Port 1 on loopback: nobody listens there. */
	char base[] = "http://127.0.0.1:1";
	struct sutra_check_env env = { .gateway = base, .front = base,
				       .deadline_ns = UINT64_MAX };
	struct sutra_outcome *o = NULL;
	struct sutra_err err;

	assert_int_equal(sutra_check_run_all(NULL, 0, &env, &o, &err), SUTRA_E_UNAVAILABLE);
	assert_null(o);
	assert_int_equal(sutra_err_exit(err.code), 6);
	assert_non_null(strstr(err.message, "refused"));
}

/* A service that takes connections and never answers; its base URL. */
static int silent(char base[64])
{
	struct sockaddr_in sa;
	socklen_t len = sizeof(sa);
	int fd;

	assert_int_equal(sutra_listen_tcp("127.0.0.1:0", 128, &fd, NULL), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	snprintf(base, 64, "http://127.0.0.1:%d", ntohs(sa.sin_port));
	return fd;
}

static bool always(void *user, struct sutra_buf *text, uint32_t *ret_id)
{
	*ret_id = ++*(uint32_t *)user;
	sutra_buf_adds(text, "x");
	return true;
}

/* --timeout: a service that hangs holds no load behind its deadline: its requests have none of their own. */
static void no_load_outlives_its_deadline(void **state)
{
	uint64_t deadline = sutra_clock_ns() + 300000000u, never = 360000000000000u;
	char base[64];
	uint32_t id = 0, open_id = 0;
	const struct sutra_load_options o = { .base = base, .connections = 4, .timeout_ns = never,
					      .deadline_ns = deadline, .next = always, .user = &id };
	const struct sutra_load_options open = { .base = base, .rate = 100, .timeout_ns = never,
						 .deadline_ns = deadline, .next = always, .user = &open_id };
	int fd = silent(base);
	struct sutra_load_result result, open_result;
	struct sutra_load *load, *l;

	assert_int_equal(sutra_load_start(&open, &l, NULL), 0);
	assert_int_equal(sutra_load_start(&o, &load, NULL), 0);
	sutra_load_finish(load, &result);
	assert_int_equal(result.sent, 4);
	assert_int_equal(result.failed, 4);
	sutra_load_finish(l, &open_result);
	assert_true(open_result.failed == open_result.sent && open_result.sent > 0);
	sutra_load_result_release(&result);
	sutra_load_result_release(&open_result);
	close(fd);
}

static bool one_text(void *user, struct sutra_buf *text, uint32_t *ret_id)
{
	*ret_id = 7;
	sutra_buf_adds(text, "x");
	return (*(unsigned *)user)--;
}

/* With `levels` the order of the texts decides, so the second request for a text waits for the first. */
static void no_text_is_twice_in_flight(void **state)
{
	unsigned left[2] = { 3, 3 };
	char base[64];
	struct sutra_load_options o = { .base = base, .connections = 3, .next = one_text };
	int fd = silent(base);
	struct sutra_load_result t;
	struct sutra_load *l;

	for (int levels = 0; levels < 2; levels++) {
		o.levels = levels;
		o.user = &left[levels];
		o.deadline_ns = sutra_clock_ns() + 300000000u;
		assert_int_equal(sutra_load_start(&o, &l, NULL), 0);
		sutra_load_finish(l, &t);
		assert_int_equal(t.sent, levels ? 1 : 3);
		assert_int_equal(t.failed, t.sent);
		sutra_load_result_release(&t);
	}
	close(fd);
}

/* Both loops end with their source, whatever the answers are; nothing is sent twice, none is lost. */
static void a_load_ends_with_its_source(void **state)
{
	for (int rate = 0; rate < 2000; rate += 1000) {
		unsigned left = 9;
		const struct sutra_load_options o = { .base = "http://127.0.0.1:1", .rate = rate, .connections = 2,
						      .levels = !rate, .next = one_text, .user = &left };
		struct sutra_load_result t;
		struct sutra_load *l;

		assert_int_equal(sutra_load_start(&o, &l, NULL), 0);
		sutra_load_finish(l, &t);
		assert_int_equal(t.sent, 9);
		assert_int_equal(t.failed, 9);
		assert_non_null(strstr(t.first_failure, "refused"));
		assert_int_equal(sutra_histogram_count(t.response), 9);
		assert_true(t.asked_rate == rate);
		sutra_load_result_release(&t);
	}
}

/* The stages of a comparison are of the model's width: without it there is nothing to compare. */
static void a_comparison_without_info_says_so(void **state)
{
	static const struct sutra_workload_spec spec = { .seed = 1, .distinct = 4, .alpha = 1, .fill = 1, .trace = 1 };
	char base[64];
	int fd = silent(base);
	struct sutra_check_replica replica = { .name = "r" };
	const struct sutra_check_env env = { .gateway = base, .replicas = &replica, .n_replicas = 1,
					     .haproxy_csv = base, .names = { "g", "r", "s", "b" }, .deadline_ns = sutra_clock_ns() + 200000000u };
	struct sutra_compare c;
	struct sutra_err err;

	snprintf(replica.base, sizeof(replica.base), "%s", base);
	assert_int_not_equal(sutra_compare_run(&env, &spec, 1, &c, &err), 0);
	assert_non_null(strstr(err.message, "/info"));
	close(fd);
}

/* A machine on which everything takes longer from pair to pair, and the first cached answer a second. */
static unsigned n_asked;

int __wrap_sutra_embed(const char *base, const struct sutra_embed_request *q, uint64_t timeout_ns,
		       struct sutra_buf *last, struct sutra_embed_answer *ret, struct sutra_err *err);
int __wrap_sutra_embed(const char *base, const struct sutra_embed_request *q, uint64_t timeout_ns,
		       struct sutra_buf *last, struct sutra_embed_answer *ret, struct sutra_err *err)
{
	uint64_t slow_ns = 1000000u * (1 + n_asked / 2);

	assert_int_equal(q->raw, n_asked % 2);
	assert_int_equal(q->dimension, q->raw ? 256 : 0);
	*ret = (struct sutra_embed_answer){ .count = 1, .has_cache = !q->raw, .l1 = !q->raw, .computed = q->raw,
					    .took_ns = q->raw ? 3 * slow_ns : n_asked ? slow_ns : 1000000000u };
	n_asked++;
	return 0;
}

/* Each cached answer is compared with a text that was computed beside it. */
static void what_is_faster_is_told_by_pairs(void **state)
{
	const struct sutra_check_kind kind = { .name = "pairs" };
	const struct sutra_check check = { .kind = &kind };
	const struct sutra_check_env env = { .deadline_ns = UINT64_MAX };
	struct sutra_check_shared shared = { .nonce = 1, .fresh = 20, .dimension = 256 };
	struct sutra_check_run r = { .check = &check, .env = &env, .shared = &shared };
	struct sutra_pass p;

	assert_int_equal(sutra_check_pass(&r, "http://127.0.0.1:1", 0, 20, true, &p, NULL), 0);
	assert_int_equal(n_asked, 40);
	assert_int_equal(shared.fresh, 40);
	assert_int_equal(p.l1, 20);
	assert_int_equal(p.computed, 0);	/* the others are no part of the pass */
	assert_true(p.has_cache);
	assert_true(fabs(p.faster - 3) < 0.01);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_suites_are_named),
		cmocka_unit_test(shipped_suites_load),
		cmocka_unit_test(prometheus_text_is_told_from_other),
		cmocka_unit_test(suite_survives_every_failing_allocation),
		cmocka_unit_test(workload_is_the_published_one),
		cmocka_unit_test(workload_texts_are_distinct_and_of_three_lengths),
		cmocka_unit_test(simulation_equals_a_plain_lru),
		cmocka_unit_test(fresh_texts_depend_on_nonce_and_number),
		cmocka_unit_test(answers_are_read_strictly),
		cmocka_unit_test(reports_are_golden),
		cmocka_unit_test(exit_code_follows_the_table),
		cmocka_unit_test(nothing_to_reach_is_unavailable),
		cmocka_unit_test(no_load_outlives_its_deadline),
		cmocka_unit_test(no_text_is_twice_in_flight),
		cmocka_unit_test(a_load_ends_with_its_source),
		cmocka_unit_test(a_comparison_without_info_says_so),
		cmocka_unit_test(what_is_faster_is_told_by_pairs),
	};

	return cmocka_run_group_tests_name("check", tests, NULL, NULL);
}
