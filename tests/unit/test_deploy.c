/* What a deploy and a restart do: order, one replica at a time, waiting, mending, stopping. */
#include <string.h>

#include "fake_runtime.h"

#define TEST(name) cmocka_unit_test_setup_teardown(name, fake_setup, fake_teardown)
#define PORT(port) ", ports: ['127.0.0.1:" port ":80']"
#define BEHAVES(how) ", environment: { BEHAVES: " how " }"
#define DIM ", environment: { DIM: '${MATRYOSHKA_DIM}' }"

static void deploys(const char *text)
{
	fake_compose(text);
	if (fake_deploy())
		fail_msg("%s", fake.err.message);
}

/* Deploys what the next step of a test begins with. */
static void deployed(const char *text)
{
	deploys(text);
	fake.log[0] = '\0';
}

static void fails(const char *text, int code)
{
	fake_compose(text);
	assert_int_equal(fake_deploy(), code);
}

/* --- starting --- */

static void what_depends_on_nothing_starts_at_once(void **state)
{
	deploys("services:\n" SERVICE("a", "") SERVICE("b", ""));
	assert_did("start a b; ready a; ready b");
	assert_string_equal(fake_record(), "1 complete: a b");
}

static void who_waits_for_health_starts_after_it(void **state)
{
	deploys("services:\n" SERVICE("web", ", depends_on: { db: { condition: service_healthy } }")
		SERVICE("db", BEHAVES("slow 500")));
	assert_did("start db; ready db; start web; ready web");
	assert_int_equal(fake_ms(), 500);
}

static void who_waits_for_a_start_alone_starts_in_the_same_wave(void **state)
{
	deploys("services:\n" SERVICE("web", ", depends_on: { db: { condition: service_started } }")
		SERVICE("db", BEHAVES("slow 500")));
	assert_did("start db web; ready web; ready db");
}

static void who_waits_for_an_end_starts_after_it(void **state)
{
	deploys("services:\n  job: { command: [cat], restart: 'no'" BEHAVES("exits 0") " }\n"
		SERVICE("web", ", depends_on: { job: { condition: service_completed_successfully } }"));
	assert_did("start job; ready job; start web; ready web");
}

static void a_one_shot_service_that_fails_stops_the_deploy(void **state)
{
	fails("services:\n  job: { command: [cat], restart: 'no'" BEHAVES("exits 4") " }\n"
	      SERVICE("web", ", depends_on: { job: { condition: service_completed_successfully } }"), SUTRA_E_IO);
	assert_did("start job");
	assert_says("job exited with 4 instead of becoming ready");
}

static void what_others_wait_the_end_of_is_not_ready_while_it_runs(void **state)
{
	fake.timeout_ns = 3000000000u;
	fails("services:\n  job: { command: [cat], restart: 'no' }\n"
	      SERVICE("web", ", depends_on: { job: { condition: service_completed_successfully } }"), SUTRA_E_TIMEOUT);
	assert_did("start job");
	assert_string_equal(fake.failed.reason, "running");
}

static void a_chain_starts_link_by_link(void **state)
{
	deploys("services:\n" SERVICE("c", ", depends_on: { b: { condition: service_healthy } }")
		SERVICE("b", ", depends_on: { a: { condition: service_healthy } }") SERVICE("a", ""));
	assert_did("start a; ready a; start b; ready b; start c; ready c");
}

static void a_dependency_that_runs_already_is_not_waited_for(void **state)
{
	deployed("services:\n" SERVICE("db", ""));
	deploys("services:\n" SERVICE("db", "") SERVICE("web", ", depends_on: { db: { condition: service_healthy } }"));
	assert_did("start web; ready web");
}

static void a_service_without_a_health_check_is_ready_when_it_runs(void **state)
{
	deploys("services:\n  a: { command: [cat] }\n");
	assert_did("start a; ready a");
	assert_int_equal(fake_ms(), 0);
}

/* --- changing nothing --- */

static void a_second_deploy_does_nothing(void **state)
{
	deployed("services:\n" SERVICE("a", "") SERVICE("b", ""));
	assert_int_equal(fake_deploy(), 0);
	assert_did("");
	assert_false(fake.touched);
	assert_string_equal(fake_record(), "1 complete: a b");
}

static void an_unfinished_deploy_is_finished_though_nothing_changes(void **state)
{
	fake.stop_at = "ready a";
	fails("services:\n" SERVICE("a", "") SERVICE("b", BEHAVES("slow 500")), SUTRA_E_INTERRUPTED);
	assert_string_equal(fake_record(), "0 unfinished: a b");
	fake.log[0] = '\0';
	assert_int_equal(fake_deploy(), 0);
	assert_did("");
	assert_string_equal(fake_record(), "1 complete: a b");
}

