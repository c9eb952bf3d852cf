/* Generations: what becomes one, what is kept, which one a rollback brings back; down; the lock. */
#include <string.h>

#include "fake_runtime.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/lock.h"

#define TEST(name) cmocka_unit_test_setup_teardown(name, fake_setup, fake_teardown)
#define DIM ", environment: { DIM: '${MATRYOSHKA_DIM}' }"
#define PAIR(rest) "services:\n" SERVICE("a", "") SERVICE("web", rest)

static void deployed(const char *text)
{
	fake_compose(text);
	if (fake_deploy())
		fail_msg("%s", fake.err.message);
	fake.log[0] = '\0';
}

/* Generation 1 with a dimension of 256, 2 with one of 128. */
static void two_generations(void)
{
	deployed(PAIR(DIM));
	fake_setting("MATRYOSHKA_DIM", "128");
	deployed(PAIR(DIM));
}

/* "3 2 1"; until the next call. */
static const char *kept(void)
{
	static char text[64];
	int *list;
	size_t n = sutra_generation_list(fake.state_dir, &list);

	*text = '\0';
	for (size_t i = 0; i < n; i++)
		snprintf(text + strlen(text), 8, "%s%d", i ? " " : "", list[i]);
	sutra_free(list);
	return text;
}

static void edit_generation(int number, const char *text)
{
	char *path = xasprintf("%s/generations/%d/generation.json", fake.state_dir, number);

	assert_int_equal(sutra_file_write(path, text, strlen(text), 0600, NULL), 0);
	sutra_free(path);
}

/* --- what becomes a generation --- */

static void a_deploy_that_changes_something_is_a_generation(void **state)
{
	two_generations();
	assert_string_equal(kept(), "2 1");
	assert_int_equal(fake_deploy(), 0);
	assert_string_equal(kept(), "2 1");
}

static void a_deploy_that_fails_is_none(void **state)
{
	deployed(PAIR(""));
	fake_compose(PAIR(", environment: { BEHAVES: exits 1 }"));
	assert_int_equal(fake_deploy(), SUTRA_E_IO);
	assert_string_equal(kept(), "1");
}

static void the_last_four_are_kept(void **state)
{
	static const char *const values[] = { "64", "128", "192", "256", "320", "384" };

	for (int i = 0; i < 6; i++) {
		fake_setting("MATRYOSHKA_DIM", values[i]);
		deployed(PAIR(DIM));
	}
	assert_string_equal(kept(), "6 5 4 3");
}

static void one_that_a_service_comes_from_is_kept(void **state)
{
	static const char *const values[] = { "64", "128", "192", "256", "320" };

	fake_compose(PAIR(""));
	deployed(PAIR("") SERVICE("b", ", environment: { B: 1 }"));
	deployed(PAIR("") SERVICE("b", ", environment: { B: 2 }"));
	assert_int_equal(fake_rollback(1), SUTRA_APPLIED);	/* b comes from its folder, and stays as it is */
	for (int i = 0; i < 5; i++) {
		fake_setting("MATRYOSHKA_DIM", values[i]);
		deployed(PAIR(DIM) SERVICE("b", ", environment: { B: 1 }"));
	}
	assert_string_equal(kept(), "8 7 6 5 1");
}

/* --- which one, and what it brings back --- */

static void a_rollback_brings_the_one_before_back_as_a_new_one(void **state)
{
	two_generations();
	assert_int_equal(fake_rollback(0), SUTRA_APPLIED);
	assert_did("start web; ready web");
	assert_string_equal(fake_record(), "3 complete: a web");
	assert_string_equal(kept(), "3 2 1");
}

static void a_second_rollback_brings_back_what_the_first_left(void **state)
{
	two_generations();
	assert_int_equal(fake_rollback(0), SUTRA_APPLIED);
	assert_int_equal(fake_rollback(0), SUTRA_APPLIED);
	assert_string_equal(fake_plan(), "keep a (unchanged); keep web (unchanged)");	/* 128, as set */
}

static void any_generation_can_be_asked_for(void **state)
{
	two_generations();
	fake_setting("MATRYOSHKA_DIM", "384");
	deployed(PAIR(DIM));
	assert_int_equal(fake_rollback(1), SUTRA_APPLIED);
	assert_string_equal(fake_plan(), "keep a (unchanged); replace web (DIM changed: 256 -> 384)");
}

static void a_generation_that_is_not_there_is_refused_with_those_that_are(void **state)
{
	two_generations();
	assert_int_equal(fake_rollback(7), SUTRA_APPLY_FAILED);
	assert_says("there is no generation 7; kept are: 2, 1");
	assert_did("");
}

