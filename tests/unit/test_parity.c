/*
 * The tokenizer beside the original, Hugging Face's `tokenizers`, on generated texts: text i is
 * a function of i alone, so that a machine without that package can still hold 20,000 of
 * them to it. tests/data/tokenizer-digests.json has a digest of the original's ids for each
 * CHUNK of texts; tests/unit/parity (make parity) wrote it, and compares a million id by id.
 *
 * `test_parity dump FROM COUNT` writes, for each text, all numbers 32 bits: its kind, its length,
 * its bytes, the number of ids, the ids.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/digest.h"
#include "base/jsonio.h"
#include "base/str.h"
#include "model_files.h"

enum { CHUNK = 500, ATOMS = 24, ROOM = ATOMS * 128 * 4, IDS = ROOM * 3 + 2 };

/* How texts are read: as the model does, mostly; the rest as cased models and the like do. */
static const struct sutra_wordpiece_options kinds[] = {
	{ true, true, true }, { false, false, true }, { true, false, true }, { true, true, false },
};
enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

/* Where code points are taken from: everywhere, and the corners that rules are about. */
static const uint32_t blocks[][2] = {
	{ 0x0, 0x10FFFF },   { 0x0, 0xFFFF },	  { 0x0, 0xFF },	 { 0x80, 0x24F },
	{ 0x250, 0x36F },    { 0x300, 0x36F },	  { 0x370, 0x52F },	 { 0x590, 0x6FF },
	{ 0x900, 0xDFF },    { 0xE00, 0xFFF },	  { 0x1100, 0x11FF },	 { 0x1AB0, 0x1AFF },
	{ 0x1DC0, 0x1EFF },  { 0x1F00, 0x1FFF },  { 0x2000, 0x206F },	 { 0x2070, 0x2BFF },
	{ 0x2E80, 0x33FF },  { 0x3400, 0x9FFF },  { 0xA640, 0xABFF },	 { 0xAC00, 0xD7FF },
	{ 0xE000, 0xF8FF },  { 0xF900, 0xFB4F },  { 0xFE00, 0xFFFF },	 { 0x10000, 0x11FFF },
	{ 0x16F00, 0x1D2FF }, { 0x1D400, 0x1D7FF }, { 0x1E800, 0x1E95F }, { 0x1F000, 0x1FAFF },
	{ 0x20000, 0x2CEAF }, { 0x2F800, 0x2FA1F }, { 0xE0000, 0xE01EF }, { 0xA7C0, 0xA7DC },
};

static const char *const words[] = {
	"the", "of", "and", "Embedding", "tokenizers", "unaffable", "Internationalization", "don't",
	"e.g.", "COVID-19", "3,141.59", "http://x.org/a?b=c", "caf\xC3\xA9", "na\xC3\xAFve", "nai\xCC\x88ve",
	"\xC4\xB0stanbul", "STRASSE", "stra\xC3\x9F\x65", "\xED\x95\x9C\xEA\xB5\xAD", "\xE1\x84\x92\xE1\x85\xA1",
	"\xE6\x97\xA5\xE6\x9C\xAC", "\xE3\x82\xAB\xE3\x82\x99", "\xF0\x9F\x91\xA9\xE2\x80\x8D\xF0\x9F\x92\xBB",
	"\xE1\xBF\xAF", "\xE2\x89\xA0", "[SEP]", "[CLS]", "[MASK]", "[PAD]", "[UNK]", "[sep]", "[SEP", "##ing",
	"[[SEP]]", "\xEF\xBF\xBD", "\xC2\xAD", "\xEF\xBB\xBF", "...", "$=<>^`|~",
};

struct text {
	uint64_t state;
	char bytes[ROOM];
	size_t n;
};

static uint32_t below(struct text *t, uint32_t n)	/* splitmix64, Steele and others 2014 */
{
	uint64_t z = t->state += 0x9E3779B97F4A7C15u;

	z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
	z = (z ^ z >> 27) * 0x94D049BB133111EBu;
	return (uint32_t)((z ^ z >> 31) % n);
}

static void add(struct text *t, uint32_t c)
{
	unsigned len = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;

	if (c >= 0xD800 && c < 0xE000)
		return;
	t->bytes[t->n] = (char)(len == 1 ? c : (0xF00u >> len & 0xFF) | c >> 6 * (len - 1));
	for (unsigned i = 1; i < len; i++)
		t->bytes[t->n + i] = (char)(0x80 | (c >> 6 * (len - 1 - i) & 0x3F));
	t->n += len;
}

static uint32_t any(struct text *t)
{
	const uint32_t *b = blocks[below(t, sizeof(blocks) / sizeof(blocks[0]))];

	return b[0] + below(t, b[1] - b[0] + 1);
}

