/* lib/probe: HAProxy's CSV by name, the verdict on an answer, causes and their order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/alloc.h"
#include "net/fetch.h"
#include "deploy/haproxy_csv.h"
#include "probe/cause.h"
#include "probe/probe.h"

static const char dump[] =
	"# pxname,svname,stot,type,status,algo,check_status,last_chk,new_one,scur,\n"
	"fe,FRONTEND,10,0,OPEN,,,,x,3,\n"
	"be,s1,4,2,UP 1/3,,L7OK,\"says \"\"ok\"\", fine\",x,1,\n"
	"be,s2,,2,DOWN,,L4CON,Connection refused,x,0,\n"
	"be,BACKEND,4,1,UP,leastconn,,,x,1,\n\n";

static int parse(const char *text, size_t n, struct sutra_haproxy_stats *s)
{
	struct sutra_err err;

	return sutra_haproxy_parse(text, n, s, &err);
}

static void csv_is_read_by_name(void **state)
{
	struct sutra_haproxy_stats s;
	const struct sutra_haproxy_row *r;

	assert_int_equal(parse(dump, sizeof(dump) - 1, &s), 0);
	assert_int_equal(s.n, 4);
	r = sutra_haproxy_server(&s, "be", 0);
	assert_string_equal(r->name, "s1");
	assert_int_equal(r->total, 4);
	assert_int_equal(r->sessions, 1);
	assert_int_equal(r->queue, -1);
	assert_string_equal(r->check_text, "says \"ok\", fine");
	assert_true(sutra_haproxy_is_up(r));
	r = sutra_haproxy_server(&s, NULL, 1);
	assert_int_equal(r->total, -1);
	assert_false(sutra_haproxy_is_up(r));
	assert_null(sutra_haproxy_server(&s, "be", 2));
	assert_null(sutra_haproxy_server(&s, "fe", 0));
	assert_string_equal(sutra_haproxy_find(&s, "be", "BACKEND")->algorithm, "leastconn");
	sutra_haproxy_release(&s);
}

/* Every proper prefix that ends inside a row is refused: half a dump is no dump. */
static void csv_cut_off_is_refused(void **state)
{
	struct sutra_haproxy_stats s;

	for (size_t n = 0; n < sizeof(dump) - 2; n++) {
		bool whole_rows = n && dump[n - 1] == '\n' && n > 80;
		int rc = parse(dump, n, &s);

		if (whole_rows) {
			assert_int_equal(rc, 0);
			sutra_haproxy_release(&s);
		} else {
			assert_true(rc == SUTRA_E_CORRUPT || rc == SUTRA_E_SYNTAX);
		}
	}
}

static void csv_that_is_something_else_is_named(void **state)
{
	static const char *const bad[] = {
		"<html>401</html>", "# pxname,svname,stot,\na,b,1,\n",
		"# pxname,svname,status,type,\na,b,UP,2,9,\n", "# pxname,svname,status,type,\na,\"b\"x,UP,2,\n",
	};
	struct sutra_haproxy_stats s;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(parse(bad[i], strlen(bad[i]), &s), SUTRA_E_SYNTAX);
}

struct verdict {
	enum sutra_fetch_reason reason;
	int status;
	const char *body;
	bool in_start_period;
	enum sutra_probe_state want_state;
	const char *want_reason, *want_detail;
};

