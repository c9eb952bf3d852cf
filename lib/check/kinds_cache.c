/*
 * Phase 1. Texts that no cache has seen are computed; sent again, they must come from the expected level:
 * every answer says so, exactly that level's counters move, and it is faster than computing.
 */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/histogram.h"
#include "check/check.h"
#include "check/kinds.h"
#include "check/pass.h"
#include "probe/cachestats.h"
#include "load/load.h"
#include "load/workload.h"

static const uint64_t REQUEST_NS = 10000000000u, RESTART_NS = 30000000000u, SETTLE_NS = 3000000000u;
static int stats(const struct sutra_check_run *r, struct sutra_cache_stats *ret, struct sutra_err *err)
{
	return sutra_cache_stats_fetch(r->env->gateway, sutra_check_time(r->env, REQUEST_NS), ret, err);
}

static void settle(const struct sutra_check_run *r, int64_t want)
{
	sutra_cache_settle(r->env->gateway, want, sutra_check_time(r->env, SETTLE_NS));
}

static int restart_gateway(const struct sutra_check_run *r, struct sutra_err *err)
{
	return sutra_deployment_restart(r->env->d, r->env->names[SUTRA_LOGS_GATEWAY],
					sutra_check_time(r->env, RESTART_NS), err);
}

static int clear_cache(const struct sutra_check_run *r, struct sutra_err *err)
{
	return sutra_cache_empty(r->env->gateway, sutra_check_time(r->env, REQUEST_NS), err);
}

/* The figures once the L2 answers: the gateway needs a moment to connect to a shard that has just started. */
static int stats_when_up(const struct sutra_check_run *r, struct sutra_cache_stats *ret, struct sutra_err *err)
{
	uint64_t until = sutra_clock_ns() + sutra_check_time(r->env, SETTLE_NS);
	int rc;

	while (!(rc = stats(r, ret, err)) && ret->l2_enabled && !ret->l2_up && sutra_clock_ns() < until)
		nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
	return rc;
}

static int run_enabled(struct sutra_check_run *r, struct sutra_err *err)
{
	struct sutra_cache_stats s;
	int rc = stats_when_up(r, &s, err);

	if (rc)
		return rc;
	if (!s.enabled)
		return sutra_check_no(r, "the gateway says that its cache is off");
	if (!s.l1.max_size)
		return sutra_check_no(r, "the L1 has room for no entry");
	if (!s.l2_enabled)
		return sutra_check_no(r, "the gateway has no L2 (shard \"%s\")", s.shard);
	if (!s.l2_up)
		return sutra_check_no(r, "the L2 at %s does not answer: sutra logs storage-cache-shard", s.shard);
	sutra_check_say(r, "L1 %lld entries, L2 %s at %s", (long long)s.l1.max_size, s.backend, s.shard);
	return 0;
}

const struct sutra_check_kind sutra_kind_cache_enabled = {
	.name = "cache_enabled",
	.run = run_enabled,
};

/* Whether the counters moved by what the answers of the pass say; n texts were sent. */
static int compare_counters(struct sutra_check_run *r, const struct sutra_pass *p, uint32_t n,
			    const struct sutra_cache_stats *before, const struct sutra_cache_stats *after)
{
	int64_t l1 = after->l1.hits - before->l1.hits, l2 = after->l2.hits - before->l2.hits,
		missed = after->l1.misses - before->l1.misses;

	if (l1 == p->l1 && l2 == p->l2 && missed == (int64_t)n - p->l1)
		return 0;
	return sutra_check_no(r, "the answers say %lld L1 and %lld L2 hits, the counters moved by "
			      "%lld and %lld, and by %lld L1 misses", (long long)p->l1, (long long)p->l2,
			      (long long)l1, (long long)l2, (long long)missed);
}

/* One pass whose n texts must all be answered by `level`, with the counters to prove it. Up to a
 * tenth of the L2's look-ups may be late: that says nothing about what the L2 holds, and the gateway
 * counts it. What is cached is paired with texts that are computed, which the cache does not see. */
