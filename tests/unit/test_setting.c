/* The registry of settings, and how a program reads its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/setting.h"
#include "model/texts.h"

static const char *nothing(void *ctx, const char *name) { return NULL; }

struct sample_settings {
	int64_t queue, entries, port, timeout_ns;
	char *sync, *instance;
	bool pin;
};

#define SAMPLE(f) offsetof(struct sample_settings, f)

static const struct sutra_setting_use sample_uses[] = {
	{ "MAX_QUEUE", SAMPLE(queue), NULL },	     { "L1_CACHE_SIZE", SAMPLE(entries), NULL },
	{ "STORAGE_PORT", SAMPLE(port), "" },	     { "WAL_SYNC", SAMPLE(sync), NULL },
	{ "INSTANCE_ID", SAMPLE(instance), "mine" }, { "SUTRA_PIN", SAMPLE(pin), NULL },
	{ "ML_BASE_TIMEOUT_SECONDS", SAMPLE(timeout_ns), NULL },
	{ 0 },
};

static void settings_have_the_registrys_defaults_or_the_uses(void **state)
{
	struct sample_settings s = { 0 };
	struct sutra_err err;

	setenv("MAX_QUEUE", "", 1);	/* as if unset */
	assert_int_equal(sutra_settings_load(sample_uses, &s, &err), 0);
	assert_int_equal(s.queue, 4096);
	assert_int_equal(s.entries, 10000);
	assert_int_equal(s.port, 0);
	assert_string_equal(s.sync, "interval");
	assert_string_equal(s.instance, "mine");
	assert_false(s.pin);
	sutra_settings_release(sample_uses, &s);
	assert_null(s.sync);
	unsetenv("MAX_QUEUE");
}

static void settings_name_the_wrong_value(void **state)
{
	struct sample_settings s = { 0 };
	struct sutra_err err;

	setenv("MAX_QUEUE", "0", 1);
	assert_int_equal(sutra_settings_load(sample_uses, &s, &err), SUTRA_E_SETTING);
	assert_string_equal(err.message, "MAX_QUEUE is \"0\"; allowed are whole numbers from 1 to 1048576");
	unsetenv("MAX_QUEUE");
	setenv("WAL_SYNC", "inter", 1);	/* a part of a choice is no choice */
	assert_int_equal(sutra_settings_load(sample_uses, &s, &err), SUTRA_E_SETTING);
	assert_string_equal(err.message, "WAL_SYNC is \"inter\"; allowed are always|interval");
	unsetenv("WAL_SYNC");
	sutra_settings_release(sample_uses, &s);
}

static void a_name_of_a_setting_beats_its_aliases(void **state)
{
	struct sample_settings s = { 0 };
	const char *from, *beaten;
	struct sutra_err err;

	setenv("CACHE_SIZE", "7", 1);
	assert_int_equal(sutra_settings_load(sample_uses, &s, &err), 0);
	assert_int_equal(s.entries, 7);
	assert_string_equal(sutra_setting_env("L1_CACHE_SIZE"), "7");
	setenv("L1_CACHE_SIZE", "8", 1);
	assert_int_equal(sutra_settings_load(sample_uses, &s, &err), 0);
	assert_int_equal(s.entries, 8);
	unsetenv("L1_CACHE_SIZE");
	unsetenv("CACHE_SIZE");
	assert_null(sutra_setting_pick(sutra_setting_find("CACHE_SIZE"), nothing, NULL, &from, &beaten));
	assert_null(from);
	sutra_settings_release(sample_uses, &s);
}

static void seconds_may_have_decimals(void **state)
{
	static const char *const bad[] = { "0", "0.5", "3600.1", "10s", "nan", "1e9", " 3" };
	struct sample_settings s = { 0 };
	struct sutra_err err;

	assert_int_equal(sutra_settings_load(sample_uses, &s, &err), 0);
	assert_int_equal(s.timeout_ns, 10000000000);
	setenv("ML_BASE_TIMEOUT", "30.0", 1);
	assert_int_equal(sutra_settings_load(sample_uses, &s, &err), 0);
	assert_int_equal(s.timeout_ns, 30000000000);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		setenv("ML_BASE_TIMEOUT", bad[i], 1);
		assert_int_equal(sutra_settings_load(sample_uses, &s, &err), SUTRA_E_SETTING);
		assert_non_null(strstr(err.message, "ML_BASE_TIMEOUT is \""));	/* the name that was set */
	}
	unsetenv("ML_BASE_TIMEOUT");
	sutra_settings_release(sample_uses, &s);
}

static void a_setting_that_the_registry_lacks_is_an_error(void **state)
{
	static const struct sutra_setting_use none[] = { { "NO_SUCH", 0, NULL }, { 0 } },
					      alias[] = { { "CACHE_SIZE", 0, NULL }, { 0 } };
	struct sample_settings s = { 0 };
	struct sutra_err err;
	const char *value;

	assert_int_equal(sutra_settings_load(none, &s, &err), SUTRA_E_INVALID);
	assert_string_equal(err.message, "the registry of settings has no NO_SUCH");
	assert_int_equal(sutra_settings_load(alias, &s, &err), SUTRA_E_INVALID);
	assert_int_equal(sutra_setting_read("NO_SUCH", &value, &err), SUTRA_E_INVALID);
	setenv("NO_SUCH", "1", 1);
	assert_null(sutra_setting_env("NO_SUCH"));
	unsetenv("NO_SUCH");
}

