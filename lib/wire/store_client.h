/*
 * store_client - a pipelining client of one sutra-storage over TCP.
 *
 * One thread owns the connection. Calls are thread-safe, never block, and are answered on that thread by their
 * callback, exactly once, in order. A lost connection is retried with back-off (50 ms doubling to 500 ms);
 * meanwhile calls fail at once with SUTRA_E_UNAVAILABLE. A call over its time limit fails with SUTRA_E_TIMEOUT,
 * one beyond the bounds of the queue with SUTRA_E_BUSY.
 *
 * A call that cannot be queued (out of memory, or max_queued failures wait for their callbacks) is answered on
 * the caller's thread. A callback may start calls; it must not free the client. Strings that a callback gets
 * are valid until it returns.
 */
#ifndef SUTRA_WIRE_STORE_CLIENT_H
#define SUTRA_WIRE_STORE_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "wire/message.h"	/* struct sutra_concept */

struct sutra_store_client;

struct sutra_store_client_options {
	const char *host;
	int port;
	uint64_t timeout_ns;		/* of each call; 0: 1 s */
	size_t max_queued;		/* calls not yet answered; 0: 65536 */
	size_t max_queued_bytes;	/* 0: 64 MiB */
};

int sutra_store_client_new(const struct sutra_store_client_options *o,
			   struct sutra_store_client **ret, struct sutra_err *err);
void sutra_store_client_free(struct sutra_store_client *c);	/* open calls fail with SUTRA_E_CLOSED */
bool sutra_store_client_up(const struct sutra_store_client *c);

/* Totals since the start; queued: the current number. */
struct sutra_store_client_counts {
	uint64_t calls, answered, failed, timeouts, busy, connects, disconnects, queued;
};
void sutra_store_client_counts(const struct sutra_store_client *c,
			       struct sutra_store_client_counts *ret);

/* code 0: the answer, whose concepts are one for each id of the request; else answer is NULL. */
typedef void sutra_store_done(void *user, int code, const struct sutra_message *answer);

/* Sends the request, whose memory may be freed when this returns. With done NULL the answer is dropped;
 * failures are counted. */
void sutra_store_call(struct sutra_store_client *c, const struct sutra_message *request,
		      sutra_store_done *done, void *user);

#endif
