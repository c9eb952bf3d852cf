#include "base/setting.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/str.h"

static bool owns_text(const struct sutra_setting *s)
{
	return s->type == SUTRA_SET_STRING || s->type == SUTRA_SET_SECRET ||
	       s->type == SUTRA_SET_CHOICE;
}

static bool is_name(const struct sutra_setting *s, const char *name)
{
	size_t stem = strlen(s->name) - 1;

	if (!strcmp(s->name, name))
		return true;
	return s->name[stem] == '#' && !strncmp(s->name, name, stem) && name[stem] &&
	       !name[stem + strspn(name + stem, "0123456789")];
}

bool sutra_setting_has_alias(const struct sutra_setting *s, const char *name)
{
	for (size_t i = 0; i < SUTRA_SETTING_ALIASES && s->aliases[i]; i++)
		if (!strcmp(s->aliases[i], name))
			return true;
	return false;
}

const struct sutra_setting *sutra_setting_find(const char *name)
{
	for (const struct sutra_setting *s = sutra_settings; s->name; s++)
		if (is_name(s, name))
			return s;
	for (const struct sutra_setting *s = sutra_settings; s->name; s++)
		if (sutra_setting_has_alias(s, name))
			return s;
	return NULL;
}

const struct sutra_setting *sutra_setting_next(const struct sutra_setting *s,
					       enum sutra_setting_scope scope)
{
	for (s = s ? s + 1 : sutra_settings; s->name; s++)
		if (s->scope == scope)
			return s;
	return NULL;
}

static bool is_seconds(const struct sutra_setting *s, const char *value, int64_t *ret_ns)
{
	double seconds;

	if (sutra_str_double(value, (double)s->min, (double)s->max, &seconds))
		return false;
	*ret_ns = sutra_whole(seconds * 1e9);
	return true;
}

int sutra_setting_check(const struct sutra_setting *s, const char *name, const char *value,
			struct sutra_err *err)
{
	int64_t number;
	bool flag;

	if (s->type == SUTRA_SET_INT && sutra_str_int(value, s->min, s->max, &number))
		return sutra_fail(err, SUTRA_E_SETTING,
				  "%s is \"%s\"; allowed are whole numbers from %lld to %lld", name,
				  value, (long long)s->min, (long long)s->max);
	if (s->type == SUTRA_SET_SECONDS && !is_seconds(s, value, &number))
		return sutra_fail(err, SUTRA_E_SETTING,
				  "%s is \"%s\"; allowed are seconds from %lld to %lld", name,
				  value, (long long)s->min, (long long)s->max);
	if (s->type == SUTRA_SET_BOOL && sutra_str_bool(value, &flag))
		return sutra_fail(err, SUTRA_E_SETTING, "%s is \"%s\"; allowed are true and false",
				  name, value);
	if (s->type == SUTRA_SET_CHOICE && !sutra_str_is_choice(s->choices, value))
		return sutra_fail(err, SUTRA_E_SETTING, "%s is \"%s\"; allowed are %s", name, value,
				  s->choices);
	return 0;
}

const char *sutra_setting_pick(const struct sutra_setting *s,
			       const char *(*get)(void *ctx, const char *name), void *ctx,
			       const char **ret_from, const char **ret_beaten)
{
	const char *won = NULL;

	*ret_from = *ret_beaten = NULL;
	for (size_t i = 0; i <= SUTRA_SETTING_ALIASES; i++) {
		const char *name = i ? s->aliases[i - 1] : s->name,
			   *value = name ? get(ctx, name) : NULL;

		if (!value || !*value)
			continue;
		if (!won) {
			won = value;
			*ret_from = name;
		} else if (!*ret_beaten && strcmp(value, won) != 0) {
			*ret_beaten = name;
		}
	}
	return won;
}

void sutra_setting_allowed(const struct sutra_setting *s, char *out, size_t size)
{
	const char *words = s->type == SUTRA_SET_BOOL ? "true|false" : s->choices;

	if (s->type == SUTRA_SET_INT || s->type == SUTRA_SET_SECONDS)
		snprintf(out, size, "%lld..%lld", (long long)s->min, (long long)s->max);
	else
		snprintf(out, size, "%s", words ? words : "");
}

