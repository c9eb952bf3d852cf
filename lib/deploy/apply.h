/*
 * apply - carries a plan out and makes it a generation; after a failure it returns to the last good generation.
 * Deploy and rollback share it; they hold the lock meanwhile.
 */
#ifndef SUTRA_DEPLOY_APPLY_H
#define SUTRA_DEPLOY_APPLY_H

#include <stdbool.h>

#include "base/err.h"
#include "deploy/deploy.h"
#include "deploy/generation.h"

struct sutra_apply {
	struct sutra_deploy deploy;
	const char *command;		/* for the audit log */
	const char *data_dir, *cause;	/* of the generation that this becomes */
	bool no_return;			/* a failure is left as it is */
	/* Reports a failure of the plan, of the runtime or of the return. d->failed is its evidence; since: when
	 * that deploy began, RFC 3339. */
	void (*failed)(const struct sutra_deploy *d, const char *since, const struct sutra_err *err);
	void (*returns)(int generation);	/* the return begins */
	int returned_to;		/* set: the generation of a return, also of one that failed; else 0 */
};

enum sutra_applied {
	SUTRA_APPLIED,
	SUTRA_APPLY_FAILED,	/* left as it is: nothing was touched, or there is no good generation */
	SUTRA_APPLY_STOPPED,	/* by Ctrl-C, and left as it is */
	SUTRA_APPLY_RETURNED,	/* the last good generation runs again */
	SUTRA_APPLY_STUCK,	/* the return failed too */
};

/* err: the first failure, unless SUTRA_APPLIED. */
enum sutra_applied sutra_apply(struct sutra_apply *a, struct sutra_err *err);

/* The stack of a generation. */
struct sutra_restored {
	struct sutra_generation g;
	struct sutra_config *config;
	struct sutra_desired desired;
	struct sutra_plan plan;
	bool credentials_made;	/* credentials.h */
};

/* On an error too the caller releases it. */
int sutra_restore(const char *state_dir, int number, struct sutra_restored *r, struct sutra_err *err);
void sutra_restored_release(struct sutra_restored *r);
/* Checks that the deployed stack, if record is not NULL, runs on this runtime. */
int sutra_check_runtime(const struct sutra_record *record, const struct sutra_runtime *rt, struct sutra_err *err);

#endif
