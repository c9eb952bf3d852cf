/*
 * entry - one concept in memory, and its form in the log. Internal to lib/store.
 *
 * Log body of a put: u64 expiry (wall clock, microseconds; 0: never), f32 strength, f32
 * confidence, u32 content length, u32 metadata length, u32 dimension, u16 id length, u16 flags
 * (bit 0: content is text), then embedding (f32), id, content, metadata. All little-endian.
 * A delete's body is the id.
 */
#ifndef SUTRA_STORE_ENTRY_H
#define SUTRA_STORE_ENTRY_H

#include "store/engine.h"

struct entry {
	uint64_t expires_us;
	float strength, confidence;
	uint32_t content_len, metadata_len, dimension;
	uint16_t id_len, flags;
	_Alignas(16) uint8_t bytes[];	/* embedding, id, content, metadata */
};

enum { ENTRY_HEAD = 32, ENTRY_TEXT = 1 };

struct entry *entry_new(const struct sutra_record *r, uint64_t expires_us);	/* NULL: out of memory */
/* From a log body; SUTRA_E_CORRUPT when its lengths do not add up. */
int entry_decode(const void *body, size_t n, struct entry **ret);
size_t entry_bytes(const struct entry *e);	/* of what follows the head */
void entry_encode(const struct entry *e, uint8_t out[ENTRY_HEAD]);	/* the head alone */
void entry_view(const struct entry *e, struct sutra_record *ret);
static inline const char *entry_id(const struct entry *e)
{
	return (const char *)e->bytes + (size_t)e->dimension * sizeof(float);
}

#endif
