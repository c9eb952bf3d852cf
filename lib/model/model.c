/*
 * The fingerprint is the SHA-256 of one line (make_fingerprint): weights, vocabulary, and how they are used.
 * It holds the digest of the whole config.json (heads, eps, rotary base), so that no field which
 * vectors depend on is left out; a change of any other field costs the cached vectors.
 * A change in how vectors are computed must change PIPELINE.
 */
#include "model/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/jsonio.h"
#include "base/weightsum.h"

#define PIPELINE "3"

/* PADDING: most embeddings without a token; models round the size of their vocabulary up. */
enum { MAX_JSON = 1 << 20, MAX_VOCAB = 16 << 20, PADDING = 255 };

const char *sutra_mrl_name(enum sutra_mrl m) { return m == SUTRA_MRL_PLAIN ? "plain" : "layer_norm"; }

static char *file_in(const struct sutra_model *m, const char *name)
{
	return sutra_asprintf("%s/%s", m->folder, name);
}

/* Reads a JSON file of the folder; if there is none, *ret stays NULL. */
static int read_json(const struct sutra_model *m, const char *name, json_t **ret,
		     struct sutra_err *err)
{
	char *path = file_in(m, name);
	int rc;

	if (!path)
		return sutra_fail(err, SUTRA_E_NOMEM, "out of memory");
	rc = sutra_is_file(path) ? sutra_json_read(path, MAX_JSON, ret, err) : 0;
	sutra_free(path);
	return rc;
}

/* Puts the file's name before the message of an error; returns rc. */
static int in_file(const struct sutra_model *m, const char *name, int rc, struct sutra_err *err)
{
	if (rc && err)
		sutra_err_prefix(err, "%s/%s", m->folder, name);
	return rc;
}

static int read_tokenizer_options(struct sutra_model *m, struct sutra_err *err)
{
	struct sutra_wordpiece_options *o = &m->tokenizer_options;
	json_t *v = NULL;
	int rc = read_json(m, "tokenizer_config.json", &v, err);

	*o = (struct sutra_wordpiece_options){ .lowercase = true, .split_han = true };
	if (!rc)
		rc = sutra_json_get_bool(v, "do_lower_case", &o->lowercase, err);
	o->strip_accents = o->lowercase;
	if (!rc)
		rc = sutra_json_get_bool(v, "strip_accents", &o->strip_accents, err);
	if (!rc)
		rc = sutra_json_get_bool(v, "tokenize_chinese_chars", &o->split_han, err);
	json_decref(v);
	return in_file(m, "tokenizer_config.json", rc, err);
}

/* Reads max_seq_length, which config.json's positions bound, and limits it to what the encoder can do. */
static int read_max_tokens(struct sutra_model *m, const struct sutra_encoder_config *c,
			   struct sutra_err *err)
{
	int64_t n = (int64_t)c->max_tokens;
	json_t *v = NULL;
	int rc = read_json(m, "sentence_bert_config.json", &v, err);

	if (!rc)
		rc = sutra_json_get_int(v, "max_seq_length", &n, err);
	json_decref(v);
	if (!rc && (n < 2 || n > (int64_t)c->positions))
		rc = sutra_fail(err, SUTRA_E_INVALID,
				"max_seq_length is %lld; config.json allows 2 to %zu", (long long)n,
				c->positions);
	m->max_tokens = (size_t)n < c->max_tokens ? (size_t)n : c->max_tokens;
	return in_file(m, "sentence_bert_config.json", rc, err);
}

/* Reads modules.json and the pooling's file. */
static int read_pipeline(struct sutra_model *m, size_t width, struct sutra_err *err)
{
	struct sutra_pipeline p;
	char name[sizeof(p.pooling_folder) + 16];
	json_t *modules = NULL, *pooling = NULL;
	int rc = read_json(m, "modules.json", &modules, err);

	if (!rc)
		rc = in_file(m, "modules.json", sutra_pipeline_read_modules(modules, &p, err), err);
	if (rc)
		goto out;
	snprintf(name, sizeof(name), "%s/config.json", p.pooling_folder);
	rc = read_json(m, name, &pooling, err);
	if (!rc && !pooling && p.pooling_named) {
		rc = sutra_fail(err, SUTRA_E_NOTFOUND, "%s/modules.json names %s, which is not there",
				m->folder, name);
		goto out;
	}
	if (!rc)
		rc = in_file(m, name, sutra_pipeline_read_pooling(pooling, width, &p, err), err);
	if (rc)
		goto out;
	m->pooling = p.pooling;
	m->normalizes = p.normalize;
out:
	json_decref(modules);
	json_decref(pooling);
	return rc;
}

