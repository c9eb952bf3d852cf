/*
 * One layer over T tokens of width H (shapes beside the products):
 *
 *	qkv [T][3H] = x [T][H] * Wqkv [3H][H]		query, key and value in one product
 *	ctx [T][H]  = attention(qkv), text by text
 *	y   [T][H]  = ctx * Wo [H][H]
 *	x           = layer_norm(x + y)
 *	in  [C][I]  = gelu(x * Wi [I][H])		C rows at a time: `in` stays in the cache
 *	y   [C][H]  = in * Wd [H][I]
 *	x           = layer_norm(x + y)
 *
 * before it x = layer_norm(word[id] + position[i] + type[0]), after it the pooling. Four plans
 * serve the four products of every layer.
 */
#include "model/encoder.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "model/gemm.h"

enum { QKV, OUT, UP, DOWN, PRODUCTS };
enum { CHUNK = 256, ALIGN_FLOATS = 16, NAME_MAX_LEN = 128 };

struct norm {
	float *gamma, *beta;	/* [hidden] */
};

struct layer {
	struct sutra_gemm_weights *products[PRODUCTS];
	struct norm attention_norm, output_norm;
};

struct sutra_encoder {
	struct sutra_encoder_config config;
	size_t max_tokens;
	struct sutra_tensor word;	/* [vocab][hidden], in the file's mapping */
	float *positions;		/* [max_tokens][hidden]: position + type 0 */
	struct norm norm;
	struct sutra_gemm_plan *plans[PRODUCTS];
	struct layer *layers;
};

struct sutra_encoder_session {
	const struct sutra_encoder *encoder;
	const struct sutra_kernels *kernels;
	size_t max_tokens;
	struct sutra_gemm_lane *lanes[PRODUCTS];
	void *arena;
	float *x;		/* [max_tokens + spare][hidden] */
	float *qkv;		/* [max_tokens + spare][3 hidden]; its front serves as y */
	float *ctx;		/* [max_tokens + spare][hidden] */
	float *in;		/* [CHUNK + spare][inner] */
	float *attention;
};

/* ---- loading ---- */

struct loader {
	struct sutra_encoder *e;
	const struct sutra_safetensors *weights;
	const char *prefix;	/* "" or "bert." */
	float *matrix, *bias;	/* largest product, unpacked */
	struct sutra_err *err;
};

/* The tensor `<prefix><name>`, of shape [rows][columns], or [columns] when rows is 0. With
 * `other` not NULL a second name is tried. */
static int find(const struct loader *l, const char *name, const char *other, size_t rows,
		size_t columns, const struct sutra_tensor **ret)
{
	char full[NAME_MAX_LEN], alias[NAME_MAX_LEN];
	const struct sutra_tensor *t;
	bool fits;

	snprintf(full, sizeof(full), "%s%s", l->prefix, name);
	t = sutra_safetensors_find(l->weights, full);
	if (!t && other) {
		snprintf(alias, sizeof(alias), "%s%s", l->prefix, other);
		t = sutra_safetensors_find(l->weights, alias);
	}
	if (!t)
		return sutra_fail(l->err, SUTRA_E_CORRUPT, "the weights have no tensor \"%s\"", full);
	if (t->dtype == SUTRA_DTYPE_OTHER)
		return sutra_fail(l->err, SUTRA_E_INVALID,
				  "tensor \"%s\" is %.16s; allowed are F32, F16, BF16", full,
				  t->dtype_name);
	fits = rows ? t->dims == 2 && t->shape[0] == rows && t->shape[1] == columns :
		      t->dims == 1 && t->shape[0] == columns;
	if (!fits)
		return sutra_fail(l->err, SUTRA_E_CORRUPT,
				  "tensor \"%s\" does not have the shape that config.json asks for, "
				  "[%zu, %zu]", full, rows ? rows : 1, columns);
	*ret = t;
	return 0;
}

