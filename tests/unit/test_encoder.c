/* lib/model: small random BERTs against a forward pass in plain C; batches, groups and helpers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>

#include "encoder_bert.h"
#include "vector/gemm.h"
#include "../wait.h"

enum { LONG = 290 };

static float *tensor(const struct bert *b, const char *fmt, size_t layer)
{
	char name[160];
	const struct sutra_tensor *t;
	float *v;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(name, sizeof(name), fmt, layer);
#pragma GCC diagnostic pop
	t = sutra_safetensors_find(b->weights, name);
	assert_non_null(t);
	v = sutra_alloc((size_t)t->count * sizeof(*v));
	sutra_tensor_read(t, 0, (size_t)t->count, v);
	return v;
}

/* y [rows][n] = act(x [rows][k] * <base>.weight^T + <base>.bias). */
static void dense(const struct bert *b, const char *weight, const char *bias, size_t layer,
		  const float *x, size_t rows, size_t k, size_t n, bool gelu, float *y)
{
	float *w = tensor(b, weight, layer), *v = tensor(b, bias, layer);

	sutra_gemm_scalar(x, w, v, rows, k, n, gelu, y);
	sutra_free(w);
	sutra_free(v);
}

static void norm(const struct bert *b, const char *weight, const char *bias, size_t layer, float *x,
		 const float *delta, size_t rows)
{
	float *w = tensor(b, weight, layer), *v = tensor(b, bias, layer);

	sutra_kernels_scalar.add_norm(x, delta, NULL, w, v, rows, b->config.hidden, b->config.eps);
	sutra_free(w);
	sutra_free(v);
}

#define L "encoder.layer.%zu."
#define DENSE(base, gelu, from, k, n, to) \
	dense(b, L base ".weight", L base ".bias", i, from, rows, k, n, gelu, to)

/* One text through BERT as the paper has it; x [rows][hidden] is the result. */
static void referee(const struct bert *b, const uint32_t *text, size_t rows, float *x)
{
	static const char *const parts[] = { L "attention.self.query.", L "attention.self.key.",
					     L "attention.self.value." };
	size_t h = b->config.hidden, inner = b->config.inner;
	float *word = tensor(b, "embeddings.word_embeddings.weight", 0),
	      *position = tensor(b, "embeddings.position_embeddings.weight", 0),
	      *type = tensor(b, "embeddings.token_type_embeddings.weight", 0),
	      *one = sutra_alloc(rows * (h + inner) * sizeof(float)),
	      *qkv = sutra_alloc(rows * 3 * h * sizeof(float)),
	      *scratch = sutra_alloc(sutra_attention_scratch(rows, h) * sizeof(float));

	for (size_t i = 0; i < rows * h; i++)
		x[i] = word[text[i / h] * h + i % h] + position[i] + type[i % h];
	norm(b, "embeddings.LayerNorm.weight", "embeddings.LayerNorm.bias", 0, x, NULL, rows);
	for (size_t i = 0; i < b->config.layers; i++) {
		for (size_t p = 0; p < 3; p++) {
			char weight[64], bias[64];

			snprintf(weight, sizeof(weight), "%sweight", parts[p]);
			snprintf(bias, sizeof(bias), "%sbias", parts[p]);
			dense(b, weight, bias, i, x, rows, h, h, false, one);
			for (size_t r = 0; r < rows; r++)
				memcpy(qkv + r * 3 * h + p * h, one + r * h, h * sizeof(float));
		}
		sutra_kernels_scalar.attention(qkv, rows, b->config.heads, h / b->config.heads,
						  scratch, one + rows * h);
		DENSE("attention.output.dense", false, one + rows * h, h, h, one);
		norm(b, L "attention.output.LayerNorm.weight", L "attention.output.LayerNorm.bias", i, x,
		     one, rows);
		DENSE("intermediate.dense", true, x, h, inner, one + rows * h);
		DENSE("output.dense", false, one + rows * h, inner, h, one);
		norm(b, L "output.LayerNorm.weight", L "output.LayerNorm.bias", i, x, one, rows);
	}
	sutra_free(word);
	sutra_free(position);
	sutra_free(type);
	sutra_free(one);
	sutra_free(qkv);
	sutra_free(scratch);
}

