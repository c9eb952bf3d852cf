/* lib/stack: interpolation, compose files, settings, hashes, the lock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "deploy/audit.h"
#include "compose/compose.h"
#include "compose/config.h"
#include "runtime/docker.h"
#include "deploy/generation.h"
#include "compose/interpolate.h"
#include "base/lock.h"
#include "runtime/unit.h"

static const char *look_up(void *ctx, const char *name)
{
	return !strcmp(name, "A") ? "alpha" : !strcmp(name, "EMPTY") ? "" : NULL;
}

static void interpolation_knows_every_operator(void **state)
{
	static const char *const good[][2] = {
		{ "plain", "plain" },		  { "$A-${A}", "alpha-alpha" },	 { "$$A", "$A" },
		{ "${N:-x}", "x" },		  { "${EMPTY:-x}", "x" },	 { "${EMPTY-x}", "" },
		{ "${N-${A}}", "alpha" },	  { "${A:+yes}", "yes" },	 { "${N:+yes}", "" },
		{ "${EMPTY+yes}", "yes" },	  { "${A:?gone}", "alpha" },	 { "<$N>", "<>" },
		{ "${N:-a${N:-b}c}d", "abcd" },	  { "a $ b $5$", "a $ b $5$" },	 { "${N:-{\"a\":{}}}", "{\"a\":{}}" },
	};
	static const char *const bad[][2] = {
		{ "${A", "closing brace" },   { "${}", "no variable name" }, { "${A!x}", "after the name" }, { "${N:?is $A}", "N is missing: is alpha" },
	};
	struct sutra_err err;
	struct sutra_buf b;

	sutra_buf_init(&b, 4096);
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		sutra_buf_clear(&b);
		assert_int_equal(sutra_interpolate(good[i][0], look_up, NULL, &b, NULL, &err), 0);
		assert_string_equal(sutra_buf_str(&b), good[i][1]);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		assert_true(sutra_interpolate(bad[i][0], look_up, NULL, &b, NULL, &err) < 0);
		if (!strstr(err.message, bad[i][1]))
			fail_msg("%s: %s", bad[i][0], err.message);
	}
	sutra_buf_release(&b);
}

static int parse(const char *text, struct sutra_compose **ret, struct sutra_err *err)
{
	return sutra_compose_parse(text, strlen(text), "f.yml", look_up, NULL, ret, err);
}

static const char whole[] = "x-common: &common\n"
			    "  restart: on-failure:3\n"
			    "services:\n"
			    "  web-1:\n"
			    "    <<: *common\n"
			    "    command: [\"sh\", \"-c\", \"echo $$HOME\"]\n"
			    "    profiles: [big]\n"
			    "    environment: { PLAIN: 1, FROM: \"${A}\", A: }\n"
			    "    expose: [\"80\"]\n"
			    "    ports: [\"127.0.0.1:8080:80\", { target: 81, published: 8081 }]\n"
			    "    volumes: [\"data:/data\", \"./conf:/conf:ro\"]\n"
			    "    depends_on: { db: { condition: service_healthy } }\n"
			    "    healthcheck: { test: [\"CMD\", \"curl\", \"http://127.0.0.1:80/h\"],\n"
			    "                   interval: 5s, timeout: 1500ms, retries: 4, start_period: 1m }\n"
			    "    deploy: { resources: { limits: { memory: 2G, cpus: \"0.5\" } } }\n"
			    "    stop_grace_period: 3s\n"
			    "  web-2: { command: sleep '1 2', depends_on: [db] }\n"
			    "  db: { command: cat, environment: [\"K=v=w\", \"A\", \"NOT_SET\"] }\n"
			    "volumes: { data: {} }\n";

static void compose_reads_every_form(void **state)
{
	const struct sutra_service *w, *db;
	struct sutra_compose *c;
	struct sutra_err err;

	if (parse(whole, &c, &err))
		fail_msg("%s", err.message);
	w = sutra_compose_find(c, "web-1");
	db = sutra_compose_find(c, "db");
	assert_int_equal(w->restart, SUTRA_RESTART_ON_FAILURE);
	assert_int_equal(w->restart_max, 3);
	assert_string_equal(w->command.items[2], "echo $HOME");
	assert_string_equal(sutra_env_get(&w->env, "PLAIN"), "1");
	assert_string_equal(sutra_env_get(&w->env, "FROM"), "alpha");
	assert_string_equal(sutra_env_get(&w->env, "A"), "alpha");
	assert_int_equal(w->n_ports, 2);
	assert_string_equal(w->ports[0].host_ip, "127.0.0.1");
	assert_int_equal(w->ports[0].published, 8080);
	assert_int_equal(w->ports[1].target, 81);
	assert_true(w->volumes[0].named && !w->volumes[1].named && w->volumes[1].read_only);
	assert_int_equal(w->depends_on[0].condition, SUTRA_HEALTHY);
	assert_true(w->health.interval_ns == 5000000000u && w->health.timeout_ns == 1500000000u);
	assert_true(w->health.retries == 4 && w->health.start_period_ns == 60000000000u);
	assert_true(w->memory_limit == 2ull << 30 && w->cpu_limit == 0.5);
	assert_true(w->stop_grace_ns == 3000000000u);
	assert_string_equal(sutra_compose_find(c, "web-2")->command.items[1], "1 2");
	assert_string_equal(sutra_env_get(&db->env, "K"), "v=w");
	assert_string_equal(sutra_env_get(&db->env, "A"), "alpha");
	assert_null(sutra_env_get(&db->env, "NOT_SET"));
	sutra_compose_free(c);
}

static void compose_errors_name_file_and_line(void **state)
{
	static const char *const bad[][2] = {
		{ "services:\n  a:\n    comand: x\n", "f.yml:3: services.a: the key \"comand\" is not known" },
		{ "services:\n  a: { command: x }\nservice: {}\n", "f.yml:3:" },
		{ "services:\n  a: { command: x, depends_on: [b] }\n", "depends on \"b\", which is not in the file" },
		{ "services:\n  a: { command: x, depends_on: [b] }\n  b: { command: x, depends_on: [a] }\n",
		  "in a circle" },
		{ "services:\n  a: { command: x, volumes: [\"v:/v\"] }\n", "\"v\", which is not declared" },
		{ "services:\n  a:\n    restart: sometimes\n", "f.yml:3: services.a.restart is \"sometimes\"" },
		{ "services:\n  a:\n    image: ${B:?set B}\n", "f.yml:3: services.a.image: required variable B" },
		{ "services:\n  a:\n    healthcheck: { interval: 5 }\n", "a time such as 1m30s" },
		{ "services:\n  a:\n    ports: [\"x:1\"]\n", "f.yml:3:" },
		{ "services: [1]\n", "must be a mapping, not a list" },
		{ "services: {}\n", "there are no services" },
		{ "services:\n\t- x: [\n", "f.yml:" },
		{ "", "f.yml" },
	};
	struct sutra_compose *c;
	struct sutra_err err;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		assert_true(parse(bad[i][0], &c, &err) < 0);
		if (!strstr(err.message, bad[i][1]))
			fail_msg("%s\ngives: %s", bad[i][0], err.message);
	}
	assert_true(parse(bad[0][0], &c, &err) < 0);
	assert_string_equal(err.hint, "did you mean \"command\"?");
}

static void profiles_select_and_refuse(void **state)
{
	struct sutra_strv none = { 0 }, big = { 0 };
	struct sutra_compose *c;
	struct sutra_err err;

	assert_int_equal(parse(whole, &c, &err), 0);
	assert_int_equal(sutra_compose_select(c, &none, &err), 0);
	assert_int_equal(c->n_services, 2);
	assert_null(sutra_compose_find(c, "web-1"));
	sutra_compose_free(c);
	sutra_strv_add(&big, "big");
	assert_int_equal(parse("services:\n  a: { command: x, profiles: [big], depends_on: [b] }\n"
			       "  b: { command: x, profiles: [other] }\n", &c, &err), 0);
	assert_int_equal(sutra_compose_select(c, &big, &err), SUTRA_E_SETTING);
	assert_non_null(strstr(err.message, "f.yml:2: services.a depends on \"b\", whose profile is not active"));
	sutra_compose_free(c);
	sutra_strv_release(&big);
}

/* Hashes of the units of a text, in order of name. */
static size_t hashes(const char *text, char out[8][33])
{
	const struct sutra_unit_options o = { "/tmp/state", "/usr/bin", "/tmp", NULL, false, NULL };
	struct sutra_compose *c;
	struct sutra_unit *u = NULL;
	struct sutra_err err;
	size_t n = 0;

	if (parse(text, &c, &err) || sutra_units_make(c, c, &o, &u, &n, &err))
		fail_msg("%s", err.message);
	for (size_t i = 0; i < n; i++)
		memcpy(out[i], u[i].hash, 33);
	sutra_units_free(u, n);
	sutra_compose_free(c);
	return n;
}

