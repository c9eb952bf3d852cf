/* The monitor's keys: one table, from which the footer, the help screen and the manual are made. */
#include <string.h>

#include "sutra/monitor/monitor.h"
#include "term/tui.h"

const struct monitor_binding monitor_bindings[] = {
	{ "Up, k", { SUTRA_KEY_UP, 'k' }, ACT_UP, NULL, "up a row; in a log, up a line, which holds it still", false },
	{ "Down, j", { SUTRA_KEY_DOWN, 'j' }, ACT_DOWN, NULL, "down a row or a line", false },
	{ "Left, h", { SUTRA_KEY_LEFT, 'h', SUTRA_KEY_BACK_TAB }, ACT_PREVIOUS, NULL, "the screen before", false },
	{ "Right, Tab", { SUTRA_KEY_RIGHT, SUTRA_KEY_TAB }, ACT_NEXT, "Tab screen",
	  "the next screen: overview, cache, replicas, services, events, logs", false },
	{ "PgUp, b", { SUTRA_KEY_PAGE_UP, 'b' }, ACT_PAGE_UP, NULL, "up a page", false },
	{ "PgDn, Space", { SUTRA_KEY_PAGE_DOWN, ' ' }, ACT_PAGE_DOWN, NULL, "down a page", false },
	{ "Home, g", { SUTRA_KEY_HOME, 'g' }, ACT_FIRST, NULL, "the first row", false },
	{ "End, G", { SUTRA_KEY_END, 'G' }, ACT_LAST, NULL, "the last row; a log goes on", false },
	{ "Enter", { SUTRA_KEY_ENTER }, ACT_ENTER, "Enter one", "the service under the cursor, or that the event is about", false },
	{ "l", { 'l' }, ACT_LOGS, "l logs", "its log", false },
	{ "/", { '/' }, ACT_FILTER, "/ filter", "only rows or lines that hold a text; !text: that do not", false },
	{ "s", { 's' }, ACT_SORT, "s sort", "sort services by the next column", false },
	{ "p", { 'p' }, ACT_PAUSE, "p pause", "hold the picture still, or go on", false },
	{ "+", { '+', '=' }, ACT_FASTER, "+- pace", "sample twice as often (down to 250 ms)", false },
	{ "-", { '-' }, ACT_SLOWER, NULL, "sample half as often (up to 1 min)", false },
	{ "r", { 'r' }, ACT_RESTART, "r restart", "restart the service under the cursor", true },
	{ "d", { 'd' }, ACT_DRAIN, "d drain", "drain the replica under the cursor, or make it ready again", true },
	{ "?", { '?' }, ACT_HELP, "? help", "these keys", false },
	{ "Escape", { SUTRA_KEY_ESCAPE, SUTRA_KEY_BACKSPACE }, ACT_BACK, NULL, "back: no help, no filter, the overview",
	  false },
	{ "q", { 'q', 'Q' }, ACT_QUIT, "q quit", "end", false },
	{ NULL, { 0 }, ACT_NONE, NULL, NULL, false },
};

enum { FASTEST_MS = 250, SLOWEST_MS = 60000, PAGE = 10 };

static const struct monitor_binding *binding_of(int code)
{
	for (const struct monitor_binding *b = monitor_bindings; b->keys; b++)
		for (int i = 0; i < 3 && b->codes[i]; i++)
			if (b->codes[i] == code)
				return b;
	return NULL;
}

static void type(struct monitor_view *v, int code)
{
	size_t n = strlen(v->filter);

	if (code == SUTRA_KEY_ENTER) {
		v->typing = false;
	} else if (code == SUTRA_KEY_ESCAPE) {
		v->typing = false;
		v->filter[0] = '\0';
	} else if (code == SUTRA_KEY_BACKSPACE || code == 8) {
		v->filter[n ? n - 1 : 0] = '\0';
	} else if (code >= ' ' && code < 127 && n + 1 < sizeof(v->filter)) {
		v->filter[n] = (char)code;
		v->filter[n + 1] = '\0';
	}
	v->selected = 0;
}

/* The i-th replica that passes the filter, in the order of the balancers; NULL: there are fewer. */
static const struct sutra_snap_replica *replica_at(const struct monitor_view *v, long i)
{
	for (size_t b = 0; b < v->snap->n_balancers; b++)
		for (size_t r = 0; r < v->snap->balancers[b].n_replicas; r++)
			if (monitor_passes(v, v->snap->balancers[b].replicas[r].name) && !i--)
				return &v->snap->balancers[b].replicas[r];
	return NULL;
}