static int read_prompts(struct sutra_model *m, enum sutra_architecture architecture,
			struct sutra_err *err)
{
	static const char file[] = "config_sentence_transformers.json";
	json_t *v = NULL;
	size_t at;
	int rc = read_json(m, file, &v, err);

	if (!rc)
		rc = in_file(m, file, sutra_prompts_read(v, architecture, &m->prompts, err), err);
	json_decref(v);
	if (rc)
		return rc;
	m->input_type = m->prompts.fallback;
	m->prefix = "";
	if (*m->input_type &&
	    !(rc = sutra_input_type_find(&m->prompts.types, file, m->input_type, &at, err)))
		m->prefix = m->prompts.texts[at];
	return rc;
}

/* Reads a text file of the folder, freed with sutra_free, and writes its digest. */
static int read_text(const struct sutra_model *m, const char *name, size_t max,
		     char sha256[SUTRA_SHA256_HEX], char **ret, size_t *ret_n, struct sutra_err *err)
{
	uint8_t digest[SUTRA_SHA256_LEN];
	char *path = file_in(m, name);
	int rc = path ? sutra_file_read(path, max, ret, ret_n, err) :
			sutra_fail(err, SUTRA_E_NOMEM, "out of memory");

	sutra_free(path);
	if (rc)
		return rc;
	sutra_sha256(*ret, *ret_n, digest);
	sutra_hex(digest, sizeof(digest), sha256);
	return 0;
}

static int read_config(struct sutra_model *m, struct sutra_encoder_config *ret,
		       struct sutra_err *err)
{
	char *text = NULL;
	json_t *v = NULL;
	size_t n;
	int rc = read_text(m, "config.json", MAX_JSON, m->config_sha256, &text, &n, err);

	if (!rc)
		rc = in_file(m, "config.json", sutra_encoder_read_config(text, n, ret, err), err);
	if (!rc && !(rc = sutra_json_parse(text, n, &v, err)))
		m->matryoshka_trained = json_is_true(json_object_get(v, "is_matryoshka")) ||
					json_array_size(json_object_get(v, "matryoshka_dimensions"));
	json_decref(v);
	sutra_free(text);
	return rc;
}

static int read_vocabulary(struct sutra_model *m, size_t limit, struct sutra_err *err)
{
	char *text = NULL;
	size_t n, tokens;
	int rc = read_text(m, "vocab.txt", MAX_VOCAB, m->vocab_sha256, &text, &n, err);

	if (rc)
		return rc;
	rc = sutra_wordpiece_new(text, n, &m->tokenizer_options, &m->tokenizer, err);
	tokens = rc ? 0 : sutra_wordpiece_size(m->tokenizer);
	if (!rc && (tokens > limit || limit - tokens > PADDING))
		rc = sutra_fail(err, SUTRA_E_CORRUPT,
				"%zu tokens, but config.json's vocab_size is %zu; the vocabulary may have up to %d "
				"tokens fewer, and not more", tokens, limit, PADDING);
	sutra_free(text);
	return in_file(m, "vocab.txt", rc, err);
}

static int read_weights(struct sutra_model *m, const struct sutra_encoder_config *config,
			const struct sutra_model_options *options, struct sutra_err *err)
{
	const struct sutra_wordpiece_options *o = &m->tokenizer_options;
	char *path = file_in(m, "model.safetensors"), tokenizer_key[160];
	struct sutra_encoder_source source = {
		.weights_sha256 = m->weights_sha256,
		.config = config,
		.tokenizer = m->tokenizer,
		.tokenizer_key = tokenizer_key,
		.pooling = m->pooling,
		.max_tokens = m->max_tokens,
		.folder = options->keep ? m->folder : NULL,
		.floor = options->floor > 0 ? options->floor : SUTRA_PRECISION_FLOOR,
	};
	int rc = path ? sutra_safetensors_open(path, &m->weights, err) :
			sutra_fail(err, SUTRA_E_NOMEM, "out of memory");

	snprintf(tokenizer_key, sizeof(tokenizer_key), "vocab=%s lowercase=%d strip_accents=%d split_han=%d",
		 m->vocab_sha256, o->lowercase, o->strip_accents, o->split_han);
	if (!rc)
		rc = sutra_weightsum(path, m->weights_sha256, err);
	source.weights = m->weights;
	if (!rc)
		rc = in_file(m, "model.safetensors",
			     sutra_precision_open(&source, options->precision, &m->encoder, &m->packed,
						  &m->precision, err), err);
	sutra_free(path);
	return rc;
}