static void before_the_first_there_is_none(void **state)
{
	deployed(PAIR(""));
	assert_int_equal(fake_rollback(0), SUTRA_APPLY_FAILED);
	assert_says("there is no generation before 1");
}

static void with_nothing_deployed_there_is_no_rollback(void **state)
{
	assert_int_equal(fake_rollback(0), SUTRA_APPLY_FAILED);
	assert_says("nothing is deployed");
}

static void a_first_deploy_that_was_cut_off_has_none(void **state)
{
	fake_compose(PAIR(", environment: { BEHAVES: cut off }"));
	assert_int_equal(fake_deploy(), SUTRA_E_IO);
	assert_int_equal(fake_rollback(0), SUTRA_APPLY_FAILED);
	assert_says("no deploy has come to its end yet");
}

static void after_down_and_a_deploy_cut_off_it_is_the_newest(void **state)
{
	size_t n;
	int killed;

	two_generations();
	assert_int_equal(sutra_deploy_down(fake_runtime(), fake.state_dir, false, &n, &killed, &fake.err), 0);
	fake_compose(PAIR(", environment: { BEHAVES: cut off }"));
	assert_int_equal(fake_deploy(), SUTRA_E_IO);
	assert_int_equal(fake_rollback(0), SUTRA_APPLIED);
	fake_compose(PAIR(DIM));
	assert_string_equal(fake_plan(), "keep a (unchanged); keep web (unchanged)");	/* 128: that of generation 2 */
}

static void neither_settings_nor_files_of_today_decide(void **state)
{
	deployed(PAIR(DIM));
	fake_setting("MATRYOSHKA_DIM", "128");
	deployed(PAIR(DIM) SERVICE("new", ""));
	fake_setting("MATRYOSHKA_DIM", "384");
	fake_compose("services:\n" SERVICE("other", ""));
	assert_int_equal(fake_rollback(1), SUTRA_APPLIED);
	fake_setting("MATRYOSHKA_DIM", "256");
	fake_compose(PAIR(DIM));
	assert_string_equal(fake_plan(), "keep a (unchanged); keep web (unchanged)");
}

static void what_the_generation_lacks_is_stopped_last(void **state)
{
	deployed(PAIR(DIM));
	fake_setting("MATRYOSHKA_DIM", "128");
	deployed(PAIR(DIM) SERVICE("new", ""));
	assert_int_equal(fake_rollback(1), SUTRA_APPLIED);
	assert_did("start web; ready web; stop new");
	assert_string_equal(fake_record(), "3 complete: a web");
}

static void the_programs_of_a_generation_outlive_their_files(void **state)
{
	fake_program("sutra-own", "#!/bin/sh\n");
	deployed("services:\n  own: { command: [sutra-own] }\n");
	fake_program("sutra-own", "#!/bin/sh\necho another\n");
	assert_string_equal(fake_plan(), "replace own (its program, arguments or configuration file changed)");
	assert_int_equal(fake_deploy(), 0);
	fake_program("sutra-own", "#!/bin/sh\necho a third\n");
	fake.log[0] = '\0';
	assert_int_equal(fake_rollback(0), SUTRA_APPLIED);
	assert_did("start own; ready own");
	fake_program("sutra-own", "#!/bin/sh\n");
	assert_string_equal(fake_plan(), "keep own (unchanged)");
}

/* A generation whose program has gone bad since. */
static void a_rollback_that_fails_goes_back_to_what_ran(void **state)
{
	static const char bad[] = PAIR(", environment: { BEHAVES: exits 1 }");
	char *path = xasprintf("%s/generations/1/compose/docker-compose.yml", fake.state_dir);

	two_generations();
	assert_int_equal(sutra_file_write(path, bad, strlen(bad), 0600, NULL), 0);
	assert_int_equal(fake_rollback(0), SUTRA_APPLY_RETURNED);
	assert_did("start web; failed web; return 2; start web; ready web");
	assert_string_equal(fake_record(), "2 complete: a web");
	sutra_free(path);
}

static void a_generation_of_another_runtime_is_refused(void **state)
{
	two_generations();
	edit_generation(1, "{\"runtime\": \"docker\", \"settings\": {}}");
	assert_int_equal(fake_rollback(1), SUTRA_APPLY_FAILED);
	assert_says("the stack runs on the runtime fake, not docker");
	assert_did("");
}

