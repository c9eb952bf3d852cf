/* The routes below /cache, and the gateway's parts of /health and /metrics. */
#include <stdio.h>
#include <string.h>

#include "base/jsonio.h"
#include "gateway.h"

static void stats_ready(void *request, struct sutra_buf *json) { sutra_http_reply_json(request, 200, json); }

void gw_cache_stats(struct sutra_http_request *r, void *ctx)
{
	sutra_cache_stats(((struct gateway *)ctx)->cache, stats_ready, r);
}

/* Ends the fields of an answer. If L2 has not confirmed, the answer is an error that says what has been done to
 * L1 and may be missing in L2. */
static void answer_change(struct sutra_http_request *r, struct sutra_buf *fields, int l2_code, const char *l1,
			  const char *l2)
{
	if (l2_code) {
		sutra_buf_addf(fields,
			       ",\"error\":{\"code\":\"%s\",\"message\":\"%s; the cache shard did not %s: %s\","
			       "\"hint\":\"try again; sutra status shows storage-cache-shard\"}",
			       sutra_err_name(l2_code), l1, l2, sutra_err_text(l2_code));
		sutra_http_add_header(r, "Retry-After", "1");
	}
	sutra_buf_adds(fields, "}\n");
	sutra_http_reply_json(r, l2_code ? 503 : 200, fields);
}

static void cleared(void *request, uint64_t l1, uint64_t l2, int l2_code)
{
	char emptied[64];
	struct sutra_buf b;

	sutra_buf_init(&b, 1024);
	sutra_buf_addf(&b, "{\"cleared\":%s,\"l1\":%llu,\"l2\":%llu", l2_code ? "false" : "true",
		       (unsigned long long)l1, (unsigned long long)l2);
	snprintf(emptied, sizeof(emptied), "L1 was emptied of %llu entries", (unsigned long long)l1);
	answer_change(request, &b, l2_code, emptied, "clear");
}

void gw_cache_clear(struct sutra_http_request *r, void *ctx)
{
	sutra_cache_clear(((struct gateway *)ctx)->cache, cleared, r);
}

static void invalidated(void *request, uint64_t l1, uint64_t l2, int l2_code)
{
	struct sutra_buf b;

	sutra_buf_init(&b, 1024);
	sutra_buf_addf(&b, "{\"invalidated\":%d", l1 || l2);
	answer_change(request, &b, l2_code, l1 ? "the text was removed from L1" : "L1 did not hold the text", "remove it");
}

void gw_cache_invalidate(struct sutra_http_request *r, void *ctx)
{
	struct gateway *g = ctx;
	const char *body, *text = NULL, *type = NULL;
	struct gw_model model = { 0 };
	struct sutra_buf typed;
	json_t *o = NULL;
	struct sutra_err err;
	size_t n;
	int rc;

	body = sutra_http_body(r, &n);
	sutra_buf_init(&typed, n + SUTRA_INPUT_TYPE_LEN + 2);
	rc = sutra_json_parse(body, n, &o, &err);
	if (!rc && json_object_get(o, "query")) {
		rc = sutra_fail(&err, SUTRA_E_INVALID, "field \"query\": invalidation by similarity is not in this version");
		sutra_hint(&err, "name the text itself: {\"text\":\"...\"}");
	}
	rc = rc ? rc : sutra_json_get_string(o, "text", &text, &err);
	if (!rc && (!text || !*text))
		rc = sutra_fail(&err, SUTRA_E_INVALID, "field \"text\" is missing or empty");
	rc = rc ? rc : answer_model(g, &model, &err);
	rc = rc ? rc : gw_read_type(&model, o, &type, &err);
	n = json_string_length(json_object_get(o, "text"));
	if (!rc && type) {
		sutra_typed_pack(type, text, n, &typed);
		text = sutra_buf_str(&typed);
		n = typed.len;
		rc = sutra_buf_error(&typed) ? sutra_fail(&err, SUTRA_E_NOMEM, "out of memory") : 0;
	}
	if (rc)
		gw_fail(g, r, &err);
	else
		sutra_cache_invalidate(g->cache, model.fingerprint, text, n, invalidated, r);
	sutra_buf_release(&typed);
	json_decref(o);
}

static void warmed(struct sutra_cache_request *get)
{
	struct answer *a = get->user;
	size_t fresh = 0;
	struct sutra_buf b;

	if (get->err.code) {
		gw_fail(a->g, a->request, &get->err);
	} else {
		for (size_t i = 0; i < get->n; i++)
			fresh += get->sources[i] == SUTRA_FROM_MODEL;
		sutra_buf_init(&b, 256);
		sutra_buf_addf(&b, "{\"warmed\":%zu,\"computed\":%zu}\n", get->n, fresh);
		sutra_http_reply_json(a->request, 200, &b);
	}
	answer_free(a);
}

