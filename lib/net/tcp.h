/*
 * tcp - a server of byte streams on one libuv loop.
 *
 * Life: sutra_tcp_new with listening sockets, sutra_tcp_run (blocks), sutra_tcp_stop from
 * any thread, run returns, sutra_tcp_free. Every callback and every function runs on
 * the loop's thread, except sutra_tcp_wake and sutra_tcp_stop, which any thread may call.
 *
 * Turns. A turn reads once from each readable connection and passes the bytes to `data`, which appends
 * answers to sutra_tcp_out. Then `batch` is called once, and all answers are sent, so the changes of many
 * connections can be committed together. A turn takes about 4 ms; a connection with more requests continues
 * in the next turn (sutra_tcp_yield).
 *
 * Answers that come later. sutra_tcp_await reserves a place among the answers of a connection, for a request
 * that another thread processes; sutra_tcp_answer fills it, in any order, on the loop's thread (`woken`).
 * Answers are sent in the order of their places: later ones of the connection wait, other connections
 * do not. The connection's memory stays until the last of its places is filled.
 *
 * Limits; sutra_tcp_counts counts each of them. A connection with more than soft_output bytes to send, or
 * 4 MiB in its places, is not read until they have shrunk (back-pressure). A connection in the middle of a
 * message, or with answers to read, is cut if it moves less than 16 KiB a second in a period of stall_ns.
 * One that is idle for idle_ns is closed. When max_connections are open, or max_per_peer from one address,
 * a new connection replaces the one that has been waiting longest; it is refused only if all of them wait
 * for the server. When all connections together hold more than max_held bytes, the connection with the
 * fewest bytes per time is cut. An idle connection holds a few hundred bytes and no buffer.
 */
#ifndef SUTRA_NET_TCP_H
#define SUTRA_NET_TCP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct sutra_tcp;
struct sutra_tcp_conn;

/* The place of an answer that comes later; a member of the owner's struct for the request. */
struct sutra_tcp_place {
	struct sutra_tcp_conn *conn;
	struct sutra_tcp_place *next;
	struct sutra_buf answer, behind;	/* behind: output that was appended after the place */
	size_t cost, counted;
	bool is_answered;
};

#define SUTRA_TCP_ENDS(X)                                                        \
	X(PEER, "closed_by_peer") X(BROKEN, "connection_error")                  \
	X(STALLED_READER, "stalled_reader") X(SLOW_SENDER, "slow_sender")        \
	X(OVERLOAD, "out_of_buffers") X(TOO_MANY, "too_many_connections")        \
	X(SERVER, "closed_by_server") X(IDLE, "idle") X(EVICTED, "made_room")    \
	X(NO_DESCRIPTORS, "out_of_descriptors")
enum sutra_tcp_end {
#define X(sym, name) SUTRA_TCP_##sym,
	SUTRA_TCP_ENDS(X)
#undef X
	SUTRA_TCP_END_COUNT
};
const char *sutra_tcp_end_name(enum sutra_tcp_end end);

struct sutra_tcp_options {
	const int *fds;			/* listening sockets; stay the caller's */
	int n_fds;
	unsigned max_connections;	/* at most 65535; 0: 8192 */
	unsigned max_per_peer;		/* 0: three quarters of max_connections */
	size_t soft_output;		/* 0: 1 MiB */
	size_t max_held;		/* 0: 512 MiB */
	uint64_t stall_ns;		/* 0: 10 s */
	uint64_t idle_ns;		/* 0: 15 minutes */
	size_t state_size;		/* bytes of sutra_tcp_state */
	/* Takes n bytes from the peer; returns how many it has consumed. The rest is passed again, followed by
	 * new bytes. Calls sutra_tcp_yield after each message and returns when that is true. */
	size_t (*data)(struct sutra_tcp_conn *c, const char *p, size_t n, void *ctx);
	void (*batch)(void *ctx);	/* NULL: none */
	void (*woken)(void *ctx);	/* after sutra_tcp_wake; several wakes may be one */
	void (*tick)(void *ctx);	/* every 100 ms; NULL: none */
	/* The owner may free the place: its answer has been taken, or its connection is closed. */
	void (*answered)(struct sutra_tcp_place *p, void *ctx);
	void *ctx;
};

int sutra_tcp_new(const struct sutra_tcp_options *o, struct sutra_tcp **ret, struct sutra_err *err);
void sutra_tcp_run(struct sutra_tcp *t);
/* Stops accepting and reading; sends the rest of the answers for at most grace_ns. */
void sutra_tcp_stop(struct sutra_tcp *t, uint64_t grace_ns);
void sutra_tcp_wake(struct sutra_tcp *t);
void sutra_tcp_free(struct sutra_tcp *t);	/* after run has returned */

/* The buffer for the next answer, which is sent after those that are awaited. */
struct sutra_buf *sutra_tcp_out(struct sutra_tcp_conn *c);
/* Whether `data` must return: the turn's share is used up, or the output is full. The rest is passed again. */
bool sutra_tcp_yield(struct sutra_tcp_conn *c);
/* owes: the peer is in the middle of a message that `data` skips. */
void sutra_tcp_owes(struct sutra_tcp_conn *c, bool owes);
void *sutra_tcp_state(struct sutra_tcp_conn *c);	/* zeroed at the start */
/* Closes the connection when its output is sent; `data` is not called any more. */
void sutra_tcp_end(struct sutra_tcp_conn *c);
/* Reserves the place after all answers so far. cost: bytes that the request holds until it is answered. */
void sutra_tcp_await(struct sutra_tcp_conn *c, struct sutra_tcp_place *p, size_t cost);
bool sutra_tcp_awaits(const struct sutra_tcp_conn *c);	/* any place is not filled */
/* Fills a place and empties *answer. A buffer with an error cuts the connection. May be called after
 * sutra_tcp_run has returned, too. */
void sutra_tcp_answer(struct sutra_tcp_place *p, struct sutra_buf *answer);

struct sutra_tcp_counts {
	uint64_t accepted, open, ends[SUTRA_TCP_END_COUNT], held_bytes;
};
void sutra_tcp_counts(const struct sutra_tcp *t, struct sutra_tcp_counts *ret);

#endif
