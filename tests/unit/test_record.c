/* lib/deploy/record: what a deployment is, in memory and in deployment.json. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "deploy/plan.h"
#include "deploy/record.h"

/* As the command before the typed record wrote it. */
#define OLD_RECORD "tests/data/deployment-1.json"

static char state_dir[64];

static int setup(void **state)
{
	strcpy(state_dir, "/tmp/sutra-record-XXXXXX");
	return mkdtemp(state_dir) ? 0 : -1;
}

static int teardown(void **state) { return sutra_remove_tree(state_dir, NULL); }

static char *read_text(const char *path)
{
	struct sutra_err err;
	char *text;

	if (sutra_file_read(path, 1 << 20, &text, NULL, &err))
		fail_msg("%s", err.message);
	return text;
}

static void write_state(const char *name, const char *text)
{
	char *path = xasprintf("%s/%s", state_dir, name);

	assert_int_equal(sutra_file_write(path, text, strlen(text), 0600, NULL), 0);
	sutra_free(path);
}

static char *saved(void)
{
	char *path = xasprintf("%s/deployment.json", state_dir), *text = read_text(path);

	sutra_free(path);
	return text;
}

static struct sutra_record *load(const char *text)
{
	struct sutra_record *r = NULL;
	struct sutra_err err;

	write_state("deployment.json", text);
	if (sutra_record_load(state_dir, &r, &err))
		fail_msg("%s", err.message);
	return r;
}

static struct sutra_record *load_old(void)
{
	char *text = read_text(OLD_RECORD);
	struct sutra_record *r = load(text);

	sutra_free(text);
	return r;
}

static void a_record_of_the_version_before_is_read(void **state)
{
	struct sutra_record *r = load_old();
	const struct sutra_unit *lb = sutra_record_find(r, "ml-base-lb");

	assert_string_equal(r->runtime, "native");
	assert_string_equal(r->edition, "community");
	assert_int_equal(r->dimension, 256);
	assert_int_equal(r->generation, 1);
	assert_true(r->complete && r->cache_enabled);
	assert_int_equal(r->hosts.n, 10);
	assert_string_equal(r->hosts.items[9].service, "storage-cache-shard");
	assert_int_equal(r->hosts.items[9].n, 11);
	assert_int_equal(r->n_balancers, 1);
	assert_string_equal(r->balancers[0].group, "ml-base");
	assert_string_equal(r->balancers[0].csv, "http://127.0.0.1:21099/stats;csv");
	assert_int_equal(r->n, 6);
	assert_non_null(lb);
	assert_string_equal(lb->program, "haproxy");
	assert_string_equal(lb->health_url, "http://127.77.0.10:9999/health");
	assert_string_equal(lb->argv.items[0], "/usr/sbin/haproxy");
	assert_string_equal(sutra_env_get(&lb->env, "ML_BASE_1"), "127.77.0.7:8887");
	assert_int_equal(lb->n_depends_on, 3);
	assert_int_equal(lb->restart, SUTRA_RESTART_ALWAYS);
	assert_int_equal(sutra_record_find(r, "ml-base-1")->memory_limit, 2147483648u);
	assert_null(sutra_record_find(r, "ml-base"));
	sutra_record_free(r);
}

static void what_is_saved_is_what_was_read(void **state)
{
	struct sutra_record *r = load_old();
	char *old = read_text(OLD_RECORD), *now;

	write_state("deployment.json", "");
	assert_int_equal(sutra_record_save(state_dir, r, NULL), 0);
	now = saved();
	assert_string_equal(now, old);
	sutra_free(old);
	sutra_free(now);
	sutra_record_free(r);
}

static bool always(const char *dir) { return true; }

static void they_run(const char *dir, const char *const *names, size_t n, struct sutra_supervised *ret)
{
	for (size_t i = 0; i < n; i++)
		ret[i] = (struct sutra_supervised){ .supervised = true, .running = true, .last_exit = -1 };
}

