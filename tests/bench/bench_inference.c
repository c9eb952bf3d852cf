/*
 * bench_inference - our inference in process, from texts to unit vectors by the batcher that
 * serves them: tokens, queue, encoder, pooling, norm. SUTRA_PRECISION (auto) and
 * SUTRA_THREADS (1) say how.
 *
 * Alone it prints a table for the three sets of texts. With "-" it is one side of
 * tests/bench/inference/compare and answers lines of standard input with a line each:
 *
 *   measure FILE BATCH FLIGHT SECONDS   texts/s, P50 and P99 in ms of a call of BATCH texts, with
 *                                       FLIGHT calls under way at any time
 *   vectors FILE OUT                    writes all vectors to OUT, float32; their number
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/histogram.h"
#include "base/jsonio.h"
#include "base/str.h"
#include "model/batcher.h"
#include "model/model.h"

enum { MAX_TEXTS = 4096, MAX_FILE = 64 << 20, MAX_FLIGHT = 64, MAX_THREADS = 256, BATCH_TOKENS = 1024 };

struct bench {
	struct sutra_model *model;
	struct sutra_batcher *batcher;
	json_t *file;
	const json_t *texts;
	size_t n;
	char loaded[512];
};

struct caller {
	struct bench *bench;
	size_t batch, first, step;	/* its batches are first, first + step ... */
	uint64_t until_ns;
	struct sutra_histogram *times;
	pthread_t thread;
	size_t texts;
};

static void die(const char *what, const char *why)
{
	fprintf(stderr, "bench_inference: %s%s%s\n", what, *why ? ": " : "", why);
	exit(1);
}

static void use_file(struct bench *b, const char *path)
{
	struct sutra_err err;

	if (!strcmp(b->loaded, path))
		return;
	json_decref(b->file);
	if (sutra_json_read(path, MAX_FILE, &b->file, &err))
		die(err.message, "");
	b->texts = json_object_get(b->file, "texts");
	b->n = json_array_size(b->texts);
	if (!b->n || b->n > MAX_TEXTS)
		die(path, "\"texts\" must be a list of 1 to 4096 texts");
	snprintf(b->loaded, sizeof(b->loaded), "%s", path);
}

/* Texts from, from + 1 ... (again from the first after the last) to unit vectors [n][dimension]. */
static void embed(struct bench *b, size_t from, size_t n, uint32_t *ids, uint32_t *lengths, float *out)
{
	size_t width = b->model->dimension, at = 0;
	struct sutra_batch_job job = { .texts = n, .ids = ids, .lengths = lengths, .out = out };
	struct sutra_err err;

	for (size_t i = 0; i < n; i++) {
		const json_t *text = json_array_get(b->texts, (from + i) % b->n);

		lengths[i] = (uint32_t)sutra_wordpiece_encode(b->model->tokenizer, json_string_value(text),
							      json_string_length(text), ids + at,
							      b->model->max_tokens, NULL);
		at += lengths[i];
	}
	if (sutra_batcher_run(b->batcher, &job, &err))
		die(err.message, "");
	for (size_t i = 0; i < n; i++)
		sutra_matryoshka(out + i * width, width, width, b->model->mrl, true, out + i * width);
}

static void *call(void *arg)
{
	struct caller *c = arg;
	struct sutra_model *m = c->bench->model;
	uint32_t *ids = xcalloc(c->batch * m->max_tokens, sizeof(*ids));
	uint32_t *lengths = xcalloc(c->batch, sizeof(*lengths));
	float *out = xcalloc(c->batch * m->dimension, sizeof(*out));

	for (size_t i = c->first; sutra_clock_ns() < c->until_ns; i += c->step) {
		uint64_t start = sutra_clock_ns();

		embed(c->bench, i * c->batch % c->bench->n, c->batch, ids, lengths, out);
		sutra_histogram_record(c->times, sutra_clock_ns() - start);
		c->texts += c->batch;
	}
	sutra_free(ids);
	sutra_free(lengths);
	sutra_free(out);
	return NULL;
}

struct result {
	double texts_per_s, p50_ms, p99_ms;
};

static struct result measure(struct bench *b, const char *path, size_t batch, size_t flight, double seconds)
{
	struct caller callers[MAX_FLIGHT] = { 0 };
	struct sutra_histogram *times = sutra_histogram_new();
	uint64_t start;
	size_t texts = 0;
	struct result r;