long monitor_rows(const struct monitor_view *v)
{
	const struct sutra_snap_service *list[MONITOR_MAX_SERVICES];
	long n = 0;

	if (!v->snap)
		return 0;
	if (v->screen == MONITOR_EVENTS)
		return monitor_events_rows(v);
	if (v->screen != MONITOR_REPLICAS)
		return (long)monitor_services(v, list);
	while (replica_at(v, n))
		n++;
	return n;
}

/* The name of the service under the cursor; NULL: none. */
static const char *under_cursor(const struct monitor_view *v)
{
	const struct sutra_snap_service *list[MONITOR_MAX_SERVICES];
	const struct sutra_snap_replica *r;
	const struct sutra_snap_event *e;

	if (!v->snap)
		return NULL;
	if (v->screen == MONITOR_SERVICE || v->screen == MONITOR_LOGS)
		return v->service[0] ? v->service : NULL;
	if (v->screen == MONITOR_EVENTS) {
		e = monitor_event_at(v, v->selected);
		return e && sutra_snapshot_service(v->snap, e->subject) ? e->subject : NULL;
	}
	if (v->screen == MONITOR_REPLICAS) {
		r = replica_at(v, v->selected);
		return r ? r->name : NULL;
	}
	return v->selected < (long)monitor_services(v, list) ? list[v->selected]->name : NULL;
}

static void move(struct monitor_view *v, long by)
{
	int keys = (int)(sizeof(monitor_bindings) / sizeof(*monitor_bindings)) - 1;
	long rows, top = v->help_top + by;

	if (v->help) {
		v->help_top = top < 0 ? 0 : top >= keys ? keys - 1 : (int)top;
		return;
	}
	if (v->screen == MONITOR_LOGS || v->screen == MONITOR_SERVICE) {
		monitor_log_scroll(v, -by);
		return;
	}
	rows = monitor_rows(v);
	v->selected += by;
	v->selected = v->selected >= rows ? rows - 1 : v->selected;
	v->selected = v->selected < 0 ? 0 : v->selected;
}

static void go(struct monitor_view *v, enum monitor_screen screen)
{
	const char *name = under_cursor(v);

	if (screen >= MONITOR_LOGS && name && strcmp(name, v->service) != 0) {
		snprintf(v->service, sizeof(v->service), "%s", name);
		monitor_log_release(&v->log);
	}
	v->screen = screen;
	v->selected = 0;
	v->help = false;
}

static void step(struct monitor_view *v, int by)
{
	int screens = MONITOR_SERVICE, now = v->screen == MONITOR_SERVICE ? MONITOR_SERVICES : (int)v->screen;

	go(v, (enum monitor_screen)((now + screens + by) % screens));
}

static void pace(struct monitor_view *v, bool faster)
{
	uint64_t least = (uint64_t)FASTEST_MS * 1000000, most = (uint64_t)SLOWEST_MS * 1000000,
		 next = faster ? v->interval_ns / 2 : v->interval_ns * 2;

	v->interval_ns = next < least ? least : next > most ? most : next;
}

static enum monitor_action pending;

/* Asks before a restart or drain, which need --admin and a service. */
static void ask(struct monitor_view *v, enum monitor_action action)
{
	const char *name = under_cursor(v);

	v->message[0] = '\0';
	if (v->replay || !v->admin)
		snprintf(v->message, sizeof(v->message), "%s",
			 v->replay ? "a recording cannot be changed" : "read-only: start with --admin to change anything");
	else if (!name)
		snprintf(v->message, sizeof(v->message), "no service under the cursor");
	else {
		snprintf(v->service, sizeof(v->service), "%s", name);
		pending = action;
		snprintf(v->question, sizeof(v->question), "%s %s? [y/N] ",
			 action == ACT_RESTART ? "restart" : "drain, or make ready again,", name);
	}
}

static enum monitor_action answer(struct monitor_view *v, int code)
{
	v->question[0] = '\0';
	if (code == 'y' || code == 'Y')
		return pending;
	snprintf(v->message, sizeof(v->message), "nothing was done");
	return ACT_NONE;
}

