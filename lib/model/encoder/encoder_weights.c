/*
 * Reads the weights: finds tensors by name, checks them against the config, packs them.
 *
 * All tensors are walked twice: first every tensor's type and shape are checked, so that nothing is
 * compiled or allocated for sizes of the config that the file does not have; then the numbers are read.
 */
#include "model/encoder/encoder_private.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

enum { NAME_LEN = 160, PREFIX_LEN = 64, PIECES = 3 };

#define WORD "embeddings.word_embeddings.weight"

/* The names of a layout's tensors. A layer's names follow "<layer><number>."; the tensors of a list are
 * stacked in one product. */
struct layout {
	enum sutra_architecture architecture;
	bool bias;				/* every product has one */
	const char *norm;			/* the embeddings' */
	const char *layer;
	const char *qkv[PIECES], *out[PIECES];	/* NULL ends a list */
	const char *up[PIECES], *down[PIECES];	/* up, if gated: values, then gates */
	const char *attention_norm, *output_norm;
};

static const struct layout layouts[] = {
	{ SUTRA_ARCH_BERT, true, "embeddings.LayerNorm", "encoder.layer.",
	  { "attention.self.query", "attention.self.key", "attention.self.value" },
	  { "attention.output.dense" }, { "intermediate.dense" }, { "output.dense" },
	  "attention.output.LayerNorm", "output.LayerNorm" },
	/* as nomic-embed-text is stored */
	{ SUTRA_ARCH_NOMIC_BERT, false, "emb_ln", "encoder.layers.",
	  { "attn.Wqkv" }, { "attn.out_proj" }, { "mlp.fc11", "mlp.fc12" }, { "mlp.fc2" },
	  "norm1", "norm2" },
	/* as transformers 5 writes it */
	{ SUTRA_ARCH_NOMIC_BERT, false, "embeddings.LayerNorm", "layers.",
	  { "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj" }, { "self_attn.o_proj" },
	  { "mlp.up_proj", "mlp.gate_proj" }, { "mlp.down_proj" },
	  "post_attention_layernorm", "post_mlp_layernorm" },
};

struct loader {
	struct sutra_encoder *e;
	const struct sutra_safetensors *weights;
	const struct layout *layout;
	char prefix[PREFIX_LEN];	/* before every name; often empty */
	bool dry;			/* the first walk: only check */
	const struct sutra_encoder_options *options;	/* unless dry */
	size_t taken;			/* bytes of options->packed that are used */
	float *matrix, *bias;		/* the largest product, unpacked; unless dry */
	float *part, *part_bias;	/* a part of it */
	struct sutra_err *err;
};

static const struct sutra_tensor *lookup(const struct loader *l, const char *name)
{
	char full[NAME_LEN];

	snprintf(full, sizeof(full), "%s%s", l->prefix, name);
	return sutra_safetensors_find(l->weights, full);
}

static int wrong_shape(const struct loader *l, const struct sutra_tensor *t, size_t rows,
		       size_t columns)
{
	char shape[128] = "", want[48];
	size_t n = 0;

	for (unsigned i = 0; i < t->dims && n < sizeof(shape); i++)
		n += (size_t)snprintf(shape + n, sizeof(shape) - n, "%s%llu", i ? ", " : "",
				      (unsigned long long)t->shape[i]);
	snprintf(want, sizeof(want), rows ? "%zu, %zu" : "%zu", rows ? rows : columns, columns);
	return sutra_fail(l->err, SUTRA_E_CORRUPT,
			  "tensor \"%s\" has the shape [%s]; config.json asks for [%s]", t->name, shape,
			  want);
}

/* Finds the tensor `name`, or `other` unless that is NULL, of shape [rows][columns], or [columns] if rows is
 * 0. */
static int find(const struct loader *l, const char *name, const char *other, size_t rows,
		size_t columns, const struct sutra_tensor **ret)
{
	const struct sutra_tensor *t = lookup(l, name);
	bool fits;

	if (!t && other)
		t = lookup(l, other);
	if (!t)
		return sutra_fail(l->err, SUTRA_E_CORRUPT, "there is no tensor \"%s%s\"", l->prefix,
				  name);
	if (t->dtype == SUTRA_DTYPE_OTHER)
		return sutra_fail(l->err, SUTRA_E_INVALID,
				  "tensor \"%s\" is %.16s; allowed are F32, F16, BF16", t->name,
				  t->dtype_name);
	fits = rows ? t->dims == 2 && t->shape[0] == rows && t->shape[1] == columns :
		      t->dims == 1 && t->shape[0] == columns;
	if (!fits)
		return wrong_shape(l, t, rows, columns);
	*ret = t;
	return 0;
}

