#include "check/kinds.h"

const struct sutra_check_kind *const sutra_check_kinds[] = {
	&sutra_kind_dimension, &sutra_kind_unit_norm, &sutra_kind_determinism, &sutra_kind_prefix,
	&sutra_kind_bytes, &sutra_kind_latency,
	&sutra_kind_cache_enabled, &sutra_kind_cache_clear, &sutra_kind_cold_pass,
	&sutra_kind_warm_pass, &sutra_kind_restart_pass, &sutra_kind_crash_pass,
	&sutra_kind_workload, &sutra_kind_cache_latency,
	&sutra_kind_replicas, &sutra_kind_algorithm, &sutra_kind_distribution, &sutra_kind_parallel,
	&sutra_kind_failover,
	&sutra_kind_fault_kill, &sutra_kind_fault_freeze, &sutra_kind_fault_slow, &sutra_kind_fault_errors,
	&sutra_kind_fault_balancer, &sutra_kind_fault_shard,
	NULL,
};
