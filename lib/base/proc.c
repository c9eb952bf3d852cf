#include "base/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/str.h"

extern char **environ;

bool sutra_proc_find(const char *name, char **ret_path)
{
	const char *path = getenv("PATH");
	struct sutra_strv dirs = { 0 };
	bool found = false;

	if (strchr(name, '/')) {
		found = !access(name, X_OK);
		if (found && ret_path)
			*ret_path = xstrdup(name);
		return found;
	}
	sutra_strv_split(&dirs, path ? path : "/usr/local/bin:/usr/bin:/bin", ":");
	for (size_t i = 0; i < dirs.n && !found; i++) {
		char *file = xasprintf("%s/%s", dirs.items[i], name);

		found = !access(file, X_OK);
		if (found && ret_path)
			*ret_path = file;
		else
			sutra_free(file);
	}
	sutra_strv_release(&dirs);
	return found;
}

static int spawn(const char *const *argv, int out_fd, pid_t *ret_pid)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none;
	int rc;

	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attr);
	sigemptyset(&none);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	if (out_fd >= 0) {
		posix_spawn_file_actions_adddup2(&actions, out_fd, 1);
		posix_spawn_file_actions_adddup2(&actions, out_fd, 2);
	}
	rc = posix_spawnp(ret_pid, argv[0], &actions, &attr, (char *const *)argv, environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&actions);
	return rc;
}

static int wait_left_ms(uint64_t deadline)
{
	uint64_t now = sutra_clock_ns();

	if (deadline == UINT64_MAX)
		return -1;
	return now >= deadline ? 0 : (int)((deadline - now) / 1000000 + 1);
}

/* Reads until the child has exited, or the deadline passes. Returns whether it exited in time. */
static bool drain(int pidfd, int *pipe_fd, struct sutra_buf *out, uint64_t deadline)
{
	bool exited = false;

	while (!exited) {
		struct pollfd p[2] = { { .fd = pidfd, .events = POLLIN },
				       { .fd = *pipe_fd, .events = POLLIN } };
		int left = wait_left_ms(deadline);
		char chunk[4096];
		ssize_t n;

		if (!left || (poll(p, 2, left) < 0 && errno != EINTR))
			return false;
		exited = p[0].revents != 0;
		/* A grandchild may hold the pipe open after the child has exited: read what
		 * is there, do not wait for the end of the pipe. */
		while (*pipe_fd >= 0 && (p[1].revents || exited)) {
			n = read(*pipe_fd, chunk, sizeof(chunk));
			if (n > 0) {
				sutra_buf_add(out, chunk, (size_t)n);
				continue;
			}
			if (!n) {
				close(*pipe_fd);
				*pipe_fd = -1;
			}
			break;
		}
	}
	return true;
}

void sutra_proc_end(int code, uint64_t limit, char *out, size_t size)
{
	const char *name = code > 128 ? sigabbrev_np(code - 128) : NULL;
	char bytes[32];

	sutra_str_bytes(limit, bytes, sizeof(bytes));
	if (limit > 1)
		snprintf(out, size, "killed: memory limit %s reached", bytes);
	else if (limit)
		snprintf(out, size, "killed: the machine's memory ran out");
	else if (name)
		snprintf(out, size, "killed by signal %d (%s)", code - 128, name);
	else
		snprintf(out, size, "exit code %d", code);
}

int sutra_proc_run(const char *const *argv, struct sutra_buf *out, uint64_t timeout_ns,
		   int *ret_status, struct sutra_err *err)
{
	uint64_t deadline = timeout_ns == UINT64_MAX ? timeout_ns : sutra_clock_ns() + timeout_ns;
	int fds[2] = { -1, -1 }, rc, status, pidfd;
	bool ended;
	pid_t pid;

	if (out && pipe2(fds, O_CLOEXEC | O_NONBLOCK))
		return sutra_fail_errno(err, "cannot create a pipe for %s", argv[0]);
	if (out)
		fcntl(fds[1], F_SETFL, 0);
	rc = spawn(argv, fds[1], &pid);
	if (fds[1] >= 0)
		close(fds[1]);
	if (rc) {
		if (fds[0] >= 0)
			close(fds[0]);
		errno = rc;
		return sutra_fail_errno(err, "cannot run %s", argv[0]);
	}
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (pidfd < 0) {	/* its exit could not be waited for */
		rc = sutra_fail_errno(err, "cannot watch %s", argv[0]);
		kill(pid, SIGKILL);
	}
	ended = pidfd >= 0 && drain(pidfd, &fds[0], out, deadline);
	if (pidfd >= 0 && !ended) {
		kill(pid, SIGTERM);
		if (!drain(pidfd, &fds[0], out, sutra_clock_ns() + 1000000000u))
			kill(pid, SIGKILL);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (pidfd >= 0)
		close(pidfd);
	if (fds[0] >= 0)
		close(fds[0]);
	if (rc)
		return rc;
	if (!ended)
		return sutra_fail(err, SUTRA_E_TIMEOUT, "%s did not end in time and was stopped",
				  argv[0]);
	*ret_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	return 0;
}
