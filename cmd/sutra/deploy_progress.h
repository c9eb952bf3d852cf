/* deploy_progress - carries out a plan for deploy and rollback, and prints the progress. */
#ifndef SUTRA_CMD_DEPLOY_PROGRESS_H
#define SUTRA_CMD_DEPLOY_PROGRESS_H

#include <stdbool.h>

#include "base/err.h"
#include "deploy/apply.h"

/* Settles the credentials of embedding-ha's statistics; prints new ones. */
int deploying_credentials(struct sutra_config *config, const char *state_dir, bool only_read, struct sutra_err *err);
void deploying_show_credentials(struct sutra_config *config, const char *state_dir);
/* Sets the callbacks of a, applies the plan or rolls back, and prints the result. Returns an exit code. */
int deploying_run(struct sutra_apply *a, struct sutra_err *err);

#endif
