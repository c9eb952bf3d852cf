/*
 * observe - what happened: events found by comparing a snapshot with the one before, and the
 * newest of them kept.
 *
 * Every sample tells its events once (snapshot.h), so a stream or a recording holds each of them
 * once, and whoever draws keeps a ring of the newest. Events of any other source, an audit log or
 * an event store, are added to a sample in the same form (sutra_event_add) and take their place in
 * the ring by their own time.
 */
#ifndef SUTRA_PROBE_OBSERVE_H
#define SUTRA_PROBE_OBSERVE_H

#include "probe/snapshot.h"

/* Adds an event to a sample that nobody else sees yet; one over SUTRA_SNAP_EVENTS, or without
 * memory, is counted in events_lost. Texts are cut to their fields. */
__attribute__((format(printf, 7, 8))) void sutra_event_add(struct sutra_snapshot *s, int64_t at_us,
							     const char *source, const char *kind,
							     const char *subject, const char *level,
							     const char *fmt, ...);
/* Adds to `now` what changed since `before` (NULL: nothing did): states of services with the reason, restarts,
 * replicas as their balancer sees them, figures that went stale or came back, the deployment, a
 * cleared cache. */
void sutra_observe(struct sutra_snapshot *now, const struct sutra_snapshot *before);

enum { SUTRA_EVENTS_KEPT = 200 };

/* All zeros: empty. Of one thread. */
struct sutra_events {
	struct sutra_snap_event items[SUTRA_EVENTS_KEPT];	/* newest first */
	size_t n;
	int64_t lost;	/* let go for newer ones, or never told by a sample */
};

void sutra_events_take(struct sutra_events *e, const struct sutra_snapshot *s);

#endif
