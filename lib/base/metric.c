#include "base/metric.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void sutra_metrics_prometheus(const struct sutra_metric_row *rows, const struct sutra_metric *values,
			      size_t n, struct sutra_buf *out)
{
	for (size_t i = 0; i < n; i++) {
		bool counts = rows[i].type == SUTRA_COUNTER || rows[i].type == SUTRA_SECONDS_COUNTER;
		bool time = rows[i].type == SUTRA_SECONDS_COUNTER || rows[i].type == SUTRA_SECONDS_GAUGE;
		int bare = (int)strcspn(rows[i].name, "{");
		long long value = sutra_metric_get(&values[i]);

		/* rows of one metric with different labels share what is said about it */
		if (!i || strncmp(rows[i].name, rows[i - 1].name, (size_t)bare) ||
		    strcspn(rows[i - 1].name, "{") != (size_t)bare)
			sutra_buf_addf(out, "# HELP %.*s %s\n# TYPE %.*s %s\n", bare, rows[i].name, rows[i].help,
				       bare, rows[i].name, counts ? "counter" : "gauge");
		if (time)
			sutra_buf_addf(out, "%s %.6f\n", rows[i].name, (double)value / 1e6);
		else
			sutra_buf_addf(out, "%s %lld\n", rows[i].name, value);
	}
}

/* From what an answer out of memory takes to what a client waits for. */
static const uint64_t edges_ns[SUTRA_TIMES_EDGES] = {
	50000,	  100000,   250000,    500000,	  1000000,   2500000,	5000000,    10000000,
	25000000, 50000000, 100000000, 250000000, 500000000, 1000000000, 2500000000, 10000000000,
};

void sutra_times_add(struct sutra_times *t, uint64_t ns)
{
	size_t i = 0;

	while (i < SUTRA_TIMES_EDGES && ns > edges_ns[i])
		i++;
	atomic_fetch_add_explicit(&t->bucket[i], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&t->sum_ns, ns, memory_order_relaxed);
}

void sutra_times_prometheus(const struct sutra_times *t, const char *name, const char *labels,
			    struct sutra_buf *out)
{
	unsigned long long n = 0;

	for (size_t i = 0; i < SUTRA_TIMES_EDGES; i++) {
		n += atomic_load_explicit(&t->bucket[i], memory_order_relaxed);
		sutra_buf_addf(out, "%s_bucket{%s,le=\"%g\"} %llu\n", name, labels, (double)edges_ns[i] / 1e9, n);
	}
	n += atomic_load_explicit(&t->bucket[SUTRA_TIMES_EDGES], memory_order_relaxed);
	sutra_buf_addf(out, "%s_bucket{%s,le=\"+Inf\"} %llu\n%s_sum{%s} %.9f\n%s_count{%s} %llu\n", name, labels, n,
		       name, labels, (double)atomic_load_explicit(&t->sum_ns, memory_order_relaxed) / 1e9, name, labels, n);
}

uint64_t sutra_process_memory(void)
{
	FILE *f = fopen("/proc/self/statm", "re");
	unsigned long pages = 0;

	if (f && fscanf(f, "%*u %lu", &pages) != 1)
		pages = 0;
	if (f)
		fclose(f);
	return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}
