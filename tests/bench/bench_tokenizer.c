/*
 * bench_tokenizer - megabytes a second of the tokenizer, one thread, with the model's own
 * vocabulary: English prose (a licence of Debian's, or the file named), the texts of tests/data
 * one by one, and texts that are 10 MB of one thing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/histogram.h"
#include "base/jsonio.h"
#include "model/model.h"

enum { BIG = 10 << 20, MAX_FILE = 256 << 20 };
#define SECONDS 1.0

static uint32_t *ids;

/* Rounds over texts until SECONDS are over; the median and the best of them. */
static void measure(const struct sutra_wordpiece *wp, const char *what, const json_t *texts, size_t max)
{
	struct sutra_histogram *h = sutra_histogram_new();
	uint64_t start = sutra_clock_ns(), took, best = UINT64_MAX;
	size_t i, bytes, tokens;
	double median;
	json_t *text;

	if (!h)
		exit(1);
	do {
		uint64_t begin = sutra_clock_ns();

		bytes = tokens = 0;
		json_array_foreach (texts, i, text) {
			tokens += sutra_wordpiece_encode(wp, json_string_value(text),
							 json_string_length(text), ids, max, NULL);
			bytes += json_string_length(text);
		}
		took = sutra_clock_ns() - begin;
		best = took < best ? took : best;
		sutra_histogram_record(h, took);
	} while ((double)(sutra_clock_ns() - start) < SECONDS * 1e9);
	median = (double)sutra_histogram_quantile(h, 0.5);
	printf("%-40s P50 %8.1f MB/s %9.3f ms, best %8.1f MB/s %9.3f ms, %zu tokens\n", what,
	       (double)bytes * 1e3 / median, median / 1e6, (double)bytes * 1e3 / (double)best,
	       (double)best / 1e6, tokens);
	sutra_histogram_free(h);
}

static void measure_text(const struct sutra_wordpiece *wp, const char *what, const char *text,
			 size_t n, size_t max)
{
	json_t *texts = json_pack("[s%]", text, n);

	if (!texts)
		exit(1);
	measure(wp, what, texts, max);
	json_decref(texts);
}

static void measure_list(const struct sutra_model *m, const char *path)
{
	struct sutra_err err;
	json_t *file;

	if (sutra_json_read(path, 1 << 20, &file, &err)) {
		fprintf(stderr, "bench_tokenizer: %s\n", err.message);
		exit(1);
	}
	measure(m->tokenizer, path, json_object_get(file, "texts"), m->max_tokens);
	json_decref(file);
}

/* 10 MB of one unit, over and over. */
static void measure_big(const struct sutra_model *m, const char *what, const char *unit, size_t max)
{
	size_t n = strlen(unit);
	char *text = sutra_alloc(BIG);

	if (!text)
		exit(1);
	for (size_t i = 0; i < BIG; i++)
		text[i] = unit[i % n];
	measure_text(m->tokenizer, what, text, BIG / n * n, max);
	sutra_free(text);
}

int main(int argc, char **argv)
{
	const char *prose = argc > 1 ? argv[1] : "/usr/share/common-licenses/GPL-3";
	char *folder = sutra_model_folder(getenv("MODEL_PATH"), NULL), *text;
	struct sutra_model *m;
	struct sutra_err err;
	size_t n;

	if (sutra_model_open(folder, NULL, &m, &err) ||
	    sutra_file_read(prose, MAX_FILE, &text, &n, &err)) {
		fprintf(stderr, "bench_tokenizer: %s\n", err.message);
		return 1;
	}
	ids = sutra_calloc((n > BIG ? n : BIG) + 2, sizeof(*ids));
	measure_text(m->tokenizer, prose, text, n, n + 2);
	measure_list(m, "tests/data/texts_short.json");
	measure_list(m, "tests/data/texts_medium.json");
	measure_big(m, "10 MB, one word of letters", "a", BIG + 2);
	measure_big(m, "10 MB, one word beyond ASCII", "\xC3\xA9", BIG + 2);
	measure_big(m, "10 MB, one word of combining marks", "\xCC\x81", BIG + 2);
	measure_big(m, "10 MB of Han", "\xE6\xBC\xA2", BIG + 2);
	measure_big(m, "10 MB of words that are in no piece", "qzxvkj ", BIG + 2);
	measure_big(m, "10 MB of prose, cut to the model's limit", "the quick brown fox ", m->max_tokens);
	sutra_free(ids);
	sutra_free(text);
	sutra_free(folder);
	sutra_model_close(m);
	return 0;
}
