/* lib/store: what is put comes back, now and after any crash; damage is told, never read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "store/engine.h"

/* The disk under the engine: in the C library's place, so that a sync can fail. */
static bool syncs_fail;

int fdatasync(int fd)
{
	if (!syncs_fail)
		return (int)syscall(SYS_fdatasync, fd);
	errno = EIO;
	return -1;
}

static char dir[64];
static struct sutra_wal_report report;
static const float vector[4] = { 0.5f, -1, 2, 4 };

static int setup(void **state)
{
	snprintf(dir, sizeof(dir), "/tmp/sutra-store-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state) { return sutra_remove_tree(dir, NULL); }

static struct sutra_engine *open_store(size_t max)
{
	const struct sutra_engine_options o = { .dir = dir, .max_concepts = max };
	struct sutra_engine *e = NULL;
	struct sutra_err err;

	if (sutra_engine_open(&o, &e, &report, &err))
		fail_msg("%s", err.message);
	return e;
}

static int put(struct sutra_engine *e, const char *id, const char *content, uint64_t ttl)
{
	const struct sutra_record r = { .id = id, .id_len = strlen(id), .content = content,
					.content_len = strlen(content), .embedding = vector, .dimension = 4,
					.metadata = "{}", .metadata_len = 2, .strength = 0.5f,
					.confidence = 0.25f, .ttl_seconds = ttl };
	uint64_t sequence;

	return sutra_engine_put(e, &r, &sequence, NULL);
}

static void write_one(struct sutra_engine *e, const char *id, const char *content)
{
	assert_int_equal(put(e, id, content, 0), 0);
	assert_int_equal(sutra_engine_commit(e, NULL), 0);
}

/* Whether id is there; if so it must be whole and its content one of a, b. */
static bool has(struct sutra_engine *e, const char *id, const char *a, const char *b)
{
	struct sutra_record r;

	if (!sutra_engine_get(e, id, strlen(id), &r))
		return false;
	assert_int_equal(r.id_len, strlen(id));
	assert_memory_equal(r.id, id, r.id_len);
	if ((r.content_len != strlen(a) || memcmp(r.content, a, r.content_len)) &&
	    (!b || r.content_len != strlen(b) || memcmp(r.content, b, r.content_len)))
		fail_msg("%s holds %.*s", id, (int)r.content_len, (const char *)r.content);
	assert_int_equal(r.dimension, 4);
	assert_memory_equal(r.embedding, vector, sizeof(vector));
	assert_int_equal(r.metadata_len, 2);
	assert_true(r.strength == 0.5f && r.confidence == 0.25f);
	return true;
}

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
	int64_t start;

	assert_int_equal(put(e, "short", "x", 1), 0);
	assert_int_equal(put(e, "long", "y", 1000), 0);
	assert_int_equal(put(e, "ever", "z", 0), 0);
	start = sutra_clock_wall_us();
	assert_int_equal(sutra_engine_commit(e, NULL), 0);
	sutra_engine_close(e);
	e = open_store(10);
	while (has(e, "short", "x", NULL))	/* the event: the clock passes the expiry */
		;
	assert_true(sutra_clock_wall_us() - start <= 60000000);
	sutra_engine_close(e);
	e = open_store(10);
	assert_false(has(e, "short", "x", NULL));
	assert_true(has(e, "long", "y", NULL) && has(e, "ever", "z", NULL));
	sutra_engine_stats(e, &stats);
	assert_int_equal(stats.expired, 1);
	sutra_engine_close(e);
}

/* A log of one frame a record: k0..k4, then k1 again; returns its bytes. */
enum { KEYS = 5 };

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
	sutra_engine_close(e);
	snprintf(path, sizeof(path), "%s/000001.wal", dir);
	assert_int_equal(sutra_file_read(path, 1 << 20, &bytes, ret_n, NULL), 0);
	assert_int_equal(*ret_n, ends[KEYS + 1]);
	return bytes;
}

static void fresh_log(const char *bytes, size_t n)
{
	char path[128];

	assert_int_equal(sutra_remove_tree(dir, NULL), 0);
	assert_int_equal(sutra_mkdirs(dir, 0700, NULL), 0);
	snprintf(path, sizeof(path), "%s/000001.wal", dir);
	assert_int_equal(sutra_file_write(path, bytes, n, 0600, NULL), 0);
}

