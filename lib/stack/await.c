#include "stack/await.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/jsonio.h"
#include "base/str.h"
#include "net/fetch.h"
#include "stack/runit.h"

enum { POLL_MS = 25, PROBE_MS = 1000 };

/* Whether the process waits for HUP already (blocked or caught): before that it would die of it. */
static bool takes_hangup(pid_t pid)
{
	char path[64], *text, *at;
	unsigned long long caught = 0, blocked = 0;

	snprintf(path, sizeof(path), "/proc/%ld/status", (long)pid);
	if (sutra_file_read(path, 16384, &text, NULL, NULL))
		return false;
	if ((at = strstr(text, "\nSigCgt:")))
		caught = strtoull(at + 8, NULL, 16);
	if ((at = strstr(text, "\nSigBlk:")))
		blocked = strtoull(at + 8, NULL, 16);
	sutra_free(text);
	return (caught | blocked) >> (SIGHUP - 1) & 1;
}

/* Whether what runs now is one of ours, which restart in place on HUP. */
static bool restarts_itself(pid_t pid)
{
	char path[64], *name;
	bool ours;

	snprintf(path, sizeof(path), "/proc/%ld/comm", (long)pid);
	if (sutra_file_read(path, 64, &name, NULL, NULL))
		return false;
	ours = sutra_str_starts(name, "sutra-") && takes_hangup(pid);
	sutra_free(name);
	return ours;
}

int sutra_await_restart(const char *state_dir, struct sutra_awaited *a, struct sutra_err *err)
{
	struct sutra_supervised now;
	char command;

	sutra_runit_read(state_dir, a->name, &now);
	a->asked_ns = sutra_clock_ns();
	a->restarts = now.restarts;
	a->in_place = now.running && restarts_itself(now.pid);
	a->old_pid = now.running && !a->in_place ? now.pid : 0;
	command = a->in_place ? 'h' : now.running ? 't' : 'u';
	return sutra_runit_control(state_dir, a->name, command, err);
}

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

/* Whether the process side is so far that a health check makes sense. */
static bool process_up(const char *state_dir, struct sutra_awaited *a, bool *ret_dead)
{
	struct sutra_supervised now;

	sutra_runit_read(state_dir, a->name, &now);
	a->last_exit = now.last_exit;
	*ret_dead = now.restarts > a->restarts || (now.last_exit >= 0 && !now.wants_up && !now.running);
	if (*ret_dead)
		a->reason = "exited";
	return now.running && now.pid != a->old_pid;
}

static void became_ready(struct sutra_awaited *a, uint64_t began, void (*on_ready)(const struct sutra_awaited *))
{
	a->ready = true;
	a->took_s = (double)(sutra_clock_ns() - began) / 1e9;
	if (on_ready)
		on_ready(a);
}

/* One look at all that are not ready, their probes at once. Returns the first that is dead. */
static struct sutra_awaited *look(const char *state_dir, struct sutra_awaited *list, size_t n,
				  struct sutra_fetch *probes, struct sutra_fetch **wanted, uint64_t began,
				  void (*on_ready)(const struct sutra_awaited *))
{
	size_t asked = 0;

	for (size_t i = 0; i < n; i++) {
		struct sutra_awaited *a = &list[i];
		bool dead;

		if (a->ready)
			continue;
		if (!process_up(state_dir, a, &dead)) {
			if (dead)
				return a;
			a->reason = "starting";
		} else if (!a->health_url) {
			became_ready(a, began, on_ready);
		} else {
			probes[i].url = a->health_url;
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

int sutra_await(const char *state_dir, struct sutra_awaited *list, size_t n, uint64_t timeout_ns,
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
		dead = look(state_dir, list, n, probes, wanted, began, on_ready);
		waiting = dead ? dead : first_unready(list, n);
		if (!waiting)
			break;
		if (dead)
			rc = sutra_fail(err, SUTRA_E_IO, "%s exited with %d instead of becoming ready",
					dead->name, dead->last_exit);
		else if (stop && *stop)
			rc = sutra_fail(err, SUTRA_E_INTERRUPTED, "interrupted while waiting for %s",
					waiting->name);
		else if (sutra_clock_ns() >= end)
			rc = sutra_fail(err, SUTRA_E_TIMEOUT, "%s is not ready: %s, %s", waiting->name,
					waiting->reason, waiting->last_reply);
		else
			poll(NULL, 0, POLL_MS);
	}
	for (size_t i = 0; probes && i < n; i++)
		sutra_fetch_release(&probes[i]);
	sutra_free(probes);
	sutra_free(wanted);
	return rc;
}

char *sutra_log_tail(const char *state_dir, const char *name, int lines)
{
	char *path = xasprintf("%s/native/log/%s/current", state_dir, name), *text, *from, *tail;
	size_t n;
	int rc = sutra_file_read(path, 64 << 20, &text, &n, NULL);

	sutra_free(path);
	if (rc)
		return xstrdup("");
	from = text + n;
	for (int seen = -1; from > text; from--)
		if (from[-1] == '\n' && ++seen == lines)
			break;
	tail = xstrdup(from);
	sutra_free(text);
	return tail;
}
