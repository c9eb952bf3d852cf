/* replay - one part of a workload sent to a service, in its order. */
#ifndef SUTRA_CHECK_REPLAY_H
#define SUTRA_CHECK_REPLAY_H

#include "check/check.h"
#include "load/load.h"
#include "load/workload.h"

struct sutra_replay {
	const char *base;
	int64_t dimension;	/* 0: the service's default */
	unsigned parallel;
	const struct sutra_workload *workload;
	bool today;		/* the trace; else the fill */
	const char *what;	/* names it in progress and errors */
};

/* Until the last answer or the environment's deadline. A request that failed, or was not sent in time, is
 * SUTRA_E_UNAVAILABLE with the first failure's words; only on 0 is *ret the caller's to release. */
int sutra_replay_run(const struct sutra_replay *p, const struct sutra_check_env *env,
		     struct sutra_load_result *ret, struct sutra_err *err);
/* The workload that a check of kind "workload" describes. */
struct sutra_workload_spec sutra_workload_of(const struct sutra_check *c);

#endif
