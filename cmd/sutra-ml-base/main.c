/*
 * sutra-ml-base - texts to vectors: one model, its queue, and HTTP in front.
 *
 * It listens only when the model is loaded and has answered once, so that whoever reaches it
 * can use it. TERM: unhealthy, finish what is queued, exit 0. HUP: finish, keep the listening
 * sockets, run again.
 */
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/cores.h"
#include "base/log.h"
#include "base/setting.h"
#include "base/shown.h"
#include "base/str.h"
#include "base/version.h"
#include "ml_base.h"
#include "daemon/service.h"

#define FIELD(f) offsetof(struct ml_settings, f)
#define GRACE_NS 30000000000u

/* HTTP threads come before inference: health and refusals do not wait for a batch. */
enum { INFERENCE_NICE = 5, MAX_THREADS = 256, MAX_CORES = 1024 };

static const struct sutra_setting_use settings[] = {
	{ "MODEL_PATH", FIELD(model_path), NULL },
	{ "SUTRA_MODEL", FIELD(model), NULL },
	{ "MATRYOSHKA_DIM", FIELD(dimension), "" },	/* 256, or the model's own */
	{ "SUTRA_INPUT_TYPE", FIELD(input_type), NULL },
	{ "SUTRA_PROMPT", FIELD(prompt), NULL },
	{ "SUTRA_MRL", FIELD(mrl), NULL },
	{ "SUTRA_PRECISION", FIELD(precision), NULL },
	{ "SUTRA_THREADS", FIELD(threads), NULL },
	{ "SUTRA_REPLICAS", FIELD(replicas), NULL },
	{ "SUTRA_PIN", FIELD(pin), NULL },
	{ "MAX_BATCH_TOKENS", FIELD(batch_tokens), NULL },
	{ "BATCH_SIZE", FIELD(batch_size), NULL },
	{ "MAX_QUEUE", FIELD(max_queue), NULL },
	{ "MAX_QUEUE_MS", FIELD(max_queue_ms), NULL },
	{ "INSTANCE_ID", FIELD(instance_id), "ml-base" },
	{ "HTTP_BODIES_MB", FIELD(bodies_mb), NULL },
	{ "SUTRA_ALLOWED_HOSTS", FIELD(allowed_hosts), NULL },
	{ 0 },
};

static const struct sutra_http_route routes[] = {
	{ "POST", "/embed", .handler = ml_embed },	  { "POST", "/tokenize", .handler = ml_tokenize },
	{ "GET", "/info", .handler = ml_info },	  { "GET", "/health", .handler = ml_health },
	{ "GET", "/ready", .handler = ml_ready },
	{ "GET", "/metrics", .handler = ml_metrics }, { 0 },
};

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

/* This replica's part of the cores, or what its control group allows where that is less. */
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

/* The cores of this replica's threads go to the front: replica r of n has its part behind those of
 * the ones before it, as INSTANCE_ID counts them. Returns how many. */
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

/* One text through everything: code is compiled, pages are touched, and it works. */
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

static int open_model(struct ml_base *ml, struct sutra_err *err)
{
	struct sutra_model_options options = {
		.mrl = strcmp(ml->settings.mrl, "plain") ? SUTRA_MRL_LAYER_NORM : SUTRA_MRL_PLAIN,
		.keep = true,
	};
	char *folder = sutra_model_folder(ml->settings.model_path, ml->settings.model);
	int rc = folder ? 0 : sutra_fail(err, SUTRA_E_NOMEM, "out of memory");

	sutra_precision_parse(ml->settings.precision, &options.precision);
	if (!rc)
		rc = sutra_model_open(folder, &options, &ml->model, err);
	sutra_free(folder);
	return rc;
}

/* Opening packs, and keeps what it packed. */
static int pack(struct ml_base *ml, struct sutra_err *err)
{
	const struct sutra_precision_report *r;
	int rc = open_model(ml, err);

	if (rc)
		return rc;
	r = &ml->model->precision;
	printf("%s: %s: %s%s\n", ml->model->name, sutra_precision_name(r->precision), r->why,
	       *r->unkept ? "; not kept" : "");
	return *r->unkept ? sutra_fail(err, SUTRA_E_IO, "%s", r->unkept) : 0;
}