/* Reads n numbers of t from `from` on; all must be finite. */
static int read_numbers(const struct loader *l, const struct sutra_tensor *t, uint64_t from,
			size_t n, float *out)
{
	uint32_t worst = 0, bits;

	sutra_tensor_read(t, from, n, out);
	for (size_t i = 0; i < n; i++) {
		memcpy(&bits, &out[i], sizeof(bits));
		bits &= 0x7FFFFFFF;
		worst = bits > worst ? bits : worst;
	}
	if (worst < 0x7F800000)	/* infinity; NaNs are greater */
		return 0;
	for (size_t i = 0; i < n; i++)
		if (!isfinite(out[i]))
			return sutra_fail(l->err, SUTRA_E_CORRUPT,
					  "tensor \"%s\" holds %f at place %llu; weights must be finite "
					  "numbers", t->name, (double)out[i],
					  (unsigned long long)from + i);
	return 0;
}

static int read_into(const struct loader *l, const char *name, const char *other, size_t rows,
		     size_t columns, float *out)
{
	const struct sutra_tensor *t;
	int rc = find(l, name, other, rows, columns, &t);

	return rc || l->dry ? rc : read_numbers(l, t, 0, (size_t)t->count, out);
}

static int read_norm(const struct loader *l, const char *base, struct encoder_norm *ret)
{
	static const char *const names[2][2] = { { "weight", "gamma" }, { "bias", "beta" } };
	size_t hidden = l->e->config.hidden;
	char name[NAME_LEN], other[NAME_LEN];
	int rc = 0;

	if (!l->dry && !(ret->gamma = sutra_calloc(2 * hidden, sizeof(float))))
		return sutra_fail(l->err, SUTRA_E_NOMEM, "out of memory for the weights");
	ret->beta = l->dry ? NULL : ret->gamma + hidden;
	for (int i = 0; !rc && i < 2; i++) {
		snprintf(name, sizeof(name), "%s.%s", base, names[i][0]);
		snprintf(other, sizeof(other), "%s.%s", base, names[i][1]);
		rc = read_into(l, name, other, 0, hidden, i ? ret->beta : ret->gamma);
	}
	return rc;
}

/* Reads <base>.weight [n][k] and <base>.bias [n] to row `row` of the unpacked product. */
static int read_dense(const struct loader *l, const char *base, size_t row, size_t n, size_t k)
{
	char name[NAME_LEN];
	int rc;

	snprintf(name, sizeof(name), "%s.weight", base);
	rc = read_into(l, name, NULL, n, k, l->dry ? NULL : l->matrix + row * k);
	if (rc || !l->layout->bias)
		return rc;
	snprintf(name, sizeof(name), "%s.bias", base);
	return read_into(l, name, NULL, 0, n, l->dry ? NULL : l->bias + row);
}

/* Takes the next product from options->packed. */
static int take_packed(struct loader *l, const struct sutra_gemm_plan *plan,
		       struct sutra_gemm_weights **ret)
{
	size_t bytes = sutra_gemm_packed_bytes(plan);
	const char *at = (const char *)l->options->packed + l->taken;

	if (bytes > l->options->packed_bytes - l->taken)
		return sutra_fail(l->err, SUTRA_E_CORRUPT, "the packed weights end early");
	l->taken += bytes;
	return sutra_gemm_weights_view(plan, at, ret, l->err);
}

/* Copies part p of the outputs: its share of each of `groups` groups. */
static void cut_outputs(struct loader *l, size_t p, size_t groups, size_t n, size_t k)
{
	size_t parts = l->e->parts, rows = n / groups / parts;

	for (size_t g = 0; g < groups; g++) {
		size_t from = (g * parts + p) * rows;

		memcpy(l->part + g * rows * k, l->matrix + from * k, rows * k * sizeof(float));
		memcpy(l->part_bias + g * rows, l->bias + from, rows * sizeof(float));
	}
}

