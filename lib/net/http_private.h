/*
 * http_private - a request from the inside; for http.c, which leads it from its headers to its answer,
 * and http_admit.c, which says whether it may come in. Use it through net/http.h.
 */
#ifndef SUTRA_NET_HTTP_PRIVATE_H
#define SUTRA_NET_HTTP_PRIVATE_H

#include <stdatomic.h>

#include "net/http.h"

struct sutra_http_request {
	struct sutra_http_server *server;
	struct MHD_Connection *connection;
	const char *method, *path;
	const struct sutra_http_route *route;
	struct sutra_buf body;
	uint64_t started_ns, dropped;
	bool ended;		/* the whole body is here */
	bool answer_at_once;	/* the body is not read: it is far too large, or its length is in doubt */
	atomic_int state;	/* of the answer; see http.c */
	int status;
	struct MHD_Response *response;
	struct sutra_err refusal;	/* code 0: none */
	char id[129];		/* at most 128 characters */
	struct {
		const char *name;
		char value[512];
	} extra[8];
	size_t n_extra;
};

/* Fills the route (left NULL for /ping), or the refusal: 404, 405 with Allow, 413, 415, 400 where the
 * body has two lengths; refusing: 503 to every POST. */
void sutra_http_admit(struct sutra_http_request *r, const struct sutra_http_options *o, bool refusing);

#endif
