#include "check/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/digest.h"
#include "probe/cachestats.h"
#include "net/fetch.h"
#include "deploy/haproxy_csv.h"
#include "probe/probe.h"
#include "probe/promtext.h"

enum { MAX_EVIDENCE = 64 << 10, MAX_LAST = 2048, LOG_LINES = 20 };
static const uint64_t EVIDENCE_NS = 1000000000, METRIC_NS = 5000000000;

const char *sutra_verdict_name(enum sutra_verdict v)
{
	static const char *const names[] = { "pass", "fail", "skip", "inconclusive" };

	return names[v];
}

int sutra_check_end(struct sutra_check_run *r, int result, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(r->result->why, sizeof(r->result->why), fmt, ap);
	va_end(ap);
	return result;
}

void sutra_check_say(struct sutra_check_run *r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(r->result->found, sizeof(r->result->found), fmt, ap);
	va_end(ap);
}

void sutra_check_set(struct sutra_check_run *r, const char *name, double v)
{
	const struct sutra_check_value *values = r->check->kind->values;

	for (size_t i = 0; values[i].name; i++) {
		if (!strcmp(values[i].name, name)) {
			r->result->values[i] = v;
			r->result->has[i] = true;
		}
	}
}

double sutra_check_param(const struct sutra_check *c, const char *name)
{
	const struct sutra_check_param *p = c->kind->params;

	for (size_t i = 0; p[i].name; i++)
		if (!strcmp(p[i].name, name))
			return c->params[i];
	return 0;
}

void sutra_check_progress(const struct sutra_check_run *r, const char *fmt, ...)
{
	char detail[128];
	va_list ap;

	if (!r->env->progress)
		return;
	va_start(ap, fmt);
	vsnprintf(detail, sizeof(detail), fmt, ap);
	va_end(ap);
	r->env->progress(r->env->user, r->check->id, detail);
}

uint64_t sutra_check_time(const struct sutra_check_env *env, uint64_t most)
{
	return sutra_clock_left(sutra_check_deadline(env), sutra_clock_ns(), most);
}

/* The first value out of bounds decides; returns whether all are within. */
static bool within_limits(struct sutra_result *s)
{
	const struct sutra_check_value *values = s->check->kind->values;

	for (size_t i = 0; values[i].name; i++) {
		const struct sutra_limit *l = &s->check->limits[i];
		double v = s->values[i];

		if (!s->has[i] || !(l->has_min || l->has_max))
			continue;
		if ((l->has_min && !(v >= l->min)) || (l->has_max && !(v <= l->max))) {
			snprintf(s->why, sizeof(s->why), "%s is %.6g%s%s; it must be at %s %.6g",
				 values[i].name, v, *values[i].unit ? " " : "", values[i].unit,
				 l->has_min && !(v >= l->min) ? "least" : "most",
				 l->has_min && !(v >= l->min) ? l->min : l->max);
			return false;
		}
	}
	return true;
}

static void add_counters(const struct sutra_check_env *env, struct sutra_buf *b)
{
	struct sutra_haproxy_stats hs;
	struct sutra_cache_stats cs;

	if (!sutra_cache_stats_fetch(env->gateway, EVIDENCE_NS, &cs, NULL))
		sutra_buf_addf(b, "cache: enabled %d, L1 %lld/%lld hits %lld misses %lld, L2 %lld hits %lld "
			       "misses %lld errors %lld\n",
			       cs.enabled, (long long)cs.l1.size, (long long)cs.l1.max_size,
			       (long long)cs.l1.hits, (long long)cs.l1.misses, (long long)cs.l2.size,
			       (long long)cs.l2.hits, (long long)cs.l2.misses, (long long)cs.l2.errors);
	if (!env->haproxy_csv || sutra_haproxy_fetch(env->haproxy_csv, EVIDENCE_NS, &hs, NULL))
		return;
	for (size_t i = 0; sutra_haproxy_server(&hs, NULL, i); i++) {
		const struct sutra_haproxy_row *r = sutra_haproxy_server(&hs, NULL, i);

		sutra_buf_addf(b, "haproxy: %s/%s %s, check %s %s, requests %lld, retries %lld, errors %lld\n",
			       r->proxy, r->name, r->status, r->check_code, r->check_text,
			       (long long)r->total, (long long)r->retries, (long long)r->errors_connect);
	}
	sutra_haproxy_release(&hs);
}

