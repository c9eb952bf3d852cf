#include "probe/trend.h"

#include <string.h>

#include "base/alloc.h"
#include "base/str.h"

enum { POINTS = 901 };

struct point {
	int64_t time_us;
	struct sutra_hits hits;	/* since the first point */
	double lines[SUTRA_TREND_LINES_];
};

struct gateway {
	char name[64];
	int64_t l1, l2, misses;
};

struct sutra_trend {
	struct point points[POINTS];
	size_t first, n;
	struct gateway *gateways;
	size_t n_gateways;
	struct sutra_snap_minute *minutes;	/* of all gateways, from before the first point */
	size_t n_minutes;
	int64_t born_us;	/* when the oldest gateway started */
};

struct sutra_trend *sutra_trend_new(void) { return sutra_calloc(1, sizeof(struct sutra_trend)); }

static void clear(struct sutra_trend *t)
{
	sutra_free(t->gateways);
	sutra_free(t->minutes);
	memset(t, 0, sizeof(*t));
}

void sutra_trend_free(struct sutra_trend *t)
{
	if (!t)
		return;
	clear(t);
	sutra_free(t);
}

static const struct point *at(const struct sutra_trend *t, size_t i)
{
	return &t->points[(t->first + i) % POINTS];
}

static struct gateway *gateway_of(struct sutra_trend *t, const struct sutra_snap_cache *c)
{
	struct gateway *grown;

	for (size_t i = 0; i < t->n_gateways; i++)
		if (!strcmp(t->gateways[i].name, c->service))
			return &t->gateways[i];
	grown = sutra_realloc_array(t->gateways, t->n_gateways + 1, sizeof(*grown));
	if (!grown)
		return NULL;	/* a later snapshot adds it */
	t->gateways = grown;
	t->gateways[t->n_gateways] = (struct gateway){ .l1 = c->l1_hits, .l2 = c->l2_hits, .misses = c->misses };
	memcpy(t->gateways[t->n_gateways].name, c->service, sizeof(c->service));
	return &t->gateways[t->n_gateways++];
}

/* The growth of a counter; one that decreased was reset to 0. */
static int64_t grown(int64_t *seen, int64_t now)
{
	int64_t more = now >= *seen ? now - *seen : now;

	*seen = now;
	return more;
}

static void add(struct sutra_hits *h, int64_t l1, int64_t l2, int64_t misses)
{
	h->l1 += (double)l1;
	h->l2 += (double)l2;
	h->misses += (double)misses;
}

static double or_zero(double v) { return v > 0 ? v : 0; }

static void add_gateway(struct sutra_trend *t, const struct sutra_snapshot *s, const struct sutra_snap_cache *c,
			struct point *p)
{
	const struct sutra_snap_service *service = sutra_snapshot_service(s, c->service);
	struct gateway *g = c->at_us ? gateway_of(t, c) : NULL;

	if (service && service->latency_ms > p->lines[SUTRA_TREND_PROBE_MS])
		p->lines[SUTRA_TREND_PROBE_MS] = service->latency_ms;
	if (!g)
		return;
	add(&p->hits, grown(&g->l1, c->l1_hits), grown(&g->l2, c->l2_hits), grown(&g->misses, c->misses));
	if (c->texts_rate < 0 || sutra_snapshot_stale(s, c->at_us, s->time_us))
		return;
	p->lines[SUTRA_TREND_TEXTS] = or_zero(p->lines[SUTRA_TREND_TEXTS]) + c->texts_rate;
	p->lines[SUTRA_TREND_REQUESTS] = or_zero(p->lines[SUTRA_TREND_REQUESTS]) + c->requests_rate;
	p->lines[SUTRA_TREND_ERRORS] = or_zero(p->lines[SUTRA_TREND_ERRORS]) + c->error_rate;
}

/* HAProxy keeps the last mean when no requests come; then the line has no value. */
static double mean_of(const struct sutra_snapshot *s)
{
	double weighed = 0, rates = 0;

	for (size_t b = 0; b < s->n_balancers; b++) {
		if (sutra_snapshot_stale(s, s->balancers[b].at_us, s->time_us))
			continue;
		for (size_t i = 0; i < s->balancers[b].n_replicas; i++) {
			const struct sutra_snap_replica *r = &s->balancers[b].replicas[i];

			if (r->rate > 0 && r->mean_ms >= 0 && !sutra_snapshot_cache(s, r->name)) {
				weighed += r->rate * (double)r->mean_ms;
				rates += r->rate;
			}
		}
	}
	return rates > 0 ? weighed / rates : -1;
}

/* The minutes that the gateways kept before the first point. */
static void copy_minutes(struct sutra_trend *t, const struct sutra_snapshot *s)
{
	size_t n = 0;

	t->born_us = s->time_us - sutra_whole(sutra_trend_total(s).seconds * 1e6);
	for (size_t c = 0; c < s->n_caches; c++)
		n += s->caches[c].n_minutes;
	t->minutes = sutra_calloc(n + 1, sizeof(*t->minutes));
	for (size_t c = 0; c < s->n_caches && t->minutes; c++)
		for (size_t i = 0; i < s->caches[c].n_minutes; i++)
			if (s->caches[c].minutes[i].unix_s > s->time_us / 1000000 - 1000)
				t->minutes[t->n_minutes++] = s->caches[c].minutes[i];
}

