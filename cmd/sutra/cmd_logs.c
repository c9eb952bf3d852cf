#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/jsonio.h"
#include "base/shown.h"
#include "deploy/await.h"
#include "sutra/command.h"
#include "probe/logtail.h"
#include "sutra/stackio.h"
#include "sutra/values.h"

static bool follow;
static int64_t lines = 20;

static const struct sutra_option rows[] = {
	{ 'f', "follow", SUTRA_OPT_FLAG, &follow, NULL, "go on with what comes", 0, 0, NULL },
	{ 'n', "lines", SUTRA_OPT_INT, &lines, "N", "lines of each service to begin with (20)", 0, 100000, NULL },
	{ 0 },
};

struct source {
	const struct sutra_deployed *service;
	char *path;
	FILE *file;
	ino_t inode;
	char partial[8192];
	size_t n_partial;
};

enum { MAX_TAIL = 64 << 20 };

static void print_line(const struct source *s, const char *line, size_t n)
{
	int stamp = n > SUTRA_LOGLINE_STAMP ? SUTRA_LOGLINE_STAMP : 0;
	const char *text = sutra_logline_message(line, &n);
	struct sutra_buf b;

	sutra_buf_init(&b, MAX_TAIL);
	if (common.json) {
		sutra_buf_adds(&b, "{\"line\":");
		sutra_json_add_bytes(&b, text, n);
		sutra_buf_addf(&b, ",\"schema\":\"sutra.log/1\",\"service\":\"%s\",\"time\":", s->service->unit->name);
		sutra_json_add_bytes(&b, line, (size_t)stamp);
		if (stamp)
			b.data[b.len - 1] = 'Z';
		sutra_buf_adds(&b, stamp ? "\"}" : "}");
	} else {
		sutra_buf_addf(&b, "%-20s | ", s->service->unit->name);
		sutra_shown_add(&b, line, (size_t)stamp);
		sutra_buf_addc(&b, ' ');
		sutra_shown_add(&b, text, n);
	}
	sutra_buf_addc(&b, '\n');
	fwrite(sutra_buf_str(&b), 1, b.len, stdout);
	sutra_buf_release(&b);
}

static int by_stamp(const void *a, const void *b)
{
	const char *x = *(char *const *)a, *y = *(char *const *)b;

	return strncmp(strchr(x, '\t') + 1, strchr(y, '\t') + 1, 26);
}

/* Reads the last complete lines of the open file and leaves its position after them, so that following it
 * loses and repeats nothing. */
static char *read_tail(const struct source *s)
{
	struct stat st;
	char *text, *tail, *end, *from;
	size_t n = 0;
	long start;

	if (fstat(fileno(s->file), &st))
		return xstrdup("");
	start = st.st_size > MAX_TAIL ? (long)st.st_size - MAX_TAIL : 0;
	text = xalloc((size_t)(st.st_size - start) + 1);
	if (!fseek(s->file, start, SEEK_SET))
		n = fread(text, 1, (size_t)(st.st_size - start), s->file);
	end = n ? memrchr(text, '\n', n) : NULL;
	end = end ? end + 1 : text;
	fseek(s->file, start + (end - text), SEEK_SET);
	from = end;
	for (int64_t seen = -1; from > text; from--)
		if (from[-1] == '\n' && ++seen == lines)
			break;
	*end = '\0';
	sutra_str_no_nul(from, (size_t)(end - from));
	tail = xstrdup(from);
	sutra_free(text);
	return tail;
}

