/*
 * await - wait, for all at once, until services are healthy.
 *
 * The wait polls. It ends at once when a process that should become ready has exited, since it cannot become
 * ready within this start.
 */
#ifndef SUTRA_DEPLOY_AWAIT_H
#define SUTRA_DEPLOY_AWAIT_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "runtime/runtime.h"

/* Waits for all; on_ready (may be NULL) is called once for each. SUTRA_E_TIMEOUT, SUTRA_E_IO (one
 * exited) or SUTRA_E_INTERRUPTED (*stop became non-zero; stop may be NULL), naming the first
 * service that is not ready. */
int sutra_await(const struct sutra_runtime *rt, const char *state_dir, struct sutra_awaited *list,
		size_t n, uint64_t timeout_ns, void (*on_ready)(const struct sutra_awaited *a),
		const volatile sig_atomic_t *stop, struct sutra_err *err);

#endif
