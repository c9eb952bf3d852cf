/*
 * POST /embed, with a cache per text. The JSON of a cached vector is copied; only at a smaller dimension than
 * the deployment's a vector is shaped and formatted again.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/jsonio.h"
#include "gateway.h"

#define AGAIN_NS 10000000u	/* delay of the first try; it doubles */

enum { FLOAT_TEXT = 16, MAX_ASKED = 8 };

/* Fills the arrays. What is no string becomes bytes in a->packed, which does not move meanwhile. */
static int take_texts(struct answer *a, const char *type, struct sutra_err *err)
{
	size_t most = 0, at = 0, i;
	json_t *text;

	json_array_foreach(a->body.list, i, text) {
		if (json_is_array(text))
			most += 1 + 4 * json_array_size(text);
		else if (type)
			most += json_string_length(text) + strlen(type) + 2;
	}
	sutra_buf_init(&a->packed, most);
	if (most && !sutra_buf_reserve(&a->packed, most))
		return sutra_fail(err, SUTRA_E_NOMEM, "out of memory");
	json_array_foreach(a->body.list, i, text) {
		a->texts[i] = json_string_value(text);
		a->lengths[i] = json_string_length(text);
		if (json_is_array(text))
			sutra_ids_pack(text, &a->packed);
		else if (type)
			sutra_typed_pack(type, a->texts[i], a->lengths[i], &a->packed);
		else
			continue;
		a->texts[i] = a->packed.data + at;
		a->lengths[i] = a->packed.len - at;
		at = a->packed.len;
	}
	return 0;
}

int answer_new(struct gateway *g, struct sutra_http_request *r, struct sutra_texts *texts,
	       const struct gw_model *model, const char *type, struct answer **ret, struct sutra_err *err)
{
	size_t n = json_array_size(texts->list);
	/* One block: the answer, then its arrays. */
	struct answer *a = sutra_calloc(1, sizeof(*a) + n * (sizeof(char *) + sizeof(size_t) + sizeof(struct sutra_vector *) +
							     sizeof(enum sutra_cache_source)));
	int rc;

	if (!a)
		return sutra_fail(err, SUTRA_E_NOMEM, "out of memory for %zu texts", n);
	a->g = g;
	a->request = r;
	a->model = *model;
	a->body = *texts;
	a->get.deadline_ns = sutra_http_context(r)->deadline_ns;
	a->get.trace_parent = sutra_http_context(r)->trace_parent;
	a->texts = (const char **)(a + 1);
	a->lengths = (size_t *)(a->texts + n);
	a->get.vectors = (struct sutra_vector **)(a->lengths + n);
	a->get.sources = (enum sutra_cache_source *)(a->get.vectors + n);
	a->get.n = n;
	a->get.texts = a->texts;
	a->get.lengths = a->lengths;
	a->get.user = a;
	rc = take_texts(a, type, err);
	*texts = (struct sutra_texts){ 0 };
	if (rc)
		answer_free(a);
	else
		*ret = a;
	return rc;
}

void answer_free(struct answer *a)
{
	for (size_t i = 0; i < a->get.n; i++)
		sutra_vector_unref(a->get.vectors[i]);
	sutra_texts_release(&a->body);
	sutra_buf_release(&a->packed);
	sutra_free(a);
}

void answer_add_vector(const struct answer *a, size_t i, struct sutra_buf *b)
{
	const struct sutra_vector *v = a->get.vectors[i];
	float shaped[8192];

	if (a->dimension == v->dimension) {
		sutra_buf_add(b, v->json, v->json_len);
		return;
	}
	gw_shape(&a->model, v, a->dimension, shaped);
	sutra_json_add_floats(b, shaped, a->dimension);
}

void answer_ask(struct answer *a)
{
	a->asked++;
	a->get.model = a->model.name;
	a->get.fingerprint = a->model.fingerprint;
	sutra_cache_get(a->g->cache, &a->get);
}

