/* cores - what this process may use: processors (its affinity, its control group's quota), memory. */
#ifndef SUTRA_BASE_CORES_H
#define SUTRA_BASE_CORES_H

#include <stddef.h>
#include <stdint.h>

/* Those of the affinity mask into out (at most max), ascending; their number, at least 1. */
size_t sutra_cores_list(int *out, size_t max);
/* Cores' worth of time that the control groups (version 2 or 1) allow, the tightest of the
 * process's group and those above; 0: no limit. `root` stands before /proc and /sys; "". */
double sutra_cores_quota(const char *root);
/* Bytes of memory that these allow, or the machine has. */
uint64_t sutra_memory_limit(const char *root);

#endif
