#include "base/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"

enum { POLL_MS = 50 };

static void record_owner(const char *path, const char *command)
{
	char host[256] = "?", stamp[SUTRA_RFC3339_LEN], text[600];
	const struct passwd *user = getpwuid(geteuid());

	gethostname(host, sizeof(host) - 1);
	sutra_clock_rfc3339(sutra_clock_wall_us(), stamp);
	snprintf(text, sizeof(text), "%s@%s, pid %ld, sutra %s, since %s", user ? user->pw_name : "?", host,
		 (long)getpid(), command, stamp);
	sutra_file_write(path, text, strlen(text), 0600, NULL);
}

/* Waits between two attempts; true: no further attempt. */
static bool interrupted(const volatile sig_atomic_t *stop)
{
	return (stop && *stop) || (poll(NULL, 0, POLL_MS) < 0 && errno == EINTR) || (stop && *stop);
}

int sutra_lock_take(const char *state_dir, const char *command, uint64_t wait_ns, const volatile sig_atomic_t *stop,
		    int *ret_fd, struct sutra_err *err)
{
	char *path = xasprintf("%s/lock", state_dir), *owner = xasprintf("%s/lock.owner", state_dir), *holder;
	uint64_t end = wait_ns == UINT64_MAX ? wait_ns : sutra_clock_ns() + wait_ns;
	int fd, rc = 0;

	fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		rc = sutra_fail_errno(err, "cannot open %s", path);
	while (!rc && flock(fd, LOCK_EX | LOCK_NB)) {
		if (errno != EWOULDBLOCK && errno != EINTR) {
			rc = sutra_fail_errno(err, "cannot lock %s", path);
		} else if (sutra_clock_ns() >= end) {
			if (sutra_file_read(owner, 1000, &holder, NULL, NULL))
				holder = xstrdup("somebody");
			rc = sutra_fail(err, SUTRA_E_LOCKED, "the stack is locked by %s", holder);
			sutra_hint(err, "wait for it with --lock-wait 2m");
			sutra_free(holder);
		} else if (interrupted(stop)) {
			rc = sutra_fail(err, SUTRA_E_INTERRUPTED, "interrupted while waiting for the lock");
		}
	}
	if (!rc) {
		record_owner(owner, command);
		*ret_fd = fd;
	} else if (fd >= 0) {
		close(fd);
	}
	sutra_free(path);
	sutra_free(owner);
	return rc;
}

void sutra_lock_release(const char *state_dir, int fd)
{
	char *owner = xasprintf("%s/lock.owner", state_dir);

	unlink(owner);
	sutra_free(owner);
	close(fd);
}
