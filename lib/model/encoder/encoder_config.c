/*
 * Reads config.json: the sizes that the encoder needs, and options that it refuses.
 *
 * nomic_bert has two sets of names: that of the stored files (n_embd, rotary_emb_base), and
 * transformers 5's (hidden_size, rope_parameters). A file may hold both; then they must agree.
 *
 * Lengths. Beyond max_trained_positions the reference scales its rotary positions by a factor that depends
 * on the longest text of the batch, so that a text's vector would depend on its batch. Here a text of
 * nomic_bert has at most max_trained_positions tokens, and at most 2,048.
 */
#include <math.h>
#include <string.h>

#include "base/jsonio.h"
#include "model/encoder/encoder.h"

enum { MAX_HIDDEN = 8192, MAX_LAYERS = 128, MAX_HEADS = 128, MAX_INNER = 32768,
       MAX_POSITIONS = 32768, MAX_TYPES = 64, MAX_VOCAB = 1 << 21, MAX_PAD = 4096,
       NOMIC_TOKENS = 2048, MISSING = -1 };

static const char *const architectures[] = {
	[SUTRA_ARCH_BERT] = "bert", [SUTRA_ARCH_NOMIC_BERT] = "nomic_bert",
};

const char *sutra_architecture_name(enum sutra_architecture a) { return architectures[a]; }

/* A number of config.json, its bounds and its destination. */
struct size_field {
	const char *key, *other;	/* other: a second name, or NULL */
	int64_t fallback;		/* MISSING: the field is required */
	int64_t min, max;
	size_t *to;
};

static int read_size(const json_t *o, const struct size_field *f, struct sutra_err *err)
{
	const char *keys[] = { f->key, f->other }, *named = NULL;
	int64_t v = f->fallback;

	for (size_t i = 0; i < 2 && keys[i]; i++) {
		int64_t one;
		int rc = sutra_json_get_int(o, keys[i], &one, err);

		if (rc)
			return rc;
		if (!json_is_integer(json_object_get(o, keys[i])))
			continue;
		if (named && one != v)
			return sutra_fail(err, SUTRA_E_INVALID, "\"%s\" is %lld, but \"%s\" is %lld",
					  named, (long long)v, keys[i], (long long)one);
		named = keys[i];
		v = one;
	}
	if (!named && v == MISSING)
		return sutra_fail(err, SUTRA_E_INVALID, "\"%s\" is missing", f->key);
	if (v < f->min || v > f->max)
		return sutra_fail(err, SUTRA_E_INVALID, "\"%s\" is %lld; allowed are %lld to %lld",
				  named ? named : f->key, (long long)v, (long long)f->min,
				  (long long)f->max);
	*f->to = (size_t)v;
	return 0;
}

static int read_sizes(const json_t *o, const struct size_field *fields, size_t n,
		      struct sutra_err *err)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < n; i++)
		rc = read_size(o, &fields[i], err);
	return rc;
}

/* The four functions below: if a field is there, its value must be what the encoder does. */
static int demand(const json_t *o, const char *key, const char *want, struct sutra_err *err)
{
	const char *v = want;
	int rc = sutra_json_get_string(o, key, &v, err);

	if (!rc && strcmp(v, want))
		rc = sutra_fail(err, SUTRA_E_INVALID,
				"\"%s\" is \"%.80s\"; this encoder can only do \"%s\"", key, v, want);
	return rc;
}

static int demand_false(const json_t *o, const char *key, struct sutra_err *err)
{
	bool v = false;
	int rc = sutra_json_get_bool(o, key, &v, err);

	if (!rc && v)
		rc = sutra_fail(err, SUTRA_E_INVALID, "\"%s\" is true; this encoder can only do false",
				key);
	return rc;
}

static int demand_number(const json_t *o, const char *key, double want, struct sutra_err *err)
{
	double v = want;
	int rc = sutra_json_get_double(o, key, &v, err);

	if (!rc && (v < want || v > want))
		rc = sutra_fail(err, SUTRA_E_INVALID, "\"%s\" is %g; this encoder can only do %g", key, v,
				want);
	return rc;
}

static int demand_absent(const json_t *o, const char *key, struct sutra_err *err)
{
	const json_t *v = json_object_get(o, key);

	if (!v || json_is_null(v))
		return 0;
	return sutra_fail(err, SUTRA_E_INVALID, "\"%s\" is set; this encoder can only do without it",
			  key);
}