static int prove_pass(struct sutra_check_run *r, enum sutra_level level, struct sutra_err *err)
{
	uint32_t n = r->shared->pass_count;
	int64_t want1 = level == SUTRA_LEVEL_L1 ? n : 0, want2 = level == SUTRA_LEVEL_L2 ? n : 0;
	struct sutra_cache_stats before, after;
	struct sutra_pass p;
	int rc = stats(r, &before, err);

	rc = rc ? rc : sutra_check_pass(r, r->env->gateway, r->shared->pass_first, n,
					level != SUTRA_LEVEL_COMPUTED, &p, err);
	rc = rc ? rc : stats(r, &after, err);
	if (rc)
		return rc;
	if (level == SUTRA_LEVEL_L2)	/* the gateway has just started: its counters are this pass's */
		want2 -= sutra_cache_late(&after.l2, n);
	sutra_check_set(r, "p50_ms", p.p50_ms);
	sutra_check_say(r, "%lld L1, %lld L2, %lld computed; P50 %.2f ms", (long long)p.l1,
			(long long)p.l2, (long long)p.computed, p.p50_ms);
	if (!p.has_cache)
		return sutra_check_no(r, "/embed answers without \"cache\": this is no Sutra gateway");
	if (p.l1 != want1 || p.l2 != want2 || p.computed != (int64_t)n - want1 - want2)
		return sutra_check_no(r, "%u texts: %lld came from L1, %lld from L2, %lld were computed; "
				      "expected %lld, %lld, %lld", n, (long long)p.l1, (long long)p.l2,
				      (long long)p.computed, (long long)want1, (long long)want2,
				      (long long)((int64_t)n - want1 - want2));
	rc = compare_counters(r, &p, n, &before, &after);
	if (rc || level == SUTRA_LEVEL_COMPUTED || !n)
		return rc;
	sutra_check_set(r, "faster", p.faster);
	sutra_check_say(r, "%lld of %u from %s, P50 %.2f ms, %.1f x faster than computing",
			(long long)(want1 + want2), n, level == SUTRA_LEVEL_L1 ? "L1" : "L2", p.p50_ms, p.faster);
	return 0;
}

static int run_cold(struct sutra_check_run *r, struct sutra_err *err)
{
	r->shared->pass_count = (uint32_t)sutra_check_param(r->check, "texts");
	r->shared->pass_first = r->shared->fresh;
	r->shared->fresh += r->shared->pass_count;
	return prove_pass(r, SUTRA_LEVEL_COMPUTED, err);
}

static int run_warm(struct sutra_check_run *r, struct sutra_err *err)
{
	return prove_pass(r, SUTRA_LEVEL_L1, err);
}

static int run_restart(struct sutra_check_run *r, struct sutra_err *err)
{
	int rc;

	if (!r->env->d)
		return sutra_check_skip(r, "cannot restart a gateway that is not deployed here");
	settle(r, r->shared->pass_count);
	sutra_check_progress(r, "restarting the gateway");
	rc = restart_gateway(r, err);
	return rc ? rc : prove_pass(r, SUTRA_LEVEL_L2, err);
}

static int run_crash(struct sutra_check_run *r, struct sutra_err *err)
{
	const char *shard = r->env->names[SUTRA_LOGS_SHARD];
	int rc;

	if (!r->env->d || !r->env->kill || !shard)
		return sutra_check_skip(r, "cannot kill a cache shard that is not deployed here");
	settle(r, r->shared->pass_count);
	sutra_check_progress(r, "killing the shard");
	rc = r->env->kill(r->env->user, shard, SIGKILL, err);
	rc = rc ? rc : r->env->wait(r->env->user, shard, sutra_check_time(r->env, RESTART_NS), err);
	rc = rc ? rc : restart_gateway(r, err);
	return rc ? rc : prove_pass(r, SUTRA_LEVEL_L2, err);
}

