#include "probe/snapshot.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"

#define DECAY_S 60.0		/* time constant of `recent` */
#define SKEWED 0.25		/* a replica that differs from an equal share by more is flagged */
#define MIN_REQUESTS 20.0	/* with fewer recent requests nothing is flagged */

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
	b->n_replicas = n;
	return 0;
}

/* The item of that name, which is its first member, of n items of `size` bytes; NULL: none. */
static const void *find(const void *items, size_t n, size_t size, const char *name)
{
	for (const char *item = items; n--; item += size)
		if (!strcmp(item, name))
			return item;
	return NULL;
}

const struct sutra_snap_balancer *sutra_snapshot_balancer(const struct sutra_snapshot *s, const char *service)
{
	return s ? find(s->balancers, s->n_balancers, sizeof(*s->balancers), service) : NULL;
}

const struct sutra_snap_cache *sutra_snapshot_cache(const struct sutra_snapshot *s, const char *service)
{
	return s ? find(s->caches, s->n_caches, sizeof(*s->caches), service) : NULL;
}

const struct sutra_snap_replica *sutra_snapshot_replica(const struct sutra_snap_balancer *b, const char *name)
{
	return find(b->replicas, b->n_replicas, sizeof(*b->replicas), name);
}

const struct sutra_snap_service *sutra_snapshot_service(const struct sutra_snapshot *s, const char *name)
{
	return s ? find(s->services, s->n_services, sizeof(*s->services), name) : NULL;
}

int sutra_snapshot_keep_balancer(struct sutra_snap_balancer *b, const struct sutra_snapshot *before)
{
	const struct sutra_snap_balancer *old = sutra_snapshot_balancer(before, b->service);
	struct sutra_snap_replica *replicas;

	if (!old)
		return 0;
	replicas = sutra_memdup(old->replicas, old->n_replicas * sizeof(*replicas));
	if (!replicas)
		return SUTRA_E_NOMEM;
	*b = *old;
	b->replicas = replicas;
	b->trouble[0] = '\0';
	return 0;
}

int sutra_snapshot_keep_cache(struct sutra_snap_cache *c, const struct sutra_snapshot *before)
{
	const struct sutra_snap_cache *old = sutra_snapshot_cache(before, c->service);
	struct sutra_snap_minute *minutes;

	if (!old)
		return 0;
	minutes = sutra_memdup(old->minutes, old->n_minutes * sizeof(*minutes));
	if (!minutes)
		return SUTRA_E_NOMEM;
	*c = *old;
	c->minutes = minutes;
	c->trouble[0] = '\0';
	return 0;
}

/* The growth of a counter; one that decreased was reset to 0. */
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

/* The first shares are those since the start; together they weigh as much as one new request. */
static void begin_shares(struct sutra_snap_balancer *b)
{
	double all = 0;

	for (size_t i = 0; i < b->n_replicas; i++)
		all += b->replicas[i].total > 0 ? (double)b->replicas[i].total : 0;
	for (size_t i = 0; i < b->n_replicas; i++)
		b->replicas[i].recent = all > 0 ? grown(b->replicas[i].total, 0) / all : 0;
}

/* Jain's index: (sum x)^2 / (n sum x^2); 1: all get the same, 1/n: one gets all. */
static void judge_balance(struct sutra_snap_balancer *b)
{
	double all = 0, sum = 0, squares = 0;
	size_t up = 0;

	for (size_t i = 0; i < b->n_replicas; i++) {
		const struct sutra_snap_replica *r = &b->replicas[i];

		all += r->recent;
		sum += r->up ? r->recent : 0;
		squares += r->up ? r->recent * r->recent : 0;
		up += r->up;
	}
	b->balance = up && squares > 0 ? sum * sum / ((double)up * squares) : -1;
	for (size_t i = 0; i < b->n_replicas; i++) {
		struct sutra_snap_replica *r = &b->replicas[i];

		r->share = all > 0 ? r->recent / all : -1;
		r->skewed = r->up && sum >= MIN_REQUESTS &&
			    fabs(r->recent - sum / (double)up) > SKEWED * sum / (double)up;
	}
}

static void balancer_rates(struct sutra_snap_balancer *b, const struct sutra_snap_balancer *old)
{
	double s = old ? seconds_between(b->at_us, old->at_us) : 0;

	if (old && s <= 0)	/* the figures are those of before */
		return;
	if (!old || !old->n_replicas)
		begin_shares(b);
	for (size_t i = 0; i < b->n_replicas && old && old->n_replicas; i++) {
		struct sutra_snap_replica *r = &b->replicas[i];
		const struct sutra_snap_replica *was = sutra_snapshot_replica(old, r->name);
		double more = was ? grown(r->total, was->total) : 0;

		r->recent = (was ? was->recent : 0) * exp(-s / DECAY_S) + more;
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
	/* Half an interval more, for the sample that is being taken. */
	return (double)(now_us - at_us) / 1e6 > 2.5 * (s->interval_s > 0 ? s->interval_s : 1);
}
