/* cores - what this process may use: processors (its affinity, its control group's quota), memory. */
#ifndef SUTRA_BASE_CORES_H
#define SUTRA_BASE_CORES_H

#include <stddef.h>
#include <stdint.h>

/* Writes the processors of the affinity mask into out (at most max), ascending; returns their number, at
 * least 1. */
size_t sutra_cores_list(int *out, size_t max);
/* Processor time that the control groups (version 2 or 1) allow, in cores: the lowest limit of the
 * process's group and its ancestors; 0: no limit. root: the path before /proc and /sys, "" but in tests. */
double sutra_cores_quota(const char *root);
/* Bytes of memory that they allow, at most those of the machine. */
uint64_t sutra_memory_limit(const char *root);

#endif
