#include "wire/unpack.h"

#include <string.h>

#include "base/err.h"
#include "base/jsonio.h"
#include "base/str.h"

enum { MAX_DEPTH = 32 };

static uint64_t big_endian(const uint8_t *p, unsigned bytes)
{
	uint64_t v = 0;

	while (bytes--)
		v = v << 8 | *p++;
	return v;
}

/* Bytes of the fixed part behind the type byte, for types 0xC0 to 0xDF. */
static const uint8_t fixed_part[32] = {
	[0x04] = 1, [0x05] = 2, [0x06] = 4,				/* bin */
	[0x07] = 2, [0x08] = 3, [0x09] = 5,				/* ext: length, type */
	[0x0A] = 4, [0x0B] = 8,						/* float */
	[0x0C] = 1, [0x0D] = 2, [0x0E] = 4, [0x0F] = 8,			/* uint */
	[0x10] = 1, [0x11] = 2, [0x12] = 4, [0x13] = 8,			/* int */
	[0x14] = 1, [0x15] = 1, [0x16] = 1, [0x17] = 1, [0x18] = 1,	/* fixext: type */
	[0x19] = 1, [0x1A] = 2, [0x1B] = 4,				/* str */
	[0x1C] = 2, [0x1D] = 4,						/* array */
	[0x1E] = 2, [0x1F] = 4,						/* map */
};

static void set_signed(struct sutra_value *v, int64_t i)
{
	v->type = i < 0 ? SUTRA_V_INT : SUTRA_V_UINT;
	v->i = i;
}

static void set_float(struct sutra_value *v, const uint8_t *p, unsigned bytes)
{
	uint64_t bits = big_endian(p, bytes);

	v->type = SUTRA_V_FLOAT;
	if (bytes == 4) {
		uint32_t half = (uint32_t)bits;
		float f;

		memcpy(&f, &half, sizeof(f));
		v->f = f;
	} else {
		memcpy(&v->f, &bits, sizeof(bits));
	}
}

/* A type byte from 0xC0 to 0xDF, its fixed part at p. */
static int decode_fixed(struct sutra_value *v, uint8_t type, const uint8_t *p, unsigned bytes)
{
	uint64_t u = big_endian(p, bytes);

	switch (type) {
	case 0xC0:
		v->type = SUTRA_V_NIL;
		return 0;
	case 0xC2:
	case 0xC3:
		v->type = SUTRA_V_BOOL;
		v->u = type & 1;
		return 0;
	case 0xC4 ... 0xC6:
		v->type = SUTRA_V_BIN;
		v->n = (uint32_t)u;
		return 0;
	case 0xC7 ... 0xC9:
		v->type = SUTRA_V_EXT;
		v->n = (uint32_t)(u >> 8);
		return 0;
	case 0xCA ... 0xCB:
		set_float(v, p, bytes);
		return 0;
	case 0xCC ... 0xCF:
		v->type = SUTRA_V_UINT;
		v->u = u;
		return 0;
	case 0xD0 ... 0xD3:
		set_signed(v, (int64_t)(u << (64 - 8 * bytes)) >> (64 - 8 * bytes));
		return 0;
	case 0xD4 ... 0xD8:
		v->type = SUTRA_V_EXT;
		v->n = 1u << (type - 0xD4);
		return 0;
	case 0xD9 ... 0xDB:
		v->type = SUTRA_V_STR;
		v->n = (uint32_t)u;
		return 0;
	case 0xDC ... 0xDF:
		v->type = type < 0xDE ? SUTRA_V_ARRAY : SUTRA_V_MAP;
		v->n = (uint32_t)u;
		return 0;
	default:
		return SUTRA_E_SYNTAX;	/* 0xC1 is never used */
	}
}

