#include "stack/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/digest.h"
#include "base/file.h"

enum { MAX_PATH = 1024 };

/* A file of the kernel's: written in one piece, never created. */
static bool put(const char *folder, const char *file, const char *text)
{
	char path[MAX_PATH + 400];
	size_t n = strlen(text);
	bool ok;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", folder, file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	ok = fd >= 0 && write(fd, text, n) == (ssize_t)n;
	if (fd >= 0)
		close(fd);
	return ok;
}

static bool holds_memory(const char *folder, const char *file)
{
	char path[MAX_PATH + 400], *text = NULL;
	bool found;

	snprintf(path, sizeof(path), "%s/%s", folder, file);
	found = !sutra_file_read(path, 4096, &text, NULL, NULL) && strstr(text, "memory");
	sutra_free(text);
	return found;
}

/* Where the memory controller is mounted. */
static bool find_mount(char out[MAX_PATH], bool *ret_v2)
{
	FILE *f = setmntent("/proc/self/mounts", "r");
	struct mntent *m;
	bool found = false;

	while (f && !found && (m = getmntent(f))) {
		*ret_v2 = !strcmp(m->mnt_type, "cgroup2");
		found = *ret_v2 ? holds_memory(m->mnt_dir, "cgroup.controllers") :
				  !strcmp(m->mnt_type, "cgroup") && hasmntopt(m, "memory");
		if (found)
			snprintf(out, MAX_PATH, "%s", m->mnt_dir);
	}
	if (f)
		endmntent(f);
	return found;
}

static bool make_group(const char *path) { return !mkdir(path, 0755) || errno == EEXIST; }

/* In version 2 a controller is there for the children of a group that passes it on. */
static bool pass_on(const char *group)
{
	return holds_memory(group, "cgroup.subtree_control") ||
	       put(group, "cgroup.subtree_control", "+memory");
}

/* "sutra-0123abcd" */
static void name_group(const char *state_dir, char out[32])
{
	uint8_t digest[SUTRA_SHA256_LEN];
	char hex[SUTRA_SHA256_HEX];

	sutra_sha256(state_dir, strlen(state_dir), digest);
	sutra_hex(digest, sizeof(digest), hex);
	snprintf(out, 32, "sutra-%.8s", hex);
}

bool sutra_cgroup_limit(const char *state_dir, const char *service, uint64_t bytes, char *ret_procs,
			size_t size)
{
	char mount[MAX_PATH], name[32], stack[MAX_PATH + 64], group[MAX_PATH + 300], text[32];
	bool v2;

	if (!find_mount(mount, &v2))
		return false;
	name_group(state_dir, name);
	snprintf(stack, sizeof(stack), "%s/%s", mount, name);
	snprintf(group, sizeof(group), "%s/%.200s", stack, service);
	if ((v2 && !pass_on(mount)) || !make_group(stack) || (v2 && !pass_on(stack)) ||
	    !make_group(group))
		return false;
	snprintf(text, sizeof(text), "%llu", (unsigned long long)bytes);
	if (!put(group, v2 ? "memory.max" : "memory.limit_in_bytes", bytes ? text : v2 ? "max" : "-1"))
		return false;
	return snprintf(ret_procs, size, "%s/cgroup.procs", group) < (int)size;
}

bool sutra_cgroup_holds(const char *state_dir, const char *service, pid_t pid)
{
	char path[64], name[32], group[300], *text = NULL;
	bool found;

	name_group(state_dir, name);
	snprintf(group, sizeof(group), "/%s/%.200s\n", name, service);
	snprintf(path, sizeof(path), "/proc/%ld/cgroup", (long)pid);
	found = !sutra_file_read(path, 1 << 16, &text, NULL, NULL) && strstr(text, group);
	sutra_free(text);
	return found;
}

/* A group is busy until its last process has been reaped: at most a second. */
static void remove_group(const char *path)
{
	for (int i = 0; i < 100 && rmdir(path) && errno == EBUSY; i++)
		poll(NULL, 0, 10);
}

void sutra_cgroup_clear(const char *state_dir)
{
	char mount[MAX_PATH], name[32], stack[MAX_PATH + 64], group[MAX_PATH + 512];
	struct dirent *e;
	bool v2;
	DIR *d;

	if (!find_mount(mount, &v2))
		return;
	name_group(state_dir, name);
	snprintf(stack, sizeof(stack), "%s/%s", mount, name);
	d = opendir(stack);
	while (d && (e = readdir(d))) {
		if (e->d_type != DT_DIR || e->d_name[0] == '.')
			continue;
		snprintf(group, sizeof(group), "%s/%s", stack, e->d_name);
		remove_group(group);
	}
	if (d) {
		closedir(d);
		remove_group(stack);
	}
}
