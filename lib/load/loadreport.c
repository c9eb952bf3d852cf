#include "load/loadreport.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/jsonio.h"
#include "base/mask.h"

static const double LEAST_SHARE = 0.99;

static const struct {
	const char *name;
	double q;
} quantiles[] = {
	{ "p50", 0.5 },	{ "p75", 0.75 },    { "p90", 0.9 },	{ "p95", 0.95 },
	{ "p99", 0.99 }, { "p99_9", 0.999 }, { "p99_99", 0.9999 },
};

enum { N_QUANTILES = sizeof(quantiles) / sizeof(*quantiles), CURVE_STEPS = 8 };

static json_t *ms(uint64_t ns) { return json_real((double)ns / 1e6); }

static json_t *times(const struct sutra_histogram *h)
{
	json_t *o = json_object();

	json_object_set_new(o, "mean", json_real(sutra_histogram_mean(h) / 1e6));
	for (size_t i = 0; i < N_QUANTILES; i++)
		json_object_set_new(o, quantiles[i].name, ms(sutra_histogram_quantile(h, quantiles[i].q)));
	json_object_set_new(o, "max", ms(sutra_histogram_max(h)));
	return o;
}

/* [quantile, ms] as HdrHistogram prints them: each half of what is left in the same number of
 * steps, until less than one request is left. */
static json_t *curve(const struct sutra_histogram *h)
{
	double n = (double)sutra_histogram_count(h), left = 1;
	json_t *list = json_array();

	for (unsigned step = 0; n > 0 && left * n >= 1; step++) {
		left = exp2(-(double)step / CURVE_STEPS);
		json_array_append_new(list, json_pack("[f, f]", 1 - left,
						      (double)sutra_histogram_quantile(h, 1 - left) / 1e6));
	}
	return list;
}

static json_t *timeline(const struct sutra_load_options *o, const struct sutra_load_result *r)
{
	json_t *list = json_array();

	for (size_t i = 0; i < r->n_buckets; i++) {
		const struct sutra_load_bucket *b = &r->buckets[i];
		json_t *row = json_pack("{s:I, s:I, s:I, s:I}", "t_ms", (json_int_t)(i * o->bucket_ms), "sent",
					(json_int_t)b->sent, "ok", (json_int_t)b->ok, "failed",
					(json_int_t)b->failed);

		if (b->max_ns) {
			json_object_set_new(row, "p50_ms", ms(b->p50_ns));
			json_object_set_new(row, "p99_ms", ms(b->p99_ns));
			json_object_set_new(row, "max_ms", ms(b->max_ns));
		}
		json_array_append_new(list, row);
	}
	return list;
}

void sutra_load_doubt(const struct sutra_load_run *r, char *out, size_t size)
{
	const struct sutra_load_result *t = r->result;
	uint64_t late = sutra_histogram_quantile(t->lateness, 0.99);

	*out = '\0';
	if (!t->ok)
		snprintf(out, size, "no request was answered well, the first failed with %s",
			 t->failed ? t->first_failure : "nothing: none was sent");
	else if (t->asked_rate > 0 && t->sent_rate < LEAST_SHARE * t->asked_rate)
		snprintf(out, size, "the generator sent %.1f/s of %.10g/s asked (%.1f %%, at least 99 %% are needed)",
			 t->sent_rate, t->asked_rate, 100 * t->sent_rate / t->asked_rate);
	else if (t->asked_rate > 0 && late > r->max_late_ns)
		snprintf(out, size, "the generator sent late: %.3f ms at P99, --max-late allows %.3f ms",
			 (double)late / 1e6, (double)r->max_late_ns / 1e6);
}

static json_t *asked(const struct sutra_load_run *r)
{
	const struct sutra_load_options *o = r->asked;

	return json_pack("{s:o, s:o, s:o, s:i, s:O}", o->rate > 0 ? "rate" : "connections",
			 o->rate > 0 ? json_real(o->rate) : json_integer(o->connections), "duration_s",
			 o->span_ns ? json_real((double)o->span_ns / 1e9) : json_null(), "dimension",
			 o->dimension ? json_integer(o->dimension) : json_null(), "interval_ms", (int)o->bucket_ms,
			 "texts", r->texts);
}

