/* What the gateway takes and answers; GET /openapi.json is made from this table. */
#include "gateway.h"

#define TEXTS                                                                                         \
	SUTRA_SCHEMA({                                                                                \
		"type": "object",                                                                     \
		"properties": {                                                                       \
			"text": {"type": "string", "minLength": 1},                                   \
			"texts": {"type": "array", "minItems": 1, "maxItems": 2048,                   \
				  "items": {"type": "string", "minLength": 1}},                       \
			"dimension": {"type": "integer", "minimum": 1},                               \
			"normalize": {"type": "boolean"},                                             \
			"truncate": {"type": "boolean"},                                              \
			"input_type": {"type": "string"}                                              \
		},                                                                                    \
		"oneOf": [{"required": ["text"]}, {"required": ["texts"]}]                            \
	})

/* Past the cache (normalize or truncate false) the answer is ml-base's, without cached and cache. */
#define VECTORS                                                                                       \
	SUTRA_SCHEMA({                                                                                \
		"type": "object",                                                                     \
		"required": ["embeddings", "dimension", "model", "count", "tokens", "truncated",      \
			     "processing_time_ms"],                                                   \
		"properties": {                                                                       \
			"embeddings": {"type": "array", "items": {"$ref": "#/components/schemas/Vector"}}, \
			"embedding": {"$ref": "#/components/schemas/Vector"},                         \
			"dimension": {"type": "integer"},                                             \
			"model": {"type": "string"},                                                  \
			"count": {"type": "integer"},                                                 \
			"tokens": {"type": "integer"},                                                \
			"truncated": {"type": "integer"},                                             \
			"cached": {"type": "array", "items": {"type": "boolean"}},                    \
			"cache": {"type": "object", "required": ["l1", "l2", "miss"]},                \
			"processing_time_ms": {"type": "number"}                                      \
		}                                                                                     \
	})

#define INPUT                                                                                         \
	SUTRA_SCHEMA({                                                                                \
		"type": "object",                                                                     \
		"required": ["input"],                                                                \
		"properties": {                                                                       \
			"input": {"anyOf": [                                                          \
				{"type": "string", "minLength": 1},                                   \
				{"type": "array", "minItems": 1, "maxItems": 2048, "items": {"anyOf": [ \
					{"type": "string", "minLength": 1},                           \
					{"type": "integer", "minimum": 0},                            \
					{"type": "array", "items": {"type": "integer", "minimum": 0}}]}}]}, \
			"model": {"type": "string"},                                                  \
			"dimensions": {"type": "integer", "minimum": 1},                              \
			"encoding_format": {"enum": ["float", "base64"]},                             \
			"input_type": {"type": "string"}                                              \
		}                                                                                     \
	})

#define LIST                                                                                          \
	SUTRA_SCHEMA({                                                                                \
		"type": "object",                                                                     \
		"required": ["object", "data", "model", "usage"],                                     \
		"properties": {                                                                       \
			"object": {"const": "list"},                                                  \
			"model": {"type": "string"},                                                  \
			"data": {"type": "array", "items": {                                          \
				"type": "object", "required": ["object", "index", "embedding"],       \
				"properties": {                                                       \
					"object": {"const": "embedding"},                             \
					"index": {"type": "integer"},                                 \
					"embedding": {"anyOf": [{"type": "string"},                   \
								{"$ref": "#/components/schemas/Vector"}]}}}}, \
			"usage": {"type": "object", "required": ["prompt_tokens", "total_tokens"]}    \
		}                                                                                     \
	})

#define MODEL                                                                                         \
	SUTRA_SCHEMA({                                                                                \
		"type": "object",                                                                     \
		"required": ["id", "object", "created", "owned_by", "fingerprint", "dimension"],      \
		"properties": {                                                                       \
			"id": {"type": "string"},                                                     \
			"object": {"const": "model"},                                                 \
			"created": {"type": "integer"},                                               \
			"owned_by": {"type": "string"},                                               \
			"fingerprint": {"type": "string"},                                            \
			"dimension": {"type": "integer"}                                              \
		}                                                                                     \
	})

