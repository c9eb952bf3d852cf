/*
 * Up to the first byte 0: a vocabulary (with the special tokens added); after it: a text, which
 * need not be UTF-8. Ids stay below the vocabulary's size and are the referee's, lengths within
 * their bounds, and a cut text is the beginning of the uncut one.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/alloc.h"
#include "model/tokenizer/wordpiece.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct sutra_wordpiece *wp, const char *text, size_t n)
{
	enum { CUT = 8 };
	size_t room = n * 8 + 2, uncut, n_few;	/* a code point decomposes into 8 at most */
	uint32_t *ids = sutra_alloc(2 * room * sizeof(*ids)), *slow = ids + room, few[CUT];
	bool cut;

	if (!ids)
		return;
	uncut = sutra_wordpiece_encode(wp, text, n, ids, room, &cut);
	if (cut || uncut < 2 || uncut != sutra_wordpiece_count(wp, text, n) ||
	    uncut != sutra_wordpiece_referee(wp, text, n, slow, room, &cut) || cut ||
	    memcmp(ids, slow, uncut * sizeof(*ids)))
		__builtin_trap();
	for (size_t i = 0; i < uncut; i++)
		if (ids[i] >= sutra_wordpiece_size(wp))
			__builtin_trap();
	n_few = sutra_wordpiece_encode(wp, text, n, few, CUT, &cut);
	if (cut != (uncut > CUT) || n_few != (cut ? CUT : uncut) ||
	    memcmp(few, ids, (n_few - 1) * sizeof(*ids)) || few[n_few - 1] != ids[uncut - 1])
		__builtin_trap();
	sutra_free(ids);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char specials[] = "[UNK]\n[CLS]\n[SEP]\n";
	const uint8_t *zero = memchr(data, 0, size);
	size_t n = zero ? (size_t)(zero - data) : 0, rest = zero ? size - n - 1 : size;
	char *vocab = sutra_alloc(sizeof(specials) + n);
	struct sutra_wordpiece_options o = { size & 1, size & 2, size & 4 };
	struct sutra_wordpiece *wp;

	if (!vocab)
		return 0;
	memcpy(vocab, specials, sizeof(specials) - 1);
	memcpy(vocab + sizeof(specials) - 1, data, n);
	if (!sutra_wordpiece_new(vocab, sizeof(specials) - 1 + n, &o, &wp, NULL)) {
		check(wp, (const char *)data + size - rest, rest);
		sutra_wordpiece_free(wp);
	}
	sutra_free(vocab);
	return 0;
}
