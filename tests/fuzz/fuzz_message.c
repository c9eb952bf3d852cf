/* A stream of frames: requests and answers are decoded; msgpack-c referees the reader. */
#include <msgpack.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "wire/frame.h"
#include "wire/message.h"
#include "wire/unpack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct sutra_buf again;

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

/* A request that was read and is written again reads the same. */
static void there_and_back(const struct sutra_decoder *first, struct sutra_decoder *second)
{
	const struct sutra_message *m = &first->m, *n = &second->m;
	struct sutra_err err;

	sutra_buf_clear(&again);
	if (sutra_request_encode(&again, m) ||
	    sutra_request_decode(second, again.data + SUTRA_FRAME_HEAD, again.len - SUTRA_FRAME_HEAD, &err) ||
	    m->op != n->op || m->n_ids != n->n_ids || m->with_embedding != n->with_embedding ||
	    m->concept.id_len != n->concept.id_len || m->concept.content_len != n->concept.content_len ||
	    m->concept.dimension != n->concept.dimension || m->concept.metadata_len != n->concept.metadata_len ||
	    m->concept.ttl_seconds != n->concept.ttl_seconds)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct sutra_decoder *request, *answer;
	struct sutra_err err;
	size_t at = 0, len;

	if (!request) {
		request = sutra_calloc(1, sizeof(*request));
		answer = sutra_calloc(1, sizeof(*answer));
		sutra_decoder_init(request);
		sutra_decoder_init(answer);
		sutra_buf_init(&again, SUTRA_FRAME_MAX + SUTRA_FRAME_HEAD);
	}
	while (sutra_frame_peek(data + at, size - at, &len) > 0) {
		at += SUTRA_FRAME_HEAD;
		if (!sutra_request_decode(request, data + at, len, &err))
			there_and_back(request, answer);
		sutra_answer_decode(answer, data + at, len, &err);
		referee(data + at, len);
		at += len;
	}
	sutra_decoder_release(request);
	sutra_decoder_release(answer);
	sutra_buf_release(&again);
	return 0;
}
