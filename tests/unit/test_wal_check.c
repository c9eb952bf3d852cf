/* lib/store: a frame's check depends on the frame alone, not on what the stack held before. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "store/wal.h"

/* Overwrites 64 bytes of dead stack at some depth, and leaves the rest as it was. */
static __attribute__((noinline)) void scribble(size_t depth)
{
	char room[8192];

	volatile char *at = room + depth;

	for (size_t i = 0; i < 64; i++)
		at[i] = (char)0xA5;
	__asm__ volatile("" : : "r"(room) : "memory");	/* the compiler must not leave it out */
}

/* Writes frames with a stack shifted by some bytes, so that what survives on it differs. */
static __attribute__((noinline)) void write_and_replay(size_t shift)
{
	char dir[] = "/tmp/sutra-wal-XXXXXX", body[4000];
	volatile char *room = __builtin_alloca(shift + 1);
	struct sutra_wal_report report;
	struct sutra_wal *w;
	struct sutra_err err;
	uint64_t lsn, n = 0;

	room[0] = 0;
	memset(body, 7, sizeof(body));
	assert_non_null(mkdtemp(dir));
	assert_int_equal(sutra_wal_replay(dir, NULL, NULL, &report, &err), 0);
	assert_int_equal(sutra_wal_open(dir, &report.end, &w, &err), 0);
	for (size_t depth = 0; depth + 64 <= 8192; depth += 32, n++) {
		assert_int_equal(sutra_wal_append(w, SUTRA_LOG_PUT, body, sizeof(body), &lsn, &err), 0);
		scribble(depth);
		assert_int_equal(sutra_wal_commit(w, &err), 0);
	}
	sutra_wal_close(w);
	assert_int_equal(sutra_wal_replay(dir, NULL, NULL, &report, &err), 0);
	sutra_remove_tree(dir, NULL);
	assert_int_equal(report.damaged_ranges, 0);
	assert_int_equal(report.torn_bytes, 0);
	assert_int_equal(report.records, n);
}

static void check_ignores_old_stack(void **state)
{
	for (size_t shift = 0; shift < 128; shift += 16)
		write_and_replay(shift);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(check_ignores_old_stack) };

	return cmocka_run_group_tests_name("wal_check", tests, NULL, NULL);
}
