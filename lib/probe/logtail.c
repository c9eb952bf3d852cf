/*
 * svlogd writes <dir>/current and renames it to <dir>/@<time>.s when it is full. The open file is read
 * to its end, then the files rotated after it (their names sort by time), then the new current file.
 * svlogd keeps only a few files: when the open one is no longer among them, lines may be missing, and
 * at_least is set. A look reads at most the newest MAX_LOOK bytes.
 */
#include "probe/logtail.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"

enum { TAIL_LINES = 400, MAX_LOOK = 32 << 20, BLOCK = 64 << 10 };
enum { OWN_STAMP = 27 };	/* bytes of a service's own time stamp */

struct sutra_logtail {
	char service[64];
	int fd;			/* the file that is read; -1: none */
	char window[2 * SUTRA_LOGTAIL_WINDOW + BLOCK];
	size_t n;
	char *before;		/* a runtime's log: the text of the last look */
	int64_t lines;
	bool at_least;
};

struct sutra_logtail *sutra_logtail_new(void)
{
	struct sutra_logtail *t = xcalloc(1, sizeof(*t));

	t->fd = -1;
	return t;
}

static void begin(struct sutra_logtail *t, const char *service)
{
	if (t->fd >= 0)
		close(t->fd);
	sutra_free(t->before);
	t->fd = -1;
	t->before = NULL;
	t->n = 0;
	t->lines = 0;
	t->at_least = false;
	snprintf(t->service, sizeof(t->service), "%s", service);
}

void sutra_logtail_free(struct sutra_logtail *t)
{
	if (!t)
		return;
	begin(t, "");
	sutra_free(t);
}

static int64_t count_lines(const char *text, size_t n)
{
	int64_t lines = 0;

	for (const char *at = text; (at = memchr(at, '\n', (size_t)(text + n - at))); at++)
		lines++;
	return lines;
}

/* Reads from the last offset to the end, at most the last MAX_LOOK bytes. */
static void read_on(struct sutra_logtail *t)
{
	off_t at = lseek(t->fd, 0, SEEK_CUR), end = lseek(t->fd, 0, SEEK_END);
	ssize_t n;

	if (end - at > MAX_LOOK) {
		at = end - MAX_LOOK;
		t->at_least = true;
	}
	lseek(t->fd, at, SEEK_SET);
	while ((n = read(t->fd, t->window + t->n, BLOCK)) > 0) {
		t->lines += count_lines(t->window + t->n, (size_t)n);
		t->n += (size_t)n;
		if (t->n < 2 * SUTRA_LOGTAIL_WINDOW)
			continue;
		memmove(t->window, t->window + t->n - SUTRA_LOGTAIL_WINDOW, SUTRA_LOGTAIL_WINDOW);
		t->n = SUTRA_LOGTAIL_WINDOW;
	}
}

static void open_at(struct sutra_logtail *t, const char *dir, const char *name, off_t from_end)
{
	char path[1024];

	if (t->fd >= 0)
		close(t->fd);
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	t->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (t->fd >= 0 && from_end && lseek(t->fd, -from_end, SEEK_END) < 0)
		lseek(t->fd, 0, SEEK_SET);
}

static int rotated(const struct dirent *e) { return e->d_name[0] == '@'; }

/* Reads the files that were rotated after the open one, and opens the current one. */
static void follow_rotation(struct sutra_logtail *t, const char *dir, ino_t inode)
{
	struct dirent **list = NULL;
	int n = scandir(dir, &list, rotated, alphasort), from = n;

	for (int i = 0; i < n && from == n; i++)
		from = list[i]->d_ino == inode ? i + 1 : n;
	if (n > 0 && from == n && list[n - 1]->d_ino != inode) {
		t->at_least = true;	/* the open file is gone, and others may be gone too */
		from = 0;
	}
	for (int i = from; i < n; i++) {
		open_at(t, dir, list[i]->d_name, 0);
		if (t->fd >= 0)
			read_on(t);
	}
	for (int i = 0; i < n; i++)
		sutra_free(list[i]);
	sutra_free(list);
	open_at(t, dir, "current", 0);
}