static void add_atom(struct text *t)
{
	uint32_t n = 1 + below(t, 12), c, at;
	const char *word;

	switch (below(t, 8)) {
	case 0:		/* one block's */
		for (c = below(t, sizeof(blocks) / sizeof(blocks[0])); n; n--)
			add(t, blocks[c][0] + below(t, blocks[c][1] - blocks[c][0] + 1));
		break;
	case 1:
		for (; n; n--)
			add(t, any(t));
		break;
	case 2:		/* a run about as long as a word may be */
		n = below(t, 8) ? n : 90 + n;
		for (c = below(t, 2) ? 'a' : any(t); n; n--)
			add(t, c);
		break;
	case 3:
		for (; n; n--)
			add(t, (below(t, 4) ? 'a' : 'A') + below(t, 26));
		break;
	case 4:
		for (; n; n--)
			add(t, 0x20 + below(t, 0x60));
		break;
	case 5:		/* a letter and its marks */
		add(t, 'a' + below(t, 26));
		for (n = n / 3; n; n--)
			add(t, below(t, 4) ? 0x300 + below(t, 0x70) : any(t));
		break;
	default:
		word = words[below(t, sizeof(words) / sizeof(words[0]))];
		for (at = 0; word[at]; at++)
			t->bytes[t->n++] = word[at];
	}
	if (below(t, 2))
		add(t, " \t\n,.-"[below(t, 12) < 7 ? 0 : below(t, 6)]);
}

/* Returns the text's kind. */
static unsigned generate(struct text *t, uint64_t i)
{
	t->state = i * 0xD1342543DE82EF95u;
	t->n = 0;
	for (uint32_t atoms = 1 + below(t, ATOMS); atoms; atoms--)
		add_atom(t);
	return below(t, 2) ? 0 : below(t, KINDS);
}

/* The real model's vocabulary, as each kind reads it; false: not on this machine. */
static bool open_all(struct sutra_wordpiece *all[KINDS])
{
	char *folder = real_model_folder(), *path, *text;
	size_t n;

	if (!folder)
		return false;
	path = sutra_asprintf("%s/vocab.txt", folder);
	if (sutra_file_read(path, 16 << 20, &text, &n, NULL))
		exit(1);
	for (size_t k = 0; k < KINDS; k++)
		if (sutra_wordpiece_new(text, n, &kinds[k], &all[k], NULL))
			exit(1);
	sutra_free(text);
	sutra_free(path);
	sutra_free(folder);
	return true;
}

static void close_all(struct sutra_wordpiece *all[KINDS])
{
	for (size_t k = 0; k < KINDS; k++)
		sutra_wordpiece_free(all[k]);
}

static void ids_equal_the_originals(void **state)
{
	static uint32_t ids[IDS], slow[IDS];
	static struct text text;
	struct sutra_wordpiece *all[KINDS];
	json_t *file, *digests, *want;
	struct sutra_buf b;
	struct sutra_err err;
	size_t chunk;

	if (!open_all(all))
		skip();
	assert_int_equal(sutra_json_read("tests/data/tokenizer-digests.json", 1 << 20, &file, &err), 0);
	digests = json_object_get(file, "sha256");
	assert_int_equal(json_array_size(digests), 20000 / CHUNK);
	json_array_foreach (digests, chunk, want) {
		uint8_t digest[SUTRA_SHA256_LEN];
		char hex[2 * SUTRA_SHA256_LEN + 1];

		sutra_buf_init(&b, CHUNK * (IDS + 1) * sizeof(*ids));
		for (size_t i = chunk * CHUNK; i < (chunk + 1) * CHUNK; i++) {
			const struct sutra_wordpiece *wp = all[generate(&text, i)];
			uint32_t n = (uint32_t)sutra_wordpiece_encode(wp, text.bytes, text.n, ids, IDS, NULL);

			assert_int_equal(sutra_wordpiece_referee(wp, text.bytes, text.n, slow, IDS, NULL), n);
			assert_memory_equal(ids, slow, n * sizeof(*ids));
			sutra_buf_add(&b, &n, sizeof(n));
			sutra_buf_add(&b, ids, n * sizeof(*ids));
		}
		sutra_sha256(sutra_buf_str(&b), b.len, digest);
		sutra_hex(digest, sizeof(digest), hex);
		if (strcmp(hex, json_string_value(want)))
			fail_msg("texts %zu to %zu: other ids than the original's; `make parity` names the text",
				 chunk * CHUNK, (chunk + 1) * CHUNK - 1);
		sutra_buf_release(&b);
	}
	json_decref(file);
	close_all(all);
}

static int dump(uint64_t from, uint64_t count)
{
	static uint32_t ids[IDS];
	static struct text text;
	struct sutra_wordpiece *all[KINDS];

	if (!open_all(all))
		return 1;
	for (uint64_t i = from; i < from + count; i++) {
		uint32_t kind = generate(&text, i), n = (uint32_t)text.n;

		fwrite(&kind, sizeof(kind), 1, stdout);
		fwrite(&n, sizeof(n), 1, stdout);
		fwrite(text.bytes, 1, text.n, stdout);
		n = (uint32_t)sutra_wordpiece_encode(all[kind], text.bytes, text.n, ids, IDS, NULL);
		fwrite(&n, sizeof(n), 1, stdout);
		fwrite(ids, sizeof(*ids), n, stdout);
	}
	close_all(all);
	return fflush(stdout) || ferror(stdout);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(ids_equal_the_originals) };

	if (argc == 4 && !strcmp(argv[1], "dump"))
		return dump(strtoull(argv[2], NULL, 10), strtoull(argv[3], NULL, 10));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