/* --- replacing --- */

static void only_what_a_setting_touches_is_replaced(void **state)
{
	deployed("services:\n" SERVICE("a", DIM) SERVICE("b", "") SERVICE("c", DIM));
	fake_setting("MATRYOSHKA_DIM", "128");
	assert_int_equal(fake_deploy(), 0);
	assert_did("start a; ready a; start c; ready c");
	assert_string_equal(fake_record(), "2 complete: a b c");
}

static void replicas_go_one_at_a_time_and_before_what_uses_them(void **state)
{
	deployed("services:\n" SERVICE("gateway", DIM) SERVICE("web-1", DIM) SERVICE("web-2", DIM));
	fake_setting("MATRYOSHKA_DIM", "128");
	assert_int_equal(fake_deploy(), 0);
	assert_did("start web-1; ready web-1; start web-2; ready web-2; start gateway; ready gateway");
}

static void a_replica_is_drained_before_it_is_replaced(void **state)
{
	fake.drains = true;
	deployed(REPLICAS(DIM, "8404"));
	fake_setting("MATRYOSHKA_DIM", "128");
	assert_int_equal(fake_deploy(), 0);
	assert_did("drain web-1; start web-1; ready web-1; drain web-2; start web-2; ready web-2");
}

static void a_replica_in_place_is_not_drained(void **state)
{
	deployed(REPLICAS(DIM, "8404"));
	fake_setting("MATRYOSHKA_DIM", "128");
	assert_int_equal(fake_deploy(), 0);
	assert_did("start web-1; ready web-1; start web-2; ready web-2");
}

static void a_replica_that_keeps_a_session_is_replaced_after_its_grace(void **state)
{
	fake.drains = true;
	deployed(REPLICAS(", environment: { DIM: '${MATRYOSHKA_DIM}', BEHAVES: busy }", "8404"));
	fake_setting("MATRYOSHKA_DIM", "128");
	assert_int_equal(fake_deploy(), 0);
	assert_did("drain web-1; start web-1; ready web-1; drain web-2; start web-2; ready web-2");
	assert_string_equal(fake.cause, "after 30 s it still has requests in flight");
}

static void the_next_replica_waits_until_the_balancer_uses_the_one_before(void **state)
{
	deployed(REPLICAS("", "8404"));
	fails(REPLICAS(BEHAVES("unbalanced"), "8404"), SUTRA_E_TIMEOUT);
	assert_did("start web-1; ready web-1");
	assert_says("web-1 is \"DOWN\"");
}

static void a_replica_that_is_not_healthy_stops_the_roll(void **state)
{
	deployed("services:\n" SERVICE("gateway", "") SERVICE("web-1", "") SERVICE("web-2", ""));
	fails("services:\n" SERVICE("gateway", "") SERVICE("web-1", BEHAVES("unhealthy")) SERVICE("web-2", BEHAVES("unhealthy")),
	      SUTRA_E_TIMEOUT);
	assert_did("start web-1");
	assert_string_equal(fake_service("web-2")->behaves, "");	/* it serves as before */
	assert_string_equal(fake_record(), "1 unfinished: gateway web-1 web-2");
}

static void after_a_roll_that_stopped_the_next_deploy_replaces_the_rest(void **state)
{
	deployed("services:\n" SERVICE("web-1", DIM) SERVICE("web-2", DIM));
	fake_setting("MATRYOSHKA_DIM", "128");
	fake.stop_at = "ready web-1";
	assert_int_equal(fake_deploy(), SUTRA_E_INTERRUPTED);
	assert_did("start web-1; ready web-1");
	assert_int_equal(fake_deploy(), 0);
	assert_did("start web-2; ready web-2");
}

static void a_balancer_that_moves_is_replaced_before_it_is_asked(void **state)
{
	deployed(REPLICAS(DIM, "8404"));
	fake_setting("MATRYOSHKA_DIM", "128");
	deploys(REPLICAS(DIM, "8405"));
	assert_did("start lb; ready lb; start web-1; ready web-1; start web-2; ready web-2");
}

static void a_balancer_that_answers_is_replaced_last(void **state)
{
	deployed(REPLICAS("", "8404"));
	deploys("services:\n" SERVICE("web-1", DIM) SERVICE("web-2", DIM)
		"  lb: { command: [haproxy, x], depends_on: [web-1, web-2], ports: ['127.0.0.1:8404:8404'],\n"
		"        healthcheck: { test: [CMD, curl, 'http://127.0.0.1:8404/health'] } }\n");
	assert_did("start web-1; ready web-1; start web-2; ready web-2; start lb; ready lb");
}

