/* Log lines of the running service: each condition when it begins or ends. */
#include "base/clock.h"
#include "base/log.h"
#include "storage.h"

/* Connections that were closed or refused at a limit, at most once a minute. */
static void log_limits(struct storage *s)
{
	const uint64_t now = sutra_clock_ns(), *ends;
	struct sutra_tcp_counts t;
	uint64_t sum;

	sutra_tcp_counts(s->tcp, &t);
	ends = t.ends;
	sum = ends[SUTRA_TCP_EVICTED] + ends[SUTRA_TCP_TOO_MANY] + ends[SUTRA_TCP_NO_DESCRIPTORS] +
	      ends[SUTRA_TCP_OVERLOAD];
	if (sum == s->logged_limits || (s->logged_limits && now - s->logged_limits_ns < 60000000000u))
		return;
	s->logged_limits = sum;
	s->logged_limits_ns = now;
	sutra_log(SUTRA_WARN, "storage", "connections were ended or refused for want of room",
		  "open=%llu made_room=%llu too_many_connections=%llu out_of_descriptors=%llu out_of_buffers=%llu",
		  (unsigned long long)t.open, (unsigned long long)ends[SUTRA_TCP_EVICTED],
		  (unsigned long long)ends[SUTRA_TCP_TOO_MANY],
		  (unsigned long long)ends[SUTRA_TCP_NO_DESCRIPTORS],
		  (unsigned long long)ends[SUTRA_TCP_OVERLOAD]);
}

static void log_clock(struct storage *s, const struct sutra_engine_stats *e)
{
	if (s->logged_clock == (e->clock_ahead_seconds > 60))
		return;
	s->logged_clock = !s->logged_clock;
	if (s->logged_clock)
		sutra_log(SUTRA_WARN, "storage", "the clock was set back; ages are counted on", "seconds=%llu",
			  (unsigned long long)e->clock_ahead_seconds);
}

/* Also without writes of clients: rewriting the log may fill the disk. */
static void log_read_only(struct storage *s, const struct sutra_engine_stats *e)
{
	if (s->logged_read_only == (e->read_only != NULL))
		return;
	s->logged_read_only = e->read_only != NULL;
	if (e->read_only)
		sutra_log(SUTRA_ERROR, "storage", "takes no writes now", "reason=\"%s\"", e->read_only);
	else
		sutra_log(SUTRA_INFO, "storage", "takes writes again", NULL);
}

void storage_tick(void *storage)
{
	struct storage *s = storage;
	struct sutra_engine_stats e;

	sutra_engine_stats(s->engine, &e);
	log_read_only(s, &e);
	log_clock(s, &e);
	log_limits(s);
}