	use_file(b, path);
	start = sutra_clock_ns();
	for (size_t i = 0; i < flight; i++) {
		callers[i] = (struct caller){ .bench = b, .batch = batch, .first = i, .step = flight, .times = times,
					      .until_ns = start + (uint64_t)(seconds * 1e9) };
		if (pthread_create(&callers[i].thread, NULL, call, &callers[i]))
			die("cannot start a thread", "");
	}
	for (size_t i = 0; i < flight; i++) {
		pthread_join(callers[i].thread, NULL);
		texts += callers[i].texts;
	}
	r.texts_per_s = (double)texts * 1e9 / (double)(sutra_clock_ns() - start);
	r.p50_ms = (double)sutra_histogram_quantile(times, 0.5) / 1e6;
	r.p99_ms = (double)sutra_histogram_quantile(times, 0.99) / 1e6;
	sutra_histogram_free(times);
	return r;
}

static void write_vectors(struct bench *b, const char *path, const char *to)
{
	struct sutra_model *m = b->model;
	uint32_t *ids = xcalloc(m->max_tokens, sizeof(*ids)), length;
	float *out = xcalloc(m->dimension, sizeof(*out));
	FILE *f = fopen(to, "wb");

	use_file(b, path);
	for (size_t i = 0; f && i < b->n; i++) {
		embed(b, i, 1, ids, &length, out);
		fwrite(out, sizeof(*out), m->dimension, f);
	}
	if (!f || fclose(f))
		die("cannot write", to);
	printf("%zu\n", b->n);
	sutra_free(ids);
	sutra_free(out);
}

static void answer(struct bench *b, char *line)
{
	struct sutra_strv w = { 0 };
	int64_t batch, flight;
	double seconds;

	sutra_strv_split(&w, line, " \n");
	if (w.n == 5 && !strcmp(w.items[0], "measure") && !sutra_str_int(w.items[2], 1, 1024, &batch) &&
	    !sutra_str_int(w.items[3], 1, MAX_FLIGHT, &flight) && !sutra_str_double(w.items[4], 0, 3600, &seconds)) {
		struct result r = measure(b, w.items[1], (size_t)batch, (size_t)flight, seconds);

		printf("%.3f %.6f %.6f\n", r.texts_per_s, r.p50_ms, r.p99_ms);
	} else if (w.n == 3 && !strcmp(w.items[0], "vectors")) {
		write_vectors(b, w.items[1], w.items[2]);
	} else {
		die("not a command", line);
	}
	fflush(stdout);
	sutra_strv_release(&w);
}

static void table(struct bench *b)
{
	static const char *const sets[] = { "short", "medium", "long" };
	static const size_t batches[] = { 1, 32 };

	printf("%-8s %-8s %6s %10s %9s\n", "", "texts", "batch", "texts/s", "P50 ms");
	for (size_t i = 0; i < 3; i++)
		for (size_t k = 0; k < 2; k++) {
			char path[64];
			struct result r;

			snprintf(path, sizeof(path), "tests/data/texts_%s.json", sets[i]);
			measure(b, path, batches[k], 1, 0.2);
			r = measure(b, path, batches[k], 1, 2);
			printf("%-8s %-8s %6zu %10.1f %9.3f\n", sutra_precision_name(b->model->precision.precision),
			        sets[i], batches[k], r.texts_per_s, r.p50_ms);
		}
}

static void open_all(struct bench *b, const char *precision, size_t threads)
{
	char *folder = sutra_model_folder(getenv("MODEL_PATH"), getenv("SUTRA_MODEL"));
	struct sutra_batcher_options o = { .threads = (unsigned)threads, .max_tokens = BATCH_TOKENS,
					   .max_texts = BATCH_TOKENS, .max_queue = MAX_TEXTS };
	struct sutra_model_options how = { 0 };
	struct sutra_err err;

	if (!sutra_precision_parse(precision, &how.precision))
		die(precision, "is no precision");
	if (!folder || sutra_model_open(folder, &how, &b->model, &err))
		die(folder ? err.message : "out of memory", "");
	o.encoder = b->model->encoder;
	o.pooling = b->model->pooling;
	o.max_text_tokens = b->model->max_tokens;
	if (sutra_batcher_new(&o, &b->batcher, &err))
		die(err.message, "");
	sutra_free(folder);
}

int main(int argc, char **argv)
{
	const char *precision = getenv("SUTRA_PRECISION"), *threads = getenv("SUTRA_THREADS");
	struct bench b = { 0 };
	int64_t n = 1;
	char *line = NULL;
	size_t size = 0;

	precision = precision ? precision : "auto";
	if (threads && sutra_str_int(threads, 1, MAX_THREADS, &n))
		die("SUTRA_THREADS is not 1 to 256", threads);
	open_all(&b, precision, (size_t)n);
	if (argc < 2)
		table(&b);
	else
		while (getline(&line, &size, stdin) > 0)
			answer(&b, line);
	free(line);	/* getline's */
	sutra_batcher_free(b.batcher);
	sutra_model_close(b.model);
	json_decref(b.file);
	return 0;
}
