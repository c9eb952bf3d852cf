/* Phase 0: properties of the vectors. */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "check/check.h"
#include "check/kinds.h"
#include "check/pass.h"

static const uint64_t REQUEST_NS = 10000000000u;

static const char *const samples[] = {
	"The Eiffel Tower is in Paris",
	("Water boils at a lower temperature on a mountain because the air pressure is lower there, and so "
	"food takes longer to cook."),
	"\u00bfD\u00f3nde est\u00e1 la biblioteca? \u6771\u4eac\u306f\u65e5\u672c\u306e\u9996\u90fd\u3067\u3059",
};
enum { N_SAMPLES = 3 };
static const struct sutra_embed_request all_samples = { .texts = samples, .n = N_SAMPLES };

/* The URL that answers with the model's own vector: a replica, or (*ret_raw) the gateway past its cache. */
static const char *model_base(const struct sutra_check_run *r, bool *ret_raw)
{
	*ret_raw = !r->env->n_replicas;
	return *ret_raw ? r->env->gateway : r->env->replicas[0].base;
}

static int run_dimension(struct sutra_check_run *r, struct sutra_err *err)
{
	struct sutra_embed_answer a;
	int rc = sutra_check_embed(r, r->env->gateway, &(struct sutra_embed_request){ .texts = samples, .n = 1 },
				   &a, err);

	if (rc)
		return rc;
	sutra_check_set(r, "dimension", (double)a.dimension);
	if (!r->shared->dimension)
		r->shared->dimension = (int64_t)a.dimension;
	sutra_check_say(r, "%zu-dim", a.dimension);
	if ((int64_t)a.dimension != r->shared->dimension)
		rc = sutra_check_no(r, "the gateway answers %zu dimensions; %lld are deployed", a.dimension,
				    (long long)r->shared->dimension);
	sutra_embed_release(&a);
	return rc;
}

const struct sutra_check_kind sutra_kind_dimension = {
	.name = "dimension",
	.values = { { "dimension", "", 0 } },
	.run = run_dimension,
};

static int run_unit_norm(struct sutra_check_run *r, struct sutra_err *err)
{
	struct sutra_embed_answer a;
	double worst = 0;
	int rc = sutra_check_embed(r, r->env->gateway, &all_samples, &a, err);

	if (rc)
		return rc;
	for (size_t i = 0; i < a.count; i++) {
		double sum = 0;

		for (size_t d = 0; d < a.dimension; d++)
			sum += (double)a.vectors[i * a.dimension + d] * a.vectors[i * a.dimension + d];
		worst = sutra_check_worse(worst, fabs(sqrt(sum) - 1));
	}
	sutra_check_set(r, "norm_error", worst);
	sutra_check_say(r, "length 1 within %.1e, %zu texts", worst, a.count);
	sutra_embed_release(&a);
	return 0;
}

const struct sutra_check_kind sutra_kind_unit_norm = {
	.name = "unit_norm",
	.logs = SUTRA_LOGS_REPLICA,
	.values = { { "norm_error", "", -1 } },
	.run = run_unit_norm,
};

static size_t differing(const float *a, const float *b, size_t n)
{
	size_t count = 0;

	for (size_t i = 0; i < n; i++)
		count += memcmp(&a[i], &b[i], sizeof(float)) != 0;
	return count;
}

/* The largest difference of two numbers, or `worst`. */
static double farthest(const float *a, const float *b, size_t n, double worst)
{
	for (size_t i = 0; i < n; i++)
		worst = sutra_check_worse(worst, fabs((double)a[i] - b[i]));
	return worst;
}

