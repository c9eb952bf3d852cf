/*
 * setting - every setting of every program, once (CONTRACT section 8), and how one is read.
 *
 * The registry (setting_table.c) has a row a setting: name (the environment variable), aliases,
 * scope, type, default, bounds, help. Nothing else reads the environment, but for the
 * process-level variables that tests/lint/environment lists. `sutra config`, `--settings` of the
 * daemons, completion and the manuals show these rows.
 *
 * A daemon picks rows by name and says where each value goes:
 *
 *	static const struct sutra_setting_use uses[] = {
 *		{ "MAX_QUEUE", FIELD(max_queue), NULL },
 *		{ "INSTANCE_ID", FIELD(instance_id), "ml-base" },
 *		{ 0 },
 *	};
 *
 * An alias counts where the name itself is unset. An empty variable counts as unset.
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
	SUTRA_OF_OPERATOR,	/* of compose/.env and the environment of `sutra`; services get it */
	SUTRA_OF_SERVICE,	/* of a daemon; the compose file, the runtime or the image sets it */
	SUTRA_OF_COMMAND,	/* of the environment of `sutra` alone */
	SUTRA_OF_DEPLOY,	/* worked out at deploy, for the compose file */
};

enum { SUTRA_SETTING_ALIASES = 2 };

struct sutra_setting {
	const char *name;	/* "STEM_#": a stem and any number; NULL ends the registry */
	/* The first that is set counts; NULL: no more. Rows may share one if no program uses both. */
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
	const char *name;	/* of the row; NULL ends the table */
	size_t offset;		/* of the field in the program's settings struct */
	const char *fallback;	/* in place of the row's, "": none; NULL: the row's */
};

/* The row of that name or alias, or NULL. */
const struct sutra_setting *sutra_setting_find(const char *name);
/* The first row of a scope (s NULL), or the next one; NULL at the end. */
const struct sutra_setting *sutra_setting_next(const struct sutra_setting *s,
					       enum sutra_setting_scope scope);
#define SUTRA_EACH_SETTING(s, scope) \
	for (const struct sutra_setting *s = sutra_setting_next(NULL, scope); s; \
	     s = sutra_setting_next(s, scope))
/* Whether the row has that alias. */
bool sutra_setting_has_alias(const struct sutra_setting *s, const char *name);
/* The value that get has for the row's name, else for its aliases; NULL: none, or an empty one.
 * *ret_from: the variable it is of; *ret_beaten: another one of these that has another value, or NULL. */
const char *sutra_setting_pick(const struct sutra_setting *s,
			       const char *(*get)(void *ctx, const char *name), void *ctx,
			       const char **ret_from, const char **ret_beaten);
/* Checks one value without storing it: 0 or SUTRA_E_SETTING with what is allowed. name: the row's or
 * the alias that has the value. */
int sutra_setting_check(const struct sutra_setting *s, const char *name, const char *value,
			struct sutra_err *err);
/* "1..9", "a|b", "true|false" into out; "" for text. */
void sutra_setting_allowed(const struct sutra_setting *s, char *out, size_t size);
/* What the environment has for one setting or its aliases, unchecked; NULL: unset or empty, or the
 * registry has no such row. */
const char *sutra_setting_env(const char *name);
/* The same, or else the row's default, checked: 0, SUTRA_E_SETTING; SUTRA_E_INVALID: no such row. */
int sutra_setting_read(const char *name, const char **ret, struct sutra_err *err);

/* Fills *settings (zeroed by the caller) from the environment. 0, SUTRA_E_SETTING or SUTRA_E_NOMEM;
 * SUTRA_E_INVALID: the registry lacks a name. */
int sutra_settings_load(const struct sutra_setting_use *uses, void *settings,
			struct sutra_err *err);
void sutra_settings_release(const struct sutra_setting_use *uses, void *settings);
/* A line a use: name, default, bounds, help, aliases. */
void sutra_settings_print(const struct sutra_setting_use *uses, FILE *out);

#endif
