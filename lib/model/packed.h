/*
 * packed - packed weights on disk, so that a start needs no packing and replicas share pages.
 *
 * A file holds one encoder's products for one layout: a page of header, then the blocks of
 * sutra_encoder_packed end to end, each a multiple of 64 bytes. Little-endian:
 *
 *	0	8	"SUTRAPK1"
 *	8	32	SHA-256 of the key: one line that names everything the blocks depend on
 *	40	16	two doubles, the writer's notes
 *	56	8	bytes of the blocks
 *	64	8	XXH3 of the blocks
 *	72	8	XXH3 of bytes 0 to 71
 *
 * It is written beside and renamed, and taken only when key, sizes and sums agree; whoever finds it
 * otherwise packs anew and replaces it. A mapped file is never changed in place.
 */
#ifndef SUTRA_MODEL_PACKED_H
#define SUTRA_MODEL_PACKED_H

#include <stddef.h>

#include "base/err.h"
#include "model/encoder/encoder.h"

struct sutra_packed;

/* Maps a file. SUTRA_E_NOTFOUND: none there; SUTRA_E_CORRUPT: damaged, or another key's. */
int sutra_packed_open(const char *path, const char *key, struct sutra_packed **ret,
		      struct sutra_err *err);
void sutra_packed_free(struct sutra_packed *p);
const void *sutra_packed_blocks(const struct sutra_packed *p, size_t *ret_bytes);
const double *sutra_packed_notes(const struct sutra_packed *p);	/* [2] */

int sutra_packed_write(const char *path, const char *key, const double notes[2],
		       const struct sutra_encoder *e, struct sutra_err *err);
/* Removes the folder's files whose names are `stem`, then nothing or a dash and more, then ".bin", but
 * for the one at `path`. Who has one mapped keeps it; what cannot be removed stays. */
void sutra_packed_clear(const char *folder, const char *stem, const char *path);

#endif
