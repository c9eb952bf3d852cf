#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/jsonio.h"
#include "base/shown.h"
#include "base/str.h"
#include "load/ask.h"
#include "probe/cachestats.h"
#include "load/loadreport.h"
#include "load/load.h"
#include "load/textsource.h"
#include "sutra/command.h"
#include "probe/gateway.h"
#include "sutra/stackio.h"
#include "term/progress.h"
#include "term/table.h"

static const uint64_t MS_NS = 1000000, CALL_NS = 10000000000u, TICK_NS = 100000000;
static const double DEFAULT_RATE = 100, MAX_RATE = 1e6;
enum { MAX_OPEN = 10000, MAX_CONNECTIONS = 1000, SPARE_FILES = 64, MAX_DOCUMENT = 64 << 20, MAX_ROWS = 120 };

static const char *url_flag, *rate_flag, *texts_flag, *mix = "zipf", *against;
static int64_t connections, dimension;
static uint64_t duration_ns = 30000000000u, timeout_ns = 10000000000u, interval_ns = 1000000000u,
		max_late_ns = 1000000;

static const struct sutra_option rows[] = {
	{ 0, "url", SUTRA_OPT_STRING, &url_flag, "URL", "another gateway than the deployed one", 0, 0, NULL },
	{ 0, "rate", SUTRA_OPT_STRING, &rate_flag, "R", "open loop: requests a second (100)", 0, 0, NULL },
	{ 0, "connections", SUTRA_OPT_INT, &connections, "N", "closed loop: N callers, each waits for its answer", 1,
	  MAX_CONNECTIONS, NULL },
	{ 0, "duration", SUTRA_OPT_DURATION, &duration_ns, "TIME", "how long (30s; none: until Ctrl-C)", 0, 0, NULL },
	{ 0, "texts", SUTRA_OPT_STRING, &texts_flag, "FILE", "one text a line, again from the top at its end", 0, 0,
	  NULL },
	{ 0, "mix", SUTRA_OPT_CHOICE, &mix, "MIX", "built-in texts: popular ones often, or each new", 0, 0,
	  "zipf|fresh" },
	{ 0, "dimension", SUTRA_OPT_INT, &dimension, "N", "of the vectors asked for (the service's default)", 1, 4096,
	  NULL },
	{ 0, "timeout", SUTRA_OPT_DURATION, &timeout_ns, "TIME", "limit of each request (10s)", 0, 0, NULL },
	{ 0, "interval", SUTRA_OPT_DURATION, &interval_ns, "TIME", "a row of the timeline (1s)", 0, 0, NULL },
	{ 0, "max-late", SUTRA_OPT_DURATION, &max_late_ns, "TIME", "inconclusive when sends are later at P99 (1ms; none)",
	  0, 0, NULL },
	{ 0, "against", SUTRA_OPT_STRING, &against, "FILE", "compare with an earlier run's JSON", 0, 0, NULL },
	{ 0 },
};

struct levels {
	int64_t l1, l2, computed;
};

struct course {
	struct sutra_load_options o;
	char *url;
	struct sutra_strv gateways;	/* whose cache counters are read; none: unknown */
	struct sutra_textsource *texts;
	json_t *before;			/* of --against */
	struct levels levels;
	bool has_levels;
};

/* The limit of requests in flight: more than the open files allowed would fail in the generator itself. */
static unsigned files_allowed(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r))
		return 256;
	r.rlim_cur = r.rlim_max;
	setrlimit(RLIMIT_NOFILE, &r);
	if (getrlimit(RLIMIT_NOFILE, &r) || r.rlim_cur > MAX_OPEN + SPARE_FILES)
		return MAX_OPEN;
	return r.rlim_cur > 2 * SPARE_FILES ? (unsigned)r.rlim_cur - SPARE_FILES : SPARE_FILES;
}