/* Requests the vectors of the present model. */
static void ask_later(void *answer)
{
	struct answer *a = answer;

	gw_model_get(a->g, &a->model);
	if (gw_check_dimension(&a->model, (int64_t)a->dimension, &a->get.err))
		a->get.done(&a->get);
	else
		answer_ask(a);
}

/* Drops the vectors and requests those of other; NULL: of the model that is known a little later. False: an
 * error is filled. */
static bool ask_again(struct answer *a, const struct gw_model *other)
{
	for (size_t i = 0; i < a->get.n; i++) {
		sutra_vector_unref(a->get.vectors[i]);
		a->get.vectors[i] = NULL;
	}
	if (a->asked == MAX_ASKED) {
		sutra_fail(&a->get.err, SUTRA_E_UNAVAILABLE, "the replicas of ml-base serve different models");
		sutra_hint(&a->get.err, "try again when all of them have changed");
		return false;
	}
	if (other) {
		a->model = *other;
		answer_ask(a);
	} else if (upstream_later(a->g->upstream, AGAIN_NS << a->asked, ask_later, a)) {
		sutra_fail(&a->get.err, SUTRA_E_NOMEM, "out of memory");
		return false;
	}
	return true;
}

bool answer_is_whole(struct answer *a)
{
	const char *stranger = NULL;
	struct gw_model other;
	size_t strangers = 0;
	bool known;

	for (size_t i = 0; !a->get.err.code && i < a->get.n; i++) {
		const char *of = a->get.vectors[i]->key.fingerprint;

		if (!strcmp(of, a->model.fingerprint))
			continue;
		stranger = stranger ? stranger : of;
		strangers += !strcmp(of, stranger);
	}
	if (!stranger)
		return true;
	known = gw_model_of(a->g, stranger, &other) &&
		!gw_check_dimension(&other, (int64_t)a->dimension, NULL);
	if (!known || strangers < a->get.n)
		return !ask_again(a, known ? &other : NULL);
	a->model = other;
	return true;
}

static void reply_binary(struct answer *a)
{
	char shape[64];
	struct sutra_buf b;

	sutra_buf_init(&b, a->get.n * a->dimension * sizeof(float) + 1);
	for (size_t i = 0; i < a->get.n; i++) {
		char *room = sutra_buf_reserve(&b, a->dimension * sizeof(float));

		if (!room)
			break;
		gw_shape(&a->model, a->get.vectors[i], a->dimension, (float *)(void *)room);
		sutra_buf_added(&b, a->dimension * sizeof(float));
	}
	snprintf(shape, sizeof(shape), "%zu,%zu", a->get.n, a->dimension);
	sutra_http_add_header(a->request, "X-Embedding-Shape", shape);
	sutra_http_add_header(a->request, "X-Embedding-Fingerprint", a->model.fingerprint);
	sutra_http_reply(a->request, 200, "application/octet-stream", &b);
}

static void add_cache_fields(const struct answer *a, struct sutra_buf *b)
{
	size_t from[3] = { 0 };

	sutra_buf_adds(b, ",\"cached\":[");
	for (size_t i = 0; i < a->get.n; i++) {
		from[a->get.sources[i]]++;
		if (i)
			sutra_buf_addc(b, ',');
		sutra_buf_adds(b, a->get.sources[i] == SUTRA_FROM_MODEL ? "false" : "true");
	}
	sutra_buf_addf(b, "],\"cache\":{\"l1\":%zu,\"l2\":%zu,\"miss\":%zu}", from[SUTRA_FROM_L1],
		       from[SUTRA_FROM_L2], from[SUTRA_FROM_MODEL]);
}

void answer_count(const struct answer *a, size_t *ret_tokens, size_t *ret_truncated)
{
	*ret_tokens = *ret_truncated = 0;
	for (size_t i = 0; i < a->get.n; i++) {
		*ret_tokens += a->get.vectors[i]->tokens;
		*ret_truncated += a->get.vectors[i]->truncated;
	}
}