static void hashes_change_only_with_what_a_process_sees(void **state)
{
	static const char base[] = "services:\n  a: { command: [cat, x], environment: { K: v, L: w } }\n"
				   "  b: { command: cat }\n";
	static const char *const same[] = {
		"# a comment\nservices:\n  b: { command: cat }\n"
		"  a: { environment: [\"L=w\", \"K=v\"], command: [cat, x] }\n",
		"services:\n  a: { command: [cat, x], environment: { K: v, L: w }, profiles: [p], depends_on: [b],\n"
		"       labels: { x: y } }\n  b: { command: cat, networks: [n] }\n",
	};
	static const char *const other[] = {
		"services:\n  a: { command: [cat, x], environment: { K: v2, L: w } }\n  b: { command: cat }\n",
		"services:\n  a: { command: [cat, y], environment: { K: v, L: w } }\n  b: { command: cat }\n",
	};
	char want[8][33], got[8][33];

	assert_int_equal(hashes(base, want), 2);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(hashes(same[i], got), 2);
		assert_string_equal(got[0], want[0]);
		assert_string_equal(got[1], want[1]);
		assert_int_equal(hashes(other[i], got), 2);
		assert_string_not_equal(got[0], want[0]);
		assert_string_equal(got[1], want[1]);
	}
}

