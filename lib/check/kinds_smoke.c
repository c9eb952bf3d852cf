/* Smoke: every endpoint of the gateway, asked once or a few times. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/jsonio.h"
#include "check/check.h"
#include "check/kinds.h"
#include "check/pass.h"
#include "load/workload.h"
#include "net/fetch.h"

static const uint64_t REQUEST_NS = 10000000000u;
enum { MAX_URL = 512, MAX_LAST = 600, MAX_BATCH = 64, MAX_TEXT = 4096, WORDS = 8 };

/* One request to the gateway; answered whatever its status is. Without a body: GET. */
static int call(struct sutra_check_run *r, const char *path, const char *body, struct sutra_fetch *f,
		struct sutra_err *err)
{
	char url[MAX_URL], shown[SUTRA_FETCH_SHOWN];
	int rc;

	snprintf(url, sizeof(url), "%s%s", r->env->front, path);
	sutra_fetch_init(f);
	f->url = url;
	f->body = body;
	f->body_len = body ? strlen(body) : 0;
	f->timeout_ns = sutra_check_time(r->env, REQUEST_NS);
	rc = sutra_fetch_one(f, err);
	f->url = NULL;
	sutra_buf_clear(&r->last);
	sutra_buf_addf(&r->last, "%s %s: %d %.*s", body ? "POST" : "GET",
		       sutra_fetch_shown(url, shown, sizeof(shown)), f->status, MAX_LAST, sutra_buf_str(&f->answer));
	return rc && f->reason == SUTRA_FETCH_OK ? 0 : rc;
}

/* The same, whose answer must be a 200 with a JSON document; *ret is the caller's. */
static int document(struct sutra_check_run *r, const char *path, const char *body, double *ret_ms, json_t **ret,
		    struct sutra_err *err)
{
	struct sutra_fetch f;
	int rc = call(r, path, body, &f, err);

	*ret_ms = (double)f.total_ns / 1e6;
	if (!rc && f.status != 200)
		rc = sutra_fail(err, SUTRA_E_UNAVAILABLE, "%s answered %d, not 200", path, f.status);
	rc = rc ? rc : sutra_json_parse(sutra_buf_str(&f.answer), f.answer.len, ret, err);
	sutra_fetch_release(&f);
	return rc;
}

static int run_gateway_health(struct sutra_check_run *r, struct sutra_err *err)
{
	const char *status = NULL, *version = NULL;
	double ms, uptime = -1;
	json_t *doc;
	int rc = document(r, "/health", NULL, &ms, &doc, err);

	if (rc)
		return rc;
	sutra_json_get_string(doc, "status", &status, NULL);
	sutra_json_get_string(doc, "version", &version, NULL);
	sutra_json_get_double(doc, "uptime_seconds", &uptime, NULL);
	sutra_check_set(r, "ms", ms);
	if (!status || strcmp(status, "healthy") != 0)
		rc = sutra_check_no(r, "/health says \"%s\", not \"healthy\"", status ? status : "nothing");
	else if (!version || uptime < 0)
		rc = sutra_check_no(r, "/health lacks %s", version ? "uptime_seconds" : "version");
	else
		sutra_check_say(r, "healthy, version %s, up %.0f s, %.1f ms", version, uptime, ms);
	json_decref(doc);
	return rc;
}

const struct sutra_check_kind sutra_kind_gateway_health = {
	.name = "gateway_health",
	.values = { { "ms", "ms", -1 } },
	.run = run_gateway_health,
};

/* The largest difference between the numbers of a JSON list and n floats; INFINITY: other lengths. */
static double difference(const json_t *list, const float *v, size_t n)
{
	double worst = json_array_size(list) == n && n ? 0 : INFINITY;

	for (size_t i = 0; i < n && isfinite(worst); i++) {
		const json_t *x = json_array_get(list, i);

		worst = sutra_check_worse(worst, json_is_number(x) ? fabs(json_number_value(x) - v[i]) : INFINITY);
	}
	return worst;
}

