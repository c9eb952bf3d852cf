/*
 * sutra-embedding - the gateway: texts in, vectors out, from memory, the cache shard or ml-base.
 */
#include <stddef.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/daemon.h"
#include "gateway.h"

#define FIELD(f) offsetof(struct gateway, settings.f)
#define GRACE_NS 15000000000u
#define MODEL_WAIT_NS 3000000000u

static const struct sutra_setting_use settings[] = {
	{ "ML_BASE_URL", FIELD(ml_base_url), NULL },
	{ "ML_BASE_TIMEOUT_SECONDS", FIELD(ml_base_ns), NULL },
	{ "MATRYOSHKA_DIM", FIELD(dimension), NULL },
	{ "SUTRA_CACHE_ENABLED", FIELD(cache_enabled), NULL },
	{ "L1_CACHE_SIZE", FIELD(l1_entries), NULL },
	{ "CACHE_SHARD_HOST", FIELD(shard_host), NULL },
	{ "CACHE_SHARD_PORT", FIELD(shard_port), NULL },
	{ "CACHE_TIMEOUT_MS", FIELD(cache_timeout_ms), NULL },
	{ "DEFAULT_TTL_SECONDS", FIELD(ttl_seconds), NULL },
	{ "EMBEDDING_PORT", FIELD(port), NULL },
	{ "INSTANCE_ID", FIELD(instance_id), "embedding" },
	{ "SUTRA_TENANTS_FILE", FIELD(tenants_file), NULL },
	{ "HTTP_BODIES_MB", FIELD(bodies_mb), NULL },
	{ "SUTRA_ALLOWED_HOSTS", FIELD(allowed_hosts), NULL },
	{ 0 },
};

/* Adds a point to the cache's history each minute. */
static void *tick(void *arg)
{
	struct gateway *g = arg;
	struct timespec minute = { .tv_sec = 60 };

	for (;;) {
		clock_nanosleep(CLOCK_MONOTONIC, 0, &minute, NULL);
		sutra_cache_tick(g->cache);
	}
	return NULL;
}

static int open_gateway(void *ctx, struct sutra_err *err)
{
	struct gateway *g = ctx;
	const struct gw_settings *s = &g->settings;
	const struct sutra_cache_options o = {
		.enabled = s->cache_enabled,
		.l1_entries = (size_t)s->l1_entries,
		.l2_host = s->shard_host,
		.l2_port = (int)s->shard_port,
		.l2_timeout_ns = (uint64_t)s->cache_timeout_ms * 1000000u,
		.ttl_seconds = (uint64_t)s->ttl_seconds,
		.dimension = (uint32_t)s->dimension,
		.upstream = upstream_embed,
		.ctx = g,
	};
	pthread_t ticker;
	int rc;

	if (s->tenants_file)
		return sutra_fail(err, SUTRA_E_SETTING,
				  "SUTRA_TENANTS_FILE is \"%s\", but tenants are not in this version; unset it",
				  s->tenants_file);
	pthread_mutex_init(&g->model_lock, NULL);
	sutra_clock_cond_init(&g->model_known);
	rc = sutra_cache_new(&o, &g->cache, err);
	rc = rc ? rc : upstream_new(g, &g->upstream, err);
	if (rc)
		return rc;
	if (!pthread_create(&ticker, NULL, tick, g))
		pthread_detach(ticker);
	/* After a restart in place, connections wait in the backlog meanwhile; else they would get 503. */
	gw_model_wait(g, MODEL_WAIT_NS);
	return 0;
}

static void listening(void *ctx, const char *address)
{
	const struct gateway *g = ctx;

	sutra_log(SUTRA_INFO, "gateway", "listening", "addr=%s ml_base=%s dimension=%lld cache=%s", address,
		  g->settings.ml_base_url, (long long)g->settings.dimension, g->settings.cache_enabled ? "on" : "off");
}

static void flush(void *ctx) { sutra_cache_flush(((struct gateway *)ctx)->cache, GRACE_NS); }

int main(int argc, char **argv)
{
	static struct gateway g;
	const struct sutra_daemon d = {
		.name = "embedding",
		.area = "gateway",
		.help = "the embedding gateway on port 8888",
		.settings = settings,
		.ctx = &g,
		.port = &g.settings.port,
		.bodies_mb = &g.settings.bodies_mb,
		.allowed_hosts = &g.settings.allowed_hosts,
		.grace_ns = GRACE_NS,
		.routes = gw_routes,
		.open = open_gateway,
		.listening = listening,
		.health = gw_health,
		.metrics = gw_metrics,
		.flush = flush,
	};

	return sutra_daemon_main(&d, argc, argv);
}
