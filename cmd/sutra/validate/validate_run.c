#include "sutra/validate/validate_run.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "report/report.h"
#include "base/lock.h"
#include "sutra/command.h"

enum { MAX_REPORT = 16 << 20 };

int validate_add(struct validate_suites *s, char *path)
{
	struct sutra_err err;
	int rc = sutra_suite_read(path, &s->list[s->n], &err);

	sutra_free(path);
	if (rc) {
		command_fail(&err);
		return EXIT_USAGE;
	}
	s->n++;
	return 0;
}

void validate_release(struct validate_suites *s)
{
	for (size_t i = 0; i < s->n; i++)
		sutra_suite_free(s->list[i]);
	s->n = 0;
}

static void print_report(const struct sutra_outcome *o, const struct validate_suites *s)
{
	struct sutra_report_style style = { "", "", "", "", "", "", 0, true };
	struct sutra_term term;
	struct sutra_buf b;

	sutra_buf_init(&b, MAX_REPORT);
	sutra_term_init(&term, stdout, common.color);
	style.width = sutra_term_columns(&term);
	style.ok = sutra_term_on(&term, SUTRA_ROLE_OK);
	style.bad = sutra_term_on(&term, SUTRA_ROLE_BAD);
	style.warn = sutra_term_on(&term, SUTRA_ROLE_WARN);
	style.dim = sutra_term_on(&term, SUTRA_ROLE_DIM);
	style.head = sutra_term_on(&term, SUTRA_ROLE_HEAD);
	style.off = sutra_term_off(&term, SUTRA_ROLE_HEAD);
	if (common.json)
		sutra_report_json(o, &b);
	else if (!strcmp(common.output, "junit"))
		sutra_report_junit(o, &b);
	else if (!strcmp(common.output, "tap"))
		sutra_report_tap(o, &b);
	else if (!strcmp(common.output, "prom"))
		sutra_report_prom(o, &b);
	else if (!common.quiet)
		sutra_report_text(o, s->list, s->n, &style, &b);
	fwrite(sutra_buf_str(&b), 1, b.len, stdout);
	sutra_buf_release(&b);
}

static int run(const struct validate_suites *s, struct validate_env *v, uint64_t timeout_ns,
	       validate_measure *instead, struct sutra_err *err)
{
	struct sutra_check_env *env = &v->check;
	uint64_t now = sutra_clock_ns();
	struct sutra_outcome *o = NULL;
	int lock = -1, rc = 0, code;

	/* The checks restart services: no other command may change the stack meanwhile. */
	if (env->d)
		rc = sutra_lock_take(v->state_dir, "validate-scaling", 1, NULL, &lock, err);
	env->deadline_ns = timeout_ns < UINT64_MAX - now ? now + timeout_ns : UINT64_MAX;
	env->stop = &command_stopped;	/* faults are undone, and what was found is printed */
	command_catch_signals();
	if (!rc && instead)
		rc = instead(s, v, err);
	else if (!rc)
		rc = sutra_check_run_all(s->list, s->n, env, &o, err);
	sutra_progress_clear(&v->progress);
	if (lock >= 0)
		sutra_lock_release(v->state_dir, lock);
	if (rc || !o)
		return command_stopped ? 128 + command_stopped : rc ? command_fail(err) : EXIT_YES;
	print_report(o, s);
	code = command_stopped ? 128 + command_stopped : sutra_outcome_exit(o);
	sutra_outcome_free(o);
	return code;
}

int validate_run(const struct validate_suites *s, const char *url, uint64_t timeout_ns, validate_measure *instead)
{
	struct validate_env v;
	struct sutra_err err;
	int code = validate_env_open(&v, url, &err) ? command_fail(&err) : run(s, &v, timeout_ns, instead, &err);

	validate_env_close(&v);
	return code;
}
