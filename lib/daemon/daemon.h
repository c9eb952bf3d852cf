/*
 * daemon - a table of settings, routes and metrics in, a running service out.
 *
 * A service fills one struct sutra_daemon and returns sutra_daemon_main from its main:
 * --settings, --version, --help and the service's own commands; signals and log; settings from the
 * environment; open; then requests until a signal. TERM, INT: unhealthy, finish within grace_ns, exit 0.
 * HUP: finish, keep the listening sockets, run again (daemon/service.h). An error is one line on stderr
 * and the exit code of its kind.
 *
 * The skeleton itself answers these routes:
 *	GET /health	200, or 503 with a reason; GET /ready: the same, and 404 once drained
 *	GET /metrics	the service's, the server's, the process's (Prometheus text)
 *	GET /openapi.json	the table that dispatches, as OpenAPI 3.1 (daemon/openapi.h)
 *	GET /ping	200 while the process answers
 */
#ifndef SUTRA_DAEMON_DAEMON_H
#define SUTRA_DAEMON_DAEMON_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/setting.h"
#include "net/http.h"

/* What the program does in place of serving: "--check DIR". Settings are not loaded yet. */
struct sutra_daemon_command {
	const char *option;	/* NULL ends the table */
	const char *operands;	/* for the usage line: " DIR" */
	int min, max;		/* how many */
	/* The exit code, or the code of err, which is printed. */
	int (*run)(void *ctx, char **operands, int n, struct sutra_err *err);
};

struct sutra_daemon {
	const char *name;	/* "ml-base": in /health; the program is sutra-NAME */
	const char *area;	/* of its log lines */
	const char *help;	/* a line: what it does */
	const struct sutra_setting_use *settings;
	const struct sutra_daemon_command *commands;	/* NULL: none */
	void *ctx;		/* the service, in which the settings' offsets are */
	const int64_t *port;
	char *const *host;	/* its own setting of the address (service.h); NULL: it has none */
	uint64_t grace_ns;	/* for what is under way at the end */

	int (*open)(void *ctx, struct sutra_err *err);
	void (*listening)(void *ctx, const char *address);	/* it can be reached: logs that */
	/* Why it is unhealthy, or NULL; appends fields, each with a comma before it. Any thread. */
	const char *(*health)(void *ctx, struct sutra_buf *fields);
	void (*metrics)(void *ctx, struct sutra_buf *b);	/* appends its own. Any thread. */
	void (*flush)(void *ctx);	/* after the last request; NULL: nothing is to be written */
	void (*close)(void *ctx);	/* NULL: threads may still use it, the process ends as it is */

	/* HTTP: routes. Their handlers get ctx. */
	const struct sutra_http_route *routes;
	const int64_t *bodies_mb;	/* 0: the server's default */
	char *const *allowed_hosts;

	/* Another protocol, routes NULL: start is given the listening sockets, which stay open; run serves
	 * until another thread calls stop, and what is under way has ended. */
	int (*start)(void *ctx, const int *fds, int n, struct sutra_err *err);
	void (*run)(void *ctx);
	void (*stop)(void *ctx);
};

int sutra_daemon_main(const struct sutra_daemon *d, int argc, char **argv);

enum { SUTRA_DAEMON_ROUTES = 64 };
/* The table that dispatches: the service's rows, then the skeleton's, into ret[SUTRA_DAEMON_ROUTES]. */
void sutra_daemon_routes(const struct sutra_http_route *own, struct sutra_http_route *ret);

/* What /health says; its status. */
int sutra_daemon_health(struct sutra_buf *b);
/* What /metrics says but for the HTTP server's: the service's, sutra_build_info, the process's. */
void sutra_daemon_metrics(struct sutra_buf *b);

#endif
