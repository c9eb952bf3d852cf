#include "probe/recording.h"

#include <errno.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "probe/observe.h"

enum { MAX_LINE = 8 << 20 };

struct sutra_recording {
	FILE *f;
	char *path;
	struct sutra_buf line;
	struct sutra_snapshot *before;	/* the last one, to find the events that an older version did not record */
	size_t n;
};

int sutra_recording_open(const char *path, struct sutra_recording **ret, struct sutra_err *err)
{
	FILE *f = fopen(path, "re");

	if (!f)
		return sutra_fail_errno(err, "the recording %s cannot be read", path);
	*ret = xcalloc(1, sizeof(**ret));
	(*ret)->f = f;
	(*ret)->path = xstrdup(path);
	sutra_buf_init(&(*ret)->line, MAX_LINE);
	return 0;
}

void sutra_recording_close(struct sutra_recording *t)
{
	if (!t)
		return;
	fclose(t->f);
	sutra_free(t->path);
	sutra_buf_release(&t->line);
	sutra_snapshot_unref(t->before);
	sutra_free(t);
}

int sutra_recording_next(struct sutra_recording *t, struct sutra_snapshot **ret, struct sutra_err *err)
{
	int rc = sutra_file_line(t->f, &t->line, &t->n);

	*ret = NULL;
	if (rc <= 0)
		return rc ? sutra_fail(err, rc, "%s, line %zu: %s; a line has at most 8 MiB", t->path, t->n + 1,
				       sutra_err_text(rc)) : 0;
	rc = sutra_snapshot_read(sutra_buf_str(&t->line), t->line.len, ret, err);
	if (rc)
		return sutra_err_prefix(err, "%s, line %zu", t->path, t->n);
	if (!(*ret)->observed)
		sutra_observe(*ret, t->before);
	sutra_snapshot_unref(t->before);
	t->before = sutra_snapshot_ref(*ret);
	return 0;
}

int sutra_recording_create(const char *path, FILE **ret, struct sutra_err *err)
{
	*ret = NULL;
	if (path && !(*ret = fopen(path, "we")))
		return sutra_fail_errno(err, "cannot record to %s", path);
	return 0;
}

int sutra_recording_write(FILE *f, const char *path, const struct sutra_snapshot *s, struct sutra_err *err)
{
	struct sutra_buf b;
	bool bad;

	if (!f)
		return 0;
	sutra_buf_init(&b, MAX_LINE);
	sutra_snapshot_write(s, &b);
	sutra_buf_addc(&b, '\n');
	bad = fwrite(b.data, 1, b.len, f) != b.len || fflush(f);
	sutra_buf_release(&b);
	return bad ? sutra_fail_errno(err, "cannot record to %s", path) : 0;
}