#define PASS(kind, from, ...)                                                    \
	const struct sutra_check_kind sutra_kind_##kind##_pass = {               \
		.name = #kind "_pass", .logs = from, .params = { __VA_ARGS__ },  \
		.values = { { "p50_ms", "ms", -1 }, { "faster", "x", 1 } },      \
		.run = run_##kind }
PASS(cold, SUTRA_LOGS_GATEWAY, { "texts", 1, 2000, 40, true });
PASS(warm, SUTRA_LOGS_GATEWAY);
PASS(restart, SUTRA_LOGS_SHARD);
PASS(crash, SUTRA_LOGS_SHARD);

/* Stores a text and clears the cache: both levels must be empty and the text is computed again. */
static int run_clear(struct sutra_check_run *r, struct sutra_err *err)
{
	uint32_t number = r->shared->fresh++;
	struct sutra_cache_stats s;
	struct sutra_embed_answer a;
	bool again;
	int rc = sutra_check_fresh(r, r->env->gateway, number, false, &a, err);

	if (rc)
		return rc;
	sutra_embed_release(&a);
	settle(r, 1);
	rc = clear_cache(r, err);
	rc = rc ? rc : stats(r, &s, err);
	rc = rc ? rc : sutra_check_fresh(r, r->env->gateway, number, false, &a, err);
	if (rc)
		return rc;
	again = a.computed == 1;
	sutra_embed_release(&a);
	sutra_check_set(r, "left", (double)(s.l1.size + s.l2.size));
	sutra_check_say(r, "L1 %lld, L2 %lld entries after it; a cleared text is computed again",
			(long long)s.l1.size, (long long)s.l2.size);
	return again ? 0 : sutra_check_no(r, "a text was still cached after clearing");
}

const struct sutra_check_kind sutra_kind_cache_clear = {
	.name = "cache_clear",
	.values = { { "left", "entries", -1 } },
	.run = run_clear,
};

static int run_latency(struct sutra_check_run *r, struct sutra_err *err)
{
	struct sutra_cache_stats s;
	int rc = stats(r, &s, err);

	if (rc)
		return rc;
	if (s.l1.p50_us < 0 || s.l2.p50_us < 0)
		return sutra_check_no(r, "the gateway reports no latency of its look-ups");
	sutra_check_set(r, "l1_us", s.l1.p50_us);
	sutra_check_set(r, "l2_us", s.l2.p50_us);
	sutra_check_say(r, "look-up P50: L1 %.1f us, L2 %.0f us, as the gateway measures", s.l1.p50_us,
			s.l2.p50_us);
	return 0;
}

const struct sutra_check_kind sutra_kind_cache_latency = {
	.name = "cache_latency",
	.logs = SUTRA_LOGS_SHARD,
	.values = { { "l1_us", "us", -1 }, { "l2_us", "us", -1 } },
	.run = run_latency,
};

static double percent(uint64_t part, uint64_t whole) { return 100.0 * (double)part / (double)whole; }

static int replay(struct sutra_check_run *r, const struct sutra_workload *w, bool today,
		  struct sutra_load_result *ret, struct sutra_err *err)
{
	struct sutra_replay p = { .base = r->env->gateway,
				  .parallel = (unsigned)sutra_check_param(r->check, "parallel"),
				  .deadline_ns = sutra_check_deadline(r->env),
				  .progress = r->env->progress,
				  .user = r->env->user,
				  .workload = w,
				  .today = today,
				  .what = r->check->id };

	return sutra_replay_run(&p, ret, err);
}

