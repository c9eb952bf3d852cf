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

/* A wait for services, and memory for one look at those that are not ready. */
struct wait {
	const struct sutra_runtime *rt;
	const char *state_dir;
	uint64_t began, timeout_ns;
	void (*on_ready)(const struct sutra_awaited *a);
	struct sutra_awaited **left;	/* n that are not ready */
	size_t n;
	const char **names;		/* of left */
	struct sutra_supervised *seen;	/* beside left */
	struct sutra_fetch *probes, **wanted;
};

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

/* A service that restarts in place reports the uptime of its old life until the new one begins. */
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

/* Kills the old process if it has not ended after its grace. */
static void end_old(const struct wait *w, struct sutra_awaited *a)
{
	uint64_t grace = a->grace_ns < w->timeout_ns / 2 ? a->grace_ns : w->timeout_ns / 2;

	if (!grace || !a->now.running || a->now.pid != a->old_pid || sutra_clock_ns() - a->asked_ns < grace)
		return;
	a->grace_ns = 0;
	a->restarts++;	/* to the supervisor it is a crash */
	w->rt->kill(w->state_dir, a->unit->name, SIGKILL, NULL);
}

/* A one-shot service that has done its work. */
static bool is_done(const struct sutra_awaited *a)
{
	return (a->unit->awaited_end || a->unit->restart == SUTRA_RESTART_NO) && !a->now.running &&
	       a->now.last_exit == 0;
}

/* Whether the new process runs, so that a health check makes sense. */
static bool process_up(struct sutra_awaited *a, bool *ret_dead)
{
	const struct sutra_supervised *now = &a->now;

	*ret_dead = now->restarts > a->restarts || (now->last_exit >= 0 && !now->wants_up && !now->running);
	if (*ret_dead)
		a->reason = "exited";
	return now->running && now->pid != a->old_pid;
}

static void became_ready(const struct wait *w, struct sutra_awaited *a)
{
	a->ready = true;
	a->took_s = (double)(sutra_clock_ns() - (a->asked_ns ? a->asked_ns : w->began)) / 1e9;
	if (w->on_ready)
		w->on_ready(a);
}

/* Those that are not ready. */
static void collect(struct wait *w, struct sutra_awaited *list, size_t n)
{
	w->n = 0;
	for (size_t i = 0; i < n; i++) {
		if (list[i].ready)
			continue;
		w->names[w->n] = list[i].unit->name;
		w->left[w->n++] = &list[i];
	}
}

/* One look at all that are not ready, their probes at once. Returns the first that is dead. */
static const struct sutra_awaited *look(struct wait *w)
{
	size_t asked = 0;

	w->rt->observe(w->state_dir, w->names, w->n, w->seen);
	for (size_t i = 0; i < w->n; i++) {
		struct sutra_awaited *a = w->left[i];
		bool dead;

		a->now = w->seen[i];
		if (!process_up(a, &dead)) {
			if (is_done(a)) {
				became_ready(w, a);
				continue;
			}
			if (dead)
				return a;
			end_old(w, a);
			a->reason = "starting";
		} else if (a->unit->awaited_end) {
			a->reason = "running";
		} else if (!a->unit->health_url) {
			became_ready(w, a);
		} else {
			sutra_runtime_address(a->unit->health_url, a->now.ip, a->probed, sizeof(a->probed));
			w->probes[i].url = a->probed;
			w->probes[i].timeout_ns = PROBE_MS * 1000000ull;
			w->probes[i].user = a;
			w->wanted[asked++] = &w->probes[i];
		}
	}
	sutra_fetch_many(w->wanted, asked, 0);
	for (size_t i = 0; i < asked; i++) {
		const struct sutra_fetch *f = w->wanted[i];
		struct sutra_awaited *a = f->user;

		if (!f->reason && f->status < 400 && is_new_life(a, f))
			became_ready(w, a);
		else
			note_reply(a, f);
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

	sutra_proc_end(a->now.last_exit, a->now.limit_reached, words, sizeof(words));
	if (a->now.limit_reached || a->now.last_exit > 128)
		return sutra_fail(err, SUTRA_E_IO, "%s was %s instead of becoming ready", a->unit->name, words);
	return sutra_fail(err, SUTRA_E_IO, "%s exited with %d instead of becoming ready", a->unit->name,
			  a->now.last_exit);
}

int sutra_await(const struct sutra_runtime *rt, const char *state_dir, struct sutra_awaited *list, size_t n, uint64_t timeout_ns,
		void (*on_ready)(const struct sutra_awaited *a), const volatile sig_atomic_t *stop,
		struct sutra_err *err)
{
	struct wait w = { rt, state_dir, sutra_clock_ns(), timeout_ns, on_ready, xcalloc(n + 1, sizeof(*w.left)), 0,
			  xcalloc(n + 1, sizeof(*w.names)), xcalloc(n + 1, sizeof(*w.seen)),
			  xcalloc(n + 1, sizeof(*w.probes)), xcalloc(n + 1, sizeof(*w.wanted)) };
	uint64_t end = timeout_ns == UINT64_MAX ? timeout_ns : w.began + timeout_ns;
	int rc = 0;

	for (size_t i = 0; i < n; i++)
		sutra_fetch_init(&w.probes[i]);
	for (collect(&w, list, n); w.n && !rc; collect(&w, list, n)) {
		const struct sutra_awaited *dead = look(&w), *waiting = first_unready(list, n);

		if (dead)
			rc = fail_dead(dead, err);
		else if (waiting && stop && *stop)
			rc = sutra_fail(err, SUTRA_E_INTERRUPTED, "interrupted while waiting for %s", waiting->unit->name);
		else if (waiting && sutra_clock_ns() >= end)
			rc = sutra_fail(err, SUTRA_E_TIMEOUT, "%s is not ready: %s, %s", waiting->unit->name,
					waiting->reason, waiting->last_reply);
		else if (waiting)
			poll(NULL, 0, (int)rt->poll_ms);
	}
	for (size_t i = 0; i < n; i++)
		sutra_fetch_release(&w.probes[i]);
	sutra_free(w.left);
	sutra_free(w.names);
	sutra_free(w.seen);
	sutra_free(w.probes);
	sutra_free(w.wanted);
	return rc;
}
