/*
 * The cache of a stack that has other clients: checks judge by what each answer says, not by counters,
 * which every client moves. Nothing is cleared, restarted or killed: a second gateway with an empty L1 on
 * the same shard shows what a restart would keep.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "check/check.h"
#include "check/kinds.h"
#include "check/pass.h"
#include "probe/cachestats.h"

static const uint64_t REQUEST_NS = 10000000000u, SETTLE_NS = 3000000000u;
enum { MAX_URL = 512 };

/* Waits until the shard's size no longer changes: what was asked before is written by then. */
static int quiet_stats(struct sutra_check_run *r, struct sutra_cache_stats *ret, struct sutra_err *err)
{
	uint64_t until = sutra_clock_ns() + sutra_check_time(r->env, SETTLE_NS);
	int64_t size = -1;
	int rc;

	while (!(rc = sutra_cache_stats_fetch(r->env->gateway, sutra_check_time(r->env, REQUEST_NS), ret, err)) &&
	       ret->l2.size != size && sutra_clock_ns() < until) {
		size = ret->l2.size;
		nanosleep(&(struct timespec){ .tv_nsec = 100000000 }, NULL);
	}
	return rc;
}

static int run_hit(struct sutra_check_run *r, struct sutra_err *err)
{
	uint32_t n = (uint32_t)sutra_check_param(r->check, "texts"), first = r->shared->fresh;
	struct sutra_cache_stats before;
	struct sutra_pass miss, hit;
	int rc = quiet_stats(r, &before, err);

	r->shared->fresh += n;
	rc = rc ? rc : sutra_check_pass(r, r->env->gateway, first, n, false, &miss, err);
	rc = rc ? rc : sutra_check_pass(r, r->env->gateway, first, n, true, &hit, err);
	if (rc)
		return rc;
	sutra_check_set(r, "misses", (double)miss.computed);
	sutra_check_set(r, "hits", (double)(hit.l1 + hit.l2));
	sutra_check_set(r, "faster", hit.faster);
	sutra_check_say(r, "%lld of %u new texts computed, P50 %.1f ms; again: %lld of %u cached, P50 %.2f ms",
			(long long)miss.computed, n, miss.p50_ms, (long long)(hit.l1 + hit.l2), n, hit.p50_ms);
	if (miss.computed != n || hit.l1 + hit.l2 != n)
		rc = sutra_check_no(r, "%u texts that no cache had: %lld were computed; sent again, %lld came from the cache",
				    n, (long long)miss.computed, (long long)(hit.l1 + hit.l2));
	r->shared->pass_first = first;
	r->shared->pass_count = n;
	sutra_cache_settle(r->env->gateway, before.l2.size + n, sutra_check_time(r->env, SETTLE_NS));
	quiet_stats(r, &before, NULL);
	return rc;
}

const struct sutra_check_kind sutra_kind_hit = {
	.name = "hit",
	.params = { { "texts", 1, 1000, 20, true } },
	.values = { { "misses", "", 0 },
		    { "hits", "", 1 },
		    { "faster", "x", 1 } },
	.run = run_hit,
};

static int run_second_gateway(struct sutra_check_run *r, struct sutra_err *err)
{
	uint32_t n = r->shared->pass_count;
	char base[MAX_URL];
	struct sutra_cache_stats s;
	struct sutra_pass p;
	int64_t late, lost;
	int rc;

	if (!r->env->spare || !n)
		return sutra_check_skip(r, n ? "a second gateway needs a stack that is deployed here" :
					       "needs the texts of a check of kind hit");
	rc = r->env->spare(r->env->user, NULL, base, sizeof(base), err);
	if (rc)
		return rc;
	rc = sutra_check_pass(r, base, r->shared->pass_first, n, false, &p, err);
	rc = rc ? rc : sutra_cache_stats_fetch(base, sutra_check_time(r->env, REQUEST_NS), &s, err);
	r->env->spare_end(r->env->user);
	if (rc)
		return rc;
	sutra_check_set(r, "kept", (double)(p.l1 + p.l2));
	late = sutra_cache_late(&s.l2, n);
	lost = p.computed > late ? p.computed - late : 0;
	sutra_check_set(r, "lost", (double)lost);
	sutra_check_set(r, "p50_ms", p.p50_ms);
	sutra_check_say(r, "%lld of %u texts from the shard, %lld look-ups late, P50 %.2f ms, by a gateway "
			"that never saw them",
			(long long)(p.l1 + p.l2), n, (long long)late, p.p50_ms);
	return lost > 0 ? sutra_check_no(r, "%lld of %u cached texts were computed again: a restart of the "
					 "gateway loses them", (long long)lost, n) : 0;
}

const struct sutra_check_kind sutra_kind_second_gateway = {
	.name = "second_gateway",
	.logs = SUTRA_LOGS_SHARD,
	.values = { { "kept", "", 1 }, { "lost", "", -1 }, { "p50_ms", "ms", -1 } },
	.run = run_second_gateway,
};

static int run_cached_latency(struct sutra_check_run *r, struct sutra_err *err)
{
	uint32_t n = (uint32_t)sutra_check_param(r->check, "requests"), first = r->shared->fresh;
	struct sutra_pass p;
	int rc;

	r->shared->fresh += n;
	rc = sutra_check_pass(r, r->env->gateway, first, n, false, &p, err);
	rc = rc ? rc : sutra_check_pass(r, r->env->gateway, first, n, false, &p, err);
	if (rc)
		return rc;
	sutra_check_set(r, "p50_ms", p.p50_ms);
	sutra_check_set(r, "p95_ms", p.p95_ms);
	sutra_check_say(r, "cached text: P50 %.2f ms, P95 %.2f ms, one at a time", p.p50_ms, p.p95_ms);
	return p.computed ? sutra_check_no(r, "%lld of %u texts asked for a second time were computed again",
					   (long long)p.computed, n) : 0;
}

const struct sutra_check_kind sutra_kind_cached_latency = {
	.name = "cached_latency",
	.params = { { "requests", 1, 10000, 50, true } },
	.values = { { "p50_ms", "ms", -1 }, { "p95_ms", "ms", -1 } },
	.run = run_cached_latency,
};