static int check_options(struct course *c)
{
	double rate = DEFAULT_RATE;

	if (rate_flag && connections)
		return command_usage("--rate and --connections are two kinds of load; one of them");
	if (rate_flag && sutra_str_double(rate_flag, 0.001, MAX_RATE, &rate))
		return command_usage("--rate is \"%s\"; a number of requests a second is wanted, 0.001 to 1000000",
				     rate_flag);
	if (interval_ns < 10 * MS_NS || interval_ns > 3600000 * MS_NS)
		return command_usage("--interval must be 10ms to 1h");
	if (timeout_ns == UINT64_MAX)
		return command_usage("--timeout must end: a service that hangs would hold the load for ever");
	c->o = (struct sutra_load_options){
		.rate = connections ? 0 : rate,
		.connections = (unsigned)connections,
		.timeout_ns = timeout_ns,
		.deadline_ns = UINT64_MAX,
		.span_ns = duration_ns == UINT64_MAX ? 0 : duration_ns,
		.max_open = files_allowed(),
		.bucket_ms = (unsigned)(interval_ns / MS_NS),
		.quantiles = true,
		.dimension = dimension,
		.next = sutra_textsource_next,
	};
	return 0;
}

static int open_texts(struct sutra_textsource **ret, struct sutra_err *err)
{
	uint64_t nonce;

	if (texts_flag)
		return sutra_textsource_file(texts_flag, ret, err);
	if (!strcmp(mix, "zipf"))
		return sutra_textsource_zipf(ret, err);
	sutra_random(&nonce, sizeof(nonce));
	return sutra_textsource_fresh(nonce, ret, err);
}

/* Opens what the options name, before the first request. */
static int open_course(struct course *c, struct sutra_err *err)
{
	int rc = sutra_gateway_url(url_flag, &c->url, err);

	if (rc)
		return rc;
	rc = open_texts(&c->texts, err);
	if (!rc && against)
		rc = sutra_json_read(against, MAX_DOCUMENT, &c->before, err);
	if (!rc && against) {
		json_t *nothing = json_object();

		rc = sutra_load_compare(nothing, c->before, err);
		json_decref(nothing);
		if (rc)
			sutra_err_prefix(err, "--against %s", against);
	}
	if (rc)
		err->code = SUTRA_E_USAGE;
	return rc;
}

static void close_course(struct course *c)
{
	sutra_free(c->url);
	sutra_strv_release(&c->gateways);
	sutra_textsource_free(c->texts);
	json_decref(c->before);
}

/* Sends one request first, so that a wrong URL or a refusing service is reported at once. */
static int try_one(struct course *c, struct sutra_err *err)
{
	struct sutra_embed_answer a = { 0 };
	struct sutra_buf text;
	const char *words;
	uint32_t id;
	int rc;

	sutra_buf_init(&text, 1 << 18);
	sutra_textsource_next(c->texts, &text, &id);
	words = sutra_buf_str(&text);
	rc = sutra_embed(c->url, &(struct sutra_embed_request){ .texts = &words, .n = 1, .dimension = dimension },
			 timeout_ns, NULL, &a, err);
	sutra_buf_release(&text);
	sutra_embed_release(&a);
	return rc ? sutra_hint(err, "this was one request before the load; nothing was measured") : 0;
}

/* Sums the counters of all gateways; false: one of them does not answer. */
static bool read_levels(const struct course *c, struct levels *ret)
{
	struct levels sum = { 0 };

	for (size_t i = 0; i < c->gateways.n; i++) {
		struct sutra_cache_stats s;

		if (sutra_cache_stats_fetch(c->gateways.items[i], CALL_NS, &s, NULL))
			return false;
		sum.l1 += s.l1.hits;
		sum.l2 += s.l2.hits;
		sum.computed += s.misses;
	}
	*ret = sum;
	return c->gateways.n > 0;
}

