/*
 * setting - a program's settings as one table (CONTRACT section 8).
 *
 * Each row: name (the environment variable), alias, type, bounds, default, help,
 * and where the value goes. sutra_settings_load reads the environment over the
 * defaults; a wrong value fails with SUTRA_E_SETTING and one line that names the
 * setting, the value and what is allowed. The table also prints itself
 * (`program --settings`), and `sutra config` reads the same rows.
 *
 *	static const struct sutra_setting rows[] = {
 *		{ "MAX_QUEUE", NULL, SUTRA_SET_INT, OFFSET(max_queue), "1024", 1, 65536,
 *		  NULL, "requests waiting at most" },
 *		{ 0 },
 *	};
 */
#ifndef SUTRA_BASE_SETTING_H
#define SUTRA_BASE_SETTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"

enum sutra_setting_type {
	SUTRA_SET_STRING,	/* char *, owned by the settings struct */
	SUTRA_SET_SECRET,	/* as STRING; never printed */
	SUTRA_SET_INT,		/* int64_t within [min, max] */
	SUTRA_SET_BOOL,		/* bool */
	SUTRA_SET_CHOICE,	/* char *, one of choices ("a|b|c") */
};

struct sutra_setting {
	const char *name;	/* NULL ends the table */
	const char *alias;	/* a second variable, used when name is unset; or NULL */
	enum sutra_setting_type type;
	size_t offset;		/* of the field in the program's settings struct */
	const char *fallback;	/* default as text; NULL: stays NULL, 0 or false */
	int64_t min, max;	/* INT only */
	const char *choices;	/* CHOICE only */
	const char *help;
};

/* Fills *settings (zeroed by the caller) from the environment. An empty variable
 * counts as unset. 0 or SUTRA_E_SETTING / SUTRA_E_NOMEM. */
int sutra_settings_load(const struct sutra_setting *rows, void *settings, struct sutra_err *err);
/* Checks one value without storing it: 0 or SUTRA_E_SETTING with the same line. */
int sutra_setting_check(const struct sutra_setting *row, const char *value, struct sutra_err *err);
void sutra_settings_release(const struct sutra_setting *rows, void *settings);
/* A line a row: name, default, bounds, help. */
void sutra_settings_print(const struct sutra_setting *rows, FILE *out);

#endif
