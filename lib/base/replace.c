/*
 * Writing whole files. A regular file is replaced: the bytes are written into a temporary file in the
 * same folder and synced, and a rename gives it the name, so that a reader finds the old or the new file.
 * A target that is no regular file (a device, a FIFO, a terminal), is a mount point, or has an owner that
 * the new file cannot get, is opened and overwritten in place.
 *
 * The path is opened first (O_PATH), so that the kernel follows its links and applies its rules for
 * links in shared folders; the temporary file is created in the folder that holds the opened file.
 *
 * Temporary files are named .NAME.<16 random digits>.tmp, created with O_EXCL and O_NOFOLLOW, and
 * locked with flock while they are written. When the lock of such a file can be taken, its writer has
 * ended: each write removes such leftovers of its own target. A file system without flock keeps them.
 */
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/digest.h"

enum { MAX_TRIES = 64, RANDOM_DIGITS = 16, TMP_EXTRA = RANDOM_DIGITS + 6 };

/* The target: its folder, its name there, and the file that has this name now. */
struct target {
	const char *path;	/* of the caller */
	int fd;			/* O_PATH; -1: no file has the name */
	struct stat st;
	int folder;
	char name[NAME_MAX + 1];
};

static int write_all(int fd, const char *p, size_t n)
{
	while (n) {
		ssize_t w = write(fd, p, n);

		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return -1;
		p += w;
		n -= (size_t)w;
	}
	return 0;
}

static int write_parts(int fd, const struct iovec *parts, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (write_all(fd, parts[i].iov_base, parts[i].iov_len))
			return -1;
	return 0;
}

/* Splits a path into an open folder and a name. */
static int open_folder(struct target *t, const char *path, struct sutra_err *err)
{
	char folder[PATH_MAX];
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;

	if (!*name || strlen(name) > NAME_MAX || strlen(path) >= sizeof(folder))
		return sutra_fail(err, SUTRA_E_INVALID, "file name too long or empty: \"%s\"", t->path);
	memcpy(t->name, name, strlen(name) + 1);
	snprintf(folder, sizeof(folder), "%.*s", slash ? (int)(slash - path + 1) : 1, slash ? path : ".");
	t->folder = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return t->folder < 0 ? sutra_fail_errno(err, "cannot write into %s", folder) : 0;
}

/* Finds the folder of the opened file, links followed. SUTRA_E_BUSY: another write has replaced that file
 * meanwhile. */
static int find_folder(struct target *t, struct sutra_err *err)
{
	char link[64], path[PATH_MAX];
	struct stat st;
	ssize_t n;
	int rc;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", t->fd);
	n = readlink(link, path, sizeof(path) - 1);
	if (n <= 0 || fstat(t->fd, &st))
		return sutra_fail_errno(err, "cannot find the folder of %s", t->path);
	path[n] = '\0';
	rc = st.st_nlink ? open_folder(t, path, err) : SUTRA_E_BUSY;
	if (!rc && (fstatat(t->folder, t->name, &st, AT_SYMLINK_NOFOLLOW) || st.st_ino != t->st.st_ino ||
		    st.st_dev != t->st.st_dev))
		rc = SUTRA_E_BUSY;
	return rc == SUTRA_E_BUSY ? sutra_fail(err, rc, "%s changes while it is opened", t->path) : rc;
}

static void close_target(struct target *t)
{
	if (t->fd >= 0)
		close(t->fd);
	if (t->folder >= 0)
		close(t->folder);
}

/* For a dangling link, creates the file that it names. */
static int open_target(struct target *t, mode_t mode, struct sutra_err *err)
{
	struct stat st;
	int fd;

	t->fd = open(t->path, O_PATH | O_CLOEXEC);
	if (t->fd < 0 && errno == ENOENT && !lstat(t->path, &st)) {
		fd = open(t->path, O_WRONLY | O_CREAT | O_CLOEXEC, mode);
		if (fd >= 0)
			close(fd);
		t->fd = fd < 0 ? -1 : open(t->path, O_PATH | O_CLOEXEC);
		if (t->fd < 0)
			return sutra_fail_errno(err, "cannot create %s", t->path);
	}
	if (t->fd < 0)
		return errno == ENOENT ? open_folder(t, t->path, err) : sutra_fail_errno(err, "cannot write %s", t->path);
	if (fstat(t->fd, &t->st))
		return sutra_fail_errno(err, "cannot write %s", t->path);
	return S_ISREG(t->st.st_mode) ? find_folder(t, err) : 0;
}

static int find_target(struct target *t, const char *path, mode_t mode, struct sutra_err *err)
{
	int rc = SUTRA_E_BUSY;

	for (int i = 0; i < MAX_TRIES && rc == SUTRA_E_BUSY; i++) {
		if (i)
			close_target(t);
		*t = (struct target){ .path = path, .fd = -1, .folder = -1 };
		rc = open_target(t, mode, err);
	}
	return rc;
}

