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
