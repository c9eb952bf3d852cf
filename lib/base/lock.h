/* lock - one deploy at a time: a kernel lock that dies with its holder, and a record beside it
 * that says who that is. */
#ifndef SUTRA_BASE_LOCK_H
#define SUTRA_BASE_LOCK_H

#include <signal.h>
#include <stdint.h>

#include "base/err.h"

/* Takes <state_dir>/lock, waiting at most wait_ns. SUTRA_E_LOCKED names holder's user, host, pid,
 * command and since when. SUTRA_E_INTERRUPTED: *stop (may be NULL) became non-zero, or a signal that is
 * caught came, during the wait. *ret_fd is closed to let go (or by the process's end). */
int sutra_lock_take(const char *state_dir, const char *command, uint64_t wait_ns,
		    const volatile sig_atomic_t *stop, int *ret_fd, struct sutra_err *err);
void sutra_lock_release(const char *state_dir, int fd);

#endif