/* Cut at every byte: every record whose frame ends before the cut is there, nothing behind it. */
static void a_torn_write_loses_nothing_before_it(void **state)
{
	size_t n, ends[KEYS + 2];
	char *bytes = small_log(&n, ends), id[8];

	for (size_t cut = 0; cut <= n; cut++) {
		struct sutra_engine *e;
		size_t whole = 0;

		fresh_log(bytes, cut);
		e = open_store(100);
		while (whole <= KEYS && ends[whole + 1] <= cut)
			whole++;
		for (size_t i = 0; i < KEYS; i++) {
			bool wanted = i < whole;

			snprintf(id, sizeof(id), "k%zu", i);
			assert_int_equal(has(e, id, i == 1 && whole > KEYS ? "new" : "old", NULL), wanted);
		}
		assert_int_equal(report.torn_bytes,
				 cut < ends[0] ? cut : cut - (whole ? ends[whole] : ends[0]));
		assert_int_equal(report.damaged_ranges, 0);
		write_one(e, "k9", "after");	/* and the log goes on behind the cut */
		sutra_engine_close(e);
		e = open_store(100);
		assert_true(has(e, "k9", "after", NULL));
		assert_int_equal(report.torn_bytes, 0);
		sutra_engine_close(e);
	}
	sutra_free(bytes);
}

/* One bit flipped at every byte: told, at most its own frame is lost, nothing false is read. */
static void every_flipped_bit_is_told(void **state)
{
	size_t n, ends[KEYS + 2];
	char *bytes = small_log(&n, ends), id[8];

	for (size_t at = 0; at < n; at++) {
		struct sutra_engine *e;
		size_t hit = 0;

		bytes[at] ^= (char)(1 << at % 8);
		fresh_log(bytes, n);
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
			if (hit && i != hit - 1)	/* another frame: it is there */
				assert_true(there);
		}
		sutra_engine_close(e);
	}
	sutra_free(bytes);
}

static void damage_names_segment_and_offset(void **state)
{
	size_t n, ends[KEYS + 2];
	char *bytes = small_log(&n, ends), where[64];
	struct sutra_engine *e;

	bytes[ends[1] + 45] ^= 1;
	fresh_log(bytes, n);
	e = open_store(100);
	snprintf(where, sizeof(where), "000001.wal at %zu", ends[1]);
	assert_non_null(strstr(report.first_damage, where));
	assert_int_equal(report.damaged_ranges, 1);
	assert_int_equal(report.damaged_bytes, ends[2] - ends[1]);
	sutra_engine_close(e);
	sutra_free(bytes);
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

/* Overwriting the same few concepts must not fill the disk. */
static void the_log_is_rewritten_when_it_is_mostly_dead(void **state)
{
	struct sutra_engine *e = open_store(100);
	char *big = sutra_alloc(100001), id[8];
	struct sutra_engine_stats stats;
	uint64_t most = 0;

	memset(big, 'x', 100000);
	big[100000] = '\0';
	for (int i = 0; i < 1500; i++) {	/* 150 MB of puts, 1 MB alive */
		snprintf(id, sizeof(id), "k%d", i % 10);
		write_one(e, id, big);
		sutra_engine_tick(e);
		sutra_engine_stats(e, &stats);
		most = stats.wal_bytes > most ? stats.wal_bytes : most;
	}
	assert_true(stats.reconciliations > 0);
	assert_true(most < 64u << 20);
	sutra_engine_close(e);
	e = open_store(100);
	for (int i = 0; i < 10; i++) {
		snprintf(id, sizeof(id), "k%d", i);
		assert_true(has(e, id, big, NULL));
	}
	assert_int_equal(report.damaged_ranges + report.torn_bytes, 0);
	sutra_engine_close(e);
	sutra_free(big);
}

/* A store whose log is mostly dead: SMALL concepts alive under one that was overwritten often. */
enum { SMALL = 5000 };

static struct sutra_engine *mostly_dead(void)
{
	enum { BIG = 100000 };
	struct sutra_engine *e = open_store(SMALL + 10);
	char *big = sutra_alloc(BIG + 1), id[16];

	memset(big, 'x', BIG);
	big[BIG] = '\0';
	for (int i = 0; i < SMALL; i++) {
		snprintf(id, sizeof(id), "s%d", i);
		assert_int_equal(put(e, id, "here", 0), 0);
		if (i % 500 == 499)
			assert_int_equal(sutra_engine_commit(e, NULL), 0);
	}
	for (int i = 0; i < 250; i++)
		write_one(e, "big", big);
	sutra_free(big);
	return e;
}

/* Closes the store and opens it again: every small concept is there. */
static void nothing_is_lost(struct sutra_engine *e)
{
	char id[16];

	sutra_engine_close(e);
	e = open_store(SMALL + 10);
	for (int i = 0; i < SMALL; i++) {
		snprintf(id, sizeof(id), "s%d", i);
		if (!has(e, id, "here", NULL))
			fail_msg("%s is gone", id);
	}
	sutra_engine_close(e);
}

/* A tick whose frame cannot be written is done again: nothing falls between two steps. */
static void a_failed_step_of_a_rewrite_loses_nothing(void **state)
{
	struct sutra_engine *e = mostly_dead();
	struct rlimit whole, tight;
	struct sutra_engine_stats stats;

	sutra_engine_tick(e);	/* begins, and does the first step */
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &whole), 0);
	tight = (struct rlimit){ 64, whole.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
	sutra_engine_tick(e);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &whole), 0);
	sutra_engine_stats(e, &stats);
	assert_int_equal(stats.reconciliations, 0);
	for (int i = 0; i < 20; i++)
		sutra_engine_tick(e);
	sutra_engine_stats(e, &stats);
	assert_true(stats.reconciliations > 0);
	nothing_is_lost(e);
}