/* Copies part p of the inputs. The parts' results are added, so only the first part has the bias. */
static void cut_inputs(struct loader *l, size_t p, size_t n, size_t k)
{
	size_t columns = k / l->e->parts;

	for (size_t r = 0; r < n; r++)
		memcpy(l->part + r * columns, l->matrix + r * k + p * columns,
		       columns * sizeof(float));
	memcpy(l->part_bias, l->bias, n * sizeof(float));
	if (p)
		memset(l->part_bias, 0, n * sizeof(float));
}

/* Packs part p of the product that has been read. */
static int pack_part(struct loader *l, size_t i, int product, size_t p, size_t n, size_t k)
{
	const float *magnitude = l->options->magnitude;
	size_t columns, at = sutra_encoder_magnitude_of(l->e, i, product, p, &columns);

	if (product == QKV || product == UP)
		cut_outputs(l, p, product == QKV ? 3 : l->e->up / l->e->config.inner, n, k);
	else
		cut_inputs(l, p, n, k);
	return sutra_gemm_weights_new(l->e->plans[product], l->part, l->part_bias,
				      magnitude ? magnitude + at : NULL,
				      &l->e->layers[i].products[product][p], l->err);
}

/* Reads and packs a product of n outputs and k inputs, which consists of equal pieces with these names. */
static int read_product(struct loader *l, size_t i, int product, const char *const *pieces,
			size_t n, size_t k)
{
	bool packed = !l->dry && l->options->packed;
	size_t count = 0;
	char base[NAME_LEN];
	int rc = 0;

	while (count < PIECES && pieces[count])
		count++;
	for (size_t p = 0; !rc && !packed && p < count; p++) {
		snprintf(base, sizeof(base), "%s%zu.%s", l->layout->layer, i, pieces[p]);
		rc = read_dense(l, base, p * (n / count), n / count, k);
	}
	for (size_t p = 0; !rc && !l->dry && p < l->e->parts; p++)
		rc = packed ? take_packed(l, l->e->plans[product],
					  &l->e->layers[i].products[product][p]) :
			      pack_part(l, i, product, p, n, k);
	return rc;
}

static int read_layer(struct loader *l, size_t i)
{
	const struct layout *names = l->layout;
	size_t h = l->e->config.hidden;
	char base[NAME_LEN];
	int rc = read_product(l, i, QKV, names->qkv, 3 * h, h);

	if (!rc)
		rc = read_product(l, i, OUT, names->out, h, h);
	if (!rc)
		rc = read_product(l, i, UP, names->up, l->e->up, h);
	if (!rc)
		rc = read_product(l, i, DOWN, names->down, h, l->e->config.inner);
	snprintf(base, sizeof(base), "%s%zu.%s", names->layer, i, names->attention_norm);
	if (!rc)
		rc = read_norm(l, base, &l->e->layers[i].attention_norm);
	snprintf(base, sizeof(base), "%s%zu.%s", names->layer, i, names->output_norm);
	if (!rc)
		rc = read_norm(l, base, &l->e->layers[i].output_norm);
	return rc;
}

/* Checks the word embeddings, which are used from the mapped file. */
static int check_words(const struct loader *l)
{
	const struct sutra_tensor *t = &l->e->word;
	size_t most = l->e->config.hidden * l->e->config.hidden;
	int rc = 0;

	for (uint64_t at = 0; !rc && at < t->count; at += most)
		rc = read_numbers(l, t, at, t->count - at < most ? (size_t)(t->count - at) : most,
				  l->matrix);
	return rc;
}

/* Fills e->offsets: the embedding of a position, if positions are embedded, plus that of token type 0, if
 * types are. */
