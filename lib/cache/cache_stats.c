/* The cache in figures: /cache/stats, Prometheus, history. */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/jsonio.h"
#include "cache/cache_private.h"

static unsigned long long get(const struct sutra_cache *c, int metric)
{
	return (unsigned long long)sutra_metric_get(&c->metrics[metric]);
}

static double rate(unsigned long long hits, unsigned long long all)
{
	return all ? (double)hits / (double)all : 0;
}

static void add_latency(struct sutra_buf *b, const struct sutra_histogram *h)
{
	sutra_buf_addf(b, "\"latency_us\":{\"p50\":%.2f,\"p99\":%.2f}",
		       (double)sutra_histogram_quantile(h, 0.5) / 1e3,
		       (double)sutra_histogram_quantile(h, 0.99) / 1e3);
}

static void add_l1(struct sutra_cache *c, struct sutra_buf *b)
{
	unsigned long long all = get(c, M_REQUESTS), hits = get(c, M_L1_HITS);
	struct sutra_l1_stats s;

	sutra_l1_stats(c->l1, &s);
	sutra_buf_addf(b,
		       "\"l1\":{\"size\":%llu,\"max_size\":%llu,\"utilization\":%.4f,\"hits\":%llu,"
		       "\"misses\":%llu,\"hit_rate\":%.4f,\"evictions\":%llu,\"expired\":%llu,",
		       (unsigned long long)s.size, (unsigned long long)s.max_size, rate(s.size, s.max_size), hits,
		       all > hits ? all - hits : 0, rate(hits, all), (unsigned long long)s.evictions,
		       (unsigned long long)s.expired);
	add_latency(b, c->l1_times);
	sutra_buf_addc(b, '}');
}

static unsigned long long shard_figure(const json_t *stats, const char *key)
{
	return (unsigned long long)json_integer_value(json_object_get(stats, key));
}

/* stats: the shard's own figures, or NULL while it does not answer. */
static void add_l2(struct sutra_cache *c, struct sutra_buf *b, const json_t *stats)
{
	unsigned long long hits = get(c, M_L2_HITS), misses = get(c, M_L2_MISSES);

	sutra_buf_addf(b,
		       "\"l2\":{\"enabled\":%s,\"up\":%s,\"backend\":\"sutra_storage\",\"shard\":\"%s\","
		       "\"size\":%llu,\"max_size\":%llu,\"hits\":%llu,\"misses\":%llu,\"hit_rate\":%.4f,"
		       "\"expired\":%llu,\"evictions\":%llu,\"errors\":%llu,\"writes\":%llu,\"write_errors\":%llu,",
		       c->l2 ? "true" : "false", stats ? "true" : "false", c->shard,
		       shard_figure(stats, "concepts"), shard_figure(stats, "max_concepts"), hits, misses,
		       rate(hits, hits + misses), shard_figure(stats, "expired"),
		       shard_figure(stats, "evictions"), get(c, M_L2_ERRORS), get(c, M_L2_WRITES),
		       get(c, M_L2_WRITE_ERRORS));
	add_latency(b, c->l2_times);
	sutra_buf_addc(b, '}');
}

/* [{"t":..,"l1":..,"l2":..,"miss":..},...], oldest first. */
static void add_history(struct history *h, struct sutra_buf *b)
{
	pthread_mutex_lock(&h->lock);
	sutra_buf_addc(b, '[');
	for (size_t i = 0; i < h->n; i++) {
		const struct point *p = &h->points[(h->at + HISTORY_POINTS - h->n + i) % HISTORY_POINTS];

		sutra_buf_addf(b, "%s{\"t\":%lld,\"l1\":%llu,\"l2\":%llu,\"miss\":%llu}", i ? "," : "",
			       (long long)p->unix_s, (unsigned long long)p->l1, (unsigned long long)p->l2,
			       (unsigned long long)p->miss);
	}
	sutra_buf_addc(b, ']');
	pthread_mutex_unlock(&h->lock);
}

static void build(struct sutra_cache *c, struct sutra_buf *b, const json_t *shard)
{
	unsigned long long all = get(c, M_REQUESTS), hits = get(c, M_L1_HITS) + get(c, M_L2_HITS);

	sutra_buf_addf(b, "{\"enabled\":%s,", c->o.enabled ? "true" : "false");
	add_l1(c, b);
	sutra_buf_addc(b, ',');
	add_l2(c, b, shard);
	sutra_buf_addf(b,
		       ",\"total\":{\"requests\":%llu,\"hits\":%llu,\"misses\":%llu,\"hit_rate\":%.4f,"
		       "\"backend\":\"100%% Sutra Native\"},\"coalesced\":%llu,\"upstream_requests\":%llu,"
		       "\"ttl_seconds\":%llu,\"history\":",
		       all, hits, get(c, M_MISSES), rate(hits, all), get(c, M_COALESCED), get(c, M_UPSTREAM),
		       (unsigned long long)c->o.ttl_seconds);
	add_history(&c->history, b);
	sutra_buf_adds(b, "}\n");
}

struct stats_call {
	struct sutra_cache *cache;
	void (*done)(void *user, struct sutra_buf *json);
	void *user;
};

static void finish(struct stats_call *call, const json_t *shard)
{
	struct sutra_buf b;

	sutra_buf_init(&b, 1 << 20);
	build(call->cache, &b, shard);
	call->done(call->user, &b);
	sutra_buf_release(&b);
	sutra_free(call);
}

static void got_stats(void *user, int code, const struct sutra_message *answer)
{
	json_t *shard = NULL;

	if (!code)
		sutra_json_parse(answer->json, answer->json_len, &shard, NULL);
	finish(user, shard);
	json_decref(shard);
}

void sutra_cache_stats(struct sutra_cache *c, void (*done)(void *user, struct sutra_buf *json),
		       void *user)
{
	struct stats_call *call = sutra_alloc(sizeof(*call));

	if (!call) {
		struct sutra_buf none = { .error = SUTRA_E_NOMEM };

		done(user, &none);
		return;
	}
	*call = (struct stats_call){ c, done, user };
	if (c->l2)
		sutra_store_call(c->l2, &(struct sutra_message){ .op = SUTRA_OP_GET_STATS }, got_stats, call);
	else
		finish(call, NULL);
}

void sutra_cache_tick(struct sutra_cache *c)
{
	const struct point now = { sutra_clock_wall_us() / 1000000, get(c, M_L1_HITS), get(c, M_L2_HITS),
				   get(c, M_MISSES) };
	struct history *h = &c->history;

	pthread_mutex_lock(&h->lock);
	h->points[h->at] = (struct point){ now.unix_s, now.l1 - h->last.l1, now.l2 - h->last.l2,
					   now.miss - h->last.miss };
	h->last = now;
	h->at = (h->at + 1) % HISTORY_POINTS;
	h->n += h->n < HISTORY_POINTS;
	pthread_mutex_unlock(&h->lock);
}

void sutra_cache_prometheus(struct sutra_cache *c, struct sutra_buf *out)
{
	static const struct sutra_metric_row rows[M_COUNT] = {
#define X(sym, name, type, help) { name, SUTRA_##type, help },
		CACHE_METRICS(X)
#undef X
	};

	sutra_metrics_prometheus(rows, c->metrics, M_COUNT, out);
}