static void every_kernel_set_equals_the_referee(void **state)
{
	static const struct tiny shapes[] = {
		{ 32, 2, 4, 64, 40, 200, "F32", "", false },
		{ 20, 3, 5, 28, 17, 200, "F32", "", false },	/* nothing is a multiple of a vector */
		{ 128, 1, 2, 512, 512, 200, "F32", "", false },
	};

	for (size_t s = 0; s < sizeof(shapes) / sizeof(shapes[0]); s++) {
		size_t h = shapes[s].hidden;
		float *out = sutra_alloc(TEXTS * h * sizeof(float)),
		      *x = sutra_alloc(TOKENS * h * sizeof(float));
		struct bert b;

		open_bert(&shapes[s], &b);
		for (const struct sutra_kernels *const *k = sutra_kernels_all(); *k; k++)
			for (int pooling = SUTRA_POOL_MEAN; pooling <= SUTRA_POOL_CLS; pooling++) {
				run(&b, *k, 0, TEXTS, (enum sutra_pooling)pooling, out);
				for (size_t t = 0, at = 0; t < TEXTS; at += lengths[t++]) {
					size_t rows = pooling == SUTRA_POOL_CLS ? 1 : lengths[t];

					referee(&b, ids + at, lengths[t], x);
					for (size_t i = 0; i < h; i++) {
						double want = 0;

						for (size_t r = 0; r < rows; r++)
							want += (double)x[r * h + i] / (double)rows;
						assert_true(fabs((double)out[t * h + i] - want) < 1e-5);
					}
				}
			}
		close_bert(&b);
		sutra_free(out);
		sutra_free(x);
	}
}

static void dtypes_prefixes_and_old_names_change_nothing(void **state)
{
	static const struct tiny same[] = {
		{ 32, 2, 4, 64, 40, 200, "F16", "", false },
		{ 32, 2, 4, 64, 40, 200, "BF16", "bert.", false },
		{ 32, 2, 4, 64, 40, 200, "F32", "bert.", true },
	};
	float want[TEXTS * 32], out[TEXTS * 32];
	struct bert b;

	open_bert(&tiny_default, &b);
	run(&b, NULL, 0, TEXTS, SUTRA_POOL_MEAN, want);
	close_bert(&b);
	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
		open_bert(&same[i], &b);
		run(&b, NULL, 0, TEXTS, SUTRA_POOL_MEAN, out);
		assert_memory_equal(out, want, sizeof(want));
		close_bert(&b);
	}
}

static void a_text_does_not_know_its_batch(void **state)
{
	float all[TEXTS * 32], part[TEXTS * 32];
	struct bert b;

	open_bert(&tiny_default, &b);
	run(&b, NULL, 0, TEXTS, SUTRA_POOL_MEAN, all);
	for (size_t from = 0; from < TEXTS; from++)
		for (size_t n = 1; from + n <= TEXTS; n++) {
			run(&b, NULL, from, n, SUTRA_POOL_MEAN, part);
			assert_memory_equal(part, all + from * 32, n * 32 * sizeof(float));
		}
	close_bert(&b);
}

static void batches_beyond_the_limits_are_refused(void **state)
{
	const uint32_t too_long[] = { 41 }, none[] = { 0 }, two[] = { 20, 20 }, alien[] = { 2, 200, 3 };
	uint32_t many[64] = { 0 };
	const uint32_t three[] = { 3 };
	struct sutra_encoder_session *s;
	struct sutra_err err;
	float out[64];
	struct bert b;

	open_bert(&tiny_default, &b);
	assert_int_equal(sutra_encoder_session_new(b.encoder, TOKENS, NULL, &s, &err), 0);
	assert_int_equal(sutra_encoder_run(s, many, too_long, 1, SUTRA_POOL_MEAN, out, &err),
			 SUTRA_E_INVALID);
	assert_int_equal(sutra_encoder_run(s, many, none, 1, SUTRA_POOL_MEAN, out, &err), SUTRA_E_INVALID);
	assert_int_equal(sutra_encoder_run(s, many, two, 2, SUTRA_POOL_MEAN, out, &err), SUTRA_E_INVALID);
	assert_int_equal(sutra_encoder_run(s, alien, three, 1, SUTRA_POOL_MEAN, out, &err),
			 SUTRA_E_INVALID);
	assert_non_null(strstr(err.message, "200"));
	sutra_encoder_session_free(s);
	close_bert(&b);
}

/* The product that fails next, counted down to 0; less: none does. */
static atomic_int fail_product;

int __real_sutra_gemm(struct sutra_gemm_workspace *workspace, const struct sutra_gemm_weights *weights,
		      const float *x, size_t rows, float *y, struct sutra_err *err);
int __wrap_sutra_gemm(struct sutra_gemm_workspace *workspace, const struct sutra_gemm_weights *weights,
		      const float *x, size_t rows, float *y, struct sutra_err *err);