static void look_at_file(struct sutra_logtail *t, const char *dir)
{
	struct stat open_one, current;
	char path[1024];

	if (t->fd < 0)
		open_at(t, dir, "current", SUTRA_LOGTAIL_WINDOW);
	if (t->fd < 0)
		return;
	read_on(t);
	snprintf(path, sizeof(path), "%s/current", dir);
	if (!fstat(t->fd, &open_one) && !stat(path, &current) && open_one.st_ino != current.st_ino) {
		read_on(t);	/* lines written before it was renamed */
		follow_rotation(t, dir, open_one.st_ino);
		if (t->fd >= 0)
			read_on(t);
	}
}

/* The whole lines of the window, or the end of its only line. */
static char *window_text(const struct sutra_logtail *t)
{
	size_t n = t->n < SUTRA_LOGTAIL_WINDOW ? t->n : SUTRA_LOGTAIL_WINDOW - 1;
	const char *from = t->window + t->n - n, *line = t->n > n ? memchr(from, '\n', n) : NULL;
	char *text;

	if (line && line + 1 < from + n) {
		n -= (size_t)(line + 1 - from);
		from = line + 1;
	}
	text = xalloc(n + 1);
	memcpy(text, from, n);
	text[n] = '\0';
	sutra_str_no_nul(text, n);
	return text;
}

/* How many lines of now follow the last line of before; *ret_all: that line is not in now. */
static int64_t lines_after(const char *before, const char *now, bool *ret_all)
{
	size_t n = strlen(before), m = strlen(now);
	const char *last = n > 1 ? memrchr(before, '\n', n - 1) : NULL, *found = NULL;

	last = last ? last + 1 : before;
	n -= (size_t)(last - before);
	for (const char *at = now, *end; n && at; at = end ? end + 1 : NULL) {
		end = strchr(at, '\n');
		if ((size_t)(now + m - at) >= n && !memcmp(at, last, n))
			found = at + n;
	}
	*ret_all = n && !found;
	return count_lines(found ? found : now, (size_t)(now + m - (found ? found : now)));
}

static char *look_at_runtime(struct sutra_logtail *t, const struct sutra_deployment *d)
{
	char *text = d->rt->log_tail(d->state_dir, t->service, TAIL_LINES);
	bool all = false;

	t->lines += t->before ? lines_after(t->before, text, &all) : count_lines(text, strlen(text));
	t->at_least |= all;
	sutra_free(t->before);
	t->before = xstrdup(text);
	return text;
}

void sutra_logtail_look(struct sutra_logtail *t, const struct sutra_deployment *d, const char *service,
			struct sutra_log_text *ret)
{
	const struct sutra_deployed *of = d ? sutra_deployment_find(d, service) : NULL;

	if (strcmp(t->service, service) != 0)
		begin(t, service);
	if (!of) {
		*ret = (struct sutra_log_text){ .text = xstrdup("") };
		return;
	}
	if (d->rt->log_follow) {	/* the runtime keeps the logs itself */
		ret->text = look_at_runtime(t, d);
	} else {
		look_at_file(t, of->log_dir);
		ret->text = window_text(t);
	}
	ret->lines = t->lines;
	ret->at_least = t->at_least;
}

const char *sutra_logline_message(const char *line, size_t *n)
{
	size_t skip = *n > SUTRA_LOGLINE_STAMP ? SUTRA_LOGLINE_STAMP + 1 : 0;
	const char *own = line + skip;

	if (*n > skip + OWN_STAMP && own[4] == '-' && own[10] == 'T' && own[OWN_STAMP - 1] == 'Z' &&
	    own[OWN_STAMP] == ' ')
		skip += OWN_STAMP + 1;
	*n -= skip;
	return line + skip;
}
