/* From settings to a model that answers: threads, cores, dimension, queue. */
#include <string.h>

#include "base/alloc.h"
#include "base/cores.h"
#include "base/log.h"
#include "base/str.h"
#include "ml_base.h"

/* HTTP threads have priority over inference: health checks and refusals do not wait for a batch. */
enum { INFERENCE_NICE = 5, MAX_THREADS = 256, MAX_CORES = 1024 };

static int choose_dimension(struct ml_base *ml, struct sutra_err *err)
{
	size_t native = ml->model->dimension, asked = (size_t)ml->settings.dimension;
	char allowed[SUTRA_MRL_LIST];

	if (!asked)
		asked = sutra_matryoshka_allows(native, 256) ? 256 : native;
	ml->dimension = asked;
	if (sutra_matryoshka_allows(native, asked))
		return 0;
	sutra_matryoshka_list(native, allowed);
	return sutra_fail(err, SUTRA_E_SETTING, "MATRYOSHKA_DIM is %zu; %s allows %s", asked,
			  ml->model->name, allowed);
}

/* This replica's share of the cores, at most what its control group allows. */
static unsigned choose_threads(const struct ml_settings *s, size_t cores)
{
	size_t replicas = (size_t)s->replicas, part = (cores + replicas - 1) / replicas, whole;
	double quota = sutra_cores_quota("");

	if (s->threads)
		return (unsigned)s->threads;
	whole = (size_t)quota + (quota > (double)(size_t)quota);
	if (whole && part > whole)
		part = whole;
	return part < MAX_THREADS ? (unsigned)part : MAX_THREADS;
}

/* Rotates the list so that the cores of this replica's threads come first: INSTANCE_ID is the replica's
 * number, and its share follows those of the replicas before it. Returns the number of cores to use. */
static size_t choose_cores(const struct ml_base *ml, int *cores, size_t n)
{
	int all[MAX_CORES];
	int64_t replica = 1;
	size_t first;

	sutra_str_int(ml->settings.instance_id, 1, 256, &replica);
	first = (size_t)(replica - 1) * ml->threads;
	memcpy(all, cores, n * sizeof(*all));
	for (size_t i = 0; i < n; i++)
		cores[i] = all[(first + i) % n];
	return ml->threads < n ? ml->threads : n;
}

/* Embeds one text: code is compiled, pages are touched, and a model that cannot answer is an error. */
static int warm_up(struct ml_base *ml, struct sutra_err *err)
{
	struct sutra_batch_job job = { .texts = 1 };
	uint32_t length, *ids = sutra_calloc(ml->model->max_tokens, sizeof(*ids));
	float *out = sutra_calloc(ml->model->dimension, sizeof(*out));
	int rc = ids && out ? 0 : sutra_fail(err, SUTRA_E_NOMEM, "out of memory");

	if (!rc) {
		length = (uint32_t)sutra_wordpiece_encode(ml->model->tokenizer, "warm up", 7, ids,
							  ml->model->max_tokens, NULL);
		job.ids = ids;
		job.lengths = &length;
		job.out = out;
		rc = sutra_batcher_run(ml->batcher, &job, err);
	}
	sutra_free(ids);
	sutra_free(out);
	return rc;
}

int ml_open_model(struct ml_base *ml, struct sutra_err *err)
{
	struct sutra_model_options options = {
		.mrl = strcmp(ml->settings.mrl, "plain") ? SUTRA_MRL_LAYER_NORM : SUTRA_MRL_PLAIN,
		.keep = true,
	};
	char *folder = sutra_model_folder(ml->settings.model_path, ml->settings.model);
	int rc = folder ? 0 : sutra_fail(err, SUTRA_E_NOMEM, "out of memory");

	sutra_precision_parse(ml->settings.precision, &options.precision);
	rc = rc ? rc : sutra_model_open(folder, &options, &ml->model, err);
	sutra_free(folder);
	return rc;
}

int ml_load(struct ml_base *ml, struct sutra_err *err)
{
	struct sutra_batcher_options o;
	int cores[MAX_CORES];
	size_t n_cores = sutra_cores_list(cores, MAX_CORES);
	int rc = ml_open_model(ml, err);

	if (!rc && *ml->model->precision.unkept)
		sutra_log(SUTRA_INFO, "ml-base", "packed weights are not kept", "reason=\"%s\"",
			  ml->model->precision.unkept);
	rc = rc ? rc : choose_dimension(ml, err);
	rc = rc ? rc : ml_choose_prompt(&ml->settings, ml->model, err);
	if (rc)
		return rc;
	ml->threads = choose_threads(&ml->settings, n_cores);
	o = (struct sutra_batcher_options){
		.encoder = ml->model->encoder,
		.pooling = ml->model->pooling,
		.threads = ml->threads,
		.max_tokens = (size_t)ml->settings.batch_tokens,
		.max_text_tokens = ml->model->max_tokens,
		.max_texts = (size_t)ml->settings.batch_size,
		.max_queue = (size_t)ml->settings.max_queue,
		.max_wait_ns = (uint64_t)ml->settings.max_queue_ms * 1000000,
		.nice = INFERENCE_NICE,
		.cores = cores,
		.n_cores = ml->settings.pin ? choose_cores(ml, cores, n_cores) : 0,
	};
	rc = sutra_batcher_new(&o, &ml->batcher, err);
	return rc ? rc : warm_up(ml, err);
}