static void a_line_of_a_value_is_no_variable(void **state)
{
	char one[8][33], two[8][33];

	hashes("services:\n  a: { command: cat, environment: { K: \"v\\nL=w\" } }\n", one);
	hashes("services:\n  a: { command: cat, environment: { K: v, L: w } }\n", two);
	assert_string_not_equal(one[0], two[0]);
}

static void units_get_addresses_and_paths_of_this_machine(void **state)
{
	static const char text[] =
		"services:\n"
		"  front:\n    command: [cat, /conf/x]\n    expose: [\"80\"]\n    ports: [\"127.0.0.1:9080:80\"]\n"
		"    volumes: [\"./etc:/conf:ro\", \"data:/data\"]\n"
		"    environment: { URL: \"http://back-1:81/x\", BACK_HOST: back-1, DIR: /data/a, ID: back-1 }\n"
		"  back-1: { command: cat, expose: [\"81\"] }\n  back-2: { command: cat }\n"
		"volumes: { data: {} }\n";
	const struct sutra_unit_options o = { "/tmp/state", "/usr/bin", "/tmp/c", NULL, false, NULL };
	const struct sutra_unit *front, *back;
	char url[64];
	struct sutra_compose *c;
	struct sutra_unit *u = NULL;
	struct sutra_err err;
	size_t n = 0;

	if (parse(text, &c, &err) || sutra_units_make(c, c, &o, &u, &n, &err))
		fail_msg("%s", err.message);
	back = &u[0];
	front = &u[2];
	assert_string_equal(back->group, "back");
	assert_string_equal(front->group, "front");
	snprintf(url, sizeof(url), "http://%s/x", back->address);
	assert_string_equal(sutra_env_get(&front->env, "URL"), url);
	assert_int_equal(strncmp(sutra_env_get(&front->env, "BACK_HOST"), "127.", 4), 0);
	assert_string_equal(sutra_env_get(&front->env, "ID"), "back-1");
	assert_string_equal(sutra_env_get(&front->env, "DIR"), "/tmp/state/volumes/data/a");
	assert_string_equal(front->argv.items[1], "/tmp/c/./etc/x");
	assert_string_equal(front->published, "127.0.0.1:9080");
	assert_non_null(strstr(sutra_env_get(&front->env, "SUTRA_LISTEN_80"), ",127.0.0.1:9080"));
	sutra_units_free(u, n);
	sutra_compose_free(c);
}

/* A stack has 250 addresses: each goes to one service, and the one that gets none is named. */
static void an_address_is_of_one_service(void **state)
{
	static char text[16384] = "services:\n";
	struct sutra_hosts old = { 0 }, hosts, none = { 0 };
	bool taken[256] = { false };
	struct sutra_compose *c;
	struct sutra_err err;

	sutra_hosts_add(&old, "s-7", 2);
	sutra_hosts_add(&old, "gone", 3);
	for (int i = 0; i < 250; i++)
		snprintf(text + strlen(text), 40, "  s-%d: { command: cat }\n", i);
	assert_int_equal(parse(text, &c, &err), 0);
	assert_int_equal(sutra_hosts_make(c, NULL, &hosts, &err), 0);
	assert_int_equal(hosts.n, 250);
	for (size_t i = 0; i < hosts.n; i++) {
		assert_false(taken[hosts.items[i].n]);
		taken[hosts.items[i].n] = true;
	}
	sutra_hosts_release(&hosts);
	assert_int_equal(sutra_hosts_make(c, &old, &none, &err), SUTRA_E_SETTING);
	assert_int_equal(none.n, 0);
	assert_int_equal(err.code, SUTRA_E_SETTING);
	assert_non_null(strstr(err.message, "no address is left for s-"));
	sutra_compose_free(c);
	sutra_hosts_release(&old);
}