static int read_into(const struct loader *l, const char *name, size_t rows, size_t columns,
		     float *out)
{
	const struct sutra_tensor *t;
	int rc = find(l, name, NULL, rows, columns, &t);

	if (!rc)
		sutra_tensor_read(t, 0, (size_t)t->count, out);
	return rc;
}

static int read_norm(const struct loader *l, const char *base, struct norm *ret)
{
	static const char *const names[2][2] = { { "weight", "gamma" }, { "bias", "beta" } };
	size_t hidden = l->e->config.hidden;
	float **to[2] = { &ret->gamma, &ret->beta };
	char name[NAME_MAX_LEN], other[NAME_MAX_LEN];
	const struct sutra_tensor *t;

	for (int i = 0; i < 2; i++) {
		int rc;

		snprintf(name, sizeof(name), "%s.%s", base, names[i][0]);
		snprintf(other, sizeof(other), "%s.%s", base, names[i][1]);
		rc = find(l, name, other, 0, hidden, &t);
		if (rc)
			return rc;
		*to[i] = sutra_alloc(hidden * sizeof(float));
		if (!*to[i])
			return sutra_fail(l->err, SUTRA_E_NOMEM, "out of memory for the weights");
		sutra_tensor_read(t, 0, hidden, *to[i]);
	}
	return 0;
}

/* Reads <base>.weight [n][k] and <base>.bias [n] to row `row` of the unpacked matrix. */
static int read_dense(const struct loader *l, const char *base, size_t row, size_t n, size_t k)
{
	char name[NAME_MAX_LEN];
	int rc;

	snprintf(name, sizeof(name), "%s.weight", base);
	rc = read_into(l, name, n, k, l->matrix + row * k);
	if (rc)
		return rc;
	snprintf(name, sizeof(name), "%s.bias", base);
	return read_into(l, name, 0, n, l->bias + row);
}

static int pack(const struct loader *l, struct layer *layer, int product)
{
	return sutra_gemm_weights_new(l->e->plans[product], l->matrix, l->bias,
				      &layer->products[product], l->err);
}

static int read_layer(const struct loader *l, size_t i, struct layer *layer)
{
	static const char *const parts[] = { "query", "key", "value" };
	size_t h = l->e->config.hidden, inner = l->e->config.inner;
	char base[NAME_MAX_LEN];
	int rc = 0;

	for (size_t p = 0; !rc && p < 3; p++) {
		snprintf(base, sizeof(base), "encoder.layer.%zu.attention.self.%s", i, parts[p]);
		rc = read_dense(l, base, p * h, h, h);
	}
	if (!rc)
		rc = pack(l, layer, QKV);
	snprintf(base, sizeof(base), "encoder.layer.%zu.attention.output.dense", i);
	if (!rc && !(rc = read_dense(l, base, 0, h, h)))
		rc = pack(l, layer, OUT);
	snprintf(base, sizeof(base), "encoder.layer.%zu.intermediate.dense", i);
	if (!rc && !(rc = read_dense(l, base, 0, inner, h)))
		rc = pack(l, layer, UP);
	snprintf(base, sizeof(base), "encoder.layer.%zu.output.dense", i);
	if (!rc && !(rc = read_dense(l, base, 0, h, inner)))
		rc = pack(l, layer, DOWN);
	snprintf(base, sizeof(base), "encoder.layer.%zu.attention.output.LayerNorm", i);
	if (!rc)
		rc = read_norm(l, base, &layer->attention_norm);
	snprintf(base, sizeof(base), "encoder.layer.%zu.output.LayerNorm", i);
	if (!rc)
		rc = read_norm(l, base, &layer->output_norm);
	return rc;
}

