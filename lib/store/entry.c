#include "store/entry.h"

#include <string.h>

#include "base/alloc.h"

size_t sutra_entry_bytes(const struct entry *e)
{
	return (size_t)e->dimension * sizeof(float) + e->id_len + e->content_len + e->metadata_len;
}

static uint8_t *put(uint8_t *at, const void *src, size_t n)
{
	if (n)
		memcpy(at, src, n);
	return at + n;
}

struct entry *sutra_entry_new(const struct sutra_concept *r, uint64_t expires_us)
{
	const struct entry head = { .expires_us = expires_us,
				    .strength = r->strength,
				    .confidence = r->confidence,
				    .content_len = (uint32_t)r->content_len,
				    .metadata_len = (uint32_t)r->metadata_len,
				    .dimension = (uint32_t)(r->embedding ? r->dimension : 0),
				    .id_len = (uint16_t)r->id_len,
				    .flags = r->content_is_text ? ENTRY_TEXT : 0 };
	struct entry *e = sutra_alloc(sizeof(*e) + sutra_entry_bytes(&head));
	uint8_t *at;

	if (!e)
		return NULL;
	*e = head;
	at = put(e->bytes, r->embedding, head.dimension * sizeof(float));
	at = put(at, r->id, r->id_len);
	at = put(at, r->content, r->content_len);
	put(at, r->metadata, r->metadata_len);
	return e;
}

int sutra_entry_decode(const void *body, size_t n, uint64_t now_us, struct entry **ret)
{
	const uint8_t *p = body;
	uint64_t written = 0;
	struct entry head, *e;
	size_t tail;

	_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the log holds memory as it lies");
	_Static_assert(offsetof(struct entry, flags) + 2 == ENTRY_HEAD, "the head is the log's");
	if (n < ENTRY_HEAD)
		return SUTRA_E_CORRUPT;
	memcpy(&head, p, ENTRY_HEAD);
	tail = head.flags & ENTRY_TIMED ? sizeof(written) : 0;
	if ((uint64_t)head.dimension * sizeof(float) + head.id_len + head.content_len +
			    (uint64_t)head.metadata_len + tail != n - ENTRY_HEAD || !head.id_len)
		return SUTRA_E_CORRUPT;
	if (tail)
		memcpy(&written, p + n - tail, tail);
	if (head.expires_us > written && written > now_us)
		head.expires_us -= written - now_us;
	head.flags &= (uint16_t)~ENTRY_TIMED;
	e = sutra_alloc(sizeof(*e) + n - ENTRY_HEAD - tail);
	if (!e)
		return SUTRA_E_NOMEM;
	memcpy(e, &head, ENTRY_HEAD);
	memcpy(e->bytes, p + ENTRY_HEAD, n - ENTRY_HEAD - tail);
	*ret = e;
	return 0;
}

void sutra_entry_encode(const struct entry *e, uint64_t now_us, struct sutra_buf *out)
{
	uint8_t head[ENTRY_HEAD];
	uint16_t flags = e->flags | ENTRY_TIMED;

	memcpy(head, e, ENTRY_HEAD);
	memcpy(head + offsetof(struct entry, flags), &flags, sizeof(flags));
	sutra_buf_reserve(out, ENTRY_HEAD + sutra_entry_bytes(e) + sizeof(now_us));
	sutra_buf_add(out, head, ENTRY_HEAD);
	sutra_buf_add(out, e->bytes, sutra_entry_bytes(e));
	sutra_buf_add(out, &now_us, sizeof(now_us));
}

void sutra_entry_view(const struct entry *e, struct sutra_concept *ret)
{
	const char *id = entry_id(e);

	*ret = (struct sutra_concept){
		.id = id,
		.id_len = e->id_len,
		.content = id + e->id_len,
		.content_len = e->content_len,
		.embedding = e->dimension ? (const float *)(const void *)e->bytes : NULL,
		.dimension = e->dimension,
		.metadata = e->metadata_len ? id + e->id_len + e->content_len : NULL,
		.metadata_len = e->metadata_len,
		.strength = e->strength,
		.confidence = e->confidence,
		.content_is_text = e->flags & ENTRY_TEXT,
	};
}
