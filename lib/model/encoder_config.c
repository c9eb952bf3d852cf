/* config.json of a BERT: what the encoder needs to know, and what it must refuse. */
#include <math.h>
#include <string.h>

#include "base/jsonio.h"
#include "model/encoder.h"

enum { MAX_HIDDEN = 8192, MAX_LAYERS = 128, MAX_HEADS = 128, MAX_INNER = 32768,
       MAX_POSITIONS = 32768, MAX_TYPES = 64, MAX_VOCAB = 1 << 21 };

/* The field must be there when it has no default (0). */
static int read_size(const json_t *o, const char *key, int64_t fallback, int64_t max, size_t *ret,
		     struct sutra_err *err)
{
	int64_t v = fallback;
	int rc = sutra_json_get_int(o, key, &v, err);

	if (rc)
		return rc;
	if (v < 1 || v > max)
		return sutra_fail(err, SUTRA_E_INVALID,
				  "config.json: \"%s\" is %lld; allowed are 1 to %lld", key,
				  (long long)v, (long long)max);
	*ret = (size_t)v;
	return 0;
}

static int demand(const json_t *o, const char *key, const char *want, struct sutra_err *err)
{
	const char *v = want;
	int rc = sutra_json_get_string(o, key, &v, err);

	if (!rc && strcmp(v, want))
		rc = sutra_fail(err, SUTRA_E_INVALID,
				"config.json: \"%s\" is \"%.80s\"; this encoder can only do \"%s\"",
				key, v, want);
	return rc;
}

static int read_config(const json_t *o, struct sutra_encoder_config *c, struct sutra_err *err)
{
	double eps = 1e-12;
	int rc = demand(o, "model_type", "bert", err);

	if (!rc)
		rc = demand(o, "hidden_act", "gelu", err);
	if (!rc)
		rc = demand(o, "position_embedding_type", "absolute", err);
	if (!rc)
		rc = read_size(o, "hidden_size", 0, MAX_HIDDEN, &c->hidden, err);
	if (!rc)
		rc = read_size(o, "num_hidden_layers", 0, MAX_LAYERS, &c->layers, err);
	if (!rc)
		rc = read_size(o, "num_attention_heads", 0, MAX_HEADS, &c->heads, err);
	if (!rc)
		rc = read_size(o, "intermediate_size", 0, MAX_INNER, &c->inner, err);
	if (!rc)
		rc = read_size(o, "max_position_embeddings", 512, MAX_POSITIONS, &c->positions, err);
	if (!rc)
		rc = read_size(o, "type_vocab_size", 2, MAX_TYPES, &c->types, err);
	if (!rc)
		rc = read_size(o, "vocab_size", 0, MAX_VOCAB, &c->vocab, err);
	if (!rc)
		rc = sutra_json_get_double(o, "layer_norm_eps", &eps, err);
	if (rc)
		return rc;
	if (c->hidden % c->heads)
		return sutra_fail(err, SUTRA_E_INVALID,
				  "config.json: hidden_size %zu is no multiple of num_attention_heads %zu",
				  c->hidden, c->heads);
	if (!(eps >= 0 && eps < 1))
		return sutra_fail(err, SUTRA_E_INVALID,
				  "config.json: layer_norm_eps is %g; allowed are 0 to below 1", eps);
	c->eps = (float)eps;
	return 0;
}

int sutra_encoder_read_config(const char *json, size_t n, struct sutra_encoder_config *ret,
			      struct sutra_err *err)
{
	struct sutra_encoder_config c;
	json_t *o = NULL;
	int rc = sutra_json_parse(json, n, &o, err);

	if (rc)
		return rc;
	if (!json_is_object(o))
		rc = sutra_fail(err, SUTRA_E_INVALID, "config.json is %s, not an object",
				sutra_json_type_name(o));
	else
		rc = read_config(o, &c, err);
	json_decref(o);
	if (!rc)
		*ret = c;
	return rc;
}
