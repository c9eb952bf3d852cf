/*
 * suite - checks as data: one JSON file a suite (man 5 sutra-validate).
 *
 * A check names a kind (a C function of kinds.h), its parameters, and what the values it
 * measures must be: bounds that decide, and targets that are only reported. The loader is strict:
 * an unknown field, kind, parameter or value is an error that names it and its nearest match.
 */
#ifndef SUTRA_CHECK_SUITE_H
#define SUTRA_CHECK_SUITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

enum { SUTRA_CHECK_MAX_PARAMS = 8, SUTRA_CHECK_MAX_VALUES = 10, SUTRA_CHECK_MAX_ATTEMPTS = 5 };

struct sutra_check_run;

/* One parameter of a kind, a number. */
struct sutra_check_param {
	const char *name;	/* NULL ends the list */
	double min, max, fallback;
	bool whole;
};

/* One value a kind measures. */
struct sutra_check_value {
	const char *name;	/* NULL ends the list */
	const char *unit;	/* "ms", "%", "B", "us", "1/s", "" */
	int better;		/* +1: more is better, -1: less is, 0: neither */
};

enum sutra_check_role {	/* whose log is the evidence */
	SUTRA_LOGS_GATEWAY,
	SUTRA_LOGS_REPLICA,
	SUTRA_LOGS_SHARD,
	SUTRA_LOGS_BALANCER,
};

struct sutra_check_kind {
	const char *name;
	enum sutra_check_role logs;
	bool needs_stack;	/* is skipped for a gateway that is not deployed here */
	bool one_service;	/* a check may name the service it is about */
	struct sutra_check_param params[SUTRA_CHECK_MAX_PARAMS + 1];
	struct sutra_check_value values[SUTRA_CHECK_MAX_VALUES + 1];
	int (*run)(struct sutra_check_run *r, struct sutra_err *err);
};

/* What one measured value must be. */
struct sutra_limit {
	bool has_min, has_max, has_target;
	double min, max, target;
};

struct sutra_check {
	char *id;		/* "phase1.warm" */
	char *title;
	char *hint;		/* what to do when it fails */
	char *service;		/* compose name; where it is not deployed the check is skipped; or NULL */
	const char *suite;	/* the name of its suite, whose memory it is */
	int phase;
	unsigned attempts;	/* at most; 1 unless the file says more */
	const struct sutra_check_kind *kind;
	double params[SUTRA_CHECK_MAX_PARAMS];
	struct sutra_limit limits[SUTRA_CHECK_MAX_VALUES];
	struct sutra_strv needs;	/* ids that must have passed */
};

struct sutra_suite {
	char *name, *title;
	int phase;
	struct sutra_check *checks;
	size_t n;
};

/* SUTRA_E_SYNTAX or SUTRA_E_INVALID, the message beginning with the field's place. */
int sutra_suite_parse(const char *json, size_t n, struct sutra_suite **ret, struct sutra_err *err);
int sutra_suite_read(const char *path, struct sutra_suite **ret, struct sutra_err *err);
void sutra_suite_free(struct sutra_suite *s);

#endif