static void one_setting_is_read_by_its_name(void **state)
{
	struct sutra_err err;
	const char *value;

	assert_int_equal(sutra_setting_read("LOG_LEVEL", &value, &err), 0);
	assert_string_equal(value, "info");
	setenv("LOG_LEVEL", "loud", 1);
	assert_int_equal(sutra_setting_read("LOG_LEVEL", &value, &err), SUTRA_E_SETTING);
	unsetenv("LOG_LEVEL");
	setenv("SUTRA_LISTEN_8888", ":1", 1);	/* a row for every number */
	assert_string_equal(sutra_setting_env("SUTRA_LISTEN_8888"), ":1");
	unsetenv("SUTRA_LISTEN_8888");
	assert_null(sutra_setting_find("SUTRA_LISTEN_"));
	assert_null(sutra_setting_find("SUTRA_LISTEN_88x"));
	assert_ptr_equal(sutra_setting_find("SUTRA_LISTEN_#"), sutra_setting_find("SUTRA_LISTEN_1"));
}

/* No name stands twice, defaults are allowed values, every row says what it is. */
static void the_registry_holds_together(void **state)
{
	struct sutra_err err;
	size_t n = 0;

	for (const struct sutra_setting *s = sutra_settings; s->name; s++, n++) {
		assert_ptr_equal(sutra_setting_find(s->name), s);
		for (size_t i = 0; i < SUTRA_SETTING_ALIASES && s->aliases[i]; i++)
			assert_false(!strcmp(sutra_setting_find(s->aliases[i])->name, s->aliases[i]));
		if (s->fallback)
			assert_int_equal(sutra_setting_check(s, s->name, s->fallback, &err), 0);
		assert_true(s->type != SUTRA_SET_INT || s->min < s->max);
		assert_true((s->type == SUTRA_SET_CHOICE) == (s->choices != NULL));
		assert_true(*s->help && !strchr(s->help, '\n'));
	}
	assert_true(n > 60);
}

/* What is promised to those who come from the original platform, and to compose files. */
static void promised_names_stand_for_their_settings(void **state)
{
	static const struct {
		const char *name, *row;
		enum sutra_setting_scope scope;
	} promised[] = {
		{ "CACHE_SIZE", "L1_CACHE_SIZE", SUTRA_OF_OPERATOR },
		{ "EMBEDDING_CACHE_SIZE", "L1_CACHE_SIZE", SUTRA_OF_OPERATOR },
		{ "SUTRA_CACHE_TTL", "DEFAULT_TTL_SECONDS", SUTRA_OF_OPERATOR },
		{ "ML_BASE_TIMEOUT", "ML_BASE_TIMEOUT_SECONDS", SUTRA_OF_OPERATOR },
		{ "SUTRA_CACHE_HOST", "CACHE_SHARD_HOST", SUTRA_OF_SERVICE },
		{ "SUTRA_CACHE_PORT", "CACHE_SHARD_PORT", SUTRA_OF_SERVICE },
		{ "STORAGE_HOST", "STORAGE_HOST", SUTRA_OF_SERVICE },
		{ "SUTRA_PORT_8888", "SUTRA_PORT_#", SUTRA_OF_DEPLOY },
		{ "SUTRA_LISTEN_50052", "SUTRA_LISTEN_#", SUTRA_OF_SERVICE },
	};
	static const char *const ports[] = { "EMBEDDING_PORT", "ML_BASE_PORT", "STORAGE_PORT" };

	for (size_t i = 0; i < sizeof(promised) / sizeof(*promised); i++) {
		const struct sutra_setting *s = sutra_setting_find(promised[i].name);

		assert_non_null(s);
		assert_string_equal(s->name, promised[i].row);
		assert_int_equal(s->scope, promised[i].scope);
	}
	/* No operator's setting has it: another program's PORT moves no port of the stack. */
	SUTRA_EACH_SETTING (s, SUTRA_OF_OPERATOR)
		assert_false(sutra_setting_has_alias(s, "PORT"));
	for (size_t i = 0; i < sizeof(ports) / sizeof(*ports); i++)
		assert_true(sutra_setting_has_alias(sutra_setting_find(ports[i]), "PORT"));
	assert_int_equal(sutra_setting_find("BATCH_SIZE")->max, SUTRA_MAX_TEXTS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(settings_have_the_registrys_defaults_or_the_uses),
		cmocka_unit_test(settings_name_the_wrong_value),
		cmocka_unit_test(a_name_of_a_setting_beats_its_aliases),
		cmocka_unit_test(seconds_may_have_decimals),
		cmocka_unit_test(a_setting_that_the_registry_lacks_is_an_error),
		cmocka_unit_test(one_setting_is_read_by_its_name),
		cmocka_unit_test(the_registry_holds_together),
		cmocka_unit_test(promised_names_stand_for_their_settings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
