/* What a plan says of a stack: what starts, what is replaced and why, what stops or is left. */
#include <string.h>

#include "fake_runtime.h"

#include "base/alloc.h"
#include "base/file.h"
#include "deploy/plan.h"

#define TEST(name) cmocka_unit_test_setup_teardown(name, fake_setup, fake_teardown)
#define DIM ", environment: { DIM: '${MATRYOSHKA_DIM}' }"
#define PORT(port) ", ports: ['127.0.0.1:" port ":80']"

static void deployed(const char *text)
{
	fake_compose(text);
	if (fake_deploy())
		fail_msg("%s", fake.err.message);
	fake.log[0] = '\0';
}

static void write_state(const char *name, const char *text)
{
	char *path = xasprintf("%s/%s", fake.state_dir, name);

	assert_int_equal(sutra_file_write(path, text, strlen(text), 0600, NULL), 0);
	sutra_free(path);
}

static void with_nothing_deployed_all_is_started(void **state)
{
	fake_compose("services:\n" SERVICE("a", "") SERVICE("b", ""));
	assert_string_equal(fake_plan(), "start a (not deployed); start b (not deployed)");
}

static void the_same_settings_change_nothing(void **state)
{
	deployed("services:\n" SERVICE("a", DIM) SERVICE("b", ""));
	assert_string_equal(fake_plan(), "keep a (unchanged); keep b (unchanged)");
}

static void a_changed_setting_replaces_only_what_it_touches(void **state)
{
	deployed("services:\n" SERVICE("a", DIM) SERVICE("b", ""));
	fake_setting("MATRYOSHKA_DIM", "128");
	assert_string_equal(fake_plan(), "replace a (DIM changed: 256 -> 128); keep b (unchanged)");
}

static void a_variable_that_is_gone_is_named(void **state)
{
	deployed("services:\n" SERVICE("a", DIM));
	fake_compose("services:\n" SERVICE("a", ""));
	assert_string_equal(fake_plan(), "replace a (DIM is unset: 256 -> unset)");
}

static void a_variable_that_is_new_is_named(void **state)
{
	deployed("services:\n" SERVICE("a", ""));
	fake_compose("services:\n" SERVICE("a", DIM));
	assert_string_equal(fake_plan(), "replace a (DIM changed: unset -> 256)");
}

static void a_changed_secret_is_not_shown(void **state)
{
	deployed("services:\n" SERVICE("a", ", environment: { HAPROXY_STATS_PASSWORD: one }"));
	fake_compose("services:\n" SERVICE("a", ", environment: { HAPROXY_STATS_PASSWORD: two }"));
	assert_string_equal(fake_plan(), "replace a (its program, arguments or configuration file changed)");
}

static void a_changed_command_is_a_change(void **state)
{
	deployed("services:\n  a: { command: [cat, x] }\n");
	fake_compose("services:\n  a: { command: [cat, y] }\n");
	assert_string_equal(fake_plan(), "replace a (its program, arguments or configuration file changed)");
}

static void another_user_is_named(void **state)
{
	deployed("services:\n" SERVICE("a", ""));
	fake_setting("SUTRA_USER", "somebody");
	assert_string_equal(fake_plan(), "replace a (SUTRA_USER changed)");
}

static void order_and_dependencies_alone_are_no_change(void **state)
{
	deployed("services:\n" SERVICE("a", "") SERVICE("b", ""));
	fake_compose("services:\n" SERVICE("b", ", depends_on: [a]") SERVICE("a", ""));
	assert_string_equal(fake_plan(), "keep a (unchanged); keep b (unchanged)");
}

static void what_does_not_run_is_started_and_the_rest_kept(void **state)
{
	deployed("services:\n" SERVICE("a", "") SERVICE("b", ""));
	fake_service("b")->running = false;
	assert_string_equal(fake_plan(), "keep a (unchanged); start b (not running)");
}

static void a_one_shot_service_that_is_done_is_kept(void **state)
{
	deployed("services:\n  job: { command: [cat], restart: 'no', environment: { BEHAVES: exits 0 } }\n");
	assert_string_equal(fake_plan(), "keep job (done)");
}

