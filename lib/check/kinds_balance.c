/*
 * Phase 2: what the balancer does, by its own figures. A server counts as used only when its request
 * counter moved while this run sent new texts; requests count as parallel only when the
 * gateway itself saw them at the same time; a replica counts as replaced only when a new process
 * answers and the balancer gives it requests again.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/histogram.h"
#include "base/jsonio.h"
#include "check/check.h"
#include "check/kinds.h"
#include "check/pass.h"
#include "load/load.h"
#include "load/workload.h"
#include "net/fetch.h"
#include "deploy/haproxy_csv.h"

static const uint64_t REQUEST_NS = 10000000000u, POLL_NS = 1000000000u, LOOK_EVERY_NS = 1000000u;
enum { SHARES_SHOWN = 16, MAX_URL = 512, FIRST_WORDS = 20 };

/* The gateway's gauge of texts in flight, in its /metrics; every request here is one new text. */
static const char active_gauge[] = "sutra_cache_flights";

static int balancer(const struct sutra_check_run *r, struct sutra_haproxy_stats *ret,
		    struct sutra_err *err)
{
	if (!r->env->haproxy_csv)
		return sutra_fail(err, SUTRA_E_UNAVAILABLE, "no balancer is deployed");
	return sutra_haproxy_fetch(r->env->haproxy_csv, sutra_check_time(r->env, REQUEST_NS), ret, err);
}

static int run_algorithm(struct sutra_check_run *r, struct sutra_err *err)
{
	struct sutra_haproxy_stats s;
	const struct sutra_haproxy_row *server, *backend;
	int rc;

	if (!r->env->haproxy_csv && !r->env->d)
		return sutra_check_skip(r, "the balancer behind a gateway that is not deployed here is unknown");
	rc = balancer(r, &s, err);
	if (rc)
		return rc;
	server = sutra_haproxy_server(&s, NULL, 0);
	backend = server ? sutra_haproxy_find(&s, server->proxy, "BACKEND") : NULL;
	if (!backend)
		rc = sutra_check_no(r, "the balancer has no server");
	else if (strcmp(backend->algorithm, "leastconn") != 0)
		rc = sutra_check_no(r, "backend %s balances by \"%s\", not leastconn", backend->proxy,
				    backend->algorithm);
	else
		sutra_check_say(r, "leastconn, backend %s", backend->proxy);
	sutra_haproxy_release(&s);
	return rc;
}

const struct sutra_check_kind sutra_kind_algorithm = {
	.name = "algorithm",
	.logs = SUTRA_LOGS_BALANCER,
	.run = run_algorithm,
};

static int run_replicas(struct sutra_check_run *r, struct sutra_err *err)
{
	const struct sutra_haproxy_row *row;
	struct sutra_haproxy_stats s;
	char down[224] = "";
	size_t n = 0, up = 0;
	int rc = balancer(r, &s, err);

	if (rc)
		return rc;
	for (; (row = sutra_haproxy_server(&s, NULL, n)); n++) {
		if (sutra_haproxy_is_up(row))
			up++;
		else if (!down[0])
			snprintf(down, sizeof(down), "; %s %s (%s %.80s)", row->name, row->status,
				 row->check_code, row->check_text);
	}
	sutra_haproxy_release(&s);
	sutra_check_set(r, "up", (double)up);
	sutra_check_say(r, "%zu of %zu replicas up%s", up, n, down);
	return 0;
}

const struct sutra_check_kind sutra_kind_replicas = {
	.name = "replicas",
	.logs = SUTRA_LOGS_BALANCER,
	.values = { { "up", "", 1 } },
	.run = run_replicas,
};

static int start_fresh(struct sutra_check_run *r, struct sutra_fresh_source *s, size_t n, unsigned words,
		       unsigned parallel, struct sutra_load **ret, struct sutra_err *err)
{
	struct sutra_load_options o = {
		.base = r->env->gateway,
		.connections = parallel,
		.timeout_ns = REQUEST_NS,
		.deadline_ns = sutra_check_deadline(r->env),
		.levels = true,
		.next = sutra_check_next,
		.user = s,
	};

	*s = (struct sutra_fresh_source){ r->shared, words, n };
	return sutra_load_start(&o, ret, err);
}

/* "0.33/0.34/0.33", at most SHARES_SHOWN of them. */
static void write_shares(const int64_t *delta, size_t n, int64_t total, char *out, size_t size)
{
	size_t len = 0;

	for (size_t i = 0; total > 0 && i < n && i <= SHARES_SHOWN; i++) {
		if (i == SHARES_SHOWN)
			snprintf(out + len, size - len, " and %zu more", n - i);
		else
			snprintf(out + len, size - len, "%s%.2f", i ? "/" : "", (double)delta[i] / (double)total);
		len = strlen(out);
	}
}

