/*
 * A connection is made and freed in libmicrohttpd's notifications. The one of its end comes before
 * libmicrohttpd closes the descriptor, so under the lock of the list shutdown(2) cannot hit the descriptor
 * of another connection. Requests set the phase of their connection without the lock.
 */
#include "net/http_conn.h"

#include <netinet/in.h>
#include <string.h>
#include <linux/tcp.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/digest.h"

enum { RATE = 16384 };	/* bytes that a body or an answer must move in a second */

unsigned sutra_http_peer(const struct sutra_http_conns *t, const struct sockaddr *sa)
{
	const struct sockaddr_in6 *in6 = (const void *)sa;
	const struct sockaddr_in *in = (const void *)sa;
	uint64_t h = t->seed, word[2] = { 0 };

	if (sa && sa->sa_family == AF_INET6)
		memcpy(word, &in6->sin6_addr, sizeof(in6->sin6_addr));
	else if (sa && sa->sa_family == AF_INET)
		memcpy(word, &in->sin_addr, sizeof(in->sin_addr));
	for (int i = 0; i < 2; i++) {
		h = (h ^ word[i]) * 0x9e3779b97f4a7c15u;
		h ^= h >> 32;
	}
	return (unsigned)(h % SUTRA_HTTP_PEERS);
}

bool sutra_http_peer_heavy(const struct sutra_http_conns *t, unsigned peer)
{
	return atomic_load_explicit(&t->peers[peer], memory_order_relaxed) > t->max / 2;
}

struct activity {
	int phase;
	uint64_t since, bytes;
};

/* Reads the three at one moment. False: they are changing just now. */
static bool read_activity(struct sutra_http_conn *c, struct activity *ret)
{
	unsigned writes = atomic_load(&c->writes);

	*ret = (struct activity){ atomic_load(&c->phase), atomic_load(&c->since_ns), atomic_load(&c->bytes) };
	return !(writes & 1) && atomic_load(&c->writes) == writes;
}

/* Finds the connections of the least rank, the oldest first; returns their number. */
static int find_victims(struct sutra_http_conns *t, struct sutra_http_conn *victims[SUTRA_HTTP_BATCH])
{
	uint64_t ranks[SUTRA_HTTP_BATCH], now = sutra_clock_ns();
	int n = 0;

	for (struct sutra_http_conn *c = t->list.next; c != &t->list; c = c->next) {
		struct activity d;
		uint64_t rank;
		bool slow;
		int i;

		if (c->cut || !read_activity(c, &d))
			continue;
		slow = d.since + 1000000000 < now && d.bytes / RATE < (now - d.since) / 250000000;
		if (d.phase != SUTRA_HTTP_IDLE && (d.phase != SUTRA_HTTP_BODY || !slow))
			continue;
		rank = d.since | (uint64_t)(d.phase == SUTRA_HTTP_BODY) << 63 |
		       (uint64_t)!sutra_http_peer_heavy(t, c->peer) << 62;
		for (i = n < SUTRA_HTTP_BATCH ? n++ : SUTRA_HTTP_BATCH; i > 0 && ranks[i - 1] > rank; i--)
			if (i < SUTRA_HTTP_BATCH) {
				ranks[i] = ranks[i - 1];
				victims[i] = victims[i - 1];
			}
		if (i < SUTRA_HTTP_BATCH) {
			ranks[i] = rank;
			victims[i] = c;
		}
	}
	return n;
}

static void cut(struct sutra_http_conns *t, struct sutra_http_conn *c, enum sutra_http_counter why)
{
	sutra_http_count(t, why);	/* first: a client that sees the end may read the count at once */
	c->cut = true;
	shutdown(c->fd, SHUT_RDWR);
}

static uint64_t bytes_received(int fd)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);

	getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len);
	return info.tcpi_bytes_received;
}

/* Whether the head of the next request takes too long. libmicrohttpd does not report the bytes of an
 * incomplete head; the kernel does. */
static bool is_slow_head(const struct sutra_http_conns *t, struct sutra_http_conn *c, uint64_t since, uint64_t now)
{
	if (c->watched_ns != since) {
		c->watched_ns = since;
		c->received = bytes_received(c->fd);
		c->head_ns = 0;
	} else if (!c->head_ns && bytes_received(c->fd) != c->received) {
		c->head_ns = now;
	}
	return c->head_ns && now - c->head_ns > t->head_ns;
}

