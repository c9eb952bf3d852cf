/*
 * monitor - the screen of sutra monitor: a view (a snapshot and the operator's choices), which is drawn
 * into cells and changed by keys.
 *
 * Drawing is a pure function of the view and the screen's size: the same recording gives the same
 * picture on a terminal, as text and in a test. Nothing here calls ncurses or asks a service.
 */
#ifndef SUTRA_CMD_MONITOR_MONITOR_H
#define SUTRA_CMD_MONITOR_MONITOR_H

#include <stdbool.h>

#include "probe/observe.h"
#include "probe/snapshot.h"
#include "probe/trend.h"
#include "probe/logtail.h"
#include "term/grid.h"
#include "term/screen.h"

enum monitor_screen {
	MONITOR_OVERVIEW,
	MONITOR_CACHE,
	MONITOR_REPLICAS,
	MONITOR_SERVICES,
	MONITOR_EVENTS,
	MONITOR_LOGS,
	MONITOR_SERVICE,	/* one service; Tab skips it */
	MONITOR_SCREENS_
};

enum monitor_sort { SORT_START, SORT_NAME, SORT_TROUBLE, SORT_LATENCY, SORT_CPU, SORT_MEMORY, SORT_RESTARTS, SORTS_ };

enum { MONITOR_MIN_ROWS = 10, MONITOR_MIN_COLUMNS = 40, MONITOR_MAX_SERVICES = 256 };

/* The last lines of a service's log (monitor_log.c). */
struct monitor_log {
	struct sutra_log_text shown, waiting;	/* waiting: newer than shown, which is scrolled or paused; text NULL: none */
	long scroll;	/* lines above the newest; 0: new lines are shown */
};

struct monitor_view {
	const struct sutra_snapshot *snap;	/* NULL: none yet */
	const struct sutra_trend *trend;
	const struct sutra_events *events;
	int64_t now_us;		/* for ages */
	uint64_t interval_ns;
	bool admin, replay, paused;
	enum monitor_screen screen;
	bool help;
	int help_top;		/* the first key shown, when not all fit */
	enum monitor_sort sort;
	long selected;		/* row of the list on the screen */
	char service[64];	/* of the logs and the one-service screen */
	char filter[48];	/* shows rows that contain it; after a !, those that do not */
	bool typing;		/* the filter is being typed */
	char question[160];	/* to be answered with y; "": none */
	char message[160];	/* the last action's outcome; "" */
	struct monitor_log log;
};

/* monitor_screens.c: the whole picture */
void monitor_draw(const struct monitor_view *v, struct sutra_screen *s);

/* monitor_parts.c: the parts that panels share */
const char *monitor_age(int64_t at_us, int64_t now_us, char *out, size_t size);	/* "0.4 s", "never" */
/* A line across the rectangle with a title at its left and a note at its right end. */
void monitor_rule(struct sutra_screen *s, struct sutra_rect at, const char *title, enum sutra_role role, const char *note);
/* The same with the age of figures as the note, and their trouble when they are stale; returns
 * whether they are. */
bool monitor_title(const struct monitor_view *v, struct sutra_screen *s, struct sutra_rect at, const char *title,
		   int64_t at_us, const char *trouble);
/* Paints the rectangle as stale, if it is. */
void monitor_dim(struct sutra_screen *s, struct sutra_rect at, bool stale);
enum sutra_role monitor_state_role(const char *state);
bool monitor_passes(const struct monitor_view *v, const char *text);	/* the filter */
/* Each returns out. A figure with its unit, "-" below 0; a count as 950, 12.3k; bytes, `unknown`
 * unless above 0. */
const char *monitor_figure(char *out, size_t size, double v, const char *unit);
const char *monitor_count(char *out, size_t size, double v);
const char *monitor_bytes(char *out, size_t size, int64_t bytes, const char *unknown);
void monitor_figure_cell(struct sutra_grid *g, enum sutra_role role, double v);
/* Services that pass the filter, sorted; returns how many, 0 when there are more than
 * MONITOR_MAX_SERVICES, for which list has room. */
size_t monitor_services(const struct monitor_view *v, const struct sutra_snap_service **list);

/* monitor_panels.c: each has several levels of detail, 0 the least, and needs a number of rows at
 * each. */
struct monitor_panel {
	int levels;
	int (*rows)(const struct monitor_view *v, int level);
	void (*draw)(const struct monitor_view *v, struct sutra_screen *s, struct sutra_rect at, int level);
};
extern const struct monitor_panel monitor_panel_services, monitor_panel_cache, monitor_panel_replicas,
	monitor_panel_traffic, monitor_panel_events;
void monitor_draw_services(const struct monitor_view *v, struct sutra_screen *s, struct sutra_rect at, const char *title,
			   bool wide);
void monitor_replicas_table(const struct monitor_view *v, struct sutra_screen *s, struct sutra_rect at, bool cursor);
void monitor_hit_bars(const struct monitor_view *v, struct sutra_screen *s, struct sutra_rect at);
void monitor_hit_history(const struct monitor_view *v, struct sutra_screen *s, struct sutra_rect at);

/* monitor_events.c */
void monitor_draw_events(const struct monitor_view *v, struct sutra_screen *s, struct sutra_rect at);
/* The i-th event that passes the filter, newest first; NULL: there are fewer. */
const struct sutra_snap_event *monitor_event_at(const struct monitor_view *v, long i);
long monitor_events_rows(const struct monitor_view *v);	/* events that pass the filter */

/* monitor_log.c */
void monitor_log_take(struct monitor_view *v, const struct sutra_log_text *l);	/* takes ownership of its text */
void monitor_log_scroll(struct monitor_view *v, long lines);
void monitor_log_release(struct monitor_log *l);
void monitor_draw_log(const struct monitor_view *v, struct sutra_screen *s, struct sutra_rect at);

/* monitor_keys.c: the one table of keys. */
enum monitor_action {
	ACT_NONE, ACT_UP, ACT_DOWN, ACT_PAGE_UP, ACT_PAGE_DOWN, ACT_FIRST, ACT_LAST, ACT_NEXT, ACT_PREVIOUS,
	ACT_ENTER, ACT_LOGS, ACT_FILTER, ACT_SORT, ACT_PAUSE, ACT_FASTER, ACT_SLOWER, ACT_HELP, ACT_BACK,
	ACT_RESTART, ACT_DRAIN, ACT_QUIT
};
struct monitor_binding {
	const char *keys;	/* as help shows them: "Down, j" */
	int codes[3];		/* characters or enum sutra_key; 0 ends */
	enum monitor_action action;
	const char *brief;	/* in the footer; NULL: not there */
	const char *text;	/* in help and the manual */
	bool admin;		/* works with --admin only */
};
extern const struct monitor_binding monitor_bindings[];	/* keys NULL ends them */
long monitor_rows(const struct monitor_view *v);	/* of the list on the screen */
/* Changes the view as the key says. Returns what the caller has to do: ACT_QUIT; after an answer of
 * y, ACT_RESTART or ACT_DRAIN of v->service; else ACT_NONE. */
enum monitor_action monitor_key(struct monitor_view *v, int code);
void monitor_print_keys(FILE *out);
void monitor_draw_help(const struct monitor_view *v, struct sutra_screen *s, struct sutra_rect at);
void monitor_draw_footer(const struct monitor_view *v, struct sutra_screen *s, int row);

#endif
