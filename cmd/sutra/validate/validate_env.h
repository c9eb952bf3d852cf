/*
 * validate_env - the environment of the checks: the deployed stack, its services, faults and a temporary
 * gateway; or, by URL, a gateway alone.
 */
#ifndef SUTRA_CMD_VALIDATE_VALIDATE_ENV_H
#define SUTRA_CMD_VALIDATE_VALIDATE_ENV_H

#include "check/check.h"
#include "deploy/deployment.h"
#include "check/scratch.h"
#include "term/progress.h"

struct validate_env {
	struct sutra_check_env check;	/* which the checks get; d NULL with --url */
	char *state_dir;
	pid_t *killed;			/* beside check.d->services: the process that a fault has ended */
	char handle[80];		/* of the substitute server (runtime.h: start_fault) */
	int guard;			/* pipe to a child: takes the index of each service that is stopped */
	struct sutra_scratch scratch;
	struct sutra_progress progress;
};

/* url NULL: the deployed stack; SUTRA_E_UNAVAILABLE: there is none. Close it on failure, too. */
int validate_env_open(struct validate_env *c, const char *url, struct sutra_err *err);
void validate_env_close(struct validate_env *c);

#endif
