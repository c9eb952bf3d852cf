/* lib/stack: .env and env_file against the table of what Docker Compose reads, and beyond it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/jsonio.h"
#include "compose/dotenv.h"

static const char *look_up(void *environment, const char *name)
{
	return json_string_value(json_object_get(environment, name));
}

static void check_case(const json_t *c, json_t *environment)
{
	const json_t *own = json_object_get(c, "sutra"), *want = own ? own : json_object_get(c, "compose2"), *text;
	const char *what = json_string_value(json_object_get(c, "what")), *key;
	const struct sutra_dotenv how = { .lookup = look_up, .ctx = environment };
	struct sutra_env e = { 0 };
	struct sutra_err err = { 0 };
	json_t *value;
	int rc;

	text = json_object_get(c, "text");
	rc = sutra_dotenv_parse(json_string_value(text), json_string_length(text), "f", &how, &e, &err);
	if (json_is_string(want)) {
		if (rc != SUTRA_E_SETTING)
			fail_msg("%s: no error", what);
	} else {
		if (rc)
			fail_msg("%s: %s", what, err.message);
		if (e.n != json_object_size(want))
			fail_msg("%s: %zu names", what, e.n);
		json_object_foreach ((json_t *)(uintptr_t)want, key, value) {
			const char *got = sutra_env_get(&e, key);

			if (!got || strcmp(got, json_string_value(value)) != 0)
				fail_msg("%s: %s is \"%s\"", what, key, got ? got : "(none)");
		}
	}
	sutra_env_release(&e);
}

static void every_case_of_the_table_is_read_as_compose_does(void **state)
{
	json_t *table, *c, *cases;
	struct sutra_err err;
	size_t i;

	if (sutra_json_read("tests/data/env-cases.json", 1 << 20, &table, &err))
		fail_msg("%s", err.message);
	cases = json_object_get(table, "cases");
	assert_true(json_array_size(cases) >= 60);
	json_array_foreach (cases, i, c)
		check_case(c, json_object_get(table, "environment"));
	json_decref(table);
}

static void variables_are_replaced_as_compose_does(void **state)
{
	json_t *table, *c, *cases, *environment;
	struct sutra_err err;
	struct sutra_buf b;
	size_t i;

	if (sutra_json_read("tests/data/interpolation-cases.json", 1 << 20, &table, &err))
		fail_msg("%s", err.message);
	cases = json_object_get(table, "cases");
	environment = json_object_get(table, "environment");
	assert_true(json_array_size(cases) >= 40);
	sutra_buf_init(&b, 4096);
	json_array_foreach (cases, i, c) {
		const char *text = json_string_value(json_object_get(c, "text"));
		const char *want = json_string_value(json_object_get(c, "compose2"));
		int rc;

		sutra_buf_clear(&b);
		rc = sutra_interpolate(text, look_up, environment, &b, NULL, &err);
		if (want ? rc || strcmp(sutra_buf_str(&b), want) != 0 : !rc)
			fail_msg("%s: %s", text, rc ? err.message : sutra_buf_str(&b));
	}
	sutra_buf_release(&b);
	json_decref(table);
}

static int parse(const char *text, size_t n, struct sutra_strv *unset, struct sutra_err *err)
{
	const struct sutra_dotenv how = { .lookup = look_up, .unset = unset };
	struct sutra_env e = { 0 };
	int rc = sutra_dotenv_parse(text, n, "f", &how, &e, err);

	sutra_env_release(&e);
	return rc;
}

/* The line is told, the name is, and nothing of a value: it may be a password. */
static void errors_name_line_and_setting_and_no_value(void **state)
{
	static const char *const bad[][2] = {
		{ "A=1\nP=\"hunter2\nB=3\n", "f:2: P: the quote \" is not closed" },
		{ "A='1\n2'\nP='hunter2", "f:3: P: the quote ' is not closed" },
		{ "\n# x\nP=hunter2${\n", "f:3: P: a \"${\" begins no variable" },
		{ "P=\"hunter2\"hunter2\n", "f:1: P: text stands right behind the closing quote" },
		{ "A=1\nhunter2 hunter2\n", "f:2: this is not NAME=value" },
		{ "P=\"hunter2\\0000\"\n", "f:1: P: the value holds a NUL byte" },
		{ "A=1\nP=${X:?set X}\n", "f:2: P: required variable X is missing: set X" },
		{ "A=1\nP=hunter2\xff\n", "f:2: this is no UTF-8 text" },
		{ "\xff\xfe" "A\0=\0", "f:1: this is no UTF-8 text" },
	};
	struct sutra_err err;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		size_t n = strlen(bad[i][0]);

		assert_int_equal(parse(bad[i][0], n, NULL, &err), SUTRA_E_SETTING);
		if (strncmp(err.message, bad[i][1], strlen(bad[i][1])) != 0)
			fail_msg("%s\ngives: %s", bad[i][0], err.message);
		if (strstr(err.message, "hunter2"))
			fail_msg("a value is shown: %s", err.message);
	}
	assert_int_equal(parse("A=b\0c\n", 6, NULL, &err), SUTRA_E_SETTING);
}