static int read_embeddings(const struct loader *l)
{
	const struct sutra_encoder_config *c = &l->e->config;
	const struct sutra_tensor *word, *position, *type;
	size_t n = l->e->max_tokens * c->hidden;
	int rc = find(l, "embeddings.word_embeddings.weight", NULL, c->vocab, c->hidden, &word);

	if (!rc)
		rc = find(l, "embeddings.position_embeddings.weight", NULL, c->positions, c->hidden,
			  &position);
	if (!rc)
		rc = find(l, "embeddings.token_type_embeddings.weight", NULL, c->types, c->hidden,
			  &type);
	if (!rc)
		rc = read_norm(l, "embeddings.LayerNorm", &l->e->norm);
	if (rc)
		return rc;
	l->e->word = *word;
	l->e->positions = sutra_alloc(n * sizeof(float));
	if (!l->e->positions)
		return sutra_fail(l->err, SUTRA_E_NOMEM, "out of memory for the weights");
	sutra_tensor_read(position, 0, n, l->e->positions);
	sutra_tensor_read(type, 0, c->hidden, l->bias);
	for (size_t i = 0; i < n; i++)
		l->e->positions[i] += l->bias[i % c->hidden];
	return 0;
}

static int make_plans(struct sutra_encoder *e, struct sutra_err *err)
{
	size_t h = e->config.hidden, inner = e->config.inner;
	const struct { size_t k, n; enum sutra_activation act; } shapes[PRODUCTS] = {
		[QKV] = { h, 3 * h, SUTRA_ACT_NONE }, [OUT] = { h, h, SUTRA_ACT_NONE },
		[UP] = { h, inner, SUTRA_ACT_GELU },  [DOWN] = { inner, h, SUTRA_ACT_NONE },
	};
	int rc = 0;

	for (int i = 0; !rc && i < PRODUCTS; i++)
		rc = sutra_gemm_plan_new(shapes[i].k, shapes[i].n, shapes[i].act, &e->plans[i], err);
	return rc;
}

int sutra_encoder_new(const struct sutra_safetensors *weights,
		      const struct sutra_encoder_config *config, size_t max_tokens,
		      struct sutra_encoder **ret, struct sutra_err *err)
{
	size_t h = config->hidden, wide = 3 * h > config->inner ? 3 * h : config->inner;
	struct sutra_encoder *e = sutra_calloc(1, sizeof(*e));
	struct loader l = { .e = e, .weights = weights, .err = err, .prefix = "" };
	int rc = 0;

	l.matrix = sutra_alloc(wide * h * sizeof(float));
	l.bias = sutra_alloc(wide * sizeof(float));
	if (e)
		e->layers = sutra_calloc(config->layers, sizeof(*e->layers));
	if (!e || !l.matrix || !l.bias || !e->layers) {
		rc = sutra_fail(err, SUTRA_E_NOMEM, "out of memory for the weights");
		goto out;
	}
	e->config = *config;
	e->max_tokens = max_tokens;
	if (max_tokens < 2 || max_tokens > config->positions) {
		rc = sutra_fail(err, SUTRA_E_INVALID, "a maximum length of %zu tokens; allowed are 2 to %zu",
				max_tokens, config->positions);
		goto out;
	}
	if (sutra_safetensors_find(weights, "bert.embeddings.word_embeddings.weight"))
		l.prefix = "bert.";
	rc = read_embeddings(&l);
	if (!rc)
		rc = make_plans(e, err);
	for (size_t i = 0; !rc && i < config->layers; i++)
		rc = read_layer(&l, i, &e->layers[i]);
	sutra_safetensors_drop_pages(weights);
out:
	sutra_free(l.matrix);
	sutra_free(l.bias);
	if (rc)
		sutra_encoder_free(e);
	else
		*ret = e;
	return rc;
}

static void release_norm(struct norm *n)
{
	sutra_free(n->gamma);
	sutra_free(n->beta);
}

void sutra_encoder_free(struct sutra_encoder *e)
{
	if (!e)
		return;
	for (size_t i = 0; e->layers && i < e->config.layers; i++) {
		for (int p = 0; p < PRODUCTS; p++)
			sutra_gemm_weights_free(e->layers[i].products[p]);
		release_norm(&e->layers[i].attention_norm);
		release_norm(&e->layers[i].output_norm);
	}
	for (int p = 0; p < PRODUCTS; p++)
		sutra_gemm_plan_free(e->plans[p]);
	release_norm(&e->norm);
	sutra_free(e->positions);
	sutra_free(e->layers);
	sutra_free(e);
}