static void gather_evidence(struct sutra_check_run *r)
{
	const struct sutra_check_env *env = r->env;
	const char *service = env->names[r->check->kind->logs];
	struct sutra_buf b;
	char *log;

	sutra_buf_init(&b, MAX_EVIDENCE);
	if (r->last.len)
		sutra_buf_addf(&b, "last reply: %s\n", sutra_buf_str(&r->last));
	add_counters(env, &b);
	if (service && env->d) {
		log = env->d->rt->log_tail(env->d->state_dir, service, LOG_LINES);
		sutra_buf_addf(&b, "last lines of %s:\n%s", service, log);
		sutra_free(log);
	}
	r->result->evidence = sutra_buf_take(&b, NULL);
}

/* What services answered may hold anything: bad UTF-8 and the control characters of ASCII become '?'
 * (a tab a blank, a line feed stays), so that it can break no report. */
static void make_printable(char *s)
{
	size_t at, n = s ? strlen(s) : 0;

	for (char *bad = s; n && !sutra_str_utf8(bad, strlen(bad), &at); bad += at + 1)
		bad[at] = '?';
	for (; n; n--, s++)
		if ((unsigned char)*s < 0x20 && *s != '\n')
			*s = *s == '\t' ? ' ' : '?';
}

/* 0, or the skip of a check whose services are not deployed here. */
static int find_stack(struct sutra_check_run *r)
{
	const struct sutra_deployment *d = r->env->d;

	if (!r->check->kind->needs_stack)
		return 0;
	if (!d || !d->n)
		return sutra_check_skip(r, "the services behind a gateway that is not deployed here are unknown");
	if (r->check->service && !sutra_deployment_find(d, r->check->service))
		return sutra_check_skip(r, "%s is not part of this deployment", r->check->service);
	return 0;
}

static void run_once(struct sutra_check_run *r)
{
	struct sutra_result *s = r->result;
	struct sutra_err err = { 0 };
	int rc;

	s->found[0] = s->why[0] = '\0';
	memset(s->has, 0, sizeof(s->has));
	rc = find_stack(r);
	rc = rc ? rc : r->check->kind->run(r, &err);
	if (rc == SUTRA_CHECK_SKIP) {
		s->verdict = SUTRA_SKIP;
	} else if (rc < 0) {
		s->verdict = SUTRA_FAIL;
		snprintf(s->why, sizeof(s->why), "%s", err.message);
	} else {
		s->verdict = rc == SUTRA_CHECK_NO || !within_limits(s) ? SUTRA_FAIL : SUTRA_PASS;
	}
}

/* The id of a needed check that did not pass, or NULL. */
static const char *unmet_need(const struct sutra_check *c, const struct sutra_outcome *o)
{
	for (size_t i = 0; i < o->n; i++)
		if (o->results[i].verdict != SUTRA_PASS && sutra_strv_has(&c->needs, o->results[i].check->id))
			return o->results[i].check->id;
	return NULL;
}

static void run_check(const struct sutra_check *c, const struct sutra_check_env *env,
		      struct sutra_check_shared *shared, struct sutra_outcome *o)
{
	struct sutra_result *s = &o->results[o->n];
	struct sutra_check_run r = { .check = c, .env = env, .shared = shared, .result = s };
	uint64_t start = sutra_clock_ns();
	const char *unmet = unmet_need(c, o);

	s->check = c;
	sutra_buf_init(&r.last, MAX_LAST);
	if (start >= sutra_check_deadline(env)) {
		o->timed_out = true;
		s->verdict = SUTRA_INCONCLUSIVE;
		snprintf(s->why, sizeof(s->why), "the time limit had passed before it began");
	} else if (unmet) {
		s->verdict = SUTRA_SKIP;
		snprintf(s->why, sizeof(s->why), "needs %.100s", unmet);
	} else {
		if (env->progress)
			env->progress(env->user, c->id, NULL);
		do {
			s->attempts++;
			run_once(&r);
		} while (s->verdict == SUTRA_FAIL && s->attempts < c->attempts &&
			 sutra_clock_ns() < sutra_check_deadline(env));
		s->duration_ms = (double)(sutra_clock_ns() - start) / 1e6;
		if (s->verdict == SUTRA_FAIL && sutra_clock_ns() >= sutra_check_deadline(env)) {
			o->timed_out = true;
			s->verdict = SUTRA_INCONCLUSIVE;
		}
		if (s->verdict == SUTRA_FAIL)
			gather_evidence(&r);
	}
	make_printable(s->found);
	make_printable(s->why);
	make_printable(s->evidence);
	o->count[s->verdict]++;
	o->n++;
	sutra_buf_release(&r.last);
}