static void report_workload(struct sutra_check_run *r, const struct sutra_workload *w,
			    const struct sutra_expected *e, const struct sutra_load_result *t)
{
	size_t n = w->spec.trace;
	double l1 = percent(t->texts[SUTRA_LEVEL_L1], n), l2 = percent(t->texts[SUTRA_LEVEL_L2], n);
	double want1 = percent(e->l1, n), want2 = percent(e->l2, n);

	sutra_check_set(r, "l1_percent", l1);
	sutra_check_set(r, "l2_percent", l2);
	sutra_check_set(r, "total_percent", l1 + l2);
	sutra_check_set(r, "off_points", fmax(fabs(l1 - want1), fabs(l2 - want2)));
	sutra_check_set(r, "mean_ms", sutra_histogram_mean(t->response) / 1e6);
	sutra_check_set(r, "l1_ms", (double)sutra_histogram_quantile(t->level[SUTRA_LEVEL_L1], 0.5) / 1e6);
	sutra_check_set(r, "l2_ms", (double)sutra_histogram_quantile(t->level[SUTRA_LEVEL_L2], 0.5) / 1e6);
	sutra_check_set(r, "computed_ms",
			(double)sutra_histogram_quantile(t->level[SUTRA_LEVEL_COMPUTED], 0.5) / 1e6);
	sutra_check_say(r, "hit rate %.1f %% (L1 %.1f %%, L2 %.1f %%); an exact cache: %.1f + %.1f %%; "
			"trace %016llx", l1 + l2, l1, l2, want1, want2, (unsigned long long)w->digest);
}

struct sutra_workload_spec sutra_workload_of(const struct sutra_check *c)
{
	return (struct sutra_workload_spec){
		.seed = (uint64_t)sutra_check_param(c, "seed"),
		.distinct = (uint32_t)sutra_check_param(c, "distinct"),
		.alpha = sutra_check_param(c, "alpha"),
		.fill = (size_t)sutra_check_param(c, "fill"),
		.trace = (size_t)sutra_check_param(c, "requests"),
	};
}

static int run_workload(struct sutra_check_run *r, struct sutra_err *err)
{
	struct sutra_workload_spec spec = sutra_workload_of(r->check);
	struct sutra_load_result part = { 0 };
	struct sutra_workload *w;
	struct sutra_expected e;
	struct sutra_cache_stats s;
	int rc;

	if (!r->env->d)
		return sutra_check_skip(r, "cannot empty the L1 alone of a gateway that is not deployed here");
	rc = sutra_workload_new(&spec, &w, err);
	if (rc)
		return rc;
	rc = stats(r, &s, err);
	/* A shard that does not report its size is taken to hold everything. */
	rc = rc ? rc : sutra_workload_expect(w, (size_t)s.l1.max_size,
					     !s.l2_enabled ? 0 : s.l2.max_size ? (size_t)s.l2.max_size :
					     spec.distinct, &e, err);
	rc = rc ? rc : clear_cache(r, err);
	rc = rc ? rc : replay(r, w, false, &part, err);
	if (rc)
		goto out;
	sutra_load_result_release(&part);
	settle(r, (int64_t)e.fill_computed);
	sutra_check_progress(r, "restarting the gateway");
	rc = restart_gateway(r, err);
	rc = rc ? rc : replay(r, w, true, &part, err);
	if (!rc)
		report_workload(r, w, &e, &part);
out:
	sutra_load_result_release(&part);
	sutra_workload_free(w);
	return rc;
}

const struct sutra_check_kind sutra_kind_workload = {
	.name = "workload",
	.logs = SUTRA_LOGS_SHARD,
	.params = { { "seed", 0, 1e9, 15, true },
		    { "distinct", 1, 1e6, 2000, true },
		    { "alpha", 0, 4, 0.9, false },
		    { "fill", 0, 1e6, 2800, true },
		    { "requests", 1, 1e6, 3000, true },
		    { "parallel", 1, 64, 8, true } },
	.values = { { "l1_percent", "%", 1 },
		    { "l2_percent", "%", 1 },
		    { "total_percent", "%", 1 },
		    { "off_points", "points", -1 },
		    { "mean_ms", "ms", -1 },
		    { "l1_ms", "ms", -1 },
		    { "l2_ms", "ms", -1 },
		    { "computed_ms", "ms", -1 } },
	.run = run_workload,
};
