/* A stream of frames: requests and answers are decoded; msgpack-c referees the reader. */
#include <msgpack.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "wire/frame.h"
#include "wire/message.h"
#include "wire/unpack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What the reader steps over must be what msgpack-c calls one value, and the other way. */
static void referee(const uint8_t *p, size_t n)
{
	struct sutra_unpack u = sutra_unpack_of(p, n);
	msgpack_unpack_return rc;
	msgpack_unpacked whole;
	size_t at = 0;
	int skipped;

	if (n > 4096)	/* msgpack-c takes memory for announced elements */
		return;
	skipped = sutra_unpack_skip(&u);
	for (size_t i = 0; i < n; i++)
		if (p[i] >= 0xDC && p[i] <= 0xDF)
			return;
	msgpack_unpacked_init(&whole);
	rc = msgpack_unpack_next(&whole, (const char *)p, n, &at);
	if (rc == MSGPACK_UNPACK_SUCCESS && (skipped || (size_t)(u.p - p) != at))
		abort();
	if (rc == MSGPACK_UNPACK_CONTINUE && !skipped)
		abort();
	msgpack_unpacked_destroy(&whole);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct sutra_request *request;
	static struct sutra_answer *answer;
	struct sutra_err err;
	size_t at = 0, len;

	if (!request) {
		request = sutra_calloc(1, sizeof(*request));
		answer = sutra_calloc(1, sizeof(*answer));
		sutra_request_init(request);
		sutra_answer_init(answer);
	}
	while (sutra_frame_peek(data + at, size - at, &len) > 0) {
		at += SUTRA_FRAME_HEAD;
		sutra_request_decode(request, data + at, len, &err);
		sutra_answer_decode(answer, data + at, len);
		referee(data + at, len);
		at += len;
	}
	sutra_request_release(request);
	sutra_answer_release(answer);
	return 0;
}
