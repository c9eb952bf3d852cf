#include "deploy/audit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/jsonio.h"

enum { MAX_LINE = 4096, MAX_READ = 16 << 10 };

void sutra_audit(const char *state_dir, const char *command, const char *outcome)
{
	char *path = xasprintf("%s/audit.log", state_dir), stamp[SUTRA_RFC3339_LEN];
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
	struct sutra_buf line;

	sutra_clock_rfc3339(sutra_clock_wall_us(), stamp);
	sutra_buf_init(&line, MAX_LINE);
	sutra_buf_addf(&line, "%s uid=%ld pid=%ld command=\"%s\" outcome=", stamp, (long)getuid(), (long)getpid(),
		       command);
	sutra_json_add_string(&line, outcome, strlen(outcome));	/* Compose's words are several lines */
	sutra_buf_addc(&line, '\n');
	if (fd >= 0 && !sutra_buf_error(&line) && write(fd, line.data, line.len) < 0) {
		/* an audit that cannot be kept stops nobody */
	}
	if (fd >= 0)
		close(fd);
	sutra_buf_release(&line);
	sutra_free(path);
}

bool sutra_audit_parse(const char *line, size_t n, struct sutra_audit_line *ret)
{
	char text[MAX_LINE];
	const char *at, *end, *outcome;
	json_t *said = NULL;

	if (n >= sizeof(text))
		return false;
	memcpy(text, line, n);
	text[n] = '\0';
	ret->at_us = sutra_clock_read(text, &at);
	if (ret->at_us <= 0 || strncmp(at, " uid=", 5) != 0)
		return false;
	ret->uid = strtol(at + 5, NULL, 10);
	at = strstr(at, " command=\"");
	end = at ? strstr(at, "\" outcome=") : NULL;
	if (!end)
		return false;
	at += strlen(" command=\"");
	snprintf(ret->command, sizeof(ret->command), "%.*s", (int)(end - at), at);
	outcome = end + strlen("\" outcome=");
	said = json_loadb(outcome, strlen(outcome), JSON_DECODE_ANY, NULL);
	snprintf(ret->outcome, sizeof(ret->outcome), "%s", json_is_string(said) ? json_string_value(said) : "");
	end = json_is_string(said) ? at : NULL;
	json_decref(said);
	return end != NULL;
}

/* The new bytes that end with a whole line; *ret_n of them, from the start of a line. */
static char *read_new(struct sutra_audit_reader *r, int fd, const struct stat *st, size_t *ret_n)
{
	bool anew = !r->begun || st->st_ino != r->inode || st->st_size < r->at;
	off_t from = anew ? 0 : r->at;
	char *text = xalloc(MAX_READ), *last;
	ssize_t n;

	if (st->st_size - from > MAX_READ)
		from = st->st_size - MAX_READ;
	n = pread(fd, text, MAX_READ, from);
	last = n > 0 ? memrchr(text, '\n', (size_t)n) : NULL;
	*ret_n = last ? (size_t)(last - text) + 1 : 0;
	r->at = from + (off_t)*ret_n;
	r->inode = st->st_ino;
	r->begun = true;
	return text;
}

size_t sutra_audit_read(struct sutra_audit_reader *r, const char *state_dir, struct sutra_audit_line *ret,
			size_t most)
{
	char *path = xasprintf("%s/audit.log", state_dir), *text = NULL;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t n = 0, len = 0;
	struct sutra_audit_line one;
	struct stat st;

	sutra_free(path);
	if (fd < 0 || fstat(fd, &st)) {
		if (fd >= 0)
			close(fd);
		r->begun = true;	/* once there is one, all of it is new */
		r->at = 0;
		return 0;
	}
	if (!r->begun || st.st_size != r->at || st.st_ino != r->inode)
		text = read_new(r, fd, &st, &len);
	close(fd);
	for (char *at = text; at && at < text + len;) {
		char *end = memchr(at, '\n', (size_t)(text + len - at));

		if (most && sutra_audit_parse(at, (size_t)(end - at), &one)) {
			if (n == most)
				memmove(ret, ret + 1, --n * sizeof(*ret));
			ret[n++] = one;
		}
		at = end + 1;
	}
	sutra_free(text);
	return n;
}
