/*
 * validate_env - what checks work with: the deployed stack, its services, the faults that can be put
 * upon them and a gateway of our own, as the library's environment; or, by URL, a gateway alone.
 */
#ifndef SUTRA_CMD_VALIDATE_VALIDATE_ENV_H
#define SUTRA_CMD_VALIDATE_VALIDATE_ENV_H

#include "check/check.h"
#include "report/compare.h"
#include "deploy/deployment.h"
#include "check/scratch.h"
#include "term/progress.h"

struct validate_env {
	struct sutra_deployment *d;	/* NULL with --url */
	char *state_dir;
	char *gateway, *front;
	const char *csv;
	char **replicas;		/* base URLs */
	const char **replica_names;
	const char *names[4];		/* by enum sutra_check_role */
	struct sutra_probe *probes;
	pid_t *killed;			/* beside d->services: the process that a fault has ended */
	char handle[80];		/* of the stand-in (runtime.h) */
	int guard;			/* takes the place of each stopped service: a child lets it go on */
	struct sutra_scratch scratch;
	struct sutra_progress progress;
};

/* url NULL: the deployed stack; SUTRA_E_UNAVAILABLE: there is none. Close it in any case. */
int validate_env_open(struct validate_env *c, const char *url, struct sutra_err *err);
void validate_env_close(struct validate_env *c);
/* The time counts from now. *ret borrows from c. */
void validate_env_fill(struct validate_env *c, uint64_t timeout_ns, struct sutra_check_env *ret);
/* A comparison's gateway of its own; user is the environment's. */
extern const struct sutra_compare_actions validate_env_actions;

#endif