static int run_distribution(struct sutra_check_run *r, struct sutra_err *err)
{
	size_t n = (size_t)sutra_check_param(r->check, "requests"), up = 0, moved = 0;
	struct sutra_haproxy_stats before, after = { 0 };
	struct sutra_load_result t = { 0 };
	const struct sutra_haproxy_row *row;
	int64_t *delta = NULL, total = 0, least = INT64_MAX;
	struct sutra_load *l;
	struct sutra_fresh_source source;
	char shares[128] = "", idle[64] = "";
	int rc = balancer(r, &before, err);

	if (rc)
		return rc;
	rc = start_fresh(r, &source, n, 10, (unsigned)sutra_check_param(r->check, "parallel"), &l, err);
	if (!rc) {
		sutra_load_finish(l, &t);
		rc = balancer(r, &after, err);
	}
	if (!rc && t.failed + n - t.sent)
		rc = sutra_fail(err, SUTRA_E_UNAVAILABLE, "%llu of %zu requests failed, the first with %s",
				(unsigned long long)(t.failed + n - t.sent), n,
				t.failed ? t.first_failure : "the time limit");
	if (!rc && !(delta = sutra_calloc(after.n + 1, sizeof(*delta))))
		rc = sutra_fail(err, SUTRA_E_NOMEM, "out of memory for %zu servers", after.n);
	for (size_t i = 0; !rc && (row = sutra_haproxy_server(&after, NULL, i)); i++) {
		const struct sutra_haproxy_row *old = sutra_haproxy_find(&before, row->proxy, row->name);

		if (!sutra_haproxy_is_up(row) || !old)
			continue;
		delta[up] = row->total - old->total;
		total += delta[up];
		least = delta[up] < least ? delta[up] : least;
		if (delta[up] <= 0)
			snprintf(idle, sizeof(idle), "%s", row->name);
		moved += delta[up++] > 0;
	}
	write_shares(delta, up, total, shares, sizeof(shares));
	if (!rc && (!total || !up))
		rc = sutra_check_no(r, "no server's request counter moved while %zu new texts were sent", n);
	if (!rc) {
		sutra_check_set(r, "least_share", (double)least / (double)total);
		sutra_check_say(r, "spread %s over %lld requests for %zu new texts", shares,
				(long long)total, n);
		if (moved < up)
			rc = sutra_check_no(r, "the request counter of %s did not move", idle);
	}
	sutra_free(delta);
	sutra_load_result_release(&t);
	sutra_haproxy_release(&before);
	sutra_haproxy_release(&after);
	return rc;
}

const struct sutra_check_kind sutra_kind_distribution = {
	.name = "distribution",
	.logs = SUTRA_LOGS_BALANCER,
	.params = { { "requests", 3, 10000, 60, true },
		    { "parallel", 1, 64, 3, true } },
	.values = { { "least_share", "", 1 } },
	.run = run_distribution,
};

/* Sends n new texts of `words` words at once. *ret_most: how many of them the gateway had in flight at
 * once; -1: unknown. */
static int burst(struct sutra_check_run *r, size_t n, unsigned words, double *ret_most,
		 struct sutra_load_result *ret, struct sutra_err *err)
{
	struct sutra_load *l;
	struct sutra_fresh_source source;
	int rc = start_fresh(r, &source, n, words, (unsigned)n, &l, err);

	*ret_most = -1;
	if (rc)
		return rc;
	do {
		double now = sutra_check_metric(r, r->env->gateway, "/metrics", active_gauge);

		*ret_most = now > *ret_most ? now : *ret_most;
	} while (!sutra_load_done(l, LOOK_EVERY_NS));
	sutra_load_finish(l, ret);
	return 0;
}

/*
 * A fast machine answers short texts before all are sent, and long ones keep a slow machine busy for a
 * minute: the first burst is of short texts, which double until all were in flight at once.
 */
