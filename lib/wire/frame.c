#include "wire/frame.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <string.h>

#include "base/err.h"

int sutra_frame_peek(const void *data, size_t n, size_t *ret_len)
{
	uint32_t len;

	if (n < SUTRA_FRAME_HEAD)
		return 0;
	memcpy(&len, data, sizeof(len));
	len = ntohl(len);
	if (len > SUTRA_FRAME_MAX) {
		*ret_len = len;
		return SUTRA_E_TOOBIG;
	}
	if (n - SUTRA_FRAME_HEAD < len)
		return 0;
	*ret_len = len;
	return 1;
}

size_t sutra_frame_begin(struct sutra_buf *b)
{
	size_t begin = b->len;

	sutra_buf_add(b, "\0\0\0", SUTRA_FRAME_HEAD);
	return begin;
}

int sutra_frame_end(struct sutra_buf *b, size_t begin)
{
	size_t len = b->len - begin - SUTRA_FRAME_HEAD;
	uint32_t big = htonl((uint32_t)len);

	if (sutra_buf_error(b))
		return b->error;
	if (len > SUTRA_FRAME_MAX) {
		b->len = begin;
		return SUTRA_E_TOOBIG;
	}
	memcpy(b->data + begin, &big, sizeof(big));
	return 0;
}
