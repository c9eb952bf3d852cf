/*
 * cause - the root causes among failures, and the services that each of them affects.
 *
 * A service that is not up is explained by another service that is not up and that it needs, directly
 * or through others. A service that its supervisor does not run (stopped, not supervised) is always a
 * root: a missing dependency ends no process. When services need each other in a circle, the first is
 * the root.
 */
#ifndef SUTRA_PROBE_CAUSE_H
#define SUTRA_PROBE_CAUSE_H

#include "base/buf.h"
#include "probe/probe.h"

struct sutra_root_cause {
	size_t *roots, n_roots;		/* indices; all affect the same services */
	size_t *affected, n_affected;	/* indices, in the order given */
};

struct sutra_root_causes {
	struct sutra_root_cause *items;	/* those that affect most services first */
	size_t n;
};

/* Sets every probe's `cause`: the first root that explains it; -1 for a root and for a service that
 * is up. SUTRA_E_NOMEM: all are -1. */
int sutra_probe_causes(struct sutra_probe *p, size_t n);
/* Reads name, state, reason and depends_on of each probe. *ret is released by the caller.
 * SUTRA_E_NOMEM. */
int sutra_root_causes_find(const struct sutra_probe *p, size_t n, struct sutra_root_causes *ret,
			   struct sutra_err *err);
void sutra_root_causes_release(struct sutra_root_causes *c);
/* Appends "ml-base-1 (refused), ml-base-2 (stopped), which take down ml-base-lb, degrade
 * embedding-single". */
void sutra_root_cause_say(const struct sutra_probe *p, const struct sutra_root_cause *c, struct sutra_buf *b);
/* Fills order[n] with indices by `cause`: root causes, each followed by the services that it
 * affects, then the rest in the order given. */
void sutra_probe_order(const struct sutra_probe *p, size_t n, size_t *order);

#endif
