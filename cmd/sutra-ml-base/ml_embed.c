/*
 * POST /embed. The HTTP thread reads and tokenizes and hands a job to the queue; the thread that
 * computes the job's last vector writes the answer.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/jsonio.h"
#include "ml_base.h"

enum {
	FLOAT_TEXT = 16,	/* bytes of a float in JSON, at most */
	MAX_LENGTHS = 64,	/* texts up to which X-Embedding-Lengths is sent */
};

/* One request from reading to answering; the job comes first, so that done() finds it. */
struct embed {
	struct sutra_batch_job job;
	struct ml_base *ml;
	struct sutra_http_request *request;
	uint32_t *ids, *lengths;
	size_t tokens, truncated;
	size_t dimension;
	const char *prefix;	/* of texts without an input_type of their own */
	bool typed;		/* the request has an input_type for all texts */
	bool normalize, truncate, single, binary;
	uint64_t stage_ns[ML_STAGE_COUNT];
	uint64_t since_ns;	/* when the last stage ended */
	bool cut[MAX_LENGTHS];	/* of the first texts: cut to the model's length */
};

static void embed_free(struct embed *e)
{
	sutra_free(e->ids);
	sutra_free(e->lengths);
	sutra_free(e->job.out);
	sutra_free(e);
}

static void end_stage(struct embed *e, enum ml_stage stage)
{
	uint64_t now = sutra_clock_ns();

	e->stage_ns[stage] = now - e->since_ns;
	e->since_ns = now;
}

/* Rows of `dimension` floats, packed to the front of job.out. */
static void shape_rows(struct embed *e)
{
	const struct sutra_model *m = e->ml->model;
	size_t native = m->dimension;

	for (size_t i = 0; i < e->job.texts; i++)
		sutra_matryoshka(e->job.out + i * native, native, e->dimension, m->mrl, e->normalize,
				 e->job.out + i * e->dimension);
}

/* X-Embedding-Lengths: tokens of each text, with a t when it was cut ("10,256t,3"). */
static void add_lengths(struct embed *e)
{
	char value[MAX_LENGTHS * 7];
	size_t len = 0;

	if (e->job.texts > MAX_LENGTHS)
		return;
	for (size_t i = 0; i < e->job.texts && len < sizeof(value); i++)
		len += (size_t)snprintf(value + len, sizeof(value) - len, "%s%u%s", i ? "," : "",
					e->lengths[i], e->cut[i] ? "t" : "");
	if (len < sizeof(value))
		sutra_http_add_header(e->request, "X-Embedding-Lengths", value);
}

/* Server-Timing (W3C), in milliseconds, without the stage of serialising, which is not over yet. */
static void add_timing(struct embed *e)
{
	static const char *const names[] = {
#define S(X, sym, name) name,
		ML_STAGES(S, )
#undef S
	};
	char value[ML_STAGE_COUNT * 48];
	size_t len = 0;

	for (int i = 0; i < ML_STAGE_SERIALISE; i++)
		len += (size_t)snprintf(value + len, sizeof(value) - len, "%s%s;dur=%llu.%03llu", i ? ", " : "",
					names[i], (unsigned long long)(e->stage_ns[i] / 1000000),
					(unsigned long long)(e->stage_ns[i] / 1000 % 1000));
	sutra_http_add_header(e->request, "Server-Timing", value);
}

static void add_headers(struct embed *e)
{
	char value[64];

	snprintf(value, sizeof(value), "%zu,%zu", e->job.texts, e->dimension);
	sutra_http_add_header(e->request, "X-Embedding-Shape", value);
	sutra_http_add_header(e->request, "X-Embedding-Fingerprint", e->ml->model->fingerprint);
	snprintf(value, sizeof(value), "%zu", e->tokens);
	sutra_http_add_header(e->request, "X-Embedding-Tokens", value);
	snprintf(value, sizeof(value), "%zu", e->truncated);
	sutra_http_add_header(e->request, "X-Embedding-Truncated", value);
	add_lengths(e);
	add_timing(e);
}

/* Little-endian float32, the format of all supported machines. */
static void reply_binary(struct embed *e)
{
	size_t n = e->job.texts * e->dimension * sizeof(float);
	struct sutra_buf b;

	_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "rows are sent as they lie");
	sutra_buf_init(&b, n);
	sutra_buf_add(&b, e->job.out, n);
	sutra_http_reply(e->request, 200, "application/octet-stream", &b);
}

