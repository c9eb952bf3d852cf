/*
 * encoder - BERT and nomic_bert: computes one pooled vector per text from its token ids.
 *
 * An encoder holds packed weights and tables; it is read-only and shared by threads. A session holds the
 * scratch memory of one thread, all allocated when it is made; other threads may help with its runs.
 *
 * A batch is its texts' tokens end to end; no padding is computed. On one machine and with one build, the
 * bits of a text's vector depend neither on the other texts of the batch nor on help: a row of a product
 * depends on its row of x alone (gemm.h), everything else depends on one row or one text, and a layer has
 * the same parts for any number of threads.
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

/* What config.json says, checked by sutra_encoder_read_config. */
struct sutra_encoder_config {
	enum sutra_architecture architecture;
	size_t hidden, layers, heads, inner, vocab;
	size_t types;		/* token types; 0: none are embedded */
	size_t positions;	/* as the file says */
	size_t max_tokens;	/* per text: positions, or less (encoder_config.c) */
	float eps;
	float rotary_base;	/* 0: positions are embedded */
};

struct sutra_encoder;
struct sutra_encoder_session;

const char *sutra_architecture_name(enum sutra_architecture a);	/* the value of model_type */

/* Reads and checks config.json's text. SUTRA_E_INVALID names the field, its value and what is
 * allowed: one of the architectures above, without unusual options. */
int sutra_encoder_read_config(const char *json, size_t n, struct sutra_encoder_config *ret,
			      struct sutra_err *err);

struct sutra_encoder_options {
	size_t max_tokens;		/* per text, at most the config's */
	enum sutra_precision precision;
	const float *magnitude;		/* int8: from sutra_encoder_watch; NULL: the columns are alike */
	/* The blocks of sutra_encoder_packed of an equal encoder, end to end, aligned to 64; they must outlive
	 * the new one. NULL: the weights are packed. */
	const void *packed;
	size_t packed_bytes;
};

/*
 * Makes an encoder from the weights of a file. The tensors' names may be of any layout known for the
 * architecture (encoder_weights.c), after any prefix. Types and shapes of all tensors are checked before
 * memory is allocated; the numbers must be finite (not checked with options->packed). The word embeddings
 * are used from `weights`, which must outlive the encoder; everything else is copied, and the mapped pages
 * are dropped. SUTRA_E_CORRUPT, SUTRA_E_INVALID name tensor and fault.
 */
int sutra_encoder_new(const struct sutra_safetensors *weights,
		      const struct sutra_encoder_config *config,
		      const struct sutra_encoder_options *options, struct sutra_encoder **ret,
		      struct sutra_err *err);
void sutra_encoder_free(struct sutra_encoder *e);
const struct sutra_encoder_config *sutra_encoder_config(const struct sutra_encoder *e);

/* The number of packed products, and the block of product i, a multiple of 64 bytes. The blocks depend on
 * how a layer is divided into parts, which SUTRA_ENCODER_LAYOUT names. */
#define SUTRA_ENCODER_LAYOUT "parts=2"
size_t sutra_encoder_packed_count(const struct sutra_encoder *e);
const void *sutra_encoder_packed(const struct sutra_encoder *e, size_t i, size_t *ret_bytes);

/* Makes a session for batches of at most max_tokens tokens; kernels NULL: the best. If vnni.h computes the
 * products, it also computes the attention of texts that fit, whatever `kernels` is. */
int sutra_encoder_session_new(const struct sutra_encoder *e, size_t max_tokens,
			      const struct sutra_kernels *kernels,
			      struct sutra_encoder_session **ret, struct sutra_err *err);
void sutra_encoder_session_free(struct sutra_encoder_session *s);

/* With magnitude [sutra_encoder_magnitudes], which the caller sets to 0, every later run raises it to the
 * greatest magnitude in each column of each product's input; NULL ends that. */
size_t sutra_encoder_magnitudes(const struct sutra_encoder *e);
void sutra_encoder_watch(struct sutra_encoder_session *s, float *magnitude);

/* Encodes `texts` texts of lengths[i] > 0 ids each, end to end in ids, into out
 * [texts][hidden], not normalised. SUTRA_E_INVALID: an id beyond the vocabulary, a text longer
 * than the encoder's maximum, or more tokens than the session holds. */
int sutra_encoder_run(struct sutra_encoder_session *s, const uint32_t *ids,
		      const uint32_t *lengths, size_t texts, enum sutra_pooling pooling, float *out,
		      struct sutra_err *err);
/* The same in two steps: other threads may help after begin, until finish returns. After a successful begin,
 * finish must be called; ids, lengths and out must stay valid until it returns. */
int sutra_encoder_begin(struct sutra_encoder_session *s, const uint32_t *ids, const uint32_t *lengths,
			size_t texts, enum sutra_pooling pooling, float *out, struct sutra_err *err);
int sutra_encoder_finish(struct sutra_encoder_session *s, struct sutra_err *err);
/* Whether help makes a run shorter, since a layer has two parts. */
bool sutra_encoder_takes_help(const struct sutra_encoder *e);
/* Helps with the run of another thread's session. Returns false once no item of the run is left to begin,
 * true as soon as `enough` returns true between two items. May be called at any time until the session is
 * freed, by several threads; a layer's parts occupy one helper. */
bool sutra_encoder_help(struct sutra_encoder_session *s, bool (*enough)(void *), void *arg);
/* The time that pooling took in the last run, and the share of the run that helpers computed, 0 to 1. */
uint64_t sutra_encoder_session_pooling_ns(const struct sutra_encoder_session *s);
double sutra_encoder_session_helped(const struct sutra_encoder_session *s);

#endif
