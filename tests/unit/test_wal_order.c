/* lib/store: the files of a log, gone, swapped, doubled, cut, of another store, of an older version, or
 * full of what looks like frames: what is missing is counted and named, and nothing false is read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/alloc.h"
#include "base/file.h"
#include "store_folder.h"

/* In the C library's place: a process that lives on needs no disk to find what it wrote. */
int fsync(int fd) { return 0; }
int fdatasync(int fd) { return 0; }

/* Three lives of a store, a segment each. LSN 1-4: k0-k3. 5-7: k0 anew, k1 deleted, k4. 8-9: k5, k2
 * anew. */
enum { SEGMENTS = 3 };

static char *files[SEGMENTS + 1];	/* by number; 0 is the manifest */
static size_t lengths[SEGMENTS + 1];
static const uint64_t records_of[SEGMENTS + 1] = { 0, 4, 3, 2 };

static void path_of(unsigned number, char out[128])
{
	if (number)
		snprintf(out, 128, "%s/%06u.wal", dir, number);
	else
		snprintf(out, 128, "%s/manifest", dir);
}

static void put_file(unsigned number, const char *bytes, size_t n)
{
	char path[128];
	FILE *f;

	path_of(number, path);
	f = fopen(path, "w");	/* not sutra_file_write: nothing here needs to be on disk */
	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, n, f), n);
	assert_int_equal(fclose(f), 0);
}

static void drop_file(unsigned number)
{
	char path[128];

	path_of(number, path);
	assert_int_equal(unlink(path), 0);
}

static void write_lives(void)
{
	struct sutra_engine *e = open_store(100);
	bool found;

	for (int i = 0; i < 4; i++)
		write_one(e, (const char *[]){ "k0", "k1", "k2", "k3" }[i], "old");
	sutra_engine_close(e);
	e = open_store(100);
	write_one(e, "k0", "new");
	assert_int_equal(sutra_engine_delete(e, "k1", 2, &found, NULL), 0);
	assert_int_equal(sutra_engine_commit(e, NULL), 0);
	write_one(e, "k4", "old");
	sutra_engine_close(e);
	e = open_store(100);
	write_one(e, "k5", "old");
	write_one(e, "k2", "new");
	sutra_engine_close(e);
}

static int three_lives(void **state)
{
	char path[128];

	if (setup(state))
		return -1;
	write_lives();
	for (unsigned i = 0; i <= SEGMENTS; i++) {
		path_of(i, path);
		if (sutra_file_read(path, 1 << 20, &files[i], &lengths[i], NULL))
			return -1;
	}
	return 0;
}

static int end_lives(void **state)
{
	for (unsigned i = 0; i <= SEGMENTS; i++)
		sutra_free(files[i]);
	return teardown(state);
}

static void restore(void)
{
	assert_int_equal(sutra_remove_tree(dir, NULL), 0);
	assert_int_equal(sutra_mkdirs(dir, 0700, NULL), 0);
	for (unsigned i = 0; i <= SEGMENTS; i++)
		put_file(i, files[i], lengths[i]);
}

/* What a replay says of the folder, in words. */
static const char *words(void)
{
	static char text[2048];
	size_t n = 0;

	assert_int_equal(sutra_wal_replay(dir, NULL, NULL, &report, NULL), 0);
	*text = '\0';
	for (uint64_t i = 0; i < report.damaged_ranges && i < SUTRA_WAL_DAMAGES && n < sizeof(text); i++) {
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s", i ? " | " : "");
		sutra_wal_damage_text(&report.damages[i], text + n, sizeof(text) - n);
		n += strlen(text + n);
	}
	return text;
}

/* Opens the store; every concept that is there holds something it has held. */
static struct sutra_engine *open_sound(void)
{
	struct sutra_engine *e = open_store(100);
	char id[8];

	for (int i = 0; i < 6; i++) {
		snprintf(id, sizeof(id), "k%d", i);
		has(e, id, "old", i == 0 || i == 2 ? "new" : NULL);
	}
	return e;
}

