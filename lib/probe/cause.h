/*
 * cause - root cause first: which failures no other one explains, and what each brings about.
 *
 * A service that is not up is explained by another one that is not up and that it needs,
 * directly or through others. One whose supervisor does not run it (stopped, not supervised) is
 * explained by nothing: no missing neighbour ends a process. Of services that need each other in
 * a circle the first is the root.
 */
#ifndef SUTRA_PROBE_CAUSE_H
#define SUTRA_PROBE_CAUSE_H

#include "base/buf.h"
#include "probe/probe.h"

struct sutra_root_cause {
	size_t *roots, n_roots;		/* indices; they bring about the same */
	size_t *affected, n_affected;	/* indices, in the order given */
};

struct sutra_root_causes {
	struct sutra_root_cause *items;	/* those that bring about the most first */
	size_t n;
};

/* Sets every probe's `cause`: the first root that explains it; -1 for a root and for what is up.
 * SUTRA_E_NOMEM leaves them -1. */
int sutra_probe_causes(struct sutra_probe *p, size_t n);
/* From name, state, reason and depends_on of each; the rest is not read. */
int sutra_root_causes_find(const struct sutra_probe *p, size_t n, struct sutra_root_causes *ret,
			   struct sutra_err *err);
void sutra_root_causes_release(struct sutra_root_causes *c);
/* "ml-base-1 (refused), ml-base-2 (stopped), which take down ml-base-lb, degrade embedding-single" */
void sutra_root_cause_say(const struct sutra_probe *p, const struct sutra_root_cause *c, struct sutra_buf *b);
/* Fills order[n] with indices: root causes, each followed by what it affects, then the rest
 * in the order given. By `cause`. */
void sutra_probe_order(const struct sutra_probe *p, size_t n, size_t *order);

#endif
