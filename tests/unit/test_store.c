/* lib/store: what is put comes back, now and after any crash; damage is told, never read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "store_folder.h"
#include "../wait.h"

/* In the C library's place: a process that lives on needs no disk to find what it wrote. */
int fsync(int fd) { return 0; }
int fdatasync(int fd) { return 0; }

static void what_is_put_is_there_again(void **state)
{
	struct sutra_engine *e = open_store(100);
	struct sutra_engine_stats stats;
	uint64_t n;
	bool found;

	write_one(e, "a", "one");
	write_one(e, "b", "two");
	write_one(e, "a", "three");
	assert_int_equal(sutra_engine_delete(e, "b", 1, &found, NULL), 0);
	assert_true(found);
	assert_int_equal(sutra_engine_delete(e, "c", 1, &found, NULL), 0);
	assert_false(found);
	write_one(e, "d", "four");
	sutra_engine_close(e);
	e = open_store(100);
	assert_true(has(e, "a", "three", NULL) && has(e, "d", "four", NULL));
	assert_false(has(e, "b", "two", NULL));
	sutra_engine_stats(e, &stats);
	assert_int_equal(stats.concepts, 2);
	assert_int_equal(stats.hits, 2);
	assert_int_equal(stats.misses, 1);
	assert_int_equal(sutra_engine_clear(e, &n, NULL), 0);
	assert_int_equal(n, 2);
	sutra_engine_close(e);
	e = open_store(100);
	assert_false(has(e, "a", "three", NULL));
	assert_int_equal(report.damaged_ranges + report.torn_bytes, 0);
	sutra_engine_close(e);
}

static uint64_t wall_us, monotonic_us;

static void clocks(uint64_t *ret_wall_us, uint64_t *ret_monotonic_us)
{
	*ret_wall_us = wall_us;
	*ret_monotonic_us = monotonic_us;
}

static struct sutra_engine *open_by_clocks(void)
{
	const struct sutra_engine_options o = { .dir = dir, .max_concepts = 100, .clocks = clocks };
	struct sutra_engine *e;

	assert_int_equal(sutra_engine_open(&o, &e, &report, NULL), 0);
	return e;
}

/* Seconds go by; the wall clock is set by some on top. */
static void pass(uint64_t seconds, int64_t set_by)
{
	monotonic_us += seconds * 1000000;
	wall_us += (uint64_t)((int64_t)seconds + set_by) * 1000000;
}

static void a_clock_set_back_makes_nothing_older(void **state)
{
	const int64_t year = 365 * 86400;
	struct sutra_engine_stats stats;
	struct sutra_engine *e;

	wall_us = 1700000000000000 + (uint64_t)year * 1000000;
	monotonic_us = 5000000;
	e = open_by_clocks();
	assert_int_equal(put(e, "a", "one", 100), 0);
	pass(50, -year);
	assert_true(has(e, "a", "one", NULL));
	sutra_engine_stats(e, &stats);
	assert_int_equal(stats.clock_ahead_seconds, year);
	pass(49, 0);
	assert_true(has(e, "a", "one", NULL));
	pass(1, 0);
	assert_false(has(e, "a", "one", NULL));
	/* over a restart: what is left of its time counts from there */
	assert_int_equal(put(e, "b", "two", 100), 0);
	sutra_engine_close(e);
	e = open_by_clocks();
	pass(99, 0);
	assert_true(has(e, "b", "two", NULL));
	pass(1, 0);
	assert_false(has(e, "b", "two", NULL));
	/* set forward: gone early, and what comes then lives as long as it should */
	assert_int_equal(put(e, "c", "three", 100), 0);
	pass(1, year);
	assert_false(has(e, "c", "three", NULL));
	assert_int_equal(put(e, "c", "four", 100), 0);
	pass(99, 0);
	assert_true(has(e, "c", "four", NULL));
	pass(1, 0);
	assert_false(has(e, "c", "four", NULL));
	sutra_engine_close(e);
}

static void a_second_owner_is_refused_by_name(void **state)
{
	const struct sutra_engine_options o = { .dir = dir, .max_concepts = 1 };
	struct sutra_engine *e = open_store(1), *second;
	struct sutra_err err;
	char pid[32];

	assert_int_equal(sutra_engine_open(&o, &second, &report, &err), SUTRA_E_LOCKED);
	snprintf(pid, sizeof(pid), "pid %ld", (long)getpid());
	assert_non_null(strstr(err.message, pid));
	sutra_engine_close(e);
}

