/* kinds - every kind of check, for suite.c's table of them; man 5 sutra-validate documents each. */
#ifndef SUTRA_CHECK_KINDS_H
#define SUTRA_CHECK_KINDS_H

#include "check/check.h"

extern const struct sutra_check_kind sutra_kind_dimension, sutra_kind_unit_norm,
	sutra_kind_determinism, sutra_kind_prefix, sutra_kind_bytes, sutra_kind_latency;
extern const struct sutra_check_kind sutra_kind_cache_enabled, sutra_kind_cache_clear,
	sutra_kind_cold_pass, sutra_kind_warm_pass, sutra_kind_restart_pass, sutra_kind_crash_pass,
	sutra_kind_workload, sutra_kind_cache_latency;
extern const struct sutra_check_kind sutra_kind_replicas, sutra_kind_algorithm,
	sutra_kind_distribution, sutra_kind_parallel, sutra_kind_failover;
extern const struct sutra_check_kind sutra_kind_fault_kill, sutra_kind_fault_freeze, sutra_kind_fault_slow, sutra_kind_fault_errors,
	sutra_kind_fault_balancer, sutra_kind_fault_shard;
extern const struct sutra_check_kind sutra_kind_healthy, sutra_kind_versions, sutra_kind_metrics,
	sutra_kind_stats_page, sutra_kind_left_out;
extern const struct sutra_check_kind sutra_kind_memory_limits, sutra_kind_restart_policy, sutra_kind_loopback,
	sutra_kind_private_files, sutra_kind_log_rotation, sutra_kind_log_errors, sutra_kind_volume;
extern const struct sutra_check_kind sutra_kind_hit, sutra_kind_second_gateway, sutra_kind_cached_latency;
extern const struct sutra_check_kind sutra_kind_gateway_health, sutra_kind_single, sutra_kind_batch,
	sutra_kind_openai, sutra_kind_semantic, sutra_kind_bad_input;

/* Checks of deployed services: 0, or the skip of a gateway, or of the check's own service, that is not
 * deployed here. */
int sutra_check_services(struct sutra_check_run *r);
/* URL of a service's metrics, beside its health page or a balancer's statistics; false: it does not run. */
enum { SUTRA_CHECK_URL = 512 };
bool sutra_check_metrics_url(const struct sutra_check_run *r, const struct sutra_deployed *s, char url[SUTRA_CHECK_URL]);

#endif