static void reply_json(struct answer *a)
{
	size_t tokens, truncated, room = a->get.n * a->dimension * FLOAT_TEXT;
	struct sutra_buf b;

	answer_count(a, &tokens, &truncated);
	sutra_buf_init(&b, 2 * room + (1 << 20));
	sutra_buf_reserve(&b, a->get.vectors[0]->json_len * a->get.n + 1024);
	sutra_buf_adds(&b, "{\"embeddings\":[");
	for (size_t i = 0; i < a->get.n; i++) {
		if (i)
			sutra_buf_addc(&b, ',');
		answer_add_vector(a, i, &b);
	}
	sutra_buf_addc(&b, ']');
	if (a->body.single) {
		sutra_buf_adds(&b, ",\"embedding\":");
		answer_add_vector(a, 0, &b);
	}
	sutra_buf_addf(&b, ",\"dimension\":%zu,\"model\":", a->dimension);
	sutra_json_add_string(&b, a->model.name, strlen(a->model.name));
	sutra_buf_addf(&b, ",\"count\":%zu,\"tokens\":%zu,\"truncated\":%zu", a->get.n, tokens, truncated);
	add_cache_fields(a, &b);
	sutra_buf_addf(&b, ",\"processing_time_ms\":%.3f}\n",
		       (double)(sutra_clock_ns() - sutra_http_context(a->request)->started_ns) / 1e6);
	sutra_http_reply_json(a->request, 200, &b);
}

static void embedded(struct sutra_cache_request *get)
{
	struct answer *a = get->user;

	if (!answer_is_whole(a))
		return;
	if (get->err.code) {
		gw_fail(a->g, a->request, &get->err);
	} else {
		sutra_metric_add(&a->g->metrics[GW_REQUESTS], 1);
		if (a->binary)
			reply_binary(a);
		else
			reply_json(a);
	}
	answer_free(a);
}

int answer_model(struct gateway *g, struct gw_model *ret, struct sutra_err *err)
{
	if (gw_model_get(g, ret))
		return 0;
	sutra_fail(err, SUTRA_E_UNAVAILABLE, "the model is not known yet: ml-base has not answered");
	return sutra_hint(err, "try again; sutra status shows ml-base");
}

void gw_embed(struct sutra_http_request *r, void *ctx)
{
	struct gateway *g = ctx;
	const char *accept = sutra_http_header(r, "Accept"), *body;
	struct sutra_texts texts = { 0 };
	struct answer *a = NULL;
	struct gw_model model;
	struct sutra_err err;
	bool normalize = true, truncate = true;
	const char *type = NULL;
	int64_t dimension;
	size_t n;
	int rc;

	body = sutra_http_body(r, &n);
	rc = sutra_texts_read(body, n, NULL, &texts, &err);
	rc = rc ? rc : answer_model(g, &model, &err);
	dimension = rc ? 0 : (int64_t)model.dimension;
	rc = rc ? rc : sutra_json_get_int(texts.body, "dimension", &dimension, &err);
	rc = rc ? rc : sutra_json_get_bool(texts.body, "normalize", &normalize, &err);
	rc = rc ? rc : sutra_json_get_bool(texts.body, "truncate", &truncate, &err);
	rc = rc ? rc : gw_check_dimension(&model, dimension, &err);
	rc = rc ? rc : gw_read_type(&model, texts.body, &type, &err);
	if (!rc && (!normalize || !truncate)) {
		/* The cache holds neither uncut texts nor unnormalized vectors. */
		sutra_texts_release(&texts);
		sutra_metric_add(&g->metrics[GW_BYPASSED], 1);
		upstream_pass(g->upstream, r);
		return;
	}
	rc = rc ? rc : answer_new(g, r, &texts, &model, type, &a, &err);
	if (rc) {
		sutra_texts_release(&texts);
		gw_fail(g, r, &err);
		return;
	}
	a->dimension = (size_t)dimension;
	a->binary = accept && strcasestr(accept, "application/octet-stream");
	a->get.done = embedded;
	answer_ask(a);
}
