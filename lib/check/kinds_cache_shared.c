/*
 * The cache of a stack that others use meanwhile: judged by each answer's own words, never by
 * counters that move for everybody; nothing is cleared, restarted or killed. What a restart
 * would leave is shown by a second gateway, whose memory is empty, on the same shard.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/histogram.h"
#include "load/ask.h"
#include "probe/cachestats.h"
#include "check/check.h"
#include "check/kinds.h"
#include "load/workload.h"

static const uint64_t REQUEST_NS = 10000000000u, SETTLE_NS = 3000000000u;
enum { MAX_TEXT = 4096, WORDS = 10, MAX_URL = 512 };

struct pass {
	int64_t hits, computed;
	struct sutra_histogram *took;
};

/* Sends fresh texts number first to first + n - 1 to base, one at a time. The caller frees took. */
static int send_pass(struct sutra_check_run *r, const char *base, uint32_t first, uint32_t n, struct pass *ret,
		     struct sutra_err *err)
{
	struct pass p = { .took = sutra_histogram_new() };
	struct sutra_buf text;
	int rc = p.took ? 0 : sutra_fail(err, SUTRA_E_NOMEM, "out of memory for a histogram");

	sutra_buf_init(&text, MAX_TEXT);
	for (uint32_t i = 0; !rc && i < n; i++) {
		struct sutra_embed_request q = { .n = 1 };
		struct sutra_embed_answer a;
		const char *one;

		sutra_buf_clear(&text);
		sutra_fresh_text(r->shared->nonce, first + i, WORDS, &text);
		one = sutra_buf_str(&text);
		q.texts = &one;
		rc = sutra_embed(base, &q, sutra_check_time(r, REQUEST_NS), &r->last, &a, err);
		if (rc)
			break;
		p.hits += a.l1 + a.l2;
		p.computed += a.computed;
		sutra_histogram_record(p.took, a.took_ns);
		sutra_embed_release(&a);
	}
	sutra_buf_release(&text);
	if (rc)
		sutra_histogram_free(p.took);
	else
		*ret = p;
	return rc;
}

static double quantile_ms(const struct pass *p, double q)
{
	return (double)sutra_histogram_quantile(p->took, q) / 1e6;
}

/* Until the shard's size stands still: what was asked before is written by then. */
static int quiet_stats(struct sutra_check_run *r, struct sutra_cache_stats *ret, struct sutra_err *err)
{
	uint64_t until = sutra_clock_ns() + sutra_check_time(r, SETTLE_NS);
	int64_t size = -1;
	int rc;

	while (!(rc = sutra_cache_stats_fetch(r->env->gateway, sutra_check_time(r, REQUEST_NS), ret, err)) &&
	       ret->l2.size != size && sutra_clock_ns() < until) {
		size = ret->l2.size;
		nanosleep(&(struct timespec){ .tv_nsec = 100000000 }, NULL);
	}
	return rc;
}

static int run_hit(struct sutra_check_run *r, struct sutra_err *err)
{
	uint32_t n = (uint32_t)sutra_check_param(r, "texts"), first = r->shared->fresh;
	struct sutra_cache_stats before;
	struct pass miss = { 0 }, hit = { 0 };
	double faster;
	int rc = quiet_stats(r, &before, err);

	r->shared->fresh += n;
	rc = rc ? rc : send_pass(r, r->env->gateway, first, n, &miss, err);
	rc = rc ? rc : send_pass(r, r->env->gateway, first, n, &hit, err);
	if (rc)
		goto out;
	faster = quantile_ms(&miss, 0.5) / (quantile_ms(&hit, 0.5) > 0 ? quantile_ms(&hit, 0.5) : 1e-3);
	sutra_check_set(r, "misses", (double)miss.computed);
	sutra_check_set(r, "hits", (double)hit.hits);
	sutra_check_set(r, "faster", faster);
	sutra_check_say(r, "%lld of %u new texts computed, P50 %.1f ms; again: %lld of %u cached, P50 %.2f ms",
			(long long)miss.computed, n, quantile_ms(&miss, 0.5), (long long)hit.hits, n,
			quantile_ms(&hit, 0.5));
	if (miss.computed != n || hit.hits != n)
		rc = sutra_check_no(r, "%u texts that no cache had: %lld were computed; sent again, %lld came from the cache",
				    n, (long long)miss.computed, (long long)hit.hits);
	r->shared->pass_first = first;
	r->shared->pass_count = n;
	sutra_cache_settle(r->env->gateway, before.l2.size + n, sutra_check_time(r, SETTLE_NS));
	quiet_stats(r, &before, NULL);
out:
	sutra_histogram_free(miss.took);
	sutra_histogram_free(hit.took);
	return rc;
}

