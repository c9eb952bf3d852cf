/*
 * One layer over T tokens of width H, in parts p (each matrix with its shape):
 *
 *	qkv_p [T][3H/2] = x [T][H] * Wqkv_p [3H/2][H]	q, k and v of half of the heads
 *	ctx_p [T][H/2]  = attention(qkv_p), text by text
 *	y_p   [T][H]    = ctx_p * Wo_p [H][H/2]
 *	x               = layer_norm(x + y_0 + y_1)	part p: half of the rows
 *	in_p  [C][I/2]  = gelu(x * Wi_p [I/2][H])	C rows at a time
 *	y_p   [C][H]    = in_p * Wd_p [H][I/2]
 *	x               = layer_norm(x + y_0 + y_1)	part p: half of the rows
 *
 * Before the layers, x = layer_norm(word[id] + position[i] + type[0]); after them comes the pooling. Four
 * plans serve the four products of every layer.
 *
 * nomic_bert has no position embeddings but rotates q and k by position before the attention, has no
 * biases, and is gated: Wi is [2I][H], its outputs are values and gates, and in = value * silu(gate).
 *
 * Groups. A batch is computed in groups of texts of some GROUP tokens, each group through all layers, so
 * that a layer's output stays in the second cache. The weights are then loaded once per group, which
 * costs less: int8, 32 texts of 31 and of 123 tokens took 93 and 112 us a token without groups, 85 and
 * 96 in groups of 128; groups of 96 and 192 are not faster.
 *
 * Threads. A layer's phases are: attention (the first three lines), norm, feed (the next two), norm.
 * A group's steps are the embedding, these phases and the pooling; a step has one item per part. The items
 * of a step share no memory that they write, and a step begins when the previous one is done. A layer
 * always has two parts (one, if heads or inner is odd), so that the bits of a vector do not depend on the
 * number of threads. A thread takes an item by a ticket, as `left` counts down to 0; it waits until all
 * items of earlier steps are `done` and computes its item. A single thread computes all items in order and
 * never waits. The run does not wait for a helper without a ticket, and it cannot end before every ticket's
 * item is done; so a thread without a ticket accesses only `left`, and may help at any time, even between
 * two runs. A wait is as long as the imbalance of a step, so it spins; after SPINS it yields, because the
 * other thread may have lost its processor.
 */
#include "model/encoder/encoder_private.h"

#include <math.h>
#include <sched.h>
#include <stdatomic.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "vector/vnni.h"

enum { GROUP = 128, ALIGN_FLOATS = 16, SPINS = 2000 };

enum phase { ATTEND, ATTEND_NORM, FEED, FEED_NORM, PHASES };

/* What the items of one part write; one item of a part runs at a time. */
struct part {
	struct sutra_gemm_workspace *workspaces[PRODUCTS];
	float *qkv;		/* [rows + spare][3 hidden / parts]; its start also holds y */
	float *ctx;		/* [rows + spare][hidden / parts] */
	float *in;		/* [GROUP + spare][up / parts] */
	float *attention;
	int rc;			/* of the run's items, with err */
	struct sutra_err err;
	uint64_t pooling_ns;
};

/* Texts that are computed together: GROUP tokens at most, or one text. */
struct group {
	size_t first, texts;	/* index of the first text in the run, and their number */
	size_t at, tokens;
};

struct sutra_encoder_session {
	const struct sutra_encoder *encoder;
	const struct sutra_kernels *kernels;
	size_t max_tokens;
	float *magnitude;	/* from sutra_encoder_watch */
	void *arena;
	size_t rows;		/* most rows of a group */
	float *x;		/* [rows + spare][hidden] */
	struct part parts[PARTS];
	/* the run */
	const uint32_t *ids, *lengths;
	enum sutra_pooling pooling;
	float *out;
	struct group *groups;
	size_t n_groups;
	long items, own;	/* of the run; those that the session's own thread computed */
	atomic_bool failed;	/* the items that are left are not computed */
	atomic_long left, done;	/* items whose ticket is not taken, 0 or less between runs; items computed */
};

static size_t whole_lines(size_t floats)
{
	return (floats + ALIGN_FLOATS - 1) / ALIGN_FLOATS * ALIGN_FLOATS;
}

/* Two consecutive groups have more than GROUP tokens: the second one's first text did not fit. */
static size_t most_groups(size_t tokens) { return 2 * tokens / GROUP + 1; }

