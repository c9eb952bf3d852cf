#include "base/metric.h"

#include <stdio.h>
#include <string.h>

void sutra_metrics_prometheus(const struct sutra_metric_row *rows, const struct sutra_metric *values,
			      size_t n, struct sutra_buf *out)
{
	for (size_t i = 0; i < n; i++) {
		int bare = (int)strcspn(rows[i].name, "{");

		/* rows of one metric with different labels share what is said about it */
		if (!i || strncmp(rows[i].name, rows[i - 1].name, (size_t)bare) ||
		    strcspn(rows[i - 1].name, "{") != (size_t)bare)
			sutra_buf_addf(out, "# HELP %.*s %s\n# TYPE %.*s %s\n", bare, rows[i].name, rows[i].help,
				       bare, rows[i].name, rows[i].type == SUTRA_COUNTER ? "counter" : "gauge");
		sutra_buf_addf(out, "%s %lld\n", rows[i].name, sutra_metric_get(&values[i]));
	}
}

void sutra_process_memory(uint64_t *ret_rss, uint64_t *ret_pss)
{
	FILE *f = fopen("/proc/self/smaps_rollup", "re");
	char line[256];
	unsigned long kib;

	*ret_rss = *ret_pss = 0;
	if (!f)
		return;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "Rss: %lu kB", &kib) == 1)
			*ret_rss = (uint64_t)kib * 1024;
		else if (sscanf(line, "Pss: %lu kB", &kib) == 1)
			*ret_pss = (uint64_t)kib * 1024;
	}
	fclose(f);
}
