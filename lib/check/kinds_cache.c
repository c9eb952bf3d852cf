/*
 * Phase 1: that the cache works is proved by cause, not by appearance. Texts that no cache has seen are
 * computed; the same ones again must be answered by the level whose turn it is, say so in every
 * answer, move exactly that level's counters, and be faster than computing was.
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
#include "load/ask.h"
#include "probe/cachestats.h"
#include "check/kinds.h"
#include "load/load.h"
#include "load/workload.h"
#include "net/fetch.h"

static const uint64_t REQUEST_NS = 10000000000u, RESTART_NS = 30000000000u, SETTLE_NS = 3000000000u;
enum { MAX_TEXT = 16 << 10, WORDS = 10 };

static const struct sutra_check_param no_params[] = { { 0 } };
static const struct sutra_check_param pass_params[] = { { "texts", 1, 2000, 40, true }, { 0 } };
static const struct sutra_check_value pass_values[] = { { "p50_ms", "ms", -1 }, { "faster", "x", 1 }, { 0 } };

static int stats(const struct sutra_check_run *r, struct sutra_cache_stats *ret, struct sutra_err *err)
{
	return sutra_cache_stats_fetch(r->env->gateway, sutra_check_time(r, REQUEST_NS), ret, err);
}

static void settle(const struct sutra_check_run *r, int64_t want)
{
	sutra_cache_settle(r->env->gateway, want, sutra_check_time(r, SETTLE_NS));
}

static int restart_gateway(const struct sutra_check_run *r, struct sutra_err *err)
{
	return sutra_check_restart(r->env, r->env->names[SUTRA_LOGS_GATEWAY],
			       sutra_check_time(r, RESTART_NS), err);
}

static int clear_cache(const struct sutra_check_run *r, struct sutra_err *err)
{
	return sutra_cache_empty(r->env->gateway, sutra_check_time(r, REQUEST_NS), err);
}

/* The figures once L2 answers: a shard that has just started is connected to within moments. */
static int stats_when_up(const struct sutra_check_run *r, struct sutra_cache_stats *ret, struct sutra_err *err)
{
	uint64_t until = sutra_clock_ns() + sutra_check_time(r, SETTLE_NS);
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
	.logs = SUTRA_LOGS_GATEWAY,
	.params = no_params,
	.values = (const struct sutra_check_value[]){ { 0 } },
	.run = run_enabled,
};

/* What one pass over texts of this run showed. */
struct pass {
	int64_t l1, l2, computed;
	double p50_ms;
};

static int one_text(struct sutra_check_run *r, uint32_t number, struct sutra_embed_answer *ret,
		    struct sutra_err *err)
{
	struct sutra_embed_request q = { .n = 1 };
	char shown[SUTRA_FETCH_SHOWN];
	struct sutra_buf text;
	const char *one;
	int rc;

	sutra_buf_init(&text, MAX_TEXT);
	sutra_fresh_text(r->shared->nonce, number, WORDS, &text);
	one = sutra_buf_str(&text);
	q.texts = &one;
	rc = sutra_embed(r->env->gateway, &q, sutra_check_time(r, REQUEST_NS), &r->last, ret, err);
	if (!rc && !ret->has_cache) {
		sutra_embed_release(ret);
		rc = sutra_fail(err, SUTRA_E_INVALID,
				"%s/embed answers without \"cache\": this is no Sutra gateway",
				sutra_fetch_shown(r->env->gateway, shown, sizeof(shown)));
	}
	sutra_buf_release(&text);
	return rc;
}

static int send_pass(struct sutra_check_run *r, uint32_t first, uint32_t n, struct pass *ret,
		     struct sutra_err *err)
{
	struct sutra_histogram *h = sutra_histogram_new();
	struct pass p = { 0 };
	int rc = h ? 0 : sutra_fail(err, SUTRA_E_NOMEM, "out of memory for a histogram");

