/*
 * encoder_bert - for tests: a small random BERT with its encoder, and texts for it. Include it after cmocka.
 */
#ifndef SUTRA_TESTS_ENCODER_BERT_H
#define SUTRA_TESTS_ENCODER_BERT_H

#include "model/encoder/encoder.h"
#include "model_files.h"

enum { TOKENS = 30, TEXTS = 4 };

static const uint32_t ids[TOKENS] = { 2, 7, 150, 3, 2, 199, 3, 2, 9, 8, 7, 6, 5, 4, 3,
				      2, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120, 130, 3 };
static const uint32_t lengths[TEXTS] = { 4, 3, 6, 17 };

/* An encoder and the bytes it lives on. */
struct bert {
	struct sutra_buf bytes;
	struct sutra_safetensors *weights;
	struct sutra_encoder_config config;
	struct sutra_encoder *encoder;
};

static inline void open_bert_in(const struct tiny *t, enum sutra_precision precision, struct bert *b)
{
	struct sutra_buf config;
	struct sutra_err err;

	tiny_weights(t, &b->bytes);
	tiny_config(t, &config);
	assert_int_equal(sutra_safetensors_parse(b->bytes.data, b->bytes.len, &b->weights, &err), 0);
	assert_int_equal(sutra_encoder_read_config(config.data, config.len, &b->config, &err), 0);
	assert_int_equal(sutra_encoder_new(b->weights, &b->config,
		&(struct sutra_encoder_options){ .max_tokens = t->positions, .precision = precision },
		&b->encoder, &err), 0);
	sutra_buf_release(&config);
}

static inline void open_bert(const struct tiny *t, struct bert *b) { open_bert_in(t, SUTRA_FP32, b); }

static inline void close_bert(struct bert *b)
{
	sutra_encoder_free(b->encoder);
	sutra_safetensors_free(b->weights);
	sutra_buf_release(&b->bytes);
}

/* Texts from..from + n - 1. */
static inline void run(const struct bert *b, const struct sutra_kernels *k, size_t from, size_t n,
		enum sutra_pooling pooling, float *out)
{
	struct sutra_encoder_session *s;
	struct sutra_err err;
	size_t at = 0;

	for (size_t i = 0; i < from; i++)
		at += lengths[i];
	assert_int_equal(sutra_encoder_session_new(b->encoder, TOKENS, k, &s, &err), 0);
	assert_int_equal(sutra_encoder_run(s, ids + at, lengths + from, n, pooling, out, &err), 0);
	sutra_encoder_session_free(s);
}

#endif