/* Asks base for each sample alone and compares its bits with the first answers, its values with the batch. */
static int compare_alone(struct sutra_check_run *r, const char *base, bool raw,
			 const struct sutra_embed_answer *batch, float *first, bool is_first,
			 size_t *bits, double *worst, struct sutra_err *err)
{
	size_t d = batch->dimension;

	for (size_t i = 0; i < N_SAMPLES; i++) {
		struct sutra_embed_answer a;
		int rc = sutra_check_embed(r, base, &(struct sutra_embed_request){ &samples[i], 1, 0, raw }, &a, err);

		if (!rc && a.dimension != d) {
			rc = sutra_fail(err, SUTRA_E_INVALID, "%s answers %zu dimensions, another %zu", base,
					a.dimension, d);
			sutra_embed_release(&a);
		}
		if (rc)
			return rc;
		if (is_first)
			memcpy(first + i * d, a.vectors, d * sizeof(float));
		*bits += differing(first + i * d, a.vectors, d);
		*worst = farthest(batch->vectors + i * d, a.vectors, d, *worst);
		sutra_embed_release(&a);
	}
	return 0;
}

static int run_determinism(struct sutra_check_run *r, struct sutra_err *err)
{
	bool raw;
	const char *base = model_base(r, &raw);
	struct sutra_embed_answer batch;
	size_t bits = 0, asked = 0, n = raw ? 1 : r->env->n_replicas;
	double worst = 0;
	float *first;
	int rc = sutra_check_embed(r, base, &(struct sutra_embed_request){ samples, N_SAMPLES, 0, raw }, &batch, err);

	if (rc)
		return rc;
	first = sutra_calloc(N_SAMPLES * batch.dimension, sizeof(float));
	if (!first)
		rc = sutra_fail(err, SUTRA_E_NOMEM, "out of memory for %d vectors", N_SAMPLES);
	for (size_t i = 0; !rc && i < n; i++)
		for (int again = 0; !rc && again < 2; again++, asked++)
			rc = compare_alone(r, raw ? base : r->env->replicas[i].base, raw, &batch, first,
					   !asked, &bits, &worst, err);
	if (!rc) {
		sutra_check_set(r, "different_numbers", (double)bits);
		sutra_check_set(r, "batch_difference", worst);
		sutra_check_say(r, "%s, %zu %s; in a batch within %.1e",
				bits ? "not the same bits" : "bit for bit the same", n,
				raw ? "gateway" : n == 1 ? "replica" : "replicas", worst);
	}
	sutra_free(first);
	sutra_embed_release(&batch);
	return rc;
}

const struct sutra_check_kind sutra_kind_determinism = {
	.name = "determinism",
	.logs = SUTRA_LOGS_REPLICA,
	.values = { { "different_numbers", "", -1 },
		    { "batch_difference", "", -1 } },
	.run = run_determinism,
};

/* What the model computes; 0: unknown. */
static int64_t native_dimension(struct sutra_check_run *r)
{
	int64_t native = 0;

	if (r->env->n_replicas)
		sutra_info_read(r->env->replicas[0].base, "native_dimension", sutra_check_time(r->env, REQUEST_NS),
				&native, NULL);
	return native;
}

/* Scales the first n of v to length 1. minus_mean: subtracts the mean of all `width` first, as the layer
 * norm does that a vector of native width has not passed (the norm's scale cancels, its mean does not). */
static void renormalise(float *v, size_t width, size_t n, bool minus_mean)
{
	double mean = 0, sum = 0;

	for (size_t i = 0; minus_mean && i < width; i++)
		mean += v[i] / (double)width;
	for (size_t i = 0; i < n; i++)
		sum += (v[i] - mean) * (v[i] - mean);
	for (size_t i = 0; i < n; i++)
		v[i] = (float)((v[i] - mean) / sqrt(sum));
}