static int run_parallel(struct sutra_check_run *r, struct sutra_err *err)
{
	size_t n = (size_t)sutra_check_param(r->check, "requests");
	unsigned words = FIRST_WORDS, limit = (unsigned)sutra_check_param(r->check, "words");
	double most, second, p95;
	struct sutra_load_result t;
	uint64_t bad;
	int rc;

	while (!(rc = burst(r, n, words < limit ? words : limit, &most, &t, err)) && most >= 0 &&
	       most < (double)n && !t.failed && t.sent == n && words < limit) {
		sutra_load_result_release(&t);
		words *= 2;
	}
	if (rc)
		return rc;
	bad = t.failed + n - t.sent;
	second = (double)(n - bad) / ((double)t.wall_ns / 1e9);
	p95 = (double)sutra_histogram_quantile(t.response, 0.95) / 1e6;
	words = words < limit ? words : limit;
	sutra_check_set(r, "ok", (double)(n - bad));
	sutra_check_set(r, "words", words);
	sutra_check_set(r, "per_second", second);
	sutra_check_set(r, "p95_ms", p95);
	if (most >= 0)
		sutra_check_set(r, "overlap", most);
	sutra_check_say(r, "%zu/%zu of %u words, %.0f req/s, P95 %.0f ms, %.0f at once in the gateway",
			n - (size_t)bad, n, words, second, p95, most);
	if (bad)
		rc = sutra_check_no(r, "%llu of %zu failed, the first with %s", (unsigned long long)bad, n,
				    t.failed ? t.first_failure : "the time limit");
	else if (most < 0)
		rc = sutra_check_no(r, "the gateway's /metrics hold no %s, so overlap cannot be shown",
				    active_gauge);
	sutra_load_result_release(&t);
	return rc;
}

const struct sutra_check_kind sutra_kind_parallel = {
	.name = "parallel",
	.params = { { "requests", 2, 64, 20, true },
		    { "words", 8, 400, 320, true } },
	.values = { { "ok", "", 1 },
		    { "words", "", 0 },
		    { "overlap", "", 1 },
		    { "p95_ms", "ms", -1 },
		    { "per_second", "1/s", 1 } },
	.run = run_parallel,
};

/* The replica to kill: one of at least two that are up, which env->replicas names, too. */
static const char *choose_victim(const struct sutra_check_run *r, const struct sutra_haproxy_stats *s,
				 const char **ret_base, char *proxy, size_t size)
{
	const struct sutra_haproxy_row *row;
	const char *victim = NULL;
	size_t up = 0;

	for (size_t i = 0; (row = sutra_haproxy_server(s, NULL, i)); i++) {
		if (!sutra_haproxy_is_up(row))
			continue;
		up++;
		for (size_t k = 0; k < r->env->n_replicas; k++) {
			if (!strcmp(r->env->replicas[k].name, row->name)) {
				victim = r->env->replicas[k].name;
				*ret_base = r->env->replicas[k].base;
				snprintf(proxy, size, "%s", row->proxy);
			}
		}
	}
	return up > 1 ? victim : NULL;
}

struct watch {
	const char *victim, *base;
	char proxy[64];
	uint64_t killed_ns, down_ns, alive_ns, back_ns;	/* 0: not yet */
	int64_t total_when_alive;
};

/* Whether a process that started after the kill answers at base/health. */
static bool is_new_process(const struct sutra_fetch *f, uint64_t since_kill_ns)
{
	double uptime = -1;
	json_t *doc = NULL;

	if (f->reason != SUTRA_FETCH_OK || f->status != 200 ||
	    sutra_json_parse(sutra_buf_str(&f->answer), f->answer.len, &doc, NULL))
		return false;
	sutra_json_get_double(doc, "uptime_seconds", &uptime, NULL);
	json_decref(doc);
	return uptime >= 0 && uptime < (double)since_kill_ns / 1e9;
}

/* Asks the balancer and the replica once, in parallel, and records what changed. */
static void poll_both(const struct sutra_check_run *r, struct watch *w)
{
	struct sutra_fetch health, csv, *both[] = { &health, &csv };
	struct sutra_haproxy_stats s = { 0 };
	const struct sutra_haproxy_row *row = NULL;
	uint64_t now;
	char url[MAX_URL];

	snprintf(url, sizeof(url), "%s/health", w->base);
	for (int i = 0; i < 2; i++) {
		sutra_fetch_init(both[i]);
		both[i]->timeout_ns = POLL_NS;
	}
	health.url = url;
	csv.url = r->env->haproxy_csv;
	sutra_fetch_many(both, 2, 2);
	now = sutra_clock_ns();
	if (csv.reason == SUTRA_FETCH_OK && csv.status == 200 &&
	    !sutra_haproxy_parse(sutra_buf_str(&csv.answer), csv.answer.len, &s, NULL))
		row = sutra_haproxy_find(&s, w->proxy, w->victim);
	if (row && !sutra_haproxy_is_up(row) && !w->down_ns)
		w->down_ns = now;
	if (!w->alive_ns && is_new_process(&health, now - w->killed_ns)) {
		w->alive_ns = now;
		w->total_when_alive = row ? row->total : INT64_MAX;
	}
	if (w->alive_ns && !w->back_ns && row && sutra_haproxy_is_up(row) &&
	    row->total > w->total_when_alive)
		w->back_ns = now;
	sutra_haproxy_release(&s);
	sutra_fetch_release(&health);
	sutra_fetch_release(&csv);
}

