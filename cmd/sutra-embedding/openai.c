/*
 * POST /v1/embeddings, GET /v1/models and /v1/models/{id} as OpenAI defines them: input (a string, a list of
 * strings, token ids, or a list of lists of token ids), dimensions, encoding_format (float or base64), usage;
 * errors as {"error":{"message","type","param","code"}}.
 */
#include <stdio.h>
#include <string.h>

#include "base/digest.h"
#include "base/jsonio.h"
#include "gateway.h"

static void fail_openai(struct gateway *g, struct sutra_http_request *r, const struct sutra_err *err,
			const char *param)
{
	int status = sutra_err_http(err->code);
	struct sutra_buf b;

	sutra_metric_add(&g->metrics[GW_ERRORS], 1);
	sutra_buf_init(&b, 8192);
	sutra_buf_adds(&b, "{\"error\":{\"message\":");
	sutra_json_add_string(&b, err->message, strlen(err->message));
	sutra_buf_addf(&b, ",\"type\":\"%s\",\"param\":",
		       status >= 500 ? "server_error" :
		       status == 429 ? "rate_limit_error" :
				       "invalid_request_error");
	if (param)
		sutra_buf_addf(&b, "\"%s\"", param);
	else
		sutra_buf_adds(&b, "null");
	sutra_buf_addf(&b, ",\"code\":\"%s\"}}\n", sutra_err_name(err->code));
	if (status == 429 || status == 503)
		sutra_http_add_header(r, "Retry-After", "1");
	sutra_http_reply_json(r, status == 422 ? 400 : status, &b);	/* OpenAI's clients know 400 */
}

void gw_openai_fail(struct sutra_http_request *r, void *gateway, const struct sutra_err *err)
{
	fail_openai(gateway, r, err, NULL);
}

/* Reads "input": a text, ids, or a list of texts and lists of ids. */
static int read_input(struct sutra_texts *t, const struct sutra_ids_limits *limits,
		      struct sutra_err *err)
{
	bool typed = json_is_string(json_object_get(t->body, "input_type"));
	json_t *input = json_object_get(t->body, "input"), *text;
	bool one = json_is_string(input) || json_is_integer(json_array_get(input, 0));
	char name[48];
	size_t i;

	if (!one && !json_is_array(input))
		return sutra_fail(err, SUTRA_E_INVALID,
				  "field \"input\" must be a text, a list of texts or token ids, not %s",
				  sutra_json_type_name(input));
	t->list = one ? json_array() : json_incref(input);
	if (!t->list || (one && json_array_append(t->list, input)))
		return sutra_fail(err, SUTRA_E_NOMEM, "out of memory");
	if (!json_array_size(t->list) || json_array_size(t->list) > SUTRA_MAX_TEXTS)
		return sutra_fail(err, SUTRA_E_INVALID, "field \"input\" holds %zu texts; 1 to %d are taken",
				  json_array_size(t->list), SUTRA_MAX_TEXTS);
	json_array_foreach(t->list, i, text) {
		int rc = 0;

		snprintf(name, sizeof(name), one ? "input" : "input[%zu]", i);
		if (json_is_array(text) && typed)
			rc = sutra_fail(err, SUTRA_E_INVALID,
					"%s is a list of token ids, which no prefix can be put before; field "
					"\"input_type\" is for texts", name);
		else if (json_is_array(text))
			rc = sutra_ids_check(text, name, limits, err);
		else if (!json_is_string(text) || !json_string_length(text))
			rc = sutra_fail(err, SUTRA_E_INVALID, "%s is %s; a text that is not empty is wanted", name,
					json_is_string(text) ? "an empty text" : sutra_json_type_name(text));
		if (rc)
			return rc;
	}
	return 0;
}

static void add_base64(struct answer *a, size_t i, struct sutra_buf *b)
{
	float shaped[8192];
	size_t bytes = a->dimension * sizeof(float);
	size_t n = 4 * ((bytes + 2) / 3);
	char *room = sutra_buf_reserve(b, n);

	if (!room)
		return;
	gw_shape(&a->model, a->get.vectors[i], a->dimension, shaped);
	sutra_base64(shaped, bytes, room);
	sutra_buf_added(b, n);
}

