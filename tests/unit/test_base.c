/* lib/base: buffers, strings, numbers, options, histogram, JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/cores.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/file.h"
#include "base/histogram.h"
#include "base/jsonio.h"
#include "base/log.h"
#include "base/metric.h"
#include "base/option.h"
#include "base/proc.h"
#include "base/shown.h"
#include "base/str.h"

static void err_table_maps_codes(void **state)
{
	struct sutra_err err;

	assert_int_equal(sutra_fail(NULL, SUTRA_E_BUSY, "queue is full"), SUTRA_E_BUSY);
	assert_int_equal(sutra_hint(NULL, "wait"), SUTRA_E_BUSY);
	assert_int_equal(sutra_err_prefix(NULL, "a"), SUTRA_E_BUSY);
	assert_int_equal(sutra_fail(&err, SUTRA_E_TOOBIG, "body is %d bytes", 9), SUTRA_E_TOOBIG);
	assert_string_equal(err.message, "body is 9 bytes");
	assert_string_equal(sutra_err_name(SUTRA_E_TOOBIG), "too_large");
	assert_int_equal(sutra_err_http(SUTRA_E_TOOBIG), 413);
	assert_int_equal(sutra_err_exit(SUTRA_E_LOCKED), 7);
	assert_int_equal(sutra_err_exit(0), 0);
	assert_int_equal(sutra_err_http(-12345), 500);
}

static void buf_stops_at_its_maximum(void **state)
{
	struct sutra_buf b;
	size_t n;
	char *p;

	sutra_buf_init(&b, 100);
	for (int i = 0; i < 10; i++)
		sutra_buf_adds(&b, "123456789");
	assert_int_equal(b.len, 90);
	sutra_buf_adds(&b, "12345678901");
	assert_int_equal(sutra_buf_error(&b), SUTRA_E_TOOBIG);
	assert_int_equal(b.len, 90);
	sutra_buf_clear(&b);
	sutra_buf_addf(&b, "%s-%d", "x", 7);
	p = sutra_buf_take(&b, &n);
	assert_string_equal(p, "x-7");
	assert_int_equal(n, 3);
	sutra_free(p);
	sutra_buf_release(&b);
}

static void buf_survives_every_failing_allocation(void **state)
{
	for (long at = 1; at < 10; at++) {
		struct sutra_buf b;

		sutra_buf_init(&b, 10000);
		sutra_alloc_fail_at(at);
		for (int i = 0; i < 100; i++)
			sutra_buf_adds(&b, "0123456789012345678901234567890123456789");
		if (sutra_alloc_failed())
			assert_int_equal(sutra_buf_error(&b), SUTRA_E_NOMEM);
		sutra_alloc_fail_at(0);
		sutra_buf_release(&b);
	}
}

static void numbers_are_strict(void **state)
{
	static const char *const bad[] = { "", " 1", "1 ", "1x", "x", "+1", "0x10", "99", "1e1" };
	int64_t v = -7;
	uint64_t u;
	bool flag;

	assert_int_equal(sutra_str_int("42", 0, 50, &v), 0);
	assert_int_equal(v, 42);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(sutra_str_int(bad[i], 0, 50, &v), SUTRA_E_INVALID);
	assert_int_equal(v, 42);
	assert_int_equal(sutra_str_duration("1m30s", &u), 0);
	assert_true(u == 90000000000u);
	assert_int_equal(sutra_str_duration("250ms", &u), 0);
	assert_true(u == 250000000u);
	assert_int_equal(sutra_str_duration("none", &u), 0);
	assert_true(u == UINT64_MAX);
	assert_int_equal(sutra_str_duration("30", &u), SUTRA_E_INVALID);
	assert_int_equal(sutra_str_duration("0s", &u), SUTRA_E_INVALID);
	assert_int_equal(sutra_str_size("512M", &u), 0);
	assert_true(u == 512u << 20);
	assert_int_equal(sutra_str_size("1.5GiB", &u), 0);
	assert_true(u == 3ull << 29);
	assert_int_equal(sutra_str_size("5 parsecs", &u), SUTRA_E_INVALID);
	assert_int_equal(sutra_str_bool("Yes", &flag), 0);
	assert_true(flag);
	assert_int_equal(sutra_str_bool("maybe", &flag), SUTRA_E_INVALID);
}

static void utf8_is_checked_to_the_byte(void **state)
{
	size_t at;

	assert_true(sutra_str_utf8("na\xC3\xAFve \xF0\x9F\x98\x80", 11, NULL));
	assert_false(sutra_str_utf8("ab\xC0\xAF", 4, &at));	/* overlong */
	assert_int_equal(at, 2);
	assert_false(sutra_str_utf8("\xED\xA0\x80", 3, NULL));	/* surrogate */
	assert_false(sutra_str_utf8("\xF4\x90\x80\x80", 4, NULL));	/* above 10FFFF */
	assert_false(sutra_str_utf8("a\xE2\x82", 3, &at));	/* cut off */
	assert_int_equal(at, 1);
}

