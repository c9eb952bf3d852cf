/*
 * pass - texts that checks send: a request, a new text, and a pass over texts of this run.
 *
 * New texts are numbered: shared->nonce and the number decide a text of ten words, so that a number sent
 * again is the same text. Whoever wants a text that no cache has seen takes shared->fresh++.
 */
#ifndef SUTRA_CHECK_PASS_H
#define SUTRA_CHECK_PASS_H

#include <math.h>

#include "check/check.h"
#include "load/ask.h"

/* POST base/embed, which must answer one vector for each text. r->last gets the beginning of the reply. */
int sutra_check_embed(struct sutra_check_run *r, const char *base, const struct sutra_embed_request *q,
		      struct sutra_embed_answer *ret, struct sutra_err *err);
/* The same for the one text `number`; raw: past the gateway's cache, so that it is computed. */
int sutra_check_fresh(struct sutra_check_run *r, const char *base, uint32_t number, bool raw,
		      struct sutra_embed_answer *ret, struct sutra_err *err);

/* The larger of two deviations; a NaN, once met, stays. */
static inline double sutra_check_worse(double worst, double found)
{
	return found > worst || isnan(found) ? found : worst;
}

/* Yields `left` new texts of `words` words to a load, as its `next` and `user`. */
struct sutra_fresh_source {
	struct sutra_check_shared *shared;
	unsigned words;
	size_t left;
};
bool sutra_check_next(void *source, struct sutra_buf *text, uint32_t *ret_id);

struct sutra_pass {
	bool has_cache;		/* every answer named its cache levels: base is a gateway */
	int64_t l1, l2, computed;	/* texts by the level that answered */
	double p50_ms, p95_ms;
	double faster;		/* with `pairs`: median of (time of a computed text / time of its pair's) */
};

/* Sends texts number first to first + n - 1 to base, one at a time. pairs: after each of them one new text
 * goes past the cache; both of a pair meet the same load of the machine, which medians of two passes that
 * follow each other do not. */
int sutra_check_pass(struct sutra_check_run *r, const char *base, uint32_t first, uint32_t n, bool pairs,
		     struct sutra_pass *ret, struct sutra_err *err);

#endif
