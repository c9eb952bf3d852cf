/* lib/model: the tokenizer on a vocabulary small enough to check by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "model/tokenizer/codepoint.h"
#include "model/tokenizer/wordpiece.h"

enum { ROOM = 64 };

static const char vocabulary[] =
	"[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n"	/* 0 to 4 */
	"un\n##aff\n##able\nhello\nworld\n"	/* 5 to 9 */
	",\n!\n#\ncafe\ncaf\n##e\n"		/* 10 to 15 */
	"\xE6\xBC\xA2\n\xE5\xAD\x97\n"		/* 16 han, 17 zi */
	"Hello\nCaf\xC3\xA9\n"			/* 18, 19: only for cased models */
	"`\n\xE1\x84\x92\n##\xE1\x85\xA1\n##\xE1\x86\xAB\n"	/* 20, and jamo h, a, n: 21 to 23 */
	"\xC9\xA4\r\na";			/* 24 (U+0264), and 25 without a line end */

static const struct sutra_wordpiece_options uncased = { true, true, true };

static struct sutra_wordpiece *make(const struct sutra_wordpiece_options *o)
{
	struct sutra_wordpiece *wp;
	struct sutra_err err;

	assert_int_equal(sutra_wordpiece_new(vocabulary, strlen(vocabulary), o, &wp, &err), 0);
	return wp;
}

/* The ids between [CLS] and [SEP] as text: "5 6 7". */
static const char *ids_of(const struct sutra_wordpiece *wp, const char *text, size_t n)
{
	static char out[ROOM * 8];
	uint32_t ids[ROOM];
	uint32_t slow[ROOM];
	size_t len = 0, count;
	bool cut;

	assert_int_equal(sutra_wordpiece_referee(wp, text, n, slow, ROOM, &cut),
			 count = sutra_wordpiece_encode(wp, text, n, ids, ROOM, &cut));
	assert_false(cut);
	assert_memory_equal(ids, slow, count * sizeof(*ids));
	assert_int_equal(count, sutra_wordpiece_count(wp, text, n));
	assert_int_equal(ids[0], 2);
	assert_int_equal(ids[count - 1], 3);
	out[0] = '\0';
	for (size_t i = 1; i + 1 < count; i++)
		len += (size_t)snprintf(out + len, sizeof(out) - len, i > 1 ? " %u" : "%u", ids[i]);
	return out;
}

static void steps_run_in_their_order(void **state)
{
	static const struct { const char *text, *ids; } cases[] = {
		{ "", "" },
		{ " \t\r\n\xC2\xA0\xE3\x80\x80", "" },
		{ "Hello, WORLD!", "8 10 9 11" },
		{ "unaffable", "5 6 7" },
		{ "unaffablex", "1" },			/* a gap makes the whole word unknown */
		{ "xun un", "1 5" },
		{ "##able", "12 12 1" },		/* continuations do not start words */
		{ "CAF\xC3\x89 cafe\xCC\x81", "13 13" },	/* composed and decomposed */
		{ "\xE6\xBC\xA2\xE5\xAD\x97hello\xE6\xBC\xA2", "16 17 8 16" },
		{ "\xED\x95\x9C", "21 22 23" },		/* Hangul comes apart */
		{ "hel\xE2\x80\x8Blo \xC2\xADworld\xEF\xBF\xBD", "8 9" },	/* U+200B, U+00AD, U+FFFD */
		{ "a\xE1\xBF\xAF", "25 20" },		/* U+1FEF decomposes to a grave accent */
		{ "hello[SEP]world[MASK] [sep]", "8 3 9 4 1 1 1" },
		{ "[SEP", "1 1" },
		{ "\xEA\x9F\x8B", "24" },		/* U+A7CB, young capital of U+0264 */
		{ "hello\xF0\x9F\x99\x82", "1" },	/* a symbol stays in the word */
	};
	struct sutra_wordpiece *wp = make(&uncased);

	assert_int_equal(sutra_wordpiece_size(wp), 26);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(ids_of(wp, cases[i].text, strlen(cases[i].text)), cases[i].ids);
	assert_string_equal(ids_of(wp, "hel\0lo", 6), "8");
	/* bytes that are no UTF-8 are passed over */
	assert_string_equal(ids_of(wp, "hel\xFF\xC3lo \xE6\xBC", 10), "8");
	sutra_wordpiece_free(wp);
}