/* Allocates all scratch in one block of zero pages, so that only pages which batches use become resident. */
static int make_arena(struct sutra_encoder_session *s, struct sutra_err *err)
{
	enum { KINDS = 4 };
	const struct sutra_encoder *e = s->encoder;
	const struct sutra_encoder_config *c = &e->config;
	size_t rows = s->rows + SUTRA_GEMM_SPARE_ROWS;
	size_t sizes[KINDS] = {
		rows * 3 * c->hidden / e->parts, rows * c->hidden / e->parts,
		(GROUP + SUTRA_GEMM_SPARE_ROWS) * e->up / e->parts,
		sutra_attention_scratch(e->max_tokens, c->hidden / c->heads),
	};
	size_t x = whole_lines(rows * c->hidden), total = ALIGN_FLOATS + x, at;

	for (size_t i = 0; i < KINDS; i++)
		total += whole_lines(sizes[i]) * e->parts;
	s->arena = sutra_calloc(total, sizeof(float));
	s->groups = sutra_calloc(most_groups(s->max_tokens), sizeof(*s->groups));
	if (!s->arena || !s->groups)
		return sutra_fail(err, SUTRA_E_NOMEM, "out of memory for %zu tokens of scratch", s->rows);
	at = (64 - (uintptr_t)s->arena % 64) % 64 / sizeof(float);
	s->x = (float *)s->arena + at;
	at += x;
	for (struct part *p = s->parts; p < s->parts + e->parts; p++) {
		float **to[KINDS] = { &p->qkv, &p->ctx, &p->in, &p->attention };

		for (size_t i = 0; i < KINDS; i++) {
			*to[i] = (float *)s->arena + at;
			at += whole_lines(sizes[i]);
		}
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
	s->rows = e->max_tokens > GROUP ? e->max_tokens : GROUP;
	s->rows = s->rows < max_tokens ? s->rows : max_tokens;
	rc = make_arena(s, err);
	for (size_t i = 0; !rc && i < PRODUCTS * e->parts; i++)
		rc = sutra_gemm_workspace_new(e->plans[i % PRODUCTS],
					 &s->parts[i / PRODUCTS].workspaces[i % PRODUCTS], err);
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
	for (int i = 0; i < PRODUCTS * PARTS; i++)
		sutra_gemm_workspace_free(s->parts[i / PRODUCTS].workspaces[i % PRODUCTS]);
	sutra_free(s->groups);
	sutra_free(s->arena);
	sutra_free(s);
}

void sutra_encoder_watch(struct sutra_encoder_session *s, float *magnitude) { s->magnitude = magnitude; }

size_t sutra_encoder_magnitude_of(const struct sutra_encoder *e, size_t layer, int product, size_t part,
				  size_t *ret_columns)
{
	size_t h = e->config.hidden, inner = e->config.inner;
	size_t at = layer * (3 * h + inner) + (size_t)product * h;

	*ret_columns = product == DOWN ? inner : h;
	if (product == QKV || product == UP)	/* every part reads all columns */
		return at;
	*ret_columns /= e->parts;
	return at + part * *ret_columns;
}

static void record_magnitude(const struct sutra_encoder_session *s, size_t layer, int product, size_t p,
			     const float *x, size_t rows)
{
	size_t n, at = sutra_encoder_magnitude_of(s->encoder, layer, product, p, &n);

	for (size_t r = 0; r < rows; r++, x += n)
		for (size_t i = 0; i < n; i++)
			s->magnitude[at + i] = fmaxf(s->magnitude[at + i], fabsf(x[i]));
}

static int multiply(struct sutra_encoder_session *s, size_t layer, int product, size_t p,
		    const float *x, size_t rows, float *y)
{
	struct part *part = &s->parts[p];

	if (s->magnitude && (!p || product == OUT || product == DOWN))	/* parts of QKV and UP have the same x */
		record_magnitude(s, layer, product, p, x, rows);
	return sutra_gemm(part->workspaces[product], s->encoder->layers[layer].products[product][p], x,
			  rows, y, &part->err);
}

static int check_batch(const struct sutra_encoder_session *s, const uint32_t *ids,
		       const uint32_t *lengths, size_t texts, struct sutra_err *err)
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
	return 0;
}

static void make_groups(struct sutra_encoder_session *s, size_t texts)
{
	struct group *g = s->groups;

	*g = (struct group){ 0 };
	for (size_t t = 0; t < texts; t++) {
		if (g->texts && g->tokens + s->lengths[t] > GROUP) {
			g[1] = (struct group){ .first = t, .at = g->at + g->tokens };
			g++;
		}
		g->texts++;
		g->tokens += s->lengths[t];
	}
	s->n_groups = texts ? (size_t)(g - s->groups) + 1 : 0;
}