/* One text of the old form, {"text"}: "embedding" as well as "embeddings". */
static int run_single(struct sutra_check_run *r, struct sutra_err *err)
{
	const json_t *rows;
	json_t *doc;
	int64_t dimension = 0, count = 0;
	double ms;
	int rc = document(r, "/embed", "{\"text\":\"The Eiffel Tower is in Paris\"}", &ms, &doc, err);

	if (rc)
		return rc;
	rows = json_object_get(doc, "embeddings");
	sutra_json_get_int(doc, "dimension", &dimension, NULL);
	sutra_json_get_int(doc, "count", &count, NULL);
	sutra_check_set(r, "ms", ms);
	sutra_check_say(r, "one vector of %lld dimensions, %.1f ms", (long long)dimension, ms);
	if (count != 1 || json_array_size(rows) != 1 || !dimension)
		rc = sutra_check_no(r, "one text got %zu vectors, \"count\" %lld, \"dimension\" %lld", json_array_size(rows),
				    (long long)count, (long long)dimension);
	else if ((int64_t)json_array_size(json_array_get(rows, 0)) != dimension ||
		 !json_equal(json_array_get(rows, 0), json_object_get(doc, "embedding")))
		rc = sutra_check_no(r, "\"embedding\" is not the vector in \"embeddings\"");
	json_decref(doc);
	return rc;
}

const struct sutra_check_kind sutra_kind_single = {
	.name = "single",
	.values = { { "ms", "ms", -1 } },
	.run = run_single,
};

static double cosine(const struct sutra_embed_answer *a, size_t i, size_t k)
{
	const float *x = a->vectors + i * a->dimension, *y = a->vectors + k * a->dimension;
	double dot = 0, xx = 0, yy = 0;

	for (size_t d = 0; d < a->dimension; d++) {
		dot += (double)x[d] * y[d];
		xx += (double)x[d] * x[d];
		yy += (double)y[d] * y[d];
	}
	return dot / sqrt(xx * yy);
}

/* Rows of a batch against the same texts alone; the largest difference. */
static int compare_alone(struct sutra_check_run *r, const char *const *texts, size_t n,
			 const struct sutra_embed_answer *batch, double *ret, struct sutra_err *err)
{
	double worst = 0;

	for (size_t i = 0; i < n; i += n > 3 ? n / 3 : 1) {
		struct sutra_embed_answer one;
		const struct sutra_embed_request q = { .texts = &texts[i], .n = 1 };
		int rc = sutra_check_embed(r, r->env->front, &q, &one, err);

		if (rc)
			return rc;
		for (size_t d = 0; d < batch->dimension && d < one.dimension; d++)
			worst = sutra_check_worse(worst, fabs((double)one.vectors[d] -
							      batch->vectors[i * batch->dimension + d]));
		worst = one.dimension == batch->dimension ? worst : INFINITY;
		sutra_embed_release(&one);
	}
	*ret = worst;
	return 0;
}

/* New texts, the first of them again as the last: the vectors must come in the order of the texts. */
static int run_batch(struct sutra_check_run *r, struct sutra_err *err)
{
	size_t n = (size_t)sutra_check_param(r->check, "texts");
	struct sutra_buf words[MAX_BATCH];
	const char *texts[MAX_BATCH];
	struct sutra_embed_answer batch;
	double worst = 0;
	int rc;

	for (size_t i = 0; i < n; i++) {
		sutra_buf_init(&words[i], MAX_TEXT);
		sutra_fresh_text(r->shared->nonce, r->shared->fresh++, WORDS, &words[i]);
		texts[i] = sutra_buf_str(&words[i + 1 < n ? i : 0]);
	}
	rc = sutra_check_embed(r, r->env->front, &(struct sutra_embed_request){ .texts = texts, .n = n },
			       &batch, err);
	if (rc)
		goto out;
	rc = compare_alone(r, texts, n, &batch, &worst, err);
	if (!rc) {
		worst = sutra_check_worse(worst, fabs(1 - cosine(&batch, 0, n - 1)));
		sutra_check_set(r, "ms", (double)batch.took_ns / 1e6);
		sutra_check_set(r, "difference", worst);
		sutra_check_say(r, "%zu new texts in their order, each as alone within %.1e, %.1f ms", n, worst,
				(double)batch.took_ns / 1e6);
	}
	sutra_embed_release(&batch);
out:
	for (size_t i = 0; i < n; i++)
		sutra_buf_release(&words[i]);
	return rc;
}

