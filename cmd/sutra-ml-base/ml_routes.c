/* What ml-base takes and answers; GET /openapi.json is made from this table. */
#include "ml_base.h"

/* A text is a string, a list of token ids, or a text with a prefix of its own. */
#define TEXTS                                                                                         \
	SUTRA_SCHEMA({                                                                                \
		"type": "object",                                                                     \
		"properties": {                                                                       \
			"text": {"type": "string", "minLength": 1},                                   \
			"texts": {                                                                    \
				"type": "array", "minItems": 1, "maxItems": 2048,                     \
				"items": {"anyOf": [                                                  \
					{"type": "string", "minLength": 1},                           \
					{"type": "array", "items": {"type": "integer", "minimum": 0}}, \
					{"type": "object", "required": ["text"], "properties": {      \
						"text": {"type": "string", "minLength": 1},           \
						"input_type": {"type": "string"}}}]}},                \
			"dimension": {"type": "integer", "minimum": 1},                               \
			"normalize": {"type": "boolean"},                                             \
			"truncate": {"type": "boolean"},                                              \
			"input_type": {"type": "string"}                                              \
		},                                                                                    \
		"oneOf": [{"required": ["text"]}, {"required": ["texts"]}]                            \
	})

#define VECTORS                                                                                       \
	SUTRA_SCHEMA({                                                                                \
		"type": "object",                                                                     \
		"required": ["embeddings", "dimension", "model", "count", "tokens", "truncated",      \
			     "fingerprint", "processing_time_ms"],                                    \
		"properties": {                                                                       \
			"embeddings": {"type": "array", "items": {"$ref": "#/components/schemas/Vector"}}, \
			"embedding": {"$ref": "#/components/schemas/Vector"},                         \
			"dimension": {"type": "integer"},                                             \
			"model": {"type": "string"},                                                  \
			"count": {"type": "integer"},                                                 \
			"tokens": {"type": "integer"},                                                \
			"truncated": {"type": "integer"},                                             \
			"fingerprint": {"type": "string"},                                            \
			"processing_time_ms": {"type": "number"}                                      \
		}                                                                                     \
	})

#define TOKENS                                                                                        \
	SUTRA_SCHEMA({                                                                                \
		"type": "object",                                                                     \
		"required": ["ids", "tokens_before_truncation", "max_tokens"],                        \
		"properties": {                                                                       \
			"ids": {"type": "array", "items": {"type": "array", "items": {"type": "integer"}}}, \
			"tokens_before_truncation": {"type": "array", "items": {"type": "integer"}},  \
			"max_tokens": {"type": "integer"}                                             \
		}                                                                                     \
	})

#define INFO                                                                                          \
	SUTRA_SCHEMA({                                                                                \
		"type": "object",                                                                     \
		"required": ["model", "fingerprint", "dimension", "native_dimension",                 \
			     "allowed_dimensions", "precision", "threads", "max_tokens"],             \
		"properties": {                                                                       \
			"model": {"type": "string"},                                                  \
			"fingerprint": {"type": "string"},                                            \
			"dimension": {"type": "integer"},                                             \
			"native_dimension": {"type": "integer"},                                      \
			"allowed_dimensions": {"type": "array", "items": {"type": "integer"}},        \
			"precision": {"enum": ["fp32", "bf16", "int8"]},                              \
			"threads": {"type": "integer"},                                               \
			"max_tokens": {"type": "integer"}                                             \
		}                                                                                     \
	})

const struct sutra_http_route ml_routes[] = {
	{ "POST", "/embed", .handler = ml_embed, .summary = "vectors of texts", .request = TEXTS, .answer = VECTORS,
	  .answer_type = "application/octet-stream", .errors = "429 504" },
	{ "POST", "/tokenize", .handler = ml_tokenize, .summary = "token ids of texts", .request = TEXTS,
	  .answer = TOKENS },
	{ "GET", "/info", .handler = ml_info, .summary = "the model and its limits", .answer = INFO },
	{ 0 },
};