static void show(struct sutra_progress *p, struct sutra_load *load, uint64_t began)
{
	double passed = (double)(sutra_clock_ns() - began) / 1e9;
	struct sutra_load_result t;
	char detail[160], of[32] = "";

	sutra_load_look(load, &t);
	if (duration_ns != UINT64_MAX)
		snprintf(of, sizeof(of), " of %.0f s", (double)duration_ns / 1e9);
	snprintf(detail, sizeof(detail), "%.0f%s%s, %llu sent, %llu answered, %llu failed, P99 %.1f ms", passed, of,
		 *of ? "" : " s", (unsigned long long)t.sent, (unsigned long long)(t.ok + t.failed),
		 (unsigned long long)t.failed, (double)sutra_histogram_quantile(t.response, 0.99) / 1e6);
	sutra_progress_state(p, "load", detail);
}

/* Runs the load until everything is sent and answered, or a signal arrives. */
static int drive(struct course *c, struct sutra_load_result *ret, struct sutra_err *err)
{
	struct sutra_progress progress;
	struct levels before, after;
	uint64_t began = sutra_clock_ns();
	struct sutra_load *load;
	int rc;

	c->has_levels = read_levels(c, &before);
	c->o.base = c->url;
	c->o.user = c->texts;
	rc = sutra_load_start(&c->o, &load, err);
	if (rc)
		return rc;
	sutra_progress_init(&progress, common.color, common.quiet);
	while (!sutra_load_done(load, TICK_NS) && !command_stopped)
		show(&progress, load, began);
	sutra_load_stop(load);
	sutra_load_finish(load, ret);
	sutra_progress_clear(&progress);
	c->has_levels = c->has_levels && read_levels(c, &after);
	if (c->has_levels)
		c->levels = (struct levels){ after.l1 - before.l1, after.l2 - before.l2,
					     after.computed - before.computed };
	return 0;
}

static double number(const json_t *doc, const char *key) { return json_number_value(json_object_get(doc, key)); }

static void time_row(struct sutra_table *t, const char *name, const json_t *o)
{
	static const char *const keys[] = { "mean", "p50", "p90", "p95", "p99", "p99_9", "max" };

	sutra_table_cell(t, SUTRA_ROLE_HEAD, name);
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
		char text[32];

		sutra_clock_human(number(o, keys[i]) / 1e3, text, sizeof(text));
		sutra_table_cell(t, SUTRA_ROLE_PLAIN, text);
	}
}

static void print_times(const json_t *doc, const struct sutra_term *term)
{
	static const struct sutra_column columns[] = {
		{ "TIME", false, 0 }, { "MEAN", true, 0 }, { "P50", true, 0 },	 { "P90", true, 0 }, { "P95", true, 0 },
		{ "P99", true, 0 },   { "P99.9", true, 0 }, { "MAX", true, 0 }, { NULL, false, 0 },
	};
	struct sutra_table *t = sutra_table_new(columns);

	time_row(t, "response, from the intended instant", json_object_get(doc, "response_ms"));
	time_row(t, "service, from the send", json_object_get(doc, "service_ms"));
	if (json_object_get(doc, "lateness_ms"))
		time_row(t, "lateness of the sends", json_object_get(doc, "lateness_ms"));
	sutra_table_print(t, term, 0);
	sutra_table_free(t);
}

