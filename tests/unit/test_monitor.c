/* What the monitor stands on: rates from two snapshots, windows of hits, pictures in cells. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/option.h"
#include "probe/observe.h"
#include "probe/sampler.h"
#include "probe/snapshot.h"
#include "probe/trend.h"
#include "term/chart.h"
#include "term/grid.h"

static struct sutra_snapshot *sample(int64_t second, int64_t l1, int64_t misses, const int64_t totals[3])
{
	struct sutra_snapshot *s = sutra_snapshot_new(1, 1, 1);

	s->time_us = (1000 + second) * 1000000;
	s->interval_s = 1;
	strcpy(s->services[0].name, "gateway");
	s->services[0].at_us = s->time_us;
	s->services[0].cpu_us = second * 50000;
	s->services[0].pid = 7;
	strcpy(s->balancers[0].service, "lb");
	s->balancers[0].at_us = s->time_us;
	sutra_snapshot_replicas(&s->balancers[0], 3);
	for (int i = 0; i < 3; i++) {
		s->balancers[0].replicas[i].name[0] = (char)('a' + i);
		s->balancers[0].replicas[i].total = totals[i];
		s->balancers[0].replicas[i].up = true;
	}
	strcpy(s->caches[0].service, "gateway");
	s->caches[0].at_us = s->time_us;
	s->caches[0].l1_hits = l1;
	s->caches[0].misses = misses;
	s->caches[0].texts = l1 + misses;
	return s;
}

static void rates_need_two_and_are_never_negative(void **state)
{
	struct sutra_snapshot *a = sample(0, 100, 10, (int64_t[]){ 1000, 1000, 1000 }),
			      *b = sample(2, 140, 20, (int64_t[]){ 1060, 1060, 1060 }),
			      *c = sample(3, 5, 1, (int64_t[]){ 1070, 3, 1200 });

	sutra_snapshot_rates(a, NULL);
	assert_true(a->caches[0].texts_rate < 0 && a->services[0].cpu_percent < 0);
	assert_true(a->balancers[0].replicas[0].rate < 0);
	sutra_snapshot_rates(b, a);
	assert_float_equal(b->caches[0].texts_rate, 25, 1e-9);
	assert_float_equal(b->services[0].cpu_percent, 5, 1e-9);
	assert_float_equal(b->balancers[0].replicas[1].rate, 30, 1e-9);
	assert_float_equal(b->balancers[0].balance, 1, 1e-3);
	assert_false(b->balancers[0].replicas[1].skewed);
	/* A restart: counters begin again at 0. */
	sutra_snapshot_rates(c, b);
	assert_float_equal(c->caches[0].texts_rate, 6, 1e-9);
	assert_float_equal(c->balancers[0].replicas[1].rate, 3, 1e-9);
	assert_true(c->balancers[0].replicas[2].skewed);
	assert_true(c->balancers[0].balance < 0.95);
	sutra_snapshot_unref(a);
	sutra_snapshot_unref(b);
	sutra_snapshot_unref(c);
}

static void what_was_not_read_keeps_its_age(void **state)
{
	struct sutra_snapshot *a = sample(0, 1, 1, (int64_t[]){ 1, 1, 1 }), *b = sutra_snapshot_new(0, 1, 1);

	b->time_us = a->time_us + 3000000;
	b->interval_s = 1;
	strcpy(b->balancers[0].service, "lb");
	strcpy(b->caches[0].service, "gateway");
	assert_int_equal(sutra_snapshot_keep_balancer(&b->balancers[0], a), 0);
	assert_int_equal(sutra_snapshot_keep_cache(&b->caches[0], a), 0);
	sutra_snapshot_rates(b, a);
	assert_int_equal(b->balancers[0].n_replicas, 3);
	assert_int_equal(b->balancers[0].at_us, a->time_us);
	assert_true(sutra_snapshot_stale(b, b->caches[0].at_us, b->time_us));
	assert_false(sutra_snapshot_stale(b, b->caches[0].at_us, a->time_us + 2000000));
	sutra_snapshot_unref(a);
	sutra_snapshot_unref(b);
}

