#include "probe/snapshot.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"

#define FADE_S 60.0		/* requests older than that hardly count in a share */
#define SKEWED 0.25		/* of an equal share: further away is flagged */
#define MIN_REQUESTS 20.0	/* fewer say nothing about balance */

static void service_unknown(struct sutra_snap_service *s)
{
	s->latency_ms = s->uptime_s = s->cpu_percent = -1;
	s->cpu_us = s->memory_bytes = s->rss_bytes = s->pid = s->restarts = s->last_exit = -1;
}

static void cache_unknown(struct sutra_snap_cache *c)
{
	c->texts_rate = c->requests_rate = c->error_rate = -1;
	c->l1_p50_us = c->l1_p99_us = c->l2_p50_us = c->l2_p99_us = -1;
}

struct sutra_snapshot *sutra_snapshot_new(size_t services, size_t balancers, size_t caches)
{
	struct sutra_snapshot *s = sutra_calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	atomic_init(&s->refs, 1);
	s->services = sutra_calloc(services + 1, sizeof(*s->services));
	s->balancers = sutra_calloc(balancers + 1, sizeof(*s->balancers));
	s->caches = sutra_calloc(caches + 1, sizeof(*s->caches));
	if (!s->services || !s->balancers || !s->caches) {
		sutra_snapshot_unref(s);
		return NULL;
	}
	s->n_services = services;
	s->n_balancers = balancers;
	s->n_caches = caches;
	for (size_t i = 0; i < services; i++)
		service_unknown(&s->services[i]);
	for (size_t i = 0; i < balancers; i++)
		s->balancers[i].balance = -1;
	for (size_t i = 0; i < caches; i++)
		cache_unknown(&s->caches[i]);
	return s;
}

struct sutra_snapshot *sutra_snapshot_ref(struct sutra_snapshot *s)
{
	if (s)
		atomic_fetch_add(&s->refs, 1);
	return s;
}

void sutra_snapshot_unref(struct sutra_snapshot *s)
{
	if (!s || atomic_fetch_sub(&s->refs, 1) > 1)
		return;
	for (size_t i = 0; i < s->n_balancers; i++)
		sutra_free(s->balancers[i].replicas);
	for (size_t i = 0; i < s->n_caches; i++)
		sutra_free(s->caches[i].minutes);
	sutra_free(s->services);
	sutra_free(s->balancers);
	sutra_free(s->caches);
	sutra_free(s->events);
	sutra_free(s);
}

int sutra_snapshot_replicas(struct sutra_snap_balancer *b, size_t n)
{
	struct sutra_snap_replica *r = sutra_calloc(n + 1, sizeof(*r));

	if (!r)
		return SUTRA_E_NOMEM;
	for (size_t i = 0; i < n; i++)
		r[i].rate = r[i].error_rate = r[i].recent = r[i].share = -1;
	sutra_free(b->replicas);
	b->replicas = r;
	b->n = n;
	return 0;
}

int sutra_snapshot_events(struct sutra_snapshot *s, size_t n)
{
	struct sutra_snap_event *e = sutra_calloc(n + 1, sizeof(*e));

	if (!e)
		return SUTRA_E_NOMEM;
	sutra_free(s->events);
	s->events = e;
	s->n_events = 0;
	return 0;
}

const struct sutra_snap_balancer *sutra_snapshot_balancer(const struct sutra_snapshot *s, const char *service)
{
	for (size_t i = 0; s && i < s->n_balancers; i++)
		if (!strcmp(s->balancers[i].service, service))
			return &s->balancers[i];
	return NULL;
}

const struct sutra_snap_cache *sutra_snapshot_cache(const struct sutra_snapshot *s, const char *service)
{
	for (size_t i = 0; s && i < s->n_caches; i++)
		if (!strcmp(s->caches[i].service, service))
			return &s->caches[i];
	return NULL;
}

