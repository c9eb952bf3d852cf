/*
 * sutra-run - starts a service: sets the environment from a file, changes the user, allows no new
 * privileges, and executes the program.
 *
 * The file holds NAME=value entries, each ended by a NUL, like /proc/PID/environ: values with blanks,
 * newlines or quotes need no quoting, and no secret is an argument. PATH, HOME, LISTEN_FDS and LISTEN_PID
 * come from the caller, since a restart in place uses this program too. The kernel sends the program TERM
 * if its supervisor is killed; otherwise it would keep the port of its successor.
 */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/str.h"
#include "base/version.h"

enum { MAX_FILE = 4 << 20, CANNOT_RUN = 111 };	/* the exit code of chpst(8) */

static int fail(const char *what, const char *name)
{
	fprintf(stderr, "sutra-run: %s %s: %s\n", what, name, strerror(errno));
	return CANNOT_RUN;
}

/* Changes the user, unless the process has it already: in a restart in place it may not change it. */
static int become(const char *user)
{
	const struct passwd *p = getpwnam(user);

	if (!p) {
		errno = ENOENT;
		return fail("cannot find the user", user);
	}
	setenv("HOME", p->pw_dir, 1);
	if (geteuid() == p->pw_uid)
		return 0;
	if (initgroups(user, p->pw_gid) || setgid(p->pw_gid) || setuid(p->pw_uid))
		return fail("cannot become", user);
	return 0;
}

static bool has(const struct sutra_strv *env, const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < env->n; i++)
		if (!strncmp(env->items[i], name, n) && env->items[i][n] == '=')
			return true;
	return false;
}

/* Reads the entries of the file, and adds the caller's variables that the file does not set. */
static int make_environment(const char *path, struct sutra_strv *ret)
{
	static const char *const passed[] = { "PATH", "HOME", "LISTEN_FDS", "LISTEN_PID" };
	char *data, *pair;
	struct sutra_err err;
	size_t n;

	if (sutra_file_read(path, MAX_FILE, &data, &n, &err)) {
		fprintf(stderr, "sutra-run: %s\n", err.message);
		return CANNOT_RUN;
	}
	for (size_t at = 0; at < n; at += strlen(data + at) + 1)
		sutra_strv_add(ret, data + at);
	sutra_free(data);
	for (size_t i = 0; i < sizeof(passed) / sizeof(*passed); i++) {
		if (!getenv(passed[i]) || has(ret, passed[i]))
			continue;
		pair = xasprintf("%s=%s", passed[i], getenv(passed[i]));
		sutra_strv_add(ret, pair);
		sutra_free(pair);
	}
	return 0;
}

int main(int argc, char **argv)
{
	const char *user = argc > 3 && !strcmp(argv[1], "--user") ? argv[2] : NULL;
	char **words = argv + (user ? 3 : 1);
	struct sutra_strv env = { 0 };
	int code;

	if (argc == 2 && !strcmp(argv[1], "--version"))
		return puts("sutra-run " SUTRA_VERSION) < 0;
	if (argc < (user ? 5 : 3) || words[0][0] == '-') {
		fputs("usage: sutra-run [--user NAME] ENVIRONMENT PROGRAM [ARGUMENT ...]\n"
		      "runs PROGRAM with the NUL-ended NAME=value entries of the file ENVIRONMENT\n",
		      stderr);
		return 2;
	}
	code = user ? become(user) : 0;
	code = code ? code : make_environment(words[0], &env);
	if (code)
		return code;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_PDEATHSIG, SIGTERM))
		return fail("cannot restrict", words[1]);
	execve(words[1], words + 1, env.items);
	return fail("cannot run", words[1]);
}