static bool is_beyond_rate(const struct sutra_http_conns *t, uint64_t bytes, uint64_t since, uint64_t now)
{
	uint64_t grace = t->grace_ns;

	return now > since + grace && (now - since - grace) / 1000000 > bytes * 1000 / RATE;
}

static void check_conn(struct sutra_http_conns *t, struct sutra_http_conn *c, uint64_t now)
{
	struct activity d;

	if (c->cut || !read_activity(c, &d))
		return;
	if (d.phase == SUTRA_HTTP_IDLE && is_slow_head(t, c, d.since, now))
		cut(t, c, SUTRA_HTTP_SLOW_HEAD);
	else if (d.phase == SUTRA_HTTP_BODY && is_beyond_rate(t, d.bytes, d.since, now))
		cut(t, c, SUTRA_HTTP_SLOW_BODY);
	else if (d.phase == SUTRA_HTTP_ANSWER && is_beyond_rate(t, d.bytes, d.since, now))
		cut(t, c, SUTRA_HTTP_SLOW_READER);
}

void sutra_http_conns_init(struct sutra_http_conns *t)
{
	t->list.next = t->list.prev = &t->list;
	pthread_mutex_init(&t->lock, NULL);
	sutra_random(&t->seed, sizeof(t->seed));
}

void sutra_http_conns_release(struct sutra_http_conns *t) { pthread_mutex_destroy(&t->lock); }

void sutra_http_peer_add(struct sutra_http_conns *t, unsigned peer, int n)
{
	atomic_fetch_add_explicit(&t->peers[peer], (unsigned)n, memory_order_relaxed);
}

void sutra_http_conns_check(struct sutra_http_conns *t, uint64_t now)
{
	pthread_mutex_lock(&t->lock);
	for (struct sutra_http_conn *c = t->list.next; c != &t->list; c = c->next)
		check_conn(t, c, now);
	pthread_mutex_unlock(&t->lock);
}

bool sutra_http_conns_evict(struct sutra_http_conns *t)
{
	struct sutra_http_conn *victims[SUTRA_HTTP_BATCH];
	int n, most = t->max < 64 * SUTRA_HTTP_BATCH ? 1 + (int)(t->max / 64) : SUTRA_HTTP_BATCH;

	pthread_mutex_lock(&t->lock);
	n = find_victims(t, victims);
	for (int i = 0; i < n && i < most; i++)
		cut(t, victims[i], SUTRA_HTTP_EVICTED);
	pthread_mutex_unlock(&t->lock);
	return n > 0;
}

struct sutra_http_conn *sutra_http_conn_new(struct sutra_http_conns *t, int fd, const struct sockaddr *sa)
{
	struct sutra_http_conn *c = sutra_calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->fd = fd;
	c->peer = sutra_http_peer(t, sa);
	sutra_http_peer_add(t, c->peer, 1);
	sutra_http_conn_enter(c, SUTRA_HTTP_BODY, 0, sutra_clock_ns());	/* its first head has come */
	pthread_mutex_lock(&t->lock);
	c->next = &t->list;
	c->prev = t->list.prev;
	c->prev->next = c;
	t->list.prev = c;
	pthread_mutex_unlock(&t->lock);
	return c;
}

void sutra_http_conn_free(struct sutra_http_conns *t, struct sutra_http_conn *c)
{
	if (!c)
		return;
	pthread_mutex_lock(&t->lock);
	c->next->prev = c->prev;
	c->prev->next = c->next;
	pthread_mutex_unlock(&t->lock);
	sutra_http_peer_add(t, c->peer, -1);
	sutra_free(c);
}

void sutra_http_conn_enter(struct sutra_http_conn *c, enum sutra_http_phase phase, size_t bytes, uint64_t now)
{
	if (!c)
		return;
	atomic_fetch_add(&c->writes, 1);
	atomic_store(&c->bytes, bytes);
	atomic_store(&c->since_ns, now);
	atomic_store(&c->phase, (int)phase);
	atomic_fetch_add(&c->writes, 1);
}