static void a_plan_compares_with_a_record_of_the_version_before(void **state)
{
	const struct sutra_runtime runs = { .alive = always, .observe = they_run };
	struct sutra_record *r = load_old(), *wanted = load_old();
	struct sutra_plan plan;

	assert_int_equal(sutra_plan_make(&runs, wanted->units, wanted->n, r, state_dir, false, &plan, NULL), 0);
	assert_int_equal(plan.n, 6);
	assert_int_equal(plan.n_changes, 0);
	assert_false(plan.unfinished);
	sutra_plan_release(&plan);
	assert_int_equal(sutra_env_set(&wanted->units[0].env, "MATRYOSHKA_DIM", "128"), 0);
	wanted->units[0].hash[5] ^= 1;
	assert_int_equal(sutra_plan_make(&runs, wanted->units, 5, r, state_dir, false, &plan, NULL), 0);
	assert_int_equal(plan.n_changes, 1);
	assert_int_equal(plan.steps[0].action, SUTRA_REPLACE);
	assert_string_equal(plan.steps[0].cause, "MATRYOSHKA_DIM changed");
	assert_string_equal(plan.steps[0].old_value, "256");
	assert_int_equal(plan.steps[5].action, SUTRA_LEAVE);
	sutra_plan_release(&plan);
	sutra_record_free(wanted);
	sutra_record_free(r);
}

static void statistics_with_a_password_have_it_in_their_url(void **state)
{
	struct sutra_record *r;

	write_state("haproxy-stats.json", "{\"user\": \"u\", \"password\": \"p:1\"}");
	r = load("{\"schema\": \"sutra.deployment/1\", \"services\": [], \"balancers\": [{\"service\": \"lb\"}, "
		 "{\"service\": \"ha\", \"group\": \"embedding\", \"stats\": \"127.0.0.1:8404\", \"credentials\": true}]}");
	assert_int_equal(r->n_balancers, 1);	/* the other one is none */
	assert_string_equal(r->balancers[0].csv, "http://u:p%3A1@127.0.0.1:8404/stats;csv");
	sutra_record_free(r);
}

static void what_is_no_record_is_said_and_deploy_goes_on(void **state)
{
	static const struct {
		const char *text;
		int rc;
		const char *says;
	} cases[] = {
		{ "garbage", SUTRA_E_SYNTAX, "malformed JSON" },
		{ "[]", SUTRA_E_CORRUPT, "is no record of a deployment" },
		{ "{\"services\": []}", SUTRA_E_CORRUPT, "is no record of a deployment" },
		{ "{\"schema\": \"sutra.plan/1\", \"services\": []}", SUTRA_E_CORRUPT, "is no record" },
		{ "{\"schema\": \"sutra.deployment/0\", \"services\": []}", SUTRA_E_CORRUPT, "is no record" },
		{ "{\"schema\": \"sutra.deployment/1\"}", SUTRA_E_CORRUPT, "is no record" },
		{ "{\"schema\": \"sutra.deployment/1\", \"services\": [{\"name\": \"a\"}]}", SUTRA_E_CORRUPT,
		  "service 0 lacks a field" },
	};
	struct sutra_record *r = NULL;
	struct sutra_err err;

	assert_int_equal(sutra_record_load(state_dir, &r, &err), SUTRA_E_NOTFOUND);
	assert_int_equal(sutra_record_recover(state_dir, &r, &err), 0);
	assert_null(r);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		write_state("deployment.json", cases[i].text);
		assert_int_equal(sutra_record_load(state_dir, &r, &err), cases[i].rc);
		if (!strstr(err.message, cases[i].says))
			fail_msg("%s", err.message);
		assert_string_equal(err.hint, "sutra deploy writes it anew");
		assert_int_equal(sutra_record_recover(state_dir, &r, &err), 0);
		assert_null(r);
	}
}

static void names_come_back_from_the_service_folders(void **state)
{
	char *path = xasprintf("%s/native/services/ml-base-1", state_dir);
	struct sutra_record *r = NULL;

	assert_int_equal(sutra_mkdirs(path, 0700, NULL), 0);
	assert_int_equal(sutra_record_recover(state_dir, &r, NULL), 0);
	assert_int_equal(r->n, 1);
	assert_string_equal(r->units[0].name, "ml-base-1");
	assert_null(r->units[0].hash);
	assert_false(r->complete);
	sutra_record_free(r);
	sutra_free(path);
}

static void a_newer_format_is_refused(void **state)
{
	static const char newer[] = "{\"schema\": \"sutra.deployment/2\", \"units\": {}}";
	struct sutra_record *r = NULL;
	struct sutra_err err;

	write_state("deployment.json", newer);
	assert_int_equal(sutra_record_load(state_dir, &r, &err), SUTRA_E_UNSUPPORTED);
	assert_non_null(strstr(err.message, "has the format sutra.deployment/2; this sutra knows up to sutra.deployment/1"));
	assert_string_equal(err.hint, "use the sutra that deployed it, or a newer one");
	assert_int_equal(sutra_record_recover(state_dir, &r, &err), SUTRA_E_UNSUPPORTED);
}

