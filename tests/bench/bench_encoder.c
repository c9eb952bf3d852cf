/*
 * bench_encoder - the encoder alone, on the short texts of tests/data: texts a second, the
 * median time of a batch, and GFLOP/s of the products with weights. Also the tokenizer.
 * One thread; each figure from at least SECONDS of work.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/histogram.h"
#include "base/jsonio.h"
#include "model/model.h"

enum { MAX_TEXTS = 2048, BATCH = 32 };
#define SECONDS 2.0

struct work {
	struct sutra_model *model;
	json_t *texts;
	uint32_t *ids, lengths[MAX_TEXTS];
	size_t at[MAX_TEXTS], n, tokens;
};

static void tokenize(struct work *w)
{
	json_t *text;
	size_t i;

	w->n = w->tokens = 0;
	json_array_foreach (w->texts, i, text) {
		if (i == MAX_TEXTS)
			break;
		w->at[i] = w->tokens;
		w->lengths[i] = (uint32_t)sutra_wordpiece_encode(
			w->model->tokenizer, json_string_value(text), json_string_length(text),
			w->ids + w->tokens, w->model->max_tokens, NULL);
		w->tokens += w->lengths[i];
		w->n++;
	}
}

static void bench_tokenizer(struct work *w)
{
	uint64_t start = sutra_clock_ns(), took;
	size_t texts = 0;

	do {
		tokenize(w);
		texts += w->n;
		took = sutra_clock_ns() - start;
	} while ((double)took < SECONDS * 0.25e9);
	printf("%-34s %12.0f texts/s %8.2f us a text\n", "tokenizer, short texts",
	       (double)texts * 1e9 / (double)took, (double)took / 1e3 / (double)texts);
}

static void bench_batches(struct work *w, size_t batch, const char *what)
{
	const struct sutra_encoder_config *c = sutra_encoder_config(w->model->encoder);
	double flops = 2.0 * (double)c->layers * (double)c->hidden *
		       (4.0 * (double)c->hidden + 2.0 * (double)c->inner);
	struct sutra_histogram *h = sutra_histogram_new();
	struct sutra_encoder_session *s;
	float *out = sutra_alloc(batch * w->model->dimension * sizeof(*out));
	size_t texts = 0, tokens = 0, from = 0;
	uint64_t start, took;
	struct sutra_err err;
	char name[64];

	if (!h || !out || sutra_encoder_session_new(w->model->encoder, batch * w->model->max_tokens,
						    NULL, &s, &err))
		exit(1);
	start = sutra_clock_ns();
	do {
		uint64_t begin = sutra_clock_ns();

		if (from + batch > w->n)
			from = 0;
		if (sutra_encoder_run(s, w->ids + w->at[from], w->lengths + from, batch,
				      w->model->pooling, out, &err))
			exit(1);
		sutra_histogram_record(h, sutra_clock_ns() - begin);
		for (size_t i = 0; i < batch; i++)
			tokens += w->lengths[from + i];
		texts += batch;
		from += batch;
		took = sutra_clock_ns() - start;
	} while ((double)took < SECONDS * 1e9);
	snprintf(name, sizeof(name), "encoder fp32, batch %zu, %s", batch, what);
	printf("%-34s %12.1f texts/s %8.2f ms P50 %7.1f GFLOP/s %9.0f tokens/s\n", name,
	       (double)texts * 1e9 / (double)took, (double)sutra_histogram_quantile(h, 0.5) / 1e6,
	       flops * (double)tokens / (double)took, (double)tokens * 1e9 / (double)took);
	sutra_encoder_session_free(s);
	sutra_histogram_free(h);
	sutra_free(out);
}

/* All short texts joined to long ones of the model's full length. */
static void make_long(struct work *w)
{
	uint32_t *ids = w->ids;
	size_t max = w->model->max_tokens;

	w->n = w->tokens / max;
	for (size_t i = 0; i < w->n; i++) {
		w->at[i] = i * max;
		w->lengths[i] = (uint32_t)max;
		ids[i * max] = ids[0];
	}
}

int main(void)
{
	char *folder = sutra_model_folder(getenv("MODEL_PATH"), NULL);
	struct work w = { 0 };
	struct sutra_err err;
	json_t *file;

	if (sutra_json_read("tests/data/texts_short.json", 1 << 20, &file, &err) ||
	    sutra_model_open(folder, NULL, &w.model, &err)) {
		fprintf(stderr, "bench_encoder: %s\n", err.message);
		return 1;
	}
	w.texts = json_object_get(file, "texts");
	w.ids = sutra_calloc(MAX_TEXTS * w.model->max_tokens, sizeof(*w.ids));
	bench_tokenizer(&w);
	bench_batches(&w, 1, "short texts");
	bench_batches(&w, BATCH, "short texts");
	make_long(&w);
	bench_batches(&w, 1, "full length");
	bench_batches(&w, w.n < 8 ? w.n : 8, "full length");
	sutra_free(w.ids);
	sutra_free(folder);
	json_decref(file);
	sutra_model_close(w.model);
	return 0;
}
