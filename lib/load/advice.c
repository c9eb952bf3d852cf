#include "load/advice.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

enum { DEFAULT_WIDTH = 384 };	/* values of all-minilm-l6-v2, the built-in SUTRA_MODEL */

static const double BASELINE = 0.14, CACHE_FACTOR = 7, FULL = 768, MONTH_S = 30 * 86400.0, DOCUMENTS_S = 1e6,
		    HPA_TARGET = 0.7;
static const uint64_t GIB = 1ull << 30;
enum { REPLICA_GIB = 6, SHARD_GIB = 2, GATEWAY_GIB = 2, GROWING = 500, LARGE = 3000, MAX_REPLICAS = 1000000 };

void sutra_advice_defaults(struct sutra_advice_input *in)
{
	*in = (struct sutra_advice_input){ .users = -1, .rate = -1, .budget = -1, .concepts = 100000,
					   .per_user = 2.94 / 1000, .base_cost = 350, .cache_cost = 30,
					   .replica_cost = 75 };
}

static void step(json_t *steps, const char *what, const char *formula, double result, const char *unit,
		 const char *from, const char *fmt, ...) __attribute__((format(printf, 7, 8)));

static void step(json_t *steps, const char *what, const char *formula, double result, const char *unit,
		 const char *from, const char *fmt, ...)
{
	char figures[160];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(figures, sizeof(figures), fmt, ap);
	va_end(ap);
	json_array_append_new(steps, json_pack("{s:s, s:s, s:s, s:f, s:s, s:s}", "what", what, "formula", formula,
					       "figures", figures, "result", result, "unit", unit, "from", from));
}

static double need_of(const struct sutra_advice_input *in, json_t *steps)
{
	if (in->rate >= 0) {
		step(steps, "needed rate", "--rate", in->rate, "texts/s", "given", "%g", in->rate);
		return in->rate;
	}
	if (in->users < 0) {
		step(steps, "needed rate", "nothing asked: one replica", 0, "texts/s", "worked out", "0");
		return 0;
	}
	step(steps, "needed rate", "users x rate of a user", in->users * in->per_user, "texts/s", "worked out",
	     "%g x %g", in->users, in->per_user);
	return in->users * in->per_user;
}

static int64_t dimension_of(const struct sutra_advice_input *in, double need, json_t *steps)
{
	double users = in->users >= 0 ? in->users : in->per_user > 0 ? need / in->per_user : 0;
	int64_t dimension = users > LARGE ? 768 : users > GROWING ? 512 : 256;
	const char *rule = users > LARGE   ? "above 3,000 users: full quality" :
			   users > GROWING ? "500 to 3,000 users: balanced" :
					     "up to 500 users: speed and cost first";

	if (in->dimension) {
		dimension = in->dimension;
		rule = in->measured > 0 ? "the deployment's, unless --dimension says" : "--dimension";
	} else if (in->tenants > 1) {
		dimension = 768;
		rule = "tiers: the largest sold; its prefixes serve the others";
	}
	step(steps, "dimension", rule, (double)dimension, "values",
	     !in->dimension ? "documents" : in->measured > 0 ? "measured" : "given", "%.0f users", users);
	return dimension;
}

/* texts/s that one replica computes. */
static double replica_rate(const struct sutra_advice_input *in, const struct sutra_advice *a, json_t *steps)
{
	double rate = BASELINE * FULL / (double)a->dimension;

	if (in->measured > 0) {
		step(steps, "one replica", "texts/s of the deployment / its replicas", in->measured, "texts/s", "measured",
		     "%.4g", in->measured);
		return in->measured;
	}
	step(steps, "one replica", "baseline x 768 / dimension", rate, "texts/s", "documents", "%g x 768 / %lld",
	     BASELINE, (long long)a->dimension);
	return rate;
}

static double cache_factor(const struct sutra_advice_input *in, json_t *steps)
{
	double factor = in->hit_rate > 0 && in->hit_rate < 1 ? 1 / (1 - in->hit_rate) : CACHE_FACTOR;

	if (factor != CACHE_FACTOR)
		step(steps, "cache", "1 / (1 - hit rate)", factor, "x", "measured", "1 / (1 - %.3f)", in->hit_rate);
	else
		step(steps, "cache", "85 % hits; 1 / (1 - 0.85) is 6.7, the documents say 7", factor, "x", "documents",
		     "%g", CACHE_FACTOR);
	return factor;
}

