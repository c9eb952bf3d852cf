/*
 * ml_base - the struct and functions that the files of sutra-ml-base share: settings, counters, the model and
 * its queue. main sets the struct up before the first request.
 */
#ifndef SUTRA_CMD_ML_BASE_H
#define SUTRA_CMD_ML_BASE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/metric.h"
#include "model/batcher.h"
#include "model/model.h"
#include "net/http.h"
#include "model/texts.h"

enum { ML_MAX_TEXT = 32 << 20 };	/* bytes, prefix and all */

struct ml_settings {
	char *model_path, *model, *mrl, *precision, *instance_id, *allowed_hosts;
	char *input_type, *prompt;
	int64_t dimension;	/* 0: unset */
	int64_t threads;	/* 0: unset */
	int64_t replicas, batch_tokens, batch_size, max_queue, max_queue_ms, bodies_mb, port;
	bool pin;
};

/* The stages of a request, in their order. */
#define ML_STAGES(S, X)                                                                     \
	S(X, RECEIVE, "receive") S(X, PARSE, "parse") S(X, TOKENIZER, "tokenizer")            \
	S(X, QUEUE, "queue") S(X, ENCODER, "encoder") S(X, POOLING, "pooling")                \
	S(X, SERIALISE, "serialise")
#define ML_STAGE_ROW(X, sym, name)                                                          \
	X(TIME_##sym, "sutra_ml_stage_seconds_total{stage=\"" name "\"}", SECONDS_COUNTER,      \
	  "what their stages took")
enum ml_stage {
#define S(X, sym, name) ML_STAGE_##sym,
	ML_STAGES(S, )
#undef S
	ML_STAGE_COUNT
};

#define ML_METRICS(X)                                                                       \
	X(REQUESTS, "sutra_ml_requests_total", COUNTER, "embedding requests answered")       \
	X(ERRORS, "sutra_ml_errors_total", COUNTER, "embedding requests refused or failed")   \
	X(BUSY, "sutra_ml_busy_total", COUNTER, "requests refused because the queue was full") \
	X(DROPPED_LATE, "sutra_ml_dropped_total{reason=\"deadline\"}", COUNTER,                  \
	  "requests dropped from the queue before they were computed")                         \
	X(DROPPED_GONE, "sutra_ml_dropped_total{reason=\"gone\"}", COUNTER, "")                  \
	X(TRUNCATED, "sutra_ml_truncated_total", COUNTER, "texts cut to the model's length")   \
	X(TEXTS, "sutra_ml_texts_total", COUNTER, "texts embedded")                           \
	X(TOKENS, "sutra_ml_tokens_total", COUNTER, "tokens embedded")                        \
	X(BATCHES, "sutra_ml_batches_total", COUNTER, "batches run")                          \
	X(HELPED, "sutra_ml_helped_batches_total", COUNTER,                                   \
	  "batches that an idle thread helped to compute")                                    \
	X(BATCH_ROOM, "sutra_ml_batch_room_tokens_total", COUNTER,                            \
	  "tokens these batches could have held; sutra_ml_tokens_total of it is their fill")  \
	X(INFERENCE, "sutra_ml_inference_seconds_total", SECONDS_COUNTER,                     \
	  "time spent in the encoder, over all threads")                                      \
	X(QUEUE, "sutra_ml_queue_texts", GAUGE, "texts waiting")                              \
	X(QUEUE_TOKENS, "sutra_ml_queue_tokens", GAUGE, "tokens waiting")                     \
	X(IDLE, "sutra_ml_idle_threads", GAUGE, "inference threads that wait for work")       \
	X(SPEED, "sutra_ml_tokens_per_second", GAUGE,                                         \
	  "tokens that all threads compute in a second of full batches, lately")              \
	X(TIME_ALL, "sutra_ml_request_seconds_total", SECONDS_COUNTER,                        \
	  "time of the requests answered, from their headers to their answers")               \
	ML_STAGES(ML_STAGE_ROW, X)                                                            \
	X(BATCH_P50, "sutra_ml_batch_p50_seconds", SECONDS_GAUGE, "median time of a batch")   \
	X(BATCH_P99, "sutra_ml_batch_p99_seconds", SECONDS_GAUGE, "99th percentile of the same") \
	X(RESIDENT, "sutra_process_resident_bytes", GAUGE, "resident memory")

enum ml_metric {
#define X(sym, name, type, help) ML_##sym,
	ML_METRICS(X)
#undef X
	ML_METRIC_COUNT
};

struct ml_base {
	struct ml_settings settings;
	struct sutra_model *model;
	struct sutra_batcher *batcher;
	size_t dimension;	/* of answers that ask for none */
	unsigned threads;
	struct sutra_metric stage_ns[ML_STAGE_COUNT], all_ns;	/* of requests answered */
	struct sutra_metric metrics[ML_METRIC_COUNT];
};

/* Opens the model of the settings; ml_load also starts its queue and threads, and embeds a first text. */
int ml_open_model(struct ml_base *ml, struct sutra_err *err);
int ml_load(struct ml_base *ml, struct sutra_err *err);
/* Sets the default prefix from the settings; without one there it stays that of the model's folder. */
int ml_choose_prompt(const struct ml_settings *s, struct sutra_model *m, struct sutra_err *err);

/* Measures the model of the settings on a file of graded pairs (model/quality.h) and prints JSON: a row for
 * each precision, dimension and MRL mode. dims: "64,256"; NULL: all dimensions. */
int ml_quality(const struct ml_settings *s, const char *pairs, const char *dims, struct sutra_err *err);
/* *ret becomes the prefix that o's "input_type" names; without one it is not changed. */
int ml_read_prefix(const struct sutra_model *m, const json_t *o, const char **ret,
		   struct sutra_err *err);
/* The text for the model, with its prefix, of an item: a string, or {"text","input_type"} with a prefix of its
 * own. *ret_n bytes in item or in room. */
int ml_text(const struct sutra_model *m, const char *prefix, const json_t *item,
	    struct sutra_buf *room, const char **ret, size_t *ret_n, struct sutra_err *err);

/* The routes (ml_routes.c), and their handlers; ctx is the struct ml_base. */
extern const struct sutra_http_route ml_routes[];
sutra_http_handler ml_embed, ml_tokenize, ml_info;
/* The parts of ml-base in /health and /metrics (daemon/daemon.h). */
const char *ml_health(void *ml, struct sutra_buf *fields);
void ml_metrics(void *ml, struct sutra_buf *b);

#endif
