/* clock - time: monotonic for durations, wall for timestamps. */
#ifndef SUTRA_BASE_CLOCK_H
#define SUTRA_BASE_CLOCK_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

uint64_t sutra_clock_ns(void);	/* CLOCK_MONOTONIC, nanoseconds */
/* The time from now_ns to a deadline (UINT64_MAX: none), at least 1 and at most most_ns: the time limit of
 * the next step. */
uint64_t sutra_clock_left(uint64_t deadline_ns, uint64_t now_ns, uint64_t most_ns);
struct timespec sutra_clock_timespec(uint64_t ns);
/* Initialises a condition whose timed wait takes a time of sutra_clock_ns, as a timespec. */
void sutra_clock_cond_init(pthread_cond_t *c);
int64_t sutra_clock_wall_us(void);	/* since 1970, microseconds, UTC */
/* RFC 3339 in UTC with microseconds: 2026-11-21T01:02:03.000004Z. A time outside 1970-9999 becomes the
 * nearest one inside. */
#define SUTRA_RFC3339_LEN 28
#define SUTRA_CLOCK_LAST_US 253402300799999999	/* the end of 9999 */
void sutra_clock_rfc3339(int64_t wall_us, char out[SUTRA_RFC3339_LEN]);
/* Reads such a time, with any number of digits after the dot; *ret_end (may be NULL) is the text after it.
 * Returns 0 for any other text. */
int64_t sutra_clock_read(const char *text, const char **ret_end);
/* A short text for people: "1.2 s", "340 us", "3 d 4 h". */
void sutra_clock_human(double seconds, char *out, size_t size);

#endif
