/* kinds - every kind of check, one table; man 5 sutra-validate documents each. */
#ifndef SUTRA_CHECK_KINDS_H
#define SUTRA_CHECK_KINDS_H

#include "check/suite.h"

extern const struct sutra_check_kind *const sutra_check_kinds[];	/* NULL-terminated */

extern const struct sutra_check_kind sutra_kind_dimension, sutra_kind_unit_norm,
	sutra_kind_determinism, sutra_kind_prefix, sutra_kind_bytes, sutra_kind_latency;
extern const struct sutra_check_kind sutra_kind_cache_enabled, sutra_kind_cache_clear,
	sutra_kind_cold_pass, sutra_kind_warm_pass, sutra_kind_restart_pass, sutra_kind_crash_pass,
	sutra_kind_workload, sutra_kind_cache_latency;
extern const struct sutra_check_kind sutra_kind_replicas, sutra_kind_algorithm,
	sutra_kind_distribution, sutra_kind_parallel, sutra_kind_failover;
extern const struct sutra_check_kind sutra_kind_fault_kill, sutra_kind_fault_freeze, sutra_kind_fault_slow, sutra_kind_fault_errors,
	sutra_kind_fault_balancer, sutra_kind_fault_shard;

#endif