static void the_least_recently_used_goes_first(void **state)
{
	struct sutra_engine *e = open_store(3);
	struct sutra_engine_stats stats;

	write_one(e, "a", "1");
	write_one(e, "b", "2");
	write_one(e, "c", "3");
	assert_true(has(e, "a", "1", NULL));
	write_one(e, "d", "4");
	assert_false(has(e, "b", "2", NULL));
	assert_true(has(e, "a", "1", NULL) && has(e, "c", "3", NULL) && has(e, "d", "4", NULL));
	sutra_engine_stats(e, &stats);
	assert_int_equal(stats.evictions, 1);
	assert_int_equal(stats.concepts, 3);
	sutra_engine_close(e);
	e = open_store(2);	/* a smaller bound holds from the start */
	sutra_engine_stats(e, &stats);
	assert_int_equal(stats.concepts, 2);
	sutra_engine_close(e);
}

static void expiry_is_wall_clock_and_survives(void **state)
{
	struct sutra_engine *e = open_store(10);
	struct sutra_engine_stats stats;

	assert_int_equal(put(e, "short", "x", 1), 0);
	assert_int_equal(put(e, "long", "y", 1000), 0);
	assert_int_equal(put(e, "ever", "z", 0), 0);
	assert_int_equal(sutra_engine_commit(e, NULL), 0);
	sutra_engine_close(e);
	e = open_store(10);
	WAIT_UNTIL(!has(e, "short", "x", NULL));	/* the clock passes the expiry */
	sutra_engine_close(e);
	e = open_store(10);
	assert_false(has(e, "short", "x", NULL));
	assert_true(has(e, "long", "y", NULL) && has(e, "ever", "z", NULL));
	sutra_engine_stats(e, &stats);
	assert_int_equal(stats.expired, 1);
	sutra_engine_close(e);
}

/* A log of one frame a record: k0..k4, then k1 again; returns its bytes. The manifests are those of
 * the log in use, and closed. */
enum { KEYS = 5 };

static char *in_use, *closed;
static size_t manifest_n;

static char *manifest(void)
{
	char path[128], *bytes;

	snprintf(path, sizeof(path), "%s/manifest", dir);
	assert_int_equal(sutra_file_read(path, 1 << 10, &bytes, &manifest_n, NULL), 0);
	return bytes;
}

static char *small_log(size_t *ret_n, size_t ends[KEYS + 2])
{
	struct sutra_engine *e = open_store(100);
	struct sutra_engine_stats stats;
	char path[128], id[8], *bytes;

	sutra_engine_stats(e, &stats);
	ends[0] = stats.wal_bytes;
	for (int i = 0; i <= KEYS; i++) {
		snprintf(id, sizeof(id), "k%d", i == KEYS ? 1 : i);
		write_one(e, id, i == KEYS ? "new" : "old");
		sutra_engine_stats(e, &stats);
		ends[i + 1] = stats.wal_bytes;
	}
	in_use = manifest();
	sutra_engine_close(e);
	closed = manifest();
	snprintf(path, sizeof(path), "%s/000001.wal", dir);
	assert_int_equal(sutra_file_read(path, 1 << 20, &bytes, ret_n, NULL), 0);
	assert_int_equal(*ret_n, ends[KEYS + 1]);
	return bytes;
}

static void free_log(char *bytes)
{
	sutra_free(bytes);
	sutra_free(in_use);
	sutra_free(closed);
}

static void fresh_log(const char *bytes, size_t n, const char *as)
{
	char path[128];

	assert_int_equal(sutra_remove_tree(dir, NULL), 0);
	assert_int_equal(sutra_mkdirs(dir, 0700, NULL), 0);
	snprintf(path, sizeof(path), "%s/000001.wal", dir);
	assert_int_equal(sutra_file_write(path, bytes, n, 0600, NULL), 0);
	snprintf(path, sizeof(path), "%s/manifest", dir);
	assert_int_equal(sutra_file_write(path, as, manifest_n, 0600, NULL), 0);
}

