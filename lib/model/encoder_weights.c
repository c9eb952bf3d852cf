/* Reads the weights: tensors found by name, checked against the config, packed. */
#include "model/encoder_private.h"

#include <stdbool.h>
#include <stdio.h>

#include "base/alloc.h"

enum { NAME_MAX_LEN = 128 };

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

static int read_norm(const struct loader *l, const char *base, struct encoder_norm *ret)
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

static int pack(const struct loader *l, struct encoder_layer *layer, int product)
{
	return sutra_gemm_weights_new(l->e->plans[product], l->matrix, l->bias,
				      &layer->products[product], l->err);
}

static int read_layer(const struct loader *l, size_t i, struct encoder_layer *layer)
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

int sutra_encoder_read_weights(struct sutra_encoder *e, const struct sutra_safetensors *weights,
			       struct sutra_err *err)
{
	size_t h = e->config.hidden, inner = e->config.inner, wide = 3 * h > inner ? 3 * h : inner;
	struct loader l = { .e = e, .weights = weights, .err = err, .prefix = "" };
	int rc;

	l.matrix = sutra_alloc(wide * h * sizeof(float));
	l.bias = sutra_alloc(wide * sizeof(float));
	if (!l.matrix || !l.bias) {
		rc = sutra_fail(err, SUTRA_E_NOMEM, "out of memory for the weights");
		goto out;
	}
	if (sutra_safetensors_find(weights, "bert.embeddings.word_embeddings.weight"))
		l.prefix = "bert.";
	rc = read_embeddings(&l);
	for (size_t i = 0; !rc && i < e->config.layers; i++)
		rc = read_layer(&l, i, &e->layers[i]);
	sutra_safetensors_drop_pages(weights);
out:
	sutra_free(l.matrix);
	sutra_free(l.bias);
	return rc;
}