/* Reads a number that two fields may hold; if both do, they must agree. */
static int read_double(const json_t *o, const char *key, const json_t *p, const char *other,
		       double *ret, struct sutra_err *err)
{
	double a = NAN, b = NAN;
	int rc = sutra_json_get_double(o, key, &a, err);

	if (!rc)
		rc = sutra_json_get_double(p, other, &b, err);
	if (rc)
		return rc;
	if (!isnan(a) && !isnan(b) && (a < b || a > b))
		return sutra_fail(err, SUTRA_E_INVALID, "\"%s\" is %g, but \"%s\" is %g", key, a, other, b);
	if (!isnan(a) || !isnan(b))
		*ret = isnan(a) ? b : a;
	return 0;
}

static int read_eps(const json_t *o, const char *key, struct sutra_encoder_config *c,
		    struct sutra_err *err)
{
	double eps = 1e-12;
	int rc = read_double(o, key, o, "layer_norm_eps", &eps, err);

	if (!rc && !(eps >= 0 && eps < 1))
		rc = sutra_fail(err, SUTRA_E_INVALID, "\"layer_norm_eps\" is %g; allowed are 0 to below 1",
				eps);
	c->eps = (float)eps;
	return rc;
}

static int read_bert(const json_t *o, struct sutra_encoder_config *c, struct sutra_err *err)
{
	const struct size_field fields[] = {
		{ "hidden_size", NULL, MISSING, 1, MAX_HIDDEN, &c->hidden },
		{ "num_hidden_layers", NULL, MISSING, 1, MAX_LAYERS, &c->layers },
		{ "num_attention_heads", NULL, MISSING, 1, MAX_HEADS, &c->heads },
		{ "intermediate_size", NULL, MISSING, 1, MAX_INNER, &c->inner },
		{ "max_position_embeddings", NULL, 512, 2, MAX_POSITIONS, &c->positions },
		{ "type_vocab_size", NULL, 2, 0, MAX_TYPES, &c->types },
		{ "vocab_size", NULL, MISSING, 1, MAX_VOCAB, &c->vocab },
	};
	int rc = demand(o, "hidden_act", "gelu", err);

	if (!rc)
		rc = demand(o, "position_embedding_type", "absolute", err);
	if (!rc)
		rc = demand_false(o, "is_decoder", err);
	if (!rc)
		rc = read_sizes(o, fields, sizeof(fields) / sizeof(fields[0]), err);
	if (!rc)
		rc = read_eps(o, "layer_norm_eps", c, err);
	c->max_tokens = c->positions;
	return rc;
}

/* Reads the base of the rotary angles under either name, and refuses every other option of them. */
static int read_rotary(const json_t *o, struct sutra_encoder_config *c, struct sutra_err *err)
{
	const json_t *rope = json_object_get(o, "rope_parameters");
	double base = 1000;
	const char *type = "default";
	int rc = demand_number(o, "rotary_emb_fraction", 1, err);

	if (!rc)
		rc = demand_false(o, "rotary_emb_interleaved", err);
	if (!rc)
		rc = demand_absent(o, "rotary_emb_scale_base", err);
	if (!rc && rope && !json_is_object(rope) && !json_is_null(rope))
		rc = sutra_fail(err, SUTRA_E_INVALID, "\"rope_parameters\" is %s, not an object",
				sutra_json_type_name(rope));
	if (!rc)
		rc = read_double(o, "rotary_emb_base", rope, "rope_theta", &base, err);
	if (!rc)
		rc = demand_number(rope, "partial_rotary_factor", 1, err);
	if (!rc)
		rc = sutra_json_get_string(rope, "rope_type", &type, err);
	if (!rc && strcmp(type, "default") && strcmp(type, "dynamic"))
		rc = sutra_fail(err, SUTRA_E_INVALID,
				"\"rope_type\" is \"%.80s\"; allowed are default, dynamic", type);
	if (!rc && !(base > 1 && base <= 1e9))
		rc = sutra_fail(err, SUTRA_E_INVALID,
				"the base of the rotary positions is %g; allowed are above 1 to 1e9", base);
	c->rotary_base = (float)base;
	return rc;
}

static int refuse_nomic_options(const json_t *o, struct sutra_err *err)
{
	static const char *const wrong[] = {
		"prenorm", "causal", "parallel_block", "use_rms_norm", "is_decoder",
		"qkv_proj_bias", "mlp_fc1_bias", "mlp_fc2_bias", "attention_bias", "mlp_bias",
	};
	int rc = demand_number(o, "num_experts", 0, err);

	if (!rc)
		rc = demand(o, "activation_function", "swiglu", err);
	if (!rc)
		rc = demand(o, "hidden_act", "silu", err);
	for (size_t i = 0; !rc && i < sizeof(wrong) / sizeof(wrong[0]); i++)
		rc = demand_false(o, wrong[i], err);
	return rc;
}

