/* deploying - what deploy and rollback print while a plan is carried out. */
#ifndef SUTRA_CMD_DEPLOYING_H
#define SUTRA_CMD_DEPLOYING_H

#include <stdbool.h>

#include "base/err.h"
#include "deploy/apply.h"

/* Settles the credentials of embedding-ha's statistics; shows them when they are made now. */
int deploying_credentials(struct sutra_config *config, const char *state_dir, bool only_read, struct sutra_err *err);
void deploying_show_credentials(struct sutra_config *config, const char *state_dir);
/* Carries the plan out, or goes back, before the operator's eyes; sets what reports and stops. An exit code. */
int deploying_run(struct sutra_apply *a, struct sutra_err *err);

#endif
