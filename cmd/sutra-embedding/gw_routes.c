/* The routes of the gateway, from which GET /openapi.json is made, too. */
#include "daemon/openapi.h"
#include "gateway.h"

static const char texts[] = SUTRA_SCHEMA({EMBED_BODY(TEXT)});

/* If normalize or truncate is false the answer is ml-base's, without cached and cache. */
static const char vectors[] = SUTRA_SCHEMA({
	OBJECT("embeddings", "dimension", "model", "count", "tokens", "truncated", "processing_time_ms") {
		EMBED_ANSWER, "cached": LIST(BOOLEAN),
		"cache": {"type": "object", "required": ["l1", "l2", "miss"]}
	}
});

static const char input[] = SUTRA_SCHEMA({
	OBJECT("input") {
		"input": {"anyOf": [TEXT, {"type": "array", "minItems": 1, "maxItems": 2048, "items": {"anyOf": [
			TEXT, {"type": "integer", "minimum": 0}, TOKEN_IDS]}}]},
		"model": STRING,
		"dimensions": {"type": "integer", "minimum": 1},
		"encoding_format": {"enum": ["float", "base64"]},
		"input_type": STRING
	}
});

static const char list[] = SUTRA_SCHEMA({
	OBJECT("object", "data", "model", "usage") {
		"object": {"const": "list"},
		"model": STRING,
		"data": LIST({OBJECT("object", "index", "embedding") {
			"object": {"const": "embedding"}, "index": INTEGER, "embedding": {"anyOf": [STRING, VECTOR]}
		}}),
		"usage": {"type": "object", "required": ["prompt_tokens", "total_tokens"]}
	}
});

static const char model[] = SUTRA_SCHEMA({
	OBJECT("id", "object", "created", "owned_by", "fingerprint", "dimension") {
		"id": STRING, "object": {"const": "model"}, "created": INTEGER, "owned_by": STRING,
		"fingerprint": STRING, "dimension": INTEGER
	}
});

static const char models[] = SUTRA_SCHEMA({
	OBJECT("object", "data") {"object": {"const": "list"}, "data": {"type": "array"}}
});

static const char stats[] = SUTRA_SCHEMA({
	OBJECT("enabled", "l1", "l2", "total", "coalesced", "ttl_seconds", "history") {
		"enabled": BOOLEAN, "coalesced": INTEGER, "ttl_seconds": INTEGER,
		"l1": {"type": "object", "required": ["size", "max_size", "hits", "misses", "latency_us"]},
		"l2": {"type": "object", "required": ["enabled", "up", "shard", "hits", "misses", "errors"]},
		"total": {"type": "object", "required": ["requests", "hits", "misses", "hit_rate"]},
		"history": {"type": "array"}
	}
});

static const char cleared[] = SUTRA_SCHEMA({
	OBJECT("cleared", "l1", "l2") {"cleared": BOOLEAN, "l1": INTEGER, "l2": INTEGER}
});

const struct sutra_http_route gw_routes[] = {
	{ "POST", "/embed", .handler = gw_embed, .summary = "vectors of texts",
	  .request = texts, .answer = vectors, .answer_type = "application/octet-stream", .errors = "429 504" },
	{ "POST", "/v1/embeddings", .handler = gw_openai, .fail = gw_openai_fail,
	  .summary = "the same as OpenAI's", .request = input, .answer = list, .errors = "429 504" },
	{ "GET", "/v1/models", .handler = gw_models, .fail = gw_openai_fail,
	  .summary = "the model, in a list", .answer = models },
	{ "GET", "/v1/models/{id}", .handler = gw_model_by_id, .fail = gw_openai_fail,
	  .summary = "the model of that name", .answer = model, .errors = "404" },
	{ "GET", "/cache/stats", .handler = gw_cache_stats,
	  .summary = "hits, misses, sizes and times of both levels", .answer = stats },
	{ "GET", "/cache/clear", .handler = gw_cache_clear, .summary = "empties both levels", .answer = cleared,
	  .also = "503" },
	{ "POST", "/cache/clear", .handler = gw_cache_clear, .summary = "empties both levels", .answer = cleared,
	  .also = "503" },
	{ "DELETE", "/cache", .handler = gw_cache_clear, .summary = "empties both levels", .answer = cleared,
	  .also = "503" },
	{ "POST", "/cache/warm", .handler = gw_cache_warm, .summary = "computes and keeps vectors of texts",
	  .request = texts, .request_type = "application/x-ndjson", .errors = "429 504",
	  .answer = SUTRA_SCHEMA({OBJECT("warmed", "computed") {"warmed": INTEGER, "computed": INTEGER}}) },
	{ "POST", "/cache/invalidate", .handler = gw_cache_invalidate, .summary = "drops a text from both levels",
	  .request = SUTRA_SCHEMA({OBJECT("text") {"text": TEXT, "input_type": STRING}}),
	  .answer = SUTRA_SCHEMA({OBJECT("invalidated") {"invalidated": INTEGER}}), .also = "503" },
	{ 0 },
};
