/*
 * await - start or restart services and wait, all at once, until they are healthy.
 *
 * The wait polls every 25 ms and ends at once when a process that should come up has
 * exited: it can no longer become ready by itself within this start.
 */
#ifndef SUTRA_STACK_AWAIT_H
#define SUTRA_STACK_AWAIT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

struct sutra_awaited {
	/* asked */
	const char *name, *program, *health_url;	/* health_url NULL: running is enough */
	/* set by sutra_await_restart, or zero for a service that was not running */
	uint64_t asked_ns;	/* when the restart was asked for */
	bool in_place;		/* the process restarts itself, its pid stays */
	pid_t old_pid;
	unsigned restarts;	/* counted before */
	/* answered */
	bool ready;
	const char *reason;	/* closed list: exited, refused, status, first-byte-timeout ... */
	char last_reply[320];
	int last_exit;		/* -1: none */
	double took_s;
};

/* Tells the supervisor: start it when it is down; HUP when the program restarts itself in
 * place; TERM (HAProxy). Fills the asked fields. */
int sutra_await_restart(const char *state_dir, struct sutra_awaited *a, struct sutra_err *err);
/* Waits for all; on_ready (may be NULL) is called once for each. SUTRA_E_TIMEOUT, SUTRA_E_IO (one
 * exited) or SUTRA_E_INTERRUPTED (*stop became non-zero; stop may be NULL), naming the first
 * service that is not ready. */
int sutra_await(const char *state_dir, struct sutra_awaited *list, size_t n, uint64_t timeout_ns,
		void (*on_ready)(const struct sutra_awaited *a), const volatile int *stop,
		struct sutra_err *err);
/* The last `lines` lines of a service's log, x-allocated; "" when there is none. */
char *sutra_log_tail(const char *state_dir, const char *name, int lines);

#endif
