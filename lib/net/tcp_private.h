/*
 * tcp_private - the server and its connections from the inside; for tcp.c, which runs the loop,
 * tcp_await.c, which keeps places for answers, and tcp_limit.c, which ends who takes too much. Use it
 * through net/tcp.h.
 *
 * out_at bytes of `out` are sent. What is appended while an answer is awaited stands in the last place.
 *
 * Lists. `all` is sorted by `since`. `ready`: connections to be read from or served on. `dirty`:
 * those with something to do at the end of the turn. A connection's memory is freed when libuv has
 * closed its handle, after the turn, and its last place is filled; so a list walk may cut the connection
 * it stands on.
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

/* What a connection waits for: a message or an answer, the rest of a message, the peer's reading. */
enum waits { FOR_NOTHING, FOR_MESSAGE, FOR_READER };

struct sutra_tcp_conn {
	uv_poll_t poll;			/* first: the handle is the connection */
	struct sutra_tcp *tcp;
	int fd, events;
	bool ending, closing, is_closed;	/* is_closed: libuv is done with it */
	bool is_choked;			/* `data` was stopped because it is full */
	bool again;			/* rest holds messages that were not looked at */
	bool owes;			/* the rest of a message is on its way that is not kept */
	bool served;			/* since the last note: it finished a message, or took answers */
	uint16_t peer;			/* its group */
	enum sutra_tcp_end why;		/* of ending */
	enum waits waits;
	struct link all, ready, dirty;
	struct sutra_buf rest, out;
	size_t out_at, counted;		/* counted: share of tcp->held_bytes */
	struct sutra_tcp_place *first, *last;
	size_t awaited;			/* bytes in the places */
	uint64_t since;			/* when it began to wait for that; milliseconds */
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
	bool deaf;			/* without descriptors: accepts again at the next tick */
	size_t held_bytes;
	uint64_t accepted, ends[SUTRA_TCP_END_COUNT], now;
	_Atomic uint64_t stop_grace;	/* 0: run on */
	uint64_t stop_at;		/* 0: not draining */
	uint64_t slice_end;		/* of the connection that is served */
	uint64_t checked;		/* when all were */
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

/* More than soft_output waits to be sent, or too much to be answered. */
static inline bool is_full(const struct sutra_tcp_conn *c)
{
	return c->out.len - c->out_at > c->tcp->o.soft_output || c->awaited > MAX_AWAITED;
}

/* ---- tcp_conn.c ---- */

/* Gives an output buffer that is sent back to the pool. */
void sutra_tcp_return_out(struct sutra_tcp_conn *c);
/* Ends the connection, whatever still waits; `why` is counted. */
void sutra_tcp_cut(struct sutra_tcp_conn *c, enum sutra_tcp_end why);
/* Brings held_bytes up to date with what the connection holds now. */
void sutra_tcp_account(struct sutra_tcp_conn *c);
/* Brings its connection's `awaited` up to date with what the place holds now. */
void sutra_tcp_count_place(struct sutra_tcp_place *p);

/* ---- tcp_limit.c ---- */

/* The group of an address: the /64 of IPv6. Two addresses of one group share their limit. */
unsigned sutra_tcp_peer(const struct sutra_tcp *t, const struct sockaddr_storage *from);
/* Notes, at the end of a turn, what the connection waits for and since when. */
void sutra_tcp_note(struct sutra_tcp_conn *c);
/* Ends the connection that waits longest, of a group or (-1) of all. False: there is none. */
bool sutra_tcp_evict(struct sutra_tcp *t, int peer);
/* Whether one more of the group can be taken, after another had to go if need be. */
bool sutra_tcp_make_room(struct sutra_tcp *t, unsigned peer);
/* While all together hold too much: ends who holds its bytes longest for what they are, c itself
 * at last. */
void sutra_tcp_relieve(struct sutra_tcp_conn *c);
/* Ends who is too slow, or idle for too long; while draining, whoever has nothing more to say. */
void sutra_tcp_check(struct sutra_tcp *t);

#endif
