/*
 * http_conn - the connections that libmicrohttpd has: the phase of each and its beginning, and the number per
 * address. Embedded in a server; for http.c and http_listen.c.
 */
#ifndef SUTRA_NET_HTTP_CONN_H
#define SUTRA_NET_HTTP_CONN_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum {
	SUTRA_HTTP_BATCH = 32,	/* connections closed at a time when the table is full */
	SUTRA_HTTP_PEERS = 4096,	/* counters of addresses */
};

enum sutra_http_phase { SUTRA_HTTP_IDLE, SUTRA_HTTP_BODY, SUTRA_HTTP_BUSY, SUTRA_HTTP_ANSWER };

#define SUTRA_HTTP_COUNTS(X)                                                              \
	X(ACCEPTED, "accepted")                                                           \
	X(REFUSED, "refused") /* heads that are not valid, are late, or found no room */  \
	X(SLOW_HEAD, "slow_head") X(SLOW_BODY, "slow_body") X(SLOW_READER, "slow_reader") \
	X(EVICTED, "evicted") /* closed to make room */                                   \
	X(NO_BODY_ROOM, "no_body_room")                                                   \
	X(PAUSED, "paused")   /* no descriptors, or every connection is busy */
enum sutra_http_counter {
#define X(sym, name) SUTRA_HTTP_##sym,
	SUTRA_HTTP_COUNTS(X)
#undef X
	SUTRA_HTTP_COUNT_N
};

struct sutra_http_conn {
	struct sutra_http_conn *next, *prev;
	int fd;
	unsigned peer;
	atomic_uint writes;	/* odd while the three below change; readers read it before and after them */
	atomic_int phase;
	atomic_ullong since_ns;
	atomic_size_t bytes;	/* of the body so far; of the whole answer */
	/* Only the listening thread uses these: */
	uint64_t watched_ns;	/* the since_ns to which the rest belongs */
	uint64_t received, head_ns;	/* bytes at that time; when the kernel had more */
	bool cut;
};

struct sutra_http_conns {
	pthread_mutex_t lock;	/* of the list */
	struct sutra_http_conn list;	/* its head */
	atomic_uint peers[SUTRA_HTTP_PEERS];
	atomic_ullong counts[SUTRA_HTTP_COUNT_N];
	unsigned max;		/* connections of all addresses */
	uint64_t seed, head_ns, grace_ns;	/* limits: see net/http.h */
};

void sutra_http_conns_init(struct sutra_http_conns *t);
void sutra_http_conns_release(struct sutra_http_conns *t);	/* after the last connection */
/* Shuts down the connections that are beyond their limits. The listening thread calls it every tick. */
void sutra_http_conns_check(struct sutra_http_conns *t, uint64_t now);
/* Shuts down some connections that are idle or slow, the oldest first; false: there is none. */
bool sutra_http_conns_evict(struct sutra_http_conns *t);
static inline void sutra_http_count(struct sutra_http_conns *t, enum sutra_http_counter what)
{
	atomic_fetch_add_explicit(&t->counts[what], 1, memory_order_relaxed);
}

/* The counter of an address. Two addresses may share one, and then share their part of the table. */
unsigned sutra_http_peer(const struct sutra_http_conns *t, const struct sockaddr *sa);
void sutra_http_peer_add(struct sutra_http_conns *t, unsigned peer, int n);
bool sutra_http_peer_heavy(const struct sutra_http_conns *t, unsigned peer);	/* more than half of all */

/* Called at libmicrohttpd's notifications of a connection's beginning and end. NULL: out of memory. */
struct sutra_http_conn *sutra_http_conn_new(struct sutra_http_conns *t, int fd, const struct sockaddr *sa);
void sutra_http_conn_free(struct sutra_http_conns *t, struct sutra_http_conn *c);
/* Sets phase and bytes; the thread that processes the request calls it. c may be NULL. */
void sutra_http_conn_enter(struct sutra_http_conn *c, enum sutra_http_phase phase, size_t bytes, uint64_t now);

#endif
