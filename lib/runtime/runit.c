#include "runtime/runit.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/proc.h"
#include "base/str.h"

#define KILLED_NS 5000000000u	/* the longest time until a killed process is gone */

enum { MAX_PATH = SUTRA_RUNIT_PATH, MAX_PIDS = 1024, POLL_MS = 10 };

void sutra_runit_path(const char *state_dir, const char *name, const char *rest, char out[SUTRA_RUNIT_PATH])
{
	snprintf(out, SUTRA_RUNIT_PATH, "%s/native/services/%s%s", state_dir, name, rest);
}

static int open_control(const char *state_dir, const char *name)
{
	char path[MAX_PATH];

	sutra_runit_path(state_dir, name, "/supervise/control", path);
	return open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);	/* ENXIO while no runsv reads it */
}

int sutra_runit_check(struct sutra_err *err)
{
	static const char *const programs[] = { "runsvdir", "runsv", "svlogd" };

	for (size_t i = 0; i < sizeof(programs) / sizeof(*programs); i++) {
		if (sutra_proc_find(programs[i], NULL))
			continue;
		sutra_fail(err, SUTRA_E_NOTFOUND,
			   "the native runtime needs runit, and its program %s is not on PATH", programs[i]);
		return sutra_hint(err, "apt-get install runit");
	}
	return 0;
}

static void pid_file(const char *state_dir, char out[MAX_PATH])
{
	snprintf(out, MAX_PATH, "%s/native/runsvdir.pid", state_dir);
}

/* Whether /proc/<pid>/<file> (cmdline or environ) holds the NUL-ended entry. */
static bool proc_has(pid_t pid, const char *file, const char *entry)
{
	char path[64], *text;
	size_t n, len = strlen(entry);
	bool found = false;

	snprintf(path, sizeof(path), "/proc/%ld/%s", (long)pid, file);
	if (sutra_file_read(path, 1 << 20, &text, &n, NULL))
		return false;
	for (size_t at = 0; at < n && !found; at += strlen(text + at) + 1)
		found = !strncmp(text + at, entry, len + 1);
	sutra_free(text);
	return found;
}

bool sutra_runit_alive(const char *state_dir, pid_t *ret_pid)
{
	char path[MAX_PATH], *text, entry[MAX_PATH];
	int64_t pid = 0;

	pid_file(state_dir, path);
	if (sutra_file_read(path, 64, &text, NULL, NULL))
		return false;
	text[strcspn(text, "\n")] = '\0';
	if (sutra_str_int(text, 2, INT32_MAX, &pid))
		pid = 0;
	sutra_free(text);
	snprintf(entry, sizeof(entry), "SUTRA_STACK=%s", state_dir);
	if (!pid || !proc_has((pid_t)pid, "environ", entry) || !proc_has((pid_t)pid, "cmdline", "runsvdir"))
		return false;
	if (ret_pid)
		*ret_pid = (pid_t)pid;
	return true;
}

uint64_t sutra_runit_files(pid_t pid)
{
	char path[64], *text, *at;
	unsigned long long soft, hard = UINT64_MAX;

	snprintf(path, sizeof(path), "/proc/%ld/limits", (long)pid);
	if (sutra_file_read(path, 1 << 16, &text, NULL, NULL))
		return UINT64_MAX;
	at = strstr(text, "Max open files");
	if (at && sscanf(at + strlen("Max open files"), "%llu %llu", &soft, &hard) != 2)
		hard = UINT64_MAX;	/* "unlimited" */
	sutra_free(text);
	return hard;
}

