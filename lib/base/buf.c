#include "base/buf.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/err.h"

void sutra_buf_init(struct sutra_buf *b, size_t max)
{
	*b = (struct sutra_buf){ .max = max };
}

void sutra_buf_release(struct sutra_buf *b)
{
	sutra_free(b->data);
	*b = (struct sutra_buf){ .max = b->max };
}

void sutra_buf_clear(struct sutra_buf *b)
{
	b->len = 0;
	b->error = 0;
	if (b->data)
		b->data[0] = '\0';
}

char *sutra_buf_reserve(struct sutra_buf *b, size_t n)
{
	size_t cap;
	char *p;

	if (b->error)
		return NULL;
	if (n > b->max - b->len) {
		b->error = SUTRA_E_TOOBIG;
		return NULL;
	}
	if (b->data && b->len + n < b->cap)
		return b->data + b->len;
	cap = b->cap ? b->cap : 64;
	while (cap < b->len + n + 1)
		cap *= 2;
	p = sutra_realloc_array(b->data, cap, 1);
	if (!p) {
		b->error = SUTRA_E_NOMEM;
		return NULL;
	}
	b->data = p;
	b->cap = cap;
	return p + b->len;
}

void sutra_buf_added(struct sutra_buf *b, size_t n)
{
	b->len += n;
	b->data[b->len] = '\0';
}

void sutra_buf_add(struct sutra_buf *b, const void *src, size_t n)
{
	char *p = sutra_buf_reserve(b, n);

	if (!p)
		return;
	if (n)
		memcpy(p, src, n);
	sutra_buf_added(b, n);
}

void sutra_buf_adds(struct sutra_buf *b, const char *s) { sutra_buf_add(b, s, strlen(s)); }
void sutra_buf_addc(struct sutra_buf *b, char c) { sutra_buf_add(b, &c, 1); }

void sutra_buf_vaddf(struct sutra_buf *b, const char *fmt, va_list ap)
{
	va_list again;
	char small[256];
	int n;

	va_copy(again, ap);
	n = vsnprintf(small, sizeof(small), fmt, ap);
	if (n < 0)
		b->error = b->error ? b->error : SUTRA_E_INTERNAL;
	else if ((size_t)n < sizeof(small))
		sutra_buf_add(b, small, (size_t)n);
	else {
		char *p = sutra_buf_reserve(b, (size_t)n);

		if (p) {
			vsnprintf(p, (size_t)n + 1, fmt, again);
			sutra_buf_added(b, (size_t)n);
		}
	}
	va_end(again);
}

void sutra_buf_addf(struct sutra_buf *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	sutra_buf_vaddf(b, fmt, ap);
	va_end(ap);
}

void sutra_buf_add_quoted(struct sutra_buf *b, const char *s)
{
	for (; *s; s++) {
		if (isalnum((unsigned char)*s) || strchr("-_.~", *s))
			sutra_buf_addc(b, *s);
		else
			sutra_buf_addf(b, "%%%02X", (unsigned char)*s);
	}
}

void sutra_buf_consume(struct sutra_buf *b, size_t n)
{
	if (!n)
		return;
	memmove(b->data, b->data + n, b->len - n);
	b->len -= n;
	b->data[b->len] = '\0';
}

char *sutra_buf_take(struct sutra_buf *b, size_t *ret_len)
{
	char *p;

	sutra_buf_add(b, "", 0);
	p = b->error ? NULL : b->data;
	if (!p)
		sutra_free(b->data);
	if (ret_len)
		*ret_len = p ? b->len : 0;
	*b = (struct sutra_buf){ .max = b->max, .error = b->error };
	return p;
}

const char *sutra_buf_str(const struct sutra_buf *b) { return b->data ? b->data : ""; }
