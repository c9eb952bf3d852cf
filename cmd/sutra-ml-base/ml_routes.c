/* The routes of ml-base, from which GET /openapi.json is made, too. */
#include "daemon/openapi.h"
#include "ml_base.h"

static const char texts[] = SUTRA_SCHEMA({
	EMBED_BODY({"anyOf": [TEXT, TOKEN_IDS, {OBJECT("text") {"text": TEXT, "input_type": STRING}}]})
});

static const char vectors[] = SUTRA_SCHEMA({
	OBJECT("embeddings", "dimension", "model", "count", "tokens", "truncated", "fingerprint",
	       "processing_time_ms") {EMBED_ANSWER, "fingerprint": STRING}
});

static const char tokens[] = SUTRA_SCHEMA({
	OBJECT("ids", "tokens_before_truncation", "max_tokens") {
		"ids": LIST(LIST(INTEGER)), "tokens_before_truncation": LIST(INTEGER), "max_tokens": INTEGER
	}
});

static const char info[] = SUTRA_SCHEMA({
	OBJECT("model", "fingerprint", "dimension", "native_dimension", "allowed_dimensions", "precision",
	       "threads", "max_tokens") {
		"model": STRING, "fingerprint": STRING, "precision": {"enum": ["fp32", "bf16", "int8"]},
		"dimension": INTEGER, "native_dimension": INTEGER, "allowed_dimensions": LIST(INTEGER),
		"threads": INTEGER, "max_tokens": INTEGER
	}
});

const struct sutra_http_route ml_routes[] = {
	{ "POST", "/embed", .handler = ml_embed, .summary = "vectors of texts",
	  .request = texts, .answer = vectors, .answer_type = "application/octet-stream", .errors = "429 504" },
	{ "POST", "/tokenize", .handler = ml_tokenize, .summary = "token ids of texts", .request = texts,
	  .answer = tokens },
	{ "GET", "/info", .handler = ml_info, .summary = "the model and its limits", .answer = info },
	{ 0 },
};
