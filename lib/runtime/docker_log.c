/* Containers' logs, as the engine keeps and streams them. */
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "runtime/docker.h"
#include "runtime/engine_api.h"

enum { MAX_LOG = 16 << 20, HEADER = 8, STAMP = 25, AGAIN_MS = 200 };

/* The engine's frames: a byte stream, three zeros, length (big-endian), text; without a terminal
 * each is a line "2026-11-21T06:10:01.169421817Z text". */
struct frames {
	struct sutra_buf pending;
	void (*line)(void *user, const char *line, size_t n);
	void *user;
	char last[40];	/* time stamp of the last line that was passed on */
};

/* A line with its stamp as short as svlogd's; a line is passed on once. */
static void pass_on(struct frames *f, const char *text, size_t n)
{
	const char *space = memchr(text, ' ', n);
	size_t stamp = space ? (size_t)(space - text) : 0;
	char line[16384];
	int len;

	if (stamp <= STAMP || stamp >= sizeof(f->last) || text[stamp - 1] != 'Z') {
		f->line(f->user, text, n);
		return;
	}
	if (strncmp(text, f->last, stamp) <= 0 && f->last[0])
		return;
	snprintf(f->last, sizeof(f->last), "%.*s", (int)stamp, text);
	len = snprintf(line, sizeof(line), "%.*s%.*s", STAMP, text, (int)(n - stamp), space);
	f->line(f->user, line, len < (int)sizeof(line) ? (size_t)len : sizeof(line) - 1);
}

static bool take(void *user, const char *data, size_t n)
{
	struct frames *f = user;
	size_t at = 0;

	sutra_buf_add(&f->pending, data, n);
	while (at + HEADER <= f->pending.len) {
		const unsigned char *h = (const unsigned char *)f->pending.data + at;
		size_t len = (size_t)h[4] << 24 | (size_t)h[5] << 16 | (size_t)h[6] << 8 | h[7];
		const char *text = f->pending.data + at + HEADER;

		if (len > f->pending.len - at - HEADER)
			break;
		at += HEADER + len;
		pass_on(f, text, len && text[len - 1] == '\n' ? len - 1 : len);
	}
	sutra_buf_consume(&f->pending, at);
	return !sutra_buf_error(&f->pending);
}

static void add_line(void *user, const char *line, size_t n)
{
	sutra_buf_add(user, line, n);
	sutra_buf_addc(user, '\n');
}

char *sutra_docker_log_tail(const char *state_dir, const char *name, int lines)
{
	char id[80], path[200];
	struct sutra_buf bytes, text;
	struct frames f = { .line = add_line, .user = &text };
	char *tail;

	if (!sutra_docker_container(state_dir, name, id))
		return xstrdup("");
	snprintf(path, sizeof(path), "/containers/%s/logs?stdout=1&stderr=1&timestamps=1&tail=%d", id, lines);
	sutra_buf_init(&bytes, MAX_LOG);
	sutra_buf_init(&text, MAX_LOG);
	sutra_buf_init(&f.pending, MAX_LOG);
	if (!sutra_engine_bytes(path, &bytes, NULL) && bytes.len)
		take(&f, bytes.data, bytes.len);
	tail = text.len ? sutra_buf_take(&text, NULL) : xstrdup("");
	sutra_buf_release(&f.pending);
	sutra_buf_release(&text);
	sutra_buf_release(&bytes);
	return tail;
}

int sutra_docker_log_follow(const char *state_dir, const char *name, int lines, const struct sutra_log_sink *to,
			    struct sutra_err *err)
{
	struct frames f = { .line = to->line, .user = to->user };
	char id[80], path[256];
	int rc = 0;

	while (!rc && to->more(to->user)) {
		if (!sutra_docker_container(state_dir, name, id)) {
			poll(NULL, 0, AGAIN_MS);	/* between two containers */
			continue;
		}
		snprintf(path, sizeof(path), "/containers/%s/logs?follow=1&stdout=1&stderr=1&timestamps=1&tail=%d", id,
			 f.last[0] ? 1000 : lines);
		sutra_buf_init(&f.pending, MAX_LOG);
		rc = sutra_engine_stream(path, take, &f, err);
		sutra_buf_release(&f.pending);
		if (rc == SUTRA_E_NOTFOUND)	/* it was replaced just now */
			rc = 0;
		if (!rc)
			poll(NULL, 0, AGAIN_MS);
	}
	return rc;
}