static void whole(void **state)
{
	struct sutra_engine *e;

	assert_string_equal(words(), "");
	assert_int_equal(report.records, 9);
	e = open_sound();
	assert_true(has(e, "k0", "new", NULL) && has(e, "k2", "new", NULL) && has(e, "k5", "old", NULL));
	assert_false(has(e, "k1", "old", NULL));
	sutra_engine_close(e);
}

static void a_missing_segment_is_named_with_what_it_held(void **state)
{
	static const char *const said[] = {
		"000001.wal at 0: the segment is missing, 0 bytes; 4 records are lost (LSN 1-4)",
		"000002.wal at 0: the segment is missing, 0 bytes; 3 records are lost (LSN 5-7)",
		"000003.wal at 0: the segment is missing, 0 bytes; 2 records are lost (LSN 8-9)",
	};

	for (unsigned i = 1; i <= SEGMENTS; i++) {
		struct sutra_engine *e;

		restore();
		drop_file(i);
		assert_string_equal(words(), said[i - 1]);
		assert_int_equal(report.lost_records, records_of[i]);
		assert_int_equal(report.missing_segments, 1);
		e = open_sound();
		if (i == 2)	/* its delete is lost with it, and that was said */
			assert_true(has(e, "k1", "old", NULL));
		write_one(e, "k4", "old");
		sutra_engine_close(e);
		e = open_sound();	/* what is written behind it is there, and it is said again */
		assert_true(has(e, "k4", "old", NULL) && report.damaged_ranges);
		sutra_engine_close(e);
	}
	restore();
	for (unsigned i = 1; i <= SEGMENTS; i++)
		drop_file(i);
	assert_string_equal(words(), "000001.wal at 0: the segments from it on are missing, 0 bytes; 9 records "
				     "are lost (LSN 1-9)");
}

static void swapped_segments_are_read_in_their_order(void **state)
{
	for (unsigned a = 1; a <= SEGMENTS; a++)
		for (unsigned b = a + 1; b <= SEGMENTS; b++) {
			struct sutra_engine *e;

			restore();
			put_file(a, files[b], lengths[b]);
			put_file(b, files[a], lengths[a]);
			words();
			assert_int_equal(report.damaged_ranges, 2);
			assert_string_equal(report.damages[0].what, "its header has another number");
			assert_int_equal(report.lost_records + report.damaged_bytes, 0);
			assert_int_equal(report.records, 9);
			e = open_sound();
			assert_true(has(e, "k0", "new", NULL) && has(e, "k2", "new", NULL));
			assert_false(has(e, "k1", "old", NULL));
			sutra_engine_close(e);
		}
}

static void a_segment_that_is_there_twice_is_read_once(void **state)
{
	for (unsigned a = 1; a <= SEGMENTS; a++)
		for (unsigned b = 1; b <= SEGMENTS + 1; b++) {
			struct sutra_engine *e;

			if (a == b)
				continue;
			restore();
			put_file(b, files[a], lengths[a]);	/* over another, or beside all */
			words();
			assert_true(report.damaged_ranges > 0);
			assert_int_equal(report.lost_records, b <= SEGMENTS ? records_of[b] : 0);
			assert_int_equal(report.missing_segments, b <= SEGMENTS);
			assert_int_equal(report.records, 9 - report.lost_records);
			e = open_sound();
			sutra_engine_close(e);
		}
}

static void a_cut_segment_is_told_to_the_record(void **state)
{
	for (unsigned a = 1; a <= SEGMENTS; a++)
		for (size_t cut = 0; cut < lengths[a]; cut++) {
			restore();
			put_file(a, files[a], cut);
			words();
			if (!report.damaged_ranges && !(a == SEGMENTS && report.torn_bytes))
				fail_msg("segment %u cut at %zu is not told", a, cut);
			assert_int_equal(report.records + report.lost_records, 9);
			sutra_engine_close(open_sound());
		}
}