static void windows_count_hits(void **state)
{
	struct sutra_trend *t = sutra_trend_new();
	struct sutra_hits h, slots[4];
	double line[3];

	for (int i = 0; i <= 100; i++) {
		/* from second 90 on, only misses; a restart at 50 */
		int64_t since = i < 50 ? i : i - 50;
		struct sutra_snapshot *s = sample(i, 10 * (i < 90 ? since : 39), i < 90 ? 0 : i - 89, (int64_t[]){ 0, 0, 0 });

		sutra_trend_add(t, s);
		sutra_snapshot_unref(s);
	}
	h = sutra_trend_window(t, 60);
	assert_float_equal(h.seconds, 60, 1e-9);
	assert_float_equal(h.misses, 11, 1e-9);
	assert_float_equal(h.l1, 480, 1e-9);
	h = sutra_trend_window(t, 900);
	assert_float_equal(h.seconds, 100, 1e-9);
	sutra_trend_slots(t, 10, slots, 4);
	assert_true(slots[0].l1 > 0 && slots[3].l1 <= 0 && slots[2].misses > 0);
	sutra_trend_line(t, SUTRA_TREND_TEXTS, line, 3);
	assert_true(line[2] < 0);	/* no rates were filled in */
	sutra_trend_free(t);
}

/* A gateway that has run for 20 s: its first minute, begun before it, is no more than that. */
static void a_window_is_no_longer_than_what_it_counts(void **state)
{
	struct sutra_trend *t = sutra_trend_new();
	struct sutra_snapshot *s = sample(0, 5, 2, (int64_t[]){ 0, 0, 0 });
	struct sutra_hits h;

	s->services[0].uptime_s = 20;
	s->caches[0].minutes = sutra_calloc(1, sizeof(*s->caches[0].minutes));
	s->caches[0].n_minutes = 1;
	s->caches[0].minutes[0].unix_s = s->time_us / 1000000;
	s->caches[0].minutes[0].l1 = 5;
	s->caches[0].minutes[0].misses = 2;
	sutra_trend_add(t, s);
	sutra_snapshot_unref(s);
	h = sutra_trend_window(t, 900);
	assert_float_equal(h.l1, 5, 1e-9);
	assert_float_equal(h.seconds, 20, 1e-3);
	/* Another gateway in its place, after down and deploy: the window is as long as it was. */
	for (int i = 1; i <= 30; i++) {
		s = sample(i, i < 28 ? 5 : 0, i < 28 ? 2 : 1, (int64_t[]){ 0, 0, 0 });
		s->services[0].uptime_s = i < 28 ? 20 + i : i - 28;
		sutra_trend_add(t, s);
		sutra_snapshot_unref(s);
	}
	h = sutra_trend_window(t, 900);
	assert_float_equal(h.l1, 5, 1e-9);
	assert_float_equal(h.misses, 3, 1e-9);
	assert_float_equal(h.seconds, 50, 1e-3);
	sutra_trend_free(t);
}

/* The event of that subject and kind, which must be one alone. */
static const struct sutra_snap_event *only(const struct sutra_snapshot *s, const char *subject, const char *kind)
{
	const struct sutra_snap_event *found = NULL;

	for (size_t i = 0; i < s->n_events; i++) {
		if (strcmp(s->events[i].subject, subject) || strcmp(s->events[i].kind, kind))
			continue;
		assert_null(found);
		found = &s->events[i];
	}
	assert_non_null(found);
	return found;
}

