/*
 * sutra-ml-base - texts to vectors: one model, its queue, and HTTP in front.
 *
 * It listens only when the model is loaded and has embedded a first text, so a connection is accepted only by
 * a service that can answer.
 */
#include <stddef.h>
#include <stdio.h>

#include "base/log.h"
#include "daemon/daemon.h"
#include "ml_base.h"

#define FIELD(f) offsetof(struct ml_base, settings.f)
#define GRACE_NS 30000000000u

static const struct sutra_setting_use settings[] = {
	{ "MODEL_PATH", FIELD(model_path), NULL },
	{ "SUTRA_MODEL", FIELD(model), NULL },
	{ "MATRYOSHKA_DIM", FIELD(dimension), "" },	/* unset: 256 if allowed, else the native dimension */
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
	{ "ML_BASE_PORT", FIELD(port), NULL },
	{ "INSTANCE_ID", FIELD(instance_id), "ml-base" },
	{ "HTTP_BODIES_MB", FIELD(bodies_mb), NULL },
	{ "SUTRA_ALLOWED_HOSTS", FIELD(allowed_hosts), NULL },
	{ 0 },
};

/* Errors that another setting or model folder would resolve get the code of settings (exit code 2). */
static int as_setting(int rc, struct sutra_err *err)
{
	if (rc == SUTRA_E_NOTFOUND || rc == SUTRA_E_INVALID || rc == SUTRA_E_CORRUPT)
		rc = err->code = SUTRA_E_SETTING;
	return rc;
}

static int open_ml(void *ml, struct sutra_err *err) { return as_setting(ml_load(ml, err), err); }

static void close_ml(void *ctx)
{
	struct ml_base *ml = ctx;

	sutra_batcher_free(ml->batcher);
	sutra_model_close(ml->model);
	sutra_settings_release(settings, ml);
}

static void listening(void *ctx, const char *address)
{
	const struct ml_base *ml = ctx;

	sutra_log(SUTRA_INFO, "ml-base", "listening",
		  "addr=%s model=%s fingerprint=%s dimension=%zu precision=%s threads=%u kernels=%s ready_s=%.3f",
		  address, ml->model->name, ml->model->fingerprint, ml->dimension,
		  sutra_precision_name(ml->model->precision.precision), ml->threads, sutra_kernels_best()->name,
		  sutra_daemon_uptime());
}

/* --pack: opening the model packs its weights and writes them to disk. */
static int pack(void *ctx, char **operands, int n, struct sutra_err *err)
{
	const struct sutra_precision_report *r;
	struct ml_base *ml = ctx;
	int rc = sutra_settings_load(settings, ml, err);

	rc = rc ? rc : ml_open_model(ml, err);
	if (!rc) {
		r = &ml->model->precision;
		printf("%s: %s: %s%s\n", ml->model->name, sutra_precision_name(r->precision), r->why,
		       *r->unkept ? "; not kept" : "");
		rc = *r->unkept ? sutra_fail(err, SUTRA_E_IO, "%s", r->unkept) : 0;
	}
	close_ml(ml);
	return as_setting(rc, err);
}

/* --quality PAIRS [DIMENSIONS] */
static int quality(void *ctx, char **operands, int n, struct sutra_err *err)
{
	struct ml_base *ml = ctx;
	int rc = sutra_settings_load(settings, ml, err);

	rc = rc ? rc : ml_quality(&ml->settings, operands[0], n > 1 ? operands[1] : NULL, err);
	close_ml(ml);
	return as_setting(rc, err);
}

int main(int argc, char **argv)
{
	static const struct sutra_daemon_command commands[] = {
		{ "--pack", "", 0, 0, pack },
		{ "--quality", " PAIRS [DIMENSIONS]", 1, 2, quality },
		{ 0 },
	};
	static struct ml_base ml;
	const struct sutra_daemon d = {
		.name = "ml-base",
		.area = "ml-base",
		.help = "serves text embeddings on port 8887",
		.settings = settings,
		.commands = commands,
		.ctx = &ml,
		.port = &ml.settings.port,
		.bodies_mb = &ml.settings.bodies_mb,
		.allowed_hosts = &ml.settings.allowed_hosts,
		.grace_ns = GRACE_NS,
		.routes = ml_routes,
		.open = open_ml,
		.listening = listening,
		.health = ml_health,
		.metrics = ml_metrics,
		.close = close_ml,
	};

	return sutra_daemon_main(&d, argc, argv);
}
