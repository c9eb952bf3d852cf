/* The monitor on a terminal: one thread draws and reads keys, the sampler's thread samples. */
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "sutra/command.h"
#include "sutra/monitor/monitor_run.h"
#include "term/tui.h"

struct live {
	const struct monitor_options *o;
	struct monitor_view v;
	struct sutra_screen screen;
	struct monitor_source src;
	struct sutra_snapshot *shown;	/* v.snap borrows it */
	struct sutra_snapshot *next;	/* of the recording, shown at next_at */
	uint64_t next_at;
	struct monitor_job *job;
	int wake_fd;
	struct sutra_err err;
	int rc;
};

static void show(struct live *l, struct sutra_snapshot *s)
{
	sutra_snapshot_unref(l->shown);
	l->shown = s;
	l->v.snap = s;
	if (l->v.selected >= monitor_rows(&l->v) && l->v.selected > 0)
		l->v.selected = monitor_rows(&l->v) > 0 ? monitor_rows(&l->v) - 1 : 0;
}

/* Adds a sample to the history; on the events' screen the cursor stays on its event. */
static void keep(struct live *l, const struct sutra_snapshot *s)
{
	long before = l->v.screen == MONITOR_EVENTS && l->v.selected > 0 ? monitor_events_rows(&l->v) : -1;

	l->rc = monitor_source_keep(l->o, &l->src, s, &l->err);
	if (before >= 0)
		l->v.selected += monitor_events_rows(&l->v) - before;
}

/* While the picture is paused, samples are still added to the history and recorded. */
static void take_sample(struct live *l)
{
	struct sutra_snapshot *s = sutra_sampler_newest(l->src.sampler);
	struct sutra_log_text log;

	if (s) {
		keep(l, s);
		if (l->v.paused && l->shown)
			sutra_snapshot_unref(s);
		else
			show(l, s);
	}
	if (sutra_sampler_log(l->src.sampler, &log))
		monitor_log_take(&l->v, &log);
}

/* Shows the samples of the recording whose time has come; + and - scale the time between two
 * samples. */
static void take_recorded(struct live *l)
{
	uint64_t now = sutra_clock_ns();

	while (l->next && !l->v.paused && now >= l->next_at) {
		struct sutra_snapshot *s = l->next;
		double gap;

		keep(l, s);
		l->rc = sutra_recording_next(l->src.recording, &l->next, &l->err);
		if (l->rc)
			l->next = NULL;
		gap = l->next ? (double)(l->next->time_us - s->time_us) * 1e3 : 0;
		gap *= s->interval_s > 0 ? (double)l->v.interval_ns / (s->interval_s * 1e9) : 1;
		l->next_at = now + (gap > 0 && gap < 1e12 ? (uint64_t)gap : 0);
		show(l, s);
	}
}

static void take_news(struct live *l)
{
	uint64_t count;

	if (read(l->wake_fd, &count, sizeof(count)) < 0)
		count = 0;
	if (l->src.sampler)
		take_sample(l);
	else
		take_recorded(l);
	if (l->job && monitor_job_done(l->job, l->v.message, sizeof(l->v.message)))
		l->job = NULL;
}

static void draw(struct live *l)
{
	int rows, columns;

	sutra_tui_size(&rows, &columns);
	if (rows < 1 || columns < 1)
		return;
	sutra_screen_resize(&l->screen, rows, columns);
	/* Ages in a recording are those at its sample. */
	l->v.now_us = l->src.recording && l->shown ? l->shown->time_us : sutra_clock_wall_us();
	monitor_draw(&l->v, &l->screen);
	sutra_tui_show(&l->screen);
}

static void act(struct live *l, enum monitor_action action)
{
	if (action != ACT_RESTART && action != ACT_DRAIN)
		return;
	if (l->job) {
		snprintf(l->v.message, sizeof(l->v.message), "another action is still under way");
		return;
	}
	l->job = monitor_job_start(l->o->state_dir, l->v.service, action, l->wake_fd);
	snprintf(l->v.message, sizeof(l->v.message), l->job ? "%s %s ..." : "cannot start a thread for %s %s",
		 action == ACT_RESTART ? "restarting" : "draining or readying", l->v.service);
}

/* Handles the keys that were pressed; returns whether one of them ends the monitor. */
static bool take_keys(struct live *l)
{
	uint64_t before = l->v.interval_ns;
	int code;

	while ((code = sutra_tui_key())) {
		enum monitor_action action = monitor_key(&l->v, code);

		if (action == ACT_QUIT)
			return true;
		act(l, action);
	}
	if (l->src.sampler && l->v.interval_ns != before)
		sutra_sampler_set_interval(l->src.sampler, l->v.interval_ns);
	if (l->src.sampler)
		sutra_sampler_watch_log(l->src.sampler, l->v.screen >= MONITOR_LOGS ? l->v.service : "");
	return false;
}

static uint64_t wait_ns(const struct live *l)
{
	uint64_t now = sutra_clock_ns();

	if (l->next && !l->v.paused)
		return l->next_at > now ? l->next_at - now : 0;
	/* Draws also when no sample comes, so that ages grow. */
	return l->v.interval_ns + l->v.interval_ns / 2;
}

static void loop(struct live *l)
{
	bool end = false;

	draw(l);
	while (!end && !l->rc && !sutra_tui_signal()) {
		sutra_tui_wait(l->wake_fd, wait_ns(l));
		end = take_keys(l);
		take_news(l);
		draw(l);
	}
}

static int set_up(struct live *l)
{
	int rc = monitor_source_open(l->o, &l->src, &l->err);

	l->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (!rc && l->wake_fd < 0)
		return sutra_fail_errno(&l->err, "cannot set up the monitor");
	if (rc || !l->o->replay)
		return rc;
	rc = sutra_recording_next(l->src.recording, &l->next, &l->err);
	if (!rc && !l->next)
		rc = sutra_fail(&l->err, SUTRA_E_INVALID, "%s holds no sample", l->o->replay);
	if (!rc)
		l->v.interval_ns = (uint64_t)sutra_whole(l->next->interval_s * 1e9);
	return rc;
}

static void tear_down(struct live *l)
{
	monitor_job_wait(l->job);
	monitor_source_close(&l->src);
	sutra_snapshot_unref(l->next);
	sutra_snapshot_unref(l->shown);
	monitor_log_release(&l->v.log);
	sutra_screen_release(&l->screen);
	if (l->wake_fd >= 0)
		close(l->wake_fd);
}

int monitor_live(const struct monitor_options *o)
{
	struct live l = { .o = o, .v = { .interval_ns = o->interval_ns, .admin = o->admin, .replay = o->replay } };
	struct sutra_term term;
	bool utf8 = false;
	int sig = 0;

	sutra_term_init(&term, stdout, o->color);
	l.wake_fd = -1;
	l.rc = set_up(&l);
	l.rc = l.rc ? l.rc : sutra_tui_open(term.color, &utf8, &l.err);
	if (!l.rc) {
		sutra_screen_init(&l.screen, 1, 1, utf8 && !o->ascii);
		l.v.trend = l.src.trend;
		l.v.events = &l.src.events;
		if (l.src.sampler)
			l.rc = sutra_sampler_start(l.src.sampler, l.wake_fd, &l.err);
		if (!l.rc)
			loop(&l);
		sig = sutra_tui_signal();
		sutra_tui_close();
	}
	tear_down(&l);
	return l.rc ? command_fail(&l.err) : sig ? 128 + sig : EXIT_YES;
}