/* Called for each text of part p, with the text's index in the run, its first token and its first row. */
typedef void text_fn(struct sutra_encoder_session *s, size_t text, const uint32_t *ids, float *x);

static void each_text(struct sutra_encoder_session *s, const struct group *g, size_t p, text_fn *fn)
{
	size_t parts = s->encoder->parts, h = s->encoder->config.hidden, row = 0;

	for (size_t t = 0; t < g->texts; row += s->lengths[g->first + t++])
		if (t >= g->texts * p / parts && t < g->texts * (p + 1) / parts)
			fn(s, g->first + t, s->ids + g->at + row, s->x + row * h);
}

static void embed(struct sutra_encoder_session *s, size_t text, const uint32_t *ids, float *x)
{
	const struct sutra_encoder *e = s->encoder;
	size_t h = e->config.hidden, rows = s->lengths[text];

	for (size_t i = 0; i < rows; i++) {
		const float *offset = e->offsets + i * e->offset_stride;

		sutra_tensor_read(&e->word, (uint64_t)ids[i] * h, h, x + i * h);
		for (size_t c = 0; c < h; c++)
			x[i * h + c] += offset[c];
	}
	s->kernels->add_norm(x, NULL, NULL, e->norm.gamma, e->norm.beta, rows, h, e->config.eps);
}

static int attend(struct sutra_encoder_session *s, const struct group *g, size_t layer, size_t p)
{
	const struct sutra_encoder_config *c = &s->encoder->config;
	size_t heads = c->heads / s->encoder->parts, width = c->hidden / c->heads;
	struct part *part = &s->parts[p];
	float *qkv = part->qkv, *ctx = part->ctx;
	bool narrow = sutra_gemm_plan_is_vnni(s->encoder->plans[QKV]);
	int rc = multiply(s, layer, QKV, p, s->x, g->tokens, qkv);

	if (rc)
		return rc;
	for (size_t t = 0; t < g->texts; t++) {
		size_t rows = s->lengths[g->first + t];

		if (s->encoder->rotary)
			s->kernels->rotate(qkv, rows, heads, width, s->encoder->rotary);
		if (narrow && sutra_vnni_attends(rows, width))
			sutra_vnni_attention(qkv, rows, heads, width, part->attention, ctx);
		else
			s->kernels->attention(qkv, rows, heads, width, part->attention, ctx);
		qkv += rows * 3 * heads * width;
		ctx += rows * heads * width;
	}
	return multiply(s, layer, OUT, p, part->ctx, g->tokens, part->qkv);
}

static int feed_forward(struct sutra_encoder_session *s, const struct group *g, size_t layer, size_t p)
{
	const struct sutra_encoder *e = s->encoder;
	size_t h = e->config.hidden, inner = e->config.inner;
	struct part *part = &s->parts[p];
	int rc = 0;

	for (size_t at = 0; !rc && at < g->tokens; at += GROUP) {
		size_t rows = g->tokens - at < GROUP ? g->tokens - at : GROUP;

		rc = multiply(s, layer, UP, p, s->x + at * h, rows, part->in);
		if (!rc && e->up > inner)
			s->kernels->swiglu(part->in, rows, inner / e->parts);
		if (!rc)
			rc = multiply(s, layer, DOWN, p, part->in, rows, part->qkv + at * h);
	}
	return rc;
}

/* Adds the parts' y to x and normalises, for part p of the rows. */
static void merge(struct sutra_encoder_session *s, const struct group *g, const struct encoder_norm *norm,
		  size_t p)
{
	size_t parts = s->encoder->parts, h = s->encoder->config.hidden;
	size_t from = g->tokens * p / parts, to = g->tokens * (p + 1) / parts;

	s->kernels->add_norm(s->x + from * h, s->parts[0].qkv + from * h,
			     parts > 1 ? s->parts[1].qkv + from * h : NULL, norm->gamma, norm->beta,
			     to - from, h, s->encoder->config.eps);
}