static void nearest_word_is_suggested(void **state)
{
	static const char *const list[] = { "deploy", "down", "status", NULL };

	assert_string_equal(sutra_str_nearest("delpoy", list), "deploy");
	assert_string_equal(sutra_str_nearest("statsu", list), "status");
	assert_null(sutra_str_nearest("frobnicate", list));
}

static void options_parse_every_form(void **state)
{
	bool follow;
	int verbose, n;
	int64_t lines;
	uint64_t wait;
	const char *format;
	const struct sutra_option rows[] = {
		{ 'f', "follow", SUTRA_OPT_FLAG, &follow, NULL, "follow", 0, 0, NULL },
		{ 'v', "verbose", SUTRA_OPT_COUNT, &verbose, NULL, "more", 0, 0, NULL },
		{ 'n', "lines", SUTRA_OPT_INT, &lines, "N", "lines", 0, 100, NULL },
		{ 0, "timeout", SUTRA_OPT_DURATION, &wait, "TIME", "limit", 0, 0, NULL },
		{ 'o', "output", SUTRA_OPT_CHOICE, &format, "FORMAT", "format", 0, 0, "table|json" },
		{ 0 },
	};
	static const char *const bad[] = { "x --lines=x", "x --folow", "x -n", "x --follow=1",
					   "x --timeout=3" };
	struct sutra_strv good = { 0 };
	char *argv[16];
	struct sutra_err err;

	follow = false;
	verbose = 0;
	sutra_strv_split(&good, "logs -fvv a -n5 --timeout=2m -o json -- -b", " ");
	memcpy(argv, good.items, good.n * sizeof(*argv));
	assert_int_equal(sutra_options_parse(rows, (int)good.n, argv, &n, &err), 0);
	assert_true(follow);
	assert_int_equal(verbose, 2);
	assert_int_equal(lines, 5);
	assert_true(wait == 120000000000u);
	assert_string_equal(format, "json");
	assert_int_equal(n, 2);
	assert_string_equal(argv[1], "a");
	assert_string_equal(argv[2], "-b");
	sutra_strv_release(&good);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct sutra_strv v = { 0 };

		sutra_strv_split(&v, bad[i], " ");
		assert_int_equal(sutra_options_parse(rows, (int)v.n, v.items, &n, &err), SUTRA_E_USAGE);
		if (i == 1)
			assert_string_equal(err.hint, "did you mean --follow?");
		sutra_strv_release(&v);
	}
}

