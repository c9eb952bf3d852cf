/*
 * alarm - one condition that is watched: raised after some bad looks in a row, cleared after some good
 * ones in a row, so that a figure around its limit does not ring each time.
 */
#ifndef SUTRA_CHECK_ALARM_H
#define SUTRA_CHECK_ALARM_H

#include <stdbool.h>

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
