#include "runtime/cgroup.h"

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

/* Writes a file of the kernel in one piece; never creates it. */
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

/* In version 2 the children of a group have a controller if the group passes it on. */
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

bool sutra_cgroup_limit(const char *state_dir, const char *service, uint64_t bytes, char *ret_group,
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
	return snprintf(ret_group, size, "%s", group) < (int)size;
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

/* The number in a group's file, or behind `word` in it; -1: none, "max" among them. */
static int64_t figure(const char *group, const char *file, const char *word)
{
	char path[2 * MAX_PATH], *text = NULL, *at;
	long long v = -1;

	snprintf(path, sizeof(path), "%s/%s", group, file);
	if (sutra_file_read(path, 4096, &text, NULL, NULL))
		return -1;
	at = word ? strstr(text, word) : text;
	if (at && sscanf(at + (word ? strlen(word) : 0), "%lld", &v) != 1)
		v = -1;
	sutra_free(text);
	return v;
}

/* The process's line in /proc/PID/cgroup: "4:memory:/path", in version 2 "0::/path". */
static bool find_group(pid_t pid, bool v2, char out[MAX_PATH])
{
	const char *key = v2 ? "0::" : ":memory:";
	char path[64], *text = NULL, *at;

	snprintf(path, sizeof(path), "/proc/%ld/cgroup", (long)pid);
	if (sutra_file_read(path, 1 << 16, &text, NULL, NULL))
		return false;
	at = strstr(text, key);
	if (at)
		snprintf(out, MAX_PATH, "%.*s", (int)strcspn(at + strlen(key), "\n"), at + strlen(key));
	sutra_free(text);
	return at != NULL;
}

bool sutra_cgroup_memory(pid_t pid, struct sutra_cgroup_memory *ret)
{
	char mount[MAX_PATH], path[MAX_PATH], group[2 * MAX_PATH];
	int64_t limit, used;
	bool v2;

	if (!find_mount(mount, &v2) || !find_group(pid, v2, path))
		return false;
	snprintf(group, sizeof(group), "%s%s", mount, path);
	used = figure(group, v2 ? "memory.current" : "memory.usage_in_bytes", NULL);
	limit = figure(group, v2 ? "memory.max" : "memory.limit_in_bytes", NULL);
	if (used < 0)
		return false;
	ret->used = (uint64_t)used;
	ret->limit = limit < 0 || limit > INT64_MAX / 2 ? 0 : (uint64_t)limit;	/* version 1 says "no limit" in bytes */
	ret->oom_kills = figure(group, v2 ? "memory.events" : "memory.oom_control", "oom_kill ");
	return true;
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
