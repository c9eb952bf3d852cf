#include "compose/config.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/jsonio.h"
#include "base/str.h"
#include "compose/compose.h"
#include "compose/dotenv.h"

enum { MAX_CREDENTIAL = 256 };	/* bytes */

struct sutra_config {
	struct sutra_env sources[SUTRA_N_SOURCES];
	struct sutra_strv unset;	/* variables in compose/.env without a value */
};

static const char *const source_names[] = {
	"built-in", "edition", "compose/.env", "environment", "flag", "worked out",
};

const char *sutra_source_name(enum sutra_source s) { return source_names[s]; }

/* The operator's setting with this name or alias, or NULL. */
static const struct sutra_setting *row_of(const char *key)
{
	const struct sutra_setting *s = sutra_setting_find(key);

	return s && s->scope == SUTRA_OF_OPERATOR ? s : NULL;
}

bool sutra_config_is_secret(const char *key)
{
	const struct sutra_setting *s = sutra_setting_find(key);

	return s && s->type == SUTRA_SET_SECRET;
}

const char *sutra_config_whose(const struct sutra_setting *s)
{
	static const char *const texts[] = {
		[SUTRA_OF_OPERATOR] = "a setting of the stack",
		[SUTRA_OF_SERVICE] = "a service's: the compose file or the runtime sets it",
		[SUTRA_OF_COMMAND] = "of the environment of sutra alone",
		[SUTRA_OF_DEPLOY] = "worked out by deploy",
	};

	return texts[s->scope];
}

static int unknown(const char *key, struct sutra_err *err)
{
	const struct sutra_setting *s = sutra_setting_find(key);
	const char *names[128], *near;
	size_t n = 0;

	if (s) {
		sutra_fail(err, SUTRA_E_SETTING, "%s cannot be set here; it is %s", key,
			   sutra_config_whose(s));
		return sutra_hint(err, "remove it there; sutra config --explain %s says more", key);
	}
	SUTRA_EACH_SETTING (row, SUTRA_OF_OPERATOR)
		if (n < 127)
			names[n++] = row->name;
	names[n] = NULL;
	near = sutra_str_nearest(key, names);
	sutra_fail(err, SUTRA_E_SETTING, "the setting \"%s\" is not known", key);
	return near ? sutra_hint(err, "did you mean %s?", near) :
		      sutra_hint(err, "remove it there; sutra config then lists the settings");
}

/* RFC 7617: no control characters, and no colon in the name of a user. */
static bool fits_basic_auth(const char *value, bool user)
{
	for (const unsigned char *c = (const unsigned char *)value; *c; c++)
		if (*c < ' ' || *c == 127 || (user && *c == ':'))
			return false;
	return true;
}

static int check(const char *key, const char *value, struct sutra_err *err)
{
	const struct sutra_setting *row = row_of(key);
	int rc = row && *value ? sutra_setting_check(row, key, value, err) : 0;
	struct in_addr in;

	if (!rc && sutra_str_starts(key, "HAPROXY_STATS_") && strlen(value) > MAX_CREDENTIAL)
		rc = sutra_fail(err, SUTRA_E_SETTING, "%s has %zu bytes; %d are allowed", key, strlen(value),
				MAX_CREDENTIAL);
	if (!rc && !strcmp(key, "SUTRA_MODEL") && (*value == '/' || strstr(value, "..")))
		rc = sutra_fail(err, SUTRA_E_SETTING,
				"SUTRA_MODEL is \"%.60s\"; a model's name is wanted (MODEL_PATH takes a folder)", value);
	if (!rc && *value && !strcmp(key, "ML_BASE_URL") &&
	    (!sutra_str_starts(value, "http://") || strchr(value, '@')))
		rc = sutra_fail(err, SUTRA_E_SETTING,
				"ML_BASE_URL must be http://HOST:PORT, without credentials");
	if (!rc && sutra_str_starts(key, "HAPROXY_STATS_") &&
	    !fits_basic_auth(value, !strcmp(key, "HAPROXY_STATS_USER")))
		rc = sutra_fail(err, SUTRA_E_SETTING,
				"%s holds a character that HTTP's basic authentication cannot carry", key);
	if (!rc && *value && !strcmp(key, "SUTRA_TENANTS_FILE"))
		rc = sutra_fail(err, SUTRA_E_SETTING,
				"SUTRA_TENANTS_FILE is set, but tenants are not in this version");
	if (!rc && *value && !strcmp(key, "SUTRA_BIND") && inet_pton(AF_INET, value, &in) != 1)
		rc = sutra_fail(err, SUTRA_E_SETTING,
				"SUTRA_BIND is \"%.60s\"; an IPv4 address of this machine is wanted, 0.0.0.0 for all",
				value);
	return rc;
}

