/*
 * The price of mixing: texts of one length at a time beside the same texts mixed, through the queue
 * (one thread), and what a batch's size is worth. Without padding a mixed
 * batch costs what its tokens cost. Turn about, medians; MODEL_PATH is the model,
 * SUTRA_PRECISION (auto) its arithmetic.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "model/batcher.h"
#include "model/model.h"

enum { ROUNDS = 15, KINDS = 3, TOKENS = 2048 };

static const uint32_t lengths[KINDS] = { 8, 32, 128 };

struct work {
	size_t texts, tokens;
	uint32_t lengths[TOKENS], ids[TOKENS * KINDS];
	uint64_t took[ROUNDS];
};

static int by_time(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static double median_ms(struct work *w)
{
	qsort(w->took, ROUNDS, sizeof(*w->took), by_time);
	return (double)w->took[ROUNDS / 2] / 1e6;
}

static void add_text(struct work *w, uint32_t length)
{
	w->lengths[w->texts++] = length;
	for (uint32_t i = 0; i < length; i++, w->tokens++)
		w->ids[w->tokens] = 1000 + (uint32_t)(w->tokens * 7919 % 20000);
}

static struct sutra_batcher *open_queue(const struct sutra_model *m, size_t max_tokens)
{
	const struct sutra_batcher_options o = {
		.encoder = m->encoder, .pooling = m->pooling, .threads = 1, .max_tokens = max_tokens,
		.max_text_tokens = m->max_tokens, .max_texts = TOKENS, .max_queue = TOKENS,
	};
	struct sutra_batcher *b = NULL;
	struct sutra_err err;

	if (sutra_batcher_new(&o, &b, &err)) {
		fprintf(stderr, "%s\n", err.message);
		exit(1);
	}
	return b;
}

static void run(struct sutra_batcher *b, struct work *w, float *out, int round)
{
	struct sutra_batch_job job = { .texts = w->texts, .ids = w->ids, .lengths = w->lengths, .out = out };
	uint64_t began = sutra_clock_ns();
	struct sutra_err err;

	if (sutra_batcher_run(b, &job, &err)) {
		fprintf(stderr, "%s\n", err.message);
		exit(1);
	}
	w->took[round] = sutra_clock_ns() - began;
}

/* One text of each kind in turn, as long as there are. */
static void mix(struct work *mixed, const struct work alike[KINDS])
{
	for (size_t left = 1, i = 0; left; i++) {
		left = 0;
		for (int k = 0; k < KINDS; k++)
			if (i < alike[k].texts) {
				add_text(mixed, lengths[k]);
				left++;
			}
	}
}

/* What a batch's size is worth. */
static void print_sizes(const struct sutra_model *m, float *out)
{
	static const size_t budgets[] = { 256, 512, 1024, 2048 };	/* one text of 256 must fit */
	static struct work sizes[4];
	struct sutra_batcher *b;

	for (int r = 0; r < ROUNDS; r++)
		for (size_t i = 0; i < 4; i++) {
			if (!r)
				while (sizes[i].tokens < TOKENS)
					add_text(&sizes[i], 32);
			b = open_queue(m, budgets[i]);
			run(b, &sizes[i], out, r);
			run(b, &sizes[i], out, r);
			sutra_batcher_free(b);
		}
	for (size_t i = 0; i < 4; i++)
		printf("batches of %4zu tokens  %6.1f us a token\n", budgets[i],
		       median_ms(&sizes[i]) * 1000 / TOKENS);
}

int main(void)
{
	static struct work alike[KINDS], mixed;
	char *folder = sutra_model_folder(getenv("MODEL_PATH"), NULL);
	struct sutra_batcher *b;
	struct sutra_model_options options = { .keep = true };
	struct sutra_model *m;
	struct sutra_err err;
	double sum = 0;
	float *out;

	sutra_precision_parse(getenv("SUTRA_PRECISION") ? getenv("SUTRA_PRECISION") : "auto", &options.precision);
	if (sutra_model_open(folder, &options, &m, &err)) {
		fprintf(stderr, "%s\n", err.message);
		return 1;
	}
	out = sutra_calloc(TOKENS, m->dimension * sizeof(*out));
	for (int k = 0; k < KINDS; k++)
		while (alike[k].tokens < TOKENS / KINDS)
			add_text(&alike[k], lengths[k]);
	mix(&mixed, alike);
	b = open_queue(m, 1024);
	for (int r = -1; r < ROUNDS; r++) {	/* the first one warms up */
		for (int k = 0; k < KINDS; k++)
			run(b, &alike[k], out, r < 0 ? 0 : r);
		run(b, &mixed, out, r < 0 ? 0 : r);
	}
	sutra_batcher_free(b);
	for (int k = 0; k < KINDS; k++) {
		double ms = median_ms(&alike[k]);

		sum += ms;
		printf("%4zu texts of %3u tokens  %8.2f ms  %6.1f us a token\n", alike[k].texts, lengths[k], ms,
		       ms * 1000 / (double)alike[k].tokens);
	}
	printf("the same, mixed           %8.2f ms  ratio to their sum %.2f (target 1.10)\n", median_ms(&mixed),
	       median_ms(&mixed) / sum);
	print_sizes(m, out);
	sutra_free(out);
	sutra_model_close(m);
	sutra_free(folder);
	return 0;
}