static int run_prefix(struct sutra_check_run *r, struct sutra_err *err)
{
	int64_t from = (int64_t)sutra_check_param(r->check, "from"), to = (int64_t)sutra_check_param(r->check, "to");
	struct sutra_embed_answer wide = { 0 }, narrow = { 0 };
	double worst = 0;
	bool raw;
	const char *base = model_base(r, &raw);
	int rc;

	/* A deployment of a smaller dimension is compared at its own. */
	if (r->shared->dimension && from > r->shared->dimension)
		from = r->shared->dimension;
	to = to < from ? to : from / 2;
	rc = sutra_check_embed(r, base, &(struct sutra_embed_request){ samples, N_SAMPLES, from, raw }, &wide, err);
	rc = rc ? rc : sutra_check_embed(r, base, &(struct sutra_embed_request){ samples, N_SAMPLES, to, raw },
					 &narrow, err);
	if (rc)
		goto out;
	if ((int64_t)wide.dimension != from || (int64_t)narrow.dimension != to) {
		rc = sutra_check_no(r, "asked for %lld and %lld dimensions, got %zu and %zu", (long long)from,
				    (long long)to, wide.dimension, narrow.dimension);
		goto out;
	}
	for (size_t i = 0; i < N_SAMPLES; i++) {
		float *w = wide.vectors + i * wide.dimension, *n = narrow.vectors + i * narrow.dimension;

		renormalise(w, wide.dimension, narrow.dimension, from == native_dimension(r));
		renormalise(n, narrow.dimension, narrow.dimension, false);
		worst = farthest(w, n, narrow.dimension, worst);
	}
	sutra_check_set(r, "difference", worst);
	sutra_check_say(r, "%lld-dim = prefix of %lld-dim within %.1e", (long long)to, (long long)from,
			worst);
out:
	sutra_embed_release(&wide);
	sutra_embed_release(&narrow);
	return rc;
}

const struct sutra_check_kind sutra_kind_prefix = {
	.name = "prefix",
	.logs = SUTRA_LOGS_REPLICA,
	.params = { { "from", 2, 2048, 256, true },
		    { "to", 1, 2047, 128, true } },
	.values = { { "difference", "", -1 } },
	.run = run_prefix,
};

static int run_bytes(struct sutra_check_run *r, struct sutra_err *err)
{
	int64_t native = native_dimension(r);
	struct sutra_embed_answer a;
	double saved;
	int rc = sutra_check_embed(r, r->env->gateway, &all_samples, &a, err);

	if (rc)
		return rc;
	sutra_check_set(r, "bytes", 4.0 * (double)a.dimension);
	sutra_check_set(r, "json_bytes", (double)a.body_bytes / N_SAMPLES);
	if (native) {
		saved = 100.0 * (1 - (double)a.dimension / (double)native);
		sutra_check_set(r, "native_bytes", 4.0 * (double)native);
		sutra_check_set(r, "saved_percent", saved);
		sutra_check_say(r, "%zu B a vector, native %lld B (%.0f %% saved); %.0f B as JSON",
				4 * a.dimension, (long long)(4 * native), saved,
				(double)a.body_bytes / N_SAMPLES);
	} else {
		sutra_check_say(r, "%zu B a vector; %.0f B as JSON", 4 * a.dimension,
				(double)a.body_bytes / N_SAMPLES);
	}
	sutra_embed_release(&a);
	return 0;
}

const struct sutra_check_kind sutra_kind_bytes = {
	.name = "bytes",
	.values = { { "bytes", "B", -1 },
		    { "native_bytes", "B", 0 },
		    { "json_bytes", "B", -1 },
		    { "saved_percent", "%", 1 } },
	.run = run_bytes,
};

static int run_latency(struct sutra_check_run *r, struct sutra_err *err)
{
	uint32_t n = (uint32_t)sutra_check_param(r->check, "texts"), first = r->shared->fresh;
	struct sutra_pass p;
	int rc;

	r->shared->fresh += n;
	rc = sutra_check_pass(r, r->env->gateway, first, n, false, &p, err);
	if (rc)
		return rc;
	sutra_check_set(r, "p50_ms", p.p50_ms);
	sutra_check_set(r, "p95_ms", p.p95_ms);
	sutra_check_say(r, "new short text: P50 %.1f ms, P95 %.1f ms, one at a time", p.p50_ms, p.p95_ms);
	return 0;
}

const struct sutra_check_kind sutra_kind_latency = {
	.name = "latency",
	.params = { { "texts", 1, 10000, 50, true } },
	.values = { { "p50_ms", "ms", -1 }, { "p95_ms", "ms", -1 } },
	.run = run_latency,
};
