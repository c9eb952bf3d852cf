/*
 * pack - appends MessagePack to a buffer, value by value, each in its shortest form.
 *
 * A container is its head, then its n values (of a map 2 n). Errors stay in the buffer.
 */
#ifndef SUTRA_WIRE_PACK_H
#define SUTRA_WIRE_PACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

void sutra_pack_nil(struct sutra_buf *b);
void sutra_pack_bool(struct sutra_buf *b, bool v);
void sutra_pack_uint(struct sutra_buf *b, uint64_t v);
void sutra_pack_float(struct sutra_buf *b, float v);
void sutra_pack_double(struct sutra_buf *b, double v);
void sutra_pack_str(struct sutra_buf *b, const char *s);
/* n bytes, as a string or as bin. */
void sutra_pack_bytes(struct sutra_buf *b, const void *p, size_t n, bool is_text);
void sutra_pack_array(struct sutra_buf *b, size_t n);
void sutra_pack_map(struct sutra_buf *b, size_t n);

#endif
