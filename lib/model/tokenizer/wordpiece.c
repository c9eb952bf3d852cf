/*
 * The order of these steps must be that of the original, so that the ids are equal:
 *
 *   1. special tokens are found in the raw text and divide it into segments;
 *   2. characters of class DROP are removed, white space ends words;
 *   3. a Han character is a word (a compatibility ideograph: its decomposition);
 *   4. canonical decomposition (NFD, with canonical reordering), then marks are removed;
 *   5. lower case, one code point to one;
 *   6. punctuation is a word;
 *   7. a word of more than 100 characters is [UNK]; otherwise it is the longest piece of the vocabulary
 *      that begins it, then the longest "##" piece that begins the rest, and so on; if no piece fits,
 *      the whole word is [UNK].
 *
 * Here they run in one pass over the code points. Reordering (step 4) exchanges only neighbours in one
 * word, so it is an insertion into the word that is being built. Removed marks matter only as barriers,
 * since removing elements of a stable sort does not change the order of the others.
 *
 * The vocabulary is a trie over code points, whose edges are in one open hash table: an
 * edge is the 64-bit number (parent << 42 | code point << 21 | child), all three below 2^21, and
 * 0 is an empty slot, since no edge leads to the root. A step down mostly takes one probe.
 *
 * Most words of most texts need none of these steps: a run of ASCII letters and digits, followed by ASCII,
 * that is itself a token. Such tokens of at most 16 bytes are in a second table, with their bytes as key,
 * where take_ascii finds a word by one probe. All other text takes the pass over code points, which alone
 * is the referee that tests compare with. A double array instead of the two tables would need a page of
 * code to build, and would still step through every letter.
 *
 * In a word that is too long only the end is searched (skip). A pass stops at the end of the first word
 * that does not fit: then something is certainly cut, and ids that were written do not change any more,
 * since end_word removes pieces of its own word only.
 */
#include "model/tokenizer/wordpiece.h"

#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "model/tokenizer/codepoint.h"

enum {
	MAX_WORD = 100,		/* characters; a longer word is [UNK] (max_input_chars_per_word) */
	MAX_NODES = 1 << 21,
	MAX_VOCAB = 16 << 20,	/* bytes */
	ROOT = 0,
	NONE = -1,
	TABLE = 1 << 16,	/* the classes of code points below this are in a table */
};

static const char *const specials[] = { "[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]" };
enum { UNK, CLS, SEP, PAD, MASK, N_SPECIALS };

/* A token of letters and digits: its bytes, padded with zeros. low 0: an empty slot. */
struct whole_word {
	uint64_t low, high;
	int32_t id;
};

/* Classes of bytes for take_ascii. OTHER: not ASCII, or removed. */
enum { OTHER, LETTER, PUNCT, BLANK };

struct sutra_wordpiece {
	struct sutra_wordpiece_options options;
	uint8_t kind[256];	/* the class of a byte */
	uint8_t folded[256];	/* a LETTER, in lower case if options say so; 0 for other bytes */
	uint8_t classes[TABLE];
	struct whole_word *words;	/* [words_mask + 1] */
	size_t words_mask;
	uint64_t *edges;	/* [mask + 1] */
	size_t mask;
	int32_t *ids;		/* [nodes]: the token that ends here, or NONE */
	size_t nodes, tokens;
	uint32_t inner;		/* the node of "##", the root of continuations; ROOT: none */
	int32_t special[N_SPECIALS];
};

static size_t edge_slot(const struct sutra_wordpiece *wp, uint64_t key)
{
	return (size_t)((key * 0x9E3779B97F4A7C15u) >> 32) & wp->mask;
}

/* Child of node by c, or ROOT. */
static uint32_t step(const struct sutra_wordpiece *wp, uint32_t node, uint32_t c)
{
	uint64_t key = (uint64_t)node << 21 | c;

	for (size_t i = edge_slot(wp, key); wp->edges[i]; i = (i + 1) & wp->mask)
		if (wp->edges[i] >> 21 == key)
			return wp->edges[i] & (MAX_NODES - 1);
	return ROOT;
}