static void a_damaged_generation_is_refused(void **state)
{
	two_generations();
	edit_generation(1, "{\"runtime\": \"fake\"}");
	assert_int_equal(fake_rollback(1), SUTRA_APPLY_FAILED);
	assert_says("generation.json is no generation");
	edit_generation(1, "{\"runtime\": \"unheard of\", \"settings\": {}}");
	assert_int_equal(fake_rollback(1), SUTRA_APPLY_FAILED);
	assert_says("generation 1 has no runtime");
	edit_generation(1, "{\"runtime\": \"fake\", \"settings\": {\"LD_PRELOAD\": \"x\"}}");
	assert_int_equal(fake_rollback(1), SUTRA_APPLY_FAILED);
	assert_says("LD_PRELOAD");
	assert_did("");
}

/* --- down --- */

static void down_ends_all_and_keeps_the_generations(void **state)
{
	size_t n;
	int killed;

	two_generations();
	assert_int_equal(sutra_deploy_down(fake_runtime(), fake.state_dir, false, &n, &killed, &fake.err), 0);
	assert_did("down");
	assert_int_equal(n, 2);
	assert_string_equal(fake_record(), "none");
	assert_string_equal(kept(), "2 1");
	assert_string_equal(fake_plan(), "start a (not deployed); start web (not deployed)");
}

static void down_with_volumes_forgets_the_generations(void **state)
{
	size_t n;
	int killed;

	two_generations();
	assert_int_equal(sutra_deploy_down(fake_runtime(), fake.state_dir, true, &n, &killed, &fake.err), 0);
	assert_string_equal(kept(), "");
}

static void a_second_down_finds_nothing(void **state)
{
	size_t n;
	int killed;

	deployed(PAIR(""));
	assert_int_equal(sutra_deploy_down(fake_runtime(), fake.state_dir, false, &n, &killed, &fake.err), 0);
	assert_int_equal(sutra_deploy_down(fake_runtime(), fake.state_dir, false, &n, &killed, &fake.err), 0);
	assert_int_equal(n, 0);
}

/* --- the lock --- */

static int first;

static void end_first(void)
{
	if (fake_ms() >= 3000 && first >= 0) {
		sutra_lock_release(fake.state_dir, first);
		first = -1;
	}
}

static void a_lock_that_is_freed_in_time_is_taken(void **state)
{
	int second;

	assert_int_equal(sutra_lock_take(fake.state_dir, "deploy", 1, NULL, &first, &fake.err), 0);
	fake.on_wait = end_first;
	assert_int_equal(sutra_lock_take(fake.state_dir, "rollback", 60000000000u, NULL, &second, &fake.err), 0);
	assert_int_equal(fake_ms(), 3000);
	sutra_lock_release(fake.state_dir, second);
}

static void a_lock_that_is_held_longer_names_its_holder(void **state)
{
	int second;

	assert_int_equal(sutra_lock_take(fake.state_dir, "deploy", 1, NULL, &first, &fake.err), 0);
	assert_int_equal(sutra_lock_take(fake.state_dir, "rollback", 2000000000u, NULL, &second, &fake.err), SUTRA_E_LOCKED);
	assert_says("sutra deploy");
	assert_int_equal(fake_ms(), 2000);
	sutra_lock_release(fake.state_dir, first);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_deploy_that_changes_something_is_a_generation),
		TEST(a_deploy_that_fails_is_none),
		TEST(the_last_four_are_kept),
		TEST(one_that_a_service_comes_from_is_kept),
		TEST(a_rollback_brings_the_one_before_back_as_a_new_one),
		TEST(a_second_rollback_brings_back_what_the_first_left),
		TEST(any_generation_can_be_asked_for),
		TEST(a_generation_that_is_not_there_is_refused_with_those_that_are),
		TEST(before_the_first_there_is_none),
		TEST(with_nothing_deployed_there_is_no_rollback),
		TEST(a_first_deploy_that_was_cut_off_has_none),
		TEST(after_down_and_a_deploy_cut_off_it_is_the_newest),
		TEST(neither_settings_nor_files_of_today_decide),
		TEST(what_the_generation_lacks_is_stopped_last),
		TEST(the_programs_of_a_generation_outlive_their_files),
		TEST(a_rollback_that_fails_goes_back_to_what_ran),
		TEST(a_generation_of_another_runtime_is_refused),
		TEST(a_damaged_generation_is_refused),
		TEST(down_ends_all_and_keeps_the_generations),
		TEST(down_with_volumes_forgets_the_generations),
		TEST(a_second_down_finds_nothing),
		TEST(a_lock_that_is_freed_in_time_is_taken),
		TEST(a_lock_that_is_held_longer_names_its_holder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
