/* history - what became of the texts, one point a minute for 24 hours. One writer; any reader. */
#ifndef SUTRA_CACHE_HISTORY_H
#define SUTRA_CACHE_HISTORY_H

#include <stdint.h>

#include "base/buf.h"

struct sutra_history;

struct sutra_history *sutra_history_new(void);	/* NULL: out of memory */
void sutra_history_free(struct sutra_history *h);
/* Totals since the start; the point keeps the difference to the last call's. */
void sutra_history_add(struct sutra_history *h, int64_t unix_s, uint64_t l1, uint64_t l2, uint64_t miss);
/* [{"t":..,"l1":..,"l2":..,"miss":..},...], oldest first. */
void sutra_history_json(struct sutra_history *h, struct sutra_buf *out);

#endif
