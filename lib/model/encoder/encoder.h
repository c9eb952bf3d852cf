/*
 * encoder - BERT and nomic_bert: token ids in, one pooled vector a text out.
 *
 * The encoder is the engine: packed weights and tables, made once, read-only, shared by
 * threads. A session is one thread's scratch, in whose runs another one may help; it allocates
 * everything when it is made.
 * A batch is its texts' tokens end to end; no padding is computed. A text gives the same
 * vector, to the bit, alone and in any batch and place, with help and without (on one machine,
 * with one build): products are invariant by gemm.h, everything else works on a row or a text
 * alone, and a layer is computed in the same parts by however many threads.
 */
#ifndef SUTRA_MODEL_ENCODER_ENCODER_H
#define SUTRA_MODEL_ENCODER_ENCODER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "vector/gemm.h"
#include "vector/kernel.h"
#include "model/safetensors.h"

enum sutra_pooling { SUTRA_POOL_MEAN, SUTRA_POOL_CLS };

enum sutra_architecture { SUTRA_ARCH_BERT, SUTRA_ARCH_NOMIC_BERT };

/* Of config.json, checked by sutra_encoder_read_config. */
struct sutra_encoder_config {
	enum sutra_architecture architecture;
	size_t hidden, layers, heads, inner, vocab;
	size_t types;		/* token types; 0: none are embedded */
	size_t positions;	/* that the file names */
	size_t max_tokens;	/* of a text: positions, or less where more would not be sound */
	float eps;
	float rotary_base;	/* 0: positions are embedded */
};

struct sutra_encoder;
struct sutra_encoder_session;

const char *sutra_architecture_name(enum sutra_architecture a);	/* as model_type has it */

/* Reads and checks config.json's text. SUTRA_E_INVALID names the field, its value and what is
 * allowed: an architecture above, with the parts that it usually has. */
int sutra_encoder_read_config(const char *json, size_t n, struct sutra_encoder_config *ret,
			      struct sutra_err *err);

struct sutra_encoder_options {
	size_t max_tokens;		/* of a text, at most the config's */
	enum sutra_precision precision;
	const float *magnitude;		/* int8: of sutra_encoder_watch; NULL: columns all alike */
	const void *packed;		/* what sutra_encoder_packed gave of an equal encoder, end to end, */
	size_t packed_bytes;		/* aligned to 64, which must outlive this one; NULL: none */
};

/*
 * Packs the weights. The names may be of any layout known for the architecture
 * (encoder_weights.c), behind any prefix. Every tensor is found and its type and shape are
 * checked before memory is taken for it; its numbers must be finite, unless they were packed
 * before. The word embeddings stay in `weights`, which must outlive the encoder; of everything
 * else a copy is made and the mapped pages are given back. SUTRA_E_CORRUPT, SUTRA_E_INVALID name
 * tensor and fault.
 */
int sutra_encoder_new(const struct sutra_safetensors *weights,
		      const struct sutra_encoder_config *config,
		      const struct sutra_encoder_options *options, struct sutra_encoder **ret,
		      struct sutra_err *err);
void sutra_encoder_free(struct sutra_encoder *e);
const struct sutra_encoder_config *sutra_encoder_config(const struct sutra_encoder *e);

/* The packed products, of which there are `count`: the i-th one's block, a multiple of 64 bytes.
 * They depend on how a layer is cut, which the layout names. */
#define SUTRA_ENCODER_LAYOUT "parts=2"
size_t sutra_encoder_packed_count(const struct sutra_encoder *e);
const void *sutra_encoder_packed(const struct sutra_encoder *e, size_t i, size_t *ret_bytes);

/* Scratch for batches of at most max_tokens tokens; kernels NULL: the best. When the products go by vnni.h,
 * the attention of texts that fit it does too, whichever kernels are asked for. */
int sutra_encoder_session_new(const struct sutra_encoder *e, size_t max_tokens,
			      const struct sutra_kernels *kernels,
			      struct sutra_encoder_session **ret, struct sutra_err *err);
void sutra_encoder_session_free(struct sutra_encoder_session *s);

/* Every later run raises magnitude [sutra_encoder_magnitudes], set to 0 before, to the greatest magnitude
 * of each column of the input of each product; NULL ends that. */
size_t sutra_encoder_magnitudes(const struct sutra_encoder *e);
void sutra_encoder_watch(struct sutra_encoder_session *s, float *magnitude);

/* Encodes `texts` texts of lengths[i] > 0 ids each, end to end in ids, into out
 * [texts][hidden], not normalised. SUTRA_E_INVALID: an id beyond the vocabulary, a text longer
 * than the encoder's maximum, or more tokens than the session holds. */
int sutra_encoder_run(struct sutra_encoder_session *s, const uint32_t *ids,
		      const uint32_t *lengths, size_t texts, enum sutra_pooling pooling, float *out,
		      struct sutra_err *err);
/* The same in two steps, between which and during the second of which other threads may help. What
 * has begun must be finished; ids, lengths and out are the session's until then. */
int sutra_encoder_begin(struct sutra_encoder_session *s, const uint32_t *ids, const uint32_t *lengths,
			size_t texts, enum sutra_pooling pooling, float *out, struct sutra_err *err);
int sutra_encoder_finish(struct sutra_encoder_session *s, struct sutra_err *err);
/* Whether a second thread can make a run shorter: a layer has two parts. */
bool sutra_encoder_takes_help(const struct sutra_encoder *e);
/* Another thread's help with a run that has begun: returns when there is nothing left to begin
 * (false), or between two pieces of work as soon as `enough` says so (true). May be called at any
 * time until the session is freed, and by several threads, of which a layer's parts keep one busy. */
bool sutra_encoder_help(struct sutra_encoder_session *s, bool (*enough)(void *), void *arg);
/* Of the last run, the time that pooling took, and the share of the work that others did, 0 to 1. */
uint64_t sutra_encoder_session_pooling_ns(const struct sutra_encoder_session *s);
double sutra_encoder_session_helped(const struct sutra_encoder_session *s);

#endif
