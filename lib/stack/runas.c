#include "stack/runas.h"

#include <errno.h>
#include <ftw.h>
#include <grp.h>
#include <pwd.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"

enum { MAX_OPEN = 16 };

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

static uid_t new_uid;	/* nftw(3) carries no argument */
static gid_t new_gid;

static int give_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	return st->st_uid == new_uid ? 0 : lchown(path, new_uid, new_gid);
}

int sutra_runas_give(const char *path, const char *user, struct sutra_err *err)
{
	const struct passwd *p = getpwnam(user);

	if (!p)
		return sutra_fail(err, SUTRA_E_SETTING, "there is no user %s", user);
	new_uid = p->pw_uid;
	new_gid = p->pw_gid;
	return nftw(path, give_one, MAX_OPEN, FTW_PHYS) ? sutra_fail_errno(err, "cannot give %s to %s", path, user) : 0;
}

/* In a child: the answer as its exit code. */
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
