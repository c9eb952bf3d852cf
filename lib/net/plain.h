/*
 * plain - a minimum of HTTP/1.1 for health and metrics on a port with another protocol: it parses request
 * heads and writes small answers. lib/net/http is the real server.
 */
#ifndef SUTRA_NET_PLAIN_H
#define SUTRA_NET_PLAIN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

enum { SUTRA_PLAIN_MAX_HEAD = 8192 };

struct sutra_plain {
	char method[16];
	char path[256];		/* without the query */
	char id[129];		/* X-Request-Id: the caller's, if 1-128 printable characters; or "" */
	bool keep_alive;
	bool has_body;		/* Content-Length above 0, or chunks: not read, so the connection closes */
};

/* Whether these first four bytes of a connection are the beginning of an HTTP method. As the length of a
 * frame they would be above 1 GiB. */
bool sutra_plain_looks_http(const char *p);
/* Parses the head at the beginning of p[0..n). Returns its length; 0: more bytes are needed;
 * SUTRA_E_SYNTAX; SUTRA_E_TOOBIG above SUTRA_PLAIN_MAX_HEAD. */
int sutra_plain_parse(const char *p, size_t n, struct sutra_plain *ret);
/* Appends an answer (to HEAD: without its body). allow: value of Allow, or NULL. A request without an id
 * gets a new one. */
void sutra_plain_answer(struct sutra_buf *out, const struct sutra_plain *request, int status,
			const char *content_type, const char *allow, const struct sutra_buf *body);

#endif
