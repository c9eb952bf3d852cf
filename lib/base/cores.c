/*
 * /proc/self/cgroup has a line per hierarchy, "number:controllers:/path". Version 2 is number 0
 * without controllers; its limit is the file cpu.max, "quota period" or "max period" in microseconds.
 * Version 1 has one hierarchy with the controller cpu, and the limit in cpu.cfs_quota_us (-1: none)
 * and cpu.cfs_period_us. The limits of memory are in memory.max and memory.limit_in_bytes. A container
 * sees its own group as the root of the mount.
 */
#include "base/cores.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"

enum { MAX_PATH = 1024 };

size_t sutra_cores_list(int *out, size_t max)
{
	size_t n = 0;
	cpu_set_t set;

	CPU_ZERO(&set);
	if (!sched_getaffinity(0, sizeof(set), &set))
		for (int i = 0; i < CPU_SETSIZE && n < max; i++)
			if (CPU_ISSET(i, &set))
				out[n++] = i;
	if (!n)
		out[n++] = 0;
	return n;
}

/* Reads up to two numbers at the beginning of a file; returns how many it read. */
static int read_numbers(const char *dir, const char *name, double *a, double *b)
{
	char path[MAX_PATH + 32];
	FILE *f;
	int n;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "re");
	if (!f)
		return 0;
	n = fscanf(f, "%lf %lf", a, b);
	fclose(f);
	return n;
}

/* The limit of one group in cores; 0: none. */
static double cores_of(const char *dir)
{
	double quota = 0, period = 0, unused;

	if (read_numbers(dir, "cpu.max", &quota, &period) != 2 &&
	    (read_numbers(dir, "cpu.cfs_quota_us", &quota, &unused) != 1 ||
	     read_numbers(dir, "cpu.cfs_period_us", &period, &unused) != 1))
		return 0;
	return quota > 0 && period > 0 ? quota / period : 0;
}

/* In bytes; version 1 writes "no limit" as a number larger than any memory. */
static double memory_of(const char *dir)
{
	double bytes = 0, unused;

	if (read_numbers(dir, "memory.max", &bytes, &unused) < 1)
		read_numbers(dir, "memory.limit_in_bytes", &bytes, &unused);
	return bytes;
}

/* The lowest limit of the groups from mount/path up to mount; 0: none. */
static double lowest_limit(const char *mount, const char *path, double (*limit_of)(const char *dir))
{
	size_t root = strlen(mount);
	char dir[MAX_PATH];
	double least = 0;

	if ((size_t)snprintf(dir, sizeof(dir), "%s%s", mount, path) >= sizeof(dir))
		return 0;
	for (;;) {
		double limit = limit_of(dir);
		char *slash = strrchr(dir + root, '/');

		if (limit > 0 && (least <= 0 || limit < least))
			least = limit;
		if (!slash)
			return least;
		*slash = '\0';
	}
}

/* The lowest limit of the process's group and its ancestors; 0: none. */
static double limit_of_groups(const char *root, const char *controller, double (*limit_of)(const char *dir))
{
	char path[MAX_PATH], line[MAX_PATH], mount[MAX_PATH];
	double limit, least = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/proc/self/cgroup", root);
	f = fopen(path, "re");
	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f)) {
		char *controllers = strchr(line, ':'), *group = controllers ? strchr(controllers + 1, ':') : NULL;
		struct sutra_strv names = { 0 };

		if (!group)
			continue;
		*group++ = '\0';
		group[strcspn(group, "\n")] = '\0';
		sutra_strv_split(&names, controllers + 1, ",");
		if (!names.n || sutra_strv_has(&names, controller)) {
			snprintf(mount, sizeof(mount), "%s/sys/fs/cgroup%s%s", root, names.n ? "/" : "",
				 names.n ? controller : "");
			limit = lowest_limit(mount, group, limit_of);
			if (limit > 0 && (least <= 0 || limit < least))
				least = limit;
		}
		sutra_strv_release(&names);
	}
	fclose(f);
	return least;
}

double sutra_cores_quota(const char *root) { return limit_of_groups(root, "cpu", cores_of); }

uint64_t sutra_memory_limit(const char *root)
{
	double limit = limit_of_groups(root, "memory", memory_of),
	       all = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE);

	return (uint64_t)(limit > 0 && limit < all ? limit : all);
}
