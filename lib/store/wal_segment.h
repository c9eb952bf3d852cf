/*
 * wal_segment - the files of a log: heads of segments and frames, the manifest, the order of segments.
 * Internal to lib/store; wal.c and wal_segment.c describe bytes and rules.
 */
#ifndef SUTRA_STORE_WAL_SEGMENT_H
#define SUTRA_STORE_WAL_SEGMENT_H

#include <stddef.h>
#include <stdint.h>

#include "store/wal.h"

#define WAL_MAX_NUMBER 1000000000000000u	/* of a segment; larger ones in names and heads are not a log's */

enum {
	WAL_HEAD = 128,	/* of a segment: the same 64 bytes twice */
	WAL_FRAME_HEAD = 48,
	WAL_RECORD_HEAD = 8,
	WAL_PATH = 4096,
	WAL_MAX_PAYLOAD = 64 << 20,
};

struct wal_head {
	uint32_t version;	/* 0: unreadable */
	size_t size;		/* offset of the first frame */
	uint64_t salt;
	uint64_t store, number, first_lsn, before;	/* version 1: 0, the number in the name, 0, 0 */
};

/* A frame's head. Version 2 has a checksum of the head, version 1 only one of head and payload. */
struct wal_frame {
	size_t head, payload;
	uint64_t lsn, before, check, payload_check;
	uint32_t records;
};

struct wal_file {
	uint64_t name;	/* the number in its name */
	uint64_t bytes;
	int is_damaged;	/* one of the two copies of the head */
	struct wal_head head;
};

struct wal_manifest {
	uint64_t store, first, last;	/* numbers of the first and the last segment */
	uint64_t end, end_lsn;	/* after an orderly close: check of the last frame, next LSN; end 0: in use */
	uint64_t first_lsn;	/* of the first segment; 0: unknown */
};

static inline uint32_t get32(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline uint64_t get64(const uint8_t *p) { return get32(p) | (uint64_t)get32(p + 4) << 32; }

static inline void put32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

static inline void put64(uint8_t *p, uint64_t v)
{
	put32(p, (uint32_t)v);
	put32(p + 4, (uint32_t)(v >> 32));
}

void sutra_wal_segment_path(const char *dir, uint64_t number, char out[WAL_PATH]);
void sutra_wal_head_write(const struct wal_head *h, uint8_t out[WAL_HEAD]);
/* Whether p begins with a valid frame head: magic, lengths and, in version 2, its checksum. */
int sutra_wal_frame_read(const struct wal_head *h, const uint8_t *p, size_t n, struct wal_frame *ret);
uint64_t sutra_wal_payload_check(const struct wal_head *h, const uint8_t *frame, const struct wal_frame *f);
/* Fills the head of a frame whose payload is in its place; returns the frame's check. */
uint64_t sutra_wal_frame_write(const struct wal_head *h, const struct wal_frame *f, uint8_t *frame);

/* The segments by number; free *ret with sutra_free. */
int sutra_wal_list(const char *dir, struct wal_file **ret, size_t *ret_n, struct sutra_err *err);
/* SUTRA_E_NOTFOUND: none; SUTRA_E_CORRUPT: unreadable. */
int sutra_wal_manifest_read(const char *dir, struct wal_manifest *ret);
int sutra_wal_manifest_write(const char *dir, const struct wal_manifest *m, struct sutra_err *err);	/* durable */
int sutra_wal_sync_folder(const char *dir);

#endif