static void histogram_keeps_three_digits(void **state)
{
	struct sutra_histogram *h = sutra_histogram_new();

	for (uint64_t i = 1; i <= 100000; i++)
		sutra_histogram_record(h, i * 1000);
	assert_int_equal(sutra_histogram_count(h), 100000);
	for (double q = 0.01; q < 1; q += 0.01) {
		double want = q * 1e8, got = (double)sutra_histogram_quantile(h, q);

		assert_true(fabs(got - want) / want < 0.0011);
	}
	assert_true(sutra_histogram_max(h) == 100000000u);
	sutra_histogram_clear(h);
	assert_int_equal(sutra_histogram_quantile(h, 0.5), 0);
	sutra_histogram_free(h);
}

static void json_floats_round_trip(void **state)
{
	static const float edge[] = { 0, -0.0f, 1, 0.1f, 1e-38f, 3.4e38f, 0.0668488f, -0.05625f,
				      10, 9.999999f, 1e-5f, 9.9999997e-6f, 0.99999994f, 1.0000001f,
				      0.5f, 1e-4f };
	struct sutra_buf b;
	struct sutra_err err;
	json_t *v;

	sutra_buf_init(&b, 1 << 20);
	srandom(7);
	for (int i = 0; i < 20000; i++) {
		float f = i < 16 ? edge[i] :
				   ldexpf((float)(random() - (1 << 30)), -(int)(27 + i % 24));

		sutra_buf_clear(&b);
		sutra_json_add_float(&b, f);
		assert_true(strtof(b.data, NULL) == f);
	}
	sutra_buf_clear(&b);
	sutra_json_add_string(&b, "a\"\\\n\x01\xC3\xAF", 7);
	assert_int_equal(sutra_json_parse(b.data, b.len, &v, &err), 0);
	assert_string_equal(json_string_value(v), "a\"\\\n\x01\xC3\xAF");
	json_decref(v);
	sutra_buf_clear(&b);
	sutra_json_add_bytes(&b, "a\xFF\xC3(\xC3", 5);
	assert_int_equal(sutra_json_parse(b.data, b.len, &v, &err), 0);
	assert_string_equal(json_string_value(v), "a\xEF\xBF\xBD\xEF\xBF\xBD(\xEF\xBF\xBD");
	json_decref(v);
	assert_int_equal(sutra_json_parse("{\"a\":", 5, &v, &err), SUTRA_E_SYNTAX);
	sutra_buf_release(&b);
}

static void proc_captures_and_limits(void **state)
{
	const char *echo[] = { "sh", "-c", "echo out; echo err >&2; exit 3", NULL };
	const char *hang[] = { "sleep", "60", NULL };
	const char *none[] = { "no-such-program-here", NULL };
	struct sutra_buf b;
	struct sutra_err err;
	int status = -1;

	sutra_buf_init(&b, 4096);
	assert_int_equal(sutra_proc_run(echo, &b, UINT64_MAX, &status, &err), 0);
	assert_int_equal(status, 3);
	assert_string_equal(sutra_buf_str(&b), "out\nerr\n");
	assert_int_equal(sutra_proc_run(hang, &b, 50000000, &status, &err), SUTRA_E_TIMEOUT);
	assert_int_equal(sutra_proc_run(none, &b, UINT64_MAX, &status, &err), SUTRA_E_NOTFOUND);
	sutra_buf_release(&b);
}

static void proc_whose_end_cannot_be_seen_is_an_error(void **state)
{
	const char *argv[] = { "/bin/sleep", "60", NULL };
	struct rlimit limit, none;
	struct sutra_err err;
	int status, rc, fd = dup(0);

	close(fd);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = (struct rlimit){ (rlim_t)fd, limit.rlim_max };	/* not one descriptor more */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	rc = sutra_proc_run(argv, NULL, 1000000000u, &status, &err);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(rc, SUTRA_E_IO);
	assert_non_null(strstr(err.message, "cannot watch /bin/sleep"));
}

