/*
 * http_head - a strict check of the head of an HTTP/1.1 request (RFC 9112): a head that another server may
 * read differently is refused. No state, no memory.
 */
#ifndef SUTRA_NET_HTTP_HEAD_H
#define SUTRA_NET_HTTP_HEAD_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

enum { SUTRA_HTTP_MAX_TARGET = 8192, SUTRA_HTTP_MAX_HEAD = 16384 };

/* 1: p[0..n) begins with a whole head; 0: it is the beginning of one; else SUTRA_E_SYNTAX (400),
 * SUTRA_E_LONGURI (414), SUTRA_E_LONGHEAD (431), SUTRA_E_VERSION (505). err must not be NULL. *ret_probe: it
 * is GET or HEAD of /health, /ready, /ping or /metrics. */
int sutra_http_head(const char *p, size_t n, bool *ret_probe, struct sutra_err *err);
/* The target of a request line: 0, SUTRA_E_LONGURI, or SUTRA_E_SYNTAX for blanks and controls,
 * percent-encoded ones too. */
int sutra_http_target(const char *target);
/* Fills err for such a code, or for SUTRA_E_LONGHEAD; returns the code. */
int sutra_http_head_fail(int code, struct sutra_err *err);

/* The length of the body, collected header by header. */
struct sutra_http_framing {
	const char *length;	/* the first Content-Length; not a string */
	size_t length_len;
	unsigned lengths, codings, hosts;
	bool bad_length, differs;	/* not digits only; two of them */
	bool other_coding;	/* a transfer coding that is not "chunked" */
};
void sutra_http_framing(struct sutra_http_framing *f, const char *name, size_t n, const char *value, size_t m);
/* 0, SUTRA_E_SYNTAX, or SUTRA_E_UNSUPPORTED for a transfer coding. */
int sutra_http_framing_check(const struct sutra_http_framing *f, struct sutra_err *err);

#endif
