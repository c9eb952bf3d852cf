/*
 * High availability: a fault is made while requests come at a constant rate, and undone or left
 * to the supervisor; no request may fail. All kinds share one procedure: load, fault, poll until
 * the balancer reports every replica up again, load a moment longer.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "check/check.h"
#include "check/kinds.h"
#include "check/pass.h"
#include "load/load.h"
#include "deploy/haproxy_csv.h"

#define SECOND_NS 1000000000u

enum { MAX_VICTIMS = 2 };

struct fault_run {
	struct sutra_check_run *r;
	struct sutra_load *load;
	const char *victims[MAX_VICTIMS];
	size_t n_victims;
	uint64_t fault_ns, down_ns, back_ns;	/* monotonic; 0: not seen */
	bool undone;		/* the supervisor or the check has ended the fault */
	int64_t retries;	/* of the balancer so far; -1: not read yet */
};

static void rest(uint64_t ns)
{
	const struct timespec t = { (time_t)(ns / SECOND_NS), (long)(ns % SECOND_NS) };

	nanosleep(&t, NULL);
}

/* The limit of a wait for a service to come back: the rest of the run's time, at most 30 s. */
static uint64_t return_limit(const struct fault_run *c)
{
	return sutra_check_time(c->r->env, 30 * (uint64_t)SECOND_NS);
}

/* Records when the balancer first reports a victim down, when every server up again, and its retries. */
static void poll_balancer(struct fault_run *c)
{
	const struct sutra_haproxy_row *row;
	struct sutra_haproxy_stats s;
	int64_t retries = 0;
	bool all_up = true;

	if (!c->r->env->haproxy_csv || sutra_haproxy_fetch(c->r->env->haproxy_csv, SECOND_NS, &s, NULL))
		return;
	for (size_t i = 0; (row = sutra_haproxy_server(&s, NULL, i)); i++) {
		bool up = sutra_haproxy_is_up(row);

		all_up &= up;
		retries += row->retries;
		for (size_t v = 0; v < c->n_victims && !c->down_ns; v++)
			if (!up && !strcmp(row->name, c->victims[v]))
				c->down_ns = sutra_clock_ns();
	}
	if (c->load && c->retries >= 0 && retries > c->retries)
		sutra_load_retried(c->load, (uint32_t)(retries - c->retries));
	c->retries = retries;
	if (c->undone && all_up && !c->back_ns)
		c->back_ns = sutra_clock_ns();
	sutra_haproxy_release(&s);
}

/* Polls until poll_balancer sets *seen, at most limit_ns. */
static void watch(struct fault_run *c, uint64_t limit_ns, const uint64_t *seen)
{
	uint64_t end = sutra_clock_ns() + limit_ns;

	while (!*seen && sutra_clock_ns() < end && sutra_clock_ns() < sutra_check_deadline(c->r->env)) {
		poll_balancer(c);
		rest(5000000);
	}
}

/* Polls until the balancer reports every server up, at most 30 s. */
static void watch_back(struct fault_run *c)
{
	c->undone = true;
	watch(c, 30 * (uint64_t)SECOND_NS, &c->back_ns);
}

static int signal_victims(struct fault_run *c, int sig, struct sutra_err *err)
{
	int rc = 0;

	for (size_t i = 0; i < c->n_victims && !rc; i++)
		rc = c->r->env->kill(c->r->env->user, c->victims[i], sig, err);
	return rc;
}

static int fault_kill(struct fault_run *c, struct sutra_err *err)
{
	int rc = signal_victims(c, SIGKILL, err);

	/* A replica may be back before a health check or a request notices that it was gone. */
	watch(c, 2 * (uint64_t)SECOND_NS, &c->down_ns);
	for (size_t i = 0; i < c->n_victims && !rc; i++)
		rc = c->r->env->wait(c->r->env->user, c->victims[i], return_limit(c), err);
	watch_back(c);
	return rc;
}

static int fault_freeze(struct fault_run *c, struct sutra_err *err)
{
	int thaw, rc = signal_victims(c, SIGSTOP, err);

	watch(c, (uint64_t)(sutra_check_param(c->r->check, "hold_s") * 1e9), &c->down_ns);
	thaw = signal_victims(c, SIGCONT, rc ? NULL : err);
	watch_back(c);
	return rc ? rc : thaw;
}

