/* Makes an encoder: plans and rotary angles; encoder_weights.c reads the weights. */
#include "model/encoder/encoder_private.h"

#include <math.h>

#include "base/alloc.h"

static int make_plans(struct sutra_encoder *e, enum sutra_precision precision,
		      struct sutra_err *err)
{
	size_t h = e->config.hidden, inner = e->config.inner, parts = e->parts;
	const struct { size_t k, n; } shapes[PRODUCTS] = {
		[QKV] = { h, 3 * h / parts }, [OUT] = { h / parts, h },
		[UP] = { h, e->up / parts }, [DOWN] = { inner / parts, h },
	};
	int rc = 0;

	for (int i = 0; !rc && i < PRODUCTS; i++)
		rc = sutra_gemm_plan_new(shapes[i].k, shapes[i].n, i == UP && e->up == inner, precision,
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
	e->parts = config->heads % PARTS || config->inner % PARTS ? 1 : PARTS;
	e->up = config->architecture == SUTRA_ARCH_NOMIC_BERT ? 2 * config->inner : config->inner;
	if (max_tokens < 2 || max_tokens > config->max_tokens) {
		rc = sutra_fail(err, SUTRA_E_INVALID, "the maximum length is %zu tokens; allowed are 2 to %zu",
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

void sutra_encoder_free(struct sutra_encoder *e)
{
	if (!e)
		return;
	for (size_t i = 0; e->layers && i < e->config.layers; i++) {
		for (int p = 0; p < PRODUCTS * PARTS; p++)
			sutra_gemm_weights_free(e->layers[i].products[p / PARTS][p % PARTS]);
		sutra_free(e->layers[i].attention_norm.gamma);
		sutra_free(e->layers[i].output_norm.gamma);
	}
	for (int p = 0; p < PRODUCTS; p++)
		sutra_gemm_plan_free(e->plans[p]);
	sutra_free(e->norm.gamma);
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
	return e->config.layers * PRODUCTS * e->parts;
}

const void *sutra_encoder_packed(const struct sutra_encoder *e, size_t i, size_t *ret_bytes)
{
	size_t product = i / e->parts % PRODUCTS;

	*ret_bytes = sutra_gemm_packed_bytes(e->plans[product]);
	return sutra_gemm_packed(
		e->layers[i / e->parts / PRODUCTS].products[product][i % e->parts]);
}

size_t sutra_encoder_magnitudes(const struct sutra_encoder *e)
{
	return e->config.layers * (3 * e->config.hidden + e->config.inner);
}