/* Prints the tails of all services, merged by svlogd's time stamps. The list holds "index\tline". */
static void print_tails(const struct sutra_deployment *d, const struct source *sources, size_t n)
{
	struct sutra_strv all = { 0 };

	for (size_t i = 0; i < n; i++) {
		char *tail = sources[i].file ? read_tail(&sources[i]) :
			     d->rt->log_tail(d->state_dir, sources[i].service->unit->name, (int)lines);
		struct sutra_strv own = { 0 };

		sutra_strv_split(&own, tail, "\n");
		for (size_t l = 0; l < own.n; l++) {
			char *tagged = xasprintf("%zu\t%s", i, own.items[l]);

			sutra_strv_add(&all, tagged);
			sutra_free(tagged);
		}
		sutra_strv_release(&own);
		sutra_free(tail);
	}
	if (all.n)
		qsort(all.items, all.n, sizeof(*all.items), by_stamp);
	for (size_t l = 0; l < all.n; l++) {
		size_t i = strtoul(all.items[l], NULL, 10);
		const char *text = strchr(all.items[l], '\t') + 1;

		print_line(&sources[i], text, strlen(text));
	}
	sutra_strv_release(&all);
}

/* Prints the complete lines that can be read; a line longer than the buffer is printed in pieces. */
static void drain(struct source *s)
{
	int c;

	clearerr(s->file);
	while ((c = getc(s->file)) != EOF) {
		if (c != '\n')
			s->partial[s->n_partial++] = (char)c;
		if (c == '\n' || s->n_partial == sizeof(s->partial)) {
			print_line(s, s->partial, s->n_partial);
			s->n_partial = 0;
		}
	}
}

/* svlogd renames `current` when it is full: reads the rest of the old file, then opens the new one. */
static void drain_and_rotate(struct source *s)
{
	struct stat st;

	if (s->file)
		drain(s);
	if (stat(s->path, &st) || (s->file && st.st_ino == s->inode))
		return;
	if (s->file)
		fclose(s->file);
	s->file = fopen(s->path, "re");
	s->inode = st.st_ino;
	if (s->file)
		drain(s);
}

/* Watches every folder, then opens the files: every line written later causes an event. */
static int watch_all(const char *state_dir, struct source *sources, size_t n, int *ret_watch,
		     struct sutra_err *err)
{
	int watch = inotify_init1(IN_CLOEXEC);

	if (watch < 0)
		return sutra_fail_errno(err, "the logs cannot be followed");
	*ret_watch = watch;
	inotify_add_watch(watch, state_dir, IN_DELETE);	/* the end of the stack removes its record */
	for (size_t i = 0; i < n; i++) {
		const char *dir = sources[i].service->log_dir;
		struct stat st;

		if (inotify_add_watch(watch, dir, IN_MODIFY | IN_CREATE | IN_MOVED_TO) < 0) {
			sutra_fail_errno(err, "%s cannot be followed: %s", sources[i].service->unit->name, dir);
			return sutra_hint(err, "sutra logs shows what there is");
		}
		sources[i].file = fopen(sources[i].path, "re");
		if (sources[i].file && !fstat(fileno(sources[i].file), &st))
			sources[i].inode = st.st_ino;
	}
	return 0;
}

/* Whether the record, and so the stack, is gone. */
static bool has_ended(const char *record)
{
	if (!access(record, F_OK))
		return false;
	fflush(stdout);
	fputs("the stack has ended\n", stderr);
	return true;
}

static int follow_all(int watch, const char *record, struct source *sources, size_t n, struct sutra_err *err)
{
	char events[4096];

	while (!fflush(stdout)) {
		ssize_t got = read(watch, events, sizeof(events));

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return sutra_fail_errno(err, "the logs cannot be followed on");
		for (size_t i = 0; i < n; i++)
			drain_and_rotate(&sources[i]);
		if (has_ended(record))
			break;
	}
	return 0;	/* main reports that standard output failed */
}

/* Each stream of the runtime has a thread; the lock keeps lines whole. */
static pthread_mutex_t printing = PTHREAD_MUTEX_INITIALIZER;

struct stream {
	const struct sutra_deployment *d;
	const struct source *source;
	pthread_t thread;
	struct sutra_err err;
	int rc;
};

static void stream_line(void *user, const char *line, size_t n)
{
	const struct stream *s = user;

	pthread_mutex_lock(&printing);
	print_line(s->source, line, n);
	if (fflush(stdout))
		_exit(EXIT_NO);	/* the reader of the pipe has ended */
	pthread_mutex_unlock(&printing);
}

