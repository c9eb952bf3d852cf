/*
 * check - runs suites against a deployment and keeps the results.
 *
 * The environment says where things are and what may be done to them. The faults (kill, wait,
 * substitute) are callbacks: the command undoes them when it ends. What needs a deployment, or an action
 * that is NULL, is skipped, and the result says so.
 */
#ifndef SUTRA_CHECK_CHECK_H
#define SUTRA_CHECK_CHECK_H

#include <jansson.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "load/workload.h"
#include "check/suite.h"
#include "deploy/deployment.h"
#include "probe/probe.h"

/* A deployed replica of ml-base. */
struct sutra_check_replica {
	const char *name;
	char base[256];		/* URL */
};

struct sutra_check_env {
	char *gateway;				/* base URL of one gateway, whose counters the checks read */
	char *front;				/* base URL for clients: that gateway, or the balancer before all */
	struct sutra_check_replica *replicas;
	size_t n_replicas;
	const char *haproxy_csv;		/* URL; NULL: no balancer is known */
	/* Names of the services by enum sutra_check_role; NULL: not deployed. */
	const char *names[SUTRA_LOGS_BALANCER + 1];
	int64_t dimension;			/* deployed; 0: unknown, taken from the first answer */
	uint64_t deadline_ns;			/* monotonic; UINT64_MAX: none */
	const volatile sig_atomic_t *stop;	/* NULL; a value other than 0 ends the run as its deadline does */
	void *user;
	int (*kill)(void *user, const char *service, int sig, struct sutra_err *err);
	/* After a kill: waits until the supervisor has started it again and its health check passes. */
	int (*wait)(void *user, const char *service, uint64_t timeout_ns, struct sutra_err *err);
	/* Puts a server that answers every request with 500 in a service's place; on false: undoes it. */
	int (*substitute)(void *user, const char *service, bool on, struct sutra_err *err);
	void (*progress)(void *user, const char *what, const char *detail);
	struct sutra_deployment *d;		/* the stack; NULL: a gateway that is not deployed here */
	struct sutra_probe *probes;		/* room for one per service of the stack */
	/* Starts a gateway of the command's own, with the deployed shard as its L2, until spare_end. models:
	 * base URL of the one replica that computes for it; NULL: all deployed ones. */
	int (*spare)(void *user, const char *models, char *ret_base, size_t size, struct sutra_err *err);
	void (*spare_end)(void *user);
};
/* When the run ends: deadline_ns, or an instant that is past once *stop is set. */
static inline uint64_t sutra_check_deadline(const struct sutra_check_env *env)
{
	return env->stop && *env->stop ? 1 : env->deadline_ns;
}
/* The rest of the run's time, at most `most`. */
uint64_t sutra_check_time(const struct sutra_check_env *env, uint64_t most);

enum sutra_verdict { SUTRA_PASS, SUTRA_FAIL, SUTRA_SKIP, SUTRA_INCONCLUSIVE };
const char *sutra_verdict_name(enum sutra_verdict v);

struct sutra_result {
	const struct sutra_check *check;
	enum sutra_verdict verdict;
	bool has[SUTRA_CHECK_MAX_VALUES];
	double values[SUTRA_CHECK_MAX_VALUES];
	char found[256];	/* one line for people */
	char why[640];		/* not passed: why */
	double duration_ms;
	unsigned attempts;
	char *evidence;		/* not passed: last reply, counters, log; NULL: none */
	struct sutra_load_bucket *timeline;	/* of an open loop; NULL: none */
	size_t n_timeline;
};

struct sutra_outcome {
	struct sutra_result *results;	/* by phase, then as in the suite */
	size_t n;
	size_t count[4];		/* by enum sutra_verdict */
	double duration_ms;
	int64_t started_us;		/* wall clock */
	bool timed_out;
};

/* Runs all checks of the suites, which must outlive the outcome. A signal handler may set
 * *env->stop: faults are undone, and the run ends. */
int sutra_check_run_all(struct sutra_suite *const *suites, size_t n, struct sutra_check_env *env,
			struct sutra_outcome **ret, struct sutra_err *err);
void sutra_outcome_free(struct sutra_outcome *o);
/* Exit code of a command with this outcome: 0, 1, 4 (time limit), 6 (nothing was decided). */
int sutra_outcome_exit(const struct sutra_outcome *o);

/* A parameter of a check, by name; 0 when its kind has none of that name. */
double sutra_check_param(const struct sutra_check *c, const char *name);
/* The workload that a check of kind "workload" describes. */
struct sutra_workload_spec sutra_workload_of(const struct sutra_check *c);

/* --- what a kind's function works with --- */

struct sutra_check_run {
	const struct sutra_check *check;
	const struct sutra_check_env *env;
	struct sutra_check_shared *shared;
	struct sutra_result *result;
	struct sutra_buf last;	/* last reply, for evidence */
};

/* State that the checks of one run share. */
struct sutra_check_shared {
	uint64_t nonce;			/* random: makes this run's fresh texts new to every cache */
	uint32_t fresh;			/* fresh texts made so far */
	int64_t dimension;		/* of the gateway's answers */
	uint32_t pass_first;		/* texts that were computed once: fresh numbers from here */
	uint32_t pass_count;
};

/* A kind's function returns 0 when it has measured (bounds then decide), the result of sutra_check_no or
 * sutra_check_skip, or an error code with words, which is a failure too. */
enum { SUTRA_CHECK_NO = 1, SUTRA_CHECK_SKIP = 2 };
#define sutra_check_no(r, ...) sutra_check_end(r, SUTRA_CHECK_NO, __VA_ARGS__)
#define sutra_check_skip(r, ...) sutra_check_end(r, SUTRA_CHECK_SKIP, __VA_ARGS__)
/* Returns `result` and keeps its reason. */
int sutra_check_end(struct sutra_check_run *r, int result, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* A value, named as in the kind's table. */
void sutra_check_set(struct sutra_check_run *r, const char *name, double v);
void sutra_check_say(struct sutra_check_run *r, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void sutra_check_progress(const struct sutra_check_run *r, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* A figure of the Prometheus text at base (NULL: none) and path; -1: not available. */
double sutra_check_metric(const struct sutra_check_run *r, const char *base, const char *path, const char *name);

#endif
