/*
 * wordpiece - BERT's tokenizer: converts text to the same token ids as Hugging Face tokenizers.
 *
 * It is made once from vocab.txt (one token per line; the line number is the id) and then read-only:
 * any number of threads may encode at once. Encoding allocates nothing, and its time is linear in the
 * bytes that it reads: a word of more than 100 characters is [UNK] without a search.
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

/* The values of tokenizer_config.json; all true for an uncased model. */
struct sutra_wordpiece_options {
	bool lowercase;		/* do_lower_case */
	bool strip_accents;	/* strip_accents; null in the file means: as lowercase */
	bool split_han;		/* tokenize_chinese_chars */
};

/* Makes it from n bytes of vocab.txt, which it copies. SUTRA_E_CORRUPT: the vocabulary has no
 * [UNK], [CLS] or [SEP], is not UTF-8, or is too large; SUTRA_E_NOMEM. */
int sutra_wordpiece_new(const char *vocab, size_t n, const struct sutra_wordpiece_options *options,
			struct sutra_wordpiece **ret, struct sutra_err *err);
void sutra_wordpiece_free(struct sutra_wordpiece *wp);
/* The number of tokens; every id is less. */
size_t sutra_wordpiece_size(const struct sutra_wordpiece *wp);

/* Writes [CLS], the pieces of the text (n bytes of UTF-8; other bytes are ignored) and [SEP] to ids, at most
 * max (>= 2) ids. Pieces beyond that are left out, the rest of the text is not read, and *ret_cut (may be
 * NULL) is true. Returns the number of ids. */
size_t sutra_wordpiece_encode(const struct sutra_wordpiece *wp, const char *text, size_t n,
			      uint32_t *ids, size_t max, bool *ret_cut);
/* The number of ids of the whole text. */
size_t sutra_wordpiece_count(const struct sutra_wordpiece *wp, const char *text, size_t n);
/* The referee for tests: as sutra_wordpiece_encode, but without its fast paths, one code point after the other
 * to the end of the text. */
size_t sutra_wordpiece_referee(const struct sutra_wordpiece *wp, const char *text, size_t n,
			       uint32_t *ids, size_t max, bool *ret_cut);

#endif