/* The number of bytes of the target's name in the names of its temporary files. */
static size_t stem(const struct target *t) { return strnlen(t->name, NAME_MAX - TMP_EXTRA); }

static bool is_leftover(const struct target *t, const char *name)
{
	size_t n = stem(t);

	return strlen(name) == n + TMP_EXTRA && name[0] == '.' && !strncmp(name + 1, t->name, n) && name[n + 1] == '.' &&
	       strspn(name + n + 2, "0123456789abcdef") == RANDOM_DIGITS &&
	       !strcmp(name + n + 2 + RANDOM_DIGITS, ".tmp");
}

static void remove_leftovers(const struct target *t)
{
	int copy = openat(t->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	const struct dirent *e;

	while (d && (e = readdir(d))) {
		int fd = is_leftover(t, e->d_name) ? openat(t->folder, e->d_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK |
									  O_CLOEXEC) : -1;

		if (fd >= 0 && !flock(fd, LOCK_EX | LOCK_NB))
			unlinkat(t->folder, e->d_name, 0);
		if (fd >= 0)
			close(fd);
	}
	if (d)
		closedir(d);
	else if (copy >= 0)
		close(copy);
}

/* Creates and locks a temporary file. Between the two, another write may take it for a leftover: then that
 * write holds the lock, or has unlinked the file, and another name is tried. */
static int create_temporary(const struct target *t, char name[NAME_MAX + 1])
{
	for (int i = 0; i < MAX_TRIES; i++) {
		char hex[RANDOM_DIGITS + 1];
		uint8_t random[RANDOM_DIGITS / 2];
		struct stat st;
		int fd;

		sutra_random(random, sizeof(random));
		sutra_hex(random, sizeof(random), hex);
		snprintf(name, NAME_MAX + 1, ".%.*s.%s.tmp", (int)stem(t), t->name, hex);
		fd = openat(t->folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (fd < 0 && errno == EEXIST)
			continue;
		if (fd < 0 || ((!flock(fd, LOCK_EX | LOCK_NB) || errno != EWOULDBLOCK) && !fstat(fd, &st) && st.st_nlink))
			return fd;
		close(fd);
	}
	errno = EEXIST;
	return -1;
}

/* *ret_through: the target cannot be replaced and is to be overwritten in place; nothing was changed. */
static int replace(const struct target *t, const struct iovec *parts, size_t n, mode_t mode, bool *ret_through,
		   struct sutra_err *err)
{
	char name[NAME_MAX + 1];
	int fd, rc = 0;

	remove_leftovers(t);
	fd = create_temporary(t, name);
	if (fd < 0)
		return sutra_fail_errno(err, "cannot create a file beside %s", t->path);
	if (t->fd >= 0) {
		mode = t->st.st_mode & 07777;
		*ret_through = fchown(fd, t->st.st_uid, t->st.st_gid);
	}
	if (!*ret_through && (write_parts(fd, parts, n) || fchmod(fd, mode) || fsync(fd)))
		rc = sutra_fail_errno(err, "cannot write %s", t->path);
	if (!*ret_through && !rc && renameat(t->folder, name, t->folder, t->name)) {
		*ret_through = errno == EBUSY;
		rc = *ret_through ? 0 : sutra_fail_errno(err, "cannot replace %s", t->path);
	}
	if (*ret_through || rc)
		unlinkat(t->folder, name, 0);
	if (close(fd) && !rc && !*ret_through)
		rc = sutra_fail_errno(err, "cannot write %s", t->path);
	return rc;
}

static int write_through(const struct target *t, const struct iovec *parts, size_t n, struct sutra_err *err)
{
	char path[64];
	int fd, rc = 0;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", t->fd);
	fd = open(path, O_WRONLY | O_TRUNC | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return sutra_fail_errno(err, "cannot write %s", t->path);
	if (write_parts(fd, parts, n) || (S_ISREG(t->st.st_mode) && fsync(fd)))
		rc = sutra_fail_errno(err, "cannot write %s", t->path);
	if (close(fd) && !rc)
		rc = sutra_fail_errno(err, "cannot write %s", t->path);
	return rc;
}

int sutra_file_write_parts(const char *path, const struct iovec *parts, size_t n, mode_t mode,
			   struct sutra_err *err)
{
	struct target t;
	int rc = find_target(&t, path, mode, err);
	bool through = !rc && t.fd >= 0 && !S_ISREG(t.st.st_mode);

	if (!rc && !through)
		rc = replace(&t, parts, n, mode, &through, err);
	if (!rc && through)
		rc = write_through(&t, parts, n, err);
	close_target(&t);
	return rc;
}

int sutra_file_write(const char *path, const void *data, size_t n, mode_t mode,
		     struct sutra_err *err)
{
	struct iovec whole = { (void *)(uintptr_t)data, n };

	return sutra_file_write_parts(path, &whole, 1, mode, err);
}
