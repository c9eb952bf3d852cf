/*
 * validate_run - reads suites of checks, runs them against the stack or a gateway, and prints their report,
 * for sutra validate and sutra validate-scaling.
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

/* Is called in place of running the suites, and prints its own report. */
typedef int validate_measure(const struct validate_suites *s, struct validate_env *v, struct sutra_err *err);
/* url NULL: the deployed stack, which no other command may change meanwhile. instead NULL: runs the suites
 * and prints as -o says. Ctrl-C ends it early, with faults undone. An exit code. */
int validate_run(const struct validate_suites *s, const char *url, uint64_t timeout_ns, validate_measure *instead);

#endif
