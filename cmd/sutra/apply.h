/* apply - carrying a plan out before the operator's eyes: what deploy and rollback share. */
#ifndef SUTRA_CMD_APPLY_H
#define SUTRA_CMD_APPLY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "deploy/deploy.h"

struct apply {
	const char *command, *state_dir;
	struct sutra_config *config;
	const struct sutra_desired *desired;
	const struct sutra_plan *plan;
	const char *data_dir, *cause;	/* of the generation that this becomes */
	uint64_t timeout_ns;
	bool no_return;			/* a failure is left as it is */
};

/* Ctrl-C sets apply_stopped; a second one ends the process. */
extern volatile int apply_stopped;
void apply_catch_signals(void);
/* Credentials of embedding-ha where the edition has it; shown when they are made now. */
int apply_credentials(struct sutra_config *config, const char *state_dir, bool only_read, struct sutra_err *err);
/* What the record (or NULL) has deployed must run on this runtime. */
int apply_check_runtime(const struct sutra_record *record, const struct sutra_runtime *rt, struct sutra_err *err);
/* Carries the plan out and prints what became of it. On a failure that has changed something
 * the last good generation is brought back. An exit code. */
int apply_plan(const struct apply *a, struct sutra_err *err);
/* The stack of a generation: settings, desired units and plan. The caller releases all three. */
struct sutra_generation;
int apply_open_generation(const struct sutra_generation *g, const char *state_dir, struct sutra_config **config,
			  struct sutra_desired *desired, struct sutra_plan *plan, struct sutra_err *err);

#endif
