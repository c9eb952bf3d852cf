/*
 * observe - events, found by comparing a snapshot with the one before; a list of the newest events; and
 * alarms, which are raised and cleared.
 *
 * An event is in one sample only (snapshot.h), so a stream or a recording holds it once, and a reader
 * keeps a list of the newest. Events of another source, such as the audit log, are added to a sample by
 * sutra_event_add and sorted into the list by their own time.
 */
#ifndef SUTRA_PROBE_OBSERVE_H
#define SUTRA_PROBE_OBSERVE_H

#include <stdbool.h>

#include "probe/snapshot.h"

/* Adds an event to a sample that no other thread reads yet. One above SUTRA_SNAP_EVENTS, or for
 * which there is no memory, is counted in events_lost. Texts are cut to their fields. */
__attribute__((format(printf, 7, 8))) void sutra_event_add(struct sutra_snapshot *s, int64_t at_us,
							     const char *source, const char *kind,
							     const char *subject, const char *level,
							     const char *fmt, ...);
/* Adds to now the changes since before (NULL: none): states of services with the reason, restarts,
 * states of replicas in their balancer, figures that became stale or were read again, the
 * deployment, a cleared cache. */
void sutra_observe(struct sutra_snapshot *now, const struct sutra_snapshot *before);

enum { SUTRA_EVENTS_KEPT = 200 };

/* All zeros: empty. Used by one thread. */
struct sutra_events {
	struct sutra_snap_event items[SUTRA_EVENTS_KEPT];	/* newest first */
	size_t n;
	int64_t lost;	/* dropped for newer events, or lost from a sample */
};

void sutra_events_take(struct sutra_events *e, const struct sutra_snapshot *s);

/* An alarm is raised after bad_needed bad looks in a row and cleared after good_needed good looks,
 * so that a figure near its limit does not raise it repeatedly. */
enum sutra_look { SUTRA_LOOK_GOOD, SUTRA_LOOK_BAD, SUTRA_LOOK_NONE };	/* NONE: unknown */
enum sutra_alarm_change { SUTRA_ALARM_SAME, SUTRA_ALARM_RAISED, SUTRA_ALARM_CLEARED };

struct sutra_alarm {
	unsigned bad_needed, good_needed;	/* at least 1 each */
	unsigned in_a_row;			/* looks that contradict `active` */
	bool active;
};

/* Takes the next look. SUTRA_LOOK_NONE neither counts nor ends a row. */
enum sutra_alarm_change sutra_alarm_look(struct sutra_alarm *a, enum sutra_look look);

#endif