static bool is_deployed(void *user)
{
	const struct stream *s = user;
	struct sutra_record *r = NULL;
	bool yes = !sutra_record_load(s->d->state_dir, &r, NULL) && sutra_record_find(r, s->source->service->unit->name);

	sutra_record_free(r);
	return yes;
}

static void *run_stream(void *arg)
{
	struct stream *s = arg;
	const struct sutra_log_sink to = { stream_line, is_deployed, s };

	s->rc = s->d->rt->log_follow(s->d->state_dir, s->source->service->unit->name, (int)lines, &to, &s->err);
	return NULL;
}

static int follow_streams(const struct sutra_deployment *d, const struct source *sources, size_t n)
{
	struct stream *streams = xcalloc(n + 1, sizeof(*streams));
	int code = EXIT_YES;
	size_t started = 0;

	for (; started < n; started++) {
		streams[started] = (struct stream){ .d = d, .source = &sources[started] };
		if (pthread_create(&streams[started].thread, NULL, run_stream, &streams[started]))
			break;
	}
	for (size_t i = 0; i < started; i++) {
		pthread_join(streams[i].thread, NULL);
		if (streams[i].rc && !code)
			code = command_fail(&streams[i].err);
	}
	sutra_free(streams);
	return code;
}

static int follow_files(const struct sutra_deployment *d, struct source *sources, size_t n)
{
	char *record = xasprintf("%s/deployment.json", d->state_dir);
	struct sutra_err err;
	int watch = -1, rc = watch_all(d->state_dir, sources, n, &watch, &err);

	if (!rc) {
		print_tails(d, sources, n);
		rc = follow_all(watch, record, sources, n, &err);
	}
	if (watch >= 0)
		close(watch);
	sutra_free(record);
	return rc ? command_fail(&err) : EXIT_YES;
}

static int show(const struct sutra_deployment *d, struct source *sources, size_t n)
{
	if (follow)
		return d->rt->log_follow ? follow_streams(d, sources, n) : follow_files(d, sources, n);
	print_tails(d, sources, n);
	return EXIT_YES;
}

static int run(int n, char **argv)
{
	char *state_dir = sutra_state_dir();
	struct sutra_deployment *d = NULL;
	struct source *sources = NULL;
	struct sutra_err err;
	size_t count = 0;
	int code = EXIT_YES;

	if (sutra_deployment_load(state_dir, &d, &err)) {
		command_fail(&err);
		code = EXIT_INCONCLUSIVE;
	}
	for (int i = 1; i <= n && !code; i++)
		if (!sutra_deployment_find(d, argv[i]))
			code = values_unknown("SERVICE", "service", argv[i]);
	sources = d ? xcalloc(d->n + 1, sizeof(*sources)) : NULL;
	for (size_t s = 0; !code && s < d->n; s++) {
		bool wanted = !n;

		for (int i = 1; i <= n; i++)
			wanted = wanted || !strcmp(argv[i], d->services[s].unit->name);
		if (!wanted)
			continue;
		sources[count].service = &d->services[s];
		sources[count++].path = xasprintf("%s/current", d->services[s].log_dir);
	}
	if (!code)
		code = show(d, sources, count);
	for (size_t s = 0; s < count; s++) {
		if (sources[s].file)
			fclose(sources[s].file);
		sutra_free(sources[s].path);
	}
	sutra_free(sources);
	sutra_deployment_free(d);
	sutra_free(state_dir);
	return code;
}

const struct command cmd_logs = {
	.name = "logs",
	.summary = "show what the services said",
	.synopsis = "[-f] [-n N] [-o FORMAT] [SERVICE ...]",
	.examples = "sutra logs -f\tall services, and go on\n"
		    "sutra logs -n 100 ml-base-1\tthe last 100 lines of one\n",
	.options = rows,
	.formats = "table|json",
	.operands = true,
	.run = run,
};
