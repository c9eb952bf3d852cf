/*
 * Ready for production, by what kernel and runtime report: limits in force, restart policy, addresses,
 * files of settings, disk, logs. They are read where they take effect, not from the deployment's record.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/jsonio.h"
#include "base/str.h"
#include "check/check.h"
#include "check/kinds.h"
#include "check/pass.h"
#include "probe/facts.h"

static const uint64_t REQUEST_NS = 5000000000u;
enum { LOG_LINES = 1000, LEVEL_WITHIN = 90 };

static json_t *facts_of(const struct sutra_check_run *r, size_t i)
{
	return sutra_facts_of(r->env->d, &r->env->d->services[i]);
}

/* An integer of a document; -1: not known. */
static int64_t figure(const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);

	return json_is_integer(v) ? json_integer_value(v) : -1;
}

/* Sums over all services that run. */
struct memory {
	size_t running, held;
	int64_t oom_kills;
	double fullest;		/* per cent */
	char limit[32];		/* of the fullest */
	char wrong[160];	/* the first that is not held to its limit */
};

static void add_memory(const struct sutra_deployed *s, const json_t *facts, struct memory *sum)
{
	const json_t *m = json_object_get(facts, "memory");
	int64_t limit = figure(m, "limit"), used = figure(m, "used"), killed = figure(m, "oom_kills");
	char text[32] = "";

	if (!json_is_true(json_object_get(facts, "running")))
		return;	/* kind healthy reports that */
	sum->running++;
	sum->oom_kills += killed > 0 ? killed : 0;
	if (limit > 0)
		sutra_str_bytes((uint64_t)limit, text, sizeof(text));
	if (limit > 0 && (uint64_t)limit == s->unit->memory_limit)
		sum->held++;
	else if (!sum->wrong[0])
		snprintf(sum->wrong, sizeof(sum->wrong), "%.60s %s%s", s->unit->name, limit > 0 ? "is held to " :
			 m ? "has no limit in force" : "is in no control group that can be read here", text);
	if (limit > 0 && 100.0 * (double)used / (double)limit > sum->fullest) {
		sum->fullest = 100.0 * (double)used / (double)limit;
		snprintf(sum->limit, sizeof(sum->limit), "%s", text);
	}
}

static int run_memory_limits(struct sutra_check_run *r, struct sutra_err *err)
{
	struct memory sum = { 0 };

	for (size_t i = 0; i < r->env->d->n; i++) {
		json_t *facts = facts_of(r, i);

		add_memory(&r->env->d->services[i], facts, &sum);
		json_decref(facts);
	}
	sutra_check_set(r, "limited", (double)sum.held);
	sutra_check_set(r, "unlimited", (double)(sum.running - sum.held));
	sutra_check_set(r, "fullest_percent", sum.fullest);
	sutra_check_set(r, "oom_kills", (double)sum.oom_kills);
	sutra_check_say(r, "%zu of %zu held by the kernel, fullest at %.1f %% of %s, %lld OOM kills", sum.held,
			sum.running, sum.fullest, sum.limit, (long long)sum.oom_kills);
	if (!sum.running)
		return sutra_check_no(r, "no service runs");
	return sum.wrong[0] ? sutra_check_no(r, "%zu of %zu services are not held to the limit that is set: %s",
					     sum.running - sum.held, sum.running, sum.wrong) : 0;
}

const struct sutra_check_kind sutra_kind_memory_limits = {
	.name = "memory_limits",
	.needs_stack = true,
	.values = { { "limited", "", 1 },
		    { "unlimited", "", -1 },
		    { "fullest_percent", "%", -1 },
		    { "oom_kills", "", -1 } },
	.run = run_memory_limits,
};

