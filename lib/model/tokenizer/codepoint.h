/*
 * codepoint - the properties of a Unicode code point that BERT's basic tokenizer uses.
 *
 * They are those of Hugging Face tokenizers (0.23), with which the models on the hub are used: general
 * categories of Unicode 8, lower case of Unicode 17. The categories are a table here, so that a newer
 * Unicode library cannot change a model's vectors. Decomposition and lower case come from utf8proc, whose
 * newer versions only add characters that no vocabulary contains.
 */
#ifndef SUTRA_MODEL_TOKENIZER_CODEPOINT_H
#define SUTRA_MODEL_TOKENIZER_CODEPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sutra_codepoint_class {
	SUTRA_CP_LETTER,	/* any part of a word, including symbols (S*) */
	SUTRA_CP_SPACE,
	SUTRA_CP_DROP,		/* NUL, U+FFFD, Cc, Cf, Co: removed */
	SUTRA_CP_HAN,		/* a word by itself */
	SUTRA_CP_MARK,		/* Mn: removed if accents are stripped */
	SUTRA_CP_PUNCT,		/* a word by itself, after decomposition */
};

enum sutra_codepoint_class sutra_codepoint_class(uint32_t c);
/* Writes the classes of the first n code points, as bytes. */
void sutra_codepoint_classes(uint8_t *out, uint32_t n);
/* Simple lower case; c itself if it has none. */
uint32_t sutra_codepoint_lower(uint32_t c);
/* Canonical decomposition of one code point into out, not reordered; returns its length. */
#define SUTRA_CP_NFD_MAX 8
size_t sutra_codepoint_nfd(uint32_t c, uint32_t out[SUTRA_CP_NFD_MAX]);
/* Whether the decomposition of a letter contains punctuation. */
static inline bool sutra_codepoint_splits(uint32_t c)
{
	return c == 0x1FEF || c == 0x2260 || c == 0x226E || c == 0x226F;	/* varia, not =, <, > */
}
/* Canonical combining class, 0 for starters. */
unsigned sutra_codepoint_combining(uint32_t c);
/* Reads one code point from n > 0 bytes; *ret_len is its length, at least 1. U+FFFD: the first byte begins no
 * valid UTF-8. */
uint32_t sutra_codepoint_read(const char *s, size_t n, size_t *ret_len);

#endif