static void digests_match_the_standard(void **state)
{
	uint8_t d[SUTRA_SHA256_LEN], back[SUTRA_SHA256_LEN];
	char hex[SUTRA_SHA256_HEX], stamp[SUTRA_RFC3339_LEN];

	sutra_sha256("abc", 3, d);	/* FIPS 180-2, appendix B.1 */
	sutra_hex(d, sizeof(d), hex);
	assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	assert_int_equal(sutra_unhex(hex, back, sizeof(back)), 0);
	assert_memory_equal(d, back, sizeof(d));
	assert_int_equal(sutra_unhex("zz", back, 1), SUTRA_E_SYNTAX);
	sutra_clock_rfc3339(1000000000123456, stamp);
	assert_string_equal(stamp, "2001-09-09T01:46:40.123456Z");
}

static void metrics_with_labels_share_their_head(void **state)
{
	static const struct sutra_metric_row rows[] = {
		{ "a_total", SUTRA_COUNTER, "of a" },
		{ "a_total_more{x=\"1\"}", SUTRA_GAUGE, "of more" },
		{ "a_total_more{x=\"2\"}", SUTRA_GAUGE, "" },
		{ "a_seconds_total", SUTRA_SECONDS_COUNTER, "held in microseconds" },
		{ "a_seconds", SUTRA_SECONDS_GAUGE, "the same" },
	};
	struct sutra_metric values[5] = { 0 };
	struct sutra_buf b;

	sutra_metric_set(&values[2], 7);
	sutra_metric_set(&values[3], 1500001);
	sutra_metric_set(&values[4], 20);
	sutra_buf_init(&b, 4096);
	sutra_metrics_prometheus(rows, values, 5, &b);
	assert_string_equal(sutra_buf_str(&b), "# HELP a_total of a\n# TYPE a_total counter\na_total 0\n"
			    "# HELP a_total_more of more\n# TYPE a_total_more gauge\n"
			    "a_total_more{x=\"1\"} 0\na_total_more{x=\"2\"} 7\n"
			    "# HELP a_seconds_total held in microseconds\n# TYPE a_seconds_total counter\n"
			    "a_seconds_total 1.500001\n"
			    "# HELP a_seconds the same\n# TYPE a_seconds gauge\na_seconds 0.000020\n");
	sutra_buf_release(&b);
}

/* A machine's control groups below `root`. */
static void put_group(const char *root, const char *folder, const char *name, const char *text)
{
	char path[256];
	struct sutra_err err;

	snprintf(path, sizeof(path), "%s%s", root, folder);
	assert_int_equal(sutra_mkdirs(path, 0755, &err), 0);
	snprintf(path, sizeof(path), "%s%s/%s", root, folder, name);
	assert_int_equal(sutra_file_write(path, text, strlen(text), 0644, &err), 0);
}

