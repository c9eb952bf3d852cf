/* The monitor's log view: while it is scrolled its text does not change, and newer lines are
 * counted. */
#include <string.h>

#include "base/alloc.h"
#include "probe/logtail.h"
#include "sutra/monitor/monitor.h"

enum { MAX_LINES = 2048, MAX_LINE = 2048 };

void monitor_log_take(struct monitor_view *v, const struct sutra_log_text *text)
{
	struct monitor_log *l = &v->log;
	bool held = l->shown.text && (l->scroll || v->paused);
	struct sutra_log_text *to = held ? &l->waiting : &l->shown;

	sutra_free(to->text);
	*to = *text;
}

void monitor_log_release(struct monitor_log *l)
{
	sutra_free(l->shown.text);
	sutra_free(l->waiting.text);
	*l = (struct monitor_log){ 0 };
}

static bool line_passes(const struct monitor_view *v, const char *line, size_t n)
{
	char text[MAX_LINE];

	if (!n || !v->filter[0])
		return n > 0;
	snprintf(text, sizeof(text), "%.*s", (int)n, line);
	return monitor_passes(v, text);
}

/* Fills list with the newest lines that pass the filter, newest last; returns how many. */
static long passing(const struct monitor_view *v, const char **list, long max)
{
	const char *text = v->log.shown.text ? v->log.shown.text : "", *end = text + strlen(text);
	long n = 0;

	while (end > text && n < max) {
		const char *stop = end[-1] == '\n' ? end - 1 : end, *line = memrchr(text, '\n', (size_t)(stop - text));

		line = line ? line + 1 : text;
		if (line_passes(v, line, (size_t)(stop - line)))
			list[max - ++n] = line;
		end = line;
	}
	memmove(list, list + max - n, (size_t)n * sizeof(*list));
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
	if (v->log.waiting.text && !v->paused) {
		sutra_free(v->log.shown.text);
		v->log.shown = v->log.waiting;
		v->log.waiting.text = NULL;
	}
}

static enum sutra_role role_of(const char *line)
{
	return strstr(line, "level=error") || strstr(line, " ERROR ") ? SUTRA_ROLE_BAD :
	       strstr(line, "level=warn") || strstr(line, " WARN ")   ? SUTRA_ROLE_WARN :
									SUTRA_ROLE_PLAIN;
}

/* Draws the title: how many lines came while the view is held still, or have left the window. */
static void draw_title(const struct monitor_view *v, struct sutra_screen *s, struct sutra_rect at)
{
	const struct monitor_log *l = &v->log;
	const struct sutra_log_text *newest = l->waiting.text ? &l->waiting : &l->shown;
	int64_t more = newest->lines - l->shown.lines, kept = 0;
	const char *plus = newest->at_least ? "+" : "";
	char title[128], note[64] = "";

	for (const char *t = l->shown.text; t && (t = strchr(t, '\n')); t++)
		kept++;
	if (l->waiting.text && more)
		snprintf(note, sizeof(note), " %lld%s new lines ", (long long)more, plus);
	else if (l->shown.text && l->shown.lines > kept)
		snprintf(note, sizeof(note), " %lld%s lines let go ", (long long)(l->shown.lines - kept), plus);
	snprintf(title, sizeof(title), "log of %s%s", v->service[0] ? v->service : "no service",
		 l->scroll ? ", held still" : "");
	monitor_rule(s, at, title, l->waiting.text ? SUTRA_ROLE_WARN : SUTRA_ROLE_DIM, note);
}

/* Shows the time of day of the runtime's time stamp, and leaves out the service's own. */
static void draw_line(struct sutra_screen *s, struct sutra_rect at, const char *line)
{
	size_t n = strcspn(line, "\n"), length = n;
	const char *message = sutra_logline_message(line, &length);
	char text[MAX_LINE];

	if (n > SUTRA_LOGLINE_STAMP && line[4] == '-' && line[10] == 'T')
		snprintf(text, sizeof(text), "%.12s %.*s", line + 11, (int)length, message);
	else
		snprintf(text, sizeof(text), "%.*s", (int)n, line);
	sutra_screen_text(s, at.row, at.column, at.width, role_of(text), text);
}

void monitor_draw_log(const struct monitor_view *v, struct sutra_screen *s, struct sutra_rect at)
{
	static const char *list[MAX_LINES];
	long n = passing(v, list, MAX_LINES), room = at.height - 1, end = n - v->log.scroll, first;

	draw_title(v, s, at);
	if (!n)
		sutra_screen_text(s, at.row + 1, at.column, at.width, SUTRA_ROLE_DIM,
				  v->replay ? "a recording holds no logs" : v->filter[0] ? "no line passes the filter" :
										       "nothing said yet");
	first = end > room ? end - room : 0;
	for (long i = first; i < end; i++)
		draw_line(s, sutra_rect_below(at, 1 + (int)(i - first)), list[i]);
}
