/*
 * cgroup - memory limits of local processes, by the kernel's control groups.
 *
 * Version 2 if its memory controller is there, else version 1 (cgroups(7)). A stack has the group
 * sutra-<8 digits of its state folder's digest>, each service one below. Limits need the right to write
 * there (root, as a rule); without it services run without limits, and status reports it.
 */
#ifndef SUTRA_RUNTIME_CGROUP_H
#define SUTRA_RUNTIME_CGROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Makes the service's group with its limit in bytes (0: none), and gives its folder, whose file
 * cgroup.procs takes the pids of its processes. False: not possible here. */
bool sutra_cgroup_limit(const char *state_dir, const char *service, uint64_t bytes, char *ret_group,
			size_t size);
/* Whether the process is in the service's group. */
bool sutra_cgroup_holds(const char *state_dir, const char *service, pid_t pid);
struct sutra_cgroup_memory {
	uint64_t limit, used;	/* bytes; limit 0: none */
	int64_t oom_kills;	/* since the group was made; -1: the kernel does not say */
};
/* The limit and use of a process's group, whatever made the group. False: they cannot be read here. */
bool sutra_cgroup_memory(pid_t pid, struct sutra_cgroup_memory *ret);
/* Removes the groups of a stack whose processes are gone. */
void sutra_cgroup_clear(const char *state_dir);

#endif