static volatile sig_atomic_t stop = 1;

static void on_signal(int sig) { stop = sig; }

static void the_lock_names_its_holder(void **state)
{
	const struct sigaction action = { .sa_handler = on_signal };
	const struct itimerval soon = { .it_value = { .tv_usec = 20000 } };
	char dir[] = "/tmp/sutra-lock-XXXXXX", pid[32];
	struct sutra_err err;
	int fd, second;

	assert_non_null(mkdtemp(dir));
	assert_int_equal(sutra_lock_take(dir, "deploy", 1, NULL, &fd, &err), 0);
	assert_int_equal(sutra_lock_take(dir, "down", 1000000, NULL, &second, &err), SUTRA_E_LOCKED);
	snprintf(pid, sizeof(pid), "pid %ld, sutra deploy", (long)getpid());
	assert_non_null(strstr(err.message, pid));
	/* An interruption ends the wait: one that has come before, and one that comes. */
	assert_int_equal(sutra_lock_take(dir, "down", UINT64_MAX, &stop, &second, &err), SUTRA_E_INTERRUPTED);
	stop = 0;
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &soon, NULL);
	assert_int_equal(sutra_lock_take(dir, "down", UINT64_MAX, &stop, &second, &err), SUTRA_E_INTERRUPTED);
	assert_int_equal(stop, SIGALRM);
	sutra_lock_release(dir, fd);
	assert_int_equal(sutra_lock_take(dir, "down", 1, NULL, &second, &err), 0);
	sutra_lock_release(dir, second);
	sutra_remove_tree(dir, NULL);
}

static void the_audit_is_read_on_from_where_it_was(void **state)
{
	static const char edited[] = "no line\n2026-11-21T09:30:44.5Z uid=7 pid=1 command=\"x\" outcome=\"ok\"\n";
	char dir[] = "/tmp/sutra-audit-XXXXXX", name[32];
	struct sutra_audit_reader r = { 0 };
	struct sutra_audit_line line[4];
	char *path;

	assert_non_null(mkdtemp(dir));
	assert_int_equal(sutra_audit_read(&r, dir, line, 4), 0);
	for (int i = 0; i < 6; i++) {
		snprintf(name, sizeof(name), "command %d", i);
		sutra_audit(dir, name, i ? "two\nlines, \"quoted\"" : "ok");
	}
	assert_int_equal(sutra_audit_read(&r, dir, line, 4), 4);
	assert_string_equal(line[0].command, "command 2");
	assert_string_equal(line[3].outcome, "two\nlines, \"quoted\"");
	assert_int_equal(line[3].uid, getuid());
	assert_true(line[0].at_us > 1700000000000000 && line[0].at_us <= line[3].at_us);
	assert_int_equal(sutra_audit_read(&r, dir, line, 4), 0);
	sutra_audit(dir, "one more", "ok");
	path = xasprintf("%s/audit.log", dir);
	assert_int_equal(sutra_audit_read(&r, dir, line, 4), 1);
	assert_string_equal(line[0].command, "one more");
	/* Replaced by a smaller one: read from its start. */
	assert_int_equal(sutra_file_write(path, edited, strlen(edited), 0600, NULL), 0);
	assert_int_equal(sutra_audit_read(&r, dir, line, 4), 1);
	assert_int_equal(line[0].at_us, 1795253444500000);
	sutra_free(path);
	sutra_remove_tree(dir, NULL);
}

