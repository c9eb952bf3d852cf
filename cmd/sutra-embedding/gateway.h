/* gateway - the struct and functions that the files of sutra-embedding share. main sets the struct up before
 * the first request, except for the model, which the upstream reads from ml-base. */
#ifndef SUTRA_CMD_GATEWAY_H
#define SUTRA_CMD_GATEWAY_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/metric.h"
#include "cache/cache.h"
#include "vector/matryoshka.h"
#include "model/prompt.h"
#include "net/fetch.h"
#include "net/http.h"
#include "model/texts.h"

struct gw_settings {
	char *ml_base_url, *shard_host, *instance_id, *tenants_file, *allowed_hosts;
	int64_t port, dimension, l1_entries, shard_port, cache_timeout_ms, ttl_seconds, bodies_mb;
	int64_t ml_base_ns;	/* time limit for an answer of ml-base */
	bool cache_enabled;
};

#define GW_METRICS(X)                                                                \
	X(REQUESTS, "sutra_gateway_requests_total", COUNTER, "embedding requests answered") \
	X(ERRORS, "sutra_gateway_errors_total", COUNTER, "embedding requests refused or failed") \
	X(BYPASSED, "sutra_gateway_bypassed_total", COUNTER, "requests that bypassed the cache") \
	X(RETRIES, "sutra_gateway_upstream_retries_total", COUNTER, "requests to ml-base tried again")

enum gw_metric {
#define X(sym, name, type, help) GW_##sym,
	GW_METRICS(X)
#undef X
	GW_METRIC_COUNT
};

/* The model, as /info of ml-base describes it. */
struct gw_model {
	char name[128], fingerprint[SUTRA_CACHE_MODEL_LEN];
	size_t native, dimension;	/* dimension: of this deployment */
	bool plain_mrl;
	struct sutra_ids_limits ids;
	struct sutra_input_types types;	/* allowed in requests */
};

struct upstream;

struct gateway {
	struct gw_settings settings;
	struct sutra_cache *cache;
	struct upstream *upstream;
	struct sutra_metric metrics[GW_METRIC_COUNT];
	pthread_mutex_t model_lock;
	pthread_cond_t model_known;	/* monotonic */
	struct gw_model model, former;	/* under model_lock; fingerprint "": none yet */
};

/* The routes (gw_routes.c), and their handlers; ctx is the gateway. */
extern const struct sutra_http_route gw_routes[];
sutra_http_handler gw_embed, gw_openai, gw_models, gw_model_by_id, gw_cache_stats, gw_cache_clear, gw_cache_warm,
	gw_cache_invalidate;
void gw_openai_fail(struct sutra_http_request *r, void *gateway, const struct sutra_err *err);
/* The gateway's parts of /health and /metrics (daemon/daemon.h). */
const char *gw_health(void *gateway, struct sutra_buf *fields);
void gw_metrics(void *gateway, struct sutra_buf *b);

/* A copy of the model; false while it is not known. */
bool gw_model_get(struct gateway *g, struct gw_model *ret);
/* The model of that fingerprint; false: it is neither the present nor the former one. */
bool gw_model_of(struct gateway *g, const char *fingerprint, struct gw_model *ret);
/* Waits until the model is known, at most limit_ns. */
void gw_model_wait(struct gateway *g, uint64_t limit_ns);
/* Answers a request with an error, and counts it. */
static inline void gw_fail(struct gateway *g, struct sutra_http_request *r, const struct sutra_err *err)
{
	sutra_metric_add(&g->metrics[GW_ERRORS], 1);
	sutra_http_reply_error(r, err);
}
/* SUTRA_E_INVALID, with the allowed dimensions, if this deployment does not allow this one. */
int gw_check_dimension(const struct gw_model *m, int64_t dimension, struct sutra_err *err);
/* *ret becomes the request's "input_type" as a string of *m; NULL: it has none. The model's default type
 * is not treated as none, because ml-base may have another default by now. SUTRA_E_INVALID lists the allowed
 * types. */
int gw_read_type(const struct gw_model *m, const json_t *body, const char **ret, struct sutra_err *err);
/* Writes the cached vector at its own or a smaller dimension into out. */
void gw_shape(const struct gw_model *m, const struct sutra_vector *v, size_t dimension, float *out);

/* One embedding request from its texts to its vectors, for /embed, /v1 and warm (embed.c). */
struct answer {
	struct sutra_cache_request get;
	struct gateway *g;
	struct sutra_http_request *request;
	struct sutra_texts body;	/* owns the texts */
	struct sutra_buf packed;	/* owns the bytes of ids and typed texts */
	const char **texts;
	size_t *lengths;
	struct gw_model model;
	size_t dimension;
	int asked;	/* how often the cache was asked */
	bool binary, base64;
};

/* An answer to texts, all of which have this input type (NULL: none). It owns the texts as soon as *texts is
 * zeroed, which an error may leave to the caller. */
int answer_new(struct gateway *g, struct sutra_http_request *r, struct sutra_texts *texts,
	       const struct gw_model *model, const char *type, struct answer **ret, struct sutra_err *err);
void answer_free(struct answer *a);	/* with its texts and vectors */
/* Asks the cache for the vectors of a->model; a->get.done follows, on any thread. */
void answer_ask(struct answer *a);
/* The first call in done. True: there is an error, or all vectors are of one model, which a->model is now.
 * False: the vectors are of several models, or of a model that is not known yet. They are requested again
 * and done is called again; after several times with an error. */
bool answer_is_whole(struct answer *a);
int answer_model(struct gateway *g, struct gw_model *ret, struct sutra_err *err);
void answer_add_vector(const struct answer *a, size_t i, struct sutra_buf *b);	/* as JSON */
void answer_count(const struct answer *a, size_t *ret_tokens, size_t *ret_truncated);

/* Upstream: ml-base over HTTP, with retries; it also keeps the model up to date. It lives as long as the
 * process: its thread runs until _exit. */
int upstream_new(struct gateway *g, struct upstream **ret, struct sutra_err *err);
void upstream_embed(void *gateway, struct sutra_upstream_batch *b);
bool upstream_up(const struct upstream *u);	/* the last request to ml-base did not fail */
/* Calls fn on the upstream's thread after delay_ns. SUTRA_E_NOMEM: fn is not called. */
int upstream_later(struct upstream *u, uint64_t delay_ns, void (*fn)(void *arg), void *arg);
/* Forwards the request's body unchanged, and the answer (normalize:false). */
void upstream_pass(struct upstream *u, struct sutra_http_request *r);

#endif