static uint32_t step_or_add(struct sutra_wordpiece *wp, uint32_t node, uint32_t c)
{
	uint64_t key = (uint64_t)node << 21 | c;
	uint32_t child = step(wp, node, c);
	size_t i;

	if (child)
		return child;
	for (i = edge_slot(wp, key); wp->edges[i]; i = (i + 1) & wp->mask)
		;
	child = (uint32_t)wp->nodes++;
	wp->edges[i] = key << 21 | child;
	wp->ids[child] = NONE;
	return child;
}

static uint32_t add_token(struct sutra_wordpiece *wp, const char *s, size_t n)
{
	uint32_t node = ROOT;

	for (size_t at = 0, len; at < n; at += len)
		node = step_or_add(wp, node, sutra_codepoint_read(s + at, n - at, &len));
	return node;
}

static struct whole_word *find_word(const struct sutra_wordpiece *wp, uint64_t low, uint64_t high)
{
	uint64_t h = (low ^ high * 0xC2B2AE3D27D4EB4Fu) * 0x9E3779B97F4A7C15u;

	for (size_t i = (size_t)(h >> 32) & wp->words_mask;; i = (i + 1) & wp->words_mask)
		if (!wp->words[i].low || (wp->words[i].low == low && wp->words[i].high == high))
			return &wp->words[i];
}

/* Packs up to 8 folded letters from s[at], the first in the lowest byte; *ret_at is their end. */
static inline uint64_t fold8(const struct sutra_wordpiece *wp, const char *s, size_t at, size_t n,
			     size_t *ret_at)
{
	uint64_t key = 0, c;
	unsigned shift = 0;

	for (; shift < 64 && at < n && (c = wp->folded[(unsigned char)s[at]]); shift += 8, at++)
		key |= c << shift;
	*ret_at = at;
	return key;
}

/* Adds a token that is a whole word in ASCII to the table of words. */
static void add_word(struct sutra_wordpiece *wp, const char *s, size_t n)
{
	size_t at = 0;
	uint64_t low = fold8(wp, s, at, n, &at), high = fold8(wp, s, at, n, &at);

	if (n == 1 && wp->kind[(unsigned char)s[0]] == PUNCT) {
		low = (unsigned char)s[0];
		at = 1;
	}
	for (size_t i = 0; i < at; i++)		/* a token with a capital that folding changes never matches */
		if (wp->kind[(unsigned char)s[i]] == LETTER && s[i] != (char)wp->folded[(unsigned char)s[i]])
			return;
	if (n && at == n)
		*find_word(wp, low, high) = (struct whole_word){ low, high, (int32_t)wp->tokens };
}

static void add_line(struct sutra_wordpiece *wp, const char *s, size_t n)
{
	uint32_t node;

	if (n && s[n - 1] == '\r')
		n--;
	node = add_token(wp, s, n);
	if (node != ROOT)
		wp->ids[node] = (int32_t)wp->tokens;
	add_word(wp, s, n);
	for (size_t i = 0; i < N_SPECIALS; i++)
		if (n == strlen(specials[i]) && !memcmp(s, specials[i], n))
			wp->special[i] = (int32_t)wp->tokens;
	wp->tokens++;
}

static int fill(struct sutra_wordpiece *wp, const char *vocab, size_t n, struct sutra_err *err)
{
	for (size_t at = 0; at < n;) {
		const char *end = memchr(vocab + at, '\n', n - at);
		size_t len = end ? (size_t)(end - vocab) - at : n - at;

		add_line(wp, vocab + at, len);
		at += len + 1;
	}
	for (size_t i = UNK; i <= SEP; i++)
		if (wp->special[i] == NONE)
			return sutra_fail(err, SUTRA_E_CORRUPT, "the vocabulary has no token %s",
					  specials[i]);
	wp->inner = step(wp, step(wp, ROOT, '#'), '#');
	return 0;
}

/* Allocates a node for every character of the vocabulary, and tables of edges and words that are at most half
 * full. */
