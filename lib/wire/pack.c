#include "wire/pack.h"

#include <string.h>

/* A type byte and v as `bytes` big-endian bytes. */
static void put(struct sutra_buf *b, uint8_t type, uint64_t v, unsigned bytes)
{
	char head[9] = { (char)type };

	for (unsigned i = 0; i < bytes; i++)
		head[1 + i] = (char)(v >> 8 * (bytes - 1 - i));
	sutra_buf_add(b, head, 1 + bytes);
}

/* A length: below `fixed` in the type byte, else 1, 2 or 4 bytes behind the type byte types[0..2]; type 0: there
 * is no such width. */
static void put_length(struct sutra_buf *b, uint8_t fix, size_t fixed, const uint8_t types[3], size_t n)
{
	if (n < fixed)
		put(b, (uint8_t)(fix | n), 0, 0);
	else if (n <= UINT8_MAX && types[0])
		put(b, types[0], n, 1);
	else if (n <= UINT16_MAX)
		put(b, types[1], n, 2);
	else
		put(b, types[2], n, 4);
}

void sutra_pack_nil(struct sutra_buf *b) { put(b, 0xC0, 0, 0); }
void sutra_pack_bool(struct sutra_buf *b, bool v) { put(b, v ? 0xC3 : 0xC2, 0, 0); }

void sutra_pack_uint(struct sutra_buf *b, uint64_t v)
{
	if (v <= UINT32_MAX)
		put_length(b, 0, 0x80, (const uint8_t[]){ 0xCC, 0xCD, 0xCE }, v);
	else
		put(b, 0xCF, v, 8);
}

void sutra_pack_float(struct sutra_buf *b, float v)
{
	uint32_t bits;

	memcpy(&bits, &v, sizeof(bits));
	put(b, 0xCA, bits, 4);
}

void sutra_pack_double(struct sutra_buf *b, double v)
{
	uint64_t bits;

	memcpy(&bits, &v, sizeof(bits));
	put(b, 0xCB, bits, 8);
}

void sutra_pack_bytes(struct sutra_buf *b, const void *p, size_t n, bool is_text)
{
	if (is_text)
		put_length(b, 0xA0, 32, (const uint8_t[]){ 0xD9, 0xDA, 0xDB }, n);
	else
		put_length(b, 0, 0, (const uint8_t[]){ 0xC4, 0xC5, 0xC6 }, n);
	sutra_buf_add(b, p, n);
}

void sutra_pack_str(struct sutra_buf *b, const char *s) { sutra_pack_bytes(b, s, strlen(s), true); }

void sutra_pack_array(struct sutra_buf *b, size_t n)
{
	put_length(b, 0x90, 16, (const uint8_t[]){ 0, 0xDC, 0xDD }, n);
}

void sutra_pack_map(struct sutra_buf *b, size_t n)
{
	put_length(b, 0x80, 16, (const uint8_t[]){ 0, 0xDE, 0xDF }, n);
}