static void embedded(struct sutra_cache_request *get)
{
	struct answer *a = get->user;
	size_t tokens, truncated;
	struct sutra_buf b;

	if (!answer_is_whole(a))
		return;
	if (get->err.code) {
		fail_openai(a->g, a->request, &get->err, NULL);
		answer_free(a);
		return;
	}
	sutra_metric_add(&a->g->metrics[GW_REQUESTS], 1);
	answer_count(a, &tokens, &truncated);
	sutra_buf_init(&b, a->get.n * (a->dimension * 32 + 128) + 4096);
	sutra_buf_adds(&b, "{\"object\":\"list\",\"data\":[");
	for (size_t i = 0; i < a->get.n; i++) {
		sutra_buf_addf(&b, "%s{\"object\":\"embedding\",\"index\":%zu,\"embedding\":", i ? "," : "", i);
		if (a->base64) {
			sutra_buf_addc(&b, '"');
			add_base64(a, i, &b);
			sutra_buf_addc(&b, '"');
		} else {
			answer_add_vector(a, i, &b);
		}
		sutra_buf_addc(&b, '}');
	}
	sutra_buf_addf(&b, "],\"usage\":{\"prompt_tokens\":%zu,\"total_tokens\":%zu},\"model\":", tokens, tokens);
	sutra_json_add_string(&b, a->model.name, strlen(a->model.name));
	sutra_buf_adds(&b, "}\n");
	sutra_http_reply_json(a->request, 200, &b);
	answer_free(a);
}

/* Reads all fields but the input; *ret_param: the field that an error is about. */
static int read_options(struct gateway *g, const json_t *body, struct gw_model *model,
			int64_t *ret_dimension, bool *ret_base64, const char **ret_type,
			const char **ret_param, struct sutra_err *err)
{
	const char *format = "float";
	int rc = answer_model(g, model, err);

	if (rc)
		return rc;
	*ret_dimension = (int64_t)model->dimension;
	*ret_param = "dimensions";
	rc = sutra_json_get_int(body, "dimensions", ret_dimension, err);
	rc = rc ? rc : gw_check_dimension(model, *ret_dimension, err);
	if (rc)
		return rc;
	*ret_param = "encoding_format";
	rc = sutra_json_get_string(body, "encoding_format", &format, err);
	if (!rc && strcmp(format, "float") && strcmp(format, "base64"))
		rc = sutra_fail(err, SUTRA_E_INVALID,
				"field \"encoding_format\" is \"%.40s\"; allowed are float and base64", format);
	*ret_base64 = !strcmp(format, "base64");
	if (rc)
		return rc;
	*ret_param = "input_type";
	return gw_read_type(model, body, ret_type, err);
}

void gw_openai(struct sutra_http_request *r, void *ctx)
{
	struct gateway *g = ctx;
	struct sutra_texts texts = { 0 };
	struct answer *a = NULL;
	struct gw_model model;
	struct sutra_err err;
	const char *body, *param = NULL, *type = NULL;
	int64_t dimension = 0;
	bool base64 = false;
	size_t n;
	int rc;

	body = sutra_http_body(r, &n);
	rc = sutra_json_parse(body, n, &texts.body, &err);
	if (!rc && !json_is_object(texts.body))
		rc = sutra_fail(&err, SUTRA_E_SYNTAX, "the body must be a JSON object, not %s",
				sutra_json_type_name(texts.body));
	rc = rc ? rc : read_options(g, texts.body, &model, &dimension, &base64, &type, &param, &err);
	if (!rc) {
		param = "input";
		rc = read_input(&texts, &model.ids, &err);
	}
	rc = rc ? rc : answer_new(g, r, &texts, &model, type, &a, &err);
	if (rc) {
		sutra_texts_release(&texts);
		fail_openai(g, r, &err, rc == SUTRA_E_INVALID ? param : NULL);
		return;
	}
	a->dimension = (size_t)dimension;
	a->base64 = base64;
	a->get.done = embedded;
	answer_ask(a);
}

static void add_model(const struct gw_model *m, struct sutra_buf *b)
{
	sutra_buf_adds(b, "{\"id\":");
	sutra_json_add_string(b, m->name, strlen(m->name));
	sutra_buf_addf(b,
		       ",\"object\":\"model\",\"created\":0,\"owned_by\":\"sutra\",\"fingerprint\":\"%s\",\"dimension\":%zu}",
		       m->fingerprint, m->dimension);
}

void gw_models(struct sutra_http_request *r, void *ctx)
{
	struct gw_model model;
	struct sutra_buf b;

	sutra_buf_init(&b, 4096);
	sutra_buf_adds(&b, "{\"object\":\"list\",\"data\":[");
	if (gw_model_get(ctx, &model))
		add_model(&model, &b);
	sutra_buf_adds(&b, "]}\n");
	sutra_http_reply_json(r, 200, &b);
}

void gw_model_by_id(struct sutra_http_request *r, void *ctx)
{
	const char *id = sutra_http_param(r, "id");
	struct gw_model model;
	struct sutra_err err;
	struct sutra_buf b;
	int rc = answer_model(ctx, &model, &err);

	if (!rc && strcmp(id, model.name)) {
		rc = sutra_fail(&err, SUTRA_E_NOTFOUND, "the model \"%.100s\" is not served here", id);
		sutra_hint(&err, "the model is \"%s\"", model.name);
	}
	if (rc) {
		fail_openai(ctx, r, &err, NULL);
		return;
	}
	sutra_buf_init(&b, 4096);
	add_model(&model, &b);
	sutra_buf_adds(&b, "\n");
	sutra_http_reply_json(r, 200, &b);
}