static int make_room(struct sutra_wordpiece *wp, const char *vocab, size_t n, struct sutra_err *err)
{
	size_t chars = 1, lines = 1, slots = 16, bad;

	if (n > MAX_VOCAB)
		return sutra_fail(err, SUTRA_E_CORRUPT, "the vocabulary is larger than %d bytes",
				  MAX_VOCAB);
	if (!sutra_str_utf8(vocab, n, &bad))
		return sutra_fail(err, SUTRA_E_CORRUPT, "the vocabulary is not UTF-8 at byte %zu", bad);
	for (size_t i = 0; i < n; i++) {
		chars += ((unsigned char)vocab[i] & 0xC0) != 0x80;
		lines += vocab[i] == '\n';
	}
	if (chars >= MAX_NODES)
		return sutra_fail(err, SUTRA_E_CORRUPT, "the vocabulary has more than %d characters",
				  MAX_NODES);
	while (slots < 2 * chars)
		slots *= 2;
	wp->mask = slots - 1;
	wp->edges = sutra_calloc(slots, sizeof(*wp->edges));
	wp->ids = sutra_calloc(chars, sizeof(*wp->ids));
	for (slots = 16; slots < 2 * lines;)
		slots *= 2;
	wp->words_mask = slots - 1;
	wp->words = sutra_calloc(slots, sizeof(*wp->words));
	if (!wp->edges || !wp->ids || !wp->words)
		return sutra_fail(err, SUTRA_E_NOMEM, "out of memory for the vocabulary");
	wp->ids[ROOT] = NONE;
	wp->nodes = 1;
	return 0;
}

static enum sutra_codepoint_class class_of(const struct sutra_wordpiece *wp, uint32_t c)
{
	return c < TABLE ? wp->classes[c] : sutra_codepoint_class(c);
}

static void make_tables(struct sutra_wordpiece *wp)
{
	sutra_codepoint_classes(wp->classes, TABLE);
	for (uint32_t c = 0; c < 128; c++) {
		enum sutra_codepoint_class is = class_of(wp, c);

		if (is == SUTRA_CP_LETTER)
			wp->folded[c] = (uint8_t)(wp->options.lowercase ? sutra_codepoint_lower(c) : c);
		wp->kind[c] = is == SUTRA_CP_LETTER ? LETTER : is == SUTRA_CP_PUNCT ? PUNCT :
			      is == SUTRA_CP_SPACE ? BLANK : OTHER;
	}
}

int sutra_wordpiece_new(const char *vocab, size_t n, const struct sutra_wordpiece_options *options,
			struct sutra_wordpiece **ret, struct sutra_err *err)
{
	struct sutra_wordpiece *wp = sutra_calloc(1, sizeof(*wp));
	int rc;

	if (!wp)
		return sutra_fail(err, SUTRA_E_NOMEM, "out of memory for the vocabulary");
	wp->options = *options;
	for (size_t i = 0; i < N_SPECIALS; i++)
		wp->special[i] = NONE;
	make_tables(wp);
	rc = make_room(wp, vocab, n, err);
	if (!rc)
		rc = fill(wp, vocab, n, err);
	if (rc)
		sutra_wordpiece_free(wp);
	else
		*ret = wp;
	return rc;
}

void sutra_wordpiece_free(struct sutra_wordpiece *wp)
{
	if (!wp)
		return;
	sutra_free(wp->edges);
	sutra_free(wp->ids);
	sutra_free(wp->words);
	sutra_free(wp);
}

size_t sutra_wordpiece_size(const struct sutra_wordpiece *wp) { return wp->tokens; }

/* The state of one text: the ids so far and the word that is being built. */
struct pass {
	const struct sutra_wordpiece *wp;
	uint32_t *ids;
	size_t room, n, stop;		/* ids are written up to room; the pass ends once n exceeds stop */
	bool plain;			/* the referee: no fast paths */
	uint32_t word[MAX_WORD];
	size_t chars;			/* in word; MAX_WORD + 1: it is too long */
	size_t run;			/* start of its last run of combining characters */
};

static void emit(struct pass *p, int32_t id)
{
	if (p->n < p->room)
		p->ids[p->n] = (uint32_t)id;
	p->n++;
}