static void what_changed_is_told_once(void **state)
{
	struct sutra_snapshot *s[4];

	for (int i = 0; i < 4; i++) {
		s[i] = sample(i, 100, 10, (int64_t[]){ 1, 1, 1 });
		s[i]->deployed = true;
		s[i]->generation = 3;
		strcpy(s[i]->services[0].state, "up");
		for (int r = 0; r < 3; r++)
			strcpy(s[i]->balancers[0].replicas[r].status, "UP");
	}
	/* From 1 on down, restarted, one replica gone, the balancer not read, the cache cleared. */
	for (int i = 1; i < 4; i++) {
		strcpy(s[i]->services[0].state, "down");
		strcpy(s[i]->services[0].reason, "refused");
		s[i]->services[0].restarts = 1;
		s[i]->generation = 4;
		s[i]->caches[0].clears = 2;
		strcpy(s[i]->balancers[0].replicas[0].status, "UP 1/2");
		strcpy(s[i]->balancers[0].replicas[1].status, "DOWN");
		s[i]->balancers[0].replicas[1].up = false;
		s[i]->caches[0].at_us = s[0]->time_us;
	}
	s[0]->services[0].restarts = 0;
	sutra_observe(s[0], NULL);
	assert_true(s[0]->observed && !s[0]->n_events);
	sutra_observe(s[1], s[0]);
	assert_string_equal(only(s[1], "gateway", "state")->text, "down, was up: refused");
	assert_string_equal(only(s[1], "gateway", "state")->level, "bad");
	assert_non_null(strstr(only(s[1], "gateway", "restart")->text, "1 restarts"));
	assert_non_null(strstr(only(s[1], "b", "replica")->text, "DOWN in lb, was UP"));
	assert_non_null(strstr(only(s[1], "deployment", "stack")->text, "generation 4, was 3"));
	only(s[1], "gateway", "cache");
	assert_int_equal(s[1]->n_events, 5);
	sutra_observe(s[2], s[1]);
	assert_int_equal(s[2]->n_events, 0);
	sutra_observe(s[3], s[2]);	/* 3 s old by now */
	assert_string_equal(only(s[3], "gateway", "figures")->text, "hit rates and traffic are stale");
	assert_int_equal(s[3]->n_events, 1);
	for (int i = 0; i < 4; i++)
		sutra_snapshot_unref(s[i]);
}

/* A process that ends and the next one: of one look, or with looks in between that found none. */
static void another_process_is_told_over_a_gap(void **state)
{
	static const int64_t pids[] = { 70, -1, -1, 71, 71, 72 }, restarts[] = { 0, 0, 0, 0, 0, 1 };
	static const bool anew[] = { false, false, false, true, false, false };
	struct sutra_snapshot *s[6];

	for (int i = 0; i < 6; i++) {
		s[i] = sample(i, 100, 10, (int64_t[]){ 1, 1, 1 });
		s[i]->deployed = true;
		s[i]->services[0].pid = pids[i];
		s[i]->services[0].restarts = restarts[i];
		sutra_observe(s[i], i ? s[i - 1] : NULL);
		if (anew[i])
			assert_string_equal(only(s[i], "gateway", "restart")->text, "runs anew: process 71, was 70");
	}
	assert_int_equal(s[1]->n_events + s[2]->n_events + s[4]->n_events, 0);
	assert_non_null(strstr(only(s[5], "gateway", "restart")->text, "1 restarts"));
	for (int i = 0; i < 6; i++)
		sutra_snapshot_unref(s[i]);
}

static void events_are_bounded_and_newest_first(void **state)
{
	struct sutra_events *e = xcalloc(1, sizeof(*e));
	struct sutra_snapshot *s = sutra_snapshot_new(0, 0, 0);

	for (int i = 0; i < SUTRA_SNAP_EVENTS + 5; i++)
		sutra_event_add(s, 100 + i, "monitor", "state", "a", "info", "%d", i);
	assert_int_equal(s->n_events, SUTRA_SNAP_EVENTS);
	assert_int_equal(s->events_lost, 5);
	for (int i = 0; i < 4; i++)
		sutra_events_take(e, s);
	assert_int_equal(e->n, SUTRA_EVENTS_KEPT);
	assert_int_equal(e->lost, 4 * SUTRA_SNAP_EVENTS - SUTRA_EVENTS_KEPT + 20);
	/* Of another source, late: it stands where its time is. One older than all is not kept. */
	s->n_events = 0;
	sutra_event_add(s, 150, "grid", "index", "b", "info", "late");
	sutra_event_add(s, 1, "grid", "index", "b", "info", "too old");
	sutra_events_take(e, s);
	assert_int_equal(e->n, SUTRA_EVENTS_KEPT);
	for (size_t i = 1; i < e->n; i++)
		assert_true(e->items[i - 1].at_us >= e->items[i].at_us && e->items[i].at_us >= 100);
	sutra_snapshot_unref(s);
	sutra_free(e);
}