static void a_service_of_an_earlier_deploy_cut_off_is_replaced(void **state)
{
	fails("services:\n" SERVICE("a", BEHAVES("cut off")), SUTRA_E_IO);
	fake.log[0] = '\0';
	deploys("services:\n" SERVICE("a", ""));
	assert_did("start a; ready a");
	assert_string_equal(fake_record(), "1 complete: a");
}

/* --- scaling and editions --- */

static void a_replica_more_is_started_and_the_others_stay(void **state)
{
	deployed("services:\n" SERVICE("web-1", "") SERVICE("web-2", ""));
	deploys("services:\n" SERVICE("web-1", "") SERVICE("web-2", "") SERVICE("web-3", ""));
	assert_did("start web-3; ready web-3");
	assert_string_equal(fake_record(), "2 complete: web-1 web-2 web-3");
}

static void a_new_replica_counts_once_its_balancer_uses_it(void **state)
{
	fake.timeout_ns = 4000000000u;
	fails(REPLICAS(BEHAVES("unbalanced"), "8404"), SUTRA_E_TIMEOUT);
	assert_says("web-1 is \"DOWN\" with 0 sessions in HAProxy, not UP");
}

static void a_replica_less_is_stopped_last(void **state)
{
	fake.prune = true;
	deployed("services:\n" SERVICE("web-1", DIM) SERVICE("web-2", DIM) SERVICE("web-3", DIM));
	fake_setting("MATRYOSHKA_DIM", "128");
	deploys("services:\n" SERVICE("web-1", DIM) SERVICE("web-2", DIM));
	assert_did("start web-1; ready web-1; start web-2; ready web-2; stop web-3");
	assert_string_equal(fake_record(), "2 complete: web-1 web-2");
}

static void without_prune_what_the_edition_lacks_runs_on(void **state)
{
	deployed("services:\n" SERVICE("a", "") SERVICE("old", ""));
	deploys("services:\n" SERVICE("a", DIM));
	assert_did("start a; ready a");
	assert_string_equal(fake_record(), "2 complete: a old");
}

static void who_holds_a_moved_port_serves_until_all_else_is_healthy(void **state)
{
	fake.prune = true;
	deployed("services:\n" SERVICE("old", PORT("9080")));
	deploys("services:\n" SERVICE("new", PORT("9080")) SERVICE("other", BEHAVES("slow 500")));
	assert_did("start other; ready other; stop old; start new; ready new");
}

static void a_holder_of_a_moved_port_stays_when_the_rest_fails(void **state)
{
	fake.prune = true;
	deployed("services:\n" SERVICE("old", PORT("9080")));
	fails("services:\n" SERVICE("new", PORT("9080")) SERVICE("other", BEHAVES("exits 1")), SUTRA_E_IO);
	assert_did("start other");
	assert_true(fake_service("old")->running);
}

/* --- failing --- */

static void what_is_refused_beforehand_leaves_all_as_it_was(void **state)
{
	fake.prepare_fails = true;
	fails("services:\n" SERVICE("a", ""), SUTRA_E_EXISTS);
	assert_did("");
	assert_false(fake.touched);
	assert_string_equal(fake_record(), "none");
}

static void what_cannot_be_started_ends_the_deploy(void **state)
{
	fails("services:\n" SERVICE("a", BEHAVES("refused")) SERVICE("b", ", depends_on: { a: { condition: service_healthy } }"),
	      SUTRA_E_IO);
	assert_did("start a");
	assert_true(fake.touched);
}

static void a_process_that_exits_ends_the_wait_at_once(void **state)
{
	fails("services:\n" SERVICE("a", BEHAVES("exits 3")) SERVICE("b", BEHAVES("slow 9000")), SUTRA_E_IO);
	assert_int_equal(fake_ms(), 0);
	assert_says("a exited with 3 instead of becoming ready");
	assert_string_equal(fake.failed.unit->name, "a");
	assert_string_equal(fake.failed.reason, "exited");
}

static void a_process_that_was_killed_is_named_with_its_signal(void **state)
{
	fails("services:\n" SERVICE("a", BEHAVES("exits 137")), SUTRA_E_IO);
	assert_says("a was killed by signal 9 (KILL) instead of becoming ready");
}

static void what_never_becomes_healthy_is_named_with_its_last_reply(void **state)
{
	fake.timeout_ns = 7000000000u;
	fails("services:\n" SERVICE("a", "") SERVICE("b", BEHAVES("unhealthy")), SUTRA_E_TIMEOUT);
	assert_int_equal(fake_ms(), 7000);
	assert_says("b is not ready: status, 503 not yet");
	assert_string_equal(fake.failed.unit->name, "b");
}

