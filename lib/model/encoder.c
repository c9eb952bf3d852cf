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
 *
 * nomic_bert embeds no positions but turns q and k by them before the attention, has no biases,
 * and gates: Wi is [2I][H], its product values beside gates, and in = value * silu(gate).
 */
#include "model/encoder_private.h"

#include <math.h>

#include "base/alloc.h"
#include "base/clock.h"

enum { CHUNK = 256, ALIGN_FLOATS = 16 };

struct sutra_encoder_session {
	const struct sutra_encoder *encoder;
	const struct sutra_kernels *kernels;
	size_t max_tokens;
	float *reach;		/* of sutra_encoder_watch */
	struct sutra_gemm_lane *lanes[PRODUCTS];
	void *arena;
	float *x;		/* [max_tokens + spare][hidden] */
	float *qkv;		/* [max_tokens + spare][3 hidden]; its front serves as y */
	float *ctx;		/* [max_tokens + spare][hidden] */
	float *in;		/* [CHUNK + spare][up] */
	float *attention;
	uint64_t pooling_ns;	/* of the last run */
};

static int make_plans(struct sutra_encoder *e, enum sutra_precision precision,
		      struct sutra_err *err)
{
	size_t h = e->config.hidden, inner = e->config.inner;
	const struct { size_t k, n; enum sutra_activation act; } shapes[PRODUCTS] = {
		[QKV] = { h, 3 * h, SUTRA_ACT_NONE }, [OUT] = { h, h, SUTRA_ACT_NONE },
		[UP] = { h, e->up, e->up > inner ? SUTRA_ACT_NONE : SUTRA_ACT_GELU },
		[DOWN] = { inner, h, SUTRA_ACT_NONE },
	};
	int rc = 0;

	for (int i = 0; !rc && i < PRODUCTS; i++)
		rc = sutra_gemm_plan_new(shapes[i].k, shapes[i].n, shapes[i].act, precision,
					 &e->plans[i], err);
	return rc;
}

/* The angle of pair i at position p is p * base^(-2i / width). */
static int make_rotary(struct sutra_encoder *e, struct sutra_err *err)
{
	size_t width = e->config.hidden / e->config.heads, half = width / 2;

	if (!(e->config.rotary_base > 0))
		return 0;
	e->rotary = sutra_alloc(e->max_tokens * width * sizeof(float));
	if (!e->rotary)
		return sutra_fail(err, SUTRA_E_NOMEM, "out of memory for the weights");
	for (size_t i = 0; i < half; i++) {
		double speed = pow((double)e->config.rotary_base, -2.0 * (double)i / (double)width);

		for (size_t p = 0; p < e->max_tokens; p++) {
			e->rotary[p * width + i] = (float)cos((double)p * speed);
			e->rotary[p * width + half + i] = (float)sin((double)p * speed);
		}
	}
	return 0;
}

int sutra_encoder_new(const struct sutra_safetensors *weights,
		      const struct sutra_encoder_config *config,
		      const struct sutra_encoder_options *options, struct sutra_encoder **ret,
		      struct sutra_err *err)
{
	size_t max_tokens = options->max_tokens;
	struct sutra_encoder *e = sutra_calloc(1, sizeof(*e));
	int rc = 0;

	if (e)
		e->layers = sutra_calloc(config->layers, sizeof(*e->layers));
	if (!e || !e->layers) {
		rc = sutra_fail(err, SUTRA_E_NOMEM, "out of memory for the weights");
		goto out;
	}
	e->config = *config;
	e->max_tokens = max_tokens;
	e->up = config->architecture == SUTRA_ARCH_NOMIC_BERT ? 2 * config->inner : config->inner;
	if (max_tokens < 2 || max_tokens > config->max_tokens) {
		rc = sutra_fail(err, SUTRA_E_INVALID, "a maximum length of %zu tokens; allowed are 2 to %zu",
				max_tokens, config->max_tokens);
		goto out;
	}
	rc = sutra_encoder_check_weights(e, weights, err);
	if (!rc)
		rc = make_plans(e, options->precision, err);
	if (!rc)
		rc = make_rotary(e, err);
	if (!rc)
		rc = sutra_encoder_read_weights(e, weights, options, err);
out:
	if (rc)
		sutra_encoder_free(e);
	else
		*ret = e;
	return rc;
}

static void release_norm(struct encoder_norm *n)
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
	sutra_free(e->offsets);
	sutra_free(e->rotary);
	sutra_free(e->layers);
	sutra_free(e);
}

const struct sutra_encoder_config *sutra_encoder_config(const struct sutra_encoder *e)
{
	return &e->config;
}

size_t sutra_encoder_packed_count(const struct sutra_encoder *e)
{
	return e->config.layers * PRODUCTS;
}

