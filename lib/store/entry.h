/*
 * entry - one concept in memory, and its form in the log. Internal to lib/store.
 *
 * Log body of a put: u64 expiry (wall clock, microseconds; 0: never), f32 strength, f32
 * confidence, u32 content length, u32 metadata length, u32 dimension, u16 id length, u16 flags
 * (bit 0: content is text, bit 1: the time follows), then embedding (f32), id, content, metadata, u64
 * time of writing as the expiry. All little-endian.
 * A delete's body is the id.
 */
#ifndef SUTRA_STORE_ENTRY_H
#define SUTRA_STORE_ENTRY_H

#include "base/buf.h"
#include "store/engine.h"

struct entry {
	uint64_t expires_us;
	float strength, confidence;
	uint32_t content_len, metadata_len, dimension;
	uint16_t id_len, flags;
	_Alignas(16) uint8_t bytes[];	/* embedding, id, content, metadata */
};

enum { ENTRY_HEAD = 32, ENTRY_TEXT = 1, ENTRY_TIMED = 2 };

struct entry *sutra_entry_new(const struct sutra_concept *r, uint64_t expires_us);	/* NULL: out of memory */
/* From a log body; SUTRA_E_CORRUPT when its lengths do not add up. An entry written after now_us, by a clock
 * that was ahead, keeps its remaining time to live, counted from now_us. */
int sutra_entry_decode(const void *body, size_t n, uint64_t now_us, struct entry **ret);
size_t sutra_entry_bytes(const struct entry *e);	/* of `bytes` */
void sutra_entry_encode(const struct entry *e, uint64_t now_us, struct sutra_buf *out);	/* a log body */
void sutra_entry_view(const struct entry *e, struct sutra_concept *ret);
static inline const char *entry_id(const struct entry *e)
{
	return (const char *)e->bytes + (size_t)e->dimension * sizeof(float);
}

#endif