static void the_tightest_quota_counts(void **state)
{
	char root[] = "/tmp/sutra-test-XXXXXX";
	struct sutra_err err;
	int cores[4];

	assert_non_null(mkdtemp(root));
	assert_true(sutra_cores_quota(root) == 0);
	put_group(root, "/proc/self", "cgroup", "0::/a/b\n");
	assert_true(sutra_cores_quota(root) == 0);
	put_group(root, "/sys/fs/cgroup/a/b", "cpu.max", "max 100000\n");
	assert_true(sutra_cores_quota(root) == 0);
	put_group(root, "/sys/fs/cgroup/a", "cpu.max", "150000 100000\n");
	assert_true(sutra_cores_quota(root) == 1.5);
	put_group(root, "/sys/fs/cgroup", "cpu.max", "400000 100000\n");
	assert_true(sutra_cores_quota(root) == 1.5);
	put_group(root, "/proc/self", "cgroup", "0::/\n");
	assert_true(sutra_cores_quota(root) == 4);
	put_group(root, "/proc/self", "cgroup", "no line\n7:cpu,cpuacct:/c\n6:cpuset:/a\n0::/x\n");
	put_group(root, "/sys/fs/cgroup/cpu/c", "cpu.cfs_quota_us", "-1\n");
	put_group(root, "/sys/fs/cgroup/cpu/c", "cpu.cfs_period_us", "100000\n");
	assert_true(sutra_cores_quota(root) == 4);
	put_group(root, "/sys/fs/cgroup/cpu/c", "cpu.cfs_quota_us", "50000\n");
	assert_true(sutra_cores_quota(root) == 0.5);
	put_group(root, "/proc/self", "cgroup", "0::/a/b\n");
	assert_true(sutra_memory_limit(root) > 2 << 20);	/* the machine's */
	put_group(root, "/sys/fs/cgroup/a/b", "memory.max", "max\n");
	put_group(root, "/sys/fs/cgroup/a", "memory.max", "2097152\n");
	assert_int_equal(sutra_memory_limit(root), 2 << 20);
	put_group(root, "/proc/self", "cgroup", "4:memory:/c\n");
	put_group(root, "/sys/fs/cgroup/memory/c", "memory.limit_in_bytes", "1048576\n");
	assert_int_equal(sutra_memory_limit(root), 1 << 20);
	/* A container of version 1: its group is the root of the mount, the path is the host's. */
	put_group(root, "/proc/self", "cgroup", "7:cpu,cpuacct:/kubepods/burstable/pod1/a1\n6:memory:/kubepods/a1\n");
	put_group(root, "/sys/fs/cgroup/cpu", "cpu.cfs_quota_us", "250000\n");
	put_group(root, "/sys/fs/cgroup/cpu", "cpu.cfs_period_us", "100000\n");
	assert_true(sutra_cores_quota(root) == 2.5);
	assert_int_equal(sutra_remove_tree(root, &err), 0);
	assert_true(sutra_cores_list(cores, 4) >= 1 && cores[0] >= 0);
}

static const char *shown(const char *text, size_t n)
{
	static struct sutra_buf b;

	sutra_buf_release(&b);
	sutra_buf_init(&b, 4096);
	sutra_shown_add(&b, text, n);
	return sutra_buf_str(&b);
}

static void controls_are_shown_as_text(void **state)
{
	static const char *const same[] = { "", "plain", "tab\tand\nline", "gr\u00fc\u00df \u65e5\u672c \U0001f600", "\u00a0",
					    "e\u0301", "\\x1b" };
	const struct {
		const char *text, *shown;
	} table[] = {
		{ "\033[2J", "\\x1b[2J" },
		{ "\033]0;title\a", "\\x1b]0;title\\x07" },
		{ "a\rb\177", "a\\x0db\\x7f" },
		{ "\xc2\x9b" "31m", "\\u009b31m" },
		{ "\x9b" "31m", "\\x9b31m" },	/* a bare byte, as 8-bit terminals take it */
		{ "\u202eabc\u202c", "\\u202eabc\\u202c" },
		{ "\u2066\u2069\u200e\u200f\u061c\u2028", "\\u2066\\u2069\\u200e\\u200f\\u061c\\u2028" },
		{ "\xc0\x9b", "\\xc0\\x9b" },		/* too long a form */
		{ "\xed\xa0\x80", "\\xed\\xa0\\x80" },	/* a surrogate */
		{ "cut\xc3", "cut\\xc3" },
	};

	for (size_t i = 0; i < sizeof(same) / sizeof(*same); i++)
		assert_string_equal(shown(same[i], strlen(same[i])), same[i]);
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		assert_string_equal(shown(table[i].text, strlen(table[i].text)), table[i].shown);
		assert_false(sutra_shown_is_text(table[i].text));
	}
	assert_string_equal(shown("a\0b", 3), "a\\x00b");
	assert_true(sutra_shown_is_text("gr\u00fc\u00df"));
	assert_false(sutra_shown_is_text("two\nlines"));
}

