/* kinds - every kind of check, for suite.c's table of them; man 5 sutra-validate documents each. */
#ifndef SUTRA_CHECK_KINDS_H
#define SUTRA_CHECK_KINDS_H

#include "check/check.h"

#define SUTRA_CHECK_KINDS(X)                                                                     \
	X(dimension) X(unit_norm) X(determinism) X(prefix) X(bytes) X(latency)                   \
	X(cache_enabled) X(cache_clear) X(cold_pass) X(warm_pass) X(restart_pass) X(crash_pass)  \
	X(workload) X(cache_latency)                                                             \
	X(replicas) X(algorithm) X(distribution) X(parallel) X(failover)                         \
	X(fault_kill) X(fault_freeze) X(fault_slow) X(fault_errors) X(fault_balancer) X(fault_shard) \
	X(healthy) X(versions) X(metrics) X(stats_page) X(left_out)                              \
	X(memory_limits) X(restart_policy) X(loopback) X(private_files) X(log_rotation)          \
	X(log_errors) X(volume)                                                                  \
	X(hit) X(second_gateway) X(cached_latency)                                               \
	X(gateway_health) X(single) X(batch) X(openai) X(semantic) X(bad_input)

#define SUTRA_KIND_DECLARE(name) extern const struct sutra_check_kind sutra_kind_##name;
SUTRA_CHECK_KINDS(SUTRA_KIND_DECLARE)
#undef SUTRA_KIND_DECLARE

/* URL of a service's metrics, beside its health page or a balancer's statistics; false: it does not run. */
enum { SUTRA_CHECK_URL = 512 };
bool sutra_check_metrics_url(const struct sutra_check_run *r, const struct sutra_deployed *s,
			     char url[SUTRA_CHECK_URL]);

#endif