/* The id of the longest piece that starts at word[from], or NONE; *ret_end is its end. */
static int32_t longest(const struct pass *p, size_t from, size_t *ret_end)
{
	const struct sutra_wordpiece *wp = p->wp;
	uint32_t node = from ? wp->inner : ROOT;
	int32_t id = NONE;

	if (from && node == ROOT)
		return NONE;
	for (size_t i = from; i < p->chars; i++) {
		node = step(wp, node, p->word[i]);
		if (node == ROOT)
			break;
		if (wp->ids[node] != NONE) {
			id = wp->ids[node];
			*ret_end = i + 1;
		}
	}
	return id;
}

static void end_word(struct pass *p)
{
	size_t start = p->n, at = 0;
	bool known = p->chars <= MAX_WORD;

	while (known && at < p->chars) {
		int32_t id = longest(p, at, &at);

		known = id != NONE;
		if (known)
			emit(p, id);
	}
	if (!known) {
		p->n = start;
		emit(p, p->wp->special[UNK]);
	}
	p->chars = p->run = 0;
}

/* Appends to the word, in canonical order within a run of combining characters. */
static void append(struct pass *p, uint32_t c)
{
	unsigned combining = sutra_codepoint_combining(c);
	size_t i = p->chars;

	if (p->chars >= MAX_WORD) {
		p->chars = MAX_WORD + 1;
		return;
	}
	for (; combining && i > p->run && sutra_codepoint_combining(p->word[i - 1]) > combining; i--)
		p->word[i] = p->word[i - 1];
	p->word[i] = c;
	p->chars++;
	if (!combining)
		p->run = p->chars;
}

/* Steps 5 and 6, for a code point that is neither DROP nor white space. */
static void add_letter(struct pass *p, uint32_t c, enum sutra_codepoint_class is)
{
	if (is == SUTRA_CP_PUNCT)
		end_word(p);
	if (!p->wp->options.lowercase) {
		append(p, c);
	} else if (c == 0x130) {	/* the only full mapping; stripping accents decomposes it before */
		append(p, 'i');
		append(p, 0x307);
	} else {
		append(p, sutra_codepoint_lower(c));
	}
	if (is == SUTRA_CP_PUNCT)
		end_word(p);
}

/* Steps 3 and 4. */
static void add_char(struct pass *p, uint32_t c, enum sutra_codepoint_class is)
{
	bool han = is == SUTRA_CP_HAN && p->wp->options.split_han;
	uint32_t parts[SUTRA_CP_NFD_MAX];
	size_t n;

	if (han)
		end_word(p);
	if (p->wp->options.strip_accents && is == SUTRA_CP_MARK && p->run == p->chars)
		return;		/* at a run's start it is no barrier */
	if (!p->wp->options.strip_accents || c < 0xC0) {
		add_letter(p, c, is);
	} else {
		n = sutra_codepoint_nfd(c, parts);
		for (size_t i = 0; i < n; i++) {
			if (parts[i] != c)
				is = class_of(p->wp, parts[i]);
			if (is != SUTRA_CP_MARK)
				add_letter(p, parts[i], is);
			else if (!sutra_codepoint_combining(parts[i]))
				p->run = p->chars <= MAX_WORD ? p->chars : MAX_WORD;
		}
	}
	if (han)
		end_word(p);
}

/* The special token at s, or NONE. */
static int32_t special_at(const struct sutra_wordpiece *wp, const char *s, size_t n, size_t *ret_len)
{
	for (size_t i = 0; i < N_SPECIALS; i++) {
		size_t len = strlen(specials[i]);

		if (wp->special[i] != NONE && len <= n && !memcmp(s, specials[i], len)) {
			*ret_len = len;
			return wp->special[i];
		}
	}
	return NONE;
}

/* Reads blanks at s, then a word of ASCII, emits it and returns the length of both. Returns the length of the
 * blanks alone if the word may continue in other characters, is too long for the table, or may be a special
 * token. No word may be begun. */