static void cased_models_keep_case_and_accents(void **state)
{
	const struct sutra_wordpiece_options cased = { false, false, false },
					     lower_only = { true, false, true };
	struct sutra_wordpiece *wp = make(&cased);

	assert_string_equal(ids_of(wp, "Hello Caf\xC3\xA9 hello", 17), "18 19 8");
	assert_string_equal(ids_of(wp, "\xE6\xBC\xA2\xE5\xAD\x97", 6), "1");
	sutra_wordpiece_free(wp);
	wp = make(&lower_only);
	assert_string_equal(ids_of(wp, "HELLO caf\xC3\xA9 \xC4\xB0", 14), "8 1 1");
	sutra_wordpiece_free(wp);
}

static void long_words_are_unknown(void **state)
{
	struct sutra_wordpiece *wp = make(&uncased);
	char text[512];

	memset(text, 'e', sizeof(text));
	memcpy(text, "caf", 3);		/* caf, then ##e as often as it takes */
	for (size_t n = 99; n <= 102; n++) {
		uint32_t ids[256];

		assert_int_equal(sutra_wordpiece_encode(wp, text, n, ids, 256, NULL),
				 n <= 100 ? n - 2 - 1 + 2 : 3);
	}
	sutra_wordpiece_free(wp);
}

/* A word that is too long is looked through for its end, over letters and marks, which must
 * then not come apart into anything that ends it: those that do are known. */
static void letters_do_not_come_apart_into_word_ends(void **state)
{
	static uint8_t classes[0x30000];
	struct sutra_wordpiece *wp = make(&uncased);
	uint32_t parts[SUTRA_CP_NFD_MAX], ids[ROOM], slow[ROOM];
	char text[256];
	size_t n;

	sutra_codepoint_classes(classes, sizeof(classes));
	for (uint32_t c = 0; c < 0x110000; c++) {
		enum sutra_codepoint_class is = sutra_codepoint_class(c), part;

		if (c < sizeof(classes))
			assert_int_equal(classes[c], is);
		if (is != SUTRA_CP_LETTER && is != SUTRA_CP_MARK)
			continue;
		n = sutra_codepoint_nfd(c, parts);
		for (size_t i = 0; i < n; i++) {
			part = sutra_codepoint_class(parts[i]);
			if (part != SUTRA_CP_MARK && (part != SUTRA_CP_LETTER || is == SUTRA_CP_MARK))
				assert_true(is == SUTRA_CP_LETTER && sutra_codepoint_splits(c));
		}
	}
	memset(text, 'e', sizeof(text));
	memcpy(text + 150, "\xE1\xBF\xAF", 3);	/* to a grave accent */
	memcpy(text + 153, " hello[SEP]un", 13);
	n = sutra_wordpiece_encode(wp, text, 166, ids, ROOM, NULL);
	assert_int_equal(n, 7);		/* [CLS] [UNK] ` hello [SEP] un [SEP] */
	assert_int_equal(sutra_wordpiece_referee(wp, text, 166, slow, ROOM, NULL), n);
	assert_memory_equal(ids, slow, n * sizeof(*ids));
	sutra_wordpiece_free(wp);
}