/* Appends the default prefix and every prefix that a request may ask for. */
static void add_prompts(const struct sutra_model *m, struct sutra_buf *b)
{
	if (*m->prefix)
		sutra_json_add_string(b, m->prefix, strlen(m->prefix));
	for (size_t i = 0; i < m->prompts.types.n; i++) {
		sutra_buf_addf(b, ",%s=", m->prompts.types.names[i]);
		sutra_json_add_string(b, m->prompts.texts[i], strlen(m->prompts.texts[i]));
	}
}

static int make_fingerprint(struct sutra_model *m, struct sutra_err *err)
{
	const struct sutra_wordpiece_options *o = &m->tokenizer_options;
	uint8_t digest[SUTRA_SHA256_LEN];
	struct sutra_buf line;
	int rc;

	sutra_buf_init(&line, MAX_JSON);
	sutra_buf_addf(&line,
		       "pipeline=%s weights=%s config=%s vocab=%s lowercase=%d strip_accents=%d split_han=%d "
		       "pooling=%s mrl=%s precision=%s prefix=", PIPELINE, m->weights_sha256,
		       m->config_sha256, m->vocab_sha256, o->lowercase, o->strip_accents, o->split_han,
		       sutra_pooling_name(m->pooling), sutra_mrl_name(m->mrl),
		       sutra_precision_name(m->precision.precision));
	add_prompts(m, &line);
	sutra_buf_addf(&line, " max_tokens=%zu truncate=right", m->max_tokens);
	rc = sutra_buf_error(&line);
	if (!rc) {
		sutra_sha256(line.data, line.len, digest);
		sutra_hex(digest, (SUTRA_FINGERPRINT_LEN - 1) / 2, m->fingerprint);
	} else {
		sutra_fail(err, rc, "the fingerprint's line does not fit into memory or its limit");
	}
	sutra_buf_release(&line);
	return rc;
}

int sutra_model_use_prompt(struct sutra_model *m, const char *input_type, const char *prefix,
			   struct sutra_err *err)
{
	const char *old_type = m->input_type, *old_prefix = m->prefix;
	int rc;

	m->input_type = input_type;
	m->prefix = prefix;
	rc = make_fingerprint(m, err);
	if (rc) {
		m->input_type = old_type;
		m->prefix = old_prefix;
	}
	return rc;
}

static char *last_part(const char *path)
{
	size_t end = strlen(path), from;

	while (end > 1 && path[end - 1] == '/')
		end--;
	for (from = end; from && path[from - 1] != '/'; from--)
		;
	return sutra_strndup(path + from, end - from);
}

static int find_folder(struct sutra_model *m, struct sutra_err *err)
{
	const char *missing = sutra_model_missing(m->folder);

	if (!missing)
		return 0;
	sutra_fail(err, SUTRA_E_NOTFOUND, "no model in %s (it has no %s)", m->folder, missing);
	sutra_hint(err, "get one with `sutra model fetch`, name a folder with MODEL_PATH, or "
			"take one from the hub with `sutra model fetch owner/name`");
	return SUTRA_E_NOTFOUND;
}

int sutra_model_open(const char *folder, const struct sutra_model_options *options,
		     struct sutra_model **ret, struct sutra_err *err)
{
	static const struct sutra_model_options defaults;
	struct sutra_model *m = sutra_calloc(1, sizeof(*m));
	struct sutra_encoder_config config;
	int rc = 0;

	options = options ? options : &defaults;
	if (m) {
		m->mrl = options->mrl;
		m->folder = sutra_strdup(folder);
		m->name = last_part(folder);
	}
	if (!m || !m->folder || !m->name)
		rc = sutra_fail(err, SUTRA_E_NOMEM, "out of memory");
	if (!rc)
		rc = find_folder(m, err);
	if (!rc)
		rc = read_config(m, &config, err);
	if (!rc)
		rc = read_max_tokens(m, &config, err);
	if (!rc)
		rc = read_pipeline(m, config.hidden, err);
	if (!rc)
		rc = read_prompts(m, config.architecture, err);
	if (!rc)
		rc = read_tokenizer_options(m, err);
	if (!rc)
		rc = read_vocabulary(m, config.vocab, err);
	if (!rc)
		rc = read_weights(m, &config, options, err);
	if (!rc)
		rc = make_fingerprint(m, err);
	if (rc) {
		sutra_model_close(m);
		return rc;
	}
	m->architecture = config.architecture;
	m->dimension = config.hidden;
	*ret = m;
	return 0;
}

void sutra_model_close(struct sutra_model *m)
{
	if (!m)
		return;
	sutra_encoder_free(m->encoder);
	sutra_packed_free(m->packed);
	sutra_safetensors_free(m->weights);
	sutra_wordpiece_free(m->tokenizer);
	sutra_prompts_release(&m->prompts);
	sutra_free(m->folder);
	sutra_free(m->name);
	sutra_free(m);
}