/* The victim is slow: it is stopped for four fifths of the time. */
static int fault_slow(struct fault_run *c, struct sutra_err *err)
{
	uint64_t hold = (uint64_t)(sutra_check_param(c->r->check, "hold_s") * 1e9);
	uint64_t end = sutra_clock_ns() + sutra_check_time(c->r->env, hold);
	int rc = 0;

	while (!rc && sutra_clock_ns() < end && sutra_clock_ns() < sutra_check_deadline(c->r->env)) {
		rc = signal_victims(c, SIGSTOP, err);
		rest(80000000);
		rc = signal_victims(c, SIGCONT, rc ? NULL : err) || rc ? SUTRA_E_IO : 0;
		rest(20000000);
	}
	watch_back(c);
	return rc;
}

/* The victim answers requests with 500 and passes its health check. */
static int fault_errors(struct fault_run *c, struct sutra_err *err)
{
	const char *name = c->victims[0];
	int back, rc = c->r->env->substitute(c->r->env->user, name, true, err);
	const uint64_t never = 0;

	if (!rc)
		watch(c, (uint64_t)(sutra_check_param(c->r->check, "hold_s") * 1e9), &never);
	back = c->r->env->substitute(c->r->env->user, name, false, rc ? NULL : err);
	if (!back)
		back = c->r->env->wait(c->r->env->user, name, 30 * (uint64_t)SECOND_NS, rc ? NULL : err);
	watch_back(c);
	return rc ? rc : back;
}

static int fault_balancer(struct fault_run *c, struct sutra_err *err)
{
	const char *name = c->r->env->names[SUTRA_LOGS_BALANCER];
	int rc = sutra_deployment_restart(c->r->env->d, name, return_limit(c), err);

	watch_back(c);
	return rc;
}

static int fault_shard(struct fault_run *c, struct sutra_err *err)
{
	const char *name = c->r->env->names[SUTRA_LOGS_SHARD];
	int rc = c->r->env->kill(c->r->env->user, name, SIGKILL, err);

	rc = rc ? rc : c->r->env->wait(c->r->env->user, name, return_limit(c), err);
	c->back_ns = sutra_clock_ns();
	return rc;
}

static void choose_victims(struct fault_run *c, size_t wanted)
{
	for (size_t i = 0; c->n_victims < wanted && i < c->r->env->n_replicas; i++)
		c->victims[c->n_victims++] = c->r->env->replicas[i].name;
}

/* Takes the timeline out of t. */
static void report(struct fault_run *c, struct sutra_load_result *t)
{
	char down[48] = "", back[48] = "";

	if (c->down_ns) {
		sutra_check_set(c->r, "detected_ms", (double)(c->down_ns - c->fault_ns) / 1e6);
		snprintf(down, sizeof(down), ", seen down after %.0f ms", (double)(c->down_ns - c->fault_ns) / 1e6);
	}
	if (c->back_ns) {
		sutra_check_set(c->r, "recovered_ms", (double)(c->back_ns - c->fault_ns) / 1e6);
		snprintf(back, sizeof(back), ", whole after %.0f ms", (double)(c->back_ns - c->fault_ns) / 1e6);
	}
	sutra_check_set(c->r, "requests", (double)t->sent);
	sutra_check_set(c->r, "failed", (double)t->failed);
	sutra_check_set(c->r, "late", (double)t->late);
	sutra_check_set(c->r, "p50_ms", (double)sutra_histogram_quantile(t->response, 0.5) / 1e6);
	sutra_check_set(c->r, "p99_ms", (double)sutra_histogram_quantile(t->response, 0.99) / 1e6);
	sutra_check_set(c->r, "max_ms", (double)sutra_histogram_quantile(t->response, 1) / 1e6);
	sutra_check_say(c->r, "%llu of %llu failed%s%s; P99 %.0f ms, longest %.0f ms", (unsigned long long)t->failed,
			(unsigned long long)t->sent, down, back,
			(double)sutra_histogram_quantile(t->response, 0.99) / 1e6,
			(double)sutra_histogram_quantile(t->response, 1) / 1e6);
	sutra_free(c->r->result->timeline);	/* of an earlier attempt */
	c->r->result->timeline = t->buckets;
	c->r->result->n_timeline = t->n_buckets;
	t->buckets = NULL;
}

