/*
 * wordpiece - BERT's tokenizer: text to token ids, equal to Hugging Face tokenizers.
 *
 * Made once from vocab.txt (a line a token, the line number is the id), then read-only:
 * any number of threads may encode at once. Encoding allocates nothing, and its time is linear
 * in what of the text is used: a word of more than 100 characters is [UNK] without being searched.
 *
 * A literal "[SEP]", "[CLS]", "[MASK]", "[PAD]" or "[UNK]" in a text becomes that token,
 * as in the original.
 */
#ifndef SUTRA_MODEL_TOKENIZER_WORDPIECE_H
#define SUTRA_MODEL_TOKENIZER_WORDPIECE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct sutra_wordpiece;

/* As tokenizer_config.json has them; all true for an uncased model. */
struct sutra_wordpiece_options {
	bool lowercase;		/* do_lower_case */
	bool strip_accents;	/* strip_accents; null there means "as lowercase" */
	bool split_han;		/* tokenize_chinese_chars */
};

/* From n bytes of vocab.txt, which need not live on. SUTRA_E_CORRUPT: a vocabulary without
 * [UNK], [CLS] or [SEP], not UTF-8, or too large; SUTRA_E_NOMEM. */
int sutra_wordpiece_new(const char *vocab, size_t n, const struct sutra_wordpiece_options *options,
			struct sutra_wordpiece **ret, struct sutra_err *err);
void sutra_wordpiece_free(struct sutra_wordpiece *wp);
/* Number of tokens: every id is below. */
size_t sutra_wordpiece_size(const struct sutra_wordpiece *wp);

/* Writes [CLS], the text's pieces and [SEP] to ids, at most max (>= 2) in all: what is too
 * much is cut from the right, [SEP] stays, and *ret_cut (may be NULL) says so; the rest of the text
 * is then not looked at. Returns how many were written. n bytes of UTF-8; other bytes are passed over. */
size_t sutra_wordpiece_encode(const struct sutra_wordpiece *wp, const char *text, size_t n,
			      uint32_t *ids, size_t max, bool *ret_cut);
/* What the uncut text would give. */
size_t sutra_wordpiece_count(const struct sutra_wordpiece *wp, const char *text, size_t n);
/* As sutra_wordpiece_encode, but by the long way, one code point after the other and to the end
 * of the text: what the tests hold the short ways to. */
size_t sutra_wordpiece_referee(const struct sutra_wordpiece *wp, const char *text, size_t n,
			       uint32_t *ids, size_t max, bool *ret_cut);

#endif
