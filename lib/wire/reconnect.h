/*
 * reconnect - a TCP connection, tried until it stands, with back-off (50 ms doubling to 500 ms).
 * Every address of the name is tried in the resolver's order before the back-off begins.
 * Internal to lib/wire; one thread owns it and never waits in it: names are resolved by a thread of each
 * lookup, which is left to itself when its answer is not wanted any more.
 *
 * Its owner calls step whenever wait_ms is over, watches fd for `events` while it is not -1, and then calls
 * finish. A descriptor that finish returns is the owner's; when that connection breaks it says later.
 */
#ifndef SUTRA_WIRE_RECONNECT_H
#define SUTRA_WIRE_RECONNECT_H

#include <stdbool.h>
#include <stdint.h>

struct reconnect {
	const char *host;	/* borrowed */
	int port, fd;		/* fd: of the lookup or the attempt under way, or -1 */
	short events;		/* of fd: POLLIN or POLLOUT */
	struct lookup *lookup;	/* of the name; NULL: none under way */
	struct addrinfo *addresses, *next;	/* of the name while they are tried; the one after fd's */
	uint64_t timeout_ns;	/* of one address */
	uint64_t backoff_ns, retry_at, deadline;
};

void sutra_reconnect_init(struct reconnect *r, const char *host, int port, uint64_t timeout_ns);
void sutra_reconnect_release(struct reconnect *r);
/* Begins the attempt that is due, gives up the one whose time is over. True: fd is new. */
bool sutra_reconnect_step(struct reconnect *r);
/* fd is ready: the connection, or -1; step goes on with the next address then. */
int sutra_reconnect_finish(struct reconnect *r);
/* A connection that stood is lost: the next attempt begins after the back-off. */
void sutra_reconnect_later(struct reconnect *r);
int sutra_reconnect_wait_ms(const struct reconnect *r);	/* until step has something to do; -1: not before finish */

#endif
