/*
 * jsonio - JSON: strict reading through jansson with errors that name the field,
 * and writing of hot answers straight into a buffer.
 */
#ifndef SUTRA_BASE_JSONIO_H
#define SUTRA_BASE_JSONIO_H

#include <jansson.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

/* Parses one whole document (depth and duplicates as jansson does; NUL allowed in
 * strings as \u0000). SUTRA_E_SYNTAX with line, column and the problem. */
int sutra_json_parse(const char *text, size_t n, json_t **ret, struct sutra_err *err);
/* Parses a file of at most max bytes; errors name the file. */
int sutra_json_read(const char *path, size_t max, json_t **ret, struct sutra_err *err);
/* Replaces a file of mode 0600 by the indented document; SUTRA_E_TOOBIG above max bytes. */
int sutra_json_write(const char *path, size_t max, const json_t *v, struct sutra_err *err);

/* Member `key` of an object: absent (or null) leaves *ret alone and returns 0;
 * another type is SUTRA_E_INVALID naming the field and both types. */
int sutra_json_get_string(const json_t *o, const char *key, const char **ret, struct sutra_err *err);
int sutra_json_get_int(const json_t *o, const char *key, int64_t *ret, struct sutra_err *err);
int sutra_json_get_double(const json_t *o, const char *key, double *ret, struct sutra_err *err);
int sutra_json_get_bool(const json_t *o, const char *key, bool *ret, struct sutra_err *err);
const char *sutra_json_type_name(const json_t *v);	/* "a string", "a number" ... */

/* Appends n bytes of UTF-8 as "...", with escapes also for terminal controls (shown.h). */
void sutra_json_add_string(struct sutra_buf *b, const char *s, size_t n);
/* The same for any bytes: invalid UTF-8 becomes U+FFFD. */
void sutra_json_add_bytes(struct sutra_buf *b, const char *s, size_t n);
/* A JSON string of any text: invalid UTF-8 becomes U+FFFD. */
json_t *sutra_json_text(const char *s);
/* Appends a float so that it reads back as the same float (9 significant digits
 * at most, shortest of 6 to 9 that round-trips). NaN and infinities as null. */
void sutra_json_add_float(struct sutra_buf *b, float v);
/* Appends [v0,v1,...]. */
void sutra_json_add_floats(struct sutra_buf *b, const float *v, size_t n);
/* Appends a compact (indent 0) or indented, key-sorted document. */
void sutra_json_add(struct sutra_buf *b, const json_t *v, int indent);
/* The same with jansson's flags. Terminal controls in strings are \u escapes in both. */
void sutra_json_dump(struct sutra_buf *b, const json_t *v, size_t flags);

#endif
