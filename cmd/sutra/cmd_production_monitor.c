#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/shown.h"
#include "net/port.h"
#include "deploy/deployment.h"
#include "sutra/command.h"
#include "sutra/production/production.h"
#include "sutra/stackio.h"

static uint64_t interval_ns = 10000000000u, for_ns = UINT64_MAX, max_p95_ns = UINT64_MAX;
static int64_t min_hit_rate, max_down, bad_needed = 3, good_needed = 2, requests = 20;
static const char *hook, *webhook, *serve;

static const struct sutra_option rows[] = {
	{ 0, "interval", SUTRA_OPT_DURATION, &interval_ns, "TIME", "from one look to the next (10s)", 0, 0, NULL },
	{ 0, "for", SUTRA_OPT_DURATION, &for_ns, "TIME", "how long (none: until Ctrl-C)", 0, 0, NULL },
	{ 0, "max-p95", SUTRA_OPT_DURATION, &max_p95_ns, "TIME", "longest P95 of its own requests (none)", 0, 0, NULL },
	{ 0, "min-hit-rate", SUTRA_OPT_INT, &min_hit_rate, "PERCENT", "least share of texts from the cache (0: any)", 0,
	  100, NULL },
	{ 0, "max-down", SUTRA_OPT_INT, &max_down, "N", "services that may be down (0)", 0, 1000, NULL },
	{ 0, "bad", SUTRA_OPT_INT, &bad_needed, "N", "bad looks in a row that raise an alert (3)", 1, 1000, NULL },
	{ 0, "good", SUTRA_OPT_INT, &good_needed, "N", "good looks in a row that clear it (2)", 1, 1000, NULL },
	{ 0, "requests", SUTRA_OPT_INT, &requests, "N", "requests of each look, past the cache (20)", 0, 1000, NULL },
	{ 0, "exec", SUTRA_OPT_STRING, &hook, "HOOK", "a command to run when an alert is raised or cleared", 0, 0, NULL },
	{ 0, "webhook", SUTRA_OPT_STRING, &webhook, "URL", "where to POST the alert", 0, 0, NULL },
	{ 0, "serve", SUTRA_OPT_STRING, &serve, "ADDRESS:PORT", "answer /health and /metrics there", 0, 0, NULL },
	{ 0 },
};

/* The state of a run. */
struct run {
	struct production_looker looker;
	struct production_alerts alerts;
	struct production_server *server;
	int64_t started_us;	/* wall clock */
	uint64_t started_ns;
	uint64_t looks, all_up;
	uint64_t requests, failed;
	int64_t texts, hits;
};

static bool is_jsonl(void) { return !strcmp(common.output, "jsonl"); }

static void print_line(json_t *o)
{
	print_document_as(o, JSON_COMPACT | JSON_REAL_PRECISION(6));
}

static json_t *number(double v) { return v < 0 ? json_null() : json_real(v); }

static json_t *active_names(const struct production_alerts *a)
{
	json_t *list = json_array();

	for (int i = 0; i < ALERT_KINDS; i++)
		if (a->alarms[i].active)
			json_array_append_new(list, json_string(production_kind_name((enum production_kind)i)));
	return list;
}

static void print_look_json(const struct production_look *k, const struct production_alerts *a)
{
	char when[SUTRA_RFC3339_LEN];

	sutra_clock_rfc3339(k->wall_us, when);
	print_line(json_pack("{s:s, s:s, s:i, s:i, s:i, s:s, s:i, s:i, s:s, s:o, s:o, s:I, s:I, s:o, s:o}", "schema",
			     "sutra.production-monitor/1", "time", when, "services", (int)k->n, "up", (int)k->up,
			     "down", (int)k->down, "trouble", k->trouble, "requests", (int)k->asked,
			     "requests_failed", (int)k->failed, "failure", k->failure, "p50_ms", number(k->p50_ms),
			     "p95_ms", number(k->p95_ms), "texts", (json_int_t)k->texts, "hits", (json_int_t)k->hits,
			     "hit_rate_percent", number(k->hit_percent), "alerts", active_names(a)));
}

static void print_look_text(const struct production_look *k, const struct production_alerts *a)
{
	char when[SUTRA_RFC3339_LEN];
	const char *before = "  ALERT ";

	sutra_clock_rfc3339(k->wall_us, when);
	printf("%.19sZ  %zu/%zu up", when, k->up, k->n);
	if (k->p95_ms >= 0)
		printf("  P50 %.1f ms  P95 %.1f ms", k->p50_ms, k->p95_ms);
	if (k->failed)
		printf("  %u of %u requests failed", k->failed, k->asked);
	if (k->hit_percent >= 0)
		printf("  hit rate %.1f %% of %lld", k->hit_percent, (long long)k->texts);
	for (int i = 0; i < ALERT_KINDS; i++) {
		if (!a->alarms[i].active)
			continue;
		printf("%s%s", before, production_kind_name((enum production_kind)i));
		before = ", ";
	}
	if (k->trouble[0])
		sutra_shown_printf(stdout, "  %s", k->trouble);
	putchar('\n');
}

