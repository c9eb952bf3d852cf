/*
 * alloc - the only file that calls malloc (a lint rule).
 *
 * Two policies. Libraries and daemons use sutra_*: they check for overflow, return
 * NULL on failure, and fail on purpose when a test has armed the hook. The command,
 * and the rooms of lib that it alone uses, take x*: on failure they print one line
 * and exit 1, because a command can do nothing useful without a few kilobytes.
 * Free with sutra_free (NULL is fine).
 */
#ifndef SUTRA_BASE_ALLOC_H
#define SUTRA_BASE_ALLOC_H

#include <stddef.h>

void *sutra_alloc(size_t size) __attribute__((malloc, warn_unused_result));
void *sutra_calloc(size_t n, size_t size) __attribute__((malloc, warn_unused_result));
/* Like realloc to n * size bytes; on failure the old block stays valid. */
void *sutra_realloc_array(void *p, size_t n, size_t size)
	__attribute__((warn_unused_result));
/* Aligned block (align a power of two), freed with sutra_free. */
void *sutra_alloc_aligned(size_t align, size_t size)
	__attribute__((malloc, warn_unused_result));
char *sutra_strdup(const char *s) __attribute__((malloc, warn_unused_result));
char *sutra_strndup(const char *s, size_t n) __attribute__((malloc, warn_unused_result));
void *sutra_memdup(const void *p, size_t n) __attribute__((malloc, warn_unused_result));
/* printf into a new string; NULL on failure. */
char *sutra_asprintf(const char *fmt, ...)
	__attribute__((format(printf, 1, 2), malloc, warn_unused_result));
void sutra_free(void *p);
/* Returns freed memory to the system; takes milliseconds. */
void sutra_alloc_trim(void);

/* Returns p; when it is NULL, prints one line and exits 1. */
void *sutra_must(void *p) __attribute__((returns_nonnull));
static inline void *xalloc(size_t size) { return sutra_must(sutra_alloc(size)); }
static inline void *xcalloc(size_t n, size_t size) { return sutra_must(sutra_calloc(n, size)); }
static inline void *xrealloc_array(void *p, size_t n, size_t size)
{
	return sutra_must(sutra_realloc_array(p, n, size));
}
static inline char *xstrdup(const char *s) { return sutra_must(sutra_strdup(s)); }
#define xasprintf(...) ((char *)sutra_must(sutra_asprintf(__VA_ARGS__)))

/* Tests: the n-th sutra_* allocation from now (1 = the next) in this process
 * fails once; 0 disarms. sutra_alloc_failed: whether it has failed. */
void sutra_alloc_fail_at(long n);
int sutra_alloc_failed(void);

#endif