static int run_restart_policy(struct sutra_check_run *r, struct sutra_err *err)
{
	char wrong[80] = "", policy[48] = "";
	size_t unattended = 0, n = r->env->d->n;

	for (size_t i = 0; i < n; i++) {
		json_t *facts = facts_of(r, i);
		const char *word = json_string_value(json_object_get(facts, "restart"));

		if (!word || !strcmp(word, "no")) {
			if (!unattended++)
				snprintf(wrong, sizeof(wrong), "%s", r->env->d->services[i].unit->name);
		} else {
			snprintf(policy, sizeof(policy), "%s", word);
		}
		json_decref(facts);
	}
	sutra_check_set(r, "unattended", (double)unattended);
	sutra_check_say(r, "%zu of %zu are started again when they end%s%s", n - unattended, n, *policy ? ": " : "",
			policy);
	return unattended ? sutra_check_no(r, "nothing starts %s again when it ends", wrong) : 0;
}

const struct sutra_check_kind sutra_kind_restart_policy = {
	.name = "restart_policy",
	.needs_stack = true,
	.values = { { "unattended", "", -1 } },
	.run = run_restart_policy,
};

static bool is_loopback(const char *address)
{
	return sutra_str_starts(address, "127.") || sutra_str_starts(address, "[::1]:");
}

/* An address that is not on loopback is wanted when SUTRA_BIND published the service there. */
static int run_loopback(struct sutra_check_run *r, struct sutra_err *err)
{
	size_t all = 0, open = 0, asked = 0, unknown = 0;
	char wrong[160] = "";

	for (size_t i = 0; i < r->env->d->n; i++) {
		const struct sutra_deployed *s = &r->env->d->services[i];
		bool bind = s->unit->published && !is_loopback(s->unit->published);
		json_t *facts = facts_of(r, i), *list = json_object_get(facts, "listens");

		unknown += !list && json_is_true(json_object_get(facts, "running"));
		for (size_t k = 0; k < json_array_size(list); k++) {
			const char *address = json_string_value(json_array_get(list, k));

			all++;
			if (is_loopback(address))
				continue;
			asked += bind;
			open += !bind;
			if (!bind && !wrong[0])
				snprintf(wrong, sizeof(wrong), "%.60s listens on %.60s", s->unit->name, address);
		}
		json_decref(facts);
	}
	sutra_check_set(r, "addresses", (double)all);
	sutra_check_set(r, "open", (double)open);
	sutra_check_set(r, "bound", (double)asked);
	sutra_check_say(r, "%zu addresses of this host, %zu not on loopback, %zu of them as SUTRA_BIND asks", all,
			open + asked, asked);
	if (unknown || !all)
		return sutra_check_no(r, "where %zu services listen cannot be seen", unknown ? unknown :
				      r->env->d->n);
	return open ? sutra_check_no(r, "%s, which nothing asked for", wrong) : 0;
}

const struct sutra_check_kind sutra_kind_loopback = {
	.name = "loopback",
	.needs_stack = true,
	.values = { { "addresses", "", 0 },
		    { "open", "", -1 },
		    { "bound", "", 0 } },
	.run = run_loopback,
};

static int run_private_files(struct sutra_check_run *r, struct sutra_err *err)
{
	json_t *list, *f;
	char wrong[400] = "";
	size_t open = 0, i;

	list = sutra_facts_files(r->env->d);
	json_array_foreach(list, i, f) {
		int64_t mode = figure(f, "mode");

		if (mode & 077 && !open++)
			snprintf(wrong, sizeof(wrong), "%.300s has mode %04llo", json_string_value(json_object_get(f, "path")),
				 (unsigned long long)mode);
	}
	sutra_check_set(r, "files", (double)json_array_size(list));
	sutra_check_set(r, "open", (double)open);
	sutra_check_say(r, "%zu files of settings and secrets, %zu open to others", json_array_size(list), open);
	json_decref(list);
	return open ? sutra_check_no(r, "%s; 0600 is wanted", wrong) : 0;
}

const struct sutra_check_kind sutra_kind_private_files = {
	.name = "private_files",
	.needs_stack = true,
	.values = { { "files", "", 0 }, { "open", "", -1 } },
	.run = run_private_files,
};

