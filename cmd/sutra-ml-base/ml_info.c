/* /info, /tokenize, and the parts of ml-base in /health and /metrics. */
#include <string.h>

#include "base/alloc.h"
#include "base/jsonio.h"
#include "ml_base.h"

enum { MAX_ANSWER = 64 << 20 };

/* A batch that runs longer means that the machine or this program hangs. */
#define STUCK_NS 60000000000u

/* The prefixes of texts: the default one, and those that a request may name. */
static void add_prompts(const struct sutra_model *m, struct sutra_buf *b)
{
	const struct sutra_prompts *p = &m->prompts;

	sutra_buf_addf(b, ",\"architecture\":\"%s\",\"normalize_module\":%s,\"input_type\":",
		       sutra_architecture_name(m->architecture), m->normalizes ? "true" : "false");
	if (*m->input_type)
		sutra_json_add_string(b, m->input_type, strlen(m->input_type));
	else
		sutra_buf_adds(b, "null");
	sutra_buf_adds(b, ",\"prompt\":");
	sutra_json_add_string(b, m->prefix, strlen(m->prefix));
	sutra_buf_adds(b, ",\"prompts\":{");
	for (size_t i = 0; i < p->types.n; i++) {
		if (i)
			sutra_buf_addc(b, ',');
		sutra_json_add_string(b, p->types.names[i], strlen(p->types.names[i]));
		sutra_buf_addc(b, ':');
		sutra_json_add_string(b, p->texts[i], strlen(p->texts[i]));
	}
	sutra_buf_addc(b, '}');
}

void ml_info(struct sutra_http_request *r, void *ctx)
{
	const struct ml_base *ml = ctx;
	const struct sutra_model *m = ml->model;
	struct sutra_batcher_stats stats;
	const struct sutra_precision_report *precision = &m->precision;
	char allowed[SUTRA_MRL_LIST];
	struct sutra_buf b;

	sutra_matryoshka_list(m->dimension, allowed);
	sutra_batcher_stats(ml->batcher, &stats);
	sutra_buf_init(&b, 1 << 20);
	sutra_buf_adds(&b, "{\"model\":");
	sutra_json_add_string(&b, m->name, strlen(m->name));
	sutra_buf_addf(&b,
		       ",\"fingerprint\":\"%s\",\"dimension\":%zu,\"native_dimension\":%zu,"
		       "\"allowed_dimensions\":[%s],\"matryoshka_trained\":%s,\"mrl\":\"%s\","
		       "\"pooling\":\"%s\",\"kernels\":\"%s\",\"threads\":%u,"
		       "\"pinned\":%s,\"tokens_per_second\":%llu,",
		       m->fingerprint, ml->dimension, m->dimension, allowed,
		       m->matryoshka_trained ? "true" : "false", sutra_mrl_name(m->mrl),
		       sutra_pooling_name(m->pooling), sutra_kernels_best()->name, ml->threads,
		       ml->settings.pin ? "true" : "false", (unsigned long long)stats.speed);
	sutra_buf_addf(&b,
		       "\"precision\":\"%s\",\"precision_why\":\"%s\","
		       "\"cosine_to_fp32\":{\"min\":%.5f,\"mean\":%.5f},\"packed_weights\":\"%s\",",
		       sutra_precision_name(precision->precision), precision->why,
		       precision->cosine_min, precision->cosine_mean,
		       precision->mapped ? "mapped" : "private");
	sutra_buf_addf(&b,
		       "\"max_tokens\":%zu,\"vocab_size\":%zu,\"max_texts\":%d,\"max_queue\":%lld,"
		       "\"max_queue_ms\":%lld,\"max_batch_tokens\":%lld,\"batch_size\":%lld,\"weights_sha256\":\"%s\","
		       "\"vocab_sha256\":\"%s\",\"instance_id\":",
		       m->max_tokens, sutra_wordpiece_size(m->tokenizer), SUTRA_MAX_TEXTS,
		       (long long)ml->settings.max_queue, (long long)ml->settings.max_queue_ms,
		       (long long)ml->settings.batch_tokens, (long long)ml->settings.batch_size,
		        m->weights_sha256, m->vocab_sha256);
	sutra_json_add_string(&b, ml->settings.instance_id, strlen(ml->settings.instance_id));
	add_prompts(m, &b);
	sutra_buf_adds(&b, "}\n");
	sutra_http_reply_json(r, 200, &b);
}

const char *ml_health(void *ctx, struct sutra_buf *fields)
{
	struct ml_base *ml = ctx;
	struct sutra_batcher_stats stats;

	sutra_batcher_stats(ml->batcher, &stats);
	sutra_buf_addf(fields, ",\"fingerprint\":\"%s\",\"queue\":%llu,\"instance_id\":", ml->model->fingerprint,
		       (unsigned long long)stats.queued);
	sutra_json_add_string(fields, ml->settings.instance_id, strlen(ml->settings.instance_id));
	return stats.longest_ns > STUCK_NS ? "a batch has been running for more than a minute" : NULL;
}

