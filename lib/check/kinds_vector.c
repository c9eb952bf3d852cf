/* Phase 0: what a vector is. */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/histogram.h"
#include "check/check.h"
#include "load/ask.h"
#include "check/kinds.h"
#include "load/workload.h"
#include "net/fetch.h"

static const uint64_t REQUEST_NS = 10000000000u;
enum { MAX_TEXT = 16 << 10, SHORT_WORDS = 8 };

static const struct sutra_check_param no_params[] = { { 0 } };

static const char *const samples[] = {
	"The Eiffel Tower is in Paris",
	("Water boils at a lower temperature on a mountain because the air pressure is lower there, and so "
	"food takes longer to cook."),
	"\u00bfD\u00f3nde est\u00e1 la biblioteca? \u6771\u4eac\u306f\u65e5\u672c\u306e\u9996\u90fd\u3067\u3059",
};
enum { N_SAMPLES = 3 };

static int ask(struct sutra_check_run *r, const char *base, const char *const *texts, size_t n,
	       int64_t dimension, bool raw, struct sutra_embed_answer *ret, struct sutra_err *err)
{
	struct sutra_embed_request q = { texts, n, dimension, raw };
	char shown[SUTRA_FETCH_SHOWN];
	int rc = sutra_embed(base, &q, sutra_check_time(r, REQUEST_NS), &r->last, ret, err);

	if (!rc && ret->count != n) {
		rc = sutra_fail(err, SUTRA_E_INVALID, "%s/embed answered %zu vectors to %zu texts",
				sutra_fetch_shown(base, shown, sizeof(shown)), ret->count, n);
		sutra_embed_release(ret);
	}
	return rc;
}

/* The URL that answers with the model's own vector: a replica, or (*ret_raw) the gateway past its cache. */
static const char *model_base(const struct sutra_check_run *r, bool *ret_raw)
{
	*ret_raw = !r->env->replicas || !r->env->replicas[0];
	return *ret_raw ? r->env->gateway : r->env->replicas[0];
}

static int run_dimension(struct sutra_check_run *r, struct sutra_err *err)
{
	struct sutra_embed_answer a;
	int rc = ask(r, r->env->gateway, samples, 1, 0, false, &a, err);

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
	.logs = SUTRA_LOGS_GATEWAY,
	.params = no_params,
	.values = (const struct sutra_check_value[]){ { "dimension", "", 0 }, { 0 } },
	.run = run_dimension,
};

static int run_unit_norm(struct sutra_check_run *r, struct sutra_err *err)
{
	struct sutra_embed_answer a;
	double worst = 0;
	int rc = ask(r, r->env->gateway, samples, N_SAMPLES, 0, false, &a, err);

	if (rc)
		return rc;
	for (size_t i = 0; i < a.count; i++) {
		double sum = 0;

		for (size_t d = 0; d < a.dimension; d++)
			sum += (double)a.vectors[i * a.dimension + d] * a.vectors[i * a.dimension + d];
		/* The negated comparison lets a NaN count as the worst. */
		if (!(fabs(sqrt(sum) - 1) <= worst))
			worst = fabs(sqrt(sum) - 1);
	}
	sutra_check_set(r, "norm_error", worst);
	sutra_check_say(r, "length 1 within %.1e, %zu texts", worst, a.count);
	sutra_embed_release(&a);
	return 0;
}

const struct sutra_check_kind sutra_kind_unit_norm = {
	.name = "unit_norm",
	.logs = SUTRA_LOGS_REPLICA,
	.params = no_params,
	.values = (const struct sutra_check_value[]){ { "norm_error", "", -1 }, { 0 } },
	.run = run_unit_norm,
};

static size_t differing(const float *a, const float *b, size_t n)
{
	size_t count = 0;

	for (size_t i = 0; i < n; i++)
		count += memcmp(&a[i], &b[i], sizeof(float)) != 0;
	return count;
}

static double farthest(const float *a, const float *b, size_t n)
{
	double worst = 0;

	for (size_t i = 0; i < n; i++)
		if (!(fabs((double)a[i] - b[i]) <= worst))
			worst = fabs((double)a[i] - b[i]);
	return worst;
}

/* Each sample alone against `base`: bits against the first answers, and the batch's row. */
static int compare_alone(struct sutra_check_run *r, const char *base, bool raw,
			 const struct sutra_embed_answer *batch, float *first, bool is_first,
			 size_t *bits, double *worst, struct sutra_err *err)
{
	size_t d = batch->dimension;

	for (size_t i = 0; i < N_SAMPLES; i++) {
		struct sutra_embed_answer a;
		double far;
		int rc = ask(r, base, &samples[i], 1, 0, raw, &a, err);

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
		far = farthest(batch->vectors + i * d, a.vectors, d);
		*worst = far > *worst || isnan(far) ? far : *worst;
		sutra_embed_release(&a);
	}
	return 0;
}

static int run_determinism(struct sutra_check_run *r, struct sutra_err *err)
{
	const char *const fallback[] = { r->env->gateway, NULL };
	const char *const *bases = r->env->replicas && r->env->replicas[0] ? r->env->replicas : fallback;
	struct sutra_embed_answer batch;
	size_t bits = 0, asked = 0, n = 0;
	double worst = 0;
	float *first;
	int rc = ask(r, bases[0], samples, N_SAMPLES, 0, bases == fallback, &batch, err);

	if (rc)
		return rc;
	first = sutra_calloc(N_SAMPLES * batch.dimension, sizeof(float));
	if (!first)
		rc = sutra_fail(err, SUTRA_E_NOMEM, "out of memory for %d vectors", N_SAMPLES);
	for (; !rc && bases[n]; n++)
		for (int again = 0; !rc && again < 2; again++, asked++)
			rc = compare_alone(r, bases[n], bases == fallback, &batch, first, !asked, &bits,
					   &worst, err);
	if (!rc) {
		sutra_check_set(r, "different_numbers", (double)bits);
		sutra_check_set(r, "batch_difference", worst);
		sutra_check_say(r, "%s, %zu %s; in a batch within %.1e",
				bits ? "not the same bits" : "bit for bit the same", n,
				bases == fallback ? "gateway" : n == 1 ? "replica" : "replicas", worst);
	}
	sutra_free(first);
	sutra_embed_release(&batch);
	return rc;
}