const struct sutra_snap_service *sutra_snapshot_service(const struct sutra_snapshot *s, const char *name)
{
	for (size_t i = 0; s && i < s->n_services; i++)
		if (!strcmp(s->services[i].name, name))
			return &s->services[i];
	return NULL;
}

int sutra_snapshot_keep_balancer(struct sutra_snap_balancer *b, const struct sutra_snapshot *before)
{
	const struct sutra_snap_balancer *old = sutra_snapshot_balancer(before, b->service);

	if (!old || !old->at_us)
		return 0;
	if (sutra_snapshot_replicas(b, old->n))
		return SUTRA_E_NOMEM;
	memcpy(b->replicas, old->replicas, old->n * sizeof(*b->replicas));
	memcpy(b->algorithm, old->algorithm, sizeof(b->algorithm));
	b->at_us = old->at_us;
	b->balance = old->balance;
	return 0;
}

void sutra_snapshot_keep_counters(struct sutra_snap_cache *c, const struct sutra_snapshot *before)
{
	const struct sutra_snap_cache *old = sutra_snapshot_cache(before, c->service);

	if (!old)
		return;
	c->at_us = old->at_us;
	c->l1_hits = old->l1_hits;
	c->l2_hits = old->l2_hits;
	c->misses = old->misses;
	c->texts = old->texts;
	c->requests = old->requests;
	c->errors = old->errors;
	c->coalesced = old->coalesced;
	c->l2_errors = old->l2_errors;
	c->clears = old->clears;
	c->texts_rate = old->texts_rate;
	c->requests_rate = old->requests_rate;
	c->error_rate = old->error_rate;
}

int sutra_snapshot_keep_detail(struct sutra_snap_cache *c, const struct sutra_snapshot *before)
{
	const struct sutra_snap_cache *old = sutra_snapshot_cache(before, c->service);
	struct sutra_snap_minute *minutes = NULL;

	if (!old || !old->detail_at_us)
		return 0;
	if (old->n_minutes) {
		minutes = sutra_memdup(old->minutes, old->n_minutes * sizeof(*minutes));
		if (!minutes)
			return SUTRA_E_NOMEM;
	}
	memcpy(c->shard, old->shard, sizeof(c->shard));
	c->detail_at_us = old->detail_at_us;
	c->enabled = old->enabled;
	c->l2_enabled = old->l2_enabled;
	c->l1_size = old->l1_size;
	c->l1_max = old->l1_max;
	c->l1_evictions = old->l1_evictions;
	c->ttl_seconds = old->ttl_seconds;
	c->l1_p50_us = old->l1_p50_us;
	c->l1_p99_us = old->l1_p99_us;
	c->l2_p50_us = old->l2_p50_us;
	c->l2_p99_us = old->l2_p99_us;
	c->minutes = minutes;
	c->n_minutes = old->n_minutes;
	sutra_snapshot_keep_l2(c, before);
	return 0;
}

void sutra_snapshot_keep_l2(struct sutra_snap_cache *c, const struct sutra_snapshot *before)
{
	const struct sutra_snap_cache *old = sutra_snapshot_cache(before, c->service);

	if (!old)
		return;
	c->l2_at_us = old->l2_at_us;
	c->l2_size = old->l2_size;
	c->l2_max = old->l2_max;
	c->l2_evictions = old->l2_evictions;
	c->l2_expired = old->l2_expired;
}

/* What was added to a counter; one that went back began again at 0. */
static double grown(int64_t now, int64_t before)
{
	return now < 0 || before < 0 ? 0 : (double)(now >= before ? now - before : now);
}

static double seconds_between(int64_t now_us, int64_t before_us)
{
	return before_us ? (double)(now_us - before_us) / 1e6 : 0;
}

static void service_rates(struct sutra_snap_service *s, const struct sutra_snap_service *old)
{
	double s_between = old ? seconds_between(s->at_us, old->at_us) : 0;

	if (s_between > 0 && s->cpu_us >= 0 && old->cpu_us >= 0)
		s->cpu_percent = s->pid == old->pid ? grown(s->cpu_us, old->cpu_us) / s_between / 1e4 : -1;
}