double sutra_check_metric(const struct sutra_check_run *r, const char *base, const char *path, const char *name)
{
	struct sutra_fetch f;
	double v = -1;

	if (!base)
		return v;
	if (!sutra_fetch_get(&f, base, path, sutra_check_time(r->env, METRIC_NS), NULL))
		v = sutra_promtext_value(sutra_buf_str(&f.answer), name);
	sutra_fetch_release(&f);
	return v;
}

/* Fails when the gateway does not answer at all: no check has a meaning then. */
static int check_gateway(const struct sutra_check_env *env, struct sutra_err *err)
{
	struct sutra_fetch f;
	int rc = sutra_fetch_get(&f, env->front, "/ping", sutra_check_time(env, 5 * EVIDENCE_NS), err);

	/* It answered, if with an error: the checks say what is wrong. */
	if (rc && f.reason == SUTRA_FETCH_OK)
		rc = 0;
	sutra_fetch_release(&f);
	return rc;
}

/* Keeps only the replicas that answer now. Phase 2 reports those that do not; the other checks must not
 * fail because of them. The array is the caller's to free. */
static int keep_live_replicas(struct sutra_check_env *env, struct sutra_check_replica **ret, struct sutra_err *err)
{
	size_t n = env->n_replicas;
	struct sutra_check_replica *live = xcalloc(n + 1, sizeof(*live));
	struct sutra_probe *p = xcalloc(n + 1, sizeof(*p));
	int rc;

	for (size_t i = 0; i < n; i++)
		p[i] = (struct sutra_probe){ .name = env->replicas[i].name, .timeout_ns = EVIDENCE_NS,
					     .url = xasprintf("%s/health", env->replicas[i].base) };
	rc = sutra_probe_all(p, n, err);
	env->n_replicas = 0;
	for (size_t i = 0; i < n; i++) {
		if (!rc && p[i].state == SUTRA_UP)
			live[env->n_replicas++] = env->replicas[i];
		sutra_free((char *)(uintptr_t)p[i].url);
	}
	env->replicas = *ret = live;
	sutra_free(p);
	return rc;
}

static void run_suites(struct sutra_suite *const *suites, size_t n, const struct sutra_check_env *env,
		       struct sutra_outcome *o)
{
	struct sutra_check_shared shared = { .dimension = env->dimension };

	sutra_random(&shared.nonce, sizeof(shared.nonce));
	for (int phase = 0; phase < 100; phase++)
		for (size_t i = 0; i < n; i++)
			for (size_t c = 0; suites[i]->phase == phase && c < suites[i]->n; c++)
				run_check(&suites[i]->checks[c], env, &shared, o);
}

int sutra_check_run_all(struct sutra_suite *const *suites, size_t n, struct sutra_check_env *env,
			struct sutra_outcome **ret, struct sutra_err *err)
{
	struct sutra_check_replica *all = env->replicas, *live;
	size_t total = 0, n_all = env->n_replicas;
	struct sutra_outcome *o;
	uint64_t start = sutra_clock_ns();
	int rc = check_gateway(env, err);

	if (rc) {
		sutra_err_prefix(err, "the gateway cannot be reached");
		if (err)
			err->code = SUTRA_E_UNAVAILABLE;
		return SUTRA_E_UNAVAILABLE;
	}
	rc = keep_live_replicas(env, &live, err);
	if (!rc) {
		for (size_t i = 0; i < n; i++)
			total += suites[i]->n;
		o = xcalloc(1, sizeof(*o));
		o->results = xcalloc(total + 1, sizeof(*o->results));
		o->started_us = sutra_clock_wall_us();
		run_suites(suites, n, env, o);
		o->duration_ms = (double)(sutra_clock_ns() - start) / 1e6;
		*ret = o;
	}
	env->replicas = all;
	env->n_replicas = n_all;
	sutra_free(live);
	return rc;
}

void sutra_outcome_free(struct sutra_outcome *o)
{
	if (!o)
		return;
	for (size_t i = 0; i < o->n; i++) {
		sutra_free(o->results[i].evidence);
		sutra_free(o->results[i].timeline);
	}
	sutra_free(o->results);
	sutra_free(o);
}

int sutra_outcome_exit(const struct sutra_outcome *o)
{
	/* The contract's order, 6 before 4 before 1; but what the time limit left undone is a 4. */
	if (!o->timed_out && o->count[SUTRA_INCONCLUSIVE])
		return 6;
	if (!o->count[SUTRA_PASS] && !o->count[SUTRA_FAIL] && !o->timed_out)
		return 6;	/* everything was skipped: nothing is proved */
	if (o->timed_out)
		return 4;
	return o->count[SUTRA_FAIL] ? 1 : 0;
}
