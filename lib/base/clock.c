#include "base/clock.h"

#include <math.h>
#include <stdio.h>
#include <time.h>

uint64_t sutra_clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t sutra_clock_left(uint64_t deadline_ns, uint64_t now_ns, uint64_t most_ns)
{
	uint64_t left = deadline_ns > now_ns ? deadline_ns - now_ns : 1;

	return deadline_ns == UINT64_MAX || left > most_ns ? most_ns : left;
}

struct timespec sutra_clock_timespec(uint64_t ns)
{
	return (struct timespec){ (time_t)(ns / 1000000000u), (long)(ns % 1000000000u) };
}

void sutra_clock_cond_init(pthread_cond_t *c)
{
	pthread_condattr_t monotonic;

	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(c, &monotonic);
	pthread_condattr_destroy(&monotonic);
}

int64_t sutra_clock_wall_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

void sutra_clock_rfc3339(int64_t wall_us, char out[SUTRA_RFC3339_LEN])
{
	int64_t within = wall_us < 0 ? 0 : wall_us > SUTRA_CLOCK_LAST_US ? SUTRA_CLOCK_LAST_US : wall_us;
	time_t s = (time_t)(within / 1000000);
	unsigned us = (unsigned)(within % 1000000);
	struct tm tm;
	char day[32];

	gmtime_r(&s, &tm);
	strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(out, SUTRA_RFC3339_LEN, "%.19s.%06uZ", day, us);
}

int64_t sutra_clock_read(const char *text, const char **ret_end)
{
	struct tm tm = { 0 };
	const char *at = text ? strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) : NULL;
	int64_t us = at ? (int64_t)timegm(&tm) * 1000000 : 0;

	if (at && *at == '.')
		for (int64_t digit = 100000; *++at >= '0' && *at <= '9'; digit /= 10)
			us += (*at - '0') * digit;
	if (!at || *at != 'Z')
		return 0;
	if (ret_end)
		*ret_end = at + 1;
	return us;
}

void sutra_clock_human(double s, char *out, size_t size)
{
	if (!(s < 8640000000000.0))	/* NaN, or more than 100 million days */
		snprintf(out, size, "for ever");
	else if (s < 1e-3)
		snprintf(out, size, "%.0f us", s * 1e6);
	else if (s < 1)
		snprintf(out, size, s < 0.01 ? "%.1f ms" : "%.0f ms", s * 1e3);
	else if (s < 60)
		snprintf(out, size, "%.1f s", s);
	else if (s < 3600)
		snprintf(out, size, "%d min %d s", (int)s / 60, (int)s % 60);
	else if (s < 86400)
		snprintf(out, size, "%d h %d min", (int)s / 3600, (int)s % 3600 / 60);
	else
		snprintf(out, size, "%d d %d h", (int)(s / 86400), (int)(fmod(s, 86400) / 3600));
}
