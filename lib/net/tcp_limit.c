/*
 * Which connection is closed to make room. `all` is sorted by the time at which a connection entered the
 * state in which it waits, so the first one of the list costs least: it has been idle for longest, or has
 * spent the longest time on one message. A connection that waits for the server (awaited answers, bytes that
 * are not read yet) stays.
 *
 * Rejected: to refuse new connections when the table is full. A client with many silent connections would
 * then lock out all others, health checks first.
 */
#include "net/tcp_private.h"

#include <netinet/in.h>
#include <string.h>

enum { SMALL = 64 << 10, MIN_RATE = 16 << 10 /* bytes a second */ };

unsigned sutra_tcp_peer(const struct sutra_tcp *t, const struct sockaddr_storage *from)
{
	const struct sockaddr_in6 *v6 = (const void *)from;
	uint32_t v4 = ((const struct sockaddr_in *)(const void *)from)->sin_addr.s_addr;
	uint64_t key = 0;

	if (from->ss_family != AF_INET6) {
		key = v4;
	} else if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
		memcpy(&v4, v6->sin6_addr.s6_addr + 12, sizeof(v4));
		key = v4;
	} else {
		memcpy(&key, v6->sin6_addr.s6_addr, sizeof(key));
	}
	_Static_assert(PEER_GROUPS == 1 << 12, "the upper 12 bits are a group");
	return (unsigned)((key + 1) * (t->seed | 1) >> 52);
}

static enum waits waits_for(const struct sutra_tcp_conn *c)
{
	if (c->out_at < c->out.len)
		return FOR_READER;
	if ((c->rest.len || c->owes) && !c->again && !is_full(c))
		return FOR_MESSAGE;
	return FOR_NOTHING;
}

/* A slow reader's time continues while it reads: else a request now and then would reset it. */
void sutra_tcp_note(struct sutra_tcp_conn *c)
{
	enum waits waits = waits_for(c);
	bool begins = waits != c->waits || (c->served && waits != FOR_READER);

	c->served = false;
	if (!begins)
		return;
	c->waits = waits;
	c->since = c->window = c->tcp->now;
	c->moved = 0;
	link_remove(&c->all);
	link_add(&c->tcp->all, &c->all);
}

/* Whether it waits for the server: an answer is awaited, or bytes have arrived. */
static bool is_due(const struct sutra_tcp_conn *c)
{
	char byte;

	return c->first || linked(&c->ready) ||
	       (c->waits == FOR_NOTHING && recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0);
}

bool sutra_tcp_evict(struct sutra_tcp *t, int peer)
{
	for (struct link *l = t->all.next; l != &t->all; l = l->next) {
		struct sutra_tcp_conn *c = conn_of(l, all);

		if ((peer < 0 || c->peer == peer) && !is_due(c)) {
			sutra_tcp_cut(c, SUTRA_TCP_EVICTED);
			return true;
		}
	}
	return false;
}

bool sutra_tcp_make_room(struct sutra_tcp *t, unsigned peer)
{
	if (t->peers[peer] >= t->o.max_per_peer)
		return sutra_tcp_evict(t, (int)peer);
	return t->open < t->o.max_connections || sutra_tcp_evict(t, -1);
}

/* Bytes per millisecond for which they have been held; small connections are never cut. */
static double worth(const struct sutra_tcp_conn *c)
{
	uint64_t held_ms = c->waits == FOR_NOTHING ? 0 : c->tcp->now - c->since;	/* 0: idle until this turn */

	return c->counted < SMALL ? 1e300 : (double)c->counted / (double)(held_ms + 1);
}

void sutra_tcp_relieve(struct sutra_tcp_conn *c)
{
	struct sutra_tcp *t = c->tcp;

	while (t->held_bytes > t->o.max_held && !c->closing) {
		struct sutra_tcp_conn *least = c;

		for (struct link *l = t->all.next; l != &t->all; l = l->next)
			if (worth(conn_of(l, all)) < worth(least))
				least = conn_of(l, all);
		sutra_tcp_cut(least, SUTRA_TCP_OVERLOAD);
	}
}

/* Cuts the connection if it has moved too few bytes in the window that ends now. */
static void check_window(struct sutra_tcp_conn *c, uint64_t window_ms)
{
	const struct sutra_tcp *t = c->tcp;

	if (t->now - c->window < window_ms)
		return;
	if (c->moved < MIN_RATE * window_ms / 1000) {
		sutra_tcp_cut(c, c->waits == FOR_READER ? SUTRA_TCP_STALLED_READER : SUTRA_TCP_SLOW_SENDER);
		return;
	}
	c->window = t->now;
	c->moved = 0;
}

void sutra_tcp_check(struct sutra_tcp *t)
{
	/* The loop was blocked, for example by a write to the disk: the peers are not slow. */
	bool late = t->now - t->checked > 2 * CHECK_TICKS * TICK_MS;

	t->checked = t->now;
	for (struct link *l = t->all.next, *next; l != &t->all; l = next) {
		struct sutra_tcp_conn *c = conn_of(l, all);

		next = l->next;
		if (t->stop_at && ((c->out_at == c->out.len && !linked(&c->ready) && !c->first) || t->now >= t->stop_at)) {
			sutra_tcp_cut(c, SUTRA_TCP_SERVER);
		} else if (c->waits == FOR_NOTHING) {
			if (t->now - c->since >= t->o.idle_ns / 1000000u && !is_due(c))
				sutra_tcp_cut(c, SUTRA_TCP_IDLE);
		} else if (late) {
			c->window = t->now;
			c->moved = 0;
		} else {
			check_window(c, t->o.stall_ns / 1000000u);
		}
	}
}
