#include "base/setting.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"

static bool is_choice(const char *choices, const char *value)
{
	size_t n = strlen(value);

	for (const char *at = choices; n && (at = strstr(at, value)); at += n)
		if ((at == choices || at[-1] == '|') && (at[n] == '|' || !at[n]))
			return true;
	return false;
}

int sutra_setting_check(const struct sutra_setting *row, const char *value, struct sutra_err *err)
{
	int64_t number;
	bool flag;

	switch (row->type) {
	case SUTRA_SET_INT:
		if (sutra_str_int(value, row->min, row->max, &number))
			return sutra_fail(err, SUTRA_E_SETTING,
					  "%s is \"%s\"; allowed are whole numbers from %lld to %lld",
					  row->name, value, (long long)row->min,
					  (long long)row->max);
		return 0;
	case SUTRA_SET_BOOL:
		if (sutra_str_bool(value, &flag))
			return sutra_fail(err, SUTRA_E_SETTING,
					  "%s is \"%s\"; allowed are true and false", row->name,
					  value);
		return 0;
	case SUTRA_SET_CHOICE:
		if (!is_choice(row->choices, value))
			return sutra_fail(err, SUTRA_E_SETTING, "%s is \"%s\"; allowed are %s",
					  row->name, value, row->choices);
		return 0;
	default:
		return 0;
	}
}

static int store(const struct sutra_setting *row, void *field, const char *value)
{
	switch (row->type) {
	case SUTRA_SET_INT:
		return value ? sutra_str_int(value, row->min, row->max, field) : 0;
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

int sutra_settings_load(const struct sutra_setting *rows, void *settings, struct sutra_err *err)
{
	for (; rows->name; rows++) {
		const char *value = getenv(rows->name);
		int rc;

		if ((!value || !*value) && rows->alias)
			value = getenv(rows->alias);
		if (!value || !*value)
			value = rows->fallback;
		if (value && (rc = sutra_setting_check(rows, value, err)))
			return rc;
		rc = store(rows, (char *)settings + rows->offset, value);
		if (rc)
			return sutra_fail(err, rc, "out of memory reading %s", rows->name);
	}
	return 0;
}

void sutra_settings_release(const struct sutra_setting *rows, void *settings)
{
	for (; rows->name; rows++) {
		char **field = (char **)((char *)settings + rows->offset);

		if (rows->type == SUTRA_SET_INT || rows->type == SUTRA_SET_BOOL)
			continue;
		sutra_free(*field);
		*field = NULL;
	}
}

void sutra_settings_print(const struct sutra_setting *rows, FILE *out)
{
	for (; rows->name; rows++) {
		fprintf(out, "%-24s %-12s ", rows->name, rows->fallback ? rows->fallback : "-");
		if (rows->type == SUTRA_SET_INT)
			fprintf(out, "%lld..%lld  ", (long long)rows->min, (long long)rows->max);
		else if (rows->type == SUTRA_SET_CHOICE)
			fprintf(out, "%s  ", rows->choices);
		fprintf(out, "%s\n", rows->help);
	}
}
