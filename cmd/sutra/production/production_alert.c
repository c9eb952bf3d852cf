#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/jsonio.h"
#include "base/proc.h"
#include "base/shown.h"
#include "net/fetch.h"
#include "sutra/production/production.h"

static const uint64_t HOOK_NS = 10000000000u;
enum { MAX_EVENTS = 1000, MAX_SAID = 65536 };

const char *production_kind_name(enum production_kind k)
{
	static const char *const names[] = { "down", "requests", "p95", "hit-rate" };

	return names[k];
}

static enum sutra_look look_if(bool bad) { return bad ? SUTRA_LOOK_BAD : SUTRA_LOOK_GOOD; }

/* Judges one condition by a look, and describes its state in out. */
static enum sutra_look judge(const struct production_limits *m, const struct production_look *k,
			     enum production_kind kind, char *out, size_t size)
{
	switch (kind) {
	case ALERT_DOWN:
		if (k->gone)
			snprintf(out, size, "%s", k->trouble);
		else
			snprintf(out, size, "%zu down, at most %lld may be%s%s", k->down, (long long)m->max_down,
				 k->trouble[0] ? ": " : "", k->trouble);
		return look_if(k->gone || k->down > (size_t)m->max_down);
	case ALERT_REQUESTS:
		snprintf(out, size, "%u of %u requests failed%s%s", k->failed, k->asked, k->failed ? ": " : "",
			 k->failure);
		return k->asked ? look_if(k->failed) : SUTRA_LOOK_NONE;
	case ALERT_P95:
		snprintf(out, size, "P95 %.1f ms, at most %.1f ms allowed", k->p95_ms, m->max_p95_ms);
		return m->max_p95_ms <= 0 || k->p95_ms < 0 ? SUTRA_LOOK_NONE : look_if(k->p95_ms > m->max_p95_ms);
	default:
		snprintf(out, size, "hit rate %.1f %% of %lld texts, at least %lld %% wanted", k->hit_percent,
			 (long long)k->texts, (long long)m->min_hit_percent);
		return !m->min_hit_percent || k->hit_percent < 0 ? SUTRA_LOOK_NONE :
								    look_if(k->hit_percent < (double)m->min_hit_percent);
	}
}

json_t *production_event_document(const struct production_event *e)
{
	char since[SUTRA_RFC3339_LEN], now[SUTRA_RFC3339_LEN];

	sutra_clock_rfc3339(e->raised_us, since);
	sutra_clock_rfc3339(e->cleared_us ? e->cleared_us : e->raised_us, now);
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "schema", "sutra.alert/1", "alert", production_kind_name(e->kind),
			 "state", e->cleared_us ? "cleared" : "raised", "message", e->message, "since", since, "time",
			 now);
}

/* The hook reads the alert from its environment; its output is shown only when it fails. */
static int run_hook(const char *hook, const struct production_event *e, struct sutra_err *err)
{
	const char *argv[] = { "sh", "-c", hook, NULL };
	char now[SUTRA_RFC3339_LEN];
	struct sutra_buf said;
	int status = 0, rc;

	sutra_clock_rfc3339(e->cleared_us ? e->cleared_us : e->raised_us, now);
	setenv("SUTRA_ALERT", production_kind_name(e->kind), 1);
	setenv("SUTRA_ALERT_STATE", e->cleared_us ? "cleared" : "raised", 1);
	setenv("SUTRA_ALERT_MESSAGE", e->message, 1);
	setenv("SUTRA_ALERT_TIME", now, 1);
	sutra_buf_init(&said, MAX_SAID);
	rc = sutra_proc_run(argv, &said, HOOK_NS, &status, err);
	if (!rc && status)
		rc = sutra_fail(err, SUTRA_E_IO, "--exec ended with %d: %.300s", status, sutra_buf_str(&said));
	sutra_buf_release(&said);
	return rc;
}

static int post_webhook(const char *url, const struct production_event *e, struct sutra_err *err)
{
	static const char *const headers[] = { "Content-Type: application/json", NULL };
	json_t *doc = production_event_document(e);
	struct sutra_fetch f;
	struct sutra_buf body;
	int rc;

	sutra_buf_init(&body, MAX_SAID);
	sutra_json_add(&body, doc, 0);
	sutra_fetch_init(&f);
	f.url = url;
	f.headers = headers;
	f.body = sutra_buf_str(&body);
	f.body_len = body.len;
	f.timeout_ns = HOOK_NS;
	f.proxy = true;
	rc = sutra_fetch_one(&f, err);
	sutra_fetch_release(&f);
	sutra_buf_release(&body);
	json_decref(doc);
	return rc;
}

static void deliver(struct production_alerts *a, const struct production_event *e)
{
	struct sutra_err err;

	a->say(e);
	for (int way = 0; way < 2; way++) {
		const char *to = way ? a->webhook : a->hook;

		if (!to)
			continue;
		if (way ? post_webhook(to, e, &err) : run_hook(to, e, &err)) {
			a->undelivered++;
			sutra_shown_printf(stderr, "sutra production-monitor: the alert was not passed on: %s\n", err.message);
		} else {
			a->delivered++;
		}
	}
}

/* The newest event of a kind that is not cleared; NULL: none. */
static struct production_event *open_event(struct production_alerts *a, enum production_kind kind)
{
	for (size_t i = a->n; i-- > 0;)
		if (a->events[i].kind == kind && !a->events[i].cleared_us)
			return &a->events[i];
	return NULL;
}

static struct production_event *new_event(struct production_alerts *a, enum production_kind kind)
{
	if (a->n == MAX_EVENTS) {	/* the oldest is dropped */
		memmove(a->events, a->events + 1, --a->n * sizeof(*a->events));
		a->forgotten++;
	}
	a->events = xrealloc_array(a->events, a->n + 1, sizeof(*a->events));
	a->events[a->n] = (struct production_event){ .kind = kind };
	return &a->events[a->n++];
}

void production_alerts_take(struct production_alerts *a, const struct production_look *k)
{
	for (enum production_kind kind = 0; kind < ALERT_KINDS; kind++) {
		char message[320];
		enum sutra_look look = judge(&a->limits, k, kind, message, sizeof(message));
		enum sutra_alarm_change change = sutra_alarm_look(&a->alarms[kind], look);
		struct production_event *e = change == SUTRA_ALARM_RAISED ? new_event(a, kind) : open_event(a, kind);

		if (!e || (change == SUTRA_ALARM_SAME && look == SUTRA_LOOK_NONE))
			continue;
		snprintf(e->message, sizeof(e->message), "%s", message);
		if (change == SUTRA_ALARM_RAISED)
			e->raised_us = k->wall_us;
		else if (change == SUTRA_ALARM_CLEARED)
			e->cleared_us = k->wall_us;
		if (change != SUTRA_ALARM_SAME)
			deliver(a, e);
	}
}

bool production_alerts_active(const struct production_alerts *a)
{
	for (int kind = 0; kind < ALERT_KINDS; kind++)
		if (a->alarms[kind].active)
			return true;
	return false;
}