static int check_statement(const char *name, const char *value, struct sutra_err *err)
{
	return !row_of(name) ? unknown(name, err) : value ? check(name, value, err) : 0;
}

static int set_defaults(struct sutra_config *c, struct sutra_err *err)
{
	int rc = 0;

	SUTRA_EACH_SETTING (s, SUTRA_OF_OPERATOR)
		if (s->fallback && !rc)
			rc = sutra_config_set(c, s->name, s->fallback, SUTRA_FROM_BUILTIN, err);
	return rc;
}

static const char *of_env(void *env, const char *name) { return sutra_env_get(env, name); }

/* Reads a file of settings (.env, or that of an edition); a missing file holds none. */
static int load_file(struct sutra_config *c, const char *path, enum sutra_source source,
		     struct sutra_err *err)
{
	const struct sutra_dotenv how = { .check = check_statement, .unset = &c->unset };

	return sutra_is_file(path) ? sutra_dotenv_read(path, &how, &c->sources[source], err) : 0;
}

/* Stores each value under the name or alias that has it; and a second one that differs, for the
 * warning. */
static int load_environment(struct sutra_config *c, struct sutra_err *err)
{
	SUTRA_EACH_SETTING (s, SUTRA_OF_OPERATOR) {
		const char *from, *beaten, *value;
		int rc;

		value = sutra_setting_pick(s, sutra_environment, NULL, &from, &beaten);
		rc = value ? sutra_config_set(c, from, value, SUTRA_FROM_ENVIRONMENT, err) : 0;
		if (!rc && beaten &&
		    sutra_env_set(&c->sources[SUTRA_FROM_ENVIRONMENT], beaten,
				  sutra_environment(NULL, beaten)))
			rc = sutra_fail(err, SUTRA_E_NOMEM, "out of memory");
		if (rc)
			return rc;
	}
	return 0;
}

/* Ports that the stack publishes (CONTRACT section 1), before SUTRA_PORT_OFFSET is added. */
static const int published[] = { 7001, 8000, 8001, 8080,  8404,	 8887,
				 8888, 9000, 9999, 50051, 50052, 50053 };

/* Sets SUTRA_PORT_<port>, which compose files read, for each of them. */
static int settle_ports(struct sutra_config *c, struct sutra_err *err)
{
	int64_t offset = 0;
	int rc = 0;

	sutra_str_int(sutra_config_get(c, "SUTRA_PORT_OFFSET"), 0, 65535, &offset);
	for (size_t i = 0; i < sizeof(published) / sizeof(*published) && !rc; i++) {
		char key[32], value[16];

		snprintf(key, sizeof(key), "SUTRA_PORT_%d", published[i]);
		snprintf(value, sizeof(value), "%d", (int)(published[i] + offset));
		rc = sutra_config_set(c, key, value, SUTRA_FROM_RECORD, err);
	}
	return rc;
}

int sutra_config_settle_exposure(struct sutra_config *c, struct sutra_err *err)
{
	const char *bind = sutra_config_get(c, "SUTRA_BIND");
	bool insecure = false;

	sutra_str_bool(sutra_config_get(c, "SUTRA_INSECURE"), &insecure);
	return sutra_config_set(c, "SUTRA_BIND_INTERNAL",
				insecure || sutra_str_starts(bind, "127.") ? bind : "127.0.0.1", SUTRA_FROM_RECORD, err);
}

int sutra_config_load(const char *data_dir, struct sutra_config **ret, struct sutra_err *err)
{
	struct sutra_config *c = xcalloc(1, sizeof(*c));
	char *dotenv = xasprintf("%s/compose/.env", data_dir), *edition = NULL;
	int rc = set_defaults(c, err);

	rc = rc ? rc : load_file(c, dotenv, SUTRA_FROM_DOTENV, err);
	rc = rc ? rc : load_environment(c, err);
	if (!rc) {
		edition = xasprintf("%s/compose/editions/%s.env", data_dir,
				    sutra_config_get(c, "SUTRA_EDITION"));
		rc = load_file(c, edition, SUTRA_FROM_EDITION, err);
	}
	rc = rc ? rc : settle_ports(c, err);
	sutra_free(dotenv);
	sutra_free(edition);
	if (rc)
		sutra_config_free(c);
	else
		*ret = c;
	return rc;
}

void sutra_config_free(struct sutra_config *c)
{
	for (int s = 0; c && s < SUTRA_N_SOURCES; s++)
		sutra_env_release(&c->sources[s]);
	if (c)
		sutra_strv_release(&c->unset);
	sutra_free(c);
}

const struct sutra_strv *sutra_config_unset(const struct sutra_config *c) { return &c->unset; }

int sutra_config_set(struct sutra_config *c, const char *key, const char *value,
		     enum sutra_source source, struct sutra_err *err)
{
	int rc = check(key, value, err);