static void print_timeline(const json_t *doc, const struct sutra_term *term)
{
	static const struct sutra_column columns[] = {
		{ "AT", true, 0 },  { "SENT", true, 0 }, { "OK", true, 0 },  { "FAILED", true, 0 },
		{ "P50", true, 0 }, { "P99", true, 0 },	 { "MAX", true, 0 }, { NULL, false, 0 },
	};
	static const char *const keys[] = { "p50_ms", "p99_ms", "max_ms" };
	const json_t *list = json_object_get(doc, "timeline"), *row;
	struct sutra_table *t;
	size_t i;

	if (json_array_size(list) > MAX_ROWS) {
		printf("\nthe timeline has %zu rows: -o json prints it, sutra report draws it\n", json_array_size(list));
		return;
	}
	t = sutra_table_new(columns);
	json_array_foreach (list, i, row) {
		bool bad = number(row, "failed") > 0;

		sutra_table_cellf(t, SUTRA_ROLE_DIM, "%g s", number(row, "t_ms") / 1e3);
		sutra_table_cellf(t, SUTRA_ROLE_PLAIN, "%.0f", number(row, "sent"));
		sutra_table_cellf(t, SUTRA_ROLE_PLAIN, "%.0f", number(row, "ok"));
		sutra_table_cellf(t, bad ? SUTRA_ROLE_BAD : SUTRA_ROLE_PLAIN, "%.0f", number(row, "failed"));
		for (size_t k = 0; k < 3; k++) {
			char text[32] = "-";

			if (json_object_get(row, keys[k]))
				sutra_clock_human(number(row, keys[k]) / 1e3, text, sizeof(text));
			sutra_table_cell(t, SUTRA_ROLE_PLAIN, text);
		}
	}
	putchar('\n');
	sutra_table_print(t, term, 0);
	sutra_table_free(t);
}

static void print_against(const json_t *doc, const struct sutra_term *term)
{
	static const struct sutra_column columns[] = {
		{ "FIGURE", false, 0 }, { "BEFORE", true, 0 }, { "NOW", true, 0 }, { "RATIO", true, 0 },
		{ NULL, false, 0 },
	};
	const json_t *o = json_object_get(doc, "against"), *row;
	struct sutra_table *t;
	size_t i;

	if (!o)
		return;
	t = sutra_table_new(columns);
	json_array_foreach (json_object_get(o, "figures"), i, row) {
		sutra_table_cell(t, SUTRA_ROLE_HEAD, json_string_value(json_object_get(row, "figure")));
		sutra_table_cellf(t, SUTRA_ROLE_PLAIN, "%.3f", number(row, "before"));
		sutra_table_cellf(t, SUTRA_ROLE_PLAIN, "%.3f", number(row, "now"));
		if (json_is_number(json_object_get(row, "ratio")))
			sutra_table_cellf(t, SUTRA_ROLE_PLAIN, "%.2f x", number(row, "ratio"));
		else
			sutra_table_cell(t, SUTRA_ROLE_DIM, "-");
	}
	sutra_shown_printf(stdout, "\nagainst the run of %s\n", json_string_value(json_object_get(o, "started")));
	sutra_table_print(t, term, 0);
	sutra_table_free(t);
}

static void print_head(const json_t *doc, const struct sutra_term *term)
{
	const json_t *asked = json_object_get(doc, "asked"), *cache = json_object_get(doc, "cache");
	const char *failure = json_string_value(json_object_get(doc, "first_failure"));
	double l1 = number(cache, "l1"), l2 = number(cache, "l2"), all = l1 + l2 + number(cache, "computed");

	if (json_object_get(asked, "rate"))
		sutra_shown_printf(stdout, "open loop, %.10g requests/s asked, %.1f/s sent (%.1f %%), %s texts, to %s\n", number(asked, "rate"),
		       number(doc, "sent_rate"), 100 * number(doc, "sent_rate") / number(asked, "rate"),
		       json_string_value(json_object_get(json_object_get(asked, "texts"), "source")),
		       json_string_value(json_object_get(doc, "url")));
	else
		sutra_shown_printf(stdout, "closed loop, %g connections, %s texts, to %s\n", number(asked, "connections"),
		       json_string_value(json_object_get(json_object_get(asked, "texts"), "source")),
		       json_string_value(json_object_get(doc, "url")));
	printf("%.0f sent, %.0f late by more than 10 ms, %.0f dropped; %.0f ok (%.1f/s), %s%.0f failed%s\n",
	       number(doc, "sent"), number(doc, "late"), number(doc, "dropped"), number(doc, "ok"),
	       number(doc, "ok_rate"), failure ? sutra_term_on(term, SUTRA_ROLE_BAD) : "", number(doc, "failed"),
	       failure ? sutra_term_off(term, SUTRA_ROLE_BAD) : "");
	if (failure)
		sutra_shown_printf(stdout, "first failure: %s\n", failure);
	if (all > 0)
		printf("the gateway counted %.0f texts: L1 %.1f %%, L2 %.1f %%, computed %.1f %%\n", all, 100 * l1 / all,
		       100 * l2 / all, 100 * (all - l1 - l2) / all);
	putchar('\n');
}