/* How many of `each` cover `need`; a rounding error is not one more. */
static unsigned how_many(double need, double each)
{
	double n = each > 0 ? ceil(need / each - 1e-9) : 1;

	return n < 1 ? 1 : n > MAX_REPLICAS ? MAX_REPLICAS : (unsigned)n;
}

static void add_capacity(const struct sutra_advice_input *in, struct sutra_advice *a, double one, json_t *steps)
{
	double factor = 1;

	a->phase[0] = a->dimension < FULL;
	a->phase[1] = a->need > one * (1 + 1e-9);
	if (a->phase[1])
		factor = cache_factor(in, steps);
	else
		step(steps, "cache", "one replica without a cache reaches the rate", 1, "x", "worked out", "%.4g >= %.4g",
		     one, a->need);
	a->replicas = how_many(a->need, one * factor);
	a->phase[2] = a->replicas > 1;
	step(steps, "replicas", "needed rate / (one replica x cache), rounded up", a->replicas, "", "worked out",
	     "%.4g / (%.4g x %.3g)", a->need, one, factor);
	a->capacity = one * factor * a->replicas;
	step(steps, "capacity", "one replica x cache x replicas", a->capacity, "texts/s", "worked out",
	     "%.4g x %.3g x %u", one, factor, a->replicas);
}

static void add_memory(const struct sutra_advice_input *in, struct sutra_advice *a, json_t *steps)
{
	uint64_t replica = in->replica_bytes ? in->replica_bytes : REPLICA_GIB * GIB;
	uint64_t other = in->other_bytes ? in->other_bytes : (GATEWAY_GIB + (a->phase[1] ? SHARD_GIB : 0)) * GIB;

	a->memory = replica * a->replicas + other;
	step(steps, "memory", "a replica's x replicas + the others'", (double)a->memory / (double)GIB, "GiB",
	     in->replica_bytes ? "measured" : "documents", "%.3g x %u + %.3g", (double)replica / (double)GIB, a->replicas,
	     (double)other / (double)GIB);
	a->vectors = (uint64_t)in->concepts * 4 * (uint64_t)a->dimension;
	step(steps, "vectors", "concepts x 4 bytes x dimension", (double)a->vectors / (double)GIB, "GiB", "worked out",
	     "%lld x 4 x %lld", (long long)in->concepts, (long long)a->dimension);
}

static double cost_of(const struct sutra_advice_input *in, bool cache, unsigned replicas)
{
	return in->base_cost + (cache ? in->cache_cost : 0) + in->replica_cost * (replicas - 1);
}

static void add_cost(const struct sutra_advice_input *in, struct sutra_advice *a, json_t *steps)
{
	struct sutra_advice_input documents;
	bool own;

	sutra_advice_defaults(&documents);
	own = in->base_cost != documents.base_cost || in->cache_cost != documents.cache_cost ||
	      in->replica_cost != documents.replica_cost;
	a->cost = cost_of(in, a->phase[1], a->replicas);
	step(steps, "cost", "base + cache + replica x (replicas - 1)", a->cost, "$/month", own ? "given" : "documents",
	     "%g + %g + %g x %u", in->base_cost, a->phase[1] ? in->cache_cost : 0, in->replica_cost, a->replicas - 1);
	a->per_user = in->users > 0 ? a->cost / in->users : -1;
	if (a->per_user >= 0)
		step(steps, "cost of a user", "cost / users", a->per_user, "$/month", "worked out", "%g / %g", a->cost,
		     in->users);
	a->per_million = a->cost / (a->capacity * DOCUMENTS_S) * 1e6;
	step(steps, "a million concepts, as documented", "cost / capacity (10^6 busy seconds a month)", a->per_million, "$",
	     "worked out", "%g / %.4g", a->cost, a->capacity);
	a->per_million_asked = a->need > 0 ? a->cost / (a->need * MONTH_S) * 1e6 : -1;
	if (a->need > 0)
		step(steps, "a million concepts, at the needed rate", "cost / (rate x 30 days) x 10^6",
		     a->per_million_asked, "$", "worked out", "%g / (%.4g x %.0f) x 10^6", a->cost, a->need, MONTH_S);
}

