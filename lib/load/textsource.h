/*
 * textsource - the texts of a load: the lines of a file, a Zipf workload, or texts that no
 * cache has seen. It never ends: files and workloads begin again.
 *
 * Not thread-safe; the load calls it one at a time.
 */
#ifndef SUTRA_LOAD_TEXTSOURCE_H
#define SUTRA_LOAD_TEXTSOURCE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct sutra_textsource;

/* One text a line; empty lines are left out, a CR at the end too. SUTRA_E_INVALID names the line that
 * is no UTF-8 or longer than 64 KiB; SUTRA_E_USAGE: no text in it. */
int sutra_textsource_file(const char *path, struct sutra_textsource **ret, struct sutra_err *err);
/* The law of validate/phase-1.json (2,000 texts, alpha 0.9), 100,000 draws. */
int sutra_textsource_zipf(struct sutra_textsource **ret, struct sutra_err *err);
/* Texts of 8 words that the nonce decides. */
int sutra_textsource_fresh(uint64_t nonce, struct sutra_textsource **ret, struct sutra_err *err);
void sutra_textsource_free(struct sutra_textsource *s);
/* Appends the next text and counts it in *ret_id; always true. For sutra_load_options.next. */
bool sutra_textsource_next(void *source, struct sutra_buf *text, uint32_t *ret_id);
/* {"source":"zipf","distinct":2000,...}; the caller's reference. */
json_t *sutra_textsource_document(const struct sutra_textsource *s);

#endif
