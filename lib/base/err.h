/*
 * err - the one error vocabulary (every library, every program).
 *
 * A function that can fail returns int: 0, or a negative code of the table
 * below. The message goes into the caller's struct sutra_err, never into a
 * global; passing NULL drops the message and keeps the code. Outputs
 * (ret_*) come last in an argument list and are untouched on failure.
 *
 * Each row: symbol, snake_case name (JSON "code"), default text, exit code of
 * the command (CONTRACT section 9), HTTP status.
 */
#ifndef SUTRA_BASE_ERR_H
#define SUTRA_BASE_ERR_H

#include <stdarg.h>

#define SUTRA_ERRORS(X)                                                        \
	X(NOMEM, "out_of_memory", "out of memory", 1, 503)                     \
	X(INTERNAL, "internal_error", "internal error", 1, 500)                \
	X(IO, "io_error", "input or output failed", 1, 500)                    \
	X(SYNTAX, "malformed", "malformed input", 1, 400)                      \
	X(USAGE, "usage", "wrong usage", 2, 400)                               \
	X(SETTING, "bad_setting", "a setting has a wrong value", 2, 400)       \
	X(NOTFOUND, "not_found", "not found", 1, 404)                          \
	X(METHOD, "method_not_allowed", "method not allowed", 1, 405)          \
	X(TOOBIG, "too_large", "too large", 1, 413)                            \
	X(SLOW, "request_timeout", "the request did not come in time", 1, 408) \
	X(LONGURI, "uri_too_long", "the address is too long", 1, 414)          \
	X(LONGHEAD, "headers_too_large", "the headers are too large", 1, 431)  \
	X(MISDIRECTED, "misdirected", "this host is not served here", 1, 421)  \
	X(EXPECT, "expectation_failed", "the expectation is not met", 1, 417)  \
	X(VERSION, "http_version", "this version of HTTP is not spoken", 1, 505) \
	X(MEDIA, "unsupported_media_type", "unsupported media type", 1, 415)   \
	X(INVALID, "invalid_value", "well-formed but wrong", 1, 422)           \
	X(BUSY, "too_many_requests", "too many requests", 1, 429)              \
	X(AUTH, "unauthorized", "no valid key", 1, 401)                        \
	X(FORBIDDEN, "forbidden", "not allowed", 1, 403)                       \
	X(UNAVAILABLE, "unavailable", "a service it needs is down", 6, 503)    \
	X(TIMEOUT, "timeout", "the time limit passed", 4, 504)                 \
	X(CORRUPT, "corrupt", "stored or sent bytes are damaged", 1, 500)      \
	X(EXISTS, "exists", "exists already", 1, 409)                          \
	X(FULL, "storage_full", "no space left", 1, 507)                       \
	X(READONLY, "read_only", "writes are refused", 1, 503)                 \
	X(UNSUPPORTED, "not_supported", "not supported", 1, 501)               \
	X(LOCKED, "locked", "somebody else holds the lock", 7, 423)            \
	X(CLOSED, "closed", "the other side has closed", 1, 503)               \
	X(INTERRUPTED, "interrupted", "interrupted", 130, 503)

enum sutra_errcode {
	SUTRA_OK = 0,
	SUTRA_E_FIRST_ = -1000,
#define X(sym, name, text, exit, http) SUTRA_E_##sym,
	SUTRA_ERRORS(X)
#undef X
	SUTRA_E_END_
};

/* One error: message says what was wrong, with the name and the value; hint says
 * what to do (may be empty). */
struct sutra_err {
	int code;
	char message[512];
	char hint[256];
};

/* Fills *err (may be NULL) with code and a message; clears the hint. Returns
 * code, so that `return sutra_fail(err, SUTRA_E_IO, "...")` reads well. */
int sutra_fail(struct sutra_err *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* The same with ": <strerror(errno)>" at the end. ENOSPC, EDQUOT and EFBIG give FULL, EROFS READONLY,
 * ENOENT NOTFOUND, ENOMEM NOMEM; anything else IO. */
int sutra_fail_errno(struct sutra_err *err, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* Sets the hint of an error already filled; returns err->code. err NULL: returns the code
 * of the last failure of this thread, which is that error's. */
int sutra_hint(struct sutra_err *err, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* Puts "<what>: " before the message. Returns the code as sutra_hint does. */
int sutra_err_prefix(struct sutra_err *err, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

const char *sutra_err_name(int code);	/* "too_large" */
const char *sutra_err_text(int code);	/* "too large" */
int sutra_err_exit(int code);		/* exit code of the command */
int sutra_err_http(int code);		/* HTTP status */

#endif
