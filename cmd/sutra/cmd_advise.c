#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/digest.h"
#include "base/str.h"
#include "load/advice.h"
#include "probe/cachestats.h"
#include "load/load.h"
#include "load/textsource.h"
#include "sutra/command.h"
#include "probe/gateway.h"
#include "sutra/stackio.h"
#include "term/progress.h"
#include "term/table.h"

static const uint64_t MEASURE_NS = 3000000000u, TICK_NS = 100000000, CALL_NS = 10000000000u;
enum { CALLERS_A_REPLICA = 4, ENOUGH_REQUESTS = 1000 };

static const char *users_flag, *rate_flag, *budget_flag, *per_user_flag, *prices_flag;
static int64_t tenants, dimension, concepts = 100000;
static bool measure;

static const struct sutra_option rows[] = {
	{ 0, "users", SUTRA_OPT_STRING, &users_flag, "N", "concurrent users", 0, 0, NULL },
	{ 0, "rate", SUTRA_OPT_STRING, &rate_flag, "R", "texts a second, in place of the users' share", 0, 0, NULL },
	{ 0, "budget", SUTRA_OPT_STRING, &budget_flag, "USD", "dollars a month", 0, 0, NULL },
	{ 0, "tenants", SUTRA_OPT_INT, &tenants, "N", "paying tenants; several: tiers of dimensions", 1, 1000000, NULL },
	{ 0, "dimension", SUTRA_OPT_INT, &dimension, "N", "in place of the framework's choice", 1, 4096, NULL },
	{ 0, "concepts", SUTRA_OPT_INT, &concepts, "N", "vectors that are kept (100000)", 0, 1000000000000, NULL },
	{ 0, "per-user", SUTRA_OPT_STRING, &per_user_flag, "R", "texts a second of one user (0.00294)", 0, 0, NULL },
	{ 0, "prices", SUTRA_OPT_STRING, &prices_flag, "LIST", "dollars a month: base,cache,replica (350,30,75)", 0, 0,
	  NULL },
	{ 0, "measure", SUTRA_OPT_FLAG, &measure, NULL, "take the deployed stack's capacity: 3 s of load", 0, 0, NULL },
	{ 0 },
};

static int read_number(const char *name, const char *text, double min, double *ret)
{
	if (text && sutra_str_double(text, min, 1e12, ret))
		return command_usage("--%s is \"%s\"; a number of at least %g is wanted", name, text, min);
	return 0;
}

static int read_prices(struct sutra_advice_input *in)
{
	double *const to[] = { &in->base_cost, &in->cache_cost, &in->replica_cost };
	struct sutra_strv list = { 0 };
	int code = 0;

	if (!prices_flag)
		return 0;
	sutra_strv_split(&list, prices_flag, ",");
	for (size_t i = 0; i < 3 && !code; i++)
		if (list.n != 3 || sutra_str_double(list.items[i], 0, 1e12, to[i]))
			code = command_usage("--prices is \"%s\"; three numbers are wanted: base,cache,replica",
					     prices_flag);
	sutra_strv_release(&list);
	return code;
}

static int read_input(struct sutra_advice_input *in)
{
	int code;

	sutra_advice_defaults(in);
	in->tenants = tenants;
	in->dimension = dimension;
	in->concepts = concepts;
	code = read_number("users", users_flag, 0, &in->users);
	code = code ? code : read_number("rate", rate_flag, 0, &in->rate);
	code = code ? code : read_number("budget", budget_flag, 0, &in->budget);
	code = code ? code : read_number("per-user", per_user_flag, 1e-9, &in->per_user);
	return code ? code : read_prices(in);
}

/* Measures the texts per second that the deployed replicas compute together, with enough callers to keep
 * them busy. */
static int measure_rate(const char *url, size_t replicas, double *ret, struct sutra_err *err)
{
	struct sutra_load_options o = { .base = url, .connections = (unsigned)replicas * CALLERS_A_REPLICA,
					.timeout_ns = CALL_NS, .deadline_ns = UINT64_MAX, .span_ns = MEASURE_NS,
					.next = sutra_textsource_next };
	struct sutra_textsource *texts;
	struct sutra_progress progress;
	struct sutra_load_result t;
	struct sutra_load *load;
	uint64_t nonce;
	int rc;

	sutra_random(&nonce, sizeof(nonce));
	rc = sutra_textsource_fresh(nonce, &texts, err);
	if (rc)
		return rc;
	o.user = texts;
	rc = sutra_load_start(&o, &load, err);
	if (!rc) {
		sutra_progress_init(&progress, common.color, common.quiet);
		while (!sutra_load_done(load, TICK_NS))
			sutra_progress_state(&progress, "measuring the deployed stack, 3 s", NULL);
		sutra_progress_clear(&progress);
		sutra_load_finish(load, &t);
		if (t.failed || !t.ok)
			rc = sutra_fail(err, SUTRA_E_UNAVAILABLE, "%llu of %llu requests failed, the first with %s",
					(unsigned long long)t.failed, (unsigned long long)t.sent, t.first_failure);
		else
			*ret = (double)t.ok / ((double)t.wall_ns / 1e9);
		sutra_load_result_release(&t);
	}
	sutra_textsource_free(texts);
	return rc;
}