const void *sutra_encoder_packed(const struct sutra_encoder *e, size_t i, size_t *ret_bytes)
{
	*ret_bytes = sutra_gemm_packed_bytes(e->plans[i % PRODUCTS]);
	return sutra_gemm_packed(e->layers[i / PRODUCTS].products[i % PRODUCTS]);
}

size_t sutra_encoder_reach_of(const struct sutra_encoder *e, size_t layer, int product,
			      size_t *ret_columns)
{
	size_t h = e->config.hidden, inner = e->config.inner;

	*ret_columns = product == DOWN ? inner : h;
	return layer * (3 * h + inner) + (size_t)product * h;
}

size_t sutra_encoder_reach(const struct sutra_encoder *e)
{
	size_t columns;

	return sutra_encoder_reach_of(e, e->config.layers, 0, &columns);
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
		(CHUNK + SUTRA_GEMM_SPARE_ROWS) * s->encoder->up,
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

void sutra_encoder_watch(struct sutra_encoder_session *s, float *reach) { s->reach = reach; }

static void note_reach(const struct sutra_encoder_session *s, size_t layer, int product,
		       const float *x, size_t rows)
{
	size_t n, at = sutra_encoder_reach_of(s->encoder, layer, product, &n);

	for (size_t r = 0; r < rows; r++, x += n)
		for (size_t i = 0; i < n; i++)
			s->reach[at + i] = fmaxf(s->reach[at + i], fabsf(x[i]));
}

static int multiply(struct sutra_encoder_session *s, size_t layer, int product, const float *x,
		    size_t rows, float *y, struct sutra_err *err)
{
	if (s->reach)
		note_reach(s, layer, product, x, rows);
	return sutra_gemm(s->lanes[product], s->encoder->layers[layer].products[product], x, rows, y,
			  err);
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
			const float *offset = e->offsets + i * e->offset_stride;

			sutra_tensor_read(&e->word, (uint64_t)*ids++ * h, h, x);
			for (size_t c = 0; c < h; c++)
				x[c] += offset[c];
		}
	s->kernels->add_norm(s->x, NULL, e->norm.gamma, e->norm.beta, tokens, h, e->config.eps);
}

static int run_attention(struct sutra_encoder_session *s, size_t i, const uint32_t *lengths,
			 size_t texts, size_t tokens, struct sutra_err *err)
{
	const struct encoder_layer *layer = &s->encoder->layers[i];
	const struct sutra_encoder_config *c = &s->encoder->config;
	size_t width = c->hidden / c->heads;
	int rc = multiply(s, i, QKV, s->x, tokens, s->qkv, err);

	for (size_t t = 0, at = 0; !rc && t < texts; at += lengths[t++]) {
		float *qkv = s->qkv + at * 3 * c->hidden;

		if (s->encoder->rotary)
			s->kernels->rotate(qkv, lengths[t], c->heads, width, s->encoder->rotary);
		s->kernels->attention(qkv, lengths[t], c->heads, width, s->attention,
				      s->ctx + at * c->hidden);
	}
	if (!rc)
		rc = multiply(s, i, OUT, s->ctx, tokens, s->qkv, err);
	if (!rc)
		s->kernels->add_norm(s->x, s->qkv, layer->attention_norm.gamma,
				     layer->attention_norm.beta, tokens, c->hidden, c->eps);
	return rc;
}

static int run_feed_forward(struct sutra_encoder_session *s, size_t i, size_t tokens,
			    struct sutra_err *err)
{
	const struct encoder_layer *layer = &s->encoder->layers[i];
	const struct sutra_encoder_config *c = &s->encoder->config;
	int rc = 0;

	for (size_t at = 0; !rc && at < tokens; at += CHUNK) {
		size_t rows = tokens - at < CHUNK ? tokens - at : CHUNK;
		float *x = s->x + at * c->hidden;

		rc = multiply(s, i, UP, x, rows, s->in, err);
		if (!rc && s->encoder->up > c->inner)
			s->kernels->swiglu(s->in, rows, c->inner);
		if (!rc)
			rc = multiply(s, i, DOWN, s->in, rows, s->qkv, err);
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
	uint64_t began;
	int rc = check_batch(s, ids, lengths, texts, &tokens, err);

	s->pooling_ns = 0;
	if (rc)
		return rc;
	embed(s, ids, lengths, texts, tokens);
	for (size_t i = 0; !rc && i < e->config.layers; i++) {
		rc = run_attention(s, i, lengths, texts, tokens, err);
		if (!rc)
			rc = run_feed_forward(s, i, tokens, err);
	}
	began = sutra_clock_ns();
	for (size_t t = 0, at = 0; !rc && t < texts; at += lengths[t++])
		pool_mean(s->x + at * h, pooling == SUTRA_POOL_CLS ? 1 : lengths[t], h, out + t * h);
	s->pooling_ns = sutra_clock_ns() - began;
	return rc;
}

uint64_t sutra_encoder_session_pooling_ns(const struct sutra_encoder_session *s) { return s->pooling_ns; }