static void reply_json(struct embed *e)
{
	size_t room = e->job.texts * e->dimension * FLOAT_TEXT;
	struct sutra_buf b;

	sutra_buf_init(&b, 2 * room + 65536);
	sutra_buf_reserve(&b, room * 3 / 4);
	sutra_buf_adds(&b, "{\"embeddings\":[");
	for (size_t i = 0; i < e->job.texts; i++) {
		if (i)
			sutra_buf_addc(&b, ',');
		sutra_json_add_floats(&b, e->job.out + i * e->dimension, e->dimension);
	}
	sutra_buf_addc(&b, ']');
	if (e->single) {
		sutra_buf_adds(&b, ",\"embedding\":");
		sutra_json_add_floats(&b, e->job.out, e->dimension);
	}
	sutra_buf_addf(&b, ",\"dimension\":%zu,\"model\":", e->dimension);
	sutra_json_add_string(&b, e->ml->model->name, strlen(e->ml->model->name));
	sutra_buf_addf(&b,
		       ",\"count\":%zu,\"tokens\":%zu,\"truncated\":%zu,\"fingerprint\":\"%s\","
		       "\"processing_time_ms\":%.3f}\n",
		       e->job.texts, e->tokens, e->truncated, e->ml->model->fingerprint,
		       (double)(sutra_clock_ns() - sutra_http_context(e->request)->started_ns) / 1e6);
	sutra_http_reply_json(e->request, 200, &b);
}

static void fail_request(struct ml_base *ml, struct sutra_http_request *r,
			 const struct sutra_err *err)
{
	char seconds[16];

	sutra_metric_add(&ml->metrics[err->code == SUTRA_E_BUSY ? ML_BUSY : ML_ERRORS], 1);
	if (err->code == SUTRA_E_BUSY) {
		snprintf(seconds, sizeof(seconds), "%u", sutra_batcher_retry_s(ml->batcher));
		sutra_http_add_header(r, "Retry-After", seconds);
	}
	sutra_http_reply_error(r, err);
}

static void count_times(struct embed *e, uint64_t started_ns)
{
	end_stage(e, ML_STAGE_SERIALISE);
	for (int i = 0; i < ML_STAGE_COUNT; i++)
		sutra_metric_add(&e->ml->stage_ns[i], (long long)e->stage_ns[i]);
	sutra_metric_add(&e->ml->all_ns, (long long)(e->since_ns - started_ns));
}

static bool client_gone(const struct sutra_batch_job *job)
{
	return sutra_http_gone(((const struct embed *)job)->request);
}

static void answer(struct sutra_batch_job *job)
{
	struct embed *e = (struct embed *)job;
	uint64_t started_ns = sutra_http_context(e->request)->started_ns;

	if (job->rc) {
		fail_request(e->ml, e->request, &job->err);
	} else {
		sutra_metric_add(&e->ml->metrics[ML_REQUESTS], 1);
		sutra_metric_add(&e->ml->metrics[ML_TRUNCATED], (long long)e->truncated);
		e->stage_ns[ML_STAGE_QUEUE] = job->queue_ns;
		e->stage_ns[ML_STAGE_ENCODER] = job->compute_ns - job->pooling_ns;
		e->stage_ns[ML_STAGE_POOLING] = job->pooling_ns;
		e->since_ns = job->since_ns;
		shape_rows(e);
		add_headers(e);
		if (e->binary)
			reply_binary(e);
		else
			reply_json(e);
		count_times(e, started_ns);
	}
	embed_free(e);
}

static int read_options(struct embed *e, const json_t *body, struct sutra_err *err)
{
	size_t native = e->ml->model->dimension;
	int64_t dimension = (int64_t)e->ml->dimension;
	char allowed[SUTRA_MRL_LIST];
	int rc;

	e->normalize = e->truncate = true;
	e->prefix = e->ml->model->prefix;
	e->typed = json_is_string(json_object_get(body, "input_type"));
	rc = sutra_json_get_int(body, "dimension", &dimension, err);
	rc = rc ? rc : sutra_json_get_bool(body, "normalize", &e->normalize, err);
	rc = rc ? rc : sutra_json_get_bool(body, "truncate", &e->truncate, err);
	rc = rc ? rc : ml_read_prefix(e->ml->model, body, &e->prefix, err);
	if (rc)
		return rc;
	if (dimension < 1 || !sutra_matryoshka_allows(native, (size_t)dimension)) {
		sutra_matryoshka_list(native, allowed);
		return sutra_fail(err, SUTRA_E_INVALID, "field \"dimension\" is %lld; allowed are %s",
				  (long long)dimension, allowed);
	}
	e->dimension = (size_t)dimension;
	return 0;
}

static int refuse_cut(const struct sutra_model *m, size_t i, const char *text, size_t n,
		      struct sutra_err *err)
{
	sutra_fail(err, SUTRA_E_INVALID, "texts[%zu] has %zu tokens; the model takes %zu", i,
		   sutra_wordpiece_count(m->tokenizer, text, n), m->max_tokens);
	return sutra_hint(err, "shorten it, or let it be cut with \"truncate\": true");
}