static void a_segment_of_another_store_is_not_read(void **state)
{
	char *stranger[SEGMENTS + 1], path[128];
	size_t n[SEGMENTS + 1];

	assert_int_equal(sutra_remove_tree(dir, NULL), 0);
	write_lives();
	for (unsigned i = 1; i <= SEGMENTS; i++) {
		path_of(i, path);
		assert_int_equal(sutra_file_read(path, 1 << 20, &stranger[i], &n[i], NULL), 0);
	}
	for (unsigned i = 1; i <= SEGMENTS; i++) {
		restore();
		put_file(i, stranger[i], n[i]);
		assert_non_null(strstr(words(), "it belongs to another store"));
		assert_int_equal(report.lost_records, records_of[i]);
		assert_int_equal(report.records, 9 - records_of[i]);
		sutra_engine_close(open_sound());
		sutra_free(stranger[i]);
	}
}

static void a_missing_manifest_is_told(void **state)
{
	drop_file(0);
	assert_string_equal(words(), "manifest: the manifest is missing, 0 bytes");
	assert_int_equal(report.records, 9);
	sutra_engine_close(open_sound());
	assert_string_equal(words(), "");
}

/* Anything at all, many times: it is told, and nothing false is read. */
static void whatever_happens_to_the_files_is_told(void **state)
{
	srandom(7);
	for (int round = 0; round < 300; round++) {
		struct sutra_engine *e;
		int what = (int)(random() % 4);
		unsigned a = 1 + (unsigned)(random() % SEGMENTS), b = 1 + (unsigned)(random() % (SEGMENTS + 2));
		char *copy = sutra_memdup(files[a], lengths[a]);
		size_t at = (size_t)random() % lengths[a], n = (size_t)random() % (lengths[a] - at) + 1;

		restore();
		if (what == 0) {	/* rubbish over a part */
			for (size_t i = at; i < at + n; i++)
				copy[i] = (char)(copy[i] ^ (1 + random() % 255));
			put_file(a, copy, lengths[a]);
		} else if (what == 1) {	/* a part is gone */
			memmove(copy + at, copy + at + n, lengths[a] - at - n);
			put_file(a, copy, lengths[a] - n);
		} else if (what == 2 && a != b) {
			put_file(b, copy, lengths[a]);
		} else {
			drop_file(a);
		}
		e = open_sound();
		if (!report.damaged_ranges && !report.torn_bytes)
			fail_msg("round %d: %d of segment %u at %zu, %zu bytes, is not told", round, what, a, at, n);
		sutra_engine_close(e);
		sutra_engine_close(open_sound());
		sutra_free(copy);
	}
}

static void put32(char *p, uint32_t v) { memcpy(p, &v, 4); }
static void put64(char *p, uint64_t v) { memcpy(p, &v, 8); }

/* A put's body is not told from frames by its look: the content is heads of frames that reach far. */
static char *marks(size_t n)
{
	char *p = sutra_calloc(1, n + 1);

	for (size_t at = 0; at + 48 <= n; at += 40) {
		memcpy(p + at, "FRAM", 4);
		put32(p + at + 4, (uint32_t)(n - at - 48));
		put32(p + at + 16, 1);
	}
	return p;
}

static void damaged_marks_cost_no_more_than_their_bytes(void **state)
{
	enum { N = 1 << 20, CONCEPTS = 6 };
	struct sutra_engine *e = open_store(100);
	char *content = marks(N), id[8], *bytes, path[128];
	size_t n;

	for (size_t i = 0; i < N; i++)	/* a string: no NUL before its end */
		content[i] = content[i] ? content[i] : 1;
	for (int i = 0; i < CONCEPTS; i++) {
		snprintf(id, sizeof(id), "m%d", i);
		write_one(e, id, content);
	}
	sutra_engine_close(e);
	path_of(1, path);
	assert_int_equal(sutra_file_read(path, 16 << 20, &bytes, &n, NULL), 0);
	bytes[1000] ^= 1;	/* the first's payload, and the second's header */
	bytes[128 + 2 * (N + 200)] ^= 1;
	for (size_t at = 128; at + 48 < n; at += 48 + (size_t)(uint8_t)bytes[at + 4] +
						  ((size_t)(uint8_t)bytes[at + 5] << 8) +
						  ((size_t)(uint8_t)bytes[at + 6] << 16))
		bytes[at + 41] ^= 1;	/* and every header's check */
	put_file(1, bytes, n);
	words();
	assert_int_equal(report.lost_records, CONCEPTS);
	assert_true(report.bytes > CONCEPTS * N);
	assert_true(report.hashed <= 12 * report.bytes);
	sutra_free(bytes);
	sutra_free(content);
}