int __wrap_sutra_gemm(struct sutra_gemm_workspace *workspace, const struct sutra_gemm_weights *weights,
		      const float *x, size_t rows, float *y, struct sutra_err *err)
{
	if (atomic_fetch_sub(&fail_product, 1) == 1)
		return sutra_fail(err, SUTRA_E_INTERNAL, "this product was to fail");
	return __real_sutra_gemm(workspace, weights, x, rows, y, err);
}

/* Of sizes that have two parts; of heads that cannot be halved; of heads wide enough for attention in bytes. */
static const struct tiny halved = { 32, 2, 4, 64, 40, 200, "F32", "", false },
			 whole = { 20, 3, 5, 28, 40, 200, "F32", "", false },
			 wide = { 64, 2, 2, 64, 300, 200, "F32", "", false };

/* More texts than go through the layers together, in every order of lengths, and one that is longer than
 * all that do. */
static void a_large_batch_changes_no_bit(void **state)
{
	enum { WIDTH = 64, MANY = 120, MOST = MANY * 17 + LONG };
	static float want[(TEXTS + 1) * WIDTH], out[(MANY + 1) * WIDTH];
	static uint32_t many_ids[MOST], many_lengths[MANY + 1];
	size_t tokens = 0, which[MANY + 1];
	struct sutra_encoder_session *s;
	struct sutra_err err;
	struct bert b;

	for (size_t i = 0; i <= MANY; i++) {
		size_t at = 0, n;

		which[i] = i == MANY / 2 ? TEXTS : (i * i + i / 7) % TEXTS;	/* one is the long one */
		for (size_t t = 0; t < which[i] && which[i] < TEXTS; t++)
			at += lengths[t];
		n = which[i] == TEXTS ? LONG : lengths[which[i]];
		for (size_t k = 0; k < n; k++)
			many_ids[tokens++] = which[i] == TEXTS ? (uint32_t)(k * 7 % 200) : ids[at + k];
		many_lengths[i] = (uint32_t)n;
	}
	for (int p = 0; p < SUTRA_PRECISIONS; p += SUTRA_INT8) {
		open_bert_in(&wide, (enum sutra_precision)p, &b);
		assert_int_equal(sutra_encoder_session_new(b.encoder, tokens, NULL, &s, &err), 0);
		for (size_t i = 0, at = 0; i <= MANY; at += many_lengths[i++])	/* alone */
			assert_int_equal(sutra_encoder_run(s, many_ids + at, many_lengths + i, 1, SUTRA_POOL_MEAN,
							   want + which[i] * WIDTH, &err), 0);
		for (size_t n = 1; n <= MANY + 1; n += 8) {
			assert_int_equal(sutra_encoder_run(s, many_ids, many_lengths, n, SUTRA_POOL_MEAN, out,
							   &err), 0);
			for (size_t i = 0; i < n; i++)
				assert_memory_equal(out + i * WIDTH, want + which[i] * WIDTH, WIDTH * sizeof(float));
		}
		sutra_encoder_session_free(s);
		close_bert(&b);
	}
}

static bool after_some(void *left) { return (*(int *)left)-- == 0; }

/* A helper, here the same thread, that does the first items of a run and leaves the others. */
static void a_helper_may_leave_at_any_point(void **state)
{
	const struct tiny *const shapes[] = { &halved, &whole };
	float want[TEXTS * 32], out[TEXTS * 32];

	for (int i = 0; i < 2; i++) {
		int items = ((int)shapes[i]->layers * 4 + 2) * (i ? 1 : 2);
		struct sutra_encoder_session *s;
		struct sutra_err err;
		struct bert b;

		open_bert(shapes[i], &b);
		run(&b, NULL, 0, TEXTS, SUTRA_POOL_MEAN, want);
		assert_int_equal(sutra_encoder_session_new(b.encoder, TOKENS, NULL, &s, &err), 0);
		for (int some = 0; some <= items + 1; some++) {
			int left = some;

			memset(out, 0, sizeof(out));
			assert_int_equal(sutra_encoder_begin(s, ids, lengths, TEXTS, SUTRA_POOL_MEAN, out, &err), 0);
			assert_int_equal(sutra_encoder_help(s, after_some, &left), some <= items);
			assert_int_equal(sutra_encoder_finish(s, &err), 0);
			assert_memory_equal(out, want, TEXTS * shapes[i]->hidden * sizeof(float));
			assert_true(fabs(sutra_encoder_session_helped(s) -
					 fmin(1, (double)some / items)) < 1e-9);
			left = 1;	/* nothing is under way */
			assert_false(sutra_encoder_help(s, after_some, &left));
		}
		sutra_encoder_session_free(s);
		close_bert(&b);
	}
}

enum { HELPERS = 2, ROUNDS = 400 };

