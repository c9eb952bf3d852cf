/* quality - pairs are read or refused by name; the measures against figures worked out by hand. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/alloc.h"
#include "model/quality.h"

static void assert_near(double got, double want, double by)
{
	if (!(fabs(got - want) <= by))
		fail_msg("%.9g is not %.9g", got, want);
}

static struct sutra_quality_pairs *parse(const char *json)
{
	struct sutra_quality_pairs *p;
	struct sutra_err err;

	if (sutra_quality_pairs_parse(json, strlen(json), &p, &err))
		fail_msg("%s", err.message);
	return p;
}

static void refuse(const char *json, const char *why)
{
	struct sutra_quality_pairs *p;
	struct sutra_err err;

	assert_true(sutra_quality_pairs_parse(json, strlen(json), &p, &err) < 0);
	if (!strstr(err.message, why))
		fail_msg("\"%s\" does not say \"%s\"", err.message, why);
}

static void test_rank_correlation(void **state)
{
	const double a[] = { 1, 2, 3, 4, 5 }, down[] = { 50, 4, 3, 2, -1e9 }, same[] = { 7, 7, 7, 7, 7 };
	/* differences of ranks 1, 1, 0, 1, 1: 1 - 6 * 4 / (5 * 24) */
	const double swapped[] = { 20, 10, 30, 50, 40 };
	/* ranks 0.5 0.5 2 3.5 3.5 against 0..4: 9 / sqrt(10 * 9) */
	const double ties[] = { 1, 1, 2, 3, 3 };
	struct sutra_err err;
	double r;

	assert_int_equal(sutra_rank_correlation(a, a, 5, &r, &err), 0);
	assert_near(r, 1, 1e-12);
	assert_int_equal(sutra_rank_correlation(a, down, 5, &r, &err), 0);
	assert_near(r, -1, 1e-12);
	assert_int_equal(sutra_rank_correlation(a, swapped, 5, &r, &err), 0);
	assert_near(r, 0.8, 1e-12);
	assert_int_equal(sutra_rank_correlation(a, ties, 5, &r, &err), 0);
	assert_near(r, 9 / sqrt(90), 1e-12);
	assert_int_equal(sutra_rank_correlation(a, same, 5, &r, &err), 0);
	assert_near(r, 0, 0);
}

static void test_refused(void **state)
{
	refuse("{", "line 1");
	refuse("[]", "\"pairs\" must be a list of 2 to 5000; it has 0");
	refuse("{\"pairs\": [{\"grade\": 5, \"first\": \"a\", \"second\": \"b\"}]}", "it has 1");
	refuse("{\"pairs\": [{\"grade\": 5, \"first\": \"a\", \"second\": \"b\"}, 7]}", "pair 2: it is an integer");
	refuse("{\"pairs\": [{\"first\": \"a\", \"second\": \"b\"}, {}]}", "pair 1: \"grade\" is missing");
	refuse("{\"pairs\": [{\"grade\": 5.5, \"first\": \"a\", \"second\": \"b\"}, {}]}", "not 0 to 5");
	refuse("{\"pairs\": [{\"grade\": \"5\", \"first\": \"a\", \"second\": \"b\"}, {}]}", "grade");
	refuse("{\"pairs\": [{\"grade\": 5, \"first\": \"\", \"second\": \"b\"}, {}]}", "\"first\" is empty");
	refuse("{\"pairs\": [{\"grade\": 5, \"first\": \"a\"}, {}]}", "\"second\" is missing");
	refuse("{\"pairs\": [{\"grade\": 5, \"first\": \"a\", \"second\": []}, {}]}", "\"second\" is an array");
	refuse("{\"pairs\": [{\"grade\": 5, \"first\": \"a\", \"second\": \"b\"},"
	       "{\"grade\": 5, \"first\": \"a\", \"second\": \"b\"}]}", "the same grade");
	refuse("{\"pairs\": [{\"grade\": 3, \"first\": \"a\", \"second\": \"b\"},"
	       "{\"grade\": 0, \"first\": \"a\", \"second\": \"b\"}]}", "no pair is graded 4 or more");
}

