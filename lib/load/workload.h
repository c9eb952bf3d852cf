/*
 * workload - a published sequence of texts: the same on every machine, so that a hit rate
 * can be compared and computed beforehand.
 *
 * A seed, N distinct texts, the exponent alpha of a Zipf law over them, and two parts: `fill`
 * (yesterday: it warms the L2) and `trace` (today: it is measured, from an empty L1). A text is a row
 * of words of a built-in list; six in ten are short, three medium, one long.
 * sutra_workload_expect plays the trace through two exact LRU lists: the hits of an exact cache.
 */
#ifndef SUTRA_LOAD_WORKLOAD_H
#define SUTRA_LOAD_WORKLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "load/load.h"

struct sutra_workload_spec {
	uint64_t seed;
	uint32_t distinct;	/* N */
	double alpha;
	size_t fill, trace;	/* requests in each part */
};

struct sutra_workload {
	struct sutra_workload_spec spec;
	uint32_t *fill, *trace;	/* text numbers, 0 the most popular */
	uint64_t digest;	/* XXH64 of both parts: names the workload in a report */
};

struct sutra_expected {
	size_t l1, l2, computed;	/* of the trace */
	size_t fill_l1, fill_computed;	/* of the fill, from empty caches */
};

int sutra_workload_new(const struct sutra_workload_spec *spec, struct sutra_workload **ret,
		       struct sutra_err *err);
void sutra_workload_free(struct sutra_workload *w);
/* Appends text number i. */
void sutra_workload_text(const struct sutra_workload *w, uint32_t i, struct sutra_buf *b);
/* Appends a text of `words` words that the nonce and i alone decide: with a random nonce, one that
 * no cache has seen. At least 8 words. */
void sutra_fresh_text(uint64_t nonce, uint32_t i, unsigned words, struct sutra_buf *b);
/* The fill from empty caches, then L1 emptied, then the trace. l2_size 0: no L2. */
int sutra_workload_expect(const struct sutra_workload *w, size_t l1_size, size_t l2_size,
			  struct sutra_expected *ret, struct sutra_err *err);

/* One part of a workload sent to a service, in its order, in a closed loop. */
struct sutra_replay {
	const char *base;
	int64_t dimension;	/* 0: the service's default */
	unsigned parallel;
	uint64_t deadline_ns;	/* monotonic */
	const struct sutra_workload *workload;
	bool today;		/* the trace; else the fill */
	const char *what;	/* names it in progress */
	void (*progress)(void *user, const char *what, const char *detail);	/* or NULL */
	void *user;
};
/* Until the last answer or the deadline. A request that failed, or was not sent in time, is
 * SUTRA_E_UNAVAILABLE or SUTRA_E_TIMEOUT with the first failure's words; only on 0 is *ret the caller's to
 * release. */
int sutra_replay_run(const struct sutra_replay *p, struct sutra_load_result *ret, struct sutra_err *err);

#endif
