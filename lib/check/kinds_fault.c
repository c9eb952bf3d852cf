/*
 * High availability: a fault is made while requests come at a constant rate, and undone or left
 * to the supervisor; no request may fail. All kinds share one course: load, fault, watch until
 * the balancer has every replica again, load a moment longer.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "check/check.h"
#include "check/kinds.h"
#include "load/load.h"
#include "load/workload.h"
#include "deploy/haproxy_csv.h"

#define SECOND_NS 1000000000u

enum { MAX_VICTIMS = 2 };

struct course {
	struct sutra_check_run *r;
	struct sutra_load *load;
	const char *victims[MAX_VICTIMS];
	size_t n_victims;
	uint64_t fault_ns, down_ns, back_ns;	/* monotonic; 0: not seen */
	int64_t retries;	/* of the balancer so far; -1: not read yet */
};

static bool next_text(void *user, struct sutra_buf *text, uint32_t *ret_id)
{
	struct course *c = user;

	*ret_id = c->r->shared->fresh++;
	sutra_fresh_text(c->r->shared->nonce, *ret_id, 10, text);
	return true;
}

static void rest(uint64_t ns)
{
	const struct timespec t = { (time_t)(ns / SECOND_NS), (long)(ns % SECOND_NS) };

	nanosleep(&t, NULL);
}

/* The limit of a wait for a service to come back: the rest of the run's time, at most 30 s. */
static uint64_t return_limit(const struct course *c) { return sutra_check_time(c->r, 30 * (uint64_t)SECOND_NS); }

/* Whether the balancer has every server up; notes the first victim it has down, and retries. */
static bool look(struct course *c)
{
	const struct sutra_haproxy_row *row;
	struct sutra_haproxy_stats s;
	int64_t retries = 0;
	bool all_up = true;

	if (!c->r->env->haproxy_csv || sutra_haproxy_fetch(c->r->env->haproxy_csv, SECOND_NS, &s, NULL))
		return false;
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
	sutra_haproxy_release(&s);
	return all_up;
}

/* Looks for limit_ns, or until a victim was seen down. */
static void watch_down(struct course *c, uint64_t limit_ns)
{
	uint64_t end = sutra_clock_ns() + limit_ns;

	while (!c->down_ns && sutra_clock_ns() < end && sutra_clock_ns() < sutra_check_deadline(c->r->env)) {
		look(c);
		rest(5000000);
	}
}

/* Until everything is up; 30 s at most. */
static void watch_back(struct course *c)
{
	uint64_t end = sutra_clock_ns() + 30 * (uint64_t)SECOND_NS;

	while (!c->back_ns && sutra_clock_ns() < end && sutra_clock_ns() < sutra_check_deadline(c->r->env)) {
		if (look(c))
			c->back_ns = sutra_clock_ns();
		else
			rest(5000000);
	}
}

static int signal_victims(struct course *c, int sig, struct sutra_err *err)
{
	int rc = 0;

	for (size_t i = 0; i < c->n_victims && !rc; i++)
		rc = c->r->env->kill(c->r->env->user, c->victims[i], sig, err);
	return rc;
}

static int fault_kill(struct course *c, struct sutra_err *err)
{
	int rc = signal_victims(c, SIGKILL, err);

	/* A replica may be back before any check or request has met its absence. */
	watch_down(c, 2 * (uint64_t)SECOND_NS);
	for (size_t i = 0; i < c->n_victims && !rc; i++)
		rc = c->r->env->wait(c->r->env->user, c->victims[i], return_limit(c), err);
	watch_back(c);
	return rc;
}

static int fault_freeze(struct course *c, struct sutra_err *err)
{
	int thaw, rc = signal_victims(c, SIGSTOP, err);

	watch_down(c, (uint64_t)(sutra_check_param(c->r, "hold_s") * 1e9));
	thaw = signal_victims(c, SIGCONT, rc ? NULL : err);
	watch_back(c);
	return rc ? rc : thaw;
}

/* Slow: stopped for four fifths of the time. */
static int fault_slow(struct course *c, struct sutra_err *err)
{
	uint64_t hold = (uint64_t)(sutra_check_param(c->r, "hold_s") * 1e9);
	uint64_t end = sutra_clock_ns() + sutra_check_time(c->r, hold);
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

/* Answering 500s, and well by its health check. */
static int fault_errors(struct course *c, struct sutra_err *err)
{
	const char *name = c->victims[0];
	int back, rc = c->r->env->stand_in(c->r->env->user, name, true, err);
	uint64_t end = sutra_clock_ns() + (uint64_t)(sutra_check_param(c->r, "hold_s") * 1e9);

	while (!rc && sutra_clock_ns() < end && sutra_clock_ns() < sutra_check_deadline(c->r->env)) {
		look(c);
		rest(5000000);
	}
	back = c->r->env->stand_in(c->r->env->user, name, false, rc ? NULL : err);
	if (!back)
		back = c->r->env->wait(c->r->env->user, name, 30 * (uint64_t)SECOND_NS, rc ? NULL : err);
	watch_back(c);
	return rc ? rc : back;
}

static int fault_balancer(struct course *c, struct sutra_err *err)
{
	const char *name = c->r->env->names[SUTRA_LOGS_BALANCER];
	int rc = sutra_check_restart(c->r->env, name, return_limit(c), err);

	watch_back(c);
	return rc;
}

static int fault_shard(struct course *c, struct sutra_err *err)
{
	const char *name = c->r->env->names[SUTRA_LOGS_SHARD];
	int rc = c->r->env->kill(c->r->env->user, name, SIGKILL, err);

	rc = rc ? rc : c->r->env->wait(c->r->env->user, name, return_limit(c), err);
	c->back_ns = sutra_clock_ns();
	return rc;
}

static void choose_victims(struct course *c, size_t wanted)
{
	for (size_t i = 0; c->n_victims < wanted && c->r->env->replicas && c->r->env->replicas[i]; i++)
		c->victims[c->n_victims++] = c->r->env->replica_names[i];
}

static void report(struct course *c, const struct sutra_load_result *t)
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
	sutra_check_timeline(c->r, t->buckets, t->n_buckets);
}