#define MODELS                                                                                        \
	SUTRA_SCHEMA({                                                                                \
		"type": "object",                                                                     \
		"required": ["object", "data"],                                                       \
		"properties": {"object": {"const": "list"}, "data": {"type": "array"}}                \
	})

#define STATS                                                                                         \
	SUTRA_SCHEMA({                                                                                \
		"type": "object",                                                                     \
		"required": ["enabled", "l1", "l2", "total", "coalesced", "ttl_seconds", "history"],  \
		"properties": {                                                                       \
			"enabled": {"type": "boolean"},                                               \
			"l1": {"type": "object", "required": ["size", "max_size", "hits", "misses", "latency_us"]}, \
			"l2": {"type": "object", "required": ["enabled", "up", "shard", "hits", "misses", "errors"]}, \
			"total": {"type": "object", "required": ["requests", "hits", "misses", "hit_rate"]}, \
			"coalesced": {"type": "integer"},                                             \
			"ttl_seconds": {"type": "integer"},                                           \
			"history": {"type": "array"}                                                  \
		}                                                                                     \
	})

#define CLEARED                                                                                       \
	SUTRA_SCHEMA({                                                                                \
		"type": "object",                                                                     \
		"required": ["cleared", "l1", "l2"],                                                  \
		"properties": {                                                                       \
			"cleared": {"type": "boolean"},                                               \
			"l1": {"type": "integer"},                                                    \
			"l2": {"type": "integer"}                                                     \
		}                                                                                     \
	})

#define WARMED                                                                                        \
	SUTRA_SCHEMA({                                                                                \
		"type": "object",                                                                     \
		"required": ["warmed", "computed"],                                                   \
		"properties": {"warmed": {"type": "integer"}, "computed": {"type": "integer"}}        \
	})

#define TEXT                                                                                          \
	SUTRA_SCHEMA({                                                                                \
		"type": "object",                                                                     \
		"required": ["text"],                                                                 \
		"properties": {"text": {"type": "string", "minLength": 1}, "input_type": {"type": "string"}} \
	})

#define INVALIDATED                                                                                   \
	SUTRA_SCHEMA({                                                                                \
		"type": "object",                                                                     \
		"required": ["invalidated"],                                                          \
		"properties": {"invalidated": {"type": "integer"}}                                    \
	})

const struct sutra_http_route gw_routes[] = {
	{ "POST", "/embed", .handler = gw_embed, .summary = "vectors of texts", .request = TEXTS, .answer = VECTORS,
	  .answer_type = "application/octet-stream", .errors = "429 504" },
	{ "POST", "/v1/embeddings", .handler = gw_openai, .fail = gw_openai_fail, .summary = "the same as OpenAI's",
	  .request = INPUT, .answer = LIST, .errors = "429 504" },
	{ "GET", "/v1/models", .handler = gw_models, .fail = gw_openai_fail, .summary = "the model, in a list",
	  .answer = MODELS },
	{ "GET", "/v1/models/{id}", .handler = gw_model_by_id, .fail = gw_openai_fail, .summary = "the model of that name",
	  .answer = MODEL, .errors = "404" },
	{ "GET", "/cache/stats", .handler = gw_cache_stats, .summary = "hits, misses, sizes and times of both levels",
	  .answer = STATS },
	{ "GET", "/cache/clear", .handler = gw_cache_clear, .summary = "empties both levels", .answer = CLEARED,
	  .also = "503" },
	{ "POST", "/cache/clear", .handler = gw_cache_clear, .summary = "empties both levels", .answer = CLEARED,
	  .also = "503" },
	{ "DELETE", "/cache", .handler = gw_cache_clear, .summary = "empties both levels", .answer = CLEARED,
	  .also = "503" },
	{ "POST", "/cache/warm", .handler = gw_cache_warm, .summary = "computes and keeps vectors of texts",
	  .request = TEXTS, .request_type = "application/x-ndjson", .answer = WARMED, .errors = "429 504" },
	{ "POST", "/cache/invalidate", .handler = gw_cache_invalidate, .summary = "drops a text from both levels",
	  .request = TEXT, .answer = INVALIDATED, .also = "503" },
	{ 0 },
};