	for (uint32_t i = 0; !rc && i < n; i++) {
		struct sutra_embed_answer a;

		rc = one_text(r, first + i, &a, err);
		if (rc)
			break;
		p.l1 += a.l1;
		p.l2 += a.l2;
		p.computed += a.computed;
		sutra_histogram_record(h, a.took_ns);
		sutra_embed_release(&a);
		sutra_check_progress(r, "%u of %u", i + 1, n);
	}
	p.p50_ms = h ? (double)sutra_histogram_quantile(h, 0.5) / 1e6 : 0;
	sutra_histogram_free(h);
	if (!rc)
		*ret = p;
	return rc;
}

/* One pass whose n texts must all be answered by `level`, with the counters to prove it. Up to a
 * tenth of L2's look-ups may be late: that says nothing about what L2 holds, and the gateway counts it. */
static int prove_pass(struct sutra_check_run *r, enum sutra_level level, struct sutra_err *err)
{
	uint32_t n = r->shared->pass_count;
	int64_t want1 = level == SUTRA_LEVEL_L1 ? n : 0, want2 = level == SUTRA_LEVEL_L2 ? n : 0;
	struct sutra_cache_stats before, after;
	struct pass p;
	double faster;
	int rc = stats(r, &before, err);

	rc = rc ? rc : send_pass(r, r->shared->pass_first, n, &p, err);
	rc = rc ? rc : stats(r, &after, err);
	if (rc)
		return rc;
	if (level == SUTRA_LEVEL_L2)	/* the gateway has just started: its counters are this pass's */
		want2 -= sutra_cache_late(&after.l2, n);
	sutra_check_set(r, "p50_ms", p.p50_ms);
	sutra_check_say(r, "%lld L1, %lld L2, %lld computed; P50 %.2f ms", (long long)p.l1,
			(long long)p.l2, (long long)p.computed, p.p50_ms);
	if (p.l1 != want1 || p.l2 != want2 || p.computed != (int64_t)n - want1 - want2)
		return sutra_check_no(r, "%u texts: %lld came from L1, %lld from L2, %lld were computed; "
				      "expected %lld, %lld, %lld", n, (long long)p.l1, (long long)p.l2,
				      (long long)p.computed, (long long)want1, (long long)want2,
				      (long long)((int64_t)n - want1 - want2));
	if (after.l1.hits - before.l1.hits != want1 || after.l2.hits - before.l2.hits != want2 ||
	    after.l1.misses - before.l1.misses != (int64_t)n - want1)
		return sutra_check_no(r, "the answers say %lld L1 and %lld L2 hits, the counters moved by "
				      "%lld and %lld, and by %lld L1 misses", (long long)want1,
				      (long long)want2, (long long)(after.l1.hits - before.l1.hits),
				      (long long)(after.l2.hits - before.l2.hits),
				      (long long)(after.l1.misses - before.l1.misses));
	if (level == SUTRA_LEVEL_COMPUTED) {
		r->shared->cold_p50_ms = p.p50_ms;
		return 0;
	}
	if (r->shared->cold_p50_ms <= 0)
		return 0;
	faster = r->shared->cold_p50_ms / (p.p50_ms > 0 ? p.p50_ms : 1e-3);
	sutra_check_set(r, "faster", faster);
	sutra_check_say(r, "%lld of %u from %s, P50 %.2f ms, %.1f x faster than computing",
			(long long)(want1 + want2), n, level == SUTRA_LEVEL_L1 ? "L1" : "L2", p.p50_ms, faster);
	return 0;
}