static void say_event(const struct production_event *e)
{
	if (is_jsonl() && !common.quiet)
		print_line(production_event_document(e));
	else
		sutra_shown_printf(stderr, "alert %s %s: %s\n", production_kind_name(e->kind), e->cleared_us ? "cleared" : "raised",
			e->message);
}

static double milliseconds(const struct sutra_histogram *h, double q)
{
	return sutra_histogram_count(h) ? (double)sutra_histogram_quantile(h, q) / 1e6 : -1;
}

static void print_report_json(const struct run *r)
{
	char from[SUTRA_RFC3339_LEN], to[SUTRA_RFC3339_LEN];
	json_t *list = json_array();

	sutra_clock_rfc3339(r->started_us, from);
	sutra_clock_rfc3339(sutra_clock_wall_us(), to);
	for (size_t i = 0; i < r->alerts.n; i++)
		json_array_append_new(list, production_event_document(&r->alerts.events[i]));
	print_line(json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:o, s:o, s:I, s:I, s:o, s:o, s:I, s:i, s:i}", "schema",
			     "sutra.production-monitor-report/1", "from", from, "to", to, "looks", (json_int_t)r->looks,
			     "looks_all_up", (json_int_t)r->all_up, "requests", (json_int_t)r->requests,
			     "requests_failed", (json_int_t)r->failed, "p50_ms",
			     number(milliseconds(r->looker.all, 0.5)), "p95_ms",
			     number(milliseconds(r->looker.all, 0.95)), "texts", (json_int_t)r->texts, "hits",
			     (json_int_t)r->hits, "hit_rate_percent",
			     number(r->texts ? 100.0 * (double)r->hits / (double)r->texts : -1), "alerts", list,
			     "alerts_not_kept", (json_int_t)r->alerts.forgotten, "passed_on", (int)r->alerts.delivered, "not_passed_on", (int)r->alerts.undelivered));
}

static void print_report_text(const struct run *r)
{
	char took[32], stamp[SUTRA_RFC3339_LEN];

	sutra_clock_human((double)(sutra_clock_ns() - r->started_ns) / 1e9, took, sizeof(took));
	printf("\nReport: %llu looks in %s\n", (unsigned long long)r->looks, took);
	printf("  all services up   %llu of %llu looks\n", (unsigned long long)r->all_up, (unsigned long long)r->looks);
	if (r->requests)
		printf("  own requests      %llu, %llu failed\n", (unsigned long long)r->requests,
		       (unsigned long long)r->failed);
	if (sutra_histogram_count(r->looker.all))
		printf("  their time        P50 %.1f ms, P95 %.1f ms, longest %.1f ms\n",
		       milliseconds(r->looker.all, 0.5), milliseconds(r->looker.all, 0.95),
		       (double)sutra_histogram_max(r->looker.all) / 1e6);
	if (r->texts)
		printf("  clients' texts    %lld, %.1f %% from the cache\n", (long long)r->texts,
		       100.0 * (double)r->hits / (double)r->texts);
	printf("  alerts            %zu%s\n", r->alerts.forgotten + r->alerts.n, r->alerts.n ? ":" : "");
	if (r->alerts.forgotten)
		printf("    (the oldest %zu are not kept)\n", r->alerts.forgotten);
	for (size_t i = 0; i < r->alerts.n; i++) {
		const struct production_event *e = &r->alerts.events[i];

		sutra_clock_rfc3339(e->raised_us, stamp);
		printf("    %.19sZ  %s ", stamp, production_kind_name(e->kind));
		if (e->cleared_us) {
			sutra_clock_human((double)(e->cleared_us - e->raised_us) / 1e6, took, sizeof(took));
			printf("for %s, cleared\n", took);
		} else {
			sutra_shown_printf(stdout, "not cleared: %s\n", e->message);
		}
	}
	if (r->alerts.delivered || r->alerts.undelivered)
		printf("  passed on         %u, %u failed\n", r->alerts.delivered, r->alerts.undelivered);
}

static void look_once(struct run *r)
{
	struct production_look k;

	production_look(&r->looker, &k);
	r->looks++;
	r->all_up += k.n && k.up == k.n;
	r->requests += k.asked;
	r->failed += k.failed;
	r->texts += k.texts;
	r->hits += k.hits;
	production_alerts_take(&r->alerts, &k);
	if (r->server)
		production_serve_look(r->server, &k, &r->alerts);
	if (is_jsonl() && !common.quiet)
		print_look_json(&k, &r->alerts);
	else if (!common.quiet)
		print_look_text(&k, &r->alerts);
	production_look_release(&k);
}

