/* One frame as text, a stream of samples, and their source. */
#include "sutra/monitor/monitor_run.h"

#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "sutra/command.h"
#include "term/tui.h"

static const uint64_t RATES_NS = 250000000;

static void sleep_ns(uint64_t ns)
{
	struct timespec t = sutra_clock_timespec(ns);

	nanosleep(&t, NULL);
}

static void print_frame(const struct monitor_options *o, const struct sutra_snapshot *snap,
			const struct sutra_trend *trend, const struct sutra_events *events)
{
	struct monitor_view v = {
		.snap = snap, .trend = trend, .events = events, .now_us = snap->time_us, .replay = o->replay != NULL,
		.admin = o->admin, .interval_ns = (uint64_t)sutra_whole(snap->interval_s * 1e9), .selected = -1,
	};
	struct sutra_screen s;
	struct sutra_term term;

	sutra_term_init(&term, stdout, o->color);
	sutra_screen_init(&s, o->rows, o->columns, !o->ascii && sutra_tui_utf8());
	monitor_draw(&v, &s);
	sutra_screen_print(&s, &term);
	sutra_screen_release(&s);
}

int monitor_source_open(const struct monitor_options *o, struct monitor_source *src, struct sutra_err *err)
{
	int rc = sutra_recording_create(o->record, &src->record, err);

	if (!rc && o->replay)
		rc = sutra_recording_open(o->replay, &src->recording, err);
	else if (!rc)
		rc = sutra_sampler_new(o->state_dir, o->interval_ns, &src->sampler, err);
	src->trend = sutra_trend_new();
	return rc || src->trend ? rc : sutra_fail(err, SUTRA_E_NOMEM, "out of memory for the history");
}

void monitor_source_close(struct monitor_source *src)
{
	sutra_sampler_free(src->sampler);
	sutra_recording_close(src->recording);
	sutra_trend_free(src->trend);
	if (src->record)
		fclose(src->record);
}

int monitor_source_keep(const struct monitor_options *o, struct monitor_source *src, const struct sutra_snapshot *s,
			struct sutra_err *err)
{
	sutra_trend_add(src->trend, s);
	sutra_events_take(&src->events, s);
	return sutra_recording_write(src->record, o->record, s, err);
}

/* The next snapshot, a reference; NULL: the recording has ended. */
static int source_next(const struct monitor_options *o, struct monitor_source *src, struct sutra_snapshot **ret,
		       struct sutra_err *err)
{
	int rc = 0;

	if (src->recording)
		rc = sutra_recording_next(src->recording, ret, err);
	else if (!(*ret = sutra_sampler_take(src->sampler)))
		rc = sutra_fail(err, SUTRA_E_NOMEM, "out of memory for a snapshot");
	if (!rc && *ret)
		rc = monitor_source_keep(o, src, *ret, err);
	if (rc) {
		sutra_snapshot_unref(*ret);
		*ret = NULL;
	}
	return rc;
}

int monitor_once(const struct monitor_options *o, bool json)
{
	struct sutra_snapshot *s = NULL, *next = NULL;
	struct monitor_source src = { 0 };
	struct sutra_err err;
	int rc = monitor_source_open(o, &src, &err), code = EXIT_YES;

	/* The last snapshot of a recording; the second one of the stack, since rates need two. */
	for (int i = 0; !rc && (src.recording || i < 2) && !(rc = source_next(o, &src, &next, &err)) && next; i++) {
		sutra_snapshot_unref(s);
		s = next;
		if (!src.recording && !i)
			sleep_ns(RATES_NS);
	}
	if (!rc && !s)
		rc = sutra_fail(&err, SUTRA_E_INVALID, "%s holds no sample", o->replay);
	if (!rc && json)
		sutra_recording_write(stdout, "standard output", s, NULL);
	else if (!rc)
		print_frame(o, s, src.trend, &src.events);
	if (!rc && !s->deployed)
		code = EXIT_INCONCLUSIVE;
	sutra_snapshot_unref(s);
	monitor_source_close(&src);
	return rc ? command_fail(&err) : code;
}

int monitor_stream(const struct monitor_options *o)
{
	uint64_t next = sutra_clock_ns();
	struct monitor_source src = { 0 };
	struct sutra_snapshot *s = NULL;
	struct sutra_err err;
	int rc = monitor_source_open(o, &src, &err);

	command_catch_signals();
	for (int64_t i = 0; !rc && !command_stopped && (!o->count || i < o->count); i++) {
		bool failed;

		rc = source_next(o, &src, &s, &err);
		if (rc || !s)
			break;
		failed = sutra_recording_write(stdout, "standard output", s, NULL);
		sutra_snapshot_unref(s);
		if (failed)
			break;	/* main reports that standard output cannot be written */
		next += o->interval_ns;
		if (!src.recording && !command_stopped && (!o->count || i + 1 < o->count))
			sleep_ns(next > sutra_clock_ns() ? next - sutra_clock_ns() : 0);
	}
	monitor_source_close(&src);
	return rc ? command_fail(&err) : command_stopped ? 128 + (int)command_stopped : EXIT_YES;
}
