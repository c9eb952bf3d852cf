#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "net/fetch.h"
#include "load/ask.h"
#include "probe/cachestats.h"
#include "probe/gateway.h"
#include "probe/health.h"
#include "sutra/production/production.h"

static const uint64_t PROBE_NS = 2000000000, REQUEST_NS = 5000000000;

static void count_services(struct production_look *k)
{
	size_t at = 0;

	k->n = k->d->n;
	for (size_t i = 0; i < k->n; i++) {
		const struct sutra_probe *p = &k->probes[i];
		bool down = p->state == SUTRA_DOWN || (p->state == SUTRA_UNKNOWN && p->reason != SUTRA_FETCH_INTERNAL);

		k->up += p->state == SUTRA_UP;
		k->down += down;
		/* Only root causes are named; failures that follow from them are counted. */
		if (down && p->cause < 0 && at < sizeof(k->trouble))
			at += (size_t)snprintf(k->trouble + at, sizeof(k->trouble) - at, "%s%s (%s)", at ? ", " : "", p->name,
					       sutra_probe_reason_name(p->reason));
	}
}

static void look_at_services(struct production_looker *l, struct production_look *k)
{
	struct sutra_err err;

	if (sutra_deployment_load(l->state_dir, &k->d, &err)) {
		k->gone = true;
		snprintf(k->trouble, sizeof(k->trouble), "%.250s", err.message);
		return;
	}
	k->probes = xcalloc(k->d->n + 1, sizeof(*k->probes));
	if (!sutra_health_probe(k->d, PROBE_NS, k->probes, &err))
		count_services(k);
	else
		snprintf(k->trouble, sizeof(k->trouble), "%.250s", err.message);
}

/* Sends requests one after the other that do not use the cache, and so do not change its hit rate. */
static void send_requests(struct production_looker *l, const char *base, struct production_look *k)
{
	const char *const text[] = { "One request of the monitor, past the cache." };
	const struct sutra_embed_request q = { .texts = text, .n = 1, .raw = true };
	struct sutra_histogram *now = sutra_histogram_new();
	uint64_t until = sutra_clock_ns() + l->limit_ns;
	struct sutra_err err;

	while (now && k->asked < l->requests && sutra_clock_ns() < until) {
		struct sutra_embed_answer a = { 0 };
		uint64_t start = sutra_clock_ns(), took;

		k->asked++;
		if (sutra_embed(base, &q, REQUEST_NS, NULL, &a, &err)) {
			if (!k->failed++)
				snprintf(k->failure, sizeof(k->failure), "%.250s", err.message);
			continue;
		}
		took = sutra_clock_ns() - start;
		sutra_histogram_record(now, took);
		sutra_histogram_record(l->all, took);
		sutra_embed_release(&a);
	}
	if (now && sutra_histogram_count(now)) {
		k->p50_ms = (double)sutra_histogram_quantile(now, 0.5) / 1e6;
		k->p95_ms = (double)sutra_histogram_quantile(now, 0.95) / 1e6;
	}
	sutra_histogram_free(now);
}

/* Adds the counters of all gateways. After a restart reset one, this look has no hit rate. */
static void read_caches(struct production_looker *l, struct production_look *k)
{
	struct sutra_strv bases = { 0 };
	int64_t texts = 0, hits = 0;
	int rc = sutra_gateway_urls(NULL, &bases, NULL);

	for (size_t i = 0; i < bases.n && !rc; i++) {
		struct sutra_cache_stats s;

		rc = sutra_cache_stats_fetch(bases.items[i], PROBE_NS, &s, NULL);
		texts += rc ? 0 : s.requests;
		hits += rc ? 0 : s.hits;
	}
	if (!rc && l->texts >= 0 && texts > l->texts && hits >= l->hits) {
		k->texts = texts - l->texts;
		k->hits = hits - l->hits;
		k->hit_percent = 100.0 * (double)k->hits / (double)k->texts;
	}
	l->texts = rc ? -1 : texts;
	l->hits = rc ? -1 : hits;
	sutra_strv_release(&bases);
}

void production_look(struct production_looker *l, struct production_look *ret)
{
	struct sutra_err err;
	char *base;

	*ret = (struct production_look){ .wall_us = sutra_clock_wall_us(), .p50_ms = -1, .p95_ms = -1, .hit_percent = -1 };
	look_at_services(l, ret);
	read_caches(l, ret);
	if (!ret->n || !l->requests)
		return;
	if (sutra_gateway_url(NULL, &base, &err)) {
		ret->asked = ret->failed = 1;
		snprintf(ret->failure, sizeof(ret->failure), "%.250s", err.message);
		return;
	}
	send_requests(l, base, ret);
	sutra_free(base);
}

void production_look_release(struct production_look *k)
{
	sutra_free(k->probes);
	sutra_deployment_free(k->d);
}
