/*
 * Who has to go. `all` is sorted by the moment at which a connection began to wait for what it waits
 * for now, so the first of the list is the one whose loss costs least: idle for longest, or longest
 * at one message. What waits for the server itself (awaited answers, bytes not yet looked at) stays.
 *
 * Rejected: refusing the newcomer when all slots are taken. Whoever holds them without a word
 * would then keep everybody out, health checks first, for as long as it likes.
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

/* A reader's time goes on while it takes answers: else asking now and then would make up for it. */
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

/* It waits for the server: an answer is awaited, or bytes of it are here. */
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

/* Bytes for each millisecond they have been held; what is small costs nobody anything. */
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

/* The end of a window: who has moved too little in it is cut. */
static void judge(struct sutra_tcp_conn *c, uint64_t window_ms)
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
	/* The loop itself stood still, say in a write to the disk: the peers are not to blame. */
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
			judge(c, t->o.stall_ns / 1000000u);
		}
	}
}