static uint64_t bytes_of(const struct sutra_deployed *s) { return s->pss_bytes ? s->pss_bytes : s->rss_bytes; }

/* Measures rate, hit rate and memory of this deployment, which replace the documented figures. */
static int measure_stack(struct sutra_advice_input *in, struct sutra_err *err)
{
	char *state_dir = sutra_state_dir(), *url = NULL;
	struct sutra_deployment *d = NULL;
	struct sutra_cache_stats stats;
	size_t replicas = 0;
	double rate = 0;
	int rc = sutra_gateway_url(NULL, &url, err);

	rc = rc ? rc : sutra_deployment_load(state_dir, &d, err);
	for (size_t i = 0; !rc && i < d->n; i++)
		replicas += !strcmp(d->services[i].unit->program, "sutra-ml-base") && d->services[i].now.pid;
	if (!rc && !replicas)
		rc = sutra_fail(err, SUTRA_E_UNAVAILABLE, "no replica runs that could be measured");
	if (!rc && !sutra_cache_stats_fetch(url, CALL_NS, &stats, NULL) && stats.requests >= ENOUGH_REQUESTS)
		in->hit_rate = stats.hit_rate;
	rc = rc ? rc : measure_rate(url, replicas, &rate, err);
	if (!rc)
		sutra_deployment_refresh(d);
	for (size_t i = 0; !rc && i < d->n; i++) {
		const struct sutra_deployed *s = &d->services[i];

		if (!strcmp(s->unit->program, "sutra-ml-base"))
			in->replica_bytes += bytes_of(s) / replicas;
		else
			in->other_bytes += bytes_of(s);
	}
	in->measured = rc ? 0 : rate / (double)replicas;
	if (!rc && !in->dimension)
		in->dimension = d->record->dimension;
	sutra_deployment_free(d);
	sutra_free(state_dir);
	sutra_free(url);
	return rc;
}

static void set_phases(json_t *doc, const struct sutra_advice *a)
{
	json_t *list = json_array();

	for (int i = 0; i < 3; i++)
		if (a->phase[i])
			json_array_append_new(list, json_integer(i));
	json_object_set_new(doc, "phases", list);
}

static json_t *given(double v) { return v >= 0 ? json_real(v) : json_null(); }

static json_t *document(const struct sutra_advice_input *in, const struct sutra_advice *a, json_t *steps)
{
	json_t *doc = json_object(), *o;

	json_object_set_new(doc, "schema", json_string("sutra.advise/1"));
	o = json_pack("{s:o, s:o, s:o, s:I, s:I, s:I, s:f, s:[f, f, f]}", "users", given(in->users), "rate",
		      given(in->rate), "budget", given(in->budget), "tenants", (json_int_t)in->tenants, "dimension",
		      (json_int_t)in->dimension, "concepts", (json_int_t)in->concepts, "per_user", in->per_user,
		      "prices", in->base_cost, in->cache_cost, in->replica_cost);
	json_object_set_new(doc, "input", o);
	o = in->measured > 0 ? json_pack("{s:f, s:o, s:I, s:I}", "replica_rate", in->measured, "hit_rate",
					 in->hit_rate > 0 ? json_real(in->hit_rate) : json_null(), "replica_bytes",
					 (json_int_t)in->replica_bytes, "other_bytes", (json_int_t)in->other_bytes) :
			       json_null();
	json_object_set_new(doc, "measured", o);
	o = json_pack("{s:f, s:I, s:I, s:f, s:I, s:I, s:f, s:o, s:f, s:o}", "need", a->need, "dimension",
		      (json_int_t)a->dimension, "replicas", (json_int_t)a->replicas, "capacity", a->capacity,
		      "memory_bytes", (json_int_t)a->memory, "vector_bytes", (json_int_t)a->vectors, "cost", a->cost,
		      "cost_per_user", given(a->per_user), "cost_per_million", a->per_million, "cost_per_million_asked",
		      given(a->per_million_asked));
	set_phases(o, a);
	json_object_set_new(o, "affordable", in->budget >= 0 ? json_boolean(a->affordable) : json_null());
	json_object_set_new(doc, "advice", o);
	json_object_set(doc, "steps", steps);
	json_object_set_new(doc, "assumptions", sutra_advice_assumptions(in, a));
	json_object_set_new(doc, "next", sutra_advice_next(in, a));
	return doc;
}

static const char *word(const json_t *o, const char *key) { return json_string_value(json_object_get(o, key)); }