	if (rc)
		return sutra_err_prefix(err, "%s", source_names[source]);
	return sutra_env_set(&c->sources[source], key, value) ?
		       sutra_fail(err, SUTRA_E_NOMEM, "out of memory") :
		       0;
}

const char *sutra_config_from(const struct sutra_config *c, const char *key,
			      enum sutra_source source)
{
	const char *from, *beaten;

	return sutra_config_given(c, key, source, &from, &beaten);
}

const char *sutra_config_given(const struct sutra_config *c, const char *key,
			       enum sutra_source source, const char **ret_from,
			       const char **ret_beaten)
{
	struct sutra_env *e = (struct sutra_env *)(uintptr_t)&c->sources[source];	/* for of_env's ctx */
	const struct sutra_setting *s = row_of(key);
	const char *value = s ? sutra_setting_pick(s, of_env, e, ret_from, ret_beaten) : NULL;

	if (value)
		return value;
	*ret_from = s ? s->name : key;	/* an empty value, or none */
	*ret_beaten = NULL;
	return sutra_env_get(e, *ret_from);
}

/* User and password are kept together, outside of the records of the stack (credentials.h). */
static bool is_credential(const char *key)
{
	return sutra_config_is_secret(key) || !strcmp(key, "HAPROXY_STATS_USER");
}

bool sutra_config_is_text(const char *key)
{
	return is_credential(key) || !strcmp(key, "SUTRA_PROMPT");
}

json_t *sutra_config_settings(struct sutra_config *c)
{
	const struct sutra_env *worked_out = &c->sources[SUTRA_FROM_RECORD];
	json_t *o = json_object();
	const char *value;

	SUTRA_EACH_SETTING (row, SUTRA_OF_OPERATOR)
		if (!is_credential(row->name) && (value = sutra_config_get(c, row->name)))
			json_object_set_new(o, row->name, json_string(value));
	for (size_t i = 0; i < worked_out->n; i++)
		if (!is_credential(worked_out->items[i].key))
			json_object_set_new(o, worked_out->items[i].key, json_string(worked_out->items[i].value));
	return o;
}

/* Whether settings documents may hold a key that is no operator's setting. */
static bool is_worked_out(const char *key)
{
	const struct sutra_setting *s = sutra_setting_find(key);

	return (s && s->scope == SUTRA_OF_DEPLOY) || !strcmp(key, "SUTRA_MODEL_DIR");
}

int sutra_config_restore(const json_t *settings, struct sutra_config **ret, struct sutra_err *err)
{
	json_t *list = (json_t *)(uintptr_t)settings, *value;	/* jansson iterates over non-const objects */
	struct sutra_config *c = xcalloc(1, sizeof(*c));
	const char *key;
	int rc = set_defaults(c, err);

	json_object_foreach (list, key, value) {
		if (rc)
			break;
		if (!row_of(key) && !is_worked_out(key))
			rc = sutra_err_prefix((unknown(key, err), err), "settings");
		else if (!json_is_string(value))
			rc = sutra_fail(err, SUTRA_E_SETTING, "settings.%s is %s, not a string", key,
					sutra_json_type_name(value));
		rc = rc ? rc : sutra_config_set(c, key, json_string_value(value), SUTRA_FROM_RECORD, err);
	}
	rc = rc ? rc : settle_ports(c, err);
	if (rc)
		sutra_config_free(c);
	else
		*ret = c;
	return rc;
}

void sutra_config_export(struct sutra_config *c)
{
	const struct sutra_env *worked_out = &c->sources[SUTRA_FROM_RECORD];
	const char *value;

	SUTRA_EACH_SETTING (row, SUTRA_OF_OPERATOR) {
		if ((value = sutra_config_get(c, row->name)))
			setenv(row->name, value, 1);
		else if (strcmp(row->name, "SUTRA_STATE_DIR") != 0)	/* this process reads it too */
			unsetenv(row->name);
	}
	for (size_t i = 0; i < worked_out->n; i++)
		setenv(worked_out->items[i].key, worked_out->items[i].value, 1);
}

enum sutra_source sutra_config_winner(const struct sutra_config *c, const char *key)
{
	for (int s = SUTRA_N_SOURCES - 1; s > 0; s--)
		if (sutra_config_from(c, key, (enum sutra_source)s))
			return (enum sutra_source)s;
	return SUTRA_FROM_BUILTIN;
}

const char *sutra_config_get(void *config, const char *key)
{
	return sutra_config_from(config, key, sutra_config_winner(config, key));
}

const char *sutra_config_variable(void *config, const char *name)
{
	const char *value = sutra_config_get(config, name);

	return value || row_of(name) ? value : sutra_environment(NULL, name);
}