static int run_cold(struct sutra_check_run *r, struct sutra_err *err)
{
	r->shared->pass_count = (uint32_t)sutra_check_param(r, "texts");
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
	const char *shard = r->env->names ? r->env->names[SUTRA_LOGS_SHARD] : NULL;
	int rc;

	if (!r->env->d || !r->env->kill || !shard)
		return sutra_check_skip(r, "cannot kill a cache shard that is not deployed here");
	settle(r, r->shared->pass_count);
	sutra_check_progress(r, "killing the shard");
	rc = r->env->kill(r->env->user, shard, SIGKILL, err);
	rc = rc ? rc : r->env->wait(r->env->user, shard, sutra_check_time(r, RESTART_NS), err);
	rc = rc ? rc : restart_gateway(r, err);
	return rc ? rc : prove_pass(r, SUTRA_LEVEL_L2, err);
}

#define PASS(symbol, word, from, function, p)                                            \
	const struct sutra_check_kind symbol = { .name = word, .logs = from, .params = p,    \
						 .values = pass_values, .run = function }
PASS(sutra_kind_cold_pass, "cold_pass", SUTRA_LOGS_GATEWAY, run_cold, pass_params);
PASS(sutra_kind_warm_pass, "warm_pass", SUTRA_LOGS_GATEWAY, run_warm, no_params);
PASS(sutra_kind_restart_pass, "restart_pass", SUTRA_LOGS_SHARD, run_restart, no_params);
PASS(sutra_kind_crash_pass, "crash_pass", SUTRA_LOGS_SHARD, run_crash, no_params);

/* Stores a text, clears, and demands that both levels are empty and the text is new again. */
static int run_clear(struct sutra_check_run *r, struct sutra_err *err)
{
	uint32_t number = r->shared->fresh++;
	struct sutra_cache_stats s;
	struct sutra_embed_answer a;
	bool again;
	int rc = one_text(r, number, &a, err);

	if (rc)
		return rc;
	sutra_embed_release(&a);
	settle(r, 1);
	rc = clear_cache(r, err);
	rc = rc ? rc : stats(r, &s, err);
	rc = rc ? rc : one_text(r, number, &a, err);
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
	.logs = SUTRA_LOGS_GATEWAY,
	.params = no_params,
	.values = (const struct sutra_check_value[]){ { "left", "entries", -1 }, { 0 } },
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
	.params = no_params,
	.values = (const struct sutra_check_value[]){ { "l1_us", "us", -1 }, { "l2_us", "us", -1 }, { 0 } },
	.run = run_latency,
};

static double percent(uint64_t part, uint64_t whole) { return 100.0 * (double)part / (double)whole; }

static int replay(struct sutra_check_run *r, const struct sutra_workload *w, bool today,
		  struct sutra_load_result *ret, struct sutra_err *err)
{
	struct sutra_replay p = { .base = r->env->gateway,
				  .parallel = (unsigned)sutra_check_param(r, "parallel"),
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
		.seed = (uint64_t)sutra_check_parameter(c, "seed"),
		.distinct = (uint32_t)sutra_check_parameter(c, "distinct"),
		.alpha = sutra_check_parameter(c, "alpha"),
		.fill = (size_t)sutra_check_parameter(c, "fill"),
		.trace = (size_t)sutra_check_parameter(c, "requests"),
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
	/* A shard that does not tell its size is taken to hold everything. */
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
	.params = (const struct sutra_check_param[]){ { "seed", 0, 1e9, 15, true },
						      { "distinct", 1, 1e6, 2000, true },
						      { "alpha", 0, 4, 0.9, false },
						      { "fill", 0, 1e6, 2800, true },
						      { "requests", 1, 1e6, 3000, true },
						      { "parallel", 1, 64, 8, true },
						      { 0 } },
	.values = (const struct sutra_check_value[]){ { "l1_percent", "%", 1 },
						      { "l2_percent", "%", 1 },
						      { "total_percent", "%", 1 },
						      { "off_points", "points", -1 },
						      { "mean_ms", "ms", -1 },
						      { "l1_ms", "ms", -1 },
						      { "l2_ms", "ms", -1 },
						      { "computed_ms", "ms", -1 },
						      { 0 } },
	.run = run_workload,
};
