/*
 * setting - the registry of every setting of every program (CONTRACT section 8), and its readers.
 *
 * The registry (setting_table.c) has a row per setting: name (the environment variable), aliases,
 * scope, type, default, bounds, help. Other code reads only the environment variables
 * that tests/lint/environment lists. `sutra config`, `--settings` of the
 * daemons, completion and the manuals show these rows.
 *
 * A daemon picks rows by name and names the field of each value:
 *
 *	static const struct sutra_setting_use uses[] = {
 *		{ "MAX_QUEUE", FIELD(max_queue), NULL },
 *		{ "INSTANCE_ID", FIELD(instance_id), "ml-base" },
 *		{ 0 },
 *	};
 *
 * An alias is used when the name itself is unset. An empty variable is the same as an unset one.
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
	SUTRA_SET_SECONDS,	/* int64_t, nanoseconds; text: seconds within [min, max], with decimals */
	SUTRA_SET_BOOL,		/* bool */
	SUTRA_SET_CHOICE,	/* char *, one of choices ("a|b|c") */
};

enum sutra_setting_scope {
	SUTRA_OF_OPERATOR,	/* set in compose/.env or the environment of `sutra`; services get it */
	SUTRA_OF_SERVICE,	/* set for a daemon by the compose file, the runtime or the image */
	SUTRA_OF_COMMAND,	/* set in the environment of `sutra` only */
	SUTRA_OF_DEPLOY,	/* computed at deploy, for the compose file */
};

enum { SUTRA_SETTING_ALIASES = 2 };

struct sutra_setting {
	const char *name;	/* "STEM_#": a stem and any number; NULL ends the registry */
	/* The first one set is used; NULL: no more. Rows may share an alias if no program uses both. */
	const char *aliases[SUTRA_SETTING_ALIASES];
	enum sutra_setting_scope scope;
	enum sutra_setting_type type;
	const char *fallback;	/* default as text; NULL: stays NULL, 0 or false */
	int64_t min, max;	/* INT, SECONDS */
	const char *choices;	/* CHOICE only */
	const char *help;
};

extern const struct sutra_setting sutra_settings[];	/* the registry */

/* A row that a program reads. */
struct sutra_setting_use {
	const char *name;	/* of a row; NULL ends the table */
	size_t offset;		/* of the field in the program's settings struct */
	const char *fallback;	/* replaces the default of the row; "": none; NULL: the default of the row */
};

/* The row of this name or alias, or NULL. */
const struct sutra_setting *sutra_setting_find(const char *name);
/* The first row of a scope (s NULL), or the next one; NULL at the end. */
const struct sutra_setting *sutra_setting_next(const struct sutra_setting *s,
					       enum sutra_setting_scope scope);
#define SUTRA_EACH_SETTING(s, scope) \
	for (const struct sutra_setting *s = sutra_setting_next(NULL, scope); s; \
	     s = sutra_setting_next(s, scope))
/* Whether the row has this alias. */
bool sutra_setting_has_alias(const struct sutra_setting *s, const char *name);
/* The value that get returns for the row's name, else for its aliases; NULL: none, or an empty one.
 * *ret_from: the name that has it; *ret_beaten: another of these names with a different value, or NULL. */
const char *sutra_setting_pick(const struct sutra_setting *s,
			       const char *(*get)(void *ctx, const char *name), void *ctx,
			       const char **ret_from, const char **ret_beaten);
/* Checks a value without storing it: 0, or SUTRA_E_SETTING with the allowed values. name: of the row, or
 * the alias that has the value. */
int sutra_setting_check(const struct sutra_setting *s, const char *name, const char *value,
			struct sutra_err *err);
/* "1..9", "a|b", "true|false" into out; "" for text. */
void sutra_setting_allowed(const struct sutra_setting *s, char *out, size_t size);
/* The value of a setting or its aliases in the environment, unchecked; NULL: unset or empty, or the
 * registry has no such row. */
const char *sutra_setting_env(const char *name);
/* The same, else the default of the row, checked: 0, SUTRA_E_SETTING; SUTRA_E_INVALID: no such row. */
int sutra_setting_read(const char *name, const char **ret, struct sutra_err *err);

/* Fills *settings (zeroed by the caller) from the environment. 0, SUTRA_E_SETTING or SUTRA_E_NOMEM;
 * SUTRA_E_INVALID: the registry lacks a name. */
int sutra_settings_load(const struct sutra_setting_use *uses, void *settings,
			struct sutra_err *err);
void sutra_settings_release(const struct sutra_setting_use *uses, void *settings);
/* Prints a line per use: name, default, bounds, help, aliases. */
void sutra_settings_print(const struct sutra_setting_use *uses, FILE *out);

#endif