/* The document is equal, and nothing of it reaches a terminal raw. */
static void json_holds_no_raw_control(void **state)
{
	const char *text = "\033 \177 \xc2\x9b \u202e \u2066 \u2028 gr\u00fc\u00df \"\\";
	json_t *doc = json_pack("{s:s}", text, text), *back;
	struct sutra_buf b;

	sutra_buf_init(&b, 4096);
	sutra_json_add(&b, doc, 2);
	assert_null(strpbrk(sutra_buf_str(&b), "\033\177"));
	assert_null(strstr(sutra_buf_str(&b), "\u202e"));
	assert_null(strstr(sutra_buf_str(&b), "\xc2\x9b"));
	assert_non_null(strstr(sutra_buf_str(&b), "gr\u00fc\u00df"));
	assert_int_equal(sutra_json_parse(b.data, b.len, &back, NULL), 0);
	assert_true(json_equal(doc, back));
	json_decref(back);
	sutra_buf_clear(&b);
	sutra_json_add_string(&b, text, strlen(text));
	assert_null(strpbrk(sutra_buf_str(&b), "\033\177"));
	assert_int_equal(sutra_json_parse(b.data, b.len, &back, NULL), 0);
	assert_string_equal(json_string_value(back), text);
	json_decref(back);
	back = sutra_json_text("cut\xc3");
	assert_string_equal(json_string_value(back), "cut\uFFFD");
	json_decref(back);
	json_decref(doc);
	sutra_buf_release(&b);
}

static void moments_and_numbers_have_bounds(void **state)
{
	char text[SUTRA_RFC3339_LEN], words[32];

	sutra_clock_rfc3339(INT64_MAX, text);
	assert_string_equal(text, "9999-12-31T23:59:59.999999Z");
	sutra_clock_rfc3339(1000000000000000000, text);
	assert_string_equal(text, "9999-12-31T23:59:59.999999Z");
	sutra_clock_rfc3339(INT64_MIN, text);
	assert_string_equal(text, "1970-01-01T00:00:00.000000Z");
	sutra_clock_human(1e18, words, sizeof(words));
	assert_string_equal(words, "for ever");
	sutra_clock_human(NAN, words, sizeof(words));
	assert_string_equal(words, "for ever");
	sutra_clock_human(2 * 86400 + 3 * 3600, words, sizeof(words));
	assert_string_equal(words, "2 d 3 h");
	assert_int_equal(sutra_whole(NAN), 0);
	assert_int_equal(sutra_whole(INFINITY), 9000000000000000000);
	assert_int_equal(sutra_whole(-1e300), -9000000000000000000);
	assert_int_equal(sutra_whole(41.9), 41);
}

/* As editors of other systems write them; a line that never ends is bounded. */
static void texts_come_without_their_mark_and_line_ends(void **state)
{
	static const char marked[] = "\xef\xbb\xbf[1]\r\n\r\nlast", only[] = "\xef\xbb\xbf";
	static const char *const want[] = { "[1]", "", "last" };
	char dir[] = "/tmp/sutra-text-XXXXXX", *path, *text;
	struct sutra_buf line;
	struct sutra_err err;
	size_t n, number = 0;
	json_t *o;
	FILE *f;

	assert_non_null(mkdtemp(dir));
	path = xasprintf("%s/text", dir);
	assert_int_equal(sutra_file_write(path, only, strlen(only), 0600, &err), 0);
	assert_int_equal(sutra_file_read_text(path, 100, &text, &n, &err), 0);
	assert_true(n == 0 && !*text);
	sutra_free(text);
	assert_int_equal(sutra_file_write(path, marked, 6, 0600, &err), 0);
	assert_int_equal(sutra_json_read(path, 100, &o, &err), 0);
	assert_int_equal(json_array_size(o), 1);
	json_decref(o);
	assert_int_equal(sutra_file_write(path, marked, strlen(marked), 0600, &err), 0);
	sutra_buf_init(&line, 100);
	f = fopen(path, "re");
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(sutra_file_line(f, &line, &number), 1);
		assert_string_equal(sutra_buf_str(&line), want[i]);
		assert_int_equal(number, i + 1);
	}
	assert_int_equal(sutra_file_line(f, &line, &number), 0);
	fclose(f);
	f = fopen("/dev/zero", "re");
	assert_int_equal(sutra_file_line(f, &line, &number), SUTRA_E_TOOBIG);
	fclose(f);
	sutra_buf_release(&line);
	sutra_remove_tree(dir, NULL);
	sutra_free(path);
}

