/*
 * unpack - reads a complete MessagePack message, value by value. pack.h writes.
 *
 * It allocates nothing and copies nothing: strings point into the message. A container that announces more
 * elements than there are bytes left is an error, so the cost of a message is bounded by its length.
 *
 * Rejected: msgpack-c, whose unpacker builds a tree and allocates 24 bytes for each announced element: five
 * bytes can ask for 96 GiB. The tests compare pack and unpack with it.
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

/* The next value, or the head of a container. 0, or SUTRA_E_SYNTAX when it is no MessagePack or incomplete;
 * the position is unchanged then. */
int sutra_unpack_next(struct sutra_unpack *u, struct sutra_value *ret);
/* Skips one value with all that it contains. */
int sutra_unpack_skip(struct sutra_unpack *u);
/* Appends v, which sutra_unpack_next has just read, and all that it contains as JSON. SUTRA_E_SYNTAX;
 * SUTRA_E_INVALID for what JSON does not have: bytes, ext, keys that are not strings, invalid UTF-8, more than
 * 32 levels. */
int sutra_unpack_json(struct sutra_unpack *u, const struct sutra_value *v, struct sutra_buf *out);
const char *sutra_value_type_name(enum sutra_value_type type);	/* "a string" */

#endif