static size_t take_ascii(struct pass *p, const char *s, size_t n)
{
	const struct sutra_wordpiece *wp = p->wp;
	const struct whole_word *word;
	size_t start = 0, at;
	uint64_t low, high;

	while (start < n && wp->kind[(unsigned char)s[start]] == BLANK)
		start++;
	low = fold8(wp, s, start, n, &at);
	high = at - start < 8 ? 0 : fold8(wp, s, at, n, &at);
	if (at == start) {
		if (at == n || s[at] == '[' || wp->kind[(unsigned char)s[at]] != PUNCT)
			return start;
		low = (unsigned char)s[at++];
	} else if (at < n && wp->kind[(unsigned char)s[at]] <= LETTER) {
		return start;
	}
	word = find_word(wp, low, high);
	if (word->low) {
		emit(p, word->id);
		return at;
	}
	for (; low; low = low >> 8 | high << 56, high >>= 8)
		p->word[p->chars++] = low & 0xFF;
	end_word(p);
	return at;
}

/* The number of bytes at s that only continue a word which is too long. */
static size_t skip(const struct pass *p, const char *s, size_t n)
{
	size_t at = 0, len;

	for (; at < n; at += len) {
		enum sutra_codepoint_class is;
		uint32_t c;

		if (p->wp->kind[(unsigned char)s[at]] == LETTER) {
			len = 1;
			continue;
		}
		c = sutra_codepoint_read(s + at, n - at, &len);
		is = class_of(p->wp, c);
		if ((is != SUTRA_CP_LETTER && is != SUTRA_CP_MARK) ||
		    sutra_codepoint_splits(c))
			break;
	}
	return at;
}

/* Reads one code point or special token at s; returns its length. */
static size_t take_char(struct pass *p, const char *s, size_t n)
{
	size_t len;
	uint32_t c = sutra_codepoint_read(s, n, &len);
	enum sutra_codepoint_class is = class_of(p->wp, c);
	int32_t special;

	if (c == '[' && (special = special_at(p->wp, s, n, &len)) != NONE) {
		end_word(p);
		emit(p, special);
	} else if (is == SUTRA_CP_SPACE) {
		end_word(p);
	} else if (is != SUTRA_CP_DROP) {
		add_char(p, c, is);
	}
	return len;
}

static void run_pass(struct pass *p, const char *text, size_t n)
{
	size_t len;

	emit(p, p->wp->special[CLS]);
	for (size_t at = 0; at < n && p->n <= p->stop; at += len) {
		len = 0;
		if (p->plain)
			;
		else if (!p->chars)
			len = take_ascii(p, text + at, n - at);
		else if (p->chars > MAX_WORD)
			len = skip(p, text + at, n - at);
		if (!len)
			len = take_char(p, text + at, n - at);
	}
	end_word(p);
}

static size_t encode(struct pass *p, const char *text, size_t n, bool *ret_cut)
{
	run_pass(p, text, n);
	if (ret_cut)
		*ret_cut = p->n > p->room;
	if (p->n > p->room)
		p->n = p->room;
	p->ids[p->n++] = (uint32_t)p->wp->special[SEP];
	return p->n;
}

size_t sutra_wordpiece_encode(const struct sutra_wordpiece *wp, const char *text, size_t n,
			      uint32_t *ids, size_t max, bool *ret_cut)
{
	struct pass p = { .wp = wp, .ids = ids, .room = max - 1, .stop = max - 1 };

	return encode(&p, text, n, ret_cut);
}

size_t sutra_wordpiece_referee(const struct sutra_wordpiece *wp, const char *text, size_t n,
			       uint32_t *ids, size_t max, bool *ret_cut)
{
	struct pass p = { .wp = wp, .ids = ids, .room = max - 1, .stop = SIZE_MAX, .plain = true };

	return encode(&p, text, n, ret_cut);
}

size_t sutra_wordpiece_count(const struct sutra_wordpiece *wp, const char *text, size_t n)
{
	struct pass p = { .wp = wp, .stop = SIZE_MAX };

	run_pass(&p, text, n);
	return p.n + 1;
}