static void a_one_shot_service_runs_again_with_other_settings(void **state)
{
	deployed("services:\n  job: { command: [cat], restart: 'no', environment: { BEHAVES: exits 0 } }\n");
	fake_compose("services:\n  job: { command: [cat, x], restart: 'no', environment: { BEHAVES: exits 0 } }\n");
	assert_string_equal(fake_plan(), "start job (not running)");
}

static void a_one_shot_service_that_failed_is_started_again(void **state)
{
	deployed("services:\n  job: { command: [cat], restart: 'no', environment: { BEHAVES: exits 0 } }\n");
	fake_service("job")->last_exit = 1;
	strcpy(fake_service("job")->behaves, "exits 1");
	assert_string_equal(fake_plan(), "start job (not running)");
}

static void all_is_started_anew_under_a_killed_supervisor(void **state)
{
	deployed("services:\n" SERVICE("a", "") SERVICE("b", ""));
	fake.supervisor_gone = true;
	assert_string_equal(fake_plan(), "start a (its supervisor was killed); start b (its supervisor was killed)");
}

static void all_is_started_anew_under_a_supervisor_with_fewer_files(void **state)
{
	deployed("services:\n" SERVICE("a", ""));
	fake.outgrown = true;
	assert_string_equal(fake_plan(), "start a (its supervisor may open fewer files)");
}

static void a_service_that_the_record_lacks_is_replaced(void **state)
{
	fake_compose("services:\n" SERVICE("a", ", environment: { BEHAVES: cut off }"));
	assert_int_equal(fake_deploy(), SUTRA_E_IO);
	assert_string_equal(fake_record(), "0 unfinished:");
	assert_string_equal(fake_plan(), "replace a (left by a deploy that was cut off)");
}

static void with_a_lost_record_what_runs_is_replaced_and_the_rest_stopped(void **state)
{
	char *service = xasprintf("%s/native/services/old", fake.state_dir);

	deployed("services:\n" SERVICE("a", "") SERVICE("old", ""));
	assert_int_equal(sutra_mkdirs(service, 0700, NULL), 0);	/* from where the names are recovered */
	strcpy(strrchr(service, '/'), "/a");
	assert_int_equal(sutra_mkdirs(service, 0700, NULL), 0);
	sutra_free(service);
	write_state("deployment.json", "garbage");
	fake_compose("services:\n" SERVICE("a", ""));
	fake.prune = true;
	assert_string_equal(fake_plan(), "replace a (its record was lost); stop old (not in this edition)");
}

static void what_the_edition_lacks_is_left_without_prune(void **state)
{
	deployed("services:\n" SERVICE("a", "") SERVICE("old", ""));
	fake_compose("services:\n" SERVICE("a", ""));
	assert_string_equal(fake_plan(), "keep a (unchanged); leave old (not in this edition)");
	fake.prune = true;
	assert_string_equal(fake_plan(), "keep a (unchanged); stop old (not in this edition)");
}

static void a_left_service_must_not_hold_a_wanted_address(void **state)
{
	deployed("services:\n" SERVICE("old", PORT("9080")));
	fake_compose("services:\n" SERVICE("new", PORT("9080")));
	assert_string_equal(fake_plan(), "new needs 127.0.0.1:9080, which old holds; nothing was touched");
	fake.prune = true;
	assert_string_equal(fake_plan(), "start new (not deployed); stop old (not in this edition)");
}

static void every_address_includes_the_one_of_loopback(void **state)
{
	deployed("services:\n" SERVICE("old", ", ports: ['0.0.0.0:9080:80']"));
	fake_compose("services:\n" SERVICE("new", PORT("9080")));
	assert_string_equal(fake_plan(), "new needs 127.0.0.1:9080, which old holds; nothing was touched");
	fake_compose("services:\n" SERVICE("new", PORT("9081")));
	assert_string_equal(fake_plan(), "start new (not deployed); leave old (not in this edition)");
}

static void one_port_on_two_addresses_is_no_conflict(void **state)
{
	deployed("services:\n" SERVICE("old", ", ports: ['127.0.0.2:9080:80']"));
	fake_compose("services:\n" SERVICE("new", PORT("9080")));
	assert_string_equal(fake_plan(), "start new (not deployed); leave old (not in this edition)");
}

