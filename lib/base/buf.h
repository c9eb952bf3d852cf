/*
 * buf - the one growable byte buffer, always bounded.
 *
 * Every buffer states its maximum at init; growing past it or running out of
 * memory sets a sticky failure, later appends do nothing, and the owner checks
 * once at the end with sutra_buf_error. The bytes are always followed by a
 * NUL that is not counted.
 */
#ifndef SUTRA_BASE_BUF_H
#define SUTRA_BASE_BUF_H

#include <stdarg.h>
#include <stddef.h>

struct sutra_buf {
	char *data;	/* NULL until the first append */
	size_t len, cap, max;
	int error;	/* 0, SUTRA_E_TOOBIG or SUTRA_E_NOMEM; sticky */
};

void sutra_buf_init(struct sutra_buf *b, size_t max);
void sutra_buf_release(struct sutra_buf *b);	/* frees; b may be reused after init */
void sutra_buf_clear(struct sutra_buf *b);	/* len 0, error 0, keeps the memory */
/* Makes room for n more bytes and returns the address for them, or NULL (error is set). The caller
 * writes them there and reports their number with sutra_buf_added. */
char *sutra_buf_reserve(struct sutra_buf *b, size_t n);
void sutra_buf_added(struct sutra_buf *b, size_t n);
void sutra_buf_add(struct sutra_buf *b, const void *p, size_t n);
void sutra_buf_adds(struct sutra_buf *b, const char *s);
void sutra_buf_addc(struct sutra_buf *b, char c);
void sutra_buf_addf(struct sutra_buf *b, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void sutra_buf_vaddf(struct sutra_buf *b, const char *fmt, va_list ap)
	__attribute__((format(printf, 2, 0)));
/* Appends s percent-encoded, as one part of a URL (RFC 3986: all but unreserved characters). */
void sutra_buf_add_quoted(struct sutra_buf *b, const char *s);
/* Drops the first n bytes (n <= len), moving the rest to the front. */
void sutra_buf_consume(struct sutra_buf *b, size_t n);
/* Returns the bytes, which the caller frees with sutra_free, and leaves b empty. NULL only when
 * b->error is set. */
char *sutra_buf_take(struct sutra_buf *b, size_t *ret_len);
const char *sutra_buf_str(const struct sutra_buf *b);	/* "" when empty */
static inline int sutra_buf_error(const struct sutra_buf *b) { return b->error; }

#endif
