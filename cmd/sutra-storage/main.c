/*
 * sutra-storage - the storage engine behind TCP. In this version it has one role: cache_shard.
 *
 * It listens only when the log is replayed. TERM: stop accepting, answer, flush, exit 0. HUP: the
 * same, then run again with the listening sockets kept open.
 *
 *	sutra-storage --check DIR	read a log, report its records and damage; 1 if there is any
 *	sutra-storage --dump DIR	a line a record
 */
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/setting.h"
#include "base/shown.h"
#include "base/version.h"
#include "net/plain.h"
#include "net/port.h"
#include "daemon/service.h"
#include "storage.h"
#include "wire/frame.h"

#define FIELD(f) offsetof(struct storage_settings, f)
#define GRACE_NS 5000000000u

enum { MAX_SOCKETS = 16 };

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

static bool may_be_stale(const struct sutra_wal_report *r) { return r->lost_records || r->lost_more; }

static void tell_damage(const struct sutra_wal_report *r)
{
	char text[256];

	if (r->torn_bytes)
		sutra_log(SUTRA_WARN, "storage", "left out a torn end of the log", "bytes=%llu",
			  (unsigned long long)r->torn_bytes);
	if (!r->damaged_ranges)
		return;
	for (uint64_t i = 0; i < r->damaged_ranges && i < SUTRA_WAL_DAMAGES; i++) {
		sutra_wal_damage_text(&r->damages[i], text, sizeof(text));
		sutra_log(SUTRA_ERROR, "storage", "damage in the log", "range=\"%s\"", text);
	}
	sutra_log(SUTRA_ERROR, "storage", "the log is damaged; the rest was kept",
		  "ranges=%llu bytes=%llu missing_segments=%llu lost_records=%s%llu%s",
		  (unsigned long long)r->damaged_ranges, (unsigned long long)r->damaged_bytes,
		  (unsigned long long)r->missing_segments, r->lost_more ? ">=" : "",
		  (unsigned long long)r->lost_records,
		  may_be_stale(r) ? " note=\"a delete or a newer value may be among them: what was read "
				    "before may be older than what was acknowledged\"" : "");
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
	tell_damage(&s->replay);
	return 0;
}

/* Waits for the signal and ends the loop. */
static void *wait_for_signal(void *arg)
{
	static enum sutra_service_signal got;
	struct storage *s = arg;

	got = sutra_service_wait();
	sutra_tcp_stop(s->tcp, GRACE_NS);
	return &got;
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

static int serve(struct storage *s, char **argv, struct sutra_err *err)
{
	int fds[MAX_SOCKETS], n, rc = sutra_listen_open(sutra_listen_for(s->settings.host, (int)s->settings.port), 4096, fds,
							MAX_SOCKETS, &n, err);
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
	pthread_t waiter;
	void *signal;

	rc = rc ? rc : sutra_tcp_new(&o, &s->tcp, err);
	rc = rc ? rc : sync_start(s, err);
	if (!rc && pthread_create(&waiter, NULL, wait_for_signal, s))
		rc = sutra_fail(err, SUTRA_E_IO, "cannot start a thread");
	if (rc)
		return rc;
	sutra_log(SUTRA_INFO, "storage", "listening", "addr=%s role=%s sync=%s",
		  sutra_listen_for(s->settings.host, (int)s->settings.port), s->settings.role, s->settings.wal_sync);
	sutra_tcp_run(s->tcp);
	pthread_join(waiter, &signal);
	sync_end(s);
	sutra_tcp_free(s->tcp);
	sutra_engine_close(s->engine);
	sutra_log(SUTRA_INFO, "storage", "stopped", NULL);
	if (*(enum sutra_service_signal *)signal == SUTRA_SIG_RESTART)
		return sutra_service_reexec(fds, n, argv, err);
	return 0;
}

static int print_record(void *quiet, uint64_t lsn, enum sutra_log_record type, const void *body, size_t n)
{
	static const char *const names[] = { "?", "put", "delete", "clear" };

	if (!*(bool *)quiet)
		printf("%llu %s %zu bytes\n", (unsigned long long)lsn, names[type <= 3 ? type : 0], n);
	return 0;
}

static int inspect(const char *dir, bool quiet)
{
	struct sutra_wal_report r;
	struct sutra_err err;
	char text[256];

	if (sutra_wal_replay(dir, print_record, &quiet, &r, &err)) {
		sutra_shown_printf(stderr, "sutra-storage: %s\n", err.message);
		return 1;
	}
	printf("%llu records in %llu frames in %llu segments, %llu bytes\n", (unsigned long long)r.records,
	       (unsigned long long)r.frames, (unsigned long long)r.segments, (unsigned long long)r.bytes);
	if (r.torn_bytes)
		printf("torn end: %llu bytes\n", (unsigned long long)r.torn_bytes);
	if (r.damaged_ranges)
		printf("damage: %llu ranges, %llu bytes, %llu segments missing\n",
		       (unsigned long long)r.damaged_ranges, (unsigned long long)r.damaged_bytes,
		       (unsigned long long)r.missing_segments);
	for (uint64_t i = 0; i < r.damaged_ranges && i < SUTRA_WAL_DAMAGES; i++) {
		sutra_wal_damage_text(&r.damages[i], text, sizeof(text));
		printf("  %s\n", text);
	}
	if (may_be_stale(&r))
		printf("lost: %s%llu records; a delete or a newer value may be among them\n",
		       r.lost_more ? "at least " : "", (unsigned long long)r.lost_records);
	return r.damaged_ranges ? 1 : 0;
}

static int usage(FILE *out, int code)
{
	fputs("usage: sutra-storage [--settings | --version | --help | --check DIR | --dump DIR]\n"
	      "the cache shard on port 50052; configured by environment variables\n",
	      out);
	return code;
}

int main(int argc, char **argv)
{
	static struct storage s;
	struct sutra_err err = { 0 };
	int rc;

	if (argc == 2 && !strcmp(argv[1], "--settings"))
		return sutra_settings_print(settings, stdout), 0;
	if (argc == 2 && !strcmp(argv[1], "--version"))
		return puts("sutra-storage " SUTRA_VERSION) < 0;
	if (argc == 3 && (!strcmp(argv[1], "--check") || !strcmp(argv[1], "--dump")))
		return inspect(argv[2], !strcmp(argv[1], "--check"));
	if (argc > 1)
		return strcmp(argv[1], "--help") && strcmp(argv[1], "-h") ? usage(stderr, 2) :
									    usage(stdout, 0);
	rc = sutra_service_init("storage", &err);
	rc = rc ? rc : sutra_settings_load(settings, &s.settings, &err);
	s.always = !rc && !strcmp(s.settings.wal_sync, "always");
	s.decoder = rc ? NULL : sutra_alloc(sizeof(*s.decoder));
	if (!rc && !s.decoder)
		rc = sutra_fail(&err, SUTRA_E_NOMEM, "out of memory");
	if (!rc)
		sutra_decoder_init(s.decoder);
	sutra_buf_init(&s.pairs, 1 << 16);
	rc = rc ? rc : open_engine(&s, &err);
	rc = rc ? rc : serve(&s, argv, &err);
	sutra_decoder_release(s.decoder);
	sutra_free(s.decoder);
	sutra_buf_release(&s.pairs);
	sutra_settings_release(settings, &s.settings);
	if (!rc)
		return 0;
	sutra_shown_printf(stderr, "sutra-storage: %s%s%s\n", err.message, *err.hint ? "; " : "", err.hint);
	return sutra_err_exit(rc);
}
