/*
 * plain - just enough HTTP/1.1 for health and metrics on a port that speaks another
 * protocol: request heads in, small whole answers out. lib/net/http serves real HTTP.
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
	bool has_body;		/* Content-Length above 0, or chunks: not read, so close */
};

/* Whether a connection that starts with these four bytes speaks HTTP: a method's first
 * letters, which as the length of a frame would be above 1 GiB. */
bool sutra_plain_looks_http(const char *p);
/* Reads a head at the front of p[0..n). Its length; 0: more bytes are needed;
 * SUTRA_E_SYNTAX; SUTRA_E_TOOBIG above SUTRA_PLAIN_MAX_HEAD. */
int sutra_plain_parse(const char *p, size_t n, struct sutra_plain *ret);
/* Appends an answer (to HEAD: its head alone). allow: value of Allow, or NULL. Without a
 * request id a new one is made. */
void sutra_plain_answer(struct sutra_buf *out, const struct sutra_plain *request, int status,
			const char *content_type, const char *allow, const struct sutra_buf *body);

#endif
