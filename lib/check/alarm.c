#include "check/alarm.h"

enum sutra_alarm_change sutra_alarm_look(struct sutra_alarm *a, enum sutra_look look)
{
	if (look == SUTRA_LOOK_NONE)
		return SUTRA_ALARM_SAME;
	if ((look == SUTRA_LOOK_BAD) == a->active) {
		a->in_a_row = 0;
		return SUTRA_ALARM_SAME;
	}
	if (++a->in_a_row < (a->active ? a->good_needed : a->bad_needed))
		return SUTRA_ALARM_SAME;
	a->in_a_row = 0;
	a->active = !a->active;
	return a->active ? SUTRA_ALARM_RAISED : SUTRA_ALARM_CLEARED;
}