static void combining_characters_are_ordered(void **state)
{
	/* U+302E and U+1D16D are marks that stay (Mc), of classes 224 and 226; in either order
	 * the word has them by class, unless an accent of class 0 stands between. */
	static const char sorted[] = "a\xE3\x80\xAE\xF0\x9D\x85\xAD", swapped[] =
		"a\xF0\x9D\x85\xAD\xE3\x80\xAE", barrier[] = "a\xF0\x9D\x85\xAD\xE0\xA4\x80\xE3\x80\xAE";
	static const char text[] = "[UNK]\n[CLS]\n[SEP]\na\xE3\x80\xAE\xF0\x9D\x85\xAD\n";
	struct sutra_wordpiece *wp;
	struct sutra_err err;
	uint32_t ids[8];

	assert_int_equal(sutra_codepoint_combining(0x302E), 224);
	assert_int_equal(sutra_codepoint_combining(0x1D16D), 226);
	assert_int_equal(sutra_codepoint_class(0x900), SUTRA_CP_MARK);
	assert_int_equal(sutra_wordpiece_new(text, strlen(text), &uncased, &wp, &err), 0);
	sutra_wordpiece_encode(wp, sorted, strlen(sorted), ids, 8, NULL);
	assert_int_equal(ids[1], 3);
	sutra_wordpiece_encode(wp, swapped, strlen(swapped), ids, 8, NULL);
	assert_int_equal(ids[1], 3);
	sutra_wordpiece_encode(wp, barrier, strlen(barrier), ids, 8, NULL);
	assert_int_equal(ids[1], 0);
	sutra_wordpiece_free(wp);
}

static void texts_are_cut_from_the_right(void **state)
{
	struct sutra_wordpiece *wp = make(&uncased);
	uint32_t ids[4];
	bool cut;

	assert_int_equal(sutra_wordpiece_encode(wp, "unaffable world", 15, ids, 4, &cut), 4);
	assert_true(cut);
	assert_int_equal(sutra_wordpiece_count(wp, "unaffable world", 15), 6);
	assert_true(ids[0] == 2 && ids[1] == 5 && ids[2] == 6 && ids[3] == 3);
	assert_int_equal(sutra_wordpiece_encode(wp, "unaffable", 9, ids, 2, &cut), 2);
	assert_true(cut && ids[0] == 2 && ids[1] == 3);
	assert_int_equal(sutra_wordpiece_count(wp, "unaffable", 9), 5);
	/* a word that turns out unknown beyond the cut takes its pieces back */
	assert_int_equal(sutra_wordpiece_encode(wp, "hello unaffablex", 16, ids, 4, &cut), 4);
	assert_true(!cut && ids[2] == 1);
	assert_int_equal(sutra_wordpiece_encode(wp, "hello unaffablex", 16, ids, 3, &cut), 3);
	assert_true(cut && ids[1] == 8 && ids[2] == 3);
	sutra_wordpiece_free(wp);
}

static void bad_vocabularies_are_refused(void **state)
{
	static const struct { const char *text, *word; } bad[] = {
		{ "", "[UNK]" },
		{ "[UNK]\n[CLS]\n", "[SEP]" },
		{ "[UNK]\n[CLS]\n[SEP]\n\xFF\n", "UTF-8" },
	};
	struct sutra_wordpiece *wp = NULL;
	struct sutra_err err;
	long n = 0;
	int rc;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(sutra_wordpiece_new(bad[i].text, strlen(bad[i].text), &uncased, &wp, &err),
				 SUTRA_E_CORRUPT);
		assert_non_null(strstr(err.message, bad[i].word));
	}
	do {
		sutra_alloc_fail_at(++n);
		rc = sutra_wordpiece_new(vocabulary, strlen(vocabulary), &uncased, &wp, &err);
		assert_true(!rc || rc == SUTRA_E_NOMEM);
	} while (sutra_alloc_failed());
	sutra_alloc_fail_at(0);
	assert_int_equal(n, 5);
	sutra_wordpiece_free(wp);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(steps_run_in_their_order),
		cmocka_unit_test(cased_models_keep_case_and_accents),
		cmocka_unit_test(long_words_are_unknown),
		cmocka_unit_test(letters_do_not_come_apart_into_word_ends),
		cmocka_unit_test(combining_characters_are_ordered),
		cmocka_unit_test(texts_are_cut_from_the_right),
		cmocka_unit_test(bad_vocabularies_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