static int read_offsets(const struct loader *l)
{
	struct sutra_encoder *e = l->e;
	const struct sutra_encoder_config *c = &e->config;
	const struct sutra_tensor *position = NULL, *type = NULL;
	size_t rows = c->rotary_base > 0 ? 1 : e->max_tokens, h = c->hidden;
	int rc = 0;

	if (!(c->rotary_base > 0))
		rc = find(l, "embeddings.position_embeddings.weight", NULL, c->positions, h, &position);
	if (!rc && c->types && lookup(l, "embeddings.token_type_embeddings.weight"))
		rc = find(l, "embeddings.token_type_embeddings.weight", NULL, c->types, h, &type);
	if (rc || l->dry)
		return rc;
	e->offset_stride = rows > 1 ? h : 0;
	e->offsets = sutra_calloc(rows * h, sizeof(float));
	if (!e->offsets)
		return sutra_fail(l->err, SUTRA_E_NOMEM, "out of memory for the weights");
	if (position)
		rc = read_numbers(l, position, 0, rows * h, e->offsets);
	if (!rc && type)
		rc = read_numbers(l, type, 0, h, l->matrix);
	for (size_t i = 0; !rc && type && i < rows * h; i++)
		e->offsets[i] += l->matrix[i % h];
	return rc;
}

static int walk(struct loader *l)
{
	const struct sutra_encoder_config *c = &l->e->config;
	const struct sutra_tensor *word;
	int rc = find(l, WORD, NULL, c->vocab, c->hidden, &word);

	if (!rc && !l->dry) {
		l->e->word = *word;
		rc = l->options->packed ? 0 : check_words(l);
	}
	if (!rc)
		rc = read_offsets(l);
	if (!rc)
		rc = read_norm(l, l->layout->norm, &l->e->norm);
	for (size_t i = 0; !rc && i < c->layers; i++)
		rc = read_layer(l, i);
	return rc;
}

/* Sets the prefix of all names: what precedes the name of the word embeddings. */
static void find_prefix(struct loader *l)
{
	const size_t tail = strlen(WORD);

	for (size_t i = 0; i < sutra_safetensors_count(l->weights); i++) {
		const char *name = sutra_safetensors_at(l->weights, i)->name;
		size_t n = strlen(name);

		if (n > tail && n - tail < PREFIX_LEN && name[n - tail - 1] == '.' &&
		    !strcmp(name + n - tail, WORD))
			snprintf(l->prefix, PREFIX_LEN, "%.*s", (int)(n - tail), name);
	}
	if (sutra_safetensors_find(l->weights, WORD))
		l->prefix[0] = '\0';
}

/* Chooses the architecture's layout whose first product exists; else the first layout, for which find then
 * reports the missing tensor. */
static void find_layout(struct loader *l)
{
	const struct layout *first = NULL;
	char name[NAME_LEN];

	for (size_t i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++) {
		l->layout = &layouts[i];
		if (l->layout->architecture != l->e->config.architecture)
			continue;
		snprintf(name, sizeof(name), "%s0.%s.weight", l->layout->layer, l->layout->qkv[0]);
		if (lookup(l, name))
			return;
		first = first ? first : l->layout;
	}
	l->layout = first;
}

int sutra_encoder_check_weights(struct sutra_encoder *e, const struct sutra_safetensors *weights,
				struct sutra_err *err)
{
	struct loader l = { .e = e, .weights = weights, .err = err, .dry = true };

	find_prefix(&l);
	find_layout(&l);
	return walk(&l);
}

int sutra_encoder_read_weights(struct sutra_encoder *e, const struct sutra_safetensors *weights,
			       const struct sutra_encoder_options *options, struct sutra_err *err)
{
	size_t h = e->config.hidden, wide = 3 * h > e->up ? 3 * h : e->up;
	struct loader l = { .e = e, .weights = weights, .options = options, .err = err };
	int rc;

	l.matrix = sutra_alloc(wide * h * sizeof(float));
	l.bias = sutra_calloc(wide, sizeof(float));	/* stays zero without biases */
	l.part = sutra_alloc(wide / e->parts * h * sizeof(float));
	l.part_bias = sutra_alloc(wide * sizeof(float));
	if (!l.matrix || !l.bias || !l.part || !l.part_bias) {
		rc = sutra_fail(err, SUTRA_E_NOMEM, "out of memory for the weights");
		goto out;
	}
	find_prefix(&l);
	find_layout(&l);
	rc = walk(&l);
	sutra_safetensors_drop_pages(weights);
out:
	sutra_free(l.matrix);
	sutra_free(l.bias);
	sutra_free(l.part);
	sutra_free(l.part_bias);
	return rc;
}