/* Cut at every byte: every record whose frame ends before the cut is there, nothing behind it. */
static void a_torn_write_loses_nothing_before_it(void **state)
{
	size_t n, ends[KEYS + 2];
	char *bytes = small_log(&n, ends), id[8];

	for (size_t cut = ends[0]; cut <= n; cut++) {
		struct sutra_engine *e;
		size_t whole = 0;

		fresh_log(bytes, cut, in_use);
		e = open_store(100);
		while (whole <= KEYS && ends[whole + 1] <= cut)
			whole++;
		for (size_t i = 0; i < KEYS; i++) {
			bool wanted = i < whole;

			snprintf(id, sizeof(id), "k%zu", i);
			assert_int_equal(has(e, id, i == 1 && whole > KEYS ? "new" : "old", NULL), wanted);
		}
		assert_int_equal(report.torn_bytes, cut - ends[whole]);
		assert_int_equal(report.damaged_ranges, 0);
		write_one(e, "k9", "after");	/* and the log goes on behind the cut */
		sutra_engine_close(e);
		e = open_store(100);
		assert_true(has(e, "k9", "after", NULL));
		assert_int_equal(report.torn_bytes + report.damaged_ranges, 0);
		sutra_engine_close(e);
	}
	free_log(bytes);
}

/* The same behind a close: then it is no torn write, and what is lost is counted. */
static void a_log_that_was_closed_has_no_torn_end(void **state)
{
	size_t n, ends[KEYS + 2];
	char *bytes = small_log(&n, ends);

	for (size_t cut = ends[0]; cut < n; cut++) {
		struct sutra_engine *e;
		size_t whole = 0;

		fresh_log(bytes, cut, closed);
		e = open_store(100);
		while (ends[whole + 1] <= cut)
			whole++;
		assert_int_equal(report.torn_bytes, 0);
		assert_int_equal(report.damaged_ranges, 1);
		assert_int_equal(report.lost_records, KEYS + 1 - whole);
		assert_int_equal(report.damages[0].first_lsn, whole + 1);
		sutra_engine_close(e);
	}
	free_log(bytes);
}

/* One bit flipped at every byte: told, at most its own frame is lost, nothing false is read. */
static void flip_every_bit(bool is_closed)
{
	size_t n, ends[KEYS + 2];
	char *bytes = small_log(&n, ends), id[8];

	for (size_t at = 0; at < n; at++) {
		struct sutra_engine *e;
		size_t hit = 0;

		bytes[at] ^= (char)(1 << at % 8);
		fresh_log(bytes, n, is_closed ? closed : in_use);
		bytes[at] ^= (char)(1 << at % 8);
		e = open_store(100);
		if (!report.damaged_ranges && !report.torn_bytes)
			fail_msg("a flipped bit of byte %zu is not told", at);
		while (hit <= KEYS && ends[hit] <= at)
			hit++;
		for (size_t i = 0; i < KEYS; i++) {
			bool there;

			snprintf(id, sizeof(id), "k%zu", i);
			there = has(e, id, "old", i == 1 ? "new" : NULL);
			if (!hit || i != hit - 1)	/* another frame, or the header, which is there twice */
				assert_true(there);
		}
		if (is_closed || hit <= KEYS)
			assert_int_equal(report.lost_records, hit > 0);
		if (hit && report.lost_records)
			assert_int_equal(report.damages[0].first_lsn, hit);
		sutra_engine_close(e);
	}
	free_log(bytes);
}

static void every_flipped_bit_is_told(void **state) { flip_every_bit(true); }

static void every_flipped_bit_of_a_log_in_use_is_told(void **state) { flip_every_bit(false); }

/* The manifest's own bits: told, and nothing is lost. */
static void every_flipped_bit_of_the_manifest_is_told(void **state)
{
	size_t n, ends[KEYS + 2];
	char *bytes = small_log(&n, ends), id[8];

	for (size_t at = 0; at < manifest_n; at++) {
		struct sutra_engine *e;

		closed[at] ^= (char)(1 << at % 8);
		fresh_log(bytes, n, closed);
		closed[at] ^= (char)(1 << at % 8);
		e = open_store(100);
		assert_int_equal(report.damaged_ranges, 1);
		for (size_t i = 0; i < KEYS; i++) {
			snprintf(id, sizeof(id), "k%zu", i);
			assert_true(has(e, id, i == 1 ? "new" : "old", NULL));
		}
		sutra_engine_close(e);
		e = open_store(100);	/* it was written anew */
		assert_int_equal(report.damaged_ranges, 0);
		sutra_engine_close(e);
	}
	free_log(bytes);
}