const struct sutra_check_kind sutra_kind_determinism = {
	.name = "determinism",
	.logs = SUTRA_LOGS_REPLICA,
	.params = no_params,
	.values = (const struct sutra_check_value[]){ { "different_numbers", "", -1 },
						      { "batch_difference", "", -1 },
						      { 0 } },
	.run = run_determinism,
};

static int64_t native_dimension(struct sutra_check_run *r)
{
	return r->env->replicas && r->env->replicas[0] ?
		       sutra_info_number(r->env->replicas[0], "native_dimension",
					 sutra_check_time(r, REQUEST_NS)) : 0;
}

/* The first n of v, without the mean of all `width` when the layer norm is still to
 * come (v is of native width: the norm's scale cancels, its mean does not), at length 1. */
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
	int64_t from = (int64_t)sutra_check_param(r, "from"), to = (int64_t)sutra_check_param(r, "to");
	struct sutra_embed_answer wide = { 0 }, narrow = { 0 };
	double worst = 0;
	bool raw;
	const char *base = model_base(r, &raw);
	int rc;

	/* A smaller deployment is held to its own dimension. */
	if (r->shared->dimension && from > r->shared->dimension)
		from = r->shared->dimension;
	to = to < from ? to : from / 2;
	rc = ask(r, base, samples, N_SAMPLES, from, raw, &wide, err);
	rc = rc ? rc : ask(r, base, samples, N_SAMPLES, to, raw, &narrow, err);
	if (rc)
		goto out;
	if ((int64_t)wide.dimension != from || (int64_t)narrow.dimension != to) {
		rc = sutra_check_no(r, "asked for %lld and %lld dimensions, got %zu and %zu", (long long)from,
				    (long long)to, wide.dimension, narrow.dimension);
		goto out;
	}
	for (size_t i = 0; i < N_SAMPLES; i++) {
		float *w = wide.vectors + i * wide.dimension, *n = narrow.vectors + i * narrow.dimension;
		double far;

		renormalise(w, wide.dimension, narrow.dimension, from == native_dimension(r));
		renormalise(n, narrow.dimension, narrow.dimension, false);
		far = farthest(w, n, narrow.dimension);
		worst = far > worst || isnan(far) ? far : worst;
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
	.params = (const struct sutra_check_param[]){ { "from", 2, 2048, 256, true },
						      { "to", 1, 2047, 128, true },
						      { 0 } },
	.values = (const struct sutra_check_value[]){ { "difference", "", -1 }, { 0 } },
	.run = run_prefix,
};

static int run_bytes(struct sutra_check_run *r, struct sutra_err *err)
{
	int64_t native = native_dimension(r);
	struct sutra_embed_answer a;
	double saved;
	int rc = ask(r, r->env->gateway, samples, N_SAMPLES, 0, false, &a, err);

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
	.logs = SUTRA_LOGS_GATEWAY,
	.params = no_params,
	.values = (const struct sutra_check_value[]){ { "bytes", "B", -1 },
						      { "native_bytes", "B", 0 },
						      { "json_bytes", "B", -1 },
						      { "saved_percent", "%", 1 },
						      { 0 } },
	.run = run_bytes,
};

static int run_latency(struct sutra_check_run *r, struct sutra_err *err)
{
	int n = (int)sutra_check_param(r, "texts");
	struct sutra_histogram *h = sutra_histogram_new();
	struct sutra_buf text;
	int rc = h ? 0 : sutra_fail(err, SUTRA_E_NOMEM, "out of memory for a histogram");

	sutra_buf_init(&text, MAX_TEXT);
	for (int i = 0; !rc && i < n; i++) {
		struct sutra_embed_answer a;
		const char *one;

		sutra_buf_clear(&text);
		sutra_fresh_text(r->shared->nonce, r->shared->fresh++, SHORT_WORDS, &text);
		one = sutra_buf_str(&text);
		rc = ask(r, r->env->gateway, &one, 1, 0, false, &a, err);
		if (rc)
			break;
		sutra_histogram_record(h, a.took_ns);
		sutra_embed_release(&a);
		sutra_check_progress(r, "%d of %d", i + 1, n);
	}
	if (!rc) {
		double p50 = (double)sutra_histogram_quantile(h, 0.5) / 1e6;
		double p95 = (double)sutra_histogram_quantile(h, 0.95) / 1e6;

		sutra_check_set(r, "p50_ms", p50);
		sutra_check_set(r, "p95_ms", p95);
		sutra_check_say(r, "new short text: P50 %.1f ms, P95 %.1f ms, one at a time", p50, p95);
	}
	sutra_buf_release(&text);
	sutra_histogram_free(h);
	return rc;
}

const struct sutra_check_kind sutra_kind_latency = {
	.name = "latency",
	.logs = SUTRA_LOGS_GATEWAY,
	.params = (const struct sutra_check_param[]){ { "texts", 1, 10000, 50, true }, { 0 } },
	.values = (const struct sutra_check_value[]){ { "p50_ms", "ms", -1 }, { "p95_ms", "ms", -1 }, { 0 } },
	.run = run_latency,
};
