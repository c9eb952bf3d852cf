/*
 * observe - events, found by comparing a snapshot with the one before; the newest of them in a ring; and
 * conditions that are raised and cleared.
 *
 * A sample carries an event once (snapshot.h), so a stream or a recording holds it once, and a reader
 * keeps a ring of the newest. Events of another source, an audit log or an event store, are added to a
 * sample in the same form (sutra_event_add) and are sorted into the ring by their own time.
 */
#ifndef SUTRA_PROBE_OBSERVE_H
#define SUTRA_PROBE_OBSERVE_H

#include <stdbool.h>

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

/* All zeros: empty. Used by one thread. */
struct sutra_events {
	struct sutra_snap_event items[SUTRA_EVENTS_KEPT];	/* newest first */
	size_t n;
	int64_t lost;	/* dropped for newer ones, or missing from a sample */
};

void sutra_events_take(struct sutra_events *e, const struct sutra_snapshot *s);

/* A condition that is raised after bad_needed bad looks in a row and cleared after good_needed good ones,
 * so that a figure near its limit does not raise it again and again. */
enum sutra_look { SUTRA_LOOK_GOOD, SUTRA_LOOK_BAD, SUTRA_LOOK_NONE };	/* NONE: cannot tell */
enum sutra_alarm_change { SUTRA_ALARM_SAME, SUTRA_ALARM_RAISED, SUTRA_ALARM_CLEARED };

struct sutra_alarm {
	unsigned bad_needed, good_needed;	/* at least 1 each */
	unsigned in_a_row;			/* looks that speak against the present state */
	bool active;
};

/* Takes the next look. One that cannot tell neither counts nor breaks a row. */
enum sutra_alarm_change sutra_alarm_look(struct sutra_alarm *a, enum sutra_look look);

#endif