static int read_nomic(const json_t *o, struct sutra_encoder_config *c, struct sutra_err *err)
{
	size_t pad, trained, width;
	const struct size_field fields[] = {
		{ "n_embd", "hidden_size", MISSING, 1, MAX_HIDDEN, &c->hidden },
		{ "n_layer", "num_hidden_layers", MISSING, 1, MAX_LAYERS, &c->layers },
		{ "n_head", "num_attention_heads", MISSING, 1, MAX_HEADS, &c->heads },
		{ "vocab_size", NULL, MISSING, 1, MAX_VOCAB, &c->vocab },
		{ "type_vocab_size", NULL, 2, 0, MAX_TYPES, &c->types },
		{ "pad_vocab_size_multiple", NULL, 1, 1, MAX_PAD, &pad },
	};
	int rc = refuse_nomic_options(o, err);

	if (!rc)
		rc = read_sizes(o, fields, sizeof(fields) / sizeof(fields[0]), err);
	if (!rc) {
		const struct size_field rest[] = {	/* their defaults and bounds depend on the fields above */
			{ "n_inner", "intermediate_size", (int64_t)(4 * c->hidden), 1, MAX_INNER,
			  &c->inner },
			{ "n_positions", "max_position_embeddings", NOMIC_TOKENS, 2, MAX_POSITIONS,
			  &c->positions },
			{ "max_trained_positions", NULL, NOMIC_TOKENS, 2, MAX_POSITIONS, &trained },
			{ "head_dim", NULL, (int64_t)(c->hidden / c->heads), 1, MAX_HIDDEN, &width },
		};

		rc = read_sizes(o, rest, sizeof(rest) / sizeof(rest[0]), err);
	}
	if (!rc)
		rc = read_eps(o, "layer_norm_epsilon", c, err);
	if (!rc)
		rc = read_rotary(o, c, err);
	if (rc)
		return rc;
	if (width * c->heads != c->hidden || width % 2)
		return sutra_fail(err, SUTRA_E_INVALID,
				  "%zu heads of width %zu for a hidden size of %zu; their product must be the hidden size, and "
				  "a head's width even",
				  c->heads, width, c->hidden);
	c->vocab = (c->vocab + pad - 1) / pad * pad;
	c->max_tokens = trained < c->positions ? trained : c->positions;
	if (c->max_tokens > NOMIC_TOKENS)
		c->max_tokens = NOMIC_TOKENS;
	return 0;
}

static int read_architecture(const json_t *o, enum sutra_architecture *ret, struct sutra_err *err)
{
	const char *name = architectures[SUTRA_ARCH_BERT];	/* files older than the field are BERT */
	size_t n = sizeof(architectures) / sizeof(architectures[0]), i = 0;
	int rc = sutra_json_get_string(o, "model_type", &name, err);

	if (rc)
		return rc;
	while (i < n && strcmp(architectures[i], name))
		i++;
	if (i == n)
		return sutra_fail(err, SUTRA_E_INVALID,
				  "\"model_type\" is \"%.80s\"; the architectures supported are bert, "
				  "nomic_bert", name);
	*ret = (enum sutra_architecture)i;
	return 0;
}

static int read_config(const json_t *o, struct sutra_encoder_config *c, struct sutra_err *err)
{
	int rc = read_architecture(o, &c->architecture, err);

	if (!rc)
		rc = c->architecture == SUTRA_ARCH_BERT ? read_bert(o, c, err) : read_nomic(o, c, err);
	if (!rc && c->hidden % c->heads)
		rc = sutra_fail(err, SUTRA_E_INVALID, "the hidden size %zu is not a multiple of the %zu heads",
				c->hidden, c->heads);
	return rc;
}

int sutra_encoder_read_config(const char *json, size_t n, struct sutra_encoder_config *ret,
			      struct sutra_err *err)
{
	struct sutra_encoder_config c = { 0 };
	json_t *o = NULL;
	int rc = sutra_json_parse(json, n, &o, err);

	if (rc)
		return rc;
	if (!json_is_object(o))
		rc = sutra_fail(err, SUTRA_E_INVALID, "it is %s, not an object",
				sutra_json_type_name(o));
	else
		rc = read_config(o, &c, err);
	json_decref(o);
	if (!rc)
		*ret = c;
	return rc;
}
