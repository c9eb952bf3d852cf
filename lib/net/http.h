/*
 * http - the HTTP server every daemon uses (libmicrohttpd, epoll threads).
 *
 * A route is method, path and handler. The handler is called once, with the whole
 * body read, on one of the server's threads. It answers at once with one of the
 * sutra_http_reply* calls, or returns without answering and answers later from any
 * thread: the connection is suspended meanwhile and costs no thread. Exactly one
 * answer per request; after it the request is gone.
 *
 * A request's context (struct sutra_http_context) is complete before its body is read.
 *
 * The server does this for every service (CONTRACT section 2):
 *	X-Request-Id	the client's if it is 1-128 printable characters, else a new one
 *	errors		JSON with code, message and hint
 *	400, 414, 431, 501, 505	the bytes are not a valid request
 *	403, 421	another site's page has sent it (http_origin.c)
 *	404, 405	no route has the path; or none of its methods, which Allow lists
 *	413		the body is larger than max_body
 *	415		the body is compressed; or a POST's Content-Type is not JSON, octet-stream or absent
 *			(or, from a program, the type that curl sends by default)
 *	422		X-Request-Timeout is not 1 to 86400000
 *	503		the server is stopping, or the memory for bodies is used up
 * It limits time, and closes the oldest idle connections when there are too many (http_listen.c).
 */
#ifndef SUTRA_NET_HTTP_H
#define SUTRA_NET_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct sutra_http_server;
struct sutra_http_request;

typedef void sutra_http_handler(struct sutra_http_request *r, void *ctx);

struct sutra_http_route {
	const char *method;	/* "GET", "POST", "DELETE"; NULL ends the table. A GET changes something
				 * if its path takes POST, too */
	const char *path;	/* literal, but for parameters: "/v1/models/{id}" (net/http_path.h) */
	sutra_http_handler *handler;
	/* Answers what the server refuses on this route; NULL: sutra_http_reply_error */
	void (*fail)(struct sutra_http_request *r, void *ctx, const struct sutra_err *err);
	/* For daemon/openapi.h; each may be NULL: */
	const char *summary;
	const char *request;	/* JSON schema of the body that it reads */
	const char *request_type;	/* another media type that the body may have */
	const char *answer;	/* JSON schema of the answer, status 200 */
	const char *answer_type;	/* another media type that answer may have */
	const char *also;	/* further statuses of that schema or of an error: "404 503" */
	const char *errors;	/* statuses of errors beside those of every route: "429 504" */
};
/* A schema as a string: SUTRA_SCHEMA({"type": "object"}). Macros in it are expanded (true and false are). */
#define SUTRA_SCHEMA(...) SUTRA_SCHEMA_TEXT(__VA_ARGS__)
#define SUTRA_SCHEMA_TEXT(...) #__VA_ARGS__

struct sutra_http_options {
	const char *listen;		/* "addr:port[,addr:port...]"; see sutra_listen_for */
	const struct sutra_http_route *routes;
	void *ctx;			/* passed to handlers */
	unsigned threads;		/* 0: 2 */
	unsigned max_connections;	/* 0: 8192; at most three quarters of the descriptors */
	size_t max_body;		/* bytes; 0: 16 MiB */
	size_t max_held;		/* bytes for the bodies of requests in flight, and for parsing them;
					 * at least 4 * max_body; 0: a quarter of the process's memory limit,
					 * at most 1 GiB */
	uint64_t head_ns;		/* from a head's first byte to its last; 0: 10 s */
	uint64_t grace_ns;		/* afterwards a body or an answer must move 16 KiB/s; 0: 10 s */
	const char *allowed_hosts;	/* names that browsers may use beside those of http_origin.c; or NULL */
	bool (*draining)(void);		/* whether it drains: answers carry Connection: close; or NULL */
	bool (*noticed)(void);		/* whether balancers know that it drains; NULL: there are none */
};

/* Binds, listens and starts the threads. A port in use is SUTRA_E_EXISTS;
 * the message names address, port and, if /proc shows it, the process. */
int sutra_http_server_start(const struct sutra_http_options *options,
			    struct sutra_http_server **ret, struct sutra_err *err);
/* The first bound address as "127.0.0.1:8888" (a port 0 is resolved). */
const char *sutra_http_server_address(const struct sutra_http_server *s);
/* Requests in flight. */
unsigned sutra_http_server_active(const struct sutra_http_server *s);
/* Stops the server. Answers carry Connection: close from now on. New connections are accepted until
 * balancers have noticed and no POST has come for a quarter of a second, for at most three seconds.
 * Then requests in flight are finished and new ones get 503; then connections are refused, and open
 * ones are closed. False: requests are in flight even after grace_ns. The server's threads still run:
 * the caller frees nothing that they use, and ends the process. */
bool sutra_http_server_stop(struct sutra_http_server *s, uint64_t grace_ns);
/* Like stop, for a restart in place: the sockets stay open, and new connections wait in their backlog
 * from the beginning. */
bool sutra_http_server_pause(struct sutra_http_server *s, uint64_t grace_ns);
/* The listening sockets; returns their number. */
int sutra_http_server_sockets(const struct sutra_http_server *s, const int **ret_fds);
/* Closes the sockets and frees the server, after stop or pause; does nothing if they returned false. */
void sutra_http_server_free(struct sutra_http_server *s);

/* The parts of a request. Strings live until it is answered. */
const char *sutra_http_header(const struct sutra_http_request *r, const char *name);	/* or NULL */
/* A parameter of the route's path, decoded UTF-8; NULL: the route has none of this name. */
const char *sutra_http_param(const struct sutra_http_request *r, const char *name);
const char *sutra_http_body(const struct sutra_http_request *r, size_t *ret_len);
/* Whether the client has closed its side, so it does not wait for the answer. Any thread, before the answer. */
bool sutra_http_gone(const struct sutra_http_request *r);
/* The context of a request: it is complete before the body is read and the handler runs. */
struct sutra_http_context {
	const char *id;			/* X-Request-Id */
	uint64_t started_ns;		/* monotonic, when the headers came */
	uint64_t deadline_ns;		/* X-Request-Timeout (milliseconds from then on, at most a day); 0: none */
	const char *trace_parent;	/* the header traceparent (W3C Trace Context); NULL: none, or not valid */
	const char *tenant, *key;	/* NULL: there are no tenants */
};
const struct sutra_http_context *sutra_http_context(const struct sutra_http_request *r);
/* Appends what the request's server counts, as Prometheus text: connections, memory of bodies, durations
 * by route, method and status. Paths without a route share one series. */
void sutra_http_metrics(const struct sutra_http_request *r, struct sutra_buf *b);

/* Adds a header (at most 8, of at most 511 bytes) to the coming answer. */
void sutra_http_add_header(struct sutra_http_request *r, const char *name, const char *value);
/* Answers with the bytes of body, which is emptied (ownership moves, no copy). */
void sutra_http_reply(struct sutra_http_request *r, int status, const char *content_type,
		      struct sutra_buf *body);
/* The same with JSON. A buffer in error answers 503 (out of memory) or 500 instead, in both. */
void sutra_http_reply_json(struct sutra_http_request *r, int status, struct sutra_buf *body);
/* {"error":{"code","message","hint"}} with the status of err->code; 429 and
 * 503 carry Retry-After: the one that was added, else 1. */
void sutra_http_reply_error(struct sutra_http_request *r, const struct sutra_err *err);
/* The handler of GET /ping: {"pong":true} while the server runs. */
sutra_http_handler sutra_http_ping;

#endif
