/*
 * wait - for tests: waits until a condition holds that gives no event to wait for. The time limit is the
 * test's. This and eventually of tests/integration/daemon.bash are the only places that ask again and again.
 */
#ifndef TESTS_WAIT_H
#define TESTS_WAIT_H

#include <time.h>

#define WAIT_UNTIL(condition) \
	do { \
		while (!(condition)) \
			nanosleep(&(struct timespec){ .tv_nsec = 200000 }, NULL); \
	} while (0)

#endif
