/*
 * service - signals, addresses and readiness of a daemon, for daemon.c.
 *
 * Addresses. A daemon with port P listens on the addresses of SUTRA_LISTEN_P ("addr:port,..."); unset, on
 * port P of the address SUTRA_LISTEN, which is 127.0.0.1 unless set. The native runtime sets the former
 * for each service (its own loopback address, and the published one); images set the latter to 0.0.0.0.
 *
 * Signals only set flags; the main thread waits for them here. TERM and INT: the service is not ready,
 * finishes its requests and exits with 0; the second one ends it at once. HUP restarts in place: the
 * service finishes its requests, then runs the program again with the listening sockets open, so that
 * connections wait in the backlog instead of being refused. The command to run is SUTRA_REEXEC (the native
 * runtime sets it to the service's run script, which loads the new settings) or, unset, the program
 * itself. The sockets are passed as in systemd's sd_listen_fds(3): LISTEN_FDS, LISTEN_PID, from
 * descriptor 3 on.
 */
#ifndef SUTRA_DAEMON_SERVICE_H
#define SUTRA_DAEMON_SERVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum sutra_service_signal { SUTRA_SIG_STOP, SUTRA_SIG_RESTART };

/* First call of main, before any thread: blocks the signals, ignores PIPE, raises the
 * descriptor limit to its hard value, sets up the log from LOG_LEVEL and LOG_FORMAT. */
int sutra_service_init(struct sutra_err *err);
/* Waits for TERM, INT or HUP. USR1 begins draining, as TERM and INT do. After TERM or INT the next one ends
 * the process at once. */
enum sutra_service_signal sutra_service_wait(void);
/* Whether the service drains: USR1, TERM or INT has come. Answers then carry Connection: close, so that
 * clients with open connections change to another instance. */
bool sutra_service_draining(void);
/* The same, for an answer of /ready: notes that a balancer has checked, and what the answer is. */
bool sutra_service_drained(void);
/* Whether balancers know of the draining: an answer of /ready said so, or none has checked for a second. */
bool sutra_service_noticed(void);
/* "addr:port,..." for the program's port; points to static memory or the environment. host: the value of
 * the program's own setting, used if SUTRA_LISTEN is unset; or NULL. */
const char *sutra_listen_for(const char *host, int port);
/* How many connections the descriptor limit allows: at most `wanted`; SUTRA_SPARE_FILES descriptors are
 * left for the rest of the program. */
enum { SUTRA_SPARE_FILES = 64 };
unsigned sutra_service_connections(unsigned wanted);
/* Runs the next program, which inherits the descriptors; returns only on failure. */
int sutra_service_reexec(const int *fds, int n, char **argv, struct sutra_err *err);
double sutra_service_uptime(void);

#endif