/* The same in a segment of version 1, whose frames have one check for all. */
static void in_version_1_a_search_gives_up(void **state)
{
	enum { N = 4 << 20 };
	char *content = marks(N), *p = sutra_calloc(1, N + 200);

	memcpy(p, "SUTRAWAL", 8);
	put32(p + 8, 1);
	put64(p + 16, 5);
	put64(p + 24, XXH3_64bits(p, 24));
	memcpy(p + 32, "FRAM", 4);
	put32(p + 36, N + 8);
	put64(p + 40, 1);
	put32(p + 48, 1);
	put64(p + 56, 5);
	put64(p + 64, 6);	/* no check of it */
	p[72] = SUTRA_LOG_PUT;
	put32(p + 76, N);
	memcpy(p + 80, content, N);
	put_file(1, p, 80 + N);
	put_file(2, p, 32);	/* what follows makes the end of the first damage */
	words();
	assert_int_equal(report.damaged_ranges, 1);
	assert_int_equal(report.records, 0);
	assert_true(report.hashed > 4 * report.bytes && report.hashed <= 12 * report.bytes);
	sutra_free(p);
	sutra_free(content);
}

/* Made by the version before this one. It is read, and is gone after a rewriting. */
static void a_log_of_version_1_is_read_and_rewritten(void **state)
{
	struct sutra_engine_stats stats;
	struct sutra_engine *e;
	char path[128], *big = sutra_alloc(100001);

	assert_int_equal(sutra_copy_tree("tests/data/wal-1", dir, 1 << 20, NULL), 0);
	assert_string_equal(words(), "");
	assert_int_equal(report.records, 7);
	for (int round = 0; round < 2; round++) {
		e = open_store(100);
		assert_int_equal(report.damaged_ranges + report.torn_bytes, 0);
		assert_true(has(e, "a", "four", NULL) && has(e, "b", "two", NULL) && has(e, "c", "three", NULL) &&
			    has(e, "d", "five", NULL));
		assert_false(has(e, "gone", "soon", NULL));
		write_one(e, "e", "six");
		sutra_engine_close(e);
	}
	e = open_store(100);
	memset(big, 'x', 100000);
	big[100000] = '\0';
	do {
		write_one(e, "big", big);
		sutra_engine_tick(e);
		sutra_engine_stats(e, &stats);
	} while (!stats.reconciliations);
	sutra_engine_close(e);
	path_of(1, path);
	assert_int_not_equal(access(path, F_OK), 0);
	e = open_store(100);
	assert_int_equal(report.damaged_ranges + report.torn_bytes, 0);
	assert_true(has(e, "a", "four", NULL) && has(e, "e", "six", NULL) && has(e, "big", big, NULL));
	sutra_engine_close(e);
	sutra_free(big);
	sutra_wal_replay(dir, NULL, NULL, &report, NULL);
	snprintf(path, sizeof(path), "%s/%06llu.wal", dir, (unsigned long long)report.end.first_segment);
	assert_int_equal(unlink(path), 0);
	words();	/* the first one kept, gone */
	assert_int_equal(report.missing_segments, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define LIVES(f) cmocka_unit_test_setup_teardown(f, three_lives, end_lives)
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		LIVES(whole), LIVES(a_missing_segment_is_named_with_what_it_held),
		LIVES(swapped_segments_are_read_in_their_order),
		LIVES(a_segment_that_is_there_twice_is_read_once), LIVES(a_cut_segment_is_told_to_the_record),
		LIVES(a_segment_of_another_store_is_not_read), LIVES(a_missing_manifest_is_told),
		LIVES(whatever_happens_to_the_files_is_told), T(damaged_marks_cost_no_more_than_their_bytes),
		T(in_version_1_a_search_gives_up), T(a_log_of_version_1_is_read_and_rewritten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