static int run_log_rotation(struct sutra_check_run *r, struct sutra_err *err)
{
	char wrong[80] = "", most[32], now[32];
	size_t endless = 0, n = r->env->d->n;
	int64_t largest = 0, bytes = 0;

	for (size_t i = 0; i < n; i++) {
		json_t *facts = facts_of(r, i), *log = json_object_get(facts, "log");
		int64_t max = figure(log, "max");

		/* "elsewhere": a log driver forwards the lines; no "log": there is nothing to log. */
		if (log && max <= 0 && !json_object_get(log, "elsewhere") && !endless++)
			snprintf(wrong, sizeof(wrong), "%s", r->env->d->services[i].unit->name);
		largest = max > largest ? max : largest;
		bytes += figure(log, "bytes") > 0 ? figure(log, "bytes") : 0;
		json_decref(facts);
	}
	sutra_check_set(r, "endless", (double)endless);
	sutra_check_set(r, "bytes", (double)bytes);
	sutra_str_bytes((uint64_t)largest, most, sizeof(most));
	sutra_str_bytes((uint64_t)bytes, now, sizeof(now));
	sutra_check_say(r, "%zu of %zu logs are rotated, at most %s each%s%s", n - endless, n, most,
			bytes ? ", now all together " : "", bytes ? now : "");
	return endless ? sutra_check_no(r, "the log of %s grows without limit", wrong) : 0;
}

const struct sutra_check_kind sutra_kind_log_rotation = {
	.name = "log_rotation",
	.needs_stack = true,
	.values = { { "endless", "", -1 }, { "bytes", "B", 0 } },
	.run = run_log_rotation,
};

/* Whether the line is an error, in one of our formats or HAProxy's: the level stands near its start. */
static bool is_error(const char *line, size_t n)
{
	static const char *const words[] = { " ERROR ", "\"level\":\"error\"", "[ALERT]", "[EMERG]" };
	char head[LEVEL_WITHIN + 1];

	snprintf(head, sizeof(head), "%.*s", (int)(n < LEVEL_WITHIN ? n : LEVEL_WITHIN), line);
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (strstr(head, words[i]))
			return true;
	return false;
}

/* Which lines count: those whose stamp, in UTC, is since_s or later, and not from skip_s to skip_end_s. */
struct window {
	int64_t since_s, skip_s, skip_end_s;
};

/* HAProxy logs alerts about replicas that are still starting, which do not count. Our own programs log no
 * error when they start well. */
static struct window window_of(const struct sutra_deployed *s, int64_t since_s)
{
	struct window w = { since_s, 0, 0 };

	if (sutra_str_starts(s->unit->program, "sutra-"))
		return w;
	w.skip_s = s->now.since_us / 1000000;
	w.skip_end_s = w.skip_s + (int64_t)(s->unit->start_period_ns / 1000000000);
	return w;
}

/* Errors among the lines that count; the last one to wrong. */
static size_t count_errors(const char *text, const struct window *w, size_t *stamped, size_t *lines, char *wrong,
			   size_t size)
{
	size_t errors = 0;

	for (const char *line = text; *line;) {
		size_t n = strcspn(line, "\n");
		struct tm tm = { 0 };

		bool is_line = strptime(line, "%Y-%m-%dT%H:%M:%S", &tm) != NULL;
		int64_t at = is_line ? timegm(&tm) : 0;
		bool is_new = at >= w->since_s && (at < w->skip_s || at >= w->skip_end_s);

		*stamped += is_line;
		*lines += is_new;
		if (is_new && is_error(line, n)) {
			errors++;
			snprintf(wrong, size, "%.*s", (int)n, line);
		}
		line += n + (line[n] == '\n');
	}
	return errors;
}

