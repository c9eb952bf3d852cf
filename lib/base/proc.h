/* proc - run another program: with its output captured, or in the foreground. */
#ifndef SUTRA_BASE_PROC_H
#define SUTRA_BASE_PROC_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

/*
 * Runs argv (found by PATH), standard input from /dev/null; stdout and stderr are
 * appended to out (both, in order; NULL: inherited). Waits at most timeout_ns
 * (UINT64_MAX: no limit), then TERM, and KILL a second later. *ret_status is the exit
 * code, or 128 + signal. SUTRA_E_NOTFOUND when there is no such program (its
 * name in the message), SUTRA_E_TIMEOUT, SUTRA_E_IO.
 */
int sutra_proc_run(const char *const *argv, struct sutra_buf *out, uint64_t timeout_ns,
		   int *ret_status, struct sutra_err *err);
/* Describes how a process ended: "exit code 3", "killed by signal 9 (KILL)", "killed: memory limit 512 MiB
 * reached". code: the exit code, or 128 + signal. limit: the memory limit in bytes for which the kernel
 * killed it; 1: the memory of the machine; 0: another cause. */
void sutra_proc_end(int code, uint64_t limit, char *out, size_t size);
/* Whether a program of this name is on PATH; *ret_path (may be NULL) is x-allocated. */
bool sutra_proc_find(const char *name, char **ret_path);

#endif