/* Sleeps in slices: a signal that another thread handles does not interrupt this one. */
static void sleep_until(uint64_t when)
{
	for (uint64_t now; !command_stopped && (now = sutra_clock_ns()) < when;) {
		uint64_t left = when - now < 100000000 ? when - now : 100000000;

		nanosleep(&(struct timespec){ .tv_nsec = (long)left }, NULL);
	}
}

/* Looks at start + k * interval; a look that takes longer than the interval skips some. */
static void watch(struct run *r)
{
	uint64_t start = sutra_clock_ns(), next = start, end = for_ns == UINT64_MAX ? for_ns : start + for_ns;

	while (!command_stopped && next < end) {
		look_once(r);
		if (fflush(stdout))
			break;	/* main reports that standard output failed */
		do
			next += interval_ns;
		while (next < sutra_clock_ns());
		sleep_until(next < end ? next : end);
	}
}

static int check_options(struct sutra_err *err)
{
	struct sockaddr_storage address;
	socklen_t length;

	if (interval_ns == UINT64_MAX)
		return sutra_fail(err, SUTRA_E_USAGE, "--interval needs a time");
	if (webhook && !sutra_str_starts(webhook, "http://") && !sutra_str_starts(webhook, "https://"))
		return sutra_fail(err, SUTRA_E_USAGE, "--webhook is \"%.100s\"; http://... or https://... is wanted", webhook);
	if (serve && sutra_addr_parse(serve, &address, &length, NULL))
		return sutra_fail(err, SUTRA_E_USAGE, "--serve is \"%.100s\"; an address and port as 127.0.0.1:9100 are wanted",
				  serve);
	return 0;
}

/* A stack must be deployed at the start; its later end is something to alert about. */
static int begin(struct run *r, struct sutra_err *err)
{
	struct sutra_deployment *d = NULL;
	uint64_t stale_ns = 3 * interval_ns + 10000000000u;
	int rc = check_options(err);

	if (rc)
		return rc;
	rc = sutra_deployment_load(r->looker.state_dir, &d, err);
	sutra_deployment_free(d);
	if (rc == SUTRA_E_NOTFOUND)
		err->code = rc = SUTRA_E_UNAVAILABLE;
	if (!rc && serve)
		rc = production_serve(serve, stale_ns, &r->server, err);
	return rc;
}

static int run(int n, char **argv)
{
	struct run r = { .started_us = sutra_clock_wall_us(), .started_ns = sutra_clock_ns() };
	struct sutra_err err;
	int code;

	r.looker = (struct production_looker){ .state_dir = sutra_state_dir(), .requests = (unsigned)requests,
				       .limit_ns = interval_ns, .texts = -1, .hits = -1,
				       .all = sutra_histogram_new() };
	r.alerts = (struct production_alerts){
		.limits = { max_p95_ns == UINT64_MAX ? 0 : (double)max_p95_ns / 1e6, min_hit_rate, max_down },
		.hook = hook, .webhook = webhook, .say = say_event,
	};
	for (int i = 0; i < ALERT_KINDS; i++)
		r.alerts.alarms[i] = (struct sutra_alarm){ .bad_needed = (unsigned)bad_needed,
							   .good_needed = (unsigned)good_needed };
	command_catch_signals();
	if (begin(&r, &err)) {
		code = command_fail(&err);
	} else {
		watch(&r);
		code = command_stopped ? 128 + command_stopped : r.alerts.n ? EXIT_NO : EXIT_YES;
		if (is_jsonl() && !common.quiet)
			print_report_json(&r);
		else if (!common.quiet)
			print_report_text(&r);
	}
	production_serve_end(r.server);
	sutra_free(r.alerts.events);
	sutra_histogram_free(r.looker.all);
	sutra_free(r.looker.state_dir);
	return code;
}

const struct command cmd_production_monitor = {
	.name = "production-monitor",
	.summary = "watch the stack for long: a line an interval, alerts, a report at the end",
	.synopsis = "[--interval TIME] [--for TIME] [--requests N] [--max-p95 TIME] [--min-hit-rate PERCENT] "
		    "[--max-down N] [--bad N] [--good N] [--exec HOOK] [--webhook URL] [--serve ADDRESS:PORT] "
		    "[-o FORMAT]",
	.examples = "sutra production-monitor\tuntil Ctrl-C\n"
		    "sutra production-monitor --for 1h --max-p95 50ms\texit 1 if an alert was raised\n"
		    "sutra production-monitor --exec ./page-me\tSUTRA_ALERT, SUTRA_ALERT_STATE tell it what\n"
		    "sutra production-monitor --serve 127.0.0.1:9100\t/health and /metrics\n",
	.options = rows,
	.formats = "table|jsonl",
	.run = run,
};
