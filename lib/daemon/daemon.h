/*
 * daemon - a table of settings, routes and metrics in, a running service out.
 *
 * A service fills one struct sutra_daemon, and its main returns sutra_daemon_main. That handles --settings,
 * --version, --help and the service's own commands; else it sets up signals and log, loads the settings,
 * opens the service, and serves requests until a signal. TERM, INT: it is unhealthy, finishes its requests
 * within grace_ns, and exits with 0. HUP: it finishes them, keeps the listening sockets open, and runs again
 * (below). An error is one line on stderr and the exit code of its kind.
 *
 * The skeleton itself answers these routes:
 *	GET /health	200, or 503 with a reason; GET /ready: the same, and 404 once drained
 *	GET /metrics	the service's, the server's, the process's (Prometheus text)
 *	GET /openapi.json	the table that dispatches, as OpenAPI 3.1 (daemon/openapi.h)
 *	GET /ping	200 while the process answers
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
#ifndef SUTRA_DAEMON_DAEMON_H
#define SUTRA_DAEMON_DAEMON_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/setting.h"
#include "net/http.h"

/* A command that runs instead of the service: "--check DIR". Settings are not loaded yet. */
struct sutra_daemon_command {
	const char *option;	/* NULL ends the table */
	const char *operands;	/* for the usage line: " DIR" */
	int min, max;		/* number of operands */
	/* Returns the exit code; or a negative code, for which err is printed. */
	int (*run)(void *ctx, char **operands, int n, struct sutra_err *err);
};

struct sutra_daemon {
	const char *name;	/* "ml-base": in /health; the program is sutra-NAME */
	const char *area;	/* of its log lines */
	const char *help;	/* the service in a line */
	const struct sutra_setting_use *settings;
	const struct sutra_daemon_command *commands;	/* NULL: none */
	void *ctx;		/* the service, in which the settings' offsets are */
	const int64_t *port;
	char *const *host;	/* its own setting of the address, see sutra_listen_for; NULL: none */
	uint64_t grace_ns;	/* for requests in flight at the end */

	int (*open)(void *ctx, struct sutra_err *err);
	void (*listening)(void *ctx, const char *address);	/* logs that it accepts connections */
	/* Returns why it is unhealthy, or NULL; appends fields, each after a comma. Any thread. */
	const char *(*health)(void *ctx, struct sutra_buf *fields);
	void (*metrics)(void *ctx, struct sutra_buf *b);	/* appends the service's metrics. Any thread. */
	void (*flush)(void *ctx);	/* after the last request; NULL: there is nothing to write */
	void (*close)(void *ctx);	/* NULL: threads still use the service when the process ends */

	/* HTTP. The handlers get ctx. */
	const struct sutra_http_route *routes;
	const int64_t *bodies_mb;	/* 0: the server's default */
	char *const *allowed_hosts;

	/* Another protocol (routes NULL): start takes the listening sockets, which stay open; run serves until
	 * another thread has called stop and the requests in flight have ended. */
	int (*start)(void *ctx, const int *fds, int n, struct sutra_err *err);
	void (*run)(void *ctx);
	void (*stop)(void *ctx);
};

int sutra_daemon_main(const struct sutra_daemon *d, int argc, char **argv);

enum { SUTRA_DAEMON_ROUTES = 64 };
/* The table that dispatches: the service's rows, then the skeleton's, into ret[SUTRA_DAEMON_ROUTES]. */
void sutra_daemon_routes(const struct sutra_http_route *own, struct sutra_http_route *ret);

/* Appends the answer of /health; returns its status. */
int sutra_daemon_health(struct sutra_buf *b);
/* Appends the metrics of the service and the process, and sutra_build_info, but none of an HTTP server. */
void sutra_daemon_metrics(struct sutra_buf *b);

/* "addr:port,..." for the program's port; points to static memory or the environment. host: the value of
 * the program's own setting, used if SUTRA_LISTEN is unset; or NULL. */
const char *sutra_listen_for(const char *host, int port);
/* How many connections the descriptor limit allows: at most `wanted`; some descriptors are left for the
 * rest of the program. */
unsigned sutra_daemon_connections(unsigned wanted);
double sutra_daemon_uptime(void);	/* seconds */

#endif