static void a_unit_is_put_without_its_secrets(void **state)
{
	struct sutra_record r = { 0 };
	char name[] = "a", hash[] = "2-1", other[] = "b";
	struct sutra_dependency needs = { .service = other, .condition = SUTRA_HEALTHY };
	struct sutra_unit u = { .name = name, .hash = hash, .depends_on = &needs, .n_depends_on = 1,
				.restart = SUTRA_RESTART_NO };
	char *path = xasprintf("%s/compose.yml", state_dir);

	assert_int_equal(sutra_env_set(&u.env, "HAPROXY_STATS_PASSWORD", "secret"), 0);
	assert_int_equal(sutra_env_set(&u.env, "K", "v"), 0);
	sutra_record_put(&r, &u, "id", path);
	hash[2] = '2';
	sutra_record_put(&r, &u, "id2", path);
	assert_int_equal(r.n, 1);
	assert_string_equal(r.units[0].hash, "2-2");
	assert_string_equal(r.units[0].container, "id2");
	assert_string_equal(r.units[0].depends_on[0].service, "b");
	assert_int_equal(r.units[0].restart, SUTRA_RESTART_NO);
	assert_null(sutra_env_get(&r.units[0].env, "HAPROXY_STATS_PASSWORD"));
	assert_string_equal(sutra_env_get(&r.units[0].env, "K"), "v");
	assert_true(sutra_record_uses(&r, state_dir));
	assert_false(sutra_record_uses(&r, "/nowhere/"));
	sutra_record_remove(&r, "b");
	assert_int_equal(r.n, 1);
	sutra_record_remove(&r, "a");
	assert_int_equal(r.n, 0);
	sutra_free(r.units);
	sutra_env_release(&u.env);
	sutra_free(path);
}

/* What depends_on leaves out, an address in the environment shows; nothing else is a need. */
static void needs_come_from_depends_on_and_addresses(void **state)
{
	static const char record[] =
		"{'schema':'sutra.deployment/1','services':["
		"{'name':'ml-1','address':'127.7.0.3:8887','environment':{'INSTANCE_ID':'gateway',"
		"'SUTRA_LISTEN_8887':'127.7.0.4:1,gateway:2','MODEL_PATH':'/models/shard','X':'127.7.0.41:1'},"
		"'program':'','group':'','hash':''},"
		"{'name':'lb','address':'127.7.0.4:8887','depends_on':['ml-1'],'environment':{'A':'127.7.0.3:8887'},"
		"'program':'','group':'','hash':''},"
		"{'name':'shard','address':'{container}:50052','program':'','group':'','hash':''},"
		"{'name':'gateway','address':'127.7.0.5:8888','depends_on':['ml-1'],'environment':"
		"{'CACHE_SHARD_HOST':'shard','ML_BASE_URL':'http://127.7.0.4:8887','L':'shards,a-shard,lb.x'},"
		"'program':'','group':'','hash':''}]}";
	static const char *const want[] = { "", "ml-1", "", "ml-1 lb shard" };
	char *json = xstrdup(record);
	struct sutra_record *r;

	for (char *c = json; *c; c++)
		*c = *c == '\'' ? '"' : *c;
	r = load(json);
	for (size_t i = 0; i < r->n; i++) {
		struct sutra_strv needs = { 0 };
		struct sutra_buf all;

		sutra_buf_init(&all, 1000);
		sutra_units_needs(r->units, r->n, i, &needs);
		for (size_t k = 0; k < needs.n; k++)
			sutra_buf_addf(&all, "%s%s", k ? " " : "", needs.items[k]);
		assert_string_equal(sutra_buf_str(&all), want[i]);
		sutra_buf_release(&all);
		sutra_strv_release(&needs);
	}
	sutra_record_free(r);
	sutra_free(json);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_record_of_the_version_before_is_read),
		TEST(what_is_saved_is_what_was_read),
		TEST(a_plan_compares_with_a_record_of_the_version_before),
		TEST(statistics_with_a_password_have_it_in_their_url),
		TEST(what_is_no_record_is_said_and_deploy_goes_on),
		TEST(names_come_back_from_the_service_folders),
		TEST(a_newer_format_is_refused),
		TEST(a_unit_is_put_without_its_secrets),
		TEST(needs_come_from_depends_on_and_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
