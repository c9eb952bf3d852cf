/*
 * model_files - for tests: the real model's folder when it is on this machine, and small
 * random BERTs written to a folder of their own.
 */
#ifndef SUTRA_TESTS_MODEL_FILES_H
#define SUTRA_TESTS_MODEL_FILES_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "model/model.h"

/* The real model's folder (sutra_free it); NULL: it is not here, and the test is skipped with a
 * word, or fails where continuous integration promises it (CI=true). */
static inline char *real_model_folder(void)
{
	char *folder = sutra_model_folder(getenv("MODEL_PATH"), NULL),
	     *file = sutra_asprintf("%s/model.safetensors", folder);
	const char *ci = getenv("CI");
	bool there = sutra_is_file(file);

	sutra_free(file);
	if (there)
		return folder;
	fprintf(stderr, "no model in %s: get it with `sutra model fetch` or set MODEL_PATH\n", folder);
	if (ci && !strcmp(ci, "true"))
		exit(1);
	sutra_free(folder);
	return NULL;
}

/* What a tiny BERT may be asked to look like. */
struct tiny {
	size_t hidden, layers, heads, inner, positions, vocab;
	const char *dtype;	/* "F32", "F16", "BF16" */
	const char *prefix;	/* "" or "bert." */
	bool gamma;		/* gamma/beta instead of weight/bias */
};

static const struct tiny tiny_default = { 32, 2, 4, 64, 40, 200, "F32", "", false };

struct tiny_writer {
	const struct tiny *t;
	struct sutra_buf header, data;
	uint32_t seed;
};

static inline float tiny_random(struct tiny_writer *w)
{
	w->seed ^= w->seed << 13;
	w->seed ^= w->seed >> 17;
	w->seed ^= w->seed << 5;
	/* few bits, so that every dtype holds it exactly */
	return (float)((int)(w->seed >> 24) - 128) / 512.0f;
}

static inline uint16_t tiny_half(float v)	/* exact values only */
{
	uint32_t b;

	memcpy(&b, &v, sizeof(b));
	return v == 0 ? 0 : (uint16_t)((b >> 16 & 0x8000) | (((b >> 23 & 255) - 112) << 10) |
				       (b >> 13 & 1023));
}

static inline void tiny_tensor(struct tiny_writer *w, const char *name, size_t rows, size_t columns)
{
	size_t n = (rows ? rows : 1) * columns, from = w->data.len;
	bool wide = !strcmp(w->t->dtype, "F32"), half = !strcmp(w->t->dtype, "F16");

	for (size_t i = 0; i < n; i++) {
		float v = tiny_random(w);
		uint32_t b;
		uint16_t h = tiny_half(v);

		memcpy(&b, &v, sizeof(b));
		if (!half)
			h = (uint16_t)(b >> 16);
		sutra_buf_add(&w->data, wide ? (void *)&b : (void *)&h, wide ? 4 : 2);
	}
	sutra_buf_addf(&w->header, "%s\"%s%s\":{\"dtype\":\"%s\",\"shape\":[", w->header.len ? "," : "",
		       w->t->prefix, name, w->t->dtype);
	if (rows)
		sutra_buf_addf(&w->header, "%zu,", rows);
	sutra_buf_addf(&w->header, "%zu],\"data_offsets\":[%zu,%zu]}", columns, from, w->data.len);
}

static inline void tiny_dense(struct tiny_writer *w, const char *base, size_t n, size_t k)
{
	char name[160];

	snprintf(name, sizeof(name), "%s.weight", base);
	tiny_tensor(w, name, n, k);
	snprintf(name, sizeof(name), "%s.bias", base);
	tiny_tensor(w, name, 0, n);
}

static inline void tiny_norm(struct tiny_writer *w, const char *base)
{
	char name[160];

	snprintf(name, sizeof(name), "%s.%s", base, w->t->gamma ? "gamma" : "weight");
	tiny_tensor(w, name, 0, w->t->hidden);
	snprintf(name, sizeof(name), "%s.%s", base, w->t->gamma ? "beta" : "bias");
	tiny_tensor(w, name, 0, w->t->hidden);
}

static inline void tiny_layer(struct tiny_writer *w, size_t i)
{
	static const char *const parts[] = { "query", "key", "value" };
	char base[128];

	for (int p = 0; p < 3; p++) {
		snprintf(base, sizeof(base), "encoder.layer.%zu.attention.self.%s", i, parts[p]);
		tiny_dense(w, base, w->t->hidden, w->t->hidden);
	}
	snprintf(base, sizeof(base), "encoder.layer.%zu.attention.output.dense", i);
	tiny_dense(w, base, w->t->hidden, w->t->hidden);
	snprintf(base, sizeof(base), "encoder.layer.%zu.attention.output.LayerNorm", i);
	tiny_norm(w, base);
	snprintf(base, sizeof(base), "encoder.layer.%zu.intermediate.dense", i);
	tiny_dense(w, base, w->t->inner, w->t->hidden);
	snprintf(base, sizeof(base), "encoder.layer.%zu.output.dense", i);
	tiny_dense(w, base, w->t->hidden, w->t->inner);
	snprintf(base, sizeof(base), "encoder.layer.%zu.output.LayerNorm", i);
	tiny_norm(w, base);
}

/* The bytes of its model.safetensors. */
static inline void tiny_weights(const struct tiny *t, struct sutra_buf *out)
{
	struct tiny_writer w = { .t = t, .seed = 2463534242u };
	uint64_t len;

	sutra_buf_init(&w.header, 1 << 20);
	sutra_buf_init(&w.data, 64 << 20);
	tiny_tensor(&w, "embeddings.word_embeddings.weight", t->vocab, t->hidden);
	tiny_tensor(&w, "embeddings.position_embeddings.weight", t->positions, t->hidden);
	tiny_tensor(&w, "embeddings.token_type_embeddings.weight", 2, t->hidden);
	tiny_norm(&w, "embeddings.LayerNorm");
	for (size_t i = 0; i < t->layers; i++)
		tiny_layer(&w, i);
	sutra_buf_init(out, 64 << 20);
	len = w.header.len + 2;
	for (int i = 0; i < 8; i++)
		sutra_buf_addc(out, (char)(len >> 8 * i));
	sutra_buf_addc(out, '{');
	sutra_buf_add(out, w.header.data, w.header.len);
	sutra_buf_addc(out, '}');
	sutra_buf_add(out, w.data.data, w.data.len);
	sutra_buf_release(&w.header);
	sutra_buf_release(&w.data);
}

/* Its config.json. */
static inline void tiny_config(const struct tiny *t, struct sutra_buf *out)
{
	sutra_buf_init(out, 4096);
	sutra_buf_addf(out,
		       "{\"model_type\":\"bert\",\"hidden_act\":\"gelu\",\"hidden_size\":%zu,"
		       "\"num_hidden_layers\":%zu,\"num_attention_heads\":%zu,\"intermediate_size\":%zu,"
		       "\"max_position_embeddings\":%zu,\"type_vocab_size\":2,\"vocab_size\":%zu}",
		       t->hidden, t->layers, t->heads, t->inner, t->positions, t->vocab);
}

#endif
