#include "store/store_clock.h"

#include "base/clock.h"

static void read_clocks(uint64_t *ret_wall_us, uint64_t *ret_monotonic_us)
{
	*ret_wall_us = (uint64_t)sutra_clock_wall_us();
	*ret_monotonic_us = sutra_clock_ns() / 1000;
}

void sutra_store_clock_init(struct store_clock *c, void (*read)(uint64_t *, uint64_t *))
{
	*c = (struct store_clock){ .read = read ? read : read_clocks };
	c->read(&c->now_us, &c->monotonic_us);
}

uint64_t sutra_store_clock_now(struct store_clock *c)
{
	uint64_t wall, monotonic;

	c->read(&wall, &monotonic);
	c->now_us += monotonic - c->monotonic_us;
	c->monotonic_us = monotonic;
	if (wall > c->now_us)
		c->now_us = wall;
	c->ahead_us = c->now_us - wall;
	return c->now_us;
}
