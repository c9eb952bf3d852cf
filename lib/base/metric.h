/*
 * metric - a program's counters as rows of one table.
 *
 * A program declares a table once; values are relaxed atomics (one cache line
 * each, so threads do not share lines), printed as Prometheus text.
 *
 *	enum { M_REQUESTS, M_ERRORS, M_COUNT };
 *	static const struct sutra_metric_row rows[M_COUNT] = {
 *		{ "sutra_requests_total", SUTRA_COUNTER, "requests answered" }, ...
 */
#ifndef SUTRA_BASE_METRIC_H
#define SUTRA_BASE_METRIC_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* SECONDS: a time, held in microseconds and printed in seconds, Prometheus' base unit. */
enum sutra_metric_type { SUTRA_COUNTER, SUTRA_GAUGE, SUTRA_SECONDS_COUNTER, SUTRA_SECONDS_GAUGE };

struct sutra_metric_row {
	const char *name;	/* Prometheus name with unit: sutra_l1_hits_total; labels may follow,
				 * {stage="queue"}, rows of one metric then stand together */
	enum sutra_metric_type type;
	const char *help;
};

struct sutra_metric {
	_Alignas(64) atomic_llong value;
};

static inline void sutra_metric_add(struct sutra_metric *m, long long n)
{
	atomic_fetch_add_explicit(&m->value, n, memory_order_relaxed);
}
static inline void sutra_metric_set(struct sutra_metric *m, long long n)
{
	atomic_store_explicit(&m->value, n, memory_order_relaxed);
}
static inline long long sutra_metric_get(const struct sutra_metric *m)
{
	return atomic_load_explicit(&m->value, memory_order_relaxed);
}

/* Durations, counted by bucket: a Prometheus histogram. Recording is two relaxed adds. */
enum { SUTRA_TIMES_EDGES = 16 };
struct sutra_times {	/* short durations and the sum share a cache line */
	_Alignas(64) atomic_ullong sum_ns;
	atomic_ullong bucket[SUTRA_TIMES_EDGES + 1];	/* the last: longer than every edge */
};

void sutra_times_add(struct sutra_times *t, uint64_t ns);
/* Appends NAME_bucket, NAME_sum and NAME_count with these labels ('route="/embed",code="200"'; no
 * HELP, no TYPE), in seconds. */
void sutra_times_prometheus(const struct sutra_times *t, const char *name, const char *labels,
			    struct sutra_buf *out);

/* Appends HELP, TYPE and value of every row. */
void sutra_metrics_prometheus(const struct sutra_metric_row *rows, const struct sutra_metric *values,
			      size_t n, struct sutra_buf *out);

/* Appends the metrics of a process that Prometheus' clients report: process_cpu_seconds_total, _start_time_seconds,
 * _resident_memory_bytes, _open_fds, _max_fds. */
void sutra_process_prometheus(struct sutra_buf *out);
/* Resident size of this process in bytes, from /proc; 0 when that cannot be read. Takes a few
 * microseconds, however large the process is. */
uint64_t sutra_process_memory(void);

#endif