/* The next text's tokens to the end of e->ids. */
static int add_tokens(struct embed *e, size_t i, const json_t *item, struct sutra_buf *room,
		      struct sutra_err *err)
{
	const struct sutra_model *m = e->ml->model;
	uint32_t *ids = e->ids + e->tokens;
	size_t n = json_array_size(item);
	const char *text;
	bool cut = false;

	if (json_is_array(item) && e->typed)
		return sutra_fail(err, SUTRA_E_INVALID,
				  "texts[%zu] is a list of token ids, which no prefix can be put before; "
				  "field \"input_type\" is for texts", i);
	if (json_is_array(item)) {	/* checked: not too many */
		for (size_t k = 0; k < n; k++)
			ids[k] = (uint32_t)json_integer_value(json_array_get(item, k));
		e->lengths[i] = (uint32_t)n;
	} else {
		int rc = ml_text(m, e->prefix, item, room, &text, &n, err);

		if (rc)
			return rc;
		e->lengths[i] = (uint32_t)sutra_wordpiece_encode(m->tokenizer, text, n, ids,
								 m->max_tokens, &cut);
		if (cut && !e->truncate)
			return refuse_cut(m, i, text, n, err);
	}
	e->tokens += e->lengths[i];
	e->truncated += cut;
	if (i < MAX_LENGTHS)
		e->cut[i] = cut;
	return 0;
}

static int tokenize(struct embed *e, const json_t *list, struct sutra_err *err)
{
	const struct sutra_model *m = e->ml->model;
	size_t n = json_array_size(list), i;
	struct sutra_buf room;
	json_t *item;
	int rc = 0;

	e->job.texts = n;
	e->ids = sutra_calloc(n * m->max_tokens, sizeof(*e->ids));
	e->lengths = sutra_calloc(n, sizeof(*e->lengths));
	e->job.out = sutra_calloc(n * m->dimension, sizeof(float));
	if (!e->ids || !e->lengths || !e->job.out)
		return sutra_fail(err, SUTRA_E_NOMEM, "out of memory for %zu texts", n);
	sutra_buf_init(&room, ML_MAX_TEXT);
	json_array_foreach (list, i, item) {
		rc = add_tokens(e, i, item, &room, err);
		if (rc)
			break;
	}
	sutra_buf_release(&room);
	e->job.ids = e->ids;
	e->job.lengths = e->lengths;
	return rc;
}

/* Reads the request into e so that it can be queued. A request that the queue would refuse is refused before
 * it is parsed: under overload most requests end here. */
static int read_request(struct embed *e, struct sutra_err *err)
{
	const struct ml_base *ml = e->ml;
	const struct sutra_ids_limits limits = { sutra_wordpiece_size(ml->model->tokenizer),
						 ml->model->max_tokens };
	struct sutra_texts texts = { 0 };
	const char *body;
	size_t n;
	int rc = sutra_batcher_admits(ml->batcher, 1, err);

	body = sutra_http_body(e->request, &n);
	rc = rc ? rc : sutra_texts_read(body, n, &limits, &texts, err);
	end_stage(e, ML_STAGE_PARSE);
	rc = rc ? rc : read_options(e, texts.body, err);
	rc = rc ? rc : sutra_batcher_admits(ml->batcher, json_array_size(texts.list), err);
	rc = rc ? rc : tokenize(e, texts.list, err);
	e->single = texts.single;
	sutra_texts_release(&texts);
	end_stage(e, ML_STAGE_TOKENIZER);
	return rc;
}

void ml_embed(struct sutra_http_request *r, void *ctx)
{
	struct embed *e = sutra_calloc(1, sizeof(*e));
	const char *accept = sutra_http_header(r, "Accept");
	struct ml_base *ml = ctx;
	struct sutra_err err;
	int rc;

	if (!e) {
		sutra_fail(&err, SUTRA_E_NOMEM, "out of memory");
		fail_request(ml, r, &err);
		return;
	}
	*e = (struct embed){ .ml = ml, .request = r, .job = { .done = answer, .gone = client_gone } };
	e->job.deadline_ns = sutra_http_context(r)->deadline_ns;
	e->since_ns = sutra_http_context(r)->started_ns;
	end_stage(e, ML_STAGE_RECEIVE);
	e->binary = accept && strcasestr(accept, "application/octet-stream");
	rc = read_request(e, &err);
	rc = rc ? rc : sutra_batcher_submit(ml->batcher, &e->job, &err);
	if (rc) {	/* else e belongs to the queue */
		fail_request(ml, r, &err);
		embed_free(e);
	}
}
