/*
 * compare - one workload on four set-ups, measured one after the other: a replica alone with its
 * full dimension and no cache; the same with the deployed dimension; with a gateway and
 * its cache in front of that one replica; and the whole stack.
 */
#ifndef SUTRA_REPORT_COMPARE_H
#define SUTRA_REPORT_COMPARE_H

#include "base/buf.h"
#include "check/check.h"
#include "load/workload.h"

enum { SUTRA_COMPARE_STAGES = 4 };

struct sutra_compare_stage {
	const char *name;	/* "baseline", "phase 0", "phase 0+1", "phase 0+1+2" */
	int64_t dimension;
	double per_second, mean_ms, p50_ms, p95_ms;
	double l1_percent, l2_percent;	/* 0 without a cache */
	bool cached;
};

struct sutra_compare {
	struct sutra_compare_stage stages[SUTRA_COMPARE_STAGES];
	struct sutra_workload_spec spec;
	uint64_t digest;
	unsigned parallel, processors, replicas;
};

/* Needs an environment with replicas, balancer and all actions. Empties the cache. */
int sutra_compare_run(const struct sutra_check_env *env, const struct sutra_workload_spec *spec,
		      unsigned parallel, struct sutra_compare *ret, struct sutra_err *err);
void sutra_compare_json(const struct sutra_compare *c, struct sutra_buf *b);	/* sutra.compare/1 */
/* What the figures mean and do not mean, in lines. */
void sutra_compare_notes(const struct sutra_compare *c, struct sutra_buf *b);
/* The reference documents' figure of a stage, "0.14/s, 1 x". */
const char *sutra_compare_reference(size_t stage);

#endif