static int judge(struct fault_run *c, const struct sutra_load_result *t)
{
	if (t->failed)
		return sutra_check_no(c->r, "%llu of %llu requests failed, the first with %s",
				      (unsigned long long)t->failed, (unsigned long long)t->sent, t->first_failure);
	if (!c->back_ns && sutra_clock_ns() >= sutra_check_deadline(c->r->env))
		return sutra_check_no(c->r, "the run was over before the stack was seen whole again");
	if (!c->back_ns)
		return sutra_check_no(c->r, "the stack was not whole again within 30 s");
	return 0;
}

/* victims: how many replicas the fault concerns; 0: the service that writes the kind's log. */
static int run_fault(struct sutra_check_run *r, size_t victims, int (*fault)(struct fault_run *, struct sutra_err *),
		      struct sutra_err *err)
{
	struct fault_run c = { .r = r, .retries = -1 };
	struct sutra_fresh_source texts = { r->shared, 10, SIZE_MAX };
	const struct sutra_load_options o = { .base = r->env->front,
					      .rate = sutra_check_param(r->check, "rate"),
					      .timeout_ns = 20 * (uint64_t)SECOND_NS,
					      .deadline_ns = sutra_check_deadline(r->env),
					      .next = sutra_check_next,
					      .user = &texts };
	struct sutra_load_result t;
	uint64_t around = (uint64_t)(sutra_check_param(r->check, "around_s") * 1e9);
	int rc, no;

	choose_victims(&c, victims);
	if (!victims && (!r->env->d || !r->env->names[r->check->kind->logs]))
		return sutra_check_skip(r, "no %s is deployed here",
					r->check->kind->logs == SUTRA_LOGS_SHARD ? "cache shard" : "balancer");
	if (!r->env->kill || !r->env->wait || !r->env->substitute || c.n_victims < victims)
		return sutra_check_skip(r, "needs replicas that are deployed here");
	rc = sutra_load_start(&o, &c.load, err);
	if (rc)
		return rc;
	rest(sutra_check_time(r->env, around));
	poll_balancer(&c);
	c.fault_ns = sutra_clock_ns();
	rc = fault(&c, err);
	rest(sutra_check_time(r->env, around));
	sutra_load_stop(c.load);
	sutra_load_finish(c.load, &t);
	if (t.sent_rate < 0.99 * t.asked_rate && !rc)
		rc = sutra_fail(err, SUTRA_E_UNAVAILABLE, "only %.1f of %.1f requests/s could be sent", t.sent_rate,
				t.asked_rate);
	report(&c, &t);
	no = rc ? rc : judge(&c, &t);
	sutra_load_result_release(&t);
	return no;
}

#define HOLD { "hold_s", 0.1, 600, 4, false }
#define FAULT(sym, victims, from, ...)                                                               \
	static int run_##sym(struct sutra_check_run *r, struct sutra_err *err)                       \
	{                                                                                            \
		return run_fault(r, victims, fault_##sym, err);                                     \
	}                                                                                            \
	const struct sutra_check_kind sutra_kind_fault_##sym = {                                     \
		.name = "fault-" #sym, .logs = from, .run = run_##sym,                               \
		.params = { { "rate", 1, 10000, 40, false },                                         \
			    { "around_s", 0.1, 600, 1, false }, __VA_ARGS__ },                       \
		.values = { { "requests", "", 0 }, { "failed", "", -1 }, { "detected_ms", "ms", -1 },\
			    { "recovered_ms", "ms", -1 }, { "p50_ms", "ms", -1 },                    \
			    { "p99_ms", "ms", -1 }, { "max_ms", "ms", -1 }, { "late", "", -1 } } }
FAULT(kill, (size_t)sutra_check_param(r->check, "replicas"), SUTRA_LOGS_BALANCER,
      { "replicas", 1, MAX_VICTIMS, 1, true });
FAULT(freeze, 1, SUTRA_LOGS_BALANCER, HOLD);
FAULT(errors, 1, SUTRA_LOGS_BALANCER, HOLD);
FAULT(slow, 1, SUTRA_LOGS_BALANCER, HOLD);
FAULT(balancer, 0, SUTRA_LOGS_BALANCER);
FAULT(shard, 0, SUTRA_LOGS_SHARD);