/* In the grandchild: its own session, no other open file, a small environment. */
static void become_runsvdir(const char *state_dir, int report)
{
	char path[MAX_PATH], services[MAX_PATH], stack[MAX_PATH + 16], home[MAX_PATH], search[MAX_PATH * 2];
	char *const env[] = { stack, home, search, NULL };
	char program[] = "runsvdir", group[] = "-P";
	char *const argv[] = { program, group, services, NULL };
	int in = open("/dev/null", O_RDONLY), out;
	sigset_t none;

	setsid();
	snprintf(path, sizeof(path), "%s/native/runsvdir.log", state_dir);
	out = open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, 0600);
	dup2(in, 0);
	dup2(out, 1);
	dup2(out, 2);
	snprintf(services, sizeof(services), "%s/native/services", state_dir);
	snprintf(stack, sizeof(stack), "SUTRA_STACK=%s", state_dir);
	snprintf(home, sizeof(home), "HOME=%s", sutra_home());
	snprintf(search, sizeof(search), "PATH=%s:/usr/sbin:/usr/bin:/bin", getenv("PATH") ? getenv("PATH") : "");
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	for (int fd = 3; fd < 256; fd++)
		if (fd != report)
			close(fd);
	fcntl(report, F_SETFD, FD_CLOEXEC);
	execvpe(program, argv, env);
	_exit(127);
}

int sutra_runit_start(const char *state_dir, struct sutra_err *err)
{
	char path[MAX_PATH], text[32], byte;
	int report[2], status;
	pid_t child, pid = 0;

	if (sutra_runit_alive(state_dir, NULL))
		return 0;
	if (pipe(report))
		return sutra_fail_errno(err, "cannot create a pipe");
	child = fork();
	if (!child) {
		pid_t grandchild = fork();

		if (!grandchild)
			become_runsvdir(state_dir, report[1]);
		if (write(report[1], &grandchild, sizeof(grandchild)) < 0)
			_exit(1);
		_exit(grandchild < 0);
	}
	close(report[1]);
	if (child > 0)
		waitpid(child, &status, 0);
	if (child < 0 || read(report[0], &pid, sizeof(pid)) != sizeof(pid) || pid < 0) {
		close(report[0]);
		return sutra_fail(err, SUTRA_E_IO, "cannot start runsvdir");
	}
	/* The pipe ends when runsvdir has been executed (close-on-exec) or has failed. */
	while (read(report[0], &byte, 1) < 0 && errno == EINTR)
		;
	close(report[0]);
	pid_file(state_dir, path);
	snprintf(text, sizeof(text), "%ld\n", (long)pid);
	return sutra_file_write(path, text, strlen(text), 0600, err);
}

void sutra_runit_plan_end(const char *state_dir, const char *name, bool planned)
{
	char path[MAX_PATH];

	sutra_runit_path(state_dir, name, "/planned", path);
	if (planned)
		sutra_file_write(path, "", 0, 0600, NULL);
	else
		unlink(path);
}

int sutra_runit_control(const char *state_dir, const char *name, char command, struct sutra_err *err)
{
	uint64_t end = sutra_clock_ns() + 10000000000u;
	char path[MAX_PATH];
	int fd, rc = 0;

	while ((fd = open_control(state_dir, name)) < 0 && sutra_clock_ns() < end)
		poll(NULL, 0, POLL_MS);
	if (fd < 0)
		return sutra_fail_errno(err, "the supervisor of %s does not answer", name);
	sutra_runit_path(state_dir, name, "/down", path);
	if (command == 'u' && unlink(path) && errno != ENOENT)
		rc = sutra_fail_errno(err, "cannot remove %s", path);
	if (command == 'd')
		rc = sutra_file_write(path, "", 0, 0600, err);
	if (command == 'd' || command == 't')
		sutra_runit_plan_end(state_dir, name, true);
	if (!rc && write(fd, &command, 1) != 1)
		rc = sutra_fail_errno(err, "cannot write to the supervisor of %s", name);
	close(fd);
	return rc;
}

