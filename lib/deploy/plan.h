/*
 * plan - the steps of a deploy: desired units compared with the record and with what runs.
 */
#ifndef SUTRA_DEPLOY_PLAN_H
#define SUTRA_DEPLOY_PLAN_H

#include <jansson.h>

#include "base/err.h"
#include "deploy/record.h"
#include "runtime/runtime.h"

enum sutra_action { SUTRA_KEEP, SUTRA_START, SUTRA_REPLACE, SUTRA_STOP,
		    SUTRA_LEAVE };	/* it runs, is not in the edition, and --prune was not given */

struct sutra_step {
	enum sutra_action action;
	const struct sutra_unit *unit;	/* NULL: stop, leave */
	char *name;
	char *cause;	/* "not deployed", "MATRYOSHKA_DIM changed", "not running", "not in the edition" */
	char *field, *old_value, *new_value;	/* the first changed field; or NULL */
	char *old_hash;		/* of the recorded unit; NULL: there is none */
	char *published;	/* of a stopped or left service: the address it holds; or NULL */
};

struct sutra_plan {
	struct sutra_step *steps;	/* in the order of units, then stops */
	size_t n, n_changes, n_left;
	bool unfinished;	/* an earlier deploy was cut off: carry out even without changes */
};

/* record: NULL when nothing is deployed; the units of a recovered record have only names. prune: services that the
 * edition lacks are stopped; else they are left, and SUTRA_E_SETTING names one with an address that the edition needs. */
int sutra_plan_make(const struct sutra_runtime *rt, const struct sutra_unit *units, size_t n,
		    const struct sutra_record *record, const char *state_dir, bool prune, struct sutra_plan *ret,
		    struct sutra_err *err);
/* The service that is stopped to free the published address of this step's unit; NULL: none. */
const struct sutra_step *sutra_plan_predecessor(const struct sutra_plan *p, const struct sutra_step *step);
/* [{"service", "action", "cause", "field", "old", "new", "from", "to"}]: from and to are hashes. */
json_t *sutra_plan_steps(const struct sutra_plan *p);
void sutra_plan_release(struct sutra_plan *p);
const char *sutra_action_name(enum sutra_action a);

#endif