/* A container's plan: its unit, what the record has of it, what the engine says. */
static const char *container_step(const char *image, const char *hash, uint64_t limit, const char *recorded)
{
	static char cause[200];
	char name[] = "a", wanted_hash[] = "h", container[] = "c1";
	struct sutra_unit u = { .name = name, .hash = wanted_hash, .image = (char *)(uintptr_t)image, .memory_limit = limit };
	struct sutra_unit old = { .name = name, .hash = (char *)(uintptr_t)hash, .image = (char *)(uintptr_t)recorded,
				  .container = container };
	const struct sutra_record record = { .complete = true, .units = &old, .n = 1 };
	struct sutra_plan plan = { 0 };

	assert_int_equal(sutra_plan_make(fake_runtime(), &u, 1, &record, fake.state_dir, false, &plan, &fake.err), 0);
	snprintf(cause, sizeof(cause), "%s", plan.steps[0].cause);
	sutra_plan_release(&plan);
	return cause;
}

static void a_container_is_compared_by_image_hash_and_hand(void **state)
{
	deployed("services:\n" SERVICE("a", ""));
	strcpy(fake_service("a")->container, "c1");
	assert_string_equal(container_step("new:name@sha256:1", "h", 0, "ml:v1@sha256:1"), "unchanged");
	assert_string_equal(container_step("ml:v1@sha256:2", "h", 0, "ml:v1@sha256:1"), "its image changed");
	assert_string_equal(container_step("ml:v1@sha256:1", "other", 0, "ml:v1@sha256:1"),
			    "its command, ports, volumes or configuration file changed");
	assert_string_equal(container_step("ml:v1@sha256:1", "h", 1 << 20, "ml:v1@sha256:1"),
			    "its container was changed by hand");	/* it has no limit */
	strcpy(fake_service("a")->container, "c2");
	assert_string_equal(container_step("ml:v1@sha256:1", "h", 0, "ml:v1@sha256:1"), "its container was changed by hand");
}

/* The document of --plan, which --from compares. */
static void a_plan_tells_from_what_to_what(void **state)
{
	struct sutra_step steps[] = {
		{ .action = SUTRA_REPLACE, .name = (char *)(uintptr_t)"a", .cause = (char *)(uintptr_t)"K changed",
		  .field = (char *)(uintptr_t)"K", .old_value = (char *)(uintptr_t)"1", .old_hash = (char *)(uintptr_t)"h" },
	};
	const struct sutra_plan plan = { .steps = steps, .n = 1, .n_changes = 1 };
	json_t *want = json_pack("[{s:s, s:s, s:s, s:s, s:s, s:n, s:s, s:n}]", "service", "a", "action", "replace", "cause",
				 "K changed", "field", "K", "old", "1", "new", "from", "h", "to"),
	       *document = sutra_plan_steps(&plan);

	assert_true(json_equal(document, want));
	json_decref(document);
	json_decref(want);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(with_nothing_deployed_all_is_started),
		TEST(the_same_settings_change_nothing),
		TEST(a_changed_setting_replaces_only_what_it_touches),
		TEST(a_variable_that_is_gone_is_named),
		TEST(a_variable_that_is_new_is_named),
		TEST(a_changed_secret_is_not_shown),
		TEST(a_changed_command_is_a_change),
		TEST(another_user_is_named),
		TEST(order_and_dependencies_alone_are_no_change),
		TEST(what_does_not_run_is_started_and_the_rest_kept),
		TEST(a_one_shot_service_that_is_done_is_kept),
		TEST(a_one_shot_service_runs_again_with_other_settings),
		TEST(a_one_shot_service_that_failed_is_started_again),
		TEST(all_is_started_anew_under_a_killed_supervisor),
		TEST(all_is_started_anew_under_a_supervisor_with_fewer_files),
		TEST(a_service_that_the_record_lacks_is_replaced),
		TEST(with_a_lost_record_what_runs_is_replaced_and_the_rest_stopped),
		TEST(what_the_edition_lacks_is_left_without_prune),
		TEST(a_left_service_must_not_hold_a_wanted_address),
		TEST(every_address_includes_the_one_of_loopback),
		TEST(one_port_on_two_addresses_is_no_conflict),
		TEST(a_container_is_compared_by_image_hash_and_hand),
		TEST(a_plan_tells_from_what_to_what),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