/* Reads at most three numbers that the finish script wrote; returns how many. */
static int read_numbers(const char *state_dir, const char *name, const char *file, long *a, long *b, long *c)
{
	char path[MAX_PATH], *text;
	int n;

	sutra_runit_path(state_dir, name, file, path);
	if (sutra_file_read(path, 64, &text, NULL, NULL))
		return 0;
	n = sscanf(text, "%ld %ld %ld", a, b, c);
	sutra_free(text);
	return n;
}

/* supervise/status: 8 bytes TAI64 seconds and 4 nanoseconds big-endian, pid little-endian,
 * paused, wanted ('u', 'd'), term sent, state (0 down, 1 run, 2 finish); runit's runsv.c. */
static void read_status(const char *path, struct sutra_supervised *ret)
{
	const uint64_t tai_1970 = 4611686018427387914u;	/* 2^62 + 10 */
	unsigned char s[20];
	uint64_t tai = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, s, sizeof(s));

	if (fd >= 0)
		close(fd);
	if (n != sizeof(s))
		return;
	for (int i = 0; i < 8; i++)
		tai = tai << 8 | s[i];
	if (tai - tai_1970 < INT64_MAX / 2000000)	/* else no time that runsv writes: since_us stays 0 */
		ret->since_us = (int64_t)(tai - tai_1970) * 1000000 +
				((int64_t)s[8] << 24 | s[9] << 16 | s[10] << 8 | s[11]) / 1000;
	ret->pid = (pid_t)(s[12] | s[13] << 8 | s[14] << 16 | (uint32_t)s[15] << 24);
	ret->wants_up = s[17] == 'u';
	ret->running = s[19] == 1 && ret->pid;
}

void sutra_runit_read(const char *state_dir, const char *name, struct sutra_supervised *ret)
{
	long restarts = 0, code = -1, sig = 0, limit = 0;
	char path[MAX_PATH];
	int fd = open_control(state_dir, name);

	*ret = (struct sutra_supervised){ .last_exit = -1, .supervised = fd >= 0,
					  .unknown = fd < 0 && (errno == EMFILE || errno == ENFILE) };
	if (fd >= 0) {
		close(fd);
		sutra_runit_path(state_dir, name, "/supervise/status", path);
		read_status(path, ret);
	}
	if (read_numbers(state_dir, name, "/restarts", &restarts, &sig, &limit) > 0)
		ret->restarts = (unsigned)restarts;
	if (read_numbers(state_dir, name, "/last-exit", &code, &sig, &limit) == 3) {
		ret->last_exit = (int)(code < 0 ? 128 + sig : code);
		ret->limit_reached = (uint64_t)limit;
	}
}

size_t sutra_stack_pids(const char *state_dir, const char *service, pid_t *ret, size_t max)
{
	char stack[MAX_PATH + 16], name[300];
	DIR *proc = opendir("/proc");
	struct dirent *e;
	size_t n = 0;

	snprintf(stack, sizeof(stack), "SUTRA_STACK=%s", state_dir);
	snprintf(name, sizeof(name), "SUTRA_SERVICE=%s", service ? service : "");
	while (proc && n < max && (e = readdir(proc))) {
		int64_t pid;

		if (!isdigit((unsigned char)e->d_name[0]) || sutra_str_int(e->d_name, 1, INT32_MAX, &pid) ||
		    pid == getpid() || !proc_has((pid_t)pid, "environ", stack))
			continue;
		if (!service || proc_has((pid_t)pid, "environ", name))
			ret[n++] = (pid_t)pid;
	}
	if (proc)
		closedir(proc);
	return n;
}

/* Waits until no process of the stack (or service) is left; after the grace it kills those that are left, every
 * second. SUTRA_E_TIMEOUT: one is left KILLED_NS later; it hangs in the kernel, or belongs to another user. */
static int wait_gone(const char *state_dir, const char *service, uint64_t grace_ns, int *ret_killed,
		     struct sutra_err *err)
{
	uint64_t end = sutra_clock_ns() + grace_ns, last = end + KILLED_NS;
	pid_t pids[MAX_PIDS];
	size_t n;

