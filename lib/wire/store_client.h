/*
 * store_client - talks to one sutra-storage over TCP, pipelined.
 *
 * One thread owns the connection. Calls are thread-safe, never block, and are answered
 * on that thread by their callback, exactly once, in order. A connection that is down
 * is retried with back-off (50 ms doubling to 500 ms); meanwhile calls fail at once with
 * SUTRA_E_UNAVAILABLE. A call over its time limit answers SUTRA_E_TIMEOUT. The
 * queue is bounded: beyond it SUTRA_E_BUSY.
 *
 * A call that cannot even be noted (no memory, or as many failures as max_queued wait to
 * be told) is answered on the caller's own thread. A callback may start calls; it
 * must not free the client. Strings handed to a callback live until it returns.
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
void sutra_store_client_free(struct sutra_store_client *c);	/* answers what is open: CLOSED */
bool sutra_store_client_up(const struct sutra_store_client *c);

/* Totals since it was made, for metrics; `queued` is now. */
struct sutra_store_client_counts {
	uint64_t calls, answered, failed, timeouts, busy, connects, disconnects, queued;
};
void sutra_store_client_counts(const struct sutra_store_client *c,
			       struct sutra_store_client_counts *ret);

/* found[i] NULL: not there (or expired). code 0 or an error; then n is 0. */
typedef void sutra_get_done(void *user, int code, const struct sutra_concept *const *found, size_t n);
/* value: sequence of a put, found (0/1) of a delete, n of a clear. */
typedef void sutra_call_done(void *user, int code, uint64_t value);
/* JSON text of StatsOk's map. */
typedef void sutra_stats_done(void *user, int code, const char *json, size_t n);

void sutra_store_get(struct sutra_store_client *c, const char *const *ids, size_t n,
		     sutra_get_done *done, void *user);	/* GetConcepts */
/* done may be NULL: fire and forget, failures are counted. */
void sutra_store_put(struct sutra_store_client *c, const struct sutra_concept *concept,
		     sutra_call_done *done, void *user);	/* LearnConcept */
void sutra_store_delete(struct sutra_store_client *c, const char *id, sutra_call_done *done, void *user);
void sutra_store_clear(struct sutra_store_client *c, sutra_call_done *done, void *user);
void sutra_store_flush(struct sutra_store_client *c, sutra_call_done *done, void *user);
void sutra_store_stats(struct sutra_store_client *c, sutra_stats_done *done, void *user);

#endif