void sutra_trend_add(struct sutra_trend *t, const struct sutra_snapshot *s)
{
	const struct point *last = t->n ? at(t, t->n - 1) : NULL;
	struct point p = { .time_us = s->time_us };

	if (last && s->time_us <= last->time_us) {
		clear(t);
		last = NULL;
	}
	if (last)
		p.hits = last->hits;
	for (size_t i = 0; i < SUTRA_TREND_LINES_; i++)
		p.lines[i] = -1;
	for (size_t i = 0; i < s->n_caches; i++)
		add_gateway(t, s, &s->caches[i], &p);
	p.lines[SUTRA_TREND_MEAN_MS] = mean_of(s);
	if (!last)
		copy_minutes(t, s);
	/* With several samples a second the newest replaces the last, so that 15 minutes fit. */
	if (t->n >= 2 && p.time_us - at(t, t->n - 2)->time_us < 1000000)
		t->n--;
	if (t->n == POINTS) {
		t->first = (t->first + 1) % POINTS;
		t->n--;
	}
	t->points[(t->first + t->n++) % POINTS] = p;
}

/* The last point at or before us; NULL: none. */
static const struct point *point_before(const struct sutra_trend *t, int64_t us)
{
	size_t low = 0, high = t->n;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (at(t, mid)->time_us <= us)
			low = mid + 1;
		else
			high = mid;
	}
	return low ? at(t, low - 1) : NULL;
}

static struct sutra_hits between(const struct point *a, const struct point *b)
{
	return (struct sutra_hits){ b->hits.l1 - a->hits.l1, b->hits.l2 - a->hits.l2, b->hits.misses - a->hits.misses,
				    (double)(b->time_us - a->time_us) / 1e6 };
}

/* Adds the minutes before the first point, from half a minute before from_us on. */
static void add_minutes(const struct sutra_trend *t, int64_t from_us, int64_t until_us, struct sutra_hits *h)
{
	int64_t oldest = until_us;

	for (size_t i = 0; i < t->n_minutes; i++) {
		const struct sutra_snap_minute *m = &t->minutes[i];
		int64_t begin_us = (m->unix_s - 60) * 1000000;

		if (begin_us < from_us - 30000000)
			continue;
		add(h, m->l1, m->l2, m->misses);
		oldest = begin_us < oldest ? begin_us : oldest;
	}
	if (oldest < t->born_us && t->born_us < until_us)	/* the first minute is shorter */
		oldest = t->born_us;
	h->seconds += (double)(until_us - oldest) / 1e6;
}

struct sutra_hits sutra_trend_window(const struct sutra_trend *t, double seconds)
{
	const struct point *last = t->n ? at(t, t->n - 1) : NULL, *first;
	struct sutra_hits h;
	int64_t from;

	if (!last)
		return (struct sutra_hits){ 0 };
	from = last->time_us - sutra_whole(seconds * 1e6);
	first = point_before(t, from);
	if (first)
		return between(first, last);
	h = between(at(t, 0), last);
	if (seconds > 60)
		add_minutes(t, from, at(t, 0)->time_us, &h);
	return h;
}

struct sutra_hits sutra_trend_total(const struct sutra_snapshot *s)
{
	struct sutra_hits h = { 0 };

	for (size_t i = 0; i < s->n_caches; i++) {
		const struct sutra_snap_service *service = sutra_snapshot_service(s, s->caches[i].service);

		add(&h, s->caches[i].l1_hits, s->caches[i].l2_hits, s->caches[i].misses);
		if (service && service->uptime_s > h.seconds)
			h.seconds = service->uptime_s;
	}
	return h;
}

/* The sum of all gateways' minutes that include us. */
static struct sutra_hits minutes_at(const struct sutra_trend *t, int64_t us)
{
	struct sutra_hits h = { 0 };

	for (size_t i = 0; i < t->n_minutes; i++) {
		const struct sutra_snap_minute *m = &t->minutes[i];

		if (m->unix_s >= us / 1000000 && m->unix_s - 60 < us / 1000000)
			add(&h, m->l1, m->l2, m->misses);
	}
	return h;
}

void sutra_trend_slots(const struct sutra_trend *t, double slot_seconds, struct sutra_hits *ret, size_t n)
{
	int64_t now = t->n ? at(t, t->n - 1)->time_us : 0, slot = sutra_whole(slot_seconds * 1e6);
	/* Slots begin at multiples of their length, so that a column does not change its slot between samples. */
	int64_t end = slot > 0 ? (now / slot + 1) * slot : 0;

	for (size_t i = 0; i < n; i++) {
		int64_t until = end - (int64_t)(n - 1 - i) * slot;
		const struct point *a = point_before(t, until - slot), *b = point_before(t, until);

		a = a ? a : t->n ? at(t, 0) : NULL;
		if (b)
			ret[i] = b->time_us > a->time_us ? between(a, b) : (struct sutra_hits){ 0 };
		else
			ret[i] = until > t->born_us ? minutes_at(t, until) : (struct sutra_hits){ 0 };
	}
}

void sutra_trend_line(const struct sutra_trend *t, enum sutra_trend_line line, double *ret, size_t n)
{
	for (size_t i = 0; i < n; i++)
		ret[i] = n - i <= t->n ? at(t, t->n - (n - i))->lines[line] : -1;
}