static void ctrl_c_between_two_waves_starts_no_more(void **state)
{
	fake.stop_at = "ready a";
	fails("services:\n" SERVICE("a", "") SERVICE("b", ", depends_on: { a: { condition: service_healthy } }"),
	      SUTRA_E_INTERRUPTED);
	assert_did("start a; ready a");
}

static void ctrl_c_ends_a_wait(void **state)
{
	fake.stop_at = "start a";
	fails("services:\n" SERVICE("a", BEHAVES("unhealthy")), SUTRA_E_INTERRUPTED);
	assert_says("interrupted while waiting for a");
	assert_int_equal(fake_ms(), 0);
}

static void ctrl_c_ends_a_wait_for_the_balancer(void **state)
{
	deployed(REPLICAS("", "8404"));
	fake.stop_at = "ready web-1";
	fails(REPLICAS(BEHAVES("unbalanced"), "8404"), SUTRA_E_INTERRUPTED);
	assert_did("start web-1; ready web-1");
	assert_says("interrupted while waiting for web-1");
}

/* --- mending what stays --- */

static void what_hangs_is_restarted_though_nothing_changes(void **state)
{
	deployed("services:\n" SERVICE("a", "") SERVICE("b", ""));
	fake_service("a")->hangs = true;
	assert_int_equal(fake_deploy(), 0);
	assert_did("restart a");
	assert_string_equal(fake.cause, "it does not answer");
	assert_int_equal(fake.healed, 1);
}

static void what_hangs_is_mended_before_others_are_taken_out(void **state)
{
	deployed("services:\n" SERVICE("a", "") SERVICE("b", ""));
	fake_service("a")->hangs = true;
	deploys("services:\n" SERVICE("a", "") SERVICE("b", DIM));
	assert_did("restart a; start b; ready b");
}

static void what_stays_sick_fails_the_deploy(void **state)
{
	deployed("services:\n" SERVICE("a", "") SERVICE("b", ""));
	strcpy(fake_service("a")->behaves, "unhealthy");
	fails("services:\n" SERVICE("a", "") SERVICE("b", DIM), SUTRA_E_TIMEOUT);
	assert_did("restart a; kill a");
	assert_string_equal(fake_service("b")->behaves, "");
}

static void a_falls_sick(void)
{
	if (fake_ms() >= 300)
		fake_service("a")->hangs = true;
}

static void what_stays_and_falls_sick_meanwhile_fails_the_deploy(void **state)
{
	deployed("services:\n" SERVICE("a", "") SERVICE("b", ""));
	fake.on_wait = a_falls_sick;
	fails("services:\n" SERVICE("a", "") SERVICE("b", BEHAVES("slow 500")), SUTRA_E_TIMEOUT);
	assert_did("start b; ready b");
	assert_says("a is not ready: first-byte-timeout");
}

static void a_replica_that_was_drained_and_left_so_is_restarted(void **state)
{
	deployed(REPLICAS("", "8404"));
	fake_service("web-2")->drained = true;
	assert_int_equal(fake_deploy(), 0);
	assert_did("restart web-2");
	assert_string_equal(fake.cause, "it was drained and left so");
	assert_int_equal(fake.healed, 1);
}

static void a_replica_that_its_balancer_does_not_use_is_restarted(void **state)
{
	deployed(REPLICAS("", "8404"));
	strcpy(fake_service("web-1")->behaves, "unbalanced");
	assert_int_equal(fake_deploy(), SUTRA_E_TIMEOUT);
	assert_did("restart web-1");
	assert_string_equal(fake.cause, "its balancer does not use it");
}

/* --- restart --- */

static void an_old_process_that_does_not_end_is_killed(void **state)
{
	deployed("services:\n" SERVICE("a", BEHAVES("lingers 20000")));
	deploys("services:\n" SERVICE("a", ", environment: { BEHAVES: lingers 20000, NEW: 1 }"));
	assert_did("start a; kill a; ready a");
	assert_int_equal(fake_ms(), 5050);	/* its grace, and until the next one lives */
}

static void an_old_process_that_takes_its_time_is_let(void **state)
{
	deployed("services:\n" SERVICE("a", BEHAVES("lingers 4000")));
	assert_int_equal(fake_restart("a"), 0);
	assert_did("restart a");
}

static void a_restart_in_place_counts_with_its_new_life(void **state)
{
	deployed("services:\n" SERVICE("a", BEHAVES("in place")));
	fake.now_ns += 5000000000u;
	assert_int_equal(fake_restart("a"), 0);
	assert_did("restart a");
}

