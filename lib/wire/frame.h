/*
 * frame - the outer layer of the storage protocol: 4-byte big-endian length, payload.
 *
 * Stateless: the owner of the received bytes asks what stands at their front. The
 * length is judged before anything is allocated for it.
 */
#ifndef SUTRA_WIRE_FRAME_H
#define SUTRA_WIRE_FRAME_H

#include <stddef.h>

#include "base/buf.h"

enum { SUTRA_FRAME_HEAD = 4, SUTRA_FRAME_MAX = 64 << 20 };

/*
 * What the first n received bytes hold. 1: a whole frame, its payload at data + 4 and
 * *ret_len long. 0: more bytes are needed. SUTRA_E_TOOBIG: a frame above
 * SUTRA_FRAME_MAX; *ret_len is the announced length, so the owner can skip
 * SUTRA_FRAME_HEAD + *ret_len bytes and go on with the next frame.
 */
int sutra_frame_peek(const void *data, size_t n, size_t *ret_len);

/* Starts a frame at the end of b; the payload is appended behind it; end writes its
 * length, or takes the frame off again (TOOBIG) when the payload is too long. */
size_t sutra_frame_begin(struct sutra_buf *b);
int sutra_frame_end(struct sutra_buf *b, size_t begin);

#endif