const struct sutra_encoder_config *sutra_encoder_config(const struct sutra_encoder *e)
{
	return &e->config;
}

/* ---- running ---- */

static size_t whole_lines(size_t floats)
{
	return (floats + ALIGN_FLOATS - 1) / ALIGN_FLOATS * ALIGN_FLOATS;
}

/* All scratch in one block of zero pages, so that only what batches touch becomes resident. */
static int make_arena(struct sutra_encoder_session *s, struct sutra_err *err)
{
	const struct sutra_encoder_config *c = &s->encoder->config;
	size_t rows = s->max_tokens + SUTRA_GEMM_SPARE_ROWS;
	size_t sizes[] = {
		rows * c->hidden, rows * 3 * c->hidden, rows * c->hidden,
		(CHUNK + SUTRA_GEMM_SPARE_ROWS) * c->inner,
		sutra_attention_scratch(s->encoder->max_tokens, c->hidden / c->heads),
	};
	float **to[] = { &s->x, &s->qkv, &s->ctx, &s->in, &s->attention };
	size_t total = ALIGN_FLOATS, at;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		total += whole_lines(sizes[i]);
	s->arena = sutra_calloc(total, sizeof(float));
	if (!s->arena)
		return sutra_fail(err, SUTRA_E_NOMEM, "out of memory for %zu tokens of scratch",
				  s->max_tokens);
	at = (64 - (uintptr_t)s->arena % 64) % 64 / sizeof(float);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		*to[i] = (float *)s->arena + at;
		at += whole_lines(sizes[i]);
	}
	return 0;
}

int sutra_encoder_session_new(const struct sutra_encoder *e, size_t max_tokens,
			      const struct sutra_kernels *kernels,
			      struct sutra_encoder_session **ret, struct sutra_err *err)
{
	struct sutra_encoder_session *s = sutra_calloc(1, sizeof(*s));
	int rc;

	if (!s)
		return sutra_fail(err, SUTRA_E_NOMEM, "out of memory");
	s->encoder = e;
	s->kernels = kernels ? kernels : sutra_kernels_best();
	s->max_tokens = max_tokens;
	rc = make_arena(s, err);
	for (int i = 0; !rc && i < PRODUCTS; i++)
		rc = sutra_gemm_lane_new(e->plans[i], &s->lanes[i], err);
	if (rc)
		sutra_encoder_session_free(s);
	else
		*ret = s;
	return rc;
}

void sutra_encoder_session_free(struct sutra_encoder_session *s)
{
	if (!s)
		return;
	for (int i = 0; i < PRODUCTS; i++)
		sutra_gemm_lane_free(s->lanes[i]);
	sutra_free(s->arena);
	sutra_free(s);
}

static int check_batch(const struct sutra_encoder_session *s, const uint32_t *ids,
		       const uint32_t *lengths, size_t texts, size_t *ret_tokens,
		       struct sutra_err *err)
{
	const struct sutra_encoder *e = s->encoder;
	size_t tokens = 0;

	for (size_t t = 0; t < texts; t++) {
		if (!lengths[t] || lengths[t] > e->max_tokens ||
		    lengths[t] > s->max_tokens - tokens)
			return sutra_fail(err, SUTRA_E_INVALID,
					  "text %zu of %u tokens; a text may have 1 to %zu, a batch %zu",
					  t, lengths[t], e->max_tokens, s->max_tokens);
		tokens += lengths[t];
	}
	for (size_t i = 0; i < tokens; i++)
		if (ids[i] >= e->config.vocab)
			return sutra_fail(err, SUTRA_E_INVALID,
					  "token id %u; the vocabulary ends at %zu", ids[i],
					  e->config.vocab - 1);
	*ret_tokens = tokens;
	return 0;
}