const struct sutra_check_kind sutra_kind_batch = {
	.name = "batch",
	.params = { { "texts", 2, MAX_BATCH, 32, true } },
	.values = { { "difference", "", -1 }, { "ms", "ms", -1 } },
	.run = run_batch,
};

/* /v1/embeddings gives the vectors that /embed gives, in OpenAI's shape. */
static int run_openai(struct sutra_check_run *r, struct sutra_err *err)
{
	static const char *const texts[] = { "The Eiffel Tower is in Paris", "Water boils at 100 degrees" };
	const json_t *data, *item;
	struct sutra_embed_answer a;
	const char *object = NULL;
	int64_t tokens = 0, index;
	double ms, worst = 0;
	json_t *doc;
	size_t i;
	int rc = document(r, "/v1/embeddings", "{\"model\":\"default\",\"input\":[\"The Eiffel Tower is in Paris\","
			  "\"Water boils at 100 degrees\"]}", &ms, &doc, err);

	if (rc)
		return rc;
	rc = sutra_check_embed(r, r->env->front, &(struct sutra_embed_request){ .texts = texts, .n = 2 }, &a, err);
	if (rc)
		goto out;
	data = json_object_get(doc, "data");
	sutra_json_get_string(doc, "object", &object, NULL);
	sutra_json_get_int(json_object_get(doc, "usage"), "prompt_tokens", &tokens, NULL);
	json_array_foreach(data, i, item) {
		index = -1;
		sutra_json_get_int(item, "index", &index, NULL);
		worst = index != (int64_t)i || i > 1 ? INFINITY :
			sutra_check_worse(worst, difference(json_object_get(item, "embedding"),
							    a.vectors + i * a.dimension, a.dimension));
	}
	sutra_embed_release(&a);
	sutra_check_set(r, "ms", ms);
	sutra_check_set(r, "difference", worst);
	sutra_check_say(r, "%zu vectors as /embed's within %.1e, %lld tokens, %.1f ms", json_array_size(data), worst,
			(long long)tokens, ms);
	if (json_array_size(data) != 2 || !object || strcmp(object, "list") != 0 || tokens <= 0)
		rc = sutra_check_no(r, "no list of 2 embeddings with a usage: %zu, \"%s\", %lld tokens",
				    json_array_size(data), object ? object : "", (long long)tokens);
out:
	json_decref(doc);
	return rc;
}

const struct sutra_check_kind sutra_kind_openai = {
	.name = "openai",
	.values = { { "difference", "", -1 }, { "ms", "ms", -1 } },
	.run = run_openai,
};

