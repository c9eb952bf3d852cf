/* What the gateway takes and answers; GET /openapi.json is made from this table. */
#include "gateway.h"

#define STRING {"type": "string"}
#define TEXT {"type": "string", "minLength": 1}
#define INTEGER {"type": "integer"}
#define VECTOR {"$ref": "#/components/schemas/Vector"}

static const char texts[] = SUTRA_SCHEMA({
	"type": "object",
	"properties": {
		"text": TEXT,
		"texts": {"type": "array", "minItems": 1, "maxItems": 2048, "items": TEXT},
		"dimension": {"type": "integer", "minimum": 1},
		"normalize": {"type": "boolean"},
		"truncate": {"type": "boolean"},
		"input_type": STRING
	},
	"oneOf": [{"required": ["text"]}, {"required": ["texts"]}]
});

/* Past the cache (normalize or truncate false) the answer is ml-base's, without cached and cache. */
static const char vectors[] = SUTRA_SCHEMA({
	"type": "object",
	"required": ["embeddings", "dimension", "model", "count", "tokens", "truncated", "processing_time_ms"],
	"properties": {
		"embeddings": {"type": "array", "items": VECTOR}, "embedding": VECTOR,
		"dimension": INTEGER, "count": INTEGER, "tokens": INTEGER, "truncated": INTEGER,
		"model": STRING, "processing_time_ms": {"type": "number"},
		"cached": {"type": "array", "items": {"type": "boolean"}},
		"cache": {"type": "object", "required": ["l1", "l2", "miss"]}
	}
});

static const char input[] = SUTRA_SCHEMA({
	"type": "object",
	"required": ["input"],
	"properties": {
		"input": {"anyOf": [TEXT, {"type": "array", "minItems": 1, "maxItems": 2048, "items": {"anyOf": [
			TEXT, {"type": "integer", "minimum": 0},
			{"type": "array", "items": {"type": "integer", "minimum": 0}}]}}]},
		"model": STRING,
		"dimensions": {"type": "integer", "minimum": 1},
		"encoding_format": {"enum": ["float", "base64"]},
		"input_type": STRING
	}
});

static const char list[] = SUTRA_SCHEMA({
	"type": "object",
	"required": ["object", "data", "model", "usage"],
	"properties": {
		"object": {"const": "list"},
		"model": STRING,
		"data": {"type": "array", "items": {
			"type": "object",
			"required": ["object", "index", "embedding"],
			"properties": {
				"object": {"const": "embedding"}, "index": INTEGER,
				"embedding": {"anyOf": [STRING, VECTOR]}
			}
		}},
		"usage": {"type": "object", "required": ["prompt_tokens", "total_tokens"]}
	}
});

static const char model[] = SUTRA_SCHEMA({
	"type": "object",
	"required": ["id", "object", "created", "owned_by", "fingerprint", "dimension"],
	"properties": {
		"id": STRING, "object": {"const": "model"}, "created": INTEGER, "owned_by": STRING,
		"fingerprint": STRING, "dimension": INTEGER
	}
});

static const char models[] = SUTRA_SCHEMA({
	"type": "object",
	"required": ["object", "data"],
	"properties": {"object": {"const": "list"}, "data": {"type": "array"}}
});

static const char stats[] = SUTRA_SCHEMA({
	"type": "object",
	"required": ["enabled", "l1", "l2", "total", "coalesced", "ttl_seconds", "history"],
	"properties": {
		"enabled": {"type": "boolean"}, "coalesced": INTEGER, "ttl_seconds": INTEGER,
		"l1": {"type": "object", "required": ["size", "max_size", "hits", "misses", "latency_us"]},
		"l2": {"type": "object", "required": ["enabled", "up", "shard", "hits", "misses", "errors"]},
		"total": {"type": "object", "required": ["requests", "hits", "misses", "hit_rate"]},
		"history": {"type": "array"}
	}
});

static const char cleared[] = SUTRA_SCHEMA({
	"type": "object",
	"required": ["cleared", "l1", "l2"],
	"properties": {"cleared": {"type": "boolean"}, "l1": INTEGER, "l2": INTEGER}
});

static const char warmed[] = SUTRA_SCHEMA({
	"type": "object",
	"required": ["warmed", "computed"],
	"properties": {"warmed": INTEGER, "computed": INTEGER}
});

static const char text[] = SUTRA_SCHEMA({
	"type": "object",
	"required": ["text"],
	"properties": {"text": TEXT, "input_type": STRING}
});

static const char invalidated[] = SUTRA_SCHEMA({
	"type": "object",
	"required": ["invalidated"],
	"properties": {"invalidated": INTEGER}
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
	  .request = texts, .request_type = "application/x-ndjson", .answer = warmed, .errors = "429 504" },
	{ "POST", "/cache/invalidate", .handler = gw_cache_invalidate, .summary = "drops a text from both levels",
	  .request = text, .answer = invalidated, .also = "503" },
	{ 0 },
};
