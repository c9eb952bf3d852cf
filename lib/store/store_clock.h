/*
 * store_clock - the time by which concepts expire. Internal to lib/store.
 *
 * It follows the wall clock forward, and goes on by the monotonic clock when that is set back: an
 * age is never taken back, so nothing outlives its time to live because the clock was wrong. Set
 * forward, it lets concepts go early, which costs a cache a miss.
 */
#ifndef SUTRA_STORE_CLOCK_H
#define SUTRA_STORE_CLOCK_H

#include <stdint.h>

struct store_clock {
	void (*read)(uint64_t *ret_wall_us, uint64_t *ret_monotonic_us);
	uint64_t now_us, monotonic_us;
	uint64_t ahead_us;	/* of the wall clock, when last asked */
};

void sutra_store_clock_init(struct store_clock *c, void (*read)(uint64_t *, uint64_t *));	/* NULL: the machine's */
uint64_t sutra_store_clock_now(struct store_clock *c);	/* microseconds since 1970 */

#endif