const struct sutra_check_kind sutra_kind_hit = {
	.name = "hit",
	.logs = SUTRA_LOGS_GATEWAY,
	.params = (const struct sutra_check_param[]){ { "texts", 1, 1000, 20, true }, { 0 } },
	.values = (const struct sutra_check_value[]){ { "misses", "", 0 },
						      { "hits", "", 1 },
						      { "faster", "x", 1 },
						      { 0 } },
	.run = run_hit,
};

static int run_second_gateway(struct sutra_check_run *r, struct sutra_err *err)
{
	uint32_t n = r->shared->pass_count;
	char base[MAX_URL];
	struct sutra_cache_stats s = { 0 };
	struct pass p = { 0 };
	int64_t late, lost;
	int rc;

	if (!r->env->spare || !n)
		return sutra_check_skip(r, n ? "a second gateway needs a stack that is deployed here" :
					       "needs the texts of a check of kind hit");
	rc = r->env->spare(r->env->user, base, sizeof(base), err);
	if (rc)
		return rc;
	rc = send_pass(r, base, r->shared->pass_first, n, &p, err);
	rc = rc ? rc : sutra_cache_stats_fetch(base, sutra_check_time(r, REQUEST_NS), &s, err);
	r->env->spare_end(r->env->user);
	if (rc)
		goto out;
	sutra_check_set(r, "kept", (double)p.hits);
	late = sutra_cache_late(&s.l2, n);
	lost = p.computed > late ? p.computed - late : 0;
	sutra_check_set(r, "lost", (double)lost);
	sutra_check_set(r, "p50_ms", quantile_ms(&p, 0.5));
	sutra_check_say(r, "%lld of %u texts from the shard, %lld look-ups late, P50 %.2f ms, by a gateway "
			"that never saw them",
			(long long)p.hits, n, (long long)late, quantile_ms(&p, 0.5));
	if (lost > 0)
		rc = sutra_check_no(r, "%lld of %u cached texts were computed again: a restart of the gateway loses them",
				    (long long)lost, n);
out:
	sutra_histogram_free(p.took);
	return rc;
}

const struct sutra_check_kind sutra_kind_second_gateway = {
	.name = "second_gateway",
	.logs = SUTRA_LOGS_SHARD,
	.params = (const struct sutra_check_param[]){ { 0 } },
	.values = (const struct sutra_check_value[]){ { "kept", "", 1 }, { "lost", "", -1 }, { "p50_ms", "ms", -1 }, { 0 } },
	.run = run_second_gateway,
};

static int run_cached_latency(struct sutra_check_run *r, struct sutra_err *err)
{
	uint32_t n = (uint32_t)sutra_check_param(r, "requests"), first = r->shared->fresh;
	struct pass warm = { 0 }, p = { 0 };
	int rc;

	r->shared->fresh += n;
	rc = send_pass(r, r->env->gateway, first, n, &warm, err);
	rc = rc ? rc : send_pass(r, r->env->gateway, first, n, &p, err);
	if (rc)
		goto out;
	sutra_check_set(r, "p50_ms", quantile_ms(&p, 0.5));
	sutra_check_set(r, "p95_ms", quantile_ms(&p, 0.95));
	sutra_check_say(r, "cached text: P50 %.2f ms, P95 %.2f ms, one at a time", quantile_ms(&p, 0.5),
			quantile_ms(&p, 0.95));
	if (p.computed)
		rc = sutra_check_no(r, "%lld of %u texts asked for a second time were computed again", (long long)p.computed,
				    n);
out:
	sutra_histogram_free(warm.took);
	sutra_histogram_free(p.took);
	return rc;
}

const struct sutra_check_kind sutra_kind_cached_latency = {
	.name = "cached_latency",
	.logs = SUTRA_LOGS_GATEWAY,
	.params = (const struct sutra_check_param[]){ { "requests", 1, 10000, 50, true }, { 0 } },
	.values = (const struct sutra_check_value[]){ { "p50_ms", "ms", -1 }, { "p95_ms", "ms", -1 }, { 0 } },
	.run = run_cached_latency,
};
