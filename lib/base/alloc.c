#include "base/alloc.h"

#include <malloc.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static atomic_long fail_countdown;
static atomic_int has_failed;

void sutra_alloc_fail_at(long n)
{
	atomic_store(&has_failed, 0);
	atomic_store(&fail_countdown, n);
}

int sutra_alloc_failed(void) { return atomic_load(&has_failed); }

static int must_fail(void)
{
	if (atomic_load_explicit(&fail_countdown, memory_order_relaxed) <= 0)
		return 0;
	if (atomic_fetch_sub(&fail_countdown, 1) != 1)
		return 0;
	atomic_store(&has_failed, 1);
	return 1;
}

void *sutra_alloc(size_t size) { return must_fail() ? NULL : malloc(size ? size : 1); }

void *sutra_calloc(size_t n, size_t size)
{
	return must_fail() ? NULL : calloc(n ? n : 1, size ? size : 1);
}

void *sutra_realloc_array(void *p, size_t n, size_t size)
{
	if (must_fail() || (size && n > SIZE_MAX / size))
		return NULL;
	n *= size;
	return realloc(p, n ? n : 1);
}

void *sutra_alloc_aligned(size_t align, size_t size)
{
	void *p;

	if (must_fail() || posix_memalign(&p, align, size ? size : 1))
		return NULL;
	return p;
}

void sutra_alloc_trim(void) { malloc_trim(0); }

char *sutra_strdup(const char *s) { return sutra_memdup(s, strlen(s) + 1); }

char *sutra_strndup(const char *s, size_t n)
{
	size_t len = strnlen(s, n);
	char *p = sutra_alloc(len + 1);

	if (!p)
		return NULL;
	memcpy(p, s, len);
	p[len] = '\0';
	return p;
}

void *sutra_memdup(const void *src, size_t n)
{
	void *p = sutra_alloc(n);

	return p && n ? memcpy(p, src, n) : p;
}

char *sutra_asprintf(const char *fmt, ...)
{
	va_list ap;
	char *s;
	int n;

	if (must_fail())
		return NULL;
	va_start(ap, fmt);
	n = vasprintf(&s, fmt, ap);
	va_end(ap);
	return n < 0 ? NULL : s;
}

void sutra_free(void *p) { free(p); }

void *sutra_must(void *p)
{
	if (!p) {
		fputs("sutra: out of memory\n", stderr);
		exit(1);
	}
	return p;
}