int sutra_unpack_next(struct sutra_unpack *u, struct sutra_value *ret)
{
	const uint8_t *p = u->p;
	struct sutra_value v = { .n = 0 };
	size_t left, bytes = 0;
	uint8_t type;

	if (p == u->end)
		return SUTRA_E_SYNTAX;
	type = *p++;
	left = (size_t)(u->end - p);
	if (type < 0x80 || type >= 0xE0) {
		set_signed(&v, (int8_t)type);
	} else if (type < 0xA0) {
		v.type = type < 0x90 ? SUTRA_V_MAP : SUTRA_V_ARRAY;
		v.n = type & 15;
	} else if (type < 0xC0) {
		v.type = SUTRA_V_STR;
		v.n = type & 31;
	} else {
		bytes = fixed_part[type - 0xC0];
		if (bytes > left || decode_fixed(&v, type, p, (unsigned)bytes))
			return SUTRA_E_SYNTAX;
		p += bytes;
		left -= bytes;
	}
	if (v.type == SUTRA_V_STR || v.type == SUTRA_V_BIN || v.type == SUTRA_V_EXT) {
		if (v.n > left)
			return SUTRA_E_SYNTAX;
		v.s = (const char *)p;
		p += v.n;
	} else if ((v.type == SUTRA_V_ARRAY && v.n > left) ||
		   (v.type == SUTRA_V_MAP && v.n > left / 2)) {
		return SUTRA_E_SYNTAX;
	}
	u->p = p;
	*ret = v;
	return 0;
}

int sutra_unpack_skip(struct sutra_unpack *u)
{
	uint64_t todo = 1;	/* no overflow: each container has at least as many bytes left */
	struct sutra_value v;

	for (; todo; todo--) {
		if (sutra_unpack_next(u, &v))
			return SUTRA_E_SYNTAX;
		if (v.type == SUTRA_V_ARRAY)
			todo += v.n;
		else if (v.type == SUTRA_V_MAP)
			todo += 2 * (uint64_t)v.n;
	}
	return 0;
}

static int add_json(struct sutra_unpack *u, const struct sutra_value *v, struct sutra_buf *out, int depth);

/* The next value, in a container at this depth. */
static int add_next(struct sutra_unpack *u, bool is_key, struct sutra_buf *out, int depth)
{
	struct sutra_value v;

	if (sutra_unpack_next(u, &v))
		return SUTRA_E_SYNTAX;
	return is_key && v.type != SUTRA_V_STR ? SUTRA_E_INVALID : add_json(u, &v, out, depth + 1);
}

static int add_json(struct sutra_unpack *u, const struct sutra_value *v, struct sutra_buf *out, int depth)
{
	bool map;
	int rc = 0;

	if (depth > MAX_DEPTH)
		return SUTRA_E_INVALID;
	switch (v->type) {
	case SUTRA_V_NIL:
		sutra_buf_adds(out, "null");
		return 0;
	case SUTRA_V_BOOL:
		sutra_buf_adds(out, v->u ? "true" : "false");
		return 0;
	case SUTRA_V_UINT:
		sutra_buf_addf(out, "%llu", (unsigned long long)v->u);
		return 0;
	case SUTRA_V_INT:
		sutra_buf_addf(out, "%lld", (long long)v->i);
		return 0;
	case SUTRA_V_FLOAT:
		if (v->f - v->f != 0)	/* JSON has neither NaN nor infinity */
			sutra_buf_adds(out, "null");
		else
			sutra_buf_addf(out, "%.17g", v->f);
		return 0;
	case SUTRA_V_STR:
		if (!sutra_str_utf8(v->s, v->n, NULL))
			return SUTRA_E_INVALID;
		sutra_json_add_string(out, v->s, v->n);
		return 0;
	case SUTRA_V_ARRAY:
	case SUTRA_V_MAP:
		break;
	default:
		return SUTRA_E_INVALID;
	}
	map = v->type == SUTRA_V_MAP;
	sutra_buf_addc(out, map ? '{' : '[');
	for (uint32_t i = 0; i < v->n && !rc; i++) {
		if (i)
			sutra_buf_addc(out, ',');
		if (map) {
			rc = add_next(u, true, out, depth);
			sutra_buf_addc(out, ':');
		}
		rc = rc ? rc : add_next(u, false, out, depth);
	}
	sutra_buf_addc(out, map ? '}' : ']');
	return rc;
}

int sutra_unpack_json(struct sutra_unpack *u, const struct sutra_value *v, struct sutra_buf *out)
{
	int rc = add_json(u, v, out, 0);

	return rc ? rc : sutra_buf_error(out);
}

const char *sutra_value_type_name(enum sutra_value_type type)
{
	static const char *const names[] = { "nil",	 "a boolean", "a number", "a negative number",
					     "a float",	 "a string",  "bytes",	  "an array",
					     "a map",	 "an extension" };

	return names[type];
}
