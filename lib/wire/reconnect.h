/*
 * reconnect - establishes a TCP connection, with back-off (50 ms doubling to 500 ms). It tries every address of
 * the name in the resolver's order before it backs off. Internal to lib/wire; used by one thread, which it
 * never blocks: each lookup has a detached thread, which ends by itself when its result is not needed.
 *
 * The owner calls step when wait_ms is over, watches fd for `events` while it is not -1, and calls finish when
 * it is ready. A descriptor that finish returns is the owner's; when that connection is lost, the owner calls
 * later.
 */
#ifndef SUTRA_WIRE_RECONNECT_H
#define SUTRA_WIRE_RECONNECT_H

#include <stdbool.h>
#include <stdint.h>

struct reconnect {
	const char *host;	/* borrowed */
	int port, fd;		/* fd: of the current lookup or attempt, or -1 */
	short events;		/* of fd: POLLIN or POLLOUT */
	struct lookup *lookup;	/* NULL: none runs */
	struct addrinfo *addresses, *next;	/* all while they are tried; the one to try after fd's */
	uint64_t timeout_ns;	/* of one address */
	uint64_t backoff_ns, retry_at, deadline;
};

void sutra_reconnect_init(struct reconnect *r, const char *host, int port, uint64_t timeout_ns);
void sutra_reconnect_release(struct reconnect *r);
/* Begins the attempt that is due, ends one that took too long. True: fd is new. */
bool sutra_reconnect_step(struct reconnect *r);
/* Call it when fd is ready. Returns the connection, or -1; then step tries the next address. */
int sutra_reconnect_finish(struct reconnect *r);
/* The connection is lost: the next attempt begins after the back-off. */
void sutra_reconnect_later(struct reconnect *r);
int sutra_reconnect_wait_ms(const struct reconnect *r);	/* until step has something to do; -1: not before finish */

#endif