static void print_steps(const json_t *steps, const struct sutra_term *term)
{
	static const struct sutra_column columns[] = {
		{ "WHAT", false, 0 }, { "RESULT", true, 0 }, { "", false, 0 }, { "FIGURES", false, 0 },
		{ "FORMULA", false, 16 }, { "FROM", false, 0 }, { NULL, false, 0 },
	};
	struct sutra_table *t = sutra_table_new(columns);
	const json_t *s;
	size_t i;

	json_array_foreach (steps, i, s) {
		double v = json_number_value(json_object_get(s, "result"));

		sutra_table_cell(t, SUTRA_ROLE_HEAD, word(s, "what"));
		sutra_table_cellf(t, SUTRA_ROLE_PLAIN, v >= 1000 ? "%.0f" : "%.4g", v);
		sutra_table_cell(t, SUTRA_ROLE_PLAIN, word(s, "unit"));
		sutra_table_cell(t, SUTRA_ROLE_PLAIN, word(s, "figures"));
		sutra_table_cell(t, SUTRA_ROLE_DIM, word(s, "formula"));
		sutra_table_cell(t, SUTRA_ROLE_DIM, word(s, "from"));
	}
	sutra_table_print(t, term, 0);
	sutra_table_free(t);
}

static void print_verdict(const struct sutra_advice_input *in, const struct sutra_advice *a,
			  const struct sutra_term *term)
{
	printf("\n%sadvice%s: %lld values, phases", sutra_term_on(term, SUTRA_ROLE_HEAD),
	       sutra_term_off(term, SUTRA_ROLE_HEAD), (long long)a->dimension);
	for (int i = 0; i < 3; i++)
		if (a->phase[i])
			printf(" %d", i);
	if (!a->phase[0] && !a->phase[1] && !a->phase[2])
		fputs(" none", stdout);
	printf(", %u replica%s, %.3g GiB, %.0f $/month", a->replicas, a->replicas == 1 ? "" : "s",
	       (double)a->memory / (1 << 30), a->cost);
	printf(a->per_million < 10 ? ", %.2g $ a million concepts\n" : ", %.0f $ a million concepts\n", a->per_million);
	if (!a->affordable && a->budget_replicas)
		printf("over the budget of %.0f $: it buys %u replica%s, %.3g texts/s, %.0f users\n", in->budget,
		       a->budget_replicas, a->budget_replicas == 1 ? "" : "s", a->budget_capacity,
		       a->budget_capacity / in->per_user);
	else if (!a->affordable)
		printf("over the budget of %.0f $: it buys nothing of this\n", in->budget);
}

static void print_text(const json_t *doc, const struct sutra_advice_input *in, const struct sutra_advice *a)
{
	struct sutra_term term;
	const json_t *o;
	size_t i;

	sutra_term_init(&term, stdout, common.color);
	print_steps(json_object_get(doc, "steps"), &term);
	print_verdict(in, a, &term);
	puts("\nassumed");
	json_array_foreach (json_object_get(doc, "assumptions"), i, o) {
		printf("  - %s\n", json_string_value(o));
	}
	puts("\nnext");
	json_array_foreach (json_object_get(doc, "next"), i, o) {
		double rate = json_number_value(json_object_get(o, "rate"));

		printf("  - %s: %s", word(o, "what"), word(o, "when"));
		if (rate > 0)
			printf(" (%.4g texts/s, %.0f users)", rate, json_number_value(json_object_get(o, "users")));
		putchar('\n');
	}
}

static int run(int n, char **argv)
{
	struct sutra_advice_input in;
	struct sutra_advice a;
	struct sutra_err err;
	json_t *steps, *doc;
	int code;

	code = read_input(&in);
	if (code)
		return code;
	if (in.users < 0 && in.rate < 0)
		return command_usage("for how many? --users N, or --rate R");
	if (measure && measure_stack(&in, &err))
		return command_fail(&err);
	sutra_advise(&in, &a, &steps);
	doc = document(&in, &a, steps);
	if (common.json)
		print_document(json_incref(doc));
	else
		print_text(doc, &in, &a);
	json_decref(doc);
	json_decref(steps);
	return a.affordable ? EXIT_YES : EXIT_QUALIFIED;
}

const struct command cmd_advise = {
	.name = "advise",
	.summary = "work out dimension, phases, replicas and cost, step by step",
	.synopsis = "--users N | --rate R [--budget USD] [--tenants N] [--dimension N] [--concepts N] [--per-user R] "
		    "[--prices LIST] [--measure] [-o FORMAT]",
	.examples = "sutra advise --users 3000\tas the reference's framework says\n"
		    "sutra advise --users 3000 --dimension 256 --budget 500\twhat does the budget buy?\n"
		    "sutra advise --rate 200 --measure\twith what the deployed stack can do\n",
	.options = rows,
	.formats = "table|json",
	.run = run,
};