static void add_counts(json_t *doc, const struct sutra_load_run *r)
{
	const struct sutra_load_result *t = r->result;
	double wall = (double)t->wall_ns / 1e9;

	json_object_update_new(doc, json_pack("{s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:f}", "sent", (json_int_t)t->sent,
					      "ok", (json_int_t)t->ok, "failed", (json_int_t)t->failed, "late",
					      (json_int_t)t->late, "dropped", (json_int_t)t->dropped, "wall_s", wall,
					      "sent_rate", t->sent_rate, "ok_rate",
					      wall > 0 ? (double)t->ok / wall : 0));
	if (t->failed)
		json_object_set_new(doc, "first_failure", sutra_json_text(t->first_failure));
	if (r->has_cache)
		json_object_set_new(doc, "cache", json_pack("{s:I, s:I, s:I}", "l1", (json_int_t)r->l1, "l2",
							    (json_int_t)r->l2, "computed", (json_int_t)r->computed));
}

json_t *sutra_load_document(const struct sutra_load_run *r, int exit_code)
{
	const struct sutra_load_result *t = r->result;
	char when[SUTRA_RFC3339_LEN], doubt[400];
	struct sutra_buf url;
	json_t *doc;

	sutra_clock_rfc3339(r->started_us, when);
	sutra_load_doubt(r, doubt, sizeof(doubt));
	sutra_buf_init(&url, 4096);
	sutra_mask_add(NULL, r->url, strlen(r->url), &url);
	doc = json_pack("{s:s, s:s, s:o, s:s, s:o}", "schema", "sutra.load/1", "started", when, "url",
			sutra_json_text(sutra_buf_str(&url)), "loop", r->asked->rate > 0 ? "open" : "closed", "asked",
			asked(r));
	sutra_buf_release(&url);
	add_counts(doc, r);
	json_object_set_new(doc, "response_ms", times(t->response));
	json_object_set_new(doc, "service_ms", times(t->service));
	if (r->asked->rate > 0)
		json_object_set_new(doc, "lateness_ms", times(t->lateness));
	json_object_set_new(doc, "response_curve", curve(t->response));
	json_object_set_new(doc, "service_curve", curve(t->service));
	json_object_set_new(doc, "timeline", timeline(r->asked, t));
	json_object_set_new(doc, "interrupted", json_boolean(r->interrupted));
	json_object_set_new(doc, "doubt", *doubt ? json_string(doubt) : json_null());
	json_object_set_new(doc, "exit_code", json_integer(exit_code));
	return doc;
}

/* A figure by its path, "response_ms.p99"; -1: it is not there. */
static double figure_at(const json_t *doc, const char *path)
{
	const char *dot = strchr(path, '.');
	char first[32];
	const json_t *v;

	snprintf(first, sizeof(first), "%.*s", dot ? (int)(dot - path) : 31, path);
	v = json_object_get(doc, first);
	if (dot)
		v = json_object_get(v, dot + 1);
	return json_is_number(v) ? json_number_value(v) : -1;
}

int sutra_load_compare(json_t *doc, const json_t *before, struct sutra_err *err)
{
	static const char *const figures[] = { "sent_rate", "ok_rate", "failed", "response_ms.mean",
					       "response_ms.p50", "response_ms.p90", "response_ms.p95",
					       "response_ms.p99", "response_ms.p99_9", "response_ms.max",
					       "service_ms.p50", "service_ms.p99" };
	const char *schema = "", *started = "";
	json_t *list = json_array();
	int rc = sutra_json_get_string(before, "schema", &schema, err);

	rc = rc ? rc : sutra_json_get_string(before, "started", &started, err);
	if (!rc && strcmp(schema, "sutra.load/1") != 0)
		rc = sutra_fail(err, SUTRA_E_INVALID, "its schema is \"%.40s\", not sutra.load/1", schema);
	for (size_t i = 0; !rc && i < sizeof(figures) / sizeof(*figures); i++) {
		double was = figure_at(before, figures[i]), is = figure_at(doc, figures[i]);

		if (was < 0 || is < 0)
			continue;
		json_array_append_new(list, json_pack("{s:s, s:f, s:f, s:o}", "figure", figures[i], "before", was,
						      "now", is, "ratio", was > 0 ? json_real(is / was) : json_null()));
	}
	if (rc)
		json_decref(list);
	else
		json_object_set_new(doc, "against", json_pack("{s:s, s:o}", "started", started, "figures", list));
	return rc;
}