/* Groups of three: a text, one of nearly the same meaning, one of another. */
static int run_semantic(struct sutra_check_run *r, struct sutra_err *err)
{
	static const char *const texts[] = {
		"A man is playing the guitar", "Someone plays a guitar", "The stock market fell sharply on Monday",
		"How do I reset my password?", "I forgot my password and cannot log in", "A recipe for apple pie",
		"The cat sleeps on the sofa", "A kitten is napping on the couch", "The engine of the car needs oil",
		"Paris is the capital of France", "The French capital is Paris", "Penguins cannot fly",
	};
	enum { N = sizeof(texts) / sizeof(*texts) };
	double least = INFINITY, related = 0, unrelated = 0;
	struct sutra_embed_answer a;
	int rc = sutra_check_embed(r, r->env->front, &(struct sutra_embed_request){ .texts = texts, .n = N },
				   &a, err);

	if (rc)
		return rc;
	for (size_t i = 0; i < N; i += 3) {
		double near = cosine(&a, i, i + 1), far = cosine(&a, i, i + 2);

		related += near / (N / 3);
		unrelated += far / (N / 3);
		least = near - far < least || isnan(near - far) ? near - far : least;
	}
	sutra_check_set(r, "least_margin", least);
	sutra_check_set(r, "related", related);
	sutra_check_set(r, "unrelated", unrelated);
	sutra_check_say(r, "cosine of related texts %.2f, of unrelated %.2f, least margin %.2f", related, unrelated, least);
	sutra_embed_release(&a);
	return 0;
}

const struct sutra_check_kind sutra_kind_semantic = {
	.name = "semantic",
	.logs = SUTRA_LOGS_REPLICA,
	.values = { { "least_margin", "", 1 },
		    { "related", "", 1 },
		    { "unrelated", "", -1 } },
	.run = run_semantic,
};

static const struct bad_input {
	const char *path, *body;
	int status;
} bad_inputs[] = {
	{ "/embed", "{\"texts\":[\"cut", 400 },
	{ "/embed", "[\"no object\"]", 400 },
	{ "/embed", "{}", 422 },
	{ "/embed", "{\"texts\":[]}", 422 },
	{ "/embed", "{\"texts\":[\"\"]}", 422 },
	{ "/embed", "{\"texts\":[7]}", 422 },
	{ "/embed", "{\"texts\":[\"a\"],\"dimension\":7}", 422 },
	{ "/embed", NULL, 405 },
	{ "/v1/embeddings", "{\"input\":[]}", 400 },
	{ "/there/is/nothing/here", NULL, 404 },
};

/* Whether the answer is an error object, of either API, with code and words. */
static bool explains(const struct sutra_fetch *f)
{
	const char *code, *message;
	const json_t *e;
	json_t *doc;
	bool yes;

	if (sutra_json_parse(sutra_buf_str(&f->answer), f->answer.len, &doc, NULL))
		return false;
	e = json_object_get(doc, "error");
	code = json_string_value(json_object_get(e, "code"));
	message = json_string_value(json_object_get(e, "message"));
	yes = code && *code && message && *message;
	json_decref(doc);
	return yes;
}

static int run_bad_input(struct sutra_check_run *r, struct sutra_err *err)
{
	enum { N = sizeof(bad_inputs) / sizeof(*bad_inputs) };
	char wrong[200] = "";
	size_t right = 0;

	for (size_t i = 0; i < N; i++) {
		const struct bad_input *q = &bad_inputs[i];
		struct sutra_fetch f;
		int rc = call(r, q->path, q->body, &f, err);

		if (!rc && f.status == q->status && explains(&f))
			right++;
		else if (!rc && !wrong[0])
			snprintf(wrong, sizeof(wrong), "%s with %s answered %d%s; %d with an error object is due", q->path,
				 q->body ? q->body : "GET", f.status, f.status == q->status ? " without words" : "", q->status);
		sutra_fetch_release(&f);
		if (rc)
			return rc;
	}
	sutra_check_set(r, "right", (double)right);
	sutra_check_set(r, "wrong", (double)(N - right));
	sutra_check_say(r, "%zu of %d bad requests got their 4xx and the reason", right, (int)N);
	return wrong[0] ? sutra_check_no(r, "%s", wrong) : 0;
}

const struct sutra_check_kind sutra_kind_bad_input = {
	.name = "bad_input",
	.values = { { "right", "", 1 }, { "wrong", "", -1 } },
	.run = run_bad_input,
};
