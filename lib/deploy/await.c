#include "deploy/await.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/jsonio.h"
#include "base/proc.h"
#include "net/fetch.h"

enum { PROBE_MS = 1000 };

static void note_reply(struct sutra_awaited *a, const struct sutra_fetch *f)
{
	const char *text = f->reason ? f->detail : sutra_buf_str(&f->answer);

	a->reason = f->reason ? sutra_fetch_reason_name(f->reason) : "status";
	if (f->reason)
		snprintf(a->last_reply, sizeof(a->last_reply), "%s", text);
	else
		snprintf(a->last_reply, sizeof(a->last_reply), "%d %.*s", f->status,
			 (int)strcspn(text, "\n"), text);
}

/* A service that restarts in place answers with its old life's uptime until it is new. */
static bool is_new_life(const struct sutra_awaited *a, const struct sutra_fetch *f)
{
	double uptime = -1, asked_s = (double)(sutra_clock_ns() - a->asked_ns) / 1e9;
	json_t *o;

	if (!a->in_place)
		return true;
	if (sutra_json_parse(sutra_buf_str(&f->answer), f->answer.len, &o, NULL))
		return false;
	sutra_json_get_double(o, "uptime_seconds", &uptime, NULL);
	json_decref(o);
	return uptime >= 0 && uptime <= asked_s;
}

/* The process that was told to end and does not is ended. */
static void end_old(const struct sutra_runtime *rt, const char *state_dir, struct sutra_awaited *a,
		    const struct sutra_supervised *now, uint64_t timeout_ns)
{
	uint64_t grace = a->grace_ns < timeout_ns / 2 ? a->grace_ns : timeout_ns / 2;

	if (!grace || !now->running || now->pid != a->old_pid || sutra_clock_ns() - a->asked_ns < grace)
		return;
	a->grace_ns = 0;
	a->restarts++;	/* to the supervisor it is a crash */
	rt->kill(state_dir, a->unit->name, SIGKILL, NULL);
}

/* A one-shot service that has done its work. */
static bool is_done(const struct sutra_awaited *a, const struct sutra_supervised *now)
{
	return (a->unit->awaited_end || a->unit->restart == SUTRA_RESTART_NO) && !now->running && now->last_exit == 0;
}

/* Whether the process side is so far that a health check makes sense. */
static bool process_up(const struct sutra_runtime *rt, const char *state_dir, struct sutra_awaited *a,
		       struct sutra_supervised *now, bool *ret_dead)
{
	rt->observe(state_dir, a->unit->name, now);
	a->last_exit = now->last_exit;
	a->limit_reached = now->limit_reached;
	*ret_dead = now->restarts > a->restarts || (now->last_exit >= 0 && !now->wants_up && !now->running);
	if (*ret_dead)
		a->reason = "exited";
	return now->running && now->pid != a->old_pid;
}

static void became_ready(struct sutra_awaited *a, uint64_t began, void (*on_ready)(const struct sutra_awaited *))
{
	a->ready = true;
	a->took_s = (double)(sutra_clock_ns() - (a->asked_ns ? a->asked_ns : began)) / 1e9;
	if (on_ready)
		on_ready(a);
}

/* One look at all that are not ready, their probes at once. Returns the first that is dead. */
static struct sutra_awaited *look(const struct sutra_runtime *rt, const char *state_dir, struct sutra_awaited *list, size_t n,
				  struct sutra_fetch *probes, struct sutra_fetch **wanted, uint64_t began, uint64_t timeout_ns,
				  void (*on_ready)(const struct sutra_awaited *))
{
	size_t asked = 0;

	for (size_t i = 0; i < n; i++) {
		struct sutra_awaited *a = &list[i];
		struct sutra_supervised now;
		bool dead;

		if (a->ready)
			continue;
		if (!process_up(rt, state_dir, a, &now, &dead)) {
			if (is_done(a, &now)) {
				became_ready(a, began, on_ready);
				continue;
			}
			if (dead)
				return a;
			end_old(rt, state_dir, a, &now, timeout_ns);
			a->reason = "starting";
		} else if (a->unit->awaited_end) {
			a->reason = "running";
		} else if (!a->unit->health_url) {
			became_ready(a, began, on_ready);
		} else {
			sutra_runtime_address(a->unit->health_url, now.ip, a->probed, sizeof(a->probed));
			probes[i].url = a->probed;
			probes[i].timeout_ns = PROBE_MS * 1000000ull;
			probes[i].user = a;
			wanted[asked++] = &probes[i];
		}
	}
	sutra_fetch_many(wanted, asked, 0);
	for (size_t i = 0; i < asked; i++) {
		struct sutra_awaited *a = wanted[i]->user;

		if (!wanted[i]->reason && wanted[i]->status < 400 && is_new_life(a, wanted[i]))
			became_ready(a, began, on_ready);
		else
			note_reply(a, wanted[i]);
	}
	return NULL;
}

static const struct sutra_awaited *first_unready(const struct sutra_awaited *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!list[i].ready)
			return &list[i];
	return NULL;
}

static int fail_dead(const struct sutra_awaited *a, struct sutra_err *err)
{
	char words[96];

	sutra_proc_end(a->last_exit, a->limit_reached, words, sizeof(words));
	if (a->limit_reached || a->last_exit > 128)
		return sutra_fail(err, SUTRA_E_IO, "%s was %s instead of becoming ready", a->unit->name, words);
	return sutra_fail(err, SUTRA_E_IO, "%s exited with %d instead of becoming ready", a->unit->name, a->last_exit);
}

int sutra_await(const struct sutra_runtime *rt, const char *state_dir, struct sutra_awaited *list, size_t n, uint64_t timeout_ns,
		void (*on_ready)(const struct sutra_awaited *a), const volatile int *stop,
		struct sutra_err *err)
{
	struct sutra_fetch *probes = sutra_calloc(n, sizeof(*probes));
	struct sutra_fetch **wanted = sutra_calloc(n, sizeof(struct sutra_fetch *));
	uint64_t began = sutra_clock_ns(),
		 end = timeout_ns == UINT64_MAX ? timeout_ns : began + timeout_ns;
	const struct sutra_awaited *waiting = NULL, *dead = NULL;
	int rc = probes && wanted ? 0 : sutra_fail(err, SUTRA_E_NOMEM, "out of memory");

	for (size_t i = 0; i < n && !rc; i++)
		sutra_fetch_init(&probes[i]);
	while (!rc) {
		dead = look(rt, state_dir, list, n, probes, wanted, began, timeout_ns, on_ready);
		waiting = dead ? dead : first_unready(list, n);
		if (!waiting)
			break;
		if (dead)
			rc = fail_dead(dead, err);
		else if (stop && *stop)
			rc = sutra_fail(err, SUTRA_E_INTERRUPTED, "interrupted while waiting for %s",
					waiting->unit->name);
		else if (sutra_clock_ns() >= end)
			rc = sutra_fail(err, SUTRA_E_TIMEOUT, "%s is not ready: %s, %s", waiting->unit->name,
					waiting->reason, waiting->last_reply);
		else
			poll(NULL, 0, (int)rt->poll_ms);
	}
	for (size_t i = 0; probes && i < n; i++)
		sutra_fetch_release(&probes[i]);
	sutra_free(probes);
	sutra_free(wanted);
	return rc;
}