static const char *row_of(const struct sutra_screen *s, int row)
{
	static char text[512];
	size_t n = 0;

	for (int x = 0; x < s->columns; x++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s", sutra_screen_cell(s, row, x)->glyph);
	while (n && text[n - 1] == ' ')
		text[--n] = '\0';
	return text;
}

static void text_stays_inside(void **state)
{
	struct sutra_screen s;

	sutra_screen_init(&s, 2, 8, true);
	assert_int_equal(sutra_screen_text(&s, 0, 2, 100, SUTRA_ROLE_OK, "abcdefghij"), 6);
	assert_string_equal(row_of(&s, 0), "  abcde\u2026");
	sutra_screen_text(&s, 5, 0, 3, SUTRA_ROLE_OK, "out");
	sutra_screen_text(&s, -1, 0, 3, SUTRA_ROLE_OK, "out");
	sutra_screen_text(&s, 1, 0, 8, SUTRA_ROLE_OK, "\u4e2d\033x\xff");
	assert_string_equal(row_of(&s, 1), "\u4e2d?x?");
	/* Half a wide character is no character. */
	sutra_screen_text(&s, 1, 1, 1, SUTRA_ROLE_OK, "y");
	assert_string_equal(row_of(&s, 1), " y?x?");
	s.utf8 = false;
	sutra_screen_clear(&s);
	sutra_screen_text(&s, 0, 0, 4, SUTRA_ROLE_OK, "a\u00e9bcd");
	assert_string_equal(row_of(&s, 0), "a?b~");
	sutra_screen_release(&s);
}

static void charts_show_parts(void **state)
{
	const double parts[] = { 97, 2, 1 }, entries[][SUTRA_CHART_PARTS] = { { 1, 1, 2 }, { 0, 0, 0 } },
		     none[] = { 0, 0, 0 }, values[] = { -1, 0, 5, 10 };
	struct sutra_screen s;

	sutra_screen_init(&s, 4, 10, false);
	sutra_chart_bar(&s, 0, 0, 10, parts);
	assert_string_equal(row_of(&s, 0), "########+.");
	sutra_chart_bar(&s, 1, 0, 10, none);
	assert_string_equal(row_of(&s, 1), "----------");
	sutra_screen_clear(&s);
	sutra_chart_stack(&s, 0, 0, 4, entries, 2);
	assert_string_equal(row_of(&s, 0), ".");
	assert_string_equal(row_of(&s, 3), "#-");
	sutra_chart_spark(&s, 2, 4, SUTRA_ROLE_OK, values, 4, 0);
	assert_string_equal(row_of(&s, 2), "+    _-#");
	sutra_screen_release(&s);
}

static void columns_give_way_in_order(void **state)
{
	static const struct sutra_grid_column columns[] = {
		{ "NAME", false, 0, 0 }, { "A", true, 2, 0 }, { "WORDS", false, 1, 4 }, { NULL, false, 0, 0 },
	};
	struct sutra_screen s;
	struct sutra_grid g;

	sutra_screen_init(&s, 3, 30, false);
	sutra_grid_init(&g, columns);
	for (int i = 0; i < 4; i++) {
		sutra_grid_cell(&g, SUTRA_ROLE_PLAIN, "row%d", i);
		sutra_grid_cell(&g, SUTRA_ROLE_PLAIN, "%d", 10 * i);
		sutra_grid_cell(&g, SUTRA_ROLE_PLAIN, "%s", "many words");
	}
	sutra_grid_draw(&g, &s, (struct sutra_rect){ 0, 0, 3, 30 }, 3);
	assert_string_equal(row_of(&s, 0), "NAME   A  WORDS");
	assert_string_equal(row_of(&s, 2), "row3  30  many words");
	assert_int_equal(sutra_screen_cell(&s, 2, 0)->role, SUTRA_ROLE_SELECT);
	sutra_screen_clear(&s);
	sutra_grid_draw(&g, &s, (struct sutra_rect){ 0, 0, 3, 11 }, -1);
	assert_string_equal(row_of(&s, 1), "row0  many~");
	sutra_grid_release(&g);
	sutra_screen_release(&s);
}

static uint64_t parsed(int argc, const char **argv, int *ret_operands)
{
	uint64_t period = 0;
	const struct sutra_option rows[] = {
		{ 0, "watch", SUTRA_OPT_PERIOD, &period, "[TIME]", "", 2000000000, 0, NULL }, { 0 },
	};

	assert_int_equal(sutra_options_parse(rows, argc, (char **)argv, ret_operands, NULL), 0);
	return period;
}

static void a_period_may_be_left_out(void **state)
{
	int n;

	assert_int_equal(parsed(2, (const char *[]){ "x", "--watch", NULL }, &n), 2000000000);
	assert_int_equal(parsed(3, (const char *[]){ "x", "--watch", "5s", NULL }, &n), 5000000000);
	assert_int_equal(n, 0);
	assert_int_equal(parsed(2, (const char *[]){ "x", "--watch=1s", NULL }, &n), 1000000000);
	assert_int_equal(parsed(3, (const char *[]){ "x", "--watch", "word", NULL }, &n), 2000000000);
	assert_int_equal(n, 1);
}

static int at_end;	/* a pipe */

/* As the terminal's restoration is registered. */
static void on_exit_of_the_process(void)
{
	if (write(at_end, "x", 1) != 1)
		abort();
}

/* Whichever allocation of a sample fails: the process either goes on or ends by exit, which gives the
 * terminal back; _exit would leave it raw. Returns whether an allocation was left to fail. */
static bool sample_without_memory(const char *folder, long n)
{
	int ends[2], status;
	char c;

	assert_int_equal(pipe(ends), 0);
	fflush(NULL);
	if (!fork()) {
		struct sutra_sampler *s;
		bool failed;

		at_end = ends[1];
		atexit(on_exit_of_the_process);
		if (sutra_sampler_new(folder, 1000000000, &s, NULL) || !freopen("/dev/null", "w", stderr))
			abort();
		sutra_alloc_fail_at(n);
		sutra_snapshot_unref(sutra_sampler_take(s));
		failed = sutra_alloc_failed();
		sutra_alloc_fail_at(0);
		sutra_sampler_free(s);
		exit(failed ? 1 : 0);
	}
	close(ends[1]);
	assert_int_equal(read(ends[0], &c, 1), 1);
	close(ends[0]);
	assert_true(wait(&status) > 0 && WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void a_sample_without_memory_leaves_no_raw_terminal(void **state)
{
	char folder[] = "/tmp/sutra-sampler.XXXXXX";
	long n = 1;

	assert_non_null(mkdtemp(folder));
	while (sample_without_memory(folder, n))
		n++;
	assert_true(n > 2);
	rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rates_need_two_and_are_never_negative),
		cmocka_unit_test(what_was_not_read_keeps_its_age),
		cmocka_unit_test(windows_count_hits),
		cmocka_unit_test(a_window_is_no_longer_than_what_it_counts),
		cmocka_unit_test(what_changed_is_told_once),
		cmocka_unit_test(another_process_is_told_over_a_gap),
		cmocka_unit_test(events_are_bounded_and_newest_first),
		cmocka_unit_test(text_stays_inside),
		cmocka_unit_test(charts_show_parts),
		cmocka_unit_test(columns_give_way_in_order),
		cmocka_unit_test(a_period_may_be_left_out),
		cmocka_unit_test(a_sample_without_memory_leaves_no_raw_terminal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
