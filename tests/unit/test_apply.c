/* What a failed deploy goes back to, and when it does not. */
#include <string.h>

#include "fake_runtime.h"

#define TEST(name) cmocka_unit_test_setup_teardown(name, fake_setup, fake_teardown)
#define PAIR(rest) "services:\n" SERVICE("a", "") SERVICE("web", rest)
#define BROKEN ", environment: { BEHAVES: exits 3 }"

static void the_first(const char *text)
{
	fake_compose(text);
	assert_int_equal(fake_apply(), SUTRA_APPLIED);
	fake.log[0] = '\0';
}

static void a_failure_brings_the_last_good_generation_back(void **state)
{
	the_first(PAIR(""));
	fake_compose(PAIR(BROKEN));
	assert_int_equal(fake_apply(), SUTRA_APPLY_RETURNED);
	assert_did("start web; failed web; return 1; start web; ready web");
	assert_says("web exited with 3");
	assert_string_equal(fake_record(), "1 complete: a web");
}

static void a_first_deploy_has_nothing_to_go_back_to(void **state)
{
	fake_compose(PAIR(BROKEN));
	assert_int_equal(fake_apply(), SUTRA_APPLY_FAILED);
	assert_true(fake.touched);
	assert_string_equal(fake_record(), "0 unfinished: a web");
}

static void a_failure_that_touched_nothing_is_left(void **state)
{
	the_first(PAIR(""));
	fake_compose(PAIR(BROKEN));
	fake.prepare_fails = true;
	assert_int_equal(fake_apply(), SUTRA_APPLY_FAILED);
	assert_did("failed");
	assert_string_equal(fake_record(), "1 complete: a web");
}

static void a_failure_is_left_when_asked_to(void **state)
{
	the_first(PAIR(""));
	fake_compose(PAIR(BROKEN));
	fake.no_return = true;
	assert_int_equal(fake_apply(), SUTRA_APPLY_FAILED);
	assert_string_equal(fake_record(), "1 unfinished: a web");
}

static void ctrl_c_does_not_go_back(void **state)
{
	the_first(PAIR(""));
	fake_compose(PAIR(", environment: { BEHAVES: slow 5000 }"));
	fake.stop_at = "start web";
	assert_int_equal(fake_apply(), SUTRA_APPLY_STOPPED);
	assert_string_equal(fake_record(), "1 unfinished: a web");
}

static void a_way_back_that_fails_too_is_said(void **state)
{
	the_first(PAIR(""));
	fake_compose(PAIR(BROKEN));
	fake.return_fails = true;
	assert_int_equal(fake_apply(), SUTRA_APPLY_STUCK);
	assert_did("start web; failed web; return 1; failed");
	assert_says("web exited with 3");	/* the failure that decides */
	assert_string_equal(fake_record(), "1 unfinished: a web");
}

static void a_service_of_the_generation_before_is_left_on_the_way_back(void **state)
{
	the_first(PAIR(""));
	fake_compose("services:\n" SERVICE("web", BROKEN));
	assert_int_equal(fake_apply(), SUTRA_APPLY_RETURNED);
	assert_string_equal(fake_record(), "1 complete: a web");
	assert_true(fake_service("a")->running);
}

static void what_was_left_beside_the_last_good_generation_is_left_again(void **state)
{
	the_first("services:\n" SERVICE("old", ""));
	the_first("services:\n" SERVICE("web", ""));	/* without prune: old runs on */
	fake_compose("services:\n" SERVICE("web", BROKEN) SERVICE("new", ""));
	assert_int_equal(fake_apply(), SUTRA_APPLY_RETURNED);
	assert_did("start new; ready new; start web; failed web; return 2; start web; ready web; stop new");
	assert_string_equal(fake_record(), "2 complete: old web");
}

static void without_an_engine_there_is_no_way_back(void **state)
{
	the_first(PAIR(""));
	fake_compose(PAIR(BROKEN));
	fake.unreachable = true;
	assert_int_equal(fake_apply(), SUTRA_APPLY_FAILED);
	assert_did("start web; failed web; failed");
	assert_says("the engine is gone");
	fake.unreachable = false;
	assert_string_equal(fake_record(), "1 unfinished: a web");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_failure_brings_the_last_good_generation_back),
		TEST(a_first_deploy_has_nothing_to_go_back_to),
		TEST(a_failure_that_touched_nothing_is_left),
		TEST(a_failure_is_left_when_asked_to),
		TEST(ctrl_c_does_not_go_back),
		TEST(a_way_back_that_fails_too_is_said),
		TEST(a_service_of_the_generation_before_is_left_on_the_way_back),
		TEST(what_was_left_beside_the_last_good_generation_is_left_again),
		TEST(without_an_engine_there_is_no_way_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
