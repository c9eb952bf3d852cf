/*
 * service - signals, addresses and readiness of a daemon, for daemon.c.
 *
 * Addresses. A daemon with port P listens where SUTRA_LISTEN_P says ("addr:port,...");
 * unset, on port P of the address SUTRA_LISTEN, which is 127.0.0.1 unless set. The native
 * runtime sets the former for each service (its own loopback address, and the published
 * one); images set the latter to 0.0.0.0.
 *
 * Signals only set flags; the main thread waits for them here. TERM and INT: not
 * ready, finish, exit 0; a second one: at once. HUP: restart in place: finish what is
 * under way, then run the program again with the listening sockets kept open, so that
 * connections wait in the backlog instead of being refused. The command to run is
 * SUTRA_REEXEC (the native runtime sets it to the service's run script, which loads
 * the new settings) or, unset, the program itself. The sockets travel as in systemd's
 * sd_listen_fds(3): LISTEN_FDS, LISTEN_PID, from descriptor 3 on.
 */
#ifndef SUTRA_DAEMON_SERVICE_H
#define SUTRA_DAEMON_SERVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum sutra_service_signal { SUTRA_SIG_STOP, SUTRA_SIG_RESTART };

/* First call of main, before any thread: blocks the signals, ignores PIPE, raises the
 * descriptor limit to its hard value, sets up the log from LOG_LEVEL and LOG_FORMAT. */
int sutra_service_init(const char *service, struct sutra_err *err);
/* Waits for TERM, INT or HUP; USR1 meanwhile asks for draining, which TERM and INT begin too.
 * A TERM after the first one exits the process at once. */
enum sutra_service_signal sutra_service_wait(void);
/* Whether the service drains: USR1, TERM or INT has come. Answers carry Connection: close, so that clients
 * that keep a connection go elsewhere. */
bool sutra_service_draining(void);
/* The same, called for each answer to a balancer's /ready: notes that it has looked, and what it was told. */
bool sutra_service_drained(void);
/* Whether balancers know of the draining: /ready has said so, or none has looked for a second. */
bool sutra_service_noticed(void);
/* "addr:port,..." for the program's port P; points to static memory or environment. host: the
 * program's own setting for it, where SUTRA_LISTEN is unset; or NULL. */
const char *sutra_listen_for(const char *host, int port);
/* How many connections the descriptor limit allows: at most `wanted`; SUTRA_SPARE_FILES descriptors are
 * left for the rest of the program. */
enum { SUTRA_SPARE_FILES = 64 };
unsigned sutra_service_connections(unsigned wanted);
/* Runs the next program, which inherits the descriptors; returns only on failure. */
int sutra_service_reexec(const int *fds, int n, char **argv, struct sutra_err *err);
double sutra_service_uptime(void);
/* {"status":"healthy","service":...,"version":...,"uptime_seconds":... without the
 * closing brace, so that the caller adds fields; reason NULL: healthy. */
void sutra_service_health(struct sutra_buf *b, const char *reason);

#endif
