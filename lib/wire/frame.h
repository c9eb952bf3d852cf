/*
 * frame - the outer layer of the storage protocol: 4 bytes of big-endian length, then the payload. The length
 * is checked before anything is allocated for it.
 */
#ifndef SUTRA_WIRE_FRAME_H
#define SUTRA_WIRE_FRAME_H

#include <stddef.h>

#include "base/buf.h"

enum { SUTRA_FRAME_HEAD = 4, SUTRA_FRAME_MAX = 64 << 20 };

/*
 * Whether data begins with a whole frame. 1: yes, the payload is at data + SUTRA_FRAME_HEAD and has *ret_len
 * bytes. 0: more bytes are needed. SUTRA_E_TOOBIG: *ret_len is above SUTRA_FRAME_MAX; the next frame begins
 * after SUTRA_FRAME_HEAD + *ret_len bytes.
 */
int sutra_frame_peek(const void *data, size_t n, size_t *ret_len);

/* begin appends the head of a frame and returns its place, for end; the caller appends the payload; end writes
 * its length, or removes the frame when it is too long (SUTRA_E_TOOBIG). */
size_t sutra_frame_begin(struct sutra_buf *b);
int sutra_frame_end(struct sutra_buf *b, size_t begin);

#endif