/* Makes every write of the log fail until it is called with false. */
static void no_room(bool on)
{
	static struct rlimit whole;
	struct rlimit tight;

	signal(SIGXFSZ, SIG_IGN);
	if (on)
		assert_int_equal(getrlimit(RLIMIT_FSIZE, &whole), 0);
	tight = (struct rlimit){ 33, whole.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_FSIZE, on ? &tight : &whole), 0);
}

/* What a reader sees is what the log holds, whatever was refused. */
static void a_refused_write_is_undone(void **state)
{
	struct sutra_engine *e = open_store(3);
	struct sutra_engine_stats stats;
	uint64_t n;
	bool found;

	write_one(e, "a", "one");
	write_one(e, "b", "two");
	write_one(e, "c", "three");
	no_room(true);
	assert_int_equal(put(e, "a", "new", 0), 0);	/* over one that is there */
	assert_int_equal(put(e, "a", "newer", 0), 0);
	assert_int_equal(put(e, "d", "four", 0), 0);	/* "b" goes for it */
	assert_int_equal(sutra_engine_delete(e, "c", 1, &found, NULL), 0);
	assert_int_equal(sutra_engine_delete(e, "a", 1, &found, NULL), 0);
	assert_int_not_equal(sutra_engine_commit(e, NULL), 0);
	assert_true(has(e, "a", "one", NULL) && has(e, "b", "two", NULL) && has(e, "c", "three", NULL));
	assert_false(has(e, "d", "four", NULL));
	assert_int_equal(sutra_engine_clear(e, &n, NULL), 0);
	assert_int_equal(n, 3);
	assert_int_not_equal(sutra_engine_commit(e, NULL), 0);
	assert_true(has(e, "a", "one", NULL) && has(e, "b", "two", NULL) && has(e, "c", "three", NULL));
	sutra_engine_stats(e, &stats);
	assert_int_equal(stats.concepts, 3);
	assert_int_equal(stats.dropped, 6);
	no_room(false);
	sutra_engine_close(e);
	e = open_store(3);
	assert_true(has(e, "a", "one", NULL) && has(e, "b", "two", NULL) && has(e, "c", "three", NULL));
	sutra_engine_close(e);
}

/* The same while the log is rewritten: what came back is in the segments that stay. */
static void what_was_undone_is_rewritten_too(void **state)
{
	struct sutra_engine *e = mostly_dead();
	struct sutra_engine_stats stats;
	uint64_t n;

	sutra_engine_tick(e);
	no_room(true);
	assert_int_equal(sutra_engine_clear(e, &n, NULL), 0);
	assert_int_not_equal(sutra_engine_commit(e, NULL), 0);
	no_room(false);
	do {
		sutra_engine_tick(e);
		sutra_engine_stats(e, &stats);
	} while (!stats.reconciliations);
	nothing_is_lost(e);
}

static bool first_segment_is_there(void)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/000001.wal", dir);
	return !access(path, F_OK);
}

