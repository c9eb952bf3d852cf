/* The monitor's log view: it holds still while it is scrolled, and counts what came meanwhile. */
#include <string.h>

#include "base/alloc.h"
#include "sutra/monitor.h"

enum { MAX_LINES = 2048 };

/* How many lines of `now` come after the last line of `shown`. */
static long lines_after(const char *shown, const char *now)
{
	size_t n = strlen(shown);
	const char *last = n > 1 ? memrchr(shown, '\n', n - 1) : NULL, *at = NULL;
	long count = 0;

	last = last ? last + 1 : shown;
	for (const char *found = *last ? strstr(now, last) : NULL; found; found = strstr(found + 1, last))
		at = found;
	for (at = at ? at + strlen(last) : now; *at; at++)
		count += *at == '\n';
	return count;
}

void monitor_log_take(struct monitor_view *v, char *text)
{
	struct monitor_log *l = &v->log;

	if (!text)
		return;
	if (l->text && (l->scroll || v->paused)) {
		l->new_lines = lines_after(l->text, text);
		sutra_free(l->waiting);
		l->waiting = text;
		return;
	}
	sutra_free(l->text);
	l->text = text;
	l->new_lines = 0;
}

void monitor_log_release(struct monitor_log *l)
{
	sutra_free(l->text);
	sutra_free(l->waiting);
	*l = (struct monitor_log){ 0 };
}

/* Lines that pass the filter, newest last; returns how many. */
static long passing(const struct monitor_view *v, const char **list, long max)
{
	const char *text = v->log.text ? v->log.text : "";
	long n = 0;

	while (*text) {
		size_t len = strcspn(text, "\n");
		char line[2048];

		snprintf(line, sizeof(line), "%.*s", (int)len, text);
		if (len && monitor_passes(v, line)) {
			if (n == max)
				memmove(list, list + 1, (size_t)--n * sizeof(*list));
			list[n++] = text;
		}
		text += len + (text[len] == '\n');
	}
	return n;
}

void monitor_log_scroll(struct monitor_view *v, long by)
{
	static const char *list[MAX_LINES];
	long n = passing(v, list, MAX_LINES);

	v->log.scroll += by;
	v->log.scroll = v->log.scroll > n - 1 ? n - 1 : v->log.scroll;
	if (v->log.scroll > 0)
		return;
	v->log.scroll = 0;
	if (v->log.waiting && !v->paused) {
		sutra_free(v->log.text);
		v->log.text = v->log.waiting;
		v->log.waiting = NULL;
		v->log.new_lines = 0;
	}
}

static enum sutra_role role_of(const char *line)
{
	return strstr(line, "level=error") || strstr(line, " ERROR ") ? SUTRA_ROLE_BAD :
	       strstr(line, "level=warn") || strstr(line, " WARN ")   ? SUTRA_ROLE_WARN :
									SUTRA_ROLE_PLAIN;
}

void monitor_draw_log(const struct monitor_view *v, struct sutra_screen *s, struct sutra_rect at)
{
	static const char *list[MAX_LINES];
	long n = passing(v, list, MAX_LINES), room = at.height - 1, end = n - v->log.scroll, first;
	const char *line = s->utf8 ? "\u2500" : "-";

	sutra_screen_fill(s, at.row, at.column, at.width, SUTRA_ROLE_DIM, line);
	sutra_screen_textf(s, at.row, at.column + 1, at.width - 2, SUTRA_ROLE_TITLE, " log of %s%s ",
			   v->service[0] ? v->service : "no service", v->log.scroll ? ", held still" : "");
	if (v->log.new_lines)
		sutra_screen_textf(s, at.row, at.column + at.width - 16, 16, SUTRA_ROLE_WARN, " %ld new lines ",
				   v->log.new_lines);
	if (!n)
		sutra_screen_text(s, at.row + 1, at.column, at.width, SUTRA_ROLE_DIM,
				  v->replay ? "a recording holds no logs" : v->filter[0] ? "no line passes the filter" :
										       "nothing said yet");
	first = end > room ? end - room : 0;
	for (long i = first; i < end; i++) {
		char text[2048];
		size_t len = strcspn(list[i], "\n");

		snprintf(text, sizeof(text), "%.*s", (int)len, list[i]);
		sutra_screen_text(s, at.row + 1 + (int)(i - first), at.column, at.width, role_of(text), text);
	}
}