const struct sutra_snap_replica *sutra_snapshot_replica(const struct sutra_snap_balancer *b, const char *name)
{
	for (size_t i = 0; b && i < b->n; i++)
		if (!strcmp(b->replicas[i].name, name))
			return &b->replicas[i];
	return NULL;
}

/* Shares since the start to begin with, weighing less than a single new request. */
static void begin_shares(struct sutra_snap_balancer *b)
{
	double all = 0;

	for (size_t i = 0; i < b->n; i++)
		all += b->replicas[i].total > 0 ? (double)b->replicas[i].total : 0;
	for (size_t i = 0; i < b->n; i++)
		b->replicas[i].recent = all > 0 ? grown(b->replicas[i].total, 0) / all : 0;
}

/* Jain's index: (sum x)^2 / (n sum x^2), 1 when all get the same, 1/n when one gets all. */
static void judge_balance(struct sutra_snap_balancer *b)
{
	double all = 0, sum = 0, squares = 0;
	size_t up = 0;

	for (size_t i = 0; i < b->n; i++) {
		const struct sutra_snap_replica *r = &b->replicas[i];

		all += r->recent;
		sum += r->up ? r->recent : 0;
		squares += r->up ? r->recent * r->recent : 0;
		up += r->up;
	}
	b->balance = up && squares > 0 ? sum * sum / ((double)up * squares) : -1;
	for (size_t i = 0; i < b->n; i++) {
		struct sutra_snap_replica *r = &b->replicas[i];

		r->share = all > 0 ? r->recent / all : -1;
		r->skewed = r->up && sum >= MIN_REQUESTS &&
			    fabs(r->recent - sum / (double)up) > SKEWED * sum / (double)up;
	}
}

static void balancer_rates(struct sutra_snap_balancer *b, const struct sutra_snap_balancer *old)
{
	double s = old ? seconds_between(b->at_us, old->at_us) : 0;

	if (old && s <= 0)	/* the figures kept from before */
		return;
	if (!old || !old->n)
		begin_shares(b);
	for (size_t i = 0; i < b->n && old && old->n; i++) {
		struct sutra_snap_replica *r = &b->replicas[i];
		const struct sutra_snap_replica *was = sutra_snapshot_replica(old, r->name);
		double more = was ? grown(r->total, was->total) : 0;

		r->recent = (was ? was->recent : 0) * exp(-s / FADE_S) + more;
		r->rate = was ? more / s : -1;
		r->error_rate = was ? grown(r->errors, was->errors) / s : -1;
	}
	judge_balance(b);
}

static void cache_rates(struct sutra_snap_cache *c, const struct sutra_snap_cache *old)
{
	double s = old ? seconds_between(c->at_us, old->at_us) : 0;

	if (s <= 0)
		return;
	c->texts_rate = grown(c->texts, old->texts) / s;
	c->requests_rate = grown(c->requests, old->requests) / s;
	c->error_rate = grown(c->errors, old->errors) / s;
}

void sutra_snapshot_rates(struct sutra_snapshot *now, const struct sutra_snapshot *before)
{
	for (size_t i = 0; i < now->n_services; i++)
		service_rates(&now->services[i], sutra_snapshot_service(before, now->services[i].name));
	for (size_t i = 0; i < now->n_balancers; i++)
		balancer_rates(&now->balancers[i], sutra_snapshot_balancer(before, now->balancers[i].service));
	for (size_t i = 0; i < now->n_caches; i++)
		cache_rates(&now->caches[i], sutra_snapshot_cache(before, now->caches[i].service));
}

bool sutra_snapshot_stale(const struct sutra_snapshot *s, int64_t at_us, int64_t now_us)
{
	/* Half a period more, so that the sample which is just under way is not missed. */
	return (double)(now_us - at_us) / 1e6 > 2.5 * (s->interval_s > 0 ? s->interval_s : 1);
}
