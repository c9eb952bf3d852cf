/*
 * tcp_private - the server and its connections inside; for tcp.c (the loop), tcp_conn.c (buffers and places
 * of awaited answers) and tcp_limit.c (limits). Others use net/tcp.h.
 *
 * out_at bytes of `out` are sent. Output that is appended while an answer is awaited is in the last place.
 *
 * Lists. `all` is sorted by `since`. `ready`: connections to read from. `dirty`: connections with work at
 * the end of the turn. A connection's memory is freed when libuv has closed its handle, after the turn, and
 * its last place is filled; so a loop over a list may cut the current connection.
 */
#ifndef SUTRA_NET_TCP_PRIVATE_H
#define SUTRA_NET_TCP_PRIVATE_H

#include <sys/socket.h>
#include <uv.h>

#include "net/tcp.h"

enum {
	POOL = 64,
	POOL_KEEP = 256 << 10,
	MAX_LISTEN = 16,
	PEER_GROUPS = 4096,
	TICK_MS = 100,
	CHECK_TICKS = 10,
	MAX_AWAITED = 4 << 20,	/* bytes */
};

struct link {
	struct link *next, *prev;
};

/* What a connection waits for: nothing or an answer, the rest of a message, the peer to read. */
enum waits { FOR_NOTHING, FOR_MESSAGE, FOR_READER };

struct sutra_tcp_conn {
	uv_poll_t poll;			/* first: the handle is the connection */
	struct sutra_tcp *tcp;
	int fd, events;
	bool ending, closing, is_closed;	/* is_closed: libuv is done with it */
	bool is_choked;			/* `data` returned because the output is full */
	bool again;			/* rest holds messages that `data` has not seen */
	bool owes;			/* the peer is in the middle of a message that is skipped */
	bool served;			/* it finished a message or read answers since sutra_tcp_note */
	uint16_t peer;			/* its group */
	enum sutra_tcp_end why;		/* the reason of ending */
	enum waits waits;
	struct link all, ready, dirty;
	struct sutra_buf rest, out;
	size_t out_at, counted;		/* counted: share of tcp->held_bytes */
	struct sutra_tcp_place *first, *last;
	size_t awaited;			/* bytes in the places */
	uint64_t since;			/* when it began to wait; milliseconds */
	uint64_t window, moved;		/* bytes both ways since the window began */
	max_align_t state[];
};

struct listener {
	uv_poll_t poll;
	struct sutra_tcp *tcp;
	int fd;
};

struct sutra_tcp {
	struct sutra_tcp_options o;
	uv_loop_t loop;
	uv_check_t check;
	uv_async_t async;
	uv_timer_t timer;
	uv_idle_t idle;			/* active while `ready` is not empty */
	struct listener listeners[MAX_LISTEN];
	struct link all, ready, dirty;
	struct sutra_buf pool[POOL];
	unsigned n_pool, open, turn;
	uint16_t peers[PEER_GROUPS];	/* open connections by group of addresses */
	uint64_t seed;			/* of the groups */
	bool paused;			/* no descriptors: accepts again at the next tick */
	size_t held_bytes;
	uint64_t accepted, ends[SUTRA_TCP_END_COUNT], now;
	_Atomic uint64_t stop_grace;	/* 0: not stopping */
	uint64_t stop_at;		/* 0: not draining */
	uint64_t slice_end;		/* of the connection that is served */
	uint64_t checked;		/* when all connections were checked */
	char *input;
};

#define conn_of(link_, field) \
	((struct sutra_tcp_conn *)(void *)((char *)(link_) - offsetof(struct sutra_tcp_conn, field)))

static inline void link_init(struct link *l) { l->next = l->prev = l; }
static inline bool linked(const struct link *l) { return l->next != l; }

static inline void link_add(struct link *list, struct link *l)
{
	if (linked(l))
		return;
	l->prev = list->prev;
	l->next = list;
	list->prev->next = l;
	list->prev = l;
}

static inline void link_remove(struct link *l)
{
	l->prev->next = l->next;
	l->next->prev = l->prev;
	link_init(l);
}

/* Whether more than soft_output waits to be sent, or too many bytes wait for answers. */
static inline bool is_full(const struct sutra_tcp_conn *c)
{
	return c->out.len - c->out_at > c->tcp->o.soft_output || c->awaited > MAX_AWAITED;
}

/* ---- tcp_conn.c ---- */

/* Returns the output buffer to the pool. */
void sutra_tcp_return_out(struct sutra_tcp_conn *c);
/* Ends the connection at once, and counts why. */
void sutra_tcp_cut(struct sutra_tcp_conn *c, enum sutra_tcp_end why);
/* Updates held_bytes with the bytes of the connection. */
void sutra_tcp_account(struct sutra_tcp_conn *c);

/* ---- tcp_limit.c ---- */

/* The group of an address: the /64 of IPv6. Two addresses of one group share their limit. */
unsigned sutra_tcp_peer(const struct sutra_tcp *t, const struct sockaddr_storage *from);
/* Notes, at the end of a turn, what the connection waits for and since when. */
void sutra_tcp_note(struct sutra_tcp_conn *c);
/* Ends the connection that waits longest, of a group or (-1) of all. False: there is none. */
bool sutra_tcp_evict(struct sutra_tcp *t, int peer);
/* Whether a new connection of the group fits, after an eviction if necessary. */
bool sutra_tcp_make_room(struct sutra_tcp *t, unsigned peer);
/* While all connections together hold too many bytes: cuts the one with the fewest bytes per time, c last. */
void sutra_tcp_relieve(struct sutra_tcp_conn *c);
/* Cuts connections that are too slow or idle for too long; while draining, those without output. */
void sutra_tcp_check(struct sutra_tcp *t);

#endif
