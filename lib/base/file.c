#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <pwd.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/str.h"

int sutra_file_read(const char *path, size_t max, char **ret_data, size_t *ret_len,
		    struct sutra_err *err)
{
	struct sutra_buf b;
	int fd = open(path, O_RDONLY | O_CLOEXEC), rc = 0;
	ssize_t n = 0;
	char *p;

	if (fd < 0)
		return sutra_fail_errno(err, "cannot open %s", path);
	sutra_buf_init(&b, max == (size_t)-1 ? max : max + 1);
	while ((p = sutra_buf_reserve(&b, b.max - b.len < 65536 ? b.max - b.len : 65536)) &&
	       b.len < b.max && (n = read(fd, p, b.max - b.len < 65536 ? b.max - b.len : 65536)) > 0)
		sutra_buf_added(&b, (size_t)n);
	if (!p || n < 0)
		rc = p ? sutra_fail_errno(err, "cannot read %s", path) :
			 sutra_fail(err, b.error, "cannot read %s: %s", path, sutra_err_text(b.error));
	else if (b.len > max)
		rc = sutra_fail(err, SUTRA_E_TOOBIG, "%s is larger than %zu bytes", path, max);
	close(fd);
	if (rc) {
		sutra_buf_release(&b);
		return rc;
	}
	*ret_data = sutra_buf_take(&b, ret_len);
	return 0;
}

int sutra_file_read_text(const char *path, size_t max, char **ret_data, size_t *ret_len, struct sutra_err *err)
{
	char *text;
	size_t n, mark;
	int rc = sutra_file_read(path, max, &text, &n, err);

	if (rc)
		return rc;
	mark = sutra_str_bom(text, n);
	memmove(text, text + mark, n + 1 - mark);
	*ret_data = text;
	if (ret_len)
		*ret_len = n - mark;
	return 0;
}

int sutra_file_line(FILE *f, struct sutra_buf *line, size_t *number)
{
	int c = 0;

	sutra_buf_clear(line);
	while (!sutra_buf_error(line) && (c = getc_unlocked(f)) != EOF && c != '\n')
		sutra_buf_addc(line, (char)c);
	if (sutra_buf_error(line) || ferror(f))
		return ferror(f) ? SUTRA_E_IO : sutra_buf_error(line);
	if (c == EOF && !line->len)
		return 0;
	if (line->len && line->data[line->len - 1] == '\r')
		line->data[--line->len] = '\0';
	if (!(*number)++)
		sutra_buf_consume(line, sutra_str_bom(sutra_buf_str(line), line->len));
	return 1;
}

int sutra_mkdirs(const char *path, mode_t mode, struct sutra_err *err)
{
	char part[PATH_MAX];
	size_t n = strlen(path);

	if (!n || n >= sizeof(part))
		return sutra_fail(err, SUTRA_E_INVALID, "folder name too long or empty: \"%s\"", path);
	for (size_t i = 1; i <= n; i++) {
		if (path[i] && path[i] != '/')
			continue;
		memcpy(part, path, i);
		part[i] = '\0';
		if (mkdir(part, mode) && errno != EEXIST)
			return sutra_fail_errno(err, "cannot create folder %s", part);
	}
	if (!sutra_is_dir(path))
		return sutra_fail(err, SUTRA_E_EXISTS, "%s exists and is not a folder", path);
	return 0;
}

int sutra_copy_file(const char *from, const char *to, struct sutra_err *err)
{
	struct stat st;
	char *data;
	size_t n;
	int rc = stat(from, &st) ? sutra_fail_errno(err, "cannot read %s", from) :
				   sutra_file_read(from, SIZE_MAX / 2, &data, &n, err);

	if (rc)
		return rc;
	rc = sutra_file_write(to, data, n, st.st_mode & 0777, err);
	sutra_free(data);
	return rc;
}

static int copy_entry(const char *from, const char *to, size_t max, struct sutra_err *err)
{
	struct stat st;

	if (stat(from, &st))
		return sutra_fail_errno(err, "cannot read %s", from);
	if (S_ISDIR(st.st_mode))
		return sutra_copy_tree(from, to, max, err);
	return S_ISREG(st.st_mode) && (size_t)st.st_size <= max ? sutra_copy_file(from, to, err) : 0;
}

int sutra_copy_tree(const char *from, const char *to, size_t max, struct sutra_err *err)
{
	DIR *d = opendir(from);
	struct dirent *e;
	int rc = d ? sutra_mkdirs(to, 0755, err) : sutra_fail_errno(err, "cannot read %s", from);

	while (!rc && (e = readdir(d))) {
		char *source, *target;

		if (e->d_name[0] == '.')
			continue;
		source = xasprintf("%s/%s", from, e->d_name);
		target = xasprintf("%s/%s", to, e->d_name);
		rc = copy_entry(source, target, max, err);
		sutra_free(source);
		sutra_free(target);
	}
	if (d)
		closedir(d);
	return rc;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

int sutra_remove_tree(const char *path, struct sutra_err *err)
{
	if (nftw(path, remove_one, 32, FTW_DEPTH | FTW_PHYS) && errno != ENOENT)
		return sutra_fail_errno(err, "cannot remove %s", path);
	return 0;
}

bool sutra_is_dir(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISDIR(st.st_mode);
}

bool sutra_is_file(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISREG(st.st_mode);
}

char *sutra_program_dir(void)
{
	char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

	if (n <= 0)
		return xstrdup(".");
	path[n] = '\0';
	*strrchr(path, '/') = '\0';
	return xstrdup(path);
}

const char *sutra_home(void)
{
	const char *home = getenv("HOME");
	const struct passwd *p = home && *home ? NULL : getpwuid(getuid());

	return home && *home ? home : p && p->pw_dir && *p->pw_dir ? p->pw_dir : "/nonexistent";
}

static char *home_folder(const char *variable, const char *usual)
{
	const char *own = getenv(variable);

	return own && *own ? xasprintf("%s/sutra", own) : xasprintf("%s/%s/sutra", sutra_home(), usual);
}

char *sutra_home_state(void) { return home_folder("XDG_STATE_HOME", ".local/state"); }
char *sutra_home_data(void) { return home_folder("XDG_DATA_HOME", ".local/share"); }
