/*
 * deploy - makes the stack that the settings describe, and carries out the plan that leads to it.
 *
 * The record (<state>/deployment.json) is written again after every change, so that an
 * interrupted deploy leaves a true record, and the next deploy, or down, finishes the work.
 */
#ifndef SUTRA_DEPLOY_DEPLOY_H
#define SUTRA_DEPLOY_DEPLOY_H

#include <signal.h>
#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"
#include "deploy/await.h"
#include "compose/config.h"
#include "deploy/plan.h"
#include "runtime/runtime.h"

/* The sources of a stack's parts. */
struct sutra_parts {
	const char *data_dir;		/* compose/docker-compose.yml */
	const char *program_dir;	/* NULL: the daemons beside this command */
	const json_t *images;		/* service -> image, in place of the file's; NULL: none */
};

/* The profiles that edition and cache turn on (CONTRACT section 1). */
void sutra_profiles_of(struct sutra_config *config, struct sutra_strv *ret);
/* The stack that the settings describe. Ports and the model folder must be set in config. */
int sutra_desired_make(const struct sutra_runtime *rt, struct sutra_config *config, const struct sutra_parts *parts,
		       const char *state_dir, struct sutra_desired *ret, struct sutra_err *err);
void sutra_desired_release(struct sutra_desired *d);

/* A plan, and what carrying it out needs. */
struct sutra_deploy {
	const char *state_dir;
	struct sutra_config *config;
	const struct sutra_desired *desired;
	const struct sutra_plan *plan;
	uint64_t timeout_ns;		/* of each wait */
	int generation;			/* its number in the record at the end; 0: the prepared one (generation.h) */
	const volatile sig_atomic_t *stop;	/* becomes non-zero on Ctrl-C; or NULL */
	void (*step)(const struct sutra_step *s);	/* before each change; or NULL */
	void (*ready)(const struct sutra_awaited *a);	/* or NULL */
	/* set */
	struct sutra_awaited failed;	/* the service of a wait that failed; unit NULL: none failed */
	bool touched;			/* something was started, replaced or stopped */
	size_t healed;			/* services of the plan's "keep" that had to be restarted */
};

/* Carries the plan out. After a failure the record holds what was done until then. */
int sutra_deploy_apply(struct sutra_deploy *deploy, struct sutra_err *err);
/* Ends everything that is deployed; stored data and generations stay unless volumes. *ret_n services,
 * *ret_killed by force. */
int sutra_deploy_down(const struct sutra_runtime *rt, const char *state_dir, bool volumes, size_t *ret_n,
		      int *ret_killed, struct sutra_err *err);

#endif
