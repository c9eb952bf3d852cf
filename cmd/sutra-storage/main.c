/*
 * sutra-storage - the storage engine behind TCP. In this version it has one role: cache_shard. It listens after
 * the replay of the log.
 *
 *	sutra-storage --check DIR	read a log, print the number of records and the damage; 1 if there is any
 *	sutra-storage --dump DIR	print a line for each record, and the damage
 */
#include <stddef.h>
#include <string.h>

#include "base/log.h"
#include "daemon/daemon.h"
#include "storage.h"

#define FIELD(f) offsetof(struct storage, settings.f)
#define GRACE_NS 5000000000u

static const struct sutra_setting_use settings[] = {
	{ "SUTRA_ROLE", FIELD(role), NULL },
	{ "STORAGE_PATH", FIELD(path), NULL },
	{ "STORAGE_HOST", FIELD(host), NULL },
	{ "STORAGE_PORT", FIELD(port), NULL },
	{ "MAX_CONCEPTS", FIELD(max_concepts), NULL },
	{ "EVICTION_POLICY", FIELD(eviction), NULL },
	{ "DEFAULT_TTL_SECONDS", FIELD(ttl_seconds), NULL },
	{ "WAL_SYNC", FIELD(wal_sync), NULL },
	{ "WAL_SYNC_INTERVAL_MS", FIELD(sync_interval_ms), NULL },
	{ "MAX_CONNECTIONS", FIELD(max_connections), NULL },
	{ "MAX_CONNECTIONS_PER_PEER", FIELD(max_per_peer), NULL },
	{ "IDLE_TIMEOUT_SECONDS", FIELD(idle_seconds), NULL },
	{ "REQUEST_TIMEOUT_SECONDS", FIELD(request_seconds), NULL },
	{ "VECTOR_DIMENSION", FIELD(dimension), NULL },
	{ "CACHE_MODE", FIELD(cache_mode), NULL },
	{ "MMAP_ENABLED", FIELD(mmap), NULL },
	{ 0 },
};

static int open_engine(struct storage *s, struct sutra_err *err)
{
	const struct sutra_engine_options o = {
		.dir = s->settings.path,
		.max_concepts = (size_t)s->settings.max_concepts,
		.default_ttl_seconds = (uint64_t)s->settings.ttl_seconds,
	};
	int rc = sutra_engine_open(&o, &s->engine, &s->replay, err);

	if (rc)
		return rc;
	sutra_log(SUTRA_INFO, "storage", "replayed", "dir=\"%s\" records=%llu bytes=%llu took_s=%.3f",
		  s->settings.path, (unsigned long long)s->replay.records,
		  (unsigned long long)s->replay.bytes, sutra_daemon_uptime());
	storage_log_damage(&s->replay);
	return 0;
}

static void log_failure(const char *what, const struct sutra_err *why)
{
	sutra_log(SUTRA_ERROR, "storage", what, "reason=\"%s\"", why->message);
}

/* MAX_CONNECTIONS, or as many as the descriptor limit allows. */
static unsigned max_connections(const struct storage *s)
{
	unsigned wanted = (unsigned)s->settings.max_connections, n = sutra_daemon_connections(wanted);

	if (n < wanted)
		sutra_log(SUTRA_WARN, "storage", "the descriptor limit allows fewer connections",
			  "MAX_CONNECTIONS=%u allowed=%u", wanted, n);
	return n;
}

static int open_storage(void *ctx, struct sutra_err *err)
{
	struct storage *s = ctx;

	return storage_desks_open(s, err) ? SUTRA_E_NOMEM : open_engine(s, err);
}

static int start(void *ctx, const int *fds, int n, struct sutra_err *err)
{
	struct storage *s = ctx;
	const struct sutra_tcp_options o = {
		.fds = fds,
		.n_fds = n,
		.max_connections = max_connections(s),
		.max_per_peer = (unsigned)s->settings.max_per_peer,
		.stall_ns = (uint64_t)s->settings.request_seconds * 1000000000u,
		.idle_ns = (uint64_t)s->settings.idle_seconds * 1000000000u,
		.state_size = storage_state_size,
		.data = storage_data,
		.batch = storage_batch,
		.woken = storage_woken,
		.answered = storage_answered,
		.tick = storage_tick,
		.ctx = s,
	};
	const struct sutra_writer_options writer = {
		.engine = s->engine,
		.always = !strcmp(s->settings.wal_sync, "always"),
		.interval_ns = (uint64_t)s->settings.sync_interval_ms * 1000000u,
		.done = storage_done,
		.ctx = s,
		.failed = log_failure,
	};
	int rc = sutra_tcp_new(&o, &s->tcp, err);

	return rc ? rc : sutra_writer_start(&writer, &s->writer, err);
}

static void listening(void *ctx, const char *address)
{
	const struct storage *s = ctx;

	sutra_log(SUTRA_INFO, "storage", "listening", "addr=%s role=%s sync=%s", address, s->settings.role,
		  s->settings.wal_sync);
}

static void run(void *storage) { sutra_tcp_run(((struct storage *)storage)->tcp); }
static void stop(void *storage) { sutra_tcp_stop(((struct storage *)storage)->tcp, GRACE_NS); }

static void flush(void *ctx)
{
	struct storage *s = ctx;

	sutra_writer_stop(s->writer);
	storage_woken(s);	/* frees the requests of connections that are closed */
	sutra_tcp_free(s->tcp);
	sutra_engine_close(s->engine);
	sutra_log(SUTRA_INFO, "storage", "stopped", NULL);
}

static void close_storage(void *ctx)
{
	struct storage *s = ctx;

	storage_desks_close(s);
	sutra_settings_release(settings, s);
}

int main(int argc, char **argv)
{
	static const struct sutra_daemon_command commands[] = {
		{ "--check", " DIR", 1, 1, storage_check },
		{ "--dump", " DIR", 1, 1, storage_dump },
		{ 0 },
	};
	static struct storage s;
	const struct sutra_daemon d = {
		.name = "storage",
		.area = "storage",
		.help = "the cache shard on port 50052",
		.settings = settings,
		.commands = commands,
		.ctx = &s,
		.host = &s.settings.host,
		.port = &s.settings.port,
		.open = open_storage,
		.listening = listening,
		.health = storage_health,
		.metrics = storage_metrics,
		.start = start,
		.run = run,
		.stop = stop,
		.flush = flush,
		.close = close_storage,
	};

	return sutra_daemon_main(&d, argc, argv);
}
