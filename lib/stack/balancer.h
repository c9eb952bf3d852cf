/* balancer - waits for what HAProxy says of a server (statistics as CSV, by column name). */
#ifndef SUTRA_STACK_BALANCER_H
#define SUTRA_STACK_BALANCER_H

#include <stdint.h>

#include "base/err.h"

/* stats: "127.0.0.1:9999". SUTRA_E_TIMEOUT names server and last state. */
int sutra_balancer_wait_up(const char *stats, const char *backend, const char *server,
			   uint64_t timeout_ns, const volatile int *stop, struct sutra_err *err);
/* Until it gets no new sessions and has none. */
int sutra_balancer_wait_drained(const char *stats, const char *backend, const char *server,
				uint64_t timeout_ns, const volatile int *stop, struct sutra_err *err);

#endif