static void assert_broken(struct sutra_engine *e)
{
	struct sutra_engine_stats stats;
	uint64_t n;
	bool found;

	sutra_engine_stats(e, &stats);
	assert_non_null(stats.read_only);
	assert_int_equal(put(e, "x", "y", 0), SUTRA_E_READONLY);
	assert_int_equal(sutra_engine_delete(e, "a", 1, &found, NULL), SUTRA_E_READONLY);
	assert_int_equal(sutra_engine_clear(e, &n, NULL), SUTRA_E_READONLY);
	assert_int_equal(sutra_engine_flush(e, NULL), SUTRA_E_READONLY);
	assert_int_equal(sutra_engine_sync_begin(e), SUTRA_SYNC_HAS_FAILED);
	assert_true(has(e, "a", "one", NULL));
	assert_true(first_segment_is_there());
}

/* Ticks until the store takes writes again; then nothing rests on the doubtful segment. */
static void assert_mends(struct sutra_engine *e)
{
	struct sutra_engine_stats stats;

	for (int i = 0; i < 10; i++)
		sutra_engine_tick(e);
	sutra_engine_stats(e, &stats);
	assert_null(stats.read_only);
	assert_false(first_segment_is_there());
	assert_int_equal(sutra_engine_sync_begin(e), SUTRA_NOTHING_TO_SYNC);
	write_one(e, "b", "two");
	sutra_engine_close(e);
	e = open_store(100);
	assert_true(has(e, "a", "one", NULL) && has(e, "b", "two", NULL));
	assert_false(has(e, "x", "y", NULL));
	sutra_engine_close(e);
}

static void a_failed_sync_is_not_forgotten(void **state)
{
	struct sutra_engine *e = open_store(100);
	int fd;

	write_one(e, "a", "one");
	fd = sutra_engine_sync_begin(e);
	assert_true(fd >= 0);
	assert_int_equal(put(e, "x", "y", 0), 0);
	assert_int_equal(sutra_engine_sync_end(e, fd, EIO, NULL), SUTRA_E_IO);
	assert_int_equal(sutra_engine_commit(e, NULL), SUTRA_E_READONLY);
	assert_broken(e);
	syncs_fail = true;	/* no new segment is to be had */
	sutra_engine_tick(e);
	syncs_fail = false;
	assert_broken(e);
	assert_mends(e);
}

static void a_failed_flush_is_not_forgotten(void **state)
{
	struct sutra_engine *e = open_store(100);

	write_one(e, "a", "one");
	syncs_fail = true;
	assert_int_equal(sutra_engine_flush(e, NULL), SUTRA_E_IO);
	syncs_fail = false;
	assert_broken(e);
	assert_mends(e);
}

/* A rewriting that is under way writes into the very segment whose sync fails. */
static void a_sync_that_fails_in_a_rewrite_is_not_forgotten(void **state)
{
	struct sutra_engine *e = mostly_dead();
	char path[128];
	struct sutra_engine_stats stats;
	int fd;

	sutra_engine_tick(e);	/* the first step of three, into the second segment */
	fd = sutra_engine_sync_begin(e);
	assert_true(fd >= 0);
	assert_int_equal(sutra_engine_sync_end(e, fd, EIO, NULL), SUTRA_E_IO);
	for (int i = 0; i < 2; i++)
		sutra_engine_tick(e);
	sutra_engine_stats(e, &stats);
	assert_int_equal(stats.reconciliations, 0);
	assert_non_null(stats.read_only);
	assert_true(first_segment_is_there());
	syncs_fail = true;	/* and the last step's, too */
	sutra_engine_tick(e);
	syncs_fail = false;
	sutra_engine_stats(e, &stats);
	assert_non_null(stats.read_only);
	assert_true(first_segment_is_there());
	for (int i = 0; i < 10; i++)
		sutra_engine_tick(e);
	sutra_engine_stats(e, &stats);
	assert_null(stats.read_only);
	snprintf(path, sizeof(path), "%s/000002.wal", dir);
	assert_int_not_equal(access(path, F_OK), 0);
	nothing_is_lost(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(what_is_put_is_there_again), T(a_second_owner_is_refused_by_name),
		T(the_least_recently_used_goes_first), T(expiry_is_wall_clock_and_survives),
		T(a_torn_write_loses_nothing_before_it), T(every_flipped_bit_is_told),
		T(damage_names_segment_and_offset), T(frames_of_any_size_are_read_again),
		T(every_failing_allocation_is_survived), T(the_log_is_rewritten_when_it_is_mostly_dead),
		T(a_failed_step_of_a_rewrite_loses_nothing), T(a_refused_write_is_undone),
		T(what_was_undone_is_rewritten_too), T(a_failed_sync_is_not_forgotten),
		T(a_failed_flush_is_not_forgotten), T(a_sync_that_fails_in_a_rewrite_is_not_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
