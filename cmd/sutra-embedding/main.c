/*
 * sutra-embedding - the gateway: texts in, vectors out, from memory, the cache shard or ml-base.
 *
 * TERM: unhealthy, finish, exit 0. HUP: finish, keep the listening sockets, run again.
 */
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/setting.h"
#include "base/shown.h"
#include "base/version.h"
#include "gateway.h"
#include "daemon/service.h"

#define FIELD(f) offsetof(struct gw_settings, f)
#define GRACE_NS 15000000000u
#define MODEL_WAIT_NS 3000000000u

static const struct sutra_setting_use settings[] = {
	{ "ML_BASE_URL", FIELD(ml_base_url), NULL },
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

static const struct sutra_http_route routes[] = {
	{ "POST", "/embed", .handler = gw_embed },
	{ "POST", "/v1/embeddings", .handler = gw_openai },
	{ "GET", "/v1/models", .handler = gw_models },
	{ "GET", "/cache/stats", .handler = gw_cache_stats },
	{ "GET", "/cache/clear", .handler = gw_cache_clear },
	{ "POST", "/cache/clear", .handler = gw_cache_clear },
	{ "DELETE", "/cache", .handler = gw_cache_clear },
	{ "POST", "/cache/warm", .handler = gw_cache_warm },
	{ "POST", "/cache/invalidate", .handler = gw_cache_invalidate },
	{ "GET", "/health", .handler = gw_health },
	{ "GET", "/ready", .handler = gw_ready },
	{ "GET", "/metrics", .handler = gw_metrics },
	{ 0 },
};

static int open_gateway(struct gateway *g, struct sutra_err *err)
{
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
	int rc;

	if (s->tenants_file)
		return sutra_fail(err, SUTRA_E_SETTING,
				  "SUTRA_TENANTS_FILE is \"%s\", but tenants are not in this version; unset it",
				  s->tenants_file);
	pthread_mutex_init(&g->model_lock, NULL);
	sutra_clock_cond_init(&g->model_known);
	rc = sutra_cache_new(&o, &g->cache, err);
	return rc ? rc : upstream_new(g, &g->upstream, err);
}

/* One point of history a minute. */
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

static int serve(struct gateway *g, char **argv, struct sutra_err *err)
{
	const struct sutra_http_options o = {
		.service = "embedding",
		.listen = sutra_listen_for((int)g->settings.port),
		.routes = routes,
		.max_held = (size_t)g->settings.bodies_mb << 20,
		.allowed_hosts = g->settings.allowed_hosts,
		.draining = sutra_service_draining,
		.noticed = sutra_service_noticed,
		.ctx = g,
	};
	struct sutra_http_server *server;
	pthread_t ticker;
	const int *fds;
	int rc;

	/* After a restart in place callers wait in the backlog: better a moment there than a 503. */
	gw_model_wait(g, MODEL_WAIT_NS);
	rc = sutra_http_server_start(&o, &server, err);

	if (rc)
		return rc;
	if (!pthread_create(&ticker, NULL, tick, g))
		pthread_detach(ticker);
	sutra_log(SUTRA_INFO, "gateway", "listening", "addr=%s ml_base=%s dimension=%lld cache=%s",
		  sutra_http_server_address(server), g->settings.ml_base_url, (long long)g->settings.dimension,
		  g->settings.cache_enabled ? "on" : "off");
	if (sutra_service_wait() == SUTRA_SIG_RESTART) {
		sutra_log(SUTRA_INFO, "gateway", "restarting", NULL);
		sutra_http_server_pause(server, GRACE_NS);
		sutra_cache_flush(g->cache, GRACE_NS);
		rc = sutra_http_server_sockets(server, &fds);
		return sutra_service_reexec(fds, rc, argv, err);
	}
	atomic_store(&g->stopping, true);
	sutra_log(SUTRA_INFO, "gateway", "stopping", "requests=%u", sutra_http_server_active(server));
	sutra_http_server_stop(server, GRACE_NS);
	sutra_cache_flush(g->cache, GRACE_NS);
	/* Detached threads and late answers may still use the cache: the process ends as it is. */
	_exit(0);
}

static int usage(FILE *out, int code)
{
	fputs("usage: sutra-embedding [--settings | --version | --help]\n"
	      "the embedding gateway on port 8888; configured by environment variables\n",
	      out);
	return code;
}

int main(int argc, char **argv)
{
	static struct gateway g;
	struct sutra_err err = { 0 };
	int rc;

	if (argc > 1 && !strcmp(argv[1], "--settings"))
		return sutra_settings_print(settings, stdout), 0;
	if (argc > 1 && !strcmp(argv[1], "--version"))
		return puts("sutra-embedding " SUTRA_VERSION) < 0;
	if (argc > 1)
		return strcmp(argv[1], "--help") && strcmp(argv[1], "-h") ? usage(stderr, 2) :
									    usage(stdout, 0);
	rc = sutra_service_init("embedding", &err);
	rc = rc ? rc : sutra_settings_load(settings, &g.settings, &err);
	rc = rc ? rc : open_gateway(&g, &err);
	rc = rc ? rc : serve(&g, argv, &err);
	sutra_shown_printf(stderr, "sutra-embedding: %s%s%s\n", err.message, *err.hint ? "; " : "", err.hint);
	return sutra_err_exit(rc);
}
