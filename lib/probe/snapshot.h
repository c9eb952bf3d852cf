/*
 * snapshot - everything the monitor knows at one moment, and the same as JSON (sutra.monitor/1).
 *
 * A sampling thread makes it, fills it and computes its rates (sutra_snapshot_rates). From then on it
 * does not change: any thread may read a snapshot that it holds a reference to. Counters are those of
 * the services; a rate needs two samples and is below 0 while it is unknown. A group of figures holds
 * the time (wall clock) at which it was read: when its source does not answer, the last figures
 * remain, and that time shows their age.
 */
#ifndef SUTRA_PROBE_SNAPSHOT_H
#define SUTRA_PROBE_SNAPSHOT_H

#include <jansson.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct sutra_snap_service {
	char name[64], group[64], program[32], address[64], published[48], version[32];
	char state[16];		/* a name of enum sutra_probe_state */
	char reason[32];	/* "" when up */
	char detail[160];
	char affected_by[64];	/* the root cause; "" for a root cause itself, and when up */
	int64_t at_us;
	double latency_ms, uptime_s;	/* < 0: unknown, as for every figure here */
	double cpu_percent;	/* of one core, between two samples */
	int64_t cpu_us;		/* used since the process started */
	int64_t memory_at_us;	/* of the three below, which are read every 5 s: they cost the kernel most */
	int64_t memory_bytes;	/* proportional set size */
	int64_t rss_bytes, memory_limit;
	int64_t pid, restarts, last_exit;
	int64_t last_pid;	/* of the process seen last, when pid is unknown; set with the events */
};

struct sutra_snap_replica {
	char name[64], status[32], check_code[16], check_text[96];
	int64_t sessions, sessions_max, queue, queue_max, total, errors, last_change_s, check_ms;
	int64_t mean_ms;	/* mean response time of the last 1,024 requests, HAProxy's own figure */
	double rate, error_rate;	/* per second, between two samples */
	double recent;		/* requests, weighted by an exponential decay over a minute */
	double share;		/* this replica's part of all `recent` */
	bool up, skewed;	/* skewed: it gets far more or far fewer requests than an equal share */
};

struct sutra_snap_balancer {
	char service[64], group[64], algorithm[32];
	char trouble[96];	/* why the figures are not fresh; "" */
	int64_t at_us;
	double balance;		/* Jain's index of `recent` over replicas that are up: 1 is even; < 0 unknown */
	struct sutra_snap_replica *replicas;
	size_t n_replicas;
};

struct sutra_snap_minute {
	int64_t unix_s, l1, l2, misses;
};

struct sutra_snap_cache {
	char service[64], shard[64];
	char trouble[96];
	int64_t at_us;		/* of the counters */
	int64_t l1_hits, l2_hits, misses, texts, requests, errors, coalesced, l2_errors, clears;
	double texts_rate, requests_rate, error_rate;
	int64_t detail_at_us;	/* of the fields below */
	int64_t l2_at_us;	/* of l2_size, l2_max, l2_evictions, l2_expired: the shard may not answer */
	bool enabled, l2_enabled;
	int64_t l1_size, l1_max, l1_evictions, l2_size, l2_max, l2_evictions, l2_expired, ttl_seconds;
	double l1_p50_us, l1_p99_us, l2_p50_us, l2_p99_us;
	struct sutra_snap_minute *minutes;	/* oldest first, as the gateway keeps them; the last is the current minute */
	size_t n_minutes;
};

/* A change, reported once, by the first sample after it (observe.h). */
struct sutra_snap_event {
	int64_t at_us;		/* wall clock */
	char source[16];	/* "monitor"; "operator": from the audit log */
	char kind[16];		/* "state", "restart", "replica", "figures", "stack", "cache", "command" */
	char subject[64];	/* the service, replica or command it is about */
	char level[8];		/* "info", "ok", "warn", "bad" */
	char text[192];
};

struct sutra_snapshot {
	atomic_int refs;
	int64_t time_us;
	double interval_s;	/* at which samples are taken */
	char project[64], runtime[16], edition[16];
	int64_t dimension, generation;
	int64_t looked_at_us;	/* when the runtime answered last: restarts, CPU, which services run */
	bool deployed, complete, supervised;
	char trouble[256];	/* why the deployment or its runtime cannot be read; "" */
	char cause[256];	/* the root cause that affects most services; "" */
	struct sutra_snap_service *services;	/* in start order */
	size_t n_services;
	struct sutra_snap_balancer *balancers;
	size_t n_balancers;
	struct sutra_snap_cache *caches;
	size_t n_caches;
	bool observed;		/* events were searched for; false in a recording of an older version */
	struct sutra_snap_event *events;	/* NULL, or room for SUTRA_SNAP_EVENTS: since the sample before, in the order in which they were found */
	size_t n_events;
	int64_t events_lost;	/* above SUTRA_SNAP_EVENTS */
};

enum { SUTRA_SNAP_EVENTS = 64 };	/* most events of one sample */

/* Returns one reference; the arrays have the given sizes, every figure is unknown. NULL: out of
 * memory. */
struct sutra_snapshot *sutra_snapshot_new(size_t services, size_t balancers, size_t caches);
struct sutra_snapshot *sutra_snapshot_ref(struct sutra_snapshot *s);
void sutra_snapshot_unref(struct sutra_snapshot *s);	/* NULL is fine */
/* Makes room in a balancer for n replicas, every figure unknown; 0 or SUTRA_E_NOMEM. */
int sutra_snapshot_replicas(struct sutra_snap_balancer *b, size_t n);
/* Copies the figures that `before` (may be NULL) holds of the balancer or cache of the same
 * service, without its trouble; what is read again is then overwritten. 0 or SUTRA_E_NOMEM. */
int sutra_snapshot_keep_balancer(struct sutra_snap_balancer *b, const struct sutra_snapshot *before);
int sutra_snapshot_keep_cache(struct sutra_snap_cache *c, const struct sutra_snapshot *before);
/* Computes rates, shares and balance from the sample before (NULL: none). A counter that decreased
 * was reset by a restart: its growth is counted from 0, so that no rate is negative. */
void sutra_snapshot_rates(struct sutra_snapshot *now, const struct sutra_snapshot *before);

/* By name; NULL: none. */
const struct sutra_snap_balancer *sutra_snapshot_balancer(const struct sutra_snapshot *s, const char *service);
const struct sutra_snap_cache *sutra_snapshot_cache(const struct sutra_snapshot *s, const char *service);
const struct sutra_snap_replica *sutra_snapshot_replica(const struct sutra_snap_balancer *b, const char *name);
const struct sutra_snap_service *sutra_snapshot_service(const struct sutra_snapshot *s, const char *name);
/* Whether figures read at at_us are stale at now_us: two intervals passed without new ones. */
bool sutra_snapshot_stale(const struct sutra_snapshot *s, int64_t at_us, int64_t now_us);

/* Appends one line of JSON without its newline: keys sorted, unknown figures null. */
void sutra_snapshot_write(const struct sutra_snapshot *s, struct sutra_buf *out);
/* Reads such a line. SUTRA_E_SYNTAX, SUTRA_E_INVALID, SUTRA_E_TOOBIG name the field; SUTRA_E_NOMEM. */
int sutra_snapshot_read(const char *line, size_t n, struct sutra_snapshot **ret, struct sutra_err *err);

#endif
