/* One frame as text, a stream of the model, and recordings. */
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

/* Where samples come from: a recording, or the stack itself. */
struct source {
	struct sutra_sampler *sampler;
	struct sutra_recording *tape;
	FILE *record;
	struct sutra_trend *trend;
	struct sutra_events *events;
};

static int source_open(const struct monitor_options *o, struct source *src, struct sutra_err *err)
{
	int rc = sutra_recording_create(o->record, &src->record, err);

	if (!rc && o->replay)
		rc = sutra_recording_open(o->replay, &src->tape, err);
	else if (!rc)
		rc = sutra_sampler_new(o->state_dir, o->interval_ns, &src->sampler, err);
	src->trend = sutra_trend_new();
	src->events = xcalloc(1, sizeof(*src->events));
	return rc || src->trend ? rc : sutra_fail(err, SUTRA_E_NOMEM, "out of memory for the history");
}

static void source_close(struct source *src)
{
	sutra_sampler_free(src->sampler);
	sutra_recording_close(src->tape);
	sutra_trend_free(src->trend);
	sutra_free(src->events);
	if (src->record)
		fclose(src->record);
}

/* *ret NULL: the recording is at its end. */
static int source_next(const struct monitor_options *o, struct source *src, struct sutra_snapshot **ret,
		       struct sutra_err *err)
{
	int rc = 0;

	if (src->tape)
		rc = sutra_recording_next(src->tape, ret, err);
	else if (!(*ret = sutra_sampler_take(src->sampler)))
		rc = sutra_fail(err, SUTRA_E_NOMEM, "out of memory for a snapshot");
	if (!rc && *ret) {
		sutra_trend_add(src->trend, *ret);
		sutra_events_take(src->events, *ret);
		rc = sutra_recording_write(src->record, o->record, *ret, err);
	}
	if (rc) {
		sutra_snapshot_unref(*ret);
		*ret = NULL;
	}
	return rc;
}

int monitor_once(const struct monitor_options *o, bool json)
{
	struct sutra_snapshot *s = NULL, *next = NULL;
	struct source src = { 0 };
	struct sutra_err err;
	int rc = source_open(o, &src, &err), code = EXIT_YES;

	/* A recording as it ends; of the stack two samples: rates need them. */
	for (int i = 0; !rc && (src.tape || i < 2) && !(rc = source_next(o, &src, &next, &err)) && next; i++) {
		sutra_snapshot_unref(s);
		s = next;
		if (!src.tape && !i)
			sleep_ns(RATES_NS);
	}
	if (!rc && !s)
		rc = sutra_fail(&err, SUTRA_E_INVALID, "%s holds no sample", o->replay);
	if (!rc && json)
		sutra_recording_write(stdout, "standard output", s, NULL);
	else if (!rc)
		print_frame(o, s, src.trend, src.events);
	if (!rc && !s->deployed)
		code = EXIT_INCONCLUSIVE;
	sutra_snapshot_unref(s);
	source_close(&src);
	return rc ? command_fail(&err) : code;
}

int monitor_stream(const struct monitor_options *o)
{
	uint64_t next = sutra_clock_ns();
	struct source src = { 0 };
	struct sutra_snapshot *s = NULL;
	struct sutra_err err;
	int rc = source_open(o, &src, &err);

	command_catch_signals();
	for (int64_t i = 0; !rc && !command_stopped && (!o->count || i < o->count); i++) {
		bool failed;

		rc = source_next(o, &src, &s, &err);
		if (rc || !s)
			break;
		failed = sutra_recording_write(stdout, "standard output", s, NULL);
		sutra_snapshot_unref(s);
		if (failed)
			break;	/* main tells that standard output takes no more */
		next += o->interval_ns;
		if (!src.tape && !command_stopped && (!o->count || i + 1 < o->count))
			sleep_ns(next > sutra_clock_ns() ? next - sutra_clock_ns() : 0);
	}
	source_close(&src);
	return rc ? command_fail(&err) : command_stopped ? 128 + (int)command_stopped : EXIT_YES;
}