void ml_metrics(void *ctx, struct sutra_buf *b)
{
	static const struct sutra_metric_row rows[ML_METRIC_COUNT] = {
#define X(sym, name, type, help) { name, SUTRA_##type, help },
		ML_METRICS(X)
#undef X
	};
	struct ml_base *ml = ctx;
	const struct sutra_histogram *times = sutra_batcher_times(ml->batcher);
	struct sutra_metric *m = ml->metrics;
	struct sutra_batcher_stats stats;

	sutra_batcher_stats(ml->batcher, &stats);
	sutra_metric_set(&m[ML_TEXTS], (long long)stats.texts);
	sutra_metric_set(&m[ML_TOKENS], (long long)stats.tokens);
	sutra_metric_set(&m[ML_BATCHES], (long long)stats.batches);
	sutra_metric_set(&m[ML_HELPED], (long long)stats.helped);
	sutra_metric_set(&m[ML_INFERENCE], (long long)(stats.inference_ns / 1000));
	sutra_metric_set(&m[ML_BATCH_ROOM], (long long)stats.batches * ml->settings.batch_tokens);
	sutra_metric_set(&m[ML_QUEUE], (long long)stats.queued);
	sutra_metric_set(&m[ML_QUEUE_TOKENS], (long long)stats.queued_tokens);
	sutra_metric_set(&m[ML_IDLE], stats.idle);
	sutra_metric_set(&m[ML_SPEED], (long long)stats.speed);
	sutra_metric_set(&m[ML_DROPPED_LATE], (long long)stats.late);
	sutra_metric_set(&m[ML_DROPPED_GONE], (long long)stats.gone);
	sutra_metric_set(&m[ML_TIME_ALL], sutra_metric_get(&ml->all_ns) / 1000);
	for (int i = 0; i < ML_STAGE_COUNT; i++)
		sutra_metric_set(&m[ML_TIME_ALL + 1 + i], sutra_metric_get(&ml->stage_ns[i]) / 1000);
	sutra_metric_set(&m[ML_BATCH_P50], (long long)(sutra_histogram_quantile(times, 0.5) / 1000));
	sutra_metric_set(&m[ML_BATCH_P99], (long long)(sutra_histogram_quantile(times, 0.99) / 1000));
	sutra_metric_set(&m[ML_RESIDENT], (long long)sutra_process_memory());
	sutra_metrics_prometheus(rows, m, ML_METRIC_COUNT, b);
}

/* Appends [id,...] of a text to b, and the number of ids of the uncut text to wholes. */
static int add_ids(const struct sutra_model *m, const char *prefix, const json_t *item,
		   struct sutra_buf *room, struct sutra_buf *b, struct sutra_buf *wholes,
		   struct sutra_err *err)
{
	uint32_t *ids = sutra_calloc(m->max_tokens, sizeof(*ids));
	const char *text, *comma = wholes->len ? "," : "";
	size_t len, n;
	bool cut;
	int rc = ids ? ml_text(m, prefix, item, room, &text, &len, err) :
		       sutra_fail(err, SUTRA_E_NOMEM, "out of memory");

	if (rc)
		goto out;
	n = sutra_wordpiece_encode(m->tokenizer, text, len, ids, m->max_tokens, &cut);
	sutra_buf_addf(b, "%s[", comma);
	for (size_t i = 0; i < n; i++)
		sutra_buf_addf(b, "%s%u", i ? "," : "", ids[i]);
	sutra_buf_addc(b, ']');
	sutra_buf_addf(wholes, "%s%zu", comma,
		       cut ? sutra_wordpiece_count(m->tokenizer, text, len) : n);
out:
	sutra_free(ids);
	return rc;
}

void ml_tokenize(struct sutra_http_request *r, void *ctx)
{
	const struct sutra_model *m = ((const struct ml_base *)ctx)->model;
	const char *body, *prefix = m->prefix;
	struct sutra_texts texts = { 0 };
	struct sutra_buf b, wholes, room;
	struct sutra_err err;
	size_t n, i;
	json_t *text;
	int rc;

	sutra_buf_init(&b, MAX_ANSWER);
	sutra_buf_init(&wholes, MAX_ANSWER);
	sutra_buf_init(&room, ML_MAX_TEXT);
	body = sutra_http_body(r, &n);
	rc = sutra_texts_read(body, n, NULL, &texts, &err);
	rc = rc ? rc : ml_read_prefix(m, texts.body, &prefix, &err);
	sutra_buf_adds(&b, "{\"ids\":[");
	json_array_foreach (texts.list, i, text)
		rc = rc ? rc : add_ids(m, prefix, text, &room, &b, &wholes, &err);
	sutra_buf_addf(&b, "],\"tokens_before_truncation\":[%s],\"max_tokens\":%zu}\n",
		       sutra_buf_str(&wholes), m->max_tokens);
	sutra_buf_release(&wholes);
	sutra_buf_release(&room);
	sutra_texts_release(&texts);
	if (rc) {
		sutra_buf_release(&b);
		sutra_http_reply_error(r, &err);
	} else {
		sutra_http_reply_json(r, 200, &b);
	}
}
