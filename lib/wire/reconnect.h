/*
 * reconnect - a TCP connection, tried until it stands, with back-off (50 ms doubling to 500 ms).
 * Every address of the name is tried in the resolver's order before the back-off begins.
 * Internal to lib/wire; one thread owns it, and nothing but the resolver makes that thread wait.
 *
 * Its owner calls step whenever patience is over, watches fd for writing while there is an attempt,
 * and then calls finish. The descriptor it is given there is its own; when that breaks it says later.
 */
#ifndef SUTRA_WIRE_RECONNECT_H
#define SUTRA_WIRE_RECONNECT_H

#include <stdbool.h>
#include <stdint.h>

struct reconnect {
	const char *host;	/* borrowed */
	int port, fd;		/* fd: of the attempt under way, or -1 */
	struct addrinfo *addresses, *next;	/* of the name while they are tried; the one after fd's */
	uint64_t timeout_ns;	/* of one address */
	uint64_t backoff_ns, retry_at, deadline;
};

void reconnect_init(struct reconnect *r, const char *host, int port, uint64_t timeout_ns);
void reconnect_release(struct reconnect *r);
/* Begins the attempt that is due, gives up the one whose time is over. True: fd is new. */
bool reconnect_step(struct reconnect *r);
/* The attempt has come to something: the connection, or -1; step tries the next address then. */
int reconnect_finish(struct reconnect *r);
/* A connection that stood is lost: the next attempt begins after the back-off. */
void reconnect_later(struct reconnect *r);
int reconnect_patience_ms(const struct reconnect *r);	/* until step has something to do */

#endif
