/* lib/store: on a disk that fills, refuses writes or forgets them, nothing acknowledged is lost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"
#include "store_folder.h"
#include "../wait.h"

/* The disk under the engine: in the C library's place, so that a sync can fail. */
static bool syncs_fail;

static int sync_by(long call, int fd)
{
	if (!syncs_fail)
		return (int)syscall(call, fd);
	errno = EIO;
	return -1;
}

int fdatasync(int fd) { return sync_by(SYS_fdatasync, fd); }
int fsync(int fd) { return sync_by(SYS_fsync, fd); }

/* The log takes nothing more: as when there is no memory for its frame. */
static bool appends_fail;
int __real_sutra_wal_append(struct sutra_wal *w, enum sutra_log_record type, const void *body, size_t n,
			    uint64_t *ret_lsn, struct sutra_err *err);
int __wrap_sutra_wal_append(struct sutra_wal *w, enum sutra_log_record type, const void *body, size_t n,
			    uint64_t *ret_lsn, struct sutra_err *err);

int __wrap_sutra_wal_append(struct sutra_wal *w, enum sutra_log_record type, const void *body, size_t n,
			    uint64_t *ret_lsn, struct sutra_err *err)
{
	if (appends_fail)
		return sutra_fail(err, SUTRA_E_NOMEM, "out of memory");
	return __real_sutra_wal_append(w, type, body, n, ret_lsn, err);
}

/* What a failed sync left in doubt is written anew at the end; without memory for that it ends all the same. */
static void without_memory_it_closes(void **state)
{
	struct sutra_engine *e = open_store(100);

	write_one(e, "a", "one");
	syncs_fail = true;
	assert_int_not_equal(sutra_engine_flush(e, NULL), 0);
	syncs_fail = false;
	appends_fail = true;
	sutra_engine_close(e);
	appends_fail = false;
	e = open_store(100);
	assert_true(has(e, "a", "one", NULL));
	sutra_engine_close(e);
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

enum { HEAD_ONLY = 200 };	/* room for a segment's header and for a manifest, not for a frame */

/* Makes every write behind a file's first bytes fail until it is called with false. */
static void no_room(bool on, rlim_t bytes)
{
	static struct rlimit whole;
	struct rlimit tight;

	signal(SIGXFSZ, SIG_IGN);
	if (on)
		assert_int_equal(getrlimit(RLIMIT_FSIZE, &whole), 0);
	tight = (struct rlimit){ bytes, whole.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_FSIZE, on ? &tight : &whole), 0);
}

/* A tick whose frame cannot be written is done again: nothing falls between two steps. */
static void a_failed_step_of_a_rewrite_loses_nothing(void **state)
{
	struct sutra_engine *e = mostly_dead();
	struct sutra_engine_stats stats;

	sutra_engine_tick(e);	/* begins, and does the first step */
	no_room(true, HEAD_ONLY);
	sutra_engine_tick(e);
	no_room(false, 0);
	sutra_engine_stats(e, &stats);
	assert_int_equal(stats.reconciliations, 0);
	for (int i = 0; i < 20; i++)
		sutra_engine_tick(e);
	sutra_engine_stats(e, &stats);
	assert_true(stats.reconciliations > 0);
	nothing_is_lost(e);
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
	no_room(true, HEAD_ONLY);
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
	no_room(false, 0);
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
	no_room(true, HEAD_ONLY);
	assert_int_equal(sutra_engine_clear(e, &n, NULL), 0);
	assert_int_not_equal(sutra_engine_commit(e, NULL), 0);
	no_room(false, 0);
	WAIT_UNTIL((sutra_engine_tick(e), sutra_engine_stats(e, &stats), stats.reconciliations));
	nothing_is_lost(e);
}

/* Writes of any kind fail, from the start on: what is there is read, and room that comes is noticed. */
static void a_full_disk_opens_for_reading(void **state)
{
	struct sutra_engine *e = open_store(100);
	struct sutra_engine_stats stats;
	uint64_t n;
	bool found;

	write_one(e, "a", "one");
	sutra_engine_close(e);
	no_room(true, 0);
	e = open_store(100);
	sutra_engine_stats(e, &stats);
	assert_non_null(stats.read_only);
	assert_true(has(e, "a", "one", NULL));
	assert_int_equal(put(e, "x", "y", 0), SUTRA_E_READONLY);
	assert_int_equal(sutra_engine_delete(e, "a", 1, &found, NULL), SUTRA_E_READONLY);
	assert_int_equal(sutra_engine_clear(e, &n, NULL), SUTRA_E_READONLY);
	assert_int_equal(sutra_engine_commit(e, NULL), 0);
	assert_int_equal(sutra_engine_flush(e, NULL), SUTRA_E_READONLY);
	assert_int_equal(sutra_engine_sync_begin(e), SUTRA_NOTHING_TO_SYNC);
	sutra_engine_tick(e);
	sutra_engine_close(e);	/* and it ends as it was */
	e = open_store(100);
	no_room(false, 0);
	WAIT_UNTIL((sutra_engine_tick(e), sutra_engine_stats(e, &stats), !stats.read_only));	/* the next try */
	write_one(e, "b", "two");
	sutra_engine_close(e);
	e = open_store(100);
	assert_int_equal(report.damaged_ranges + report.torn_bytes, 0);
	assert_true(has(e, "a", "one", NULL) && has(e, "b", "two", NULL));
	assert_false(has(e, "x", "y", NULL));
	sutra_engine_close(e);
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
		T(the_log_is_rewritten_when_it_is_mostly_dead), T(without_memory_it_closes),
		T(a_failed_step_of_a_rewrite_loses_nothing), T(a_refused_write_is_undone),
		T(what_was_undone_is_rewritten_too), T(a_full_disk_opens_for_reading), T(a_failed_sync_is_not_forgotten),
		T(a_failed_flush_is_not_forgotten), T(a_sync_that_fails_in_a_rewrite_is_not_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