/* Reads a text from each line, a JSON string or {"text":"..."}; skips blank lines. */
static int read_ndjson(const char *body, size_t n, struct sutra_texts *ret, struct sutra_err *err)
{
	int line = 0;

	ret->list = json_array();
	for (const char *at = body, *end = body + n; at < end;) {
		size_t len = strcspn(at, "\n");
		json_t *v = NULL, *text;
		int rc;

		line++;
		if (len > (size_t)(end - at))
			len = (size_t)(end - at);
		rc = strspn(at, " \t\r") >= len ? 0 : sutra_json_parse(at, len, &v, err);
		text = json_is_object(v) ? json_object_get(v, "text") : v;
		if (!rc && json_object_get(v, "input_type"))
			rc = sutra_fail(err, SUTRA_E_INVALID, "\"input_type\" is taken with {\"texts\":[...]} only");
		if (!rc && v && (!json_is_string(text) || !json_string_length(text)))
			rc = sutra_fail(err, SUTRA_E_INVALID, "a text that is not empty is expected");
		if (!rc && v && json_array_size(ret->list) == SUTRA_MAX_TEXTS)
			rc = sutra_fail(err, SUTRA_E_INVALID, "more than %d texts", SUTRA_MAX_TEXTS);
		if (!rc && v)
			json_array_append(ret->list, text);
		json_decref(v);
		if (rc)
			return sutra_err_prefix(err, "line %d", line);
		at += len + 1;
	}
	return json_array_size(ret->list) ? 0 : sutra_fail(err, SUTRA_E_INVALID, "there is no text");
}

void gw_cache_warm(struct sutra_http_request *r, void *ctx)
{
	struct gateway *g = ctx;
	const char *type = sutra_http_header(r, "Content-Type"), *body;
	struct sutra_texts texts = { 0 };
	struct answer *a = NULL;
	const char *input_type = NULL;
	struct gw_model model;
	struct sutra_err err;
	size_t n;
	int rc = answer_model(g, &model, &err);

	body = sutra_http_body(r, &n);
	if (!rc)
		rc = type && strstr(type, "ndjson") ? read_ndjson(body, n, &texts, &err) :
						      sutra_texts_read(body, n, NULL, &texts, &err);
	rc = rc ? rc : gw_read_type(&model, texts.body, &input_type, &err);
	rc = rc ? rc : answer_new(g, r, &texts, &model, input_type, &a, &err);
	if (rc) {
		sutra_texts_release(&texts);
		gw_fail(g, r, &err);
		return;
	}
	a->get.done = warmed;
	answer_ask(a);
}

const char *gw_health(void *gateway, struct sutra_buf *fields)
{
	struct gateway *g = gateway;
	bool ml_up = upstream_up(g->upstream), l2_up = sutra_cache_l2_up(g->cache);
	struct gw_model model = { 0 };
	const char *reason = NULL;

	if (!gw_model_get(g, &model))
		reason = "starting: the model of ml-base is not known yet";
	else if (!ml_up && !l2_up)
		reason = "neither ml-base nor the cache shard answers";
	sutra_buf_addf(fields,
		       ",\"ml_base\":\"%s\",\"cache\":\"%s\",\"fingerprint\":\"%s\",\"dimension\":%lld,\"model\":",
		       ml_up ? "up" : "down",
		       !g->settings.cache_enabled ? "off" :
		       !g->settings.shard_host	  ? "memory only" :
		       !l2_up			  ? "down: answers go on without L2" :
		       !sutra_cache_l2_writes(g->cache) ? "up, but refuses writes: answers go on without them" :
							  "up",
		       model.fingerprint, (long long)g->settings.dimension);
	sutra_json_add_string(fields, model.name, strlen(model.name));
	sutra_buf_adds(fields, ",\"instance_id\":");
	sutra_json_add_string(fields, g->settings.instance_id, strlen(g->settings.instance_id));
	return reason;
}

void gw_metrics(void *gateway, struct sutra_buf *b)
{
	static const struct sutra_metric_row rows[GW_METRIC_COUNT] = {
#define X(sym, name, type, help) { name, SUTRA_##type, help },
		GW_METRICS(X)
#undef X
	};
	struct gateway *g = gateway;

	sutra_metrics_prometheus(rows, g->metrics, GW_METRIC_COUNT, b);
	sutra_cache_prometheus(g->cache, b);
}