static void damage_names_segment_and_offset(void **state)
{
	size_t n, ends[KEYS + 2];
	char *bytes = small_log(&n, ends), where[128], text[256];
	struct sutra_engine *e;

	bytes[ends[1] + 55] ^= 1;
	fresh_log(bytes, n, in_use);
	e = open_store(100);
	assert_int_equal(report.damaged_ranges, 1);
	sutra_wal_damage_text(&report.damages[0], text, sizeof(text));
	snprintf(where, sizeof(where), "000001.wal at %zu: checksum, %zu bytes; 1 records are lost (LSN 2-2)",
		 ends[1], ends[2] - ends[1]);
	assert_string_equal(text, where);
	assert_int_equal(report.damaged_bytes, ends[2] - ends[1]);
	sutra_engine_close(e);
	free_log(bytes);
}

/* Leaves a few bytes of what earlier calls left on the stack, and spoils the rest. */
static __attribute__((noinline)) void spoil_stack(unsigned seed)
{
	volatile char junk[8192];

	for (size_t i = seed % 96; i < sizeof(junk); i += 96)
		for (size_t k = i; k < i + 24 && k < sizeof(junk); k++)
			junk[k] = (char)0xA5;
}

/* A checksum must not depend on what stood in memory before. */
static void frames_of_any_size_are_read_again(void **state)
{
	struct sutra_engine *e = open_store(1000);
	char content[2048], id[8];

	memset(content, 'c', sizeof(content) - 1);
	content[sizeof(content) - 1] = '\0';
	for (int i = 0; i < 300; i++) {
		snprintf(id, sizeof(id), "k%d", i);
		assert_int_equal(put(e, id, content, 0), 0);
		spoil_stack((unsigned)i * 7);
		if (i % 3)
			assert_int_equal(sutra_engine_commit(e, NULL), 0);
	}
	sutra_engine_close(e);
	e = open_store(1000);
	assert_int_equal(report.torn_bytes + report.damaged_ranges, 0);
	for (int i = 0; i < 300; i++) {
		snprintf(id, sizeof(id), "k%d", i);
		assert_true(has(e, id, content, NULL));
	}
	sutra_engine_close(e);
}

/* Whatever allocation fails: an error or an answer, and what was acknowledged is there. */
static void every_failing_allocation_is_survived(void **state)
{
	const struct sutra_engine_options o = { .dir = dir, .max_concepts = 10 };
	long at = 1;
	int failed;

	do {
		struct sutra_engine *e = NULL;
		bool acknowledged = false;

		assert_int_equal(sutra_remove_tree(dir, NULL), 0);
		sutra_alloc_fail_at(at++);
		if (!sutra_engine_open(&o, &e, &report, NULL)) {
			acknowledged = !put(e, "a", "1", 0) && !sutra_engine_commit(e, NULL);
			sutra_engine_tick(e);
			sutra_engine_close(e);
		}
		failed = sutra_alloc_failed();
		sutra_alloc_fail_at(0);
		e = open_store(10);
		if (acknowledged)
			assert_true(has(e, "a", "1", NULL));
		sutra_engine_close(e);
	} while (failed);
	assert_true(at > 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(what_is_put_is_there_again), T(a_clock_set_back_makes_nothing_older), T(a_second_owner_is_refused_by_name),
		T(the_least_recently_used_goes_first), T(expiry_is_wall_clock_and_survives),
		T(a_torn_write_loses_nothing_before_it), T(a_log_that_was_closed_has_no_torn_end),
		T(every_flipped_bit_is_told), T(every_flipped_bit_of_a_log_in_use_is_told),
		T(every_flipped_bit_of_the_manifest_is_told),
		T(damage_names_segment_and_offset), T(frames_of_any_size_are_read_again),
		T(every_failing_allocation_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
