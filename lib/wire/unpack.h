/*
 * unpack - reads MessagePack out of a finished message, value by value.
 *
 * Allocates nothing and copies nothing: strings point into the message. A container is
 * refused when it announces more elements than bytes are left, so what a message can cost
 * is bounded by its own length. pack.h writes.
 *
 * Rejected: msgpack-c, whose unpacker builds a tree and takes 24 bytes for each announced element before
 * it has seen one: five bytes can ask for 96 GiB. The tests compare both halves with it.
 */
#ifndef SUTRA_WIRE_UNPACK_H
#define SUTRA_WIRE_UNPACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

struct sutra_unpack {
	const uint8_t *p, *end;
};

enum sutra_value_type {
	SUTRA_V_NIL,
	SUTRA_V_BOOL,	/* u is 0 or 1 */
	SUTRA_V_UINT,	/* u */
	SUTRA_V_INT,	/* i, negative */
	SUTRA_V_FLOAT,	/* f */
	SUTRA_V_STR,	/* s, n */
	SUTRA_V_BIN,	/* s, n */
	SUTRA_V_ARRAY,	/* n values follow */
	SUTRA_V_MAP,	/* n pairs of values follow */
	SUTRA_V_EXT,	/* s, n */
};

struct sutra_value {
	enum sutra_value_type type;
	uint32_t n;
	union {
		uint64_t u;
		int64_t i;
		double f;
		const char *s;
	};
};

static inline struct sutra_unpack sutra_unpack_of(const void *data, size_t n)
{
	return (struct sutra_unpack){ data, (const uint8_t *)data + n };
}
/* The next value (of a container: its head). 0, or SUTRA_E_SYNTAX at a byte that is no
 * MessagePack or a value that is cut off; the reader is then where it was. */
int sutra_unpack_next(struct sutra_unpack *u, struct sutra_value *ret);
/* Steps over one whole value, whatever its depth. */
int sutra_unpack_skip(struct sutra_unpack *u);
/* Appends one whole value as JSON. SUTRA_E_SYNTAX; SUTRA_E_INVALID for what JSON
 * has not: bytes, ext, keys that are not strings, invalid UTF-8, more than 32 levels. */
int sutra_unpack_json(struct sutra_unpack *u, struct sutra_buf *out);
const char *sutra_value_type_name(enum sutra_value_type type);	/* "a string" */

#endif