/* The newest four stay, and those that something was started from; the rest goes. */
static void generations_are_kept_while_they_are_of_use(void **state)
{
	char dir[] = "/tmp/sutra-generations-XXXXXX";
	struct sutra_err err;
	struct sutra_unit unit = { 0 };
	struct sutra_record record = { .units = &unit, .n = 1 };
	char *path;
	int *list, number;

	assert_non_null(mkdtemp(dir));
	for (int i = 1; i <= 6; i++) {
		path = i < 6 ? xasprintf("%s/generations/%d/compose", dir, i) : xasprintf("%s/generations/next", dir);
		assert_int_equal(sutra_mkdirs(path, 0700, &err), 0);
		sutra_free(path);
	}
	path = xasprintf("%s/generations/1/compose/docker-compose.yml", dir);
	unit.compose_file = path;
	assert_int_equal(sutra_generation_commit(dir, &record, &number, &err), 0);
	assert_int_equal(number, 6);
	assert_int_equal(sutra_generation_list(dir, &list), 5);
	assert_int_equal(list[3], 3);
	assert_int_equal(list[4], 1);
	sutra_free(list);
	assert_int_equal(sutra_generation_commit(dir, &record, &number, &err), SUTRA_E_NOTFOUND); /* nothing prepared */
	sutra_free(path);
	assert_int_equal(sutra_generation_forget_all(dir, &err), 0);
	assert_int_equal(sutra_generation_list(dir, &list), 0);
	sutra_free(list);
	sutra_remove_tree(dir, NULL);
}

/* A generation's settings alone decide: neither the environment nor an older user's name. */
static void restored_settings_stand_alone(void **state)
{
	struct sutra_config *config;
	struct sutra_err err;
	json_t *settings = json_pack("{s:s, s:s}", "MATRYOSHKA_DIM", "128", "SUTRA_PORT_OFFSET", "1000"), *again;

	assert_int_equal(sutra_config_restore(settings, &config, &err), 0);
	assert_int_equal(sutra_config_set(config, "HAPROXY_STATS_USER", "one", SUTRA_FROM_RECORD, &err), 0);
	assert_int_equal(sutra_config_set(config, "HAPROXY_STATS_PASSWORD", "x", SUTRA_FROM_RECORD, &err), 0);
	again = sutra_config_settings(config);
	assert_string_equal(json_string_value(json_object_get(again, "MATRYOSHKA_DIM")), "128");
	assert_string_equal(json_string_value(json_object_get(again, "SUTRA_EDITION")), "community");
	assert_string_equal(json_string_value(json_object_get(again, "SUTRA_PORT_8888")), "9888");
	assert_null(json_object_get(again, "HAPROXY_STATS_PASSWORD"));
	setenv("SUTRA_THREADS", "9", 1);
	setenv("MATRYOSHKA_DIM", "64", 1);
	sutra_config_export(config);
	assert_null(getenv("SUTRA_THREADS"));
	assert_string_equal(getenv("MATRYOSHKA_DIM"), "128");
	assert_string_equal(getenv("HAPROXY_STATS_PASSWORD"), "x");
	json_object_set_new(settings, "LD_PRELOAD", json_string("x"));
	assert_int_equal(sutra_config_restore(settings, &config, &err), SUTRA_E_SETTING);
	sutra_config_free(config);
	json_decref(settings);
	json_decref(again);
}

static void image_tags_are_of_one_stack(void **state)
{
	char project[SUTRA_PROJECT_LEN], tag[SUTRA_TAG_LEN], want[200];

	sutra_docker_project("/a/state", project);
	assert_int_equal(sutra_docker_tag("/a/state", "host:5000/ml:v1@sha256:0123456789ab", tag), 0);
	snprintf(want, sizeof(want), "host:5000/ml:g-%s-0123456789ab", project);
	assert_string_equal(tag, want);
	assert_int_equal(sutra_docker_tag("/a/state", "host:5000/ml@sha256:0123456789ab", tag), 0);
	assert_string_equal(tag, want);
	assert_int_equal(sutra_docker_tag("/a/state", "ml:v1@missing", tag), SUTRA_E_NOTFOUND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(interpolation_knows_every_operator),
		cmocka_unit_test(compose_reads_every_form),
		cmocka_unit_test(compose_errors_name_file_and_line),
		cmocka_unit_test(profiles_select_and_refuse),
		cmocka_unit_test(hashes_change_only_with_what_a_process_sees),
		cmocka_unit_test(a_line_of_a_value_is_no_variable),
		cmocka_unit_test(units_get_addresses_and_paths_of_this_machine),
		cmocka_unit_test(an_address_is_of_one_service),
		cmocka_unit_test(the_lock_names_its_holder),
		cmocka_unit_test(generations_are_kept_while_they_are_of_use),
		cmocka_unit_test(restored_settings_stand_alone),
		cmocka_unit_test(the_audit_is_read_on_from_where_it_was),
		cmocka_unit_test(image_tags_are_of_one_stack),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