static int judge(struct course *c, const struct sutra_load_result *t)
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

static int run_course(struct sutra_check_run *r, size_t victims, int (*fault)(struct course *, struct sutra_err *),
		      struct sutra_err *err)
{
	struct course c = { .r = r, .retries = -1 };
	const struct sutra_load_options o = { .base = r->env->front,
					      .rate = sutra_check_param(r, "rate"),
					      .timeout_ns = 20 * (uint64_t)SECOND_NS,
					      .deadline_ns = sutra_check_deadline(r->env),
					      .next = next_text,
					      .user = &c };
	struct sutra_load_result t;
	uint64_t around = (uint64_t)(sutra_check_param(r, "around_s") * 1e9);
	int rc, no;

	choose_victims(&c, victims);
	if (!r->env->kill || !r->env->wait || c.n_victims < victims)
		return sutra_check_skip(r, "needs replicas that are deployed here");
	rc = sutra_load_start(&o, &c.load, err);
	if (rc)
		return rc;
	rest(sutra_check_time(r, around));
	look(&c);
	c.fault_ns = sutra_clock_ns();
	rc = fault(&c, err);
	rest(sutra_check_time(r, around));
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

static int run_kill(struct sutra_check_run *r, struct sutra_err *err)
{
	return run_course(r, (size_t)sutra_check_param(r, "replicas"), fault_kill, err);
}

static int run_freeze(struct sutra_check_run *r, struct sutra_err *err)
{
	return run_course(r, 1, fault_freeze, err);
}

static int run_slow(struct sutra_check_run *r, struct sutra_err *err)
{
	return run_course(r, 1, fault_slow, err);
}

static int run_errors(struct sutra_check_run *r, struct sutra_err *err)
{
	if (!r->env->stand_in)
		return sutra_check_skip(r, "needs replicas that are deployed here");
	return run_course(r, 1, fault_errors, err);
}

static int run_balancer(struct sutra_check_run *r, struct sutra_err *err)
{
	if (!r->env->d || !r->env->names[SUTRA_LOGS_BALANCER])
		return sutra_check_skip(r, "no balancer is deployed here");
	return run_course(r, 0, fault_balancer, err);
}

static int run_shard(struct sutra_check_run *r, struct sutra_err *err)
{
	if (!r->env->wait || !r->env->names[SUTRA_LOGS_SHARD])
		return sutra_check_skip(r, "no cache shard is deployed here");
	return run_course(r, 0, fault_shard, err);
}

static const struct sutra_check_value values[] = {
	{ "requests", "", 0 },	   { "failed", "", -1 }, { "detected_ms", "ms", -1 }, { "recovered_ms", "ms", -1 },
	{ "p50_ms", "ms", -1 }, { "p99_ms", "ms", -1 }, { "max_ms", "ms", -1 },	      { "late", "", -1 },
	{ 0 },
};

static const struct sutra_check_param plain[] = {
	{ "rate", 1, 10000, 40, false }, { "around_s", 0.1, 600, 1, false }, { 0 },
};

static const struct sutra_check_param held[] = {
	{ "rate", 1, 10000, 40, false }, { "around_s", 0.1, 600, 1, false }, { "hold_s", 0.1, 600, 4, false }, { 0 },
};

static const struct sutra_check_param counted[] = {
	{ "rate", 1, 10000, 40, false }, { "around_s", 0.1, 600, 1, false },
	{ "replicas", 1, MAX_VICTIMS, 1, true }, { 0 },
};

#define FAULT(sym, word, where, parameters)                                                          \
	const struct sutra_check_kind sutra_kind_fault_##sym = {                                     \
		.name = word, .logs = where, .params = parameters, .values = values, .run = run_##sym }
FAULT(kill, "fault-kill", SUTRA_LOGS_BALANCER, counted);
FAULT(freeze, "fault-freeze", SUTRA_LOGS_BALANCER, held);
FAULT(errors, "fault-errors", SUTRA_LOGS_BALANCER, held);
FAULT(slow, "fault-slow", SUTRA_LOGS_BALANCER, held);
FAULT(balancer, "fault-balancer", SUTRA_LOGS_BALANCER, plain);
FAULT(shard, "fault-shard", SUTRA_LOGS_SHARD, plain);