static void wait_answered(const struct sutra_check_run *r, struct sutra_load *l, uint64_t n)
{
	while (sutra_load_answered(l) < n && sutra_clock_ns() < sutra_check_deadline(r->env))
		nanosleep(&(struct timespec){ .tv_nsec = 2000000 }, NULL);
}

/* Kills under load and watches until the replica works again; the load goes on throughout. */
static int kill_and_watch(struct sutra_check_run *r, struct watch *w, struct sutra_load_result *ret,
			  struct sutra_err *err)
{
	uint64_t limit = sutra_check_time(r->env, (uint64_t)(sutra_check_param(r->check, "limit_s") * 1e9));
	unsigned around = (unsigned)sutra_check_param(r->check, "around");
	struct sutra_load *l;
	struct sutra_fresh_source source;
	int rc = start_fresh(r, &source, SIZE_MAX, 10, (unsigned)sutra_check_param(r->check, "parallel"), &l, err);

	if (rc)
		return rc;
	wait_answered(r, l, around);
	w->killed_ns = sutra_clock_ns();
	rc = r->env->kill(r->env->user, w->victim, SIGKILL, err);
	while (!rc && !w->back_ns && sutra_clock_ns() - w->killed_ns < limit) {
		poll_both(r, w);
		sutra_check_progress(r, "%s killed; %llu answered", w->victim,
				     (unsigned long long)sutra_load_answered(l));
	}
	wait_answered(r, l, sutra_load_answered(l) + around);
	sutra_load_stop(l);
	sutra_load_finish(l, ret);
	return rc;
}

static int run_failover(struct sutra_check_run *r, struct sutra_err *err)
{
	struct sutra_load_result t = { 0 };
	struct watch w = { 0 };
	struct sutra_haproxy_stats s;
	char down[48] = "not marked down";
	int rc = balancer(r, &s, err);

	if (rc)
		return rc;
	w.victim = choose_victim(r, &s, &w.base, w.proxy, sizeof(w.proxy));
	sutra_haproxy_release(&s);
	if (!r->env->kill || !w.victim)
		return sutra_check_skip(r, !r->env->kill ? "cannot kill a replica that is not deployed here" :
							   "needs two replicas that are up and deployed here");
	rc = kill_and_watch(r, &w, &t, err);
	if (rc)
		goto out;
	sutra_check_set(r, "requests", (double)t.sent);
	sutra_check_set(r, "failed", (double)t.failed);
	sutra_check_set(r, "longest_gap_ms", (double)t.longest_gap_ns / 1e6);
	if (w.down_ns) {
		sutra_check_set(r, "detected_ms", (double)(w.down_ns - w.killed_ns) / 1e6);
		snprintf(down, sizeof(down), "seen down after %.0f ms",
			 (double)(w.down_ns - w.killed_ns) / 1e6);
	}
	if (!w.back_ns) {
		rc = sutra_check_no(r, "%s did not work again within %.0f s (%s, %s)", w.victim,
				    sutra_check_param(r->check, "limit_s"), down,
				    w.alive_ns ? "its process answers, the balancer gives it nothing" :
						 "no new process answers");
	} else {
		sutra_check_set(r, "recovered_ms", (double)(w.back_ns - w.killed_ns) / 1e6);
		sutra_check_say(r, "%s killed: %llu of %llu failed, %s, back after %.0f ms, longest gap %.0f ms",
				w.victim, (unsigned long long)t.failed, (unsigned long long)t.sent, down,
				(double)(w.back_ns - w.killed_ns) / 1e6, (double)t.longest_gap_ns / 1e6);
	}
	if (t.failed)
		rc = sutra_check_no(r, "%llu of %llu requests failed, the first with %s",
				    (unsigned long long)t.failed, (unsigned long long)t.sent, t.first_failure);
out:
	sutra_load_result_release(&t);
	return rc;
}

const struct sutra_check_kind sutra_kind_failover = {
	.name = "failover",
	.logs = SUTRA_LOGS_BALANCER,
	.params = { { "parallel", 1, 64, 4, true },
		    { "around", 1, 10000, 30, true },
		    { "limit_s", 1, 600, 30, false } },
	.values = { { "requests", "", 0 },
		    { "failed", "", -1 },
		    { "detected_ms", "ms", -1 },
		    { "recovered_ms", "ms", -1 },
		    { "longest_gap_ms", "ms", -1 } },
	.run = run_failover,
};