	*ret_killed = 0;
	while ((n = sutra_stack_pids(state_dir, service, pids, MAX_PIDS))) {
		uint64_t now = sutra_clock_ns();

		if (now >= last) {
			sutra_fail(err, SUTRA_E_TIMEOUT, "process %ld does not end, though it was killed", (long)pids[0]);
			return sutra_hint(err, "end it as its user or as root; sutra down goes on");
		}
		if (now >= end) {
			for (size_t i = 0; i < n; i++)
				*ret_killed += !kill(pids[i], SIGKILL);
			end = now + 1000000000u;
		}
		poll(NULL, 0, POLL_MS);
	}
	return 0;
}

int sutra_runit_end_orphans(const char *state_dir, const char *name, uint64_t grace_ns, struct sutra_err *err)
{
	struct sutra_supervised now;
	pid_t pids[MAX_PIDS];
	int killed;
	size_t n;

	sutra_runit_read(state_dir, name, &now);
	n = now.running ? 0 : sutra_stack_pids(state_dir, name, pids, MAX_PIDS);
	for (size_t i = 0; i < n; i++)
		kill(pids[i], SIGTERM);
	return n ? wait_gone(state_dir, name, grace_ns, &killed, err) : 0;
}

/* Waits until no process reads the control pipe, at most 5 s: runsv writes its last status as it exits. */
static void wait_unsupervised(const char *state_dir, const char *name)
{
	uint64_t end = sutra_clock_ns() + 5000000000u;
	int fd;

	while ((fd = open_control(state_dir, name)) >= 0) {
		close(fd);
		if (sutra_clock_ns() >= end)
			return;
		poll(NULL, 0, POLL_MS);
	}
}

int sutra_runit_remove(const char *state_dir, const char *name, uint64_t grace_ns,
		       struct sutra_err *err)
{
	char service[MAX_PATH], hidden[MAX_PATH], gone[300];
	int fd, killed, rc = 0;

	sutra_runit_path(state_dir, name, "", service);
	if (!sutra_is_dir(service))
		return 0;
	fd = open_control(state_dir, name);
	if (fd >= 0) {
		close(fd);
		rc = sutra_runit_control(state_dir, name, 'd', err);
		rc = rc ? rc : wait_gone(state_dir, name, grace_ns, &killed, err);
		/* Its runsv exits with the log's once the service has ended. */
		if (!rc)
			rc = sutra_runit_control(state_dir, name, 'x', err);
	}
	snprintf(gone, sizeof(gone), ".%s.gone", name);
	sutra_runit_path(state_dir, gone, "", hidden);
	rc = rc ? rc : sutra_remove_tree(hidden, err);
	if (!rc && rename(service, hidden))
		rc = sutra_fail_errno(err, "cannot remove %s", service);
	if (!rc)
		wait_unsupervised(state_dir, gone);
	return rc ? rc : sutra_remove_tree(hidden, err);
}

int sutra_runit_stop(const char *state_dir, uint64_t grace_ns, int *ret_killed, struct sutra_err *err)
{
	char path[MAX_PATH];
	pid_t pids[MAX_PIDS], supervisor = 0;
	size_t n;
	int rc;

	/* HUP: runsvdir sends TERM to each runsv, which ends its service and exits. */
	if (sutra_runit_alive(state_dir, &supervisor))
		kill(supervisor, SIGHUP);
	n = sutra_stack_pids(state_dir, NULL, pids, MAX_PIDS);
	for (size_t i = 0; i < n && !supervisor; i++)
		kill(pids[i], SIGTERM);	/* the supervisor was killed: signal its children directly */
	rc = wait_gone(state_dir, NULL, grace_ns, ret_killed, err);
	pid_file(state_dir, path);
	if (!rc && unlink(path) && errno != ENOENT)
		rc = sutra_fail_errno(err, "cannot remove %s", path);
	return rc;
}
