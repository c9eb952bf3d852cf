#include "base/metric.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

void sutra_metrics_prometheus(const struct sutra_metric_row *rows, const struct sutra_metric *values,
			      size_t n, struct sutra_buf *out)
{
	for (size_t i = 0; i < n; i++) {
		bool counts = rows[i].type == SUTRA_COUNTER || rows[i].type == SUTRA_SECONDS_COUNTER;
		bool time = rows[i].type == SUTRA_SECONDS_COUNTER || rows[i].type == SUTRA_SECONDS_GAUGE;
		int bare = (int)strcspn(rows[i].name, "{");
		long long value = sutra_metric_get(&values[i]);

		/* rows of one metric with different labels share HELP and TYPE */
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

/* From an answer out of the memory cache to the longest wait of a client. */
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

static size_t open_files(void)
{
	DIR *d = opendir("/proc/self/fd");
	size_t n = 0;

	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n > 3 ? n - 3 : 0;	/* without ".", ".." and the folder itself */
}

/* The start of the process in seconds of Unix time: boot time and ticks since then; 0: /proc cannot be read.
 * Computed once, so that setting the clock does not look like another process. */
static double started_at(void)
{
	static atomic_llong known_ms;
	static const int behind_name = 20;	/* field 22 of /proc/self/stat; the name is field 2 */
	struct timespec now, up;
	char line[1024], *at;
	bool read;
	FILE *f;

	if (atomic_load(&known_ms))
		return (double)atomic_load(&known_ms) / 1e3;
	f = fopen("/proc/self/stat", "re");
	read = f && fgets(line, sizeof(line), f);
	if (f)
		fclose(f);
	at = read ? strrchr(line, ')') : NULL;
	for (int i = 0; at && i < behind_name; i++)
		at = strchr(at + 1, ' ');
	if (!at)
		return 0;
	clock_gettime(CLOCK_REALTIME, &now);
	clock_gettime(CLOCK_BOOTTIME, &up);
	atomic_store(&known_ms, (now.tv_sec - up.tv_sec) * 1000 + (now.tv_nsec - up.tv_nsec) / 1000000 +
				(long long)(strtoull(at, NULL, 10) * 1000 / (unsigned long)sysconf(_SC_CLK_TCK)));
	return (double)atomic_load(&known_ms) / 1e3;
}

void sutra_process_prometheus(struct sutra_buf *out)
{
	struct rlimit files = { 0 };
	struct timespec cpu;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
	getrlimit(RLIMIT_NOFILE, &files);
#define ROW(name, type, help, format, value)                                                               \
	sutra_buf_addf(out, "# HELP " name " " help "\n# TYPE " name " " type "\n" name " " format "\n", value)
	ROW("process_cpu_seconds_total", "counter", "time on a processor, in user and system mode", "%.6f",
	    (double)cpu.tv_sec + (double)cpu.tv_nsec / 1e9);
	ROW("process_start_time_seconds", "gauge", "when the process began, in Unix time", "%.3f", started_at());
	ROW("process_resident_memory_bytes", "gauge", "resident memory", "%llu",
	    (unsigned long long)sutra_process_memory());
	ROW("process_open_fds", "gauge", "open descriptors", "%zu", open_files());
	ROW("process_max_fds", "gauge", "descriptors that it may open", "%llu", (unsigned long long)files.rlim_cur);
#undef ROW
}