static int run_log_errors(struct sutra_check_run *r, struct sutra_err *err)
{
	const struct sutra_deployment *d = r->env->d;
	double minutes = sutra_check_param(r->check, "minutes");
	int64_t since_s = sutra_clock_wall_us() / 1000000 - (int64_t)(60 * minutes);
	size_t errors = 0, lines = 0, stamped = 0;
	char wrong[300] = "", service[64] = "";

	for (size_t i = 0; i < d->n; i++) {
		struct window w = window_of(&d->services[i], since_s);
		char *text = d->rt->log_tail(d->state_dir, d->services[i].unit->name, LOG_LINES);
		size_t found = count_errors(text, &w, &stamped, &lines, wrong, sizeof(wrong));

		sutra_free(text);
		if (found)
			snprintf(service, sizeof(service), "%s", d->services[i].unit->name);
		errors += found;
	}
	sutra_check_set(r, "errors", (double)errors);
	sutra_check_say(r, "%zu errors in %zu lines of the last %.0f minutes%s%s%s%.120s", errors, lines, minutes,
			errors ? "; " : "", service, errors ? ": " : "", wrong);
	return stamped ? 0 : sutra_check_no(r, "no service's log can be read");
}

const struct sutra_check_kind sutra_kind_log_errors = {
	.name = "log_errors",
	.needs_stack = true,
	.params = { { "minutes", 1, 1440, 5, false } },
	.values = { { "errors", "", -1 } },
	.run = run_log_errors,
};

/* Sends one new text and waits until the shard has written a record; *ret: milliseconds. */
static int write_one(struct sutra_check_run *r, const struct sutra_deployed *s, double *ret,
		     struct sutra_err *err)
{
	char url[SUTRA_CHECK_URL];
	bool runs = sutra_check_metrics_url(r, s, url);
	double before = sutra_check_metric(r, runs ? url : NULL, "", "sutra_storage_written_total"), after;
	uint64_t start = sutra_clock_ns(), limit = sutra_check_time(r->env, REQUEST_NS);
	struct sutra_embed_answer a;
	int rc;

	if (before < 0)
		return sutra_check_no(r, "%s reports no sutra_storage_written_total", s->unit->name);
	rc = sutra_check_fresh(r, r->env->gateway, r->shared->fresh++, false, &a, err);
	if (rc)
		return rc;
	sutra_embed_release(&a);
	do {
		after = sutra_check_metric(r, url, "", "sutra_storage_written_total");
		if (after > before) {
			*ret = (double)(sutra_clock_ns() - start) / 1e6;
			return 0;
		}
		nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
	} while (sutra_clock_ns() - start < limit);
	return sutra_check_no(r, "%s wrote nothing into its log within %.0f s of a new text", s->unit->name, (double)limit / 1e9);
}

static int run_volume(struct sutra_check_run *r, struct sutra_err *err)
{
	const struct sutra_deployed *s;
	char free_text[32], path[200] = "";
	json_t *facts, *v;
	double took = 0, percent;
	int64_t space, size;
	int rc;

	if (!r->check->service)
		return sutra_check_skip(r, "the check names no \"service\"");
	s = sutra_deployment_find(r->env->d, r->check->service);
	facts = sutra_facts_of(r->env->d, s);
	v = json_array_get(json_object_get(facts, "volumes"), 0);
	space = figure(v, "free");
	size = figure(v, "size");
	snprintf(path, sizeof(path), "%s", v ? json_string_value(json_object_get(v, "path")) : "");
	json_decref(facts);
	if (size <= 0)
		return sutra_check_no(r, "%s has no persistent folder that can be seen here", s->unit->name);
	percent = 100.0 * (double)space / (double)size;
	sutra_check_set(r, "free_percent", percent);
	sutra_check_set(r, "free_bytes", (double)space);
	rc = write_one(r, s, &took, err);
	if (rc)
		return rc;
	sutra_check_set(r, "written_ms", took);
	sutra_str_bytes((uint64_t)space, free_text, sizeof(free_text));
	sutra_check_say(r, "%s: %s free (%.0f %%), a new text in its log after %.0f ms", path, free_text, percent, took);
	return 0;
}

const struct sutra_check_kind sutra_kind_volume = {
	.name = "volume",
	.one_service = true,
	.needs_stack = true,
	.logs = SUTRA_LOGS_SHARD,
	.values = { { "free_percent", "%", 1 },
		    { "free_bytes", "B", 1 },
		    { "written_ms", "ms", -1 } },
	.run = run_volume,
};
