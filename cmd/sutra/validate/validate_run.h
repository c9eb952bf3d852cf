/*
 * validate_run - suites of checks, read and run against the stack or a gateway, and their report
 * printed; what sutra validate and sutra validate-scaling share.
 */
#ifndef SUTRA_CMD_VALIDATE_VALIDATE_RUN_H
#define SUTRA_CMD_VALIDATE_VALIDATE_RUN_H

#include "check/suite.h"
#include "sutra/validate/validate_env.h"

enum { VALIDATE_SUITES = 8 };

struct validate_suites {
	struct sutra_suite *list[VALIDATE_SUITES];
	size_t n;
};

/* Reads the suite of an x-allocated path, which it frees, behind the others; there must be
 * room. An exit code. */
int validate_add(struct validate_suites *s, char *path);
void validate_release(struct validate_suites *s);

/* What is done with the suites in place of running them: 0 once it has printed what it found. */
typedef int validate_measure(const struct validate_suites *s, struct validate_env *v,
			     const struct sutra_check_env *env, struct sutra_err *err);
/* url NULL: the deployed stack, which nobody else may change meanwhile. instead NULL: runs the suites
 * and prints as -o says. Ctrl-C ends it early, with faults undone. An exit code. */
int validate_run(const struct validate_suites *s, const char *url, uint64_t timeout_ns, validate_measure *instead);

#endif
