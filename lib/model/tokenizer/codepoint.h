/*
 * codepoint - what BERT's basic tokenizer asks about a Unicode code point.
 *
 * The answers are those of Hugging Face tokenizers (0.23), which the stored vectors of
 * every BERT on the hub were made with: general categories as of Unicode 8, lower case as
 * of Unicode 17. They stand here as one table, so that a distribution's newer Unicode
 * library cannot change a model's vectors; only canonical decomposition comes from
 * utf8proc, and there new versions only add characters that no vocabulary knows.
 */
#ifndef SUTRA_MODEL_TOKENIZER_CODEPOINT_H
#define SUTRA_MODEL_TOKENIZER_CODEPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sutra_codepoint_class {
	SUTRA_CP_LETTER,	/* anything that may stand in a word, symbols (S*) included */
	SUTRA_CP_SPACE,
	SUTRA_CP_DROP,		/* NUL, U+FFFD, Cc, Cf, Co: vanish */
	SUTRA_CP_HAN,		/* a word of its own */
	SUTRA_CP_MARK,		/* Mn: vanishes when accents are stripped */
	SUTRA_CP_PUNCT,		/* a word of its own, after decomposition */
};

enum sutra_codepoint_class sutra_codepoint_class(uint32_t c);
/* The classes of the first n code points, as bytes. */
void sutra_codepoint_classes(uint8_t *out, uint32_t n);
/* Simple lower case; c itself when it has none. */
uint32_t sutra_codepoint_lower(uint32_t c);
/* Canonical decomposition of one code point into out, not reordered; returns its length. */
#define SUTRA_CP_NFD_MAX 8
size_t sutra_codepoint_nfd(uint32_t c, uint32_t out[SUTRA_CP_NFD_MAX]);
/* Whether a letter's decomposition has punctuation in it. */
static inline bool sutra_codepoint_splits(uint32_t c)
{
	return c == 0x1FEF || c == 0x2260 || c == 0x226E || c == 0x226F;	/* varia, not =, <, > */
}
/* Canonical combining class, 0 for starters. */
unsigned sutra_codepoint_combining(uint32_t c);
/* Reads one code point of at most n > 0 bytes and gives its length in *ret_len (>= 1);
 * U+FFFD for a byte that is not UTF-8. */
uint32_t sutra_codepoint_read(const char *s, size_t n, size_t *ret_len);

#endif
