/*
 * http_private - a server and its requests inside; others use net/http.h.
 *
 *	http.c		the server's life, and a request's from its headers to its answer
 *	http_listen.c	connections until the head of their first request has arrived
 *	http_conn.c	the phases of connections and their limits
 *	http_head.c	whether bytes are a request's head
 *	http_admit.c	from the head to the route and the context, or to a refusal
 *	http_path.c	paths of routes and of requests
 *	http_origin.c	whether another site's page has sent a request
 *	http_memory.c	the memory for bodies of requests in flight
 *	http_answer.c	the functions of handlers: parts of a request, answers
 *	http_metrics.c	the server's metrics
 */
#ifndef SUTRA_NET_HTTP_PRIVATE_H
#define SUTRA_NET_HTTP_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/metric.h"
#include "net/http.h"
#include "net/http_conn.h"
#include "net/http_path.h"
#include "net/port.h"

enum { SUTRA_HTTP_MAX_SOCKETS = 16, SUTRA_HTTP_IDLE_S = 30 /* a connection without progress */ };

/* A row of the service's table, and its durations by status. Series are added at the front by any
 * thread, and stay. */
struct sutra_http_entry {
	const struct sutra_http_route *row;	/* NULL: of requests without a route */
	_Atomic(struct sutra_http_series *) series;
};

struct sutra_http_server {
	struct sutra_http_options o;
	struct sutra_http_entry *entries;	/* the table's rows, and last the one without a row */
	size_t n_routes;	/* entries with a row */
	struct MHD_Daemon *daemon;
	struct sutra_http_listener *listener;
	struct sutra_http_conns conns;
	int fds[SUTRA_HTTP_MAX_SOCKETS];
	int n;
	char address[SUTRA_ADDR_LEN];
	atomic_bool leaving;	/* answers carry Connection: close */
	atomic_bool refusing;	/* a POST gets 503 */
	atomic_bool sealed;	/* no further request begins */
	bool accepting, ended;	/* only the stopping thread uses them */
	atomic_uint active, connections;
	atomic_ullong last_event_ns;	/* a request's end, a connection's beginning */
	atomic_ullong last_work_ns;	/* a POST's end: health checks do not count */
	atomic_ullong next_id;
	uint32_t id_prefix;
	atomic_size_t held;	/* bytes that the bodies of requests in flight hold: http_memory.c */
	atomic_bool freed;	/* a large body has ended */
	pthread_mutex_t lock;	/* only for changed */
	pthread_cond_t changed;	/* a request or connection ended */
};

enum { SUTRA_HTTP_RUNNING, SUTRA_HTTP_SUSPENDED, SUTRA_HTTP_ANSWERED };	/* state */

/* Headers that http_admit.c needs, found in one pass. */
#define SUTRA_HTTP_HEADERS(X)                                                                       \
	X(HOST, "Host") X(LENGTH, "Content-Length") X(CODING, "Transfer-Encoding")                  \
	X(TYPE, "Content-Type") X(PACKED, "Content-Encoding") X(EXPECT, "Expect")                   \
	X(ORIGIN, "Origin") X(REFERER, "Referer") X(AGENT, "User-Agent") X(SITE, "Sec-Fetch-Site")  \
	X(MODE, "Sec-Fetch-Mode") X(LANGUAGE, "Accept-Language") X(ID, "X-Request-Id")              \
	X(TIMEOUT, "X-Request-Timeout") X(TRACE, "traceparent")
enum sutra_http_header_name {
#define X(sym, name) SUTRA_HTTP_H_##sym,
	SUTRA_HTTP_HEADERS(X)
#undef X
	SUTRA_HTTP_H_COUNT
};

struct sutra_http_request {
	struct sutra_http_server *server;
	struct MHD_Connection *connection;
	struct sutra_http_conn *conn;	/* NULL: no memory for it */
	const char *method, *path, *version;
	struct sutra_http_entry *entry;	/* of the route; the last one while there is none */
	struct sutra_http_match match;	/* its parameters */
	char *params[SUTRA_HTTP_PARAMS];	/* their values, in one piece of memory */
	struct sutra_http_context context;
	const char *headers[SUTRA_HTTP_H_COUNT];	/* the first of a name, or NULL */
	bool changes;		/* it may change something, even if its method is GET */
	struct sutra_buf body;
	uint64_t dropped;
	bool ended;		/* the whole body has arrived */
	bool answer_at_once;	/* the body is not read: it is far too large, or its length is ambiguous */
	size_t held;		/* bytes of the server's memory for bodies */
	atomic_int state;	/* of the answer; see http.c */
	int status;
	size_t length;		/* of the answer */
	struct MHD_Response *response;
	struct sutra_err refusal;	/* code 0: none */
	char id[129];		/* at most 128 characters */
	struct {
		const char *name;
		char value[512];
	} extra[8];
	size_t n_extra;
};

/* Fills headers, and the refusal if they give the body an ambiguous length. */
void sutra_http_read_headers(struct sutra_http_request *r);
/* Fills route and context, or the refusal. uri_error: result of sutra_http_target; refusing: every POST gets
 * 503. */
void sutra_http_admit(struct sutra_http_request *r, int uri_error, bool refusing);
/* Refuses a request that another site's page may have sent. host: the header's, or an absolute address's. */
void sutra_http_check_origin(struct sutra_http_request *r, const char *host, const struct sutra_http_options *o);
/* Whether it carries headers that only browsers send. */
bool sutra_http_from_browser(const struct sutra_http_request *r);

/* Reserves n more bytes for the request until it ends. False: the refusal is filled: 503, or 413 if so
 * many are never available. */
bool sutra_http_hold(struct sutra_http_request *r, size_t n);
/* The same for parsing the whole body as JSON. */
bool sutra_http_hold_json(struct sutra_http_request *r);
void sutra_http_release_held(struct sutra_http_request *r);

/* Makes the server's entries from its table; false: out of memory. */
bool sutra_http_entries_new(struct sutra_http_server *s);
void sutra_http_entries_free(struct sutra_http_server *s);
/* Counts a request in the durations. */
void sutra_http_record(struct sutra_http_request *r, uint64_t ended_ns);

/* Starts the listening thread on the server's sockets, which stay the server's. */
int sutra_http_listener_start(struct sutra_http_server *s, struct sutra_err *err);
/* Accepts no further connections; the accepted ones go on. */
void sutra_http_listener_pause(struct sutra_http_listener *l);
/* Ends the thread, and closes the connections that libmicrohttpd has not been given. */
void sutra_http_listener_stop(struct sutra_http_listener *l);
void sutra_http_listener_free(struct sutra_http_listener *l);	/* after stop; NULL is fine */

/* {"error":{...}} as sutra_http_reply_error sends it. */
void sutra_http_error_json(struct sutra_buf *b, const struct sutra_err *err);

#endif