static int load(struct ml_base *ml, struct sutra_err *err)
{
	struct sutra_batcher_options o;
	int cores[MAX_CORES];
	size_t n_cores = sutra_cores_list(cores, MAX_CORES);
	int rc = open_model(ml, err);

	if (!rc && *ml->model->precision.unkept)
		sutra_log(SUTRA_INFO, "ml-base", "packed weights are not kept", "reason=\"%s\"",
			  ml->model->precision.unkept);
	if (!rc)
		rc = choose_dimension(ml, err);
	if (!rc)
		rc = ml_choose_prompt(&ml->settings, ml->model, err);
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

static void unload(struct ml_base *ml)
{
	sutra_batcher_free(ml->batcher);
	sutra_model_close(ml->model);
	sutra_settings_release(settings, &ml->settings);
}

/* Serves until a signal says otherwise. */
static int serve(struct ml_base *ml, char **argv, struct sutra_err *err)
{
	const struct sutra_http_options o = {
		.service = "ml-base",
		.listen = sutra_listen_for(ML_PORT),
		.routes = routes,
		.max_held = (size_t)ml->settings.bodies_mb << 20,
		.allowed_hosts = ml->settings.allowed_hosts,
		.draining = sutra_service_draining,
		.noticed = sutra_service_noticed,
		.ctx = ml,
	};
	struct sutra_http_server *server;
	const int *fds;
	int rc = sutra_http_server_start(&o, &server, err);

	if (rc)
		return rc;
	sutra_log(SUTRA_INFO, "ml-base", "listening",
		  "addr=%s model=%s fingerprint=%s dimension=%zu precision=%s threads=%u kernels=%s ready_s=%.3f",
		  sutra_http_server_address(server), ml->model->name, ml->model->fingerprint,
		  ml->dimension, sutra_precision_name(ml->model->precision.precision), ml->threads,
		  sutra_kernels_best()->name, sutra_service_uptime());
	if (sutra_service_wait() == SUTRA_SIG_RESTART) {
		sutra_log(SUTRA_INFO, "ml-base", "restarting", NULL);
		sutra_http_server_pause(server, GRACE_NS);
		rc = sutra_http_server_sockets(server, &fds);
		return sutra_service_reexec(fds, rc, argv, err);
	}
	atomic_store(&ml->stopping, true);
	sutra_log(SUTRA_INFO, "ml-base", "stopping", "requests=%u", sutra_http_server_active(server));
	if (!sutra_http_server_stop(server, GRACE_NS))	/* said by the server; the process just ends */
		_exit(0);
	sutra_http_server_free(server);
	return 0;
}

static int usage(FILE *out, int code)
{
	fputs("usage: sutra-ml-base [--settings | --version | --help | --pack | --quality PAIRS [DIMENSIONS]]\n"
	      "serves text embeddings on port 8887; configured by environment variables\n", out);
	return code;
}

static int load_and_serve(struct ml_base *ml, char **argv, struct sutra_err *err)
{
	int rc = load(ml, err);

	return rc ? rc : serve(ml, argv, err);
}

int main(int argc, char **argv)
{
	bool quality = argc > 2 && argc < 5 && !strcmp(argv[1], "--quality"),
	     packing = argc == 2 && !strcmp(argv[1], "--pack");
	struct ml_base ml = { 0 };
	struct sutra_err err = { 0 };
	int rc;

	if (argc > 1 && !strcmp(argv[1], "--settings"))
		return sutra_settings_print(settings, stdout), 0;
	if (argc > 1 && !strcmp(argv[1], "--version"))
		return puts("sutra-ml-base " SUTRA_VERSION) < 0;
	if (argc > 1 && !quality && !packing)
		return strcmp(argv[1], "--help") && strcmp(argv[1], "-h") ? usage(stderr, 2) :
									    usage(stdout, 0);
	rc = quality || packing ? 0 : sutra_service_init("ml-base", &err);
	if (!rc)
		rc = sutra_settings_load(settings, &ml.settings, &err);
	if (!rc && packing)
		rc = pack(&ml, &err);
	else if (!rc)
		rc = quality ? ml_quality(&ml.settings, argv[2], argc > 3 ? argv[3] : NULL, &err) :
			       load_and_serve(&ml, argv, &err);
	unload(&ml);
	if (!rc)
		return 0;
	sutra_shown_printf(stderr, "sutra-ml-base: %s%s%s\n", err.message, *err.hint ? "; " : "", err.hint);
	/* what another setting or folder would mend is 2 */
	return rc == SUTRA_E_NOTFOUND || rc == SUTRA_E_INVALID || rc == SUTRA_E_CORRUPT ?
		       2 :
		       sutra_err_exit(rc);
}
