/*
 * tcp_private - the server and its connections from the inside; for tcp.c, which runs the loop, and
 * tcp_hold.c, which keeps answers back. Use it through net/tcp.h.
 *
 * Positions in the output stream are counted from the connection's first byte: out.data[0]
 * is `base`, out_at bytes of it are sent. holds[holds_at..] are sorted by position.
 *
 * Lists. `dirty`: connections with something to do at the end of the turn. `held`: those
 * with waiting answers. A connection's memory goes only when libuv has closed its handle,
 * after the turn, so a list walk may cut what it stands on.
 */
#ifndef SUTRA_NET_TCP_PRIVATE_H
#define SUTRA_NET_TCP_PRIVATE_H

#include <uv.h>

#include "net/tcp.h"

enum { POOL = 64, MAX_LISTEN = 16 };

struct hold {
	uint64_t ticket, start, end;
};

struct link {
	struct link *next, *prev;
};

struct sutra_tcp_conn {
	uv_poll_t poll;			/* first: the handle is the connection */
	struct sutra_tcp *tcp;
	int fd, events;
	bool ending, closing;
	enum sutra_tcp_end why;		/* of ending */
	struct link all, dirty, held;
	struct sutra_buf rest, out;
	size_t out_at, counted;		/* counted: share of tcp->held_bytes */
	uint64_t base, progress;
	struct hold *holds;
	size_t holds_at, n_holds, cap_holds;
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
	struct listener listeners[MAX_LISTEN];
	struct link all, dirty, held;
	struct sutra_buf pool[POOL];
	unsigned n_pool, open, turn;
	int spare_fd;			/* given up to accept when descriptors run out */
	size_t held_bytes;
	uint64_t accepted, ends[SUTRA_TCP_END_COUNT], now;
	_Atomic uint64_t stop_grace;	/* 0: run on */
	uint64_t stop_at;		/* 0: not draining */
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

/* Ends the connection, whatever still waits; `why` is counted. */
void sutra_tcp_cut(struct sutra_tcp_conn *c, enum sutra_tcp_end why);
/* Brings held_bytes up to date with what the connection holds now. */
void sutra_tcp_account(struct sutra_tcp_conn *c);

#endif