static void print_text(const json_t *doc)
{
	struct sutra_term term;

	sutra_term_init(&term, stdout, common.color);
	print_head(doc, &term);
	print_times(doc, &term);
	print_timeline(doc, &term);
	print_against(doc, &term);
}

static int exit_code(const struct sutra_load_run *r, const char *doubt)
{
	if (command_stopped)
		return 128 + command_stopped;
	if (*doubt)
		return EXIT_INCONCLUSIVE;
	return r->result->failed ? EXIT_NO : EXIT_YES;
}

static int report(struct course *c, const struct sutra_load_result *t, int64_t started_us)
{
	struct sutra_load_run r = { .url = c->url, .asked = &c->o, .result = t, .started_us = started_us,
				    .interrupted = command_stopped, .max_late_ns = max_late_ns,
				    .has_cache = c->has_levels, .l1 = c->levels.l1, .l2 = c->levels.l2,
				    .computed = c->levels.computed };
	char doubt[400];
	json_t *doc;
	int code;

	sutra_load_doubt(&r, doubt, sizeof(doubt));
	code = exit_code(&r, doubt);
	r.texts = sutra_textsource_document(c->texts);
	doc = sutra_load_document(&r, code);
	json_decref(r.texts);
	if (c->before)
		sutra_load_compare(doc, c->before, NULL);
	if (common.json)
		print_document(json_incref(doc));
	else if (!common.quiet)
		print_text(doc);
	json_decref(doc);
	if (command_stopped)
		sutra_shown_printf(stderr, "sutra load: interrupted; this is what was measured until then\n");
	if (*doubt)
		sutra_shown_printf(stderr, "sutra load: inconclusive: %s\n", doubt);
	return code;
}

static int run(int n, char **argv)
{
	struct course c = { 0 };
	struct sutra_load_result t;
	struct sutra_err err;
	int64_t started_us;
	int code;

	code = check_options(&c);
	if (code)
		return code;
	if (open_course(&c, &err) || try_one(&c, &err)) {
		code = command_fail(&err);
		goto out;
	}
	if (sutra_gateway_urls(url_flag, &c.gateways, NULL))
		sutra_strv_release(&c.gateways);
	command_catch_signals();
	started_us = sutra_clock_wall_us();
	if (drive(&c, &t, &err)) {
		code = command_fail(&err);
		goto out;
	}
	code = report(&c, &t, started_us);
	sutra_load_result_release(&t);
out:
	close_course(&c);
	return code;
}

const struct command cmd_load = {
	.name = "load",
	.summary = "measure a gateway under a constant rate, or under N callers",
	.synopsis = "[--rate R | --connections N] [--duration TIME] [--texts FILE | --mix MIX] [--dimension N] "
		    "[--timeout TIME] [--interval TIME] [--max-late TIME] [--against FILE] [--url URL] [-o FORMAT]",
	.examples = "sutra load\t100 requests a second for 30 s\n"
		    "sutra load --rate 2000 --mix fresh\ttexts that no cache has seen\n"
		    "sutra load --connections 20 --duration 10s\tas fast as 20 callers get answers\n"
		    "sutra load --json >before.json\tkeep a run\n"
		    "sutra load --against before.json\tcompare with it\n",
	.options = rows,
	.formats = "table|json",
	.run = run,
};