static const char *of_environment(void *ctx, const char *name) { return getenv(name); }

const char *sutra_setting_env(const char *name)
{
	const struct sutra_setting *s = sutra_setting_find(name);
	const char *from, *beaten, *value;

	if (!s || strchr(s->name, '#')) {
		value = s ? getenv(name) : NULL;
		return value && *value ? value : NULL;
	}
	return sutra_setting_pick(s, of_environment, NULL, &from, &beaten);
}

static int unknown(const char *name, struct sutra_err *err)
{
	return sutra_fail(err, SUTRA_E_INVALID, "the registry of settings has no %s", name);
}

int sutra_setting_read(const char *name, const char **ret, struct sutra_err *err)
{
	const struct sutra_setting *s = sutra_setting_find(name);
	const char *value = sutra_setting_env(name);
	int rc = !s ? unknown(name, err) : value ? sutra_setting_check(s, name, value, err) : 0;

	if (!rc)
		*ret = value ? value : s->fallback;
	return rc;
}

static int store(const struct sutra_setting *s, void *field, const char *value)
{
	switch (s->type) {
	case SUTRA_SET_INT:
		return value ? sutra_str_int(value, s->min, s->max, field) : 0;
	case SUTRA_SET_SECONDS:
		return !value || is_seconds(s, value, field) ? 0 : SUTRA_E_SETTING;
	case SUTRA_SET_BOOL:
		return value ? sutra_str_bool(value, field) : 0;
	default:
		sutra_free(*(char **)field);
		*(char **)field = NULL;
		if (value && !(*(char **)field = sutra_strdup(value)))
			return SUTRA_E_NOMEM;
		return 0;
	}
}

static const char *default_of(const struct sutra_setting_use *use, const struct sutra_setting *s)
{
	if (!use->fallback)
		return s->fallback;
	return *use->fallback ? use->fallback : NULL;
}

int sutra_settings_load(const struct sutra_setting_use *uses, void *settings, struct sutra_err *err)
{
	for (; uses->name; uses++) {
		const struct sutra_setting *s = sutra_setting_find(uses->name);
		const char *value, *from, *beaten;
		int rc;

		if (!s || strcmp(s->name, uses->name) != 0)
			return unknown(uses->name, err);
		value = sutra_setting_pick(s, of_environment, NULL, &from, &beaten);
		if (beaten)
			sutra_log(SUTRA_WARN, "settings", "two names of one setting differ",
				  "used=%s ignored=%s", from, beaten);
		rc = value ? sutra_setting_check(s, from, value, err) : 0;
		if (rc)
			return rc;
		if (!value)
			value = default_of(uses, s);
		rc = store(s, (char *)settings + uses->offset, value);
		if (rc)
			return sutra_fail(err, rc, "%s: %s", s->name,
					  rc == SUTRA_E_NOMEM ? "out of memory"
							      : "its default is not allowed");
	}
	return 0;
}

void sutra_settings_release(const struct sutra_setting_use *uses, void *settings)
{
	for (; uses->name; uses++) {
		const struct sutra_setting *s = sutra_setting_find(uses->name);
		char **field = (char **)((char *)settings + uses->offset);

		if (!s || !owns_text(s))
			continue;
		sutra_free(*field);
		*field = NULL;
	}
}

void sutra_settings_print(const struct sutra_setting_use *uses, FILE *out)
{
	for (; uses->name; uses++) {
		const struct sutra_setting *s = sutra_setting_find(uses->name);
		const char *fallback = s ? default_of(uses, s) : NULL;
		char allowed[80];

		if (!s)
			continue;
		fprintf(out, "%-24s %-12s ", s->name, fallback ? fallback : "-");
		sutra_setting_allowed(s, allowed, sizeof(allowed));
		fprintf(out, "%s%s%s", allowed, *allowed ? "  " : "", s->help);
		for (size_t i = 0; i < SUTRA_SETTING_ALIASES && s->aliases[i]; i++)
			fprintf(out, "%s%s", i ? ", " : "; also ", s->aliases[i]);
		fputc('\n', out);
	}
}