static void add_budget(const struct sutra_advice_input *in, struct sutra_advice *a, double one, json_t *steps)
{
	double spare = in->budget - cost_of(in, true, 1), factor = a->phase[1] ? a->capacity / a->replicas / one : 1;

	a->affordable = in->budget < 0 || a->cost <= in->budget;
	if (in->budget < 0)
		return;
	step(steps, "left of the budget", "budget - cost", in->budget - a->cost, "$/month", "worked out", "%g - %g",
	     in->budget, a->cost);
	if (a->affordable)
		return;
	if (spare >= 0 && a->phase[1]) {
		a->budget_replicas = 1 + (unsigned)(in->replica_cost > 0 ? fmin(spare / in->replica_cost + 1e-9, MAX_REPLICAS) : 0);
		a->budget_capacity = one * factor * a->budget_replicas;
	} else if (in->budget >= in->base_cost) {
		a->budget_replicas = 1;
		a->budget_capacity = one;
	}
	step(steps, "what the budget buys", "one replica x cache x replicas that are paid for", a->budget_capacity,
	     "texts/s", "worked out", "%.4g x %.3g x %u", one, spare >= 0 ? factor : 1, a->budget_replicas);
}

void sutra_advise(const struct sutra_advice_input *in, struct sutra_advice *ret, json_t **ret_steps)
{
	json_t *steps = json_array();
	struct sutra_advice a = { 0 };
	double one;

	a.need = need_of(in, steps);
	a.dimension = dimension_of(in, a.need, steps);
	one = replica_rate(in, &a, steps);
	add_capacity(in, &a, one, steps);
	add_memory(in, &a, steps);
	add_cost(in, &a, steps);
	add_budget(in, &a, one, steps);
	*ret = a;
	*ret_steps = steps;
}

static void next_when(json_t *list, const struct sutra_advice_input *in, const char *what, const char *when,
		      double rate)
{
	json_array_append_new(list, json_pack("{s:s, s:s, s:f, s:f}", "what", what, "when", when, "rate", rate, "users",
					      in->per_user > 0 ? rate / in->per_user : 0));
}

json_t *sutra_advice_next(const struct sutra_advice_input *in, const struct sutra_advice *a)
{
	json_t *list = json_array();

	if (!a->phase[0])
		next_when(list, in, "phase 0: 256 values in place of 768",
			  "now, unless full quality is demanded: a third of the storage", 0);
	if (!a->phase[1])
		next_when(list, in, "phase 1: the cache", "above what one replica computes", a->capacity);
	else
		next_when(list, in, "phase 2: one more replica", "above the capacity advised here", a->capacity);
	if (in->measured <= 0)
		next_when(list, in, "a GPU (the documents' phases 3 and 4, 14 texts/s for 1,887 $/month; not in Sutra)",
			  "when the replicas cost more than that, or above 3,000 users as the documents say",
			  LARGE * in->per_user);
	return list;
}

static void assume(json_t *list, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void assume(json_t *list, const char *fmt, ...)
{
	char text[320];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	json_array_append_new(list, json_string(text));
}

json_t *sutra_advice_assumptions(const struct sutra_advice_input *in, const struct sutra_advice *a)
{
	json_t *list = json_array();
	double busy = a->capacity > 0 ? a->need / a->capacity : 0;

	if (in->rate < 0 && in->users >= 0)
		assume(list, "a user asks for %g texts a second at the busiest time (the documents: 2.94/s by 1,000)",
		       in->per_user);
	assume(list, "no headroom: the replicas would be %.0f %% busy; at the %.0f %% of the documents' autoscaler it "
		     "takes %u", 100 * busy, 100 * HPA_TARGET,
	       how_many(a->need / HPA_TARGET, a->capacity / a->replicas));
	if (in->measured > 0)
		assume(list, "a further replica brings as much as each of these, which shared this machine's cores");
	else
		assume(list, "the documents' machine: 0.14 texts/s with 768 values, faster in the ratio of the values; on "
			     "Sutra's encoder it is not, and one replica computes far more: --measure");
	if (a->dimension > DEFAULT_WIDTH)
		assume(list, "a model that gives %lld values (sutra model list); the default one gives %d at most",
		       (long long)a->dimension, DEFAULT_WIDTH);
	if (a->phase[1] && !(in->hit_rate > 0))
		assume(list, "85 %% of the texts come from the cache");
	assume(list, "prices: %g $ a month for the base, %g for the cache, %g for each further replica (--prices)",
	       in->base_cost, in->cache_cost, in->replica_cost);
	if (in->tenants > 1)
		assume(list, "tiers: starter 128 or 256 values (49 to 199 $/month), business 512 (499), enterprise 768 (999 "
			     "and more); the cheapest tier times %lld tenants brings %lld $/month",
		       (long long)in->tenants, 49 * (long long)in->tenants);
	return list;
}