static void answers_are_judged(void **state)
{
	static const struct verdict rows[] = {
		{ SUTRA_FETCH_OK, 200, "{\"status\":\"healthy\",\"uptime_seconds\":2.5,\"version\":\"9\"}",
		  false, SUTRA_UP, "ok", "" },
		{ SUTRA_FETCH_OK, 200, "{\"status\":\"degraded\",\"reason\":\"L2 down\"}", false,
		  SUTRA_DEGRADED, "degraded", "L2 down" },
		{ SUTRA_FETCH_OK, 200, "{\"status\":\"healthy\",\"degraded\":\"refuses writes\"}", false,
		  SUTRA_DEGRADED, "degraded", "refuses writes" },
		{ SUTRA_FETCH_OK, 503, "{\"status\":\"unhealthy\",\"reason\":\"no ml-base\"}", false,
		  SUTRA_DOWN, "unhealthy", "no ml-base" },
		{ SUTRA_FETCH_OK, 503, "{\"status\":\"unhealthy\"}", true, SUTRA_STARTING,
		  "unhealthy", "" },
		{ SUTRA_FETCH_OK, 503, "<html>", false, SUTRA_DOWN, "status", NULL },
		{ SUTRA_FETCH_OK, 200, "<html>", false, SUTRA_DOWN, "body", NULL },
		{ SUTRA_FETCH_OK, 200, "{\"status\":7}", false, SUTRA_DOWN, "body", NULL },
		{ SUTRA_FETCH_OK, 200, "{\"status\":\"odd\"}", false, SUTRA_DOWN, "body", NULL },
		{ SUTRA_FETCH_OK, 404, "{\"status\":\"healthy\"}", false, SUTRA_DOWN, "status", "answered 404" },
		{ SUTRA_FETCH_REFUSED, 0, "", false, SUTRA_DOWN, "refused", "" },
		{ SUTRA_FETCH_REFUSED, 0, "", true, SUTRA_STARTING, "refused", "" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct sutra_probe p = { .name = "x", .in_start_period = rows[i].in_start_period };
		struct sutra_fetch f;

		sutra_fetch_init(&f);
		f.reason = rows[i].reason;
		f.status = rows[i].status;
		sutra_buf_adds(&f.answer, rows[i].body);
		sutra_probe_judge(&p, &f);
		assert_int_equal(p.state, rows[i].want_state);
		assert_string_equal(sutra_probe_reason_name(p.reason), rows[i].want_reason);
		if (rows[i].want_detail)
			assert_string_equal(p.detail, rows[i].want_detail);
		if (!i) {
			assert_string_equal(p.version, "9");
			assert_true(p.uptime_seconds == 2.5);
		}
		sutra_fetch_release(&f);
	}
}

static void supervisor_settles_what_need_not_be_asked(void **state)
{
	struct sutra_probe p[] = {
		{ .name = "a", .run = SUTRA_RUN_EXITED, .last_exit = 137, .in_start_period = true },
		{ .name = "b", .run = SUTRA_RUN_STOPPED },
		{ .name = "c", .run = SUTRA_RUN_ABSENT },
		{ .name = "d", .run = SUTRA_RUN_RUNNING },
		{ .name = "e" },
	};
	struct sutra_err err;

	assert_int_equal(sutra_probe_all(p, 5, &err), 0);
	assert_int_equal(p[0].state, SUTRA_DOWN);
	assert_string_equal(sutra_probe_reason_name(p[0].reason), "exited");
	assert_string_equal(p[0].detail, "killed by signal 9 (KILL)");
	assert_string_equal(sutra_probe_reason_name(p[1].reason), "stopped");
	assert_string_equal(sutra_probe_reason_name(p[2].reason), "unsupervised");
	assert_int_equal(p[3].state, SUTRA_UP);
	assert_int_equal(p[4].state, SUTRA_UNKNOWN);
}

/* shard <- gateway -> lb -> m1, m2; web -> gateway. */
static const char *const on_shard_lb[] = { "shard", "lb", NULL }, *const on_ml[] = { "m1", "m2", NULL },
		  *const on_gateway[] = { "gateway", NULL };

static void root_cause_comes_first(void **state)
{
	struct sutra_probe p[] = {
		{ .name = "shard", .state = SUTRA_UP },
		{ .name = "web", .state = SUTRA_DOWN, .depends_on = on_gateway },
		{ .name = "gateway", .state = SUTRA_DOWN, .depends_on = on_shard_lb },
		{ .name = "lb", .state = SUTRA_DEGRADED, .depends_on = on_ml },
		{ .name = "m1", .state = SUTRA_DOWN },
		{ .name = "m2", .state = SUTRA_UP },
		{ .name = "alone", .state = SUTRA_DOWN },
	};
	size_t order[7];

	assert_int_equal(sutra_probe_causes(p, 7), 0);
	assert_int_equal(p[1].cause, 4);
	assert_int_equal(p[2].cause, 4);
	assert_int_equal(p[3].cause, 4);
	assert_int_equal(p[4].cause, -1);
	assert_int_equal(p[6].cause, -1);
	sutra_probe_order(p, 7, order);
	assert_memory_equal(order, ((size_t[]){ 4, 1, 2, 3, 6, 0, 5 }), sizeof(order));
}

static void a_cycle_ends(void **state)
{
	static const char *const on_b[] = { "b", NULL }, *const on_a[] = { "a", NULL };
	struct sutra_probe p[] = {
		{ .name = "a", .state = SUTRA_DOWN, .depends_on = on_b },
		{ .name = "b", .state = SUTRA_DOWN, .depends_on = on_a },
	};
	size_t order[2];

	assert_int_equal(sutra_probe_causes(p, 2), 0);
	assert_int_equal(p[0].cause, -1);
	assert_int_equal(p[1].cause, 0);
	sutra_probe_order(p, 2, order);
	assert_int_equal(order[0], 0);
	assert_int_equal(order[1], 1);
}

/* Says root cause `at` of n services. */
static void assert_cause(const struct sutra_probe *p, size_t n, size_t at, size_t count, const char *want)
{
	struct sutra_root_causes c;
	struct sutra_buf b;

	assert_int_equal(sutra_root_causes_find(p, n, &c, NULL), 0);
	assert_int_equal(c.n, count);
	if (want) {
		sutra_buf_init(&b, 1000);
		sutra_root_cause_say(p, &c.items[at], &b);
		assert_string_equal(sutra_buf_str(&b), want);
		sutra_buf_release(&b);
	}
	sutra_root_causes_release(&c);
}

static void root_causes_say_what_they_take_down(void **state)
{
	static const char *const on_all[] = { "m1", "m2", "m3", NULL }, *const on_lb[] = { "m1", "lb", "shard", NULL };
	struct sutra_probe p[] = {
		{ .name = "m1", .state = SUTRA_DOWN, .reason = SUTRA_FETCH_REFUSED },
		{ .name = "m2", .state = SUTRA_DOWN, .reason = SUTRA_PROBE_EXITED },
		{ .name = "m3", .state = SUTRA_DOWN, .reason = SUTRA_PROBE_STOPPED },
		{ .name = "lb", .state = SUTRA_DOWN, .depends_on = on_all },
		{ .name = "gateway", .state = SUTRA_DEGRADED, .depends_on = on_lb },
		{ .name = "shard", .state = SUTRA_UP },
	};

	assert_cause(p, 6, 0, 1, "m1 (refused), m2 (exited), m3 (stopped), which take down lb, degrade gateway");
	p[1].state = SUTRA_UP;	/* a chain is followed to its end, not to the nearest failure */
	p[2].state = SUTRA_UP;
	assert_cause(p, 6, 0, 1, "m1 (refused), which takes down lb, degrades gateway");
	p[0].state = SUTRA_UP;
	p[3].reason = SUTRA_PROBE_EXITED;
	assert_cause(p, 6, 0, 1, "lb (exited), which degrades gateway");
	p[3].state = p[4].state = SUTRA_UP;
	assert_cause(p, 6, 0, 0, NULL);
}

static void separate_causes_stay_apart(void **state)
{
	static const char *const on_m[] = { "m1", NULL }, *const on_lb[] = { "lb", NULL };
	struct sutra_probe p[] = {
		{ .name = "alone", .state = SUTRA_DOWN, .reason = SUTRA_PROBE_EXITED },
		{ .name = "m1", .state = SUTRA_STARTING, .reason = SUTRA_FETCH_REFUSED },
		/* Stopped by somebody: nothing that is missing ends a process. */
		{ .name = "lb", .state = SUTRA_DOWN, .reason = SUTRA_PROBE_STOPPED, .depends_on = on_m },
		{ .name = "gateway", .state = SUTRA_DOWN, .depends_on = on_lb },
	};

	assert_cause(p, 4, 0, 3, "lb (stopped), which takes down gateway");
	assert_cause(p, 4, 1, 3, "alone (exited)");
	assert_cause(p, 4, 2, 3, "m1 (refused)");
	assert_int_equal(sutra_probe_causes(p, 4), 0);
	assert_int_equal(p[2].cause, -1);
	assert_int_equal(p[3].cause, 2);
}

static void a_cycle_has_one_root(void **state)
{
	static const char *const on_b[] = { "b", NULL }, *const on_c[] = { "c", NULL }, *const on_a[] = { "a", "x", NULL };
	struct sutra_probe p[] = {
		{ .name = "a", .state = SUTRA_DOWN, .reason = SUTRA_PROBE_UNHEALTHY, .depends_on = on_b },
		{ .name = "b", .state = SUTRA_DOWN, .depends_on = on_c },
		{ .name = "c", .state = SUTRA_DOWN, .depends_on = on_a },
	};

	assert_cause(p, 3, 0, 1, "a (unhealthy), which takes down b, c");
}

static void causes_survive_every_failing_allocation(void **state)
{
	struct sutra_probe p[] = { { .name = "a", .state = SUTRA_DOWN }, { .name = "b", .state = SUTRA_DOWN } };
	struct sutra_root_causes c;

	for (long n = 1;; n++) {
		int rc;

		sutra_alloc_fail_at(n);
		rc = sutra_root_causes_find(p, 2, &c, NULL);
		if (!sutra_alloc_failed()) {
			sutra_alloc_fail_at(0);
			assert_int_equal(rc, 0);
			sutra_root_causes_release(&c);
			return;
		}
		assert_int_equal(rc, SUTRA_E_NOMEM);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(csv_is_read_by_name),
		cmocka_unit_test(csv_cut_off_is_refused),
		cmocka_unit_test(csv_that_is_something_else_is_named),
		cmocka_unit_test(answers_are_judged),
		cmocka_unit_test(supervisor_settles_what_need_not_be_asked),
		cmocka_unit_test(root_cause_comes_first),
		cmocka_unit_test(a_cycle_ends),
		cmocka_unit_test(root_causes_say_what_they_take_down),
		cmocka_unit_test(separate_causes_stay_apart),
		cmocka_unit_test(a_cycle_has_one_root),
		cmocka_unit_test(causes_survive_every_failing_allocation),
	};

	return cmocka_run_group_tests_name("probe", tests, NULL, NULL);
}