/* Sums in double, in the order of the tokens. */
static void pool(struct sutra_encoder_session *s, size_t text, const uint32_t *ids, float *x)
{
	enum { STRIP = 64 };
	size_t width = s->encoder->config.hidden;
	size_t rows = s->pooling == SUTRA_POOL_CLS ? 1 : s->lengths[text];
	float *out = s->out + text * width;

	(void)ids;
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

static void pool_group(struct sutra_encoder_session *s, const struct group *g, size_t p)
{
	uint64_t began = sutra_clock_ns();

	each_text(s, g, p, pool);
	s->parts[p].pooling_ns += sutra_clock_ns() - began;
}

static int run_phase(struct sutra_encoder_session *s, const struct group *g, size_t layer, enum phase phase,
		     size_t p)
{
	const struct encoder_layer *l = &s->encoder->layers[layer];

	switch (phase) {
	case ATTEND:
		return attend(s, g, layer, p);
	case FEED:
		return feed_forward(s, g, layer, p);
	case ATTEND_NORM:
		merge(s, g, &l->attention_norm, p);
		return 0;
	default:
		merge(s, g, &l->output_norm, p);
		return 0;
	}
}

/* A group's steps: the embedding, the layers' phases, the pooling. */
static size_t steps_of(const struct sutra_encoder *e) { return e->config.layers * PHASES + 2; }

static void compute(struct sutra_encoder_session *s, size_t item)
{
	size_t parts = s->encoder->parts, steps = steps_of(s->encoder), p = item % parts;
	size_t step = item / parts % steps;
	const struct group *g = &s->groups[item / parts / steps];
	int rc = 0;

	if (!step)
		each_text(s, g, p, embed);
	else if (step == steps - 1)
		pool_group(s, g, p);
	else
		rc = run_phase(s, g, (step - 1) / PHASES, (enum phase)((step - 1) % PHASES), p);
	if (rc) {
		s->parts[p].rc = rc;
		atomic_store_explicit(&s->failed, true, memory_order_relaxed);
	}
}

static void wait_done(struct sutra_encoder_session *s, long items)
{
	for (int i = 0; atomic_load_explicit(&s->done, memory_order_acquire) < items; i += i < SPINS) {
		if (i == SPINS)
			sched_yield();
#ifdef __x86_64__
		else
			__builtin_ia32_pause();
#endif
	}
}

/* Takes a ticket and computes its item; false: no ticket is left. */
static bool take_part(struct sutra_encoder_session *s)
{
	long left = atomic_fetch_sub_explicit(&s->left, 1, memory_order_acquire), item;

	if (left <= 0)
		return false;
	item = s->items - left;
	wait_done(s, item - item % (long)s->encoder->parts);
	if (!atomic_load_explicit(&s->failed, memory_order_relaxed))
		compute(s, (size_t)item);
	atomic_fetch_add_explicit(&s->done, 1, memory_order_release);
	return true;
}

bool sutra_encoder_takes_help(const struct sutra_encoder *e) { return e->parts > 1; }

bool sutra_encoder_help(struct sutra_encoder_session *s, bool (*enough)(void *), void *arg)
{
	while (!enough(arg))
		if (!take_part(s))
			return false;
	return true;
}

int sutra_encoder_begin(struct sutra_encoder_session *s, const uint32_t *ids, const uint32_t *lengths,
			size_t texts, enum sutra_pooling pooling, float *out, struct sutra_err *err)
{
	size_t parts = s->encoder->parts;
	int rc = check_batch(s, ids, lengths, texts, err);

	s->items = s->own = 0;
	for (size_t p = 0; p < parts; p++) {
		s->parts[p].rc = 0;
		s->parts[p].pooling_ns = 0;
	}
	if (rc)
		return rc;
	s->ids = ids;
	s->lengths = lengths;
	s->pooling = pooling;
	s->out = out;
	make_groups(s, texts);
	s->items = (long)(s->n_groups * steps_of(s->encoder) * parts);
	atomic_store_explicit(&s->failed, false, memory_order_relaxed);
	atomic_store_explicit(&s->done, 0, memory_order_relaxed);
	atomic_store_explicit(&s->left, s->items, memory_order_release);
	return 0;
}

int sutra_encoder_finish(struct sutra_encoder_session *s, struct sutra_err *err)
{
	while (take_part(s))
		s->own++;
	wait_done(s, s->items);
	for (struct part *p = s->parts; p < s->parts + s->encoder->parts; p++)
		if (p->rc) {
			if (err)
				*err = p->err;
			return p->rc;
		}
	return 0;
}

int sutra_encoder_run(struct sutra_encoder_session *s, const uint32_t *ids,
		      const uint32_t *lengths, size_t texts, enum sutra_pooling pooling, float *out,
		      struct sutra_err *err)
{
	int rc = sutra_encoder_begin(s, ids, lengths, texts, pooling, out, err);

	return rc ? rc : sutra_encoder_finish(s, err);
}

uint64_t sutra_encoder_session_pooling_ns(const struct sutra_encoder_session *s)
{
	uint64_t sum = 0;

	for (size_t p = 0; p < s->encoder->parts; p++)
		sum += s->parts[p].pooling_ns;
	return sum;
}

double sutra_encoder_session_helped(const struct sutra_encoder_session *s)
{
	return s->items ? 1 - (double)s->own / (double)s->items : 0;
}
