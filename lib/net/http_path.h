/*
 * http_path - the paths of routes and of requests. A route's path is literal except for its parameters,
 * segments such as {id}; each of them matches one segment that is not empty. A request's path keeps its
 * escapes: an escaped slash belongs to its segment (RFC 3986, 2.2). No state, no memory.
 */
#ifndef SUTRA_NET_HTTP_PATH_H
#define SUTRA_NET_HTTP_PATH_H

#include <stdbool.h>
#include <stddef.h>

enum { SUTRA_HTTP_PARAMS = 4 };

/* The parameters of a path: their names in the route's path, their values in the request's. No strings. */
struct sutra_http_match {
	size_t n;
	struct {
		const char *name, *at;
		size_t name_len, len;
	} param[SUTRA_HTTP_PARAMS];
};

/* Whether the request's path matches the route's; else *ret is undefined. */
bool sutra_http_path_match(const char *route, const char *path, struct sutra_http_match *ret);
/* The first byte of p[0..n), n > 0, decoded; *ret_len: 3 if it is escaped, else 1. */
unsigned char sutra_http_byte(const char *p, size_t n, size_t *ret_len);
/* p[0..n) without its escapes as a string, into out (of n + 1 bytes at least). 0, or SUTRA_E_SYNTAX: a %
 * begins no escape, or the result holds a NUL or is not UTF-8. */
int sutra_http_unescape(const char *p, size_t n, char *out);

#endif