static void variables_without_a_value_are_told(void **state)
{
	struct sutra_strv unset = { 0 };
	struct sutra_err err;
	static const char text[] = "A=pa$word\nB=$word${OTHER}\nC=${A}${N:-}${N-}${N+x}'$no'\nD='$no'\n";

	assert_int_equal(parse(text, strlen(text), &unset, &err), 0);
	assert_int_equal(unset.n, 3);
	assert_string_equal(unset.items[0], "word");
	assert_string_equal(unset.items[1], "OTHER");
	assert_string_equal(unset.items[2], "no");
	sutra_strv_release(&unset);
}

/* A name in the file may double what stands before it: the whole is bounded, and so is each value. */
static void growth_is_bounded(void **state)
{
	struct sutra_buf text;
	struct sutra_err err;

	sutra_buf_init(&text, 1 << 20);
	sutra_buf_adds(&text, "A0=0123456789abcdef\n");
	for (int i = 1; i < 30; i++)
		sutra_buf_addf(&text, "A%d=$A%d$A%d\n", i, i - 1, i - 1);
	assert_int_equal(parse(text.data, text.len, NULL, &err), SUTRA_E_SETTING);
	assert_non_null(strstr(err.message, "f:14: A13: a value is too long"));
	sutra_buf_clear(&text);
	sutra_buf_adds(&text, "A=");
	for (int i = 0; i < 100000; i++)
		sutra_buf_addc(&text, 'x');
	for (int i = 0; i < 1000; i++)
		sutra_buf_addf(&text, "\nB%d=$A", i);
	assert_int_equal(parse(text.data, text.len, NULL, &err), SUTRA_E_SETTING);
	assert_non_null(strstr(err.message, "16 MiB"));
	sutra_buf_clear(&text);
	for (int i = 0; i <= 10000; i++)
		sutra_buf_addf(&text, "B%d=\n", i);
	assert_int_equal(parse(text.data, text.len, NULL, &err), SUTRA_E_SETTING);
	assert_non_null(strstr(err.message, "f:10001: B10000: the file holds more than"));
	sutra_buf_release(&text);
}

static int only_a(const char *name, const char *value, struct sutra_err *err)
{
	if (!strcmp(name, "A"))
		return value && !strcmp(value, "no") ? sutra_fail(err, SUTRA_E_SETTING, "A is no") : 0;
	return sutra_hint((sutra_fail(err, SUTRA_E_SETTING, "%s is not known", name), err), "take A");
}

/* What refuses a name or a value needs not know where it stands. */
static void a_refused_statement_is_named_by_its_line(void **state)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
		{ "A=1\n\n# B\nB=2\nC=3\n", "f:4: B is not known" },
		{ "A='over\ntwo lines'\nA=no\n", "f:3: A is no" },
		{ "A=\"two\nlines\"\nB=\"two\nlines\"\n", "f:3: B is not known" },
		{ "A=1\nB\n", "f:2: B is not known" },	/* a name alone, for which there is no value */
	};
	const struct sutra_dotenv how = { .lookup = look_up, .check = only_a };

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct sutra_env e = { 0 };
		struct sutra_err err;

		assert_int_equal(sutra_dotenv_parse(cases[i].text, strlen(cases[i].text), "f", &how, &e, &err),
				 SUTRA_E_SETTING);
		assert_string_equal(err.message, cases[i].message);
		sutra_env_release(&e);
	}
}

static void a_file_is_read_with_the_environment_of_the_process(void **state)
{
	char dir[] = "/tmp/sutra-dotenv-XXXXXX", *path;
	struct sutra_env e = { 0 };
	struct sutra_err err;

	assert_non_null(mkdtemp(dir));
	path = xasprintf("%s/x.env", dir);
	assert_int_equal(sutra_file_write(path, "\xef\xbb\xbf" "A=<$SUTRA_TEST_DOTENV>", 25, 0600, &err), 0);
	setenv("SUTRA_TEST_DOTENV", "here", 1);
	assert_int_equal(sutra_dotenv_read(path, NULL, &e, &err), 0);
	assert_string_equal(sutra_env_get(&e, "A"), "<here>");
	sutra_env_release(&e);
	sutra_remove_tree(dir, NULL);
	assert_int_equal(sutra_dotenv_read(path, NULL, &e, &err), SUTRA_E_NOTFOUND);
	sutra_free(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_case_of_the_table_is_read_as_compose_does),
		cmocka_unit_test(variables_are_replaced_as_compose_does),
		cmocka_unit_test(errors_name_line_and_setting_and_no_value),
		cmocka_unit_test(variables_without_a_value_are_told),
		cmocka_unit_test(growth_is_bounded),
		cmocka_unit_test(a_refused_statement_is_named_by_its_line),
		cmocka_unit_test(a_file_is_read_with_the_environment_of_the_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