/* What sutra_log writes of the fields, one line. */
static void logged(const char *format, const char *fields, char *out, size_t size)
{
	int ends[2], kept = dup(STDERR_FILENO);
	ssize_t n;

	assert_int_equal(pipe(ends), 0);
	assert_int_equal(sutra_log_setup("info", format), 0);
	dup2(ends[1], STDERR_FILENO);
	sutra_log(SUTRA_INFO, "test", "said", "%s", fields);
	dup2(kept, STDERR_FILENO);
	n = read(ends[0], out, size - 1);
	assert_true(n > 0);
	out[n] = '\0';
	assert_int_equal(strlen(out), n);
	assert_true(strchr(out, '\n') == out + n - 1);
	close(ends[0]);
	close(ends[1]);
	close(kept);
}

/* However long the fields are and wherever they are cut: a line of UTF-8 that shows the cut. */
static void a_log_line_is_text_and_its_cut_shows(void **state)
{
	static const char *const fillers[] = { "x", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\x1b", "\xff", "\"", "\\", "\n" };
	char fields[8192], out[20000];
	json_t *doc;

	for (size_t f = 0; f < sizeof(fillers) / sizeof(*fillers); f++) {
		for (size_t length = 3050; length < 3150; length++) {
			size_t n = (size_t)snprintf(fields, sizeof(fields), "id=1 why=\"%.*s", (int)(length % 4), "----");

			while (n + 4 < length)
				n += (size_t)snprintf(fields + n, sizeof(fields) - n, "%s", fillers[f]);
			snprintf(fields + n, sizeof(fields) - n, "END");
			logged("text", fields, out, sizeof(out));
			assert_true(sutra_str_utf8(out, strlen(out), NULL));
			assert_true(strstr(out, "END\n") || strstr(out, "...\n"));
			logged("json", fields, out, sizeof(out));
			assert_int_equal(sutra_json_parse(out, strlen(out), &doc, NULL), 0);
			json_decref(doc);
		}
	}
	logged("text", "a=1", out, sizeof(out));
	assert_string_equal(out + SUTRA_RFC3339_LEN - 1, " INFO  test said a=1\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts_come_without_their_mark_and_line_ends),
		cmocka_unit_test(err_table_maps_codes),
		cmocka_unit_test(metrics_with_labels_share_their_head),
		cmocka_unit_test(the_tightest_quota_counts),
		cmocka_unit_test(buf_stops_at_its_maximum),
		cmocka_unit_test(buf_survives_every_failing_allocation),
		cmocka_unit_test(numbers_are_strict),
		cmocka_unit_test(utf8_is_checked_to_the_byte),
		cmocka_unit_test(controls_are_shown_as_text),
		cmocka_unit_test(json_holds_no_raw_control),
		cmocka_unit_test(moments_and_numbers_have_bounds),
		cmocka_unit_test(nearest_word_is_suggested),
		cmocka_unit_test(options_parse_every_form),
		cmocka_unit_test(histogram_keeps_three_digits),
		cmocka_unit_test(json_floats_round_trip),
		cmocka_unit_test(proc_captures_and_limits),
		cmocka_unit_test(proc_whose_end_cannot_be_seen_is_an_error),
		cmocka_unit_test(digests_match_the_standard),
		cmocka_unit_test(a_log_line_is_text_and_its_cut_shows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
