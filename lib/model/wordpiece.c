/*
 * The order of steps decides about equality with the original and is fixed:
 *
 *   1. special tokens are found in the raw text and cut it into segments;
 *   2. dropped characters vanish, blanks of every kind become word ends;
 *   3. a Han character is a word (its decomposition, for compatibility ideographs);
 *   4. canonical decomposition (NFD, with canonical reordering), marks vanish;
 *   5. lower case, one code point to one;
 *   6. punctuation is a word;
 *   7. a word of more than 100 characters is [UNK]; else the longest piece of the vocabulary
 *      that starts it, then the longest "##" piece that starts the rest, and so on; where
 *      nothing fits the whole word is [UNK].
 *
 * Here they run in one pass over the code points. Reordering (step 4) touches only
 * neighbours in one word, so it is an insertion into the word under construction; marks that
 * vanish take part only as barriers, since dropping some elements of a stable sort leaves the
 * order of the others.
 *
 * The vocabulary is a trie over code points whose edges live in one open hash table: an
 * edge is the 64-bit number (parent << 42 | code point << 21 | child), all three below 2^21, and
 * 0 is an empty slot, since no edge leads to the root. A step down costs one probe, mostly; a
 * double array would be faster still and take a page of code to build.
 */
#include "model/wordpiece.h"

#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "model/codepoint.h"

enum {
	MAX_WORD = 100,		/* characters; beyond: [UNK] (max_input_chars_per_word) */
	MAX_NODES = 1 << 21,
	MAX_VOCAB = 16 << 20,	/* bytes */
	ROOT = 0,
	NONE = -1,
};

static const char *const specials[] = { "[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]" };
enum { UNK, CLS, SEP, PAD, MASK, N_SPECIALS };

struct sutra_wordpiece {
	struct sutra_wordpiece_options options;
	uint64_t *edges;	/* [mask + 1] */
	size_t mask;
	int32_t *ids;		/* [nodes]: token that ends here, or NONE */
	size_t nodes, tokens;
	uint32_t inner;		/* node of "##", where continuations start; ROOT: none */
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

static void add_line(struct sutra_wordpiece *wp, const char *s, size_t n)
{
	uint32_t node;

	if (n && s[n - 1] == '\r')
		n--;
	node = add_token(wp, s, n);
	if (node != ROOT)
		wp->ids[node] = (int32_t)wp->tokens;
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

/* Room for every character of the vocabulary to be a node of its own, and an edge table at
 * most half full. */
static int make_room(struct sutra_wordpiece *wp, const char *vocab, size_t n, struct sutra_err *err)
{
	size_t chars = 1, slots = 16, bad;

	if (n > MAX_VOCAB)
		return sutra_fail(err, SUTRA_E_CORRUPT, "the vocabulary is larger than %d bytes",
				  MAX_VOCAB);
	if (!sutra_str_utf8(vocab, n, &bad))
		return sutra_fail(err, SUTRA_E_CORRUPT, "the vocabulary is not UTF-8 at byte %zu", bad);
	for (size_t i = 0; i < n; i++)
		chars += ((unsigned char)vocab[i] & 0xC0) != 0x80;
	if (chars >= MAX_NODES)
		return sutra_fail(err, SUTRA_E_CORRUPT, "the vocabulary has more than %d characters",
				  MAX_NODES);
	while (slots < 2 * chars)
		slots *= 2;
	wp->mask = slots - 1;
	wp->edges = sutra_calloc(slots, sizeof(*wp->edges));
	wp->ids = sutra_calloc(chars, sizeof(*wp->ids));
	if (!wp->edges || !wp->ids)
		return sutra_fail(err, SUTRA_E_NOMEM, "out of memory for the vocabulary");
	wp->ids[ROOT] = NONE;
	wp->nodes = 1;
	return 0;
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
	sutra_free(wp);
}

size_t sutra_wordpiece_size(const struct sutra_wordpiece *wp) { return wp->tokens; }

/* One text on its way: the ids so far and the word under construction. */
struct pass {
	const struct sutra_wordpiece *wp;
	uint32_t *ids;
	size_t room, n;			/* n counts on past room */
	uint32_t word[MAX_WORD];
	size_t chars;			/* of the word; MAX_WORD + 1: too long */
	size_t run;			/* where its last run of combining characters starts */
};

static void emit(struct pass *p, int32_t id)
{
	if (p->n < p->room)
		p->ids[p->n] = (uint32_t)id;
	p->n++;
}

/* Longest piece that starts at word[from]: its id, or NONE; *ret_end is where it ends. */
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

/* Steps 5 and 6, of a code point that is neither dropped nor a blank. */
static void add_letter(struct pass *p, uint32_t c, enum sutra_codepoint_class is)
{
	if (is == SUTRA_CP_PUNCT)
		end_word(p);
	if (!p->wp->options.lowercase) {
		append(p, c);
	} else if (c == 0x130) {	/* the one full mapping; decomposed when accents go */
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
	if (!p->wp->options.strip_accents || c < 0xC0) {
		add_letter(p, c, is);
	} else {
		n = sutra_codepoint_nfd(c, parts);
		for (size_t i = 0; i < n; i++) {
			if (parts[i] != c)
				is = sutra_codepoint_class(parts[i]);
			if (is != SUTRA_CP_MARK)
				add_letter(p, parts[i], is);
			else if (!sutra_codepoint_combining(parts[i]))
				p->run = p->chars <= MAX_WORD ? p->chars : MAX_WORD;
		}
	}
	if (han)
		end_word(p);
}

/* The special token that stands at s, or NONE. */
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

static void run_pass(struct pass *p, const char *text, size_t n)
{
	for (size_t at = 0, len; at < n; at += len) {
		uint32_t c = sutra_codepoint_read(text + at, n - at, &len);
		enum sutra_codepoint_class is = sutra_codepoint_class(c);
		int32_t special;

		if (c == '[' && (special = special_at(p->wp, text + at, n - at, &len)) != NONE) {
			end_word(p);
			emit(p, special);
		} else if (is == SUTRA_CP_SPACE) {
			end_word(p);
		} else if (is != SUTRA_CP_DROP) {
			add_char(p, c, is);
		}
	}
	end_word(p);
}

size_t sutra_wordpiece_encode(const struct sutra_wordpiece *wp, const char *text, size_t n,
			      uint32_t *ids, size_t max, size_t *ret_whole)
{
	struct pass p = { .wp = wp, .ids = ids, .room = max - 1 };

	emit(&p, wp->special[CLS]);
	run_pass(&p, text, n);
	*ret_whole = p.n + 1;
	if (p.n > p.room)
		p.n = p.room;
	ids[p.n++] = (uint32_t)wp->special[SEP];
	return p.n;
}