/* Threads that help whenever they can, and leave when a die says so. */
struct crew {
	struct sutra_encoder_session *session;
	pthread_t threads[HELPERS];
	atomic_bool over;
	atomic_uint throws;
};

static bool throw_die(void *arg)
{
	unsigned n = atomic_fetch_add(&((struct crew *)arg)->throws, 1);

	return (n * 2654435761u >> 16) % 5 == 0;
}

static void *keep_helping(void *arg)
{
	struct crew *c = arg;

	while (!atomic_load(&c->over))
		WAIT_UNTIL(atomic_load(&c->over) || sutra_encoder_help(c->session, throw_die, c));
	return NULL;
}

static void open_crew(struct crew *c, const struct bert *b)
{
	struct sutra_err err;

	assert_int_equal(sutra_encoder_session_new(b->encoder, TOKENS, NULL, &c->session, &err), 0);
	atomic_store(&c->over, false);
	for (int i = 0; i < HELPERS; i++)
		assert_int_equal(pthread_create(&c->threads[i], NULL, keep_helping, c), 0);
}

static void close_crew(struct crew *c)
{
	atomic_store(&c->over, true);
	for (int i = 0; i < HELPERS; i++)
		pthread_join(c->threads[i], NULL);
	sutra_encoder_session_free(c->session);
}

/* Batches of a text or more; in every other one the helpers have come before the own thread goes on. */
static void help_changes_no_bit(void **state)
{
	const struct { const struct tiny *shape; enum sutra_precision precision; } kinds[] = {
		{ &halved, SUTRA_FP32 }, { &halved, SUTRA_INT8 }, { &whole, SUTRA_FP32 },
		{ &wide, SUTRA_INT8 },
	};
	float want[TEXTS * 64], out[TEXTS * 64];
	static struct crew c;

	for (int i = 0; i < 4; i++) {
		size_t h = kinds[i].shape->hidden;
		double helped = 0;
		struct sutra_err err;
		struct bert b;

		open_bert_in(kinds[i].shape, kinds[i].precision, &b);
		run(&b, NULL, 0, TEXTS, SUTRA_POOL_MEAN, want);
		open_crew(&c, &b);
		for (unsigned round = 0; round < ROUNDS; round++) {
			size_t from = round % TEXTS, n = 1 + round / TEXTS % (TEXTS - from), at = 0;
			unsigned throws;

			for (size_t t = 0; t < from; t++)
				at += lengths[t];
			assert_int_equal(sutra_encoder_begin(c.session, ids + at, lengths + from, n,
							     SUTRA_POOL_MEAN, out, &err), 0);
			throws = atomic_load(&c.throws);
			WAIT_UNTIL(round % 8 >= 4 || atomic_load(&c.throws) - throws >= 8);
			assert_int_equal(sutra_encoder_finish(c.session, &err), 0);
			assert_memory_equal(out, want + from * h, n * h * sizeof(float));
			helped += sutra_encoder_session_helped(c.session);
		}
		assert_true(helped > 1);
		close_crew(&c);
		close_bert(&b);
	}
}

/* Whichever product fails, and whoever computes it, its error is the run's; the next run knows
 * nothing of it. */
static void a_failed_product_fails_the_run(void **state)
{
	const int products = (int)halved.layers * 4 * 2;
	float want[TEXTS * 32], out[TEXTS * 32];
	static struct crew c;
	struct sutra_err err;
	struct bert b;

	open_bert(&halved, &b);
	run(&b, NULL, 0, TEXTS, SUTRA_POOL_MEAN, want);
	open_crew(&c, &b);
	for (int n = 1; n <= 10 * products; n++) {
		atomic_store(&fail_product, 1 + n % products);
		assert_int_equal(sutra_encoder_run(c.session, ids, lengths, TEXTS, SUTRA_POOL_MEAN, out,
						   &err), SUTRA_E_INTERNAL);
		assert_string_equal(err.message, "this product was to fail");
		atomic_store(&fail_product, 0);
		assert_int_equal(sutra_encoder_run(c.session, ids, lengths, TEXTS, SUTRA_POOL_MEAN, out,
						   &err), 0);
		assert_memory_equal(out, want, sizeof(want));
	}
	close_crew(&c);
	close_bert(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kernel_set_equals_the_referee),
		cmocka_unit_test(dtypes_prefixes_and_old_names_change_nothing),
		cmocka_unit_test(a_text_does_not_know_its_batch),
		cmocka_unit_test(batches_beyond_the_limits_are_refused),
		cmocka_unit_test(a_large_batch_changes_no_bit),
		cmocka_unit_test(a_helper_may_leave_at_any_point),
		cmocka_unit_test(help_changes_no_bit),
		cmocka_unit_test(a_failed_product_fails_the_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