static void embed(struct sutra_encoder_session *s, const uint32_t *ids, const uint32_t *lengths,
		  size_t texts, size_t tokens)
{
	const struct sutra_encoder *e = s->encoder;
	size_t h = e->config.hidden;
	float *x = s->x;

	for (size_t t = 0; t < texts; t++)
		for (size_t i = 0; i < lengths[t]; i++, x += h) {
			const float *position = e->positions + i * h;

			sutra_tensor_read(&e->word, (uint64_t)*ids++ * h, h, x);
			for (size_t c = 0; c < h; c++)
				x[c] += position[c];
		}
	s->kernels->add_norm(s->x, NULL, e->norm.gamma, e->norm.beta, tokens, h, e->config.eps);
}

static int run_attention(struct sutra_encoder_session *s, const struct layer *layer,
			 const uint32_t *lengths, size_t texts, size_t tokens, struct sutra_err *err)
{
	const struct sutra_encoder_config *c = &s->encoder->config;
	int rc = sutra_gemm(s->lanes[QKV], layer->products[QKV], s->x, tokens, s->qkv, err);

	for (size_t t = 0, at = 0; !rc && t < texts; at += lengths[t++])
		s->kernels->attention(s->qkv + at * 3 * c->hidden, lengths[t], c->heads,
				      c->hidden / c->heads, s->attention, s->ctx + at * c->hidden);
	if (!rc)
		rc = sutra_gemm(s->lanes[OUT], layer->products[OUT], s->ctx, tokens, s->qkv, err);
	if (!rc)
		s->kernels->add_norm(s->x, s->qkv, layer->attention_norm.gamma,
				     layer->attention_norm.beta, tokens, c->hidden, c->eps);
	return rc;
}

static int run_feed_forward(struct sutra_encoder_session *s, const struct layer *layer,
			    size_t tokens, struct sutra_err *err)
{
	const struct sutra_encoder_config *c = &s->encoder->config;
	int rc = 0;

	for (size_t at = 0; !rc && at < tokens; at += CHUNK) {
		size_t rows = tokens - at < CHUNK ? tokens - at : CHUNK;
		float *x = s->x + at * c->hidden;

		rc = sutra_gemm(s->lanes[UP], layer->products[UP], x, rows, s->in, err);
		if (!rc)
			rc = sutra_gemm(s->lanes[DOWN], layer->products[DOWN], s->in, rows, s->qkv,
					err);
		if (!rc)
			s->kernels->add_norm(x, s->qkv, layer->output_norm.gamma,
					     layer->output_norm.beta, rows, c->hidden, c->eps);
	}
	return rc;
}

/* Sums in double, in the order of the tokens. */
static void pool_mean(const float *x, size_t rows, size_t width, float *out)
{
	enum { STRIP = 64 };

	for (size_t from = 0; from < width; from += STRIP) {
		size_t n = width - from < STRIP ? width - from : STRIP;
		double sums[STRIP] = { 0 };

		for (size_t r = 0; r < rows; r++)
			for (size_t i = 0; i < n; i++)
				sums[i] += (double)x[r * width + from + i];
		for (size_t i = 0; i < n; i++)
			out[from + i] = (float)(sums[i] / (double)rows);
	}
}

int sutra_encoder_run(struct sutra_encoder_session *s, const uint32_t *ids,
		      const uint32_t *lengths, size_t texts, enum sutra_pooling pooling, float *out,
		      struct sutra_err *err)
{
	const struct sutra_encoder *e = s->encoder;
	size_t h = e->config.hidden, tokens = 0;
	int rc = check_batch(s, ids, lengths, texts, &tokens, err);

	if (rc)
		return rc;
	embed(s, ids, lengths, texts, tokens);
	for (size_t i = 0; !rc && i < e->config.layers; i++) {
		rc = run_attention(s, &e->layers[i], lengths, texts, tokens, err);
		if (!rc)
			rc = run_feed_forward(s, &e->layers[i], tokens, err);
	}
	for (size_t t = 0, at = 0; !rc && t < texts; at += lengths[t++])
		pool_mean(s->x + at * h, pooling == SUTRA_POOL_CLS ? 1 : lengths[t], h, out + t * h);
	return rc;
}