static void back(struct monitor_view *v)
{
	if (v->help)
		v->help = false;
	else if (v->filter[0])
		v->filter[0] = '\0';
	else
		go(v, MONITOR_OVERVIEW);
}

enum monitor_action monitor_key(struct monitor_view *v, int code)
{
	const struct monitor_binding *b;

	if (v->question[0])
		return answer(v, code);
	if (v->typing) {
		type(v, code);
		return ACT_NONE;
	}
	b = binding_of(code);
	v->message[0] = '\0';
	switch (b ? b->action : ACT_NONE) {
	case ACT_UP: move(v, -1); break;
	case ACT_DOWN: move(v, 1); break;
	case ACT_PAGE_UP: move(v, -PAGE); break;
	case ACT_PAGE_DOWN: move(v, PAGE); break;
	case ACT_FIRST: move(v, -1000000); break;
	case ACT_LAST: move(v, 1000000); break;
	case ACT_NEXT: step(v, 1); break;
	case ACT_PREVIOUS: step(v, -1); break;
	case ACT_ENTER: go(v, MONITOR_SERVICE); break;
	case ACT_LOGS: go(v, MONITOR_LOGS); break;
	case ACT_FILTER: v->typing = true; v->filter[0] = '\0'; break;
	case ACT_SORT: v->sort = (enum monitor_sort)((v->sort + 1) % SORTS_); break;
	case ACT_PAUSE: v->paused = !v->paused; monitor_log_scroll(v, 0); break;
	case ACT_FASTER: pace(v, true); break;
	case ACT_SLOWER: pace(v, false); break;
	case ACT_HELP: v->help = !v->help; v->help_top = 0; break;
	case ACT_BACK: back(v); break;
	case ACT_RESTART:
	case ACT_DRAIN: ask(v, b->action); break;
	case ACT_QUIT: return ACT_QUIT;
	default: break;
	}
	return ACT_NONE;
}

void monitor_print_keys(FILE *out)
{
	for (const struct monitor_binding *b = monitor_bindings; b->keys; b++)
		fprintf(out, "%-12s %s%s\n", b->keys, b->text, b->admin ? " (--admin)" : "");
}

void monitor_draw_help(const struct monitor_view *v, struct sutra_screen *s, struct sutra_rect at)
{
	int row = at.row, column = at.column, width = at.width, n = 0, fit = at.height, top;

	while (monitor_bindings[n].keys)
		n++;
	if (n > at.height && at.width >= 120) {
		width = at.width / 2;
		fit *= 2;
	}
	top = n <= fit ? 0 : v->help_top > n - fit ? n - fit : v->help_top;
	if (n > fit)
		sutra_screen_textf(s, 0, s->columns - 23, 23, SUTRA_ROLE_WARN, "%3d-%d of %d, j k move  ", top + 1,
				   top + fit, n);
	for (const struct monitor_binding *b = monitor_bindings + top; b->keys; b++) {
		if (row >= at.row + at.height) {
			row = at.row;
			column += width;
		}
		sutra_screen_text(s, row, column, 12, SUTRA_ROLE_HEAD, b->keys);
		sutra_screen_textf(s, row++, column + 13, width - 14,
				   b->admin && !v->admin ? SUTRA_ROLE_DIM : SUTRA_ROLE_PLAIN, "%s%s", b->text,
				   b->admin ? " (--admin)" : "");
	}
}

void monitor_draw_footer(const struct monitor_view *v, struct sutra_screen *s, int row)
{
	int x = 0;

	if (v->typing) {
		sutra_screen_textf(s, row, 0, s->columns, SUTRA_ROLE_HEAD, "/%s_", v->filter);
		return;
	}
	if (v->question[0] || v->message[0]) {
		sutra_screen_text(s, row, 0, s->columns, SUTRA_ROLE_WARN, v->question[0] ? v->question : v->message);
		return;
	}
	for (const struct monitor_binding *b = monitor_bindings; b->keys; b++) {
		int n = b->brief ? (int)strlen(b->brief) : 0;

		/* Room is kept for quit and help, which come last. */
		if (!n || (b->admin && !v->admin) ||
		    (b->action != ACT_QUIT && b->action != ACT_HELP && x + n + 2 > s->columns - 14))
			continue;
		sutra_screen_text(s, row, x, n, SUTRA_ROLE_DIM, b->brief);
		x += n + 2;
	}
}