/* Three pairs in the plane: the first two share their first sentence and are both relevant. */
static void test_measures(void **state)
{
	struct sutra_quality_pairs *p = parse("{\"pairs\": ["
					      "{\"grade\": 4, \"first\": \"a\", \"second\": \"x\"},"
					      "{\"grade\": 5, \"first\": \"a\", \"second\": \"y\"},"
					      "{\"grade\": 0, \"first\": \"b\", \"second\": \"z\"}]}");
	/* cosines to a: x 0.8, y 1, z 0.6; of b and z: -0.6 */
	const float v[] = { 1, 0, 2, 0, -1, 0, 0.8f, 0.6f, 3, 0, 0.6f, 0.8f };
	float moved[sizeof(v) / sizeof(*v)];
	struct sutra_quality q;
	struct sutra_err err;

	assert_int_equal(p->n, 3);
	assert_int_equal(p->queries, 2);
	assert_int_equal(sutra_quality_measure(p, v, NULL, 2, 2, SUTRA_MRL_PLAIN, &q, &err), 0);
	assert_near(q.spearman, 1, 1e-12);
	assert_near(q.retrieval10, 1, 0);
	assert_near(q.retrieval1, 1, 0);	/* y is nearer to a than x, and as relevant */
	assert_near(q.least_cosine, 1, 0);

	memcpy(moved, v, sizeof(v));
	moved[10] = 1;		/* z now is where only y was, and x is no longer the nearest */
	moved[11] = 0.01f;
	assert_int_equal(sutra_quality_measure(p, moved, v, 2, 2, SUTRA_MRL_PLAIN, &q, &err), 0);
	assert_near(q.retrieval1, 0.5, 0);
	assert_near(q.retrieval10, 1, 0);
	assert_near(q.least_cosine, (0.6 + 0.008) / sqrt(1.0001), 1e-6);
	sutra_quality_pairs_free(p);
}

/* With ten texts in between, a query is not found. */
static void test_beyond_ten(void **state)
{
	enum { N = 11 };
	struct sutra_quality_pairs *p;
	float v[2 * N * 2];
	struct sutra_quality q;
	struct sutra_err err;
	char json[2048] = "{\"pairs\": [{\"grade\": 5, \"first\": \"a\", \"second\": \"b\"}";

	for (int i = 1; i < N; i++)
		strcat(json, ", {\"grade\": 1, \"first\": \"c\", \"second\": \"d\"}");
	strcat(json, "]}");
	p = parse(json);
	for (int i = 0; i < 2 * N; i++) {
		v[2 * i] = 1;
		v[2 * i + 1] = i == N ? 1 : i > N ? 0.01f * (float)(i - N) : 0;
	}
	assert_int_equal(sutra_quality_measure(p, v, NULL, 2, 2, SUTRA_MRL_PLAIN, &q, &err), 0);
	assert_near(q.retrieval10, 0, 0);
	v[2 * (2 * N - 1) + 1] = 5;	/* one of the ten steps aside */
	assert_int_equal(sutra_quality_measure(p, v, NULL, 2, 2, SUTRA_MRL_PLAIN, &q, &err), 0);
	assert_near(q.retrieval10, 1, 0);
	sutra_quality_pairs_free(p);
}

static void test_bundled(void **state)
{
	struct sutra_quality_pairs *p;
	struct sutra_err err;
	char *text;
	size_t n, unrelated = 0;

	assert_int_equal(sutra_file_read("validate/quality/pairs.json", 1 << 20, &text, &n, &err), 0);
	assert_int_equal(sutra_quality_pairs_parse(text, n, &p, &err), 0);
	assert_true(p->n >= 300);
	assert_true(p->queries >= 100);
	for (size_t i = 0; i < p->n; i++)
		unrelated += p->grades[i] < 1;
	assert_in_range(unrelated, p->n / 10, p->n / 3);
	for (long fail = 1; fail < 100; fail++) {	/* every allocation may fail */
		struct sutra_quality_pairs *other = NULL;

		sutra_alloc_fail_at(fail);
		if (!sutra_quality_pairs_parse(text, n, &other, &err)) {
			sutra_alloc_fail_at(0);
			assert_true(fail > 1);
			sutra_quality_pairs_free(other);
			break;
		}
	}
	sutra_quality_pairs_free(p);
	sutra_free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rank_correlation), cmocka_unit_test(test_refused),
		cmocka_unit_test(test_measures),	 cmocka_unit_test(test_beyond_ten),
		cmocka_unit_test(test_bundled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
