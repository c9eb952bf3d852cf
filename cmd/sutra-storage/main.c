/*
 * sutra-storage - the storage engine behind TCP. In this version it has one role: cache_shard.
 *
 * It listens only when the log is replayed.
 *
 *	sutra-storage --check DIR	read a log, report its records and damage; 1 if there is any
 *	sutra-storage --dump DIR	a line a record
 */
#include <stddef.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "daemon/daemon.h"
#include "daemon/service.h"
#include "net/plain.h"
#include "storage.h"
#include "wire/frame.h"

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

/* How a connection speaks, and how much of an oversized frame is still to be passed over. */
struct conn_state {
	bool known, http;
	uint64_t skip;
};

static size_t pass_over(struct conn_state *st, size_t n)
{
	size_t step = st->skip < n ? (size_t)st->skip : n;

	st->skip -= step;
	return step;
}

static void too_large(struct storage *s, struct sutra_tcp_conn *c, struct conn_state *st, size_t len)
{
	struct sutra_err err;

	sutra_fail(&err, SUTRA_E_TOOBIG, "a frame of %zu bytes; the limit is %d", len, SUTRA_FRAME_MAX);
	s->errors++;
	sutra_answer_error(sutra_tcp_out(c), &err);
	st->skip = SUTRA_FRAME_HEAD + (uint64_t)len;
}

static size_t on_data(struct sutra_tcp_conn *c, const char *p, size_t n, void *ctx)
{
	struct conn_state *st = sutra_tcp_state(c);
	struct storage *s = ctx;
	size_t used = 0, len;

	if (!st->known) {
		if (n < 4)
			return 0;
		st->known = true;
		st->http = sutra_plain_looks_http(p);
	}
	if (st->http)
		return storage_http(s, c, p, n);
	do {
		int rc;

		used += pass_over(st, n - used);
		rc = sutra_frame_peek(p + used, n - used, &len);
		if (!rc)
			break;
		if (rc < 0) {
			too_large(s, c, st, len);
			continue;
		}
		storage_answer(s, c, p + used + SUTRA_FRAME_HEAD, len);
		used += SUTRA_FRAME_HEAD + len;
	} while (!sutra_tcp_yield(c));
	sutra_tcp_owes(c, st->skip > 0);
	return used;
}

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
		  (unsigned long long)s->replay.bytes, sutra_service_uptime());
	storage_log_damage(&s->replay);
	return 0;
}

/* What a client meets at a limit is told in the log as well, once a minute at most. */
static void tell_limits(struct storage *s)
{
	const uint64_t now = sutra_clock_ns(), *ends;
	struct sutra_tcp_counts t;
	uint64_t sum;

	sutra_tcp_counts(s->tcp, &t);
	ends = t.ends;
	sum = ends[SUTRA_TCP_EVICTED] + ends[SUTRA_TCP_TOO_MANY] + ends[SUTRA_TCP_NO_DESCRIPTORS] +
	      ends[SUTRA_TCP_OVERLOAD];
	if (sum == s->said_limits || (s->said_limits && now - s->said_limits_ns < 60000000000u))
		return;
	s->said_limits = sum;
	s->said_limits_ns = now;
	sutra_log(SUTRA_WARN, "storage", "connections were ended or refused for want of room",
		  "open=%llu made_room=%llu too_many_connections=%llu out_of_descriptors=%llu out_of_buffers=%llu",
		  (unsigned long long)t.open, (unsigned long long)ends[SUTRA_TCP_EVICTED],
		  (unsigned long long)ends[SUTRA_TCP_TOO_MANY],
		  (unsigned long long)ends[SUTRA_TCP_NO_DESCRIPTORS],
		  (unsigned long long)ends[SUTRA_TCP_OVERLOAD]);
}

static void tell_clock(struct storage *s)
{
	struct sutra_engine_stats e;

	sutra_engine_stats(s->engine, &e);
	if (s->said_clock == (e.clock_ahead_seconds > 60))
		return;
	s->said_clock = !s->said_clock;
	if (s->said_clock)
		sutra_log(SUTRA_WARN, "storage", "the clock was set back; ages are counted on", "seconds=%llu",
			  (unsigned long long)e.clock_ahead_seconds);
}

static void on_tick(void *storage)
{
	sync_tick(storage);
	tell_clock(storage);
	tell_limits(storage);
}

/* As many connections as are wanted and fit. */
static unsigned max_connections(const struct storage *s)
{
	unsigned wanted = (unsigned)s->settings.max_connections, n = sutra_service_connections(wanted);

	if (n < wanted)
		sutra_log(SUTRA_WARN, "storage", "the descriptor limit allows fewer connections",
			  "MAX_CONNECTIONS=%u allowed=%u", wanted, n);
	return n;
}

static int open_storage(void *ctx, struct sutra_err *err)
{
	struct storage *s = ctx;

	s->always = !strcmp(s->settings.wal_sync, "always");
	s->decoder = sutra_alloc(sizeof(*s->decoder));
	if (!s->decoder)
		return sutra_fail(err, SUTRA_E_NOMEM, "out of memory");
	sutra_decoder_init(s->decoder);
	sutra_buf_init(&s->pairs, 1 << 16);
	return open_engine(s, err);
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
		.state_size = sizeof(struct conn_state),
		.data = on_data,
		.batch = sync_batch,
		.woken = sync_woken,
		.tick = on_tick,
		.ctx = s,
	};
	int rc = sutra_tcp_new(&o, &s->tcp, err);

	return rc ? rc : sync_start(s, err);
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

	sync_end(s);
	sutra_tcp_free(s->tcp);
	sutra_engine_close(s->engine);
	sutra_log(SUTRA_INFO, "storage", "stopped", NULL);
}

static void close_storage(void *ctx)
{
	struct storage *s = ctx;

	sutra_decoder_release(s->decoder);
	sutra_free(s->decoder);
	sutra_buf_release(&s->pairs);
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
