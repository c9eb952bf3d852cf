/*
 * metric - a program's counters as rows of one table, with three printers.
 *
 * A program declares a table once; values are relaxed atomics (one cache line
 * each, so threads do not share lines). Prometheus text is one printer, JSON the
 * other; `sutra status` and the monitor read the same names.
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

/* Appends HELP, TYPE and value of every row. */
void sutra_metrics_prometheus(const struct sutra_metric_row *rows, const struct sutra_metric *values,
			      size_t n, struct sutra_buf *out);

/* Resident size of this process in bytes, from /proc; 0 where that does not tell. Costs a few
 * microseconds, however large the process. */
uint64_t sutra_process_memory(void);

#endif
