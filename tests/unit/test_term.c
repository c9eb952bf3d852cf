/* lib/term: who decides colour, how wide a text is, and tables at given widths. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "term/progress.h"
#include "term/table.h"
#include "term/term.h"

static bool color_with(const char *flag, const char *own, const char *no, const char *force,
		       const char *kind)
{
	const char *const names[] = { "SUTRA_COLOR", "NO_COLOR", "CLICOLOR_FORCE", "TERM" };
	const char *const values[] = { own, no, force, kind };
	struct sutra_term t;

	for (int i = 0; i < 4; i++) {
		if (values[i])
			setenv(names[i], values[i], 1);
		else
			unsetenv(names[i]);
	}
	/* A file is no terminal: without anything said, no colour. */
	sutra_term_init(&t, stdin, flag);
	t.tty = false;
	return t.color;
}

static void color_is_decided_in_order(void **state)
{
	FILE *saved = stdin;

	stdin = fopen("/dev/null", "r");
	assert_false(color_with(NULL, NULL, NULL, NULL, "xterm"));
	assert_true(color_with("always", "never", "1", NULL, "dumb"));
	assert_false(color_with("never", "always", NULL, "1", "xterm"));
	assert_true(color_with("auto", "always", "1", NULL, "dumb"));
	assert_false(color_with("auto", "never", NULL, "1", "xterm"));
	assert_false(color_with("auto", NULL, "1", "1", "xterm"));
	assert_true(color_with("auto", NULL, "", "1", "xterm"));
	assert_true(color_with("auto", NULL, NULL, "1", "dumb"));
	assert_false(color_with("auto", NULL, NULL, "0", "xterm"));
	fclose(stdin);
	stdin = saved;
}

static void width_counts_columns(void **state)
{
	assert_int_equal(sutra_text_width("abc", 3), 3);
	assert_int_equal(sutra_text_width("\u00e9\u4e2d", 5), 3);	/* narrow, wide */
	assert_int_equal(sutra_text_width("e\u0301", 3), 1);		/* combining */
	assert_int_equal(sutra_text_width("\xff\xfe", 2), 2);		/* bad bytes count */
}

static char *fitted(const char *s, size_t width, bool utf8)
{
	struct sutra_buf b;

	sutra_buf_init(&b, 1000);
	sutra_text_fit(&b, s, width, utf8);
	return sutra_buf_take(&b, NULL);
}

static void assert_fit(const char *s, size_t width, bool utf8, const char *want)
{
	char *got = fitted(s, width, utf8);

	assert_string_equal(got, want);
	sutra_free(got);
}

static void fit_cuts_and_defuses(void **state)
{
	assert_fit("short", 10, true, "short");
	assert_fit("exactly ten", 11, true, "exactly ten");
	assert_fit("much too long", 6, true, "much \u2026");
	assert_fit("much too long", 6, false, "muc...");
	assert_fit("\u4e2d\u4e2d\u4e2d", 4, true, "\u4e2d\u2026");
	assert_fit("a\033[2Jb\r\n", 0, true, "a?[2Jb??");
	assert_fit("x\xff\u202ey", 0, true, "x??y");
}

static char *printed(const struct sutra_table *t, unsigned columns, bool color, bool utf8)
{
	char *text = NULL;
	size_t n = 0;
	struct sutra_term term = { .out = open_memstream(&text, &n), .color = color, .utf8 = utf8 };

	sutra_table_print(t, &term, columns);
	fclose(term.out);
	return text;
}

static struct sutra_table *sample(void)
{
	static const struct sutra_column columns[] = {
		{ "NAME", false, 0 }, { "MS", true, 0 }, { "WHY", false, 6 }, { NULL, false, 0 } };
	struct sutra_table *t = sutra_table_new(columns);

	sutra_table_cell(t, SUTRA_ROLE_PLAIN, "one");
	sutra_table_cellf(t, SUTRA_ROLE_PLAIN, "%d", 7);
	sutra_table_cell(t, SUTRA_ROLE_BAD, "connection refused");
	sutra_table_cell(t, SUTRA_ROLE_PLAIN, "longer");
	sutra_table_cell(t, SUTRA_ROLE_PLAIN, "1234");
	sutra_table_cell(t, SUTRA_ROLE_PLAIN, NULL);
	return t;
}

static void table_fits_the_width(void **state)
{
	struct sutra_table *t = sample();
	char *text = printed(t, 0, false, true);

	assert_string_equal(text, "NAME      MS  WHY\n"
				  "one        7  connection refused\n"
				  "longer  1234\n");
	free(text);
	text = printed(t, 24, false, true);
	assert_string_equal(text, "NAME      MS  WHY\n"
				  "one        7  connectio\u2026\n"
				  "longer  1234\n");
	free(text);
	text = printed(t, 5, false, false);	/* never below the minimum, never cuts a figure */
	assert_string_equal(text, "NAME      MS  WHY\n"
				  "one        7  con...\n"
				  "longer  1234\n");
	free(text);
	text = printed(t, 0, true, true);
	assert_non_null(strstr(text, "\033[31mconnection refused\033[0m\n"));
	free(text);
	sutra_table_free(t);
}

/* Off a terminal: the state once, by itself, while the caller does nothing. */
static void a_state_that_lasts_is_said(void **state)
{
	struct sutra_progress p;
	int fds[2], before = dup(STDERR_FILENO);
	char line[128] = "";

	assert_int_equal(pipe(fds), 0);
	dup2(fds[1], STDERR_FILENO);
	sutra_progress_init(&p, NULL, false);
	sutra_progress_busy(&p, "waiting for it");
	assert_true(read(fds[0], line, sizeof(line) - 1) > 0);
	sutra_progress_clear(&p);
	dup2(before, STDERR_FILENO);
	assert_true(!strncmp(line, "waiting for it  ", 16));
	sutra_progress_init(&p, NULL, true);
	sutra_progress_busy(&p, "quiet");
	sutra_progress_clear(&p);
	close(before);
	close(fds[0]);
	close(fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(color_is_decided_in_order), cmocka_unit_test(width_counts_columns),
		cmocka_unit_test(fit_cuts_and_defuses), cmocka_unit_test(table_fits_the_width),
		cmocka_unit_test(a_state_that_lasts_is_said),
	};

	return cmocka_run_group_tests_name("term", tests, NULL, NULL);
}