static void a_restart_in_place_that_is_not_heard_is_a_kill(void **state)
{
	deployed("services:\n" SERVICE("a", BEHAVES("in place deaf")));
	fake.now_ns += 5000000000u;
	assert_int_equal(fake_restart("a"), 0);
	assert_did("restart a; kill a");
}

static void a_replica_is_drained_before_a_restart_and_up_after_it(void **state)
{
	fake.drains = true;
	deployed(REPLICAS("", "8404"));
	assert_int_equal(fake_restart("web-1"), 0);
	assert_did("drain web-1; restart web-1");
	assert_false(fake_service("web-1")->drained);
}

static void a_restart_goes_on_when_draining_takes_too_long(void **state)
{
	fake.drains = true;
	deployed(REPLICAS(BEHAVES("busy"), "8404"));
	assert_int_equal(fake_restart("web-1"), 0);
	assert_did("drain web-1; restart web-1");
}

static void a_restart_of_nothing_is_refused(void **state)
{
	deployed("services:\n" SERVICE("a", ""));
	assert_int_equal(fake_restart("b"), SUTRA_E_USAGE);
	assert_says("no service is called \"b\"");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_depends_on_nothing_starts_at_once),
		TEST(who_waits_for_health_starts_after_it),
		TEST(who_waits_for_a_start_alone_starts_in_the_same_wave),
		TEST(who_waits_for_an_end_starts_after_it),
		TEST(a_one_shot_service_that_fails_stops_the_deploy),
		TEST(what_others_wait_the_end_of_is_not_ready_while_it_runs),
		TEST(a_chain_starts_link_by_link),
		TEST(a_dependency_that_runs_already_is_not_waited_for),
		TEST(a_service_without_a_health_check_is_ready_when_it_runs),
		TEST(a_second_deploy_does_nothing),
		TEST(an_unfinished_deploy_is_finished_though_nothing_changes),
		TEST(only_what_a_setting_touches_is_replaced),
		TEST(replicas_go_one_at_a_time_and_before_what_uses_them),
		TEST(a_replica_is_drained_before_it_is_replaced),
		TEST(a_replica_in_place_is_not_drained),
		TEST(a_replica_that_keeps_a_session_is_replaced_after_its_grace),
		TEST(the_next_replica_waits_until_the_balancer_uses_the_one_before),
		TEST(a_replica_that_is_not_healthy_stops_the_roll),
		TEST(after_a_roll_that_stopped_the_next_deploy_replaces_the_rest),
		TEST(a_balancer_that_moves_is_replaced_before_it_is_asked),
		TEST(a_balancer_that_answers_is_replaced_last),
		TEST(a_service_of_an_earlier_deploy_cut_off_is_replaced),
		TEST(a_replica_more_is_started_and_the_others_stay),
		TEST(a_new_replica_counts_once_its_balancer_uses_it),
		TEST(a_replica_less_is_stopped_last),
		TEST(without_prune_what_the_edition_lacks_runs_on),
		TEST(who_holds_a_moved_port_serves_until_all_else_is_healthy),
		TEST(a_holder_of_a_moved_port_stays_when_the_rest_fails),
		TEST(what_is_refused_beforehand_leaves_all_as_it_was),
		TEST(what_cannot_be_started_ends_the_deploy),
		TEST(a_process_that_exits_ends_the_wait_at_once),
		TEST(a_process_that_was_killed_is_named_with_its_signal),
		TEST(what_never_becomes_healthy_is_named_with_its_last_reply),
		TEST(ctrl_c_between_two_waves_starts_no_more),
		TEST(ctrl_c_ends_a_wait),
		TEST(ctrl_c_ends_a_wait_for_the_balancer),
		TEST(what_hangs_is_restarted_though_nothing_changes),
		TEST(what_hangs_is_mended_before_others_are_taken_out),
		TEST(what_stays_sick_fails_the_deploy),
		TEST(what_stays_and_falls_sick_meanwhile_fails_the_deploy),
		TEST(a_replica_that_was_drained_and_left_so_is_restarted),
		TEST(a_replica_that_its_balancer_does_not_use_is_restarted),
		TEST(an_old_process_that_does_not_end_is_killed),
		TEST(an_old_process_that_takes_its_time_is_let),
		TEST(a_restart_in_place_counts_with_its_new_life),
		TEST(a_restart_in_place_that_is_not_heard_is_a_kill),
		TEST(a_replica_is_drained_before_a_restart_and_up_after_it),
		TEST(a_restart_goes_on_when_draining_takes_too_long),
		TEST(a_restart_of_nothing_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
