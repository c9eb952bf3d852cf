#include "runtime/runas.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"

enum { MAX_DEPTH = 64 };	/* of folders in a volume */

int sutra_runas_possible(const char *user, struct sutra_err *err)
{
	const struct passwd *p = getpwnam(user);

	if (!p)
		return sutra_fail(err, SUTRA_E_SETTING, "SUTRA_USER is \"%.60s\", and this machine has no such user", user);
	if (geteuid() && geteuid() != p->pw_uid)
		return sutra_fail(err, SUTRA_E_SETTING, "SUTRA_USER is \"%.60s\"; only root can start services as another user",
				  user);
	return 0;
}

static int give_at(int folder, const char *name, const struct passwd *p, int depth);

static int give_entries(int folder, const struct passwd *p, int depth)
{
	int copy = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	const struct dirent *e;

	if (!d) {
		if (copy >= 0)
			close(copy);
		return -1;
	}
	while (!rc && (e = readdir(d)))
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			rc = give_at(copy, e->d_name, p, depth + 1);
	closedir(d);
	return rc;
}

/* By descriptors: the user may own the folder already, and replace an entry by a link after it was checked.
 * A file that is removed meanwhile is no error. */
static int give_at(int folder, const char *name, const struct passwd *p, int depth)
{
	int fd = openat(folder, name, O_PATH | O_NOFOLLOW | O_CLOEXEC), rc;
	struct stat st;

	if (fd < 0)
		return depth && errno == ENOENT ? 0 : -1;
	rc = fstat(fd, &st);
	if (!rc && st.st_uid != p->pw_uid)
		rc = fchownat(fd, "", p->pw_uid, p->pw_gid, AT_EMPTY_PATH);
	if (!rc && S_ISDIR(st.st_mode) && depth == MAX_DEPTH) {
		errno = ELOOP;
		rc = -1;
	} else if (!rc && S_ISDIR(st.st_mode)) {
		rc = give_entries(fd, p, depth);
	}
	close(fd);
	return rc;
}

int sutra_runas_give(const char *path, const char *user, struct sutra_err *err)
{
	const struct passwd *p = getpwnam(user);

	if (!p)
		return sutra_fail(err, SUTRA_E_SETTING, "there is no user %s", user);
	return give_at(AT_FDCWD, path, p, 0) ? sutra_fail_errno(err, "cannot give %s to %s", path, user) : 0;
}

/* In a child process, whose exit code is the result. */
static int look_as(const struct passwd *p, const char *path)
{
	int mode = sutra_is_dir(path) ? R_OK | X_OK : R_OK;

	if (geteuid() != p->pw_uid && (initgroups(p->pw_name, p->pw_gid) || setgid(p->pw_gid) || setuid(p->pw_uid)))
		return 1;
	return access(path, mode) != 0;
}

int sutra_runas_reads(const char *path, const char *user, struct sutra_err *err)
{
	const struct passwd *p = getpwnam(user);
	int status = 1;
	pid_t pid = p ? fork() : -1;

	if (!pid)
		_exit(look_as(p, path));
	if (pid < 0)
		return sutra_fail_errno(err, "cannot look at %s as %s", path, user);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (!status)
		return 0;
	sutra_fail(err, SUTRA_E_FORBIDDEN, "the user %s (SUTRA_USER) cannot read %s", user, path);
	return sutra_hint(err, "open it and the folders above it to %s, or choose others: SUTRA_STATE_DIR, MODEL_PATH", user);
}
