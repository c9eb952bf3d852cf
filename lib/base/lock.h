/* lock - one deploy at a time: a kernel lock, which ends with the process that holds it, and a file beside
 * it that describes that process. */
#ifndef SUTRA_BASE_LOCK_H
#define SUTRA_BASE_LOCK_H

#include <signal.h>
#include <stdint.h>

#include "base/err.h"

/* Takes <state_dir>/lock, waiting at most wait_ns. SUTRA_E_LOCKED names user, host, pid
 * and command of the holder, and the time since when. SUTRA_E_INTERRUPTED: during the wait *stop (may be
 * NULL) became non-zero, or a caught signal arrived. *ret_fd is for sutra_lock_release. */
int sutra_lock_take(const char *state_dir, const char *command, uint64_t wait_ns,
		    const volatile sig_atomic_t *stop, int *ret_fd, struct sutra_err *err);
void sutra_lock_release(const char *state_dir, int fd);

#endif
