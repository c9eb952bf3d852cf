/* What ml-base takes and answers; GET /openapi.json is made from this table. */
#include "ml_base.h"

#define STRING {"type": "string"}
#define TEXT {"type": "string", "minLength": 1}
#define INTEGER {"type": "integer"}
#define INTEGERS {"type": "array", "items": INTEGER}
#define VECTOR {"$ref": "#/components/schemas/Vector"}

/* A text is a string, a list of token ids, or a string with a prefix of its own. */
static const char texts[] = SUTRA_SCHEMA({
	"type": "object",
	"properties": {
		"text": TEXT,
		"texts": {"type": "array", "minItems": 1, "maxItems": 2048, "items": {"anyOf": [
			TEXT, {"type": "array", "items": {"type": "integer", "minimum": 0}},
			{"type": "object", "required": ["text"],
			 "properties": {"text": TEXT, "input_type": STRING}}]}},
		"dimension": {"type": "integer", "minimum": 1},
		"normalize": {"type": "boolean"},
		"truncate": {"type": "boolean"},
		"input_type": STRING
	},
	"oneOf": [{"required": ["text"]}, {"required": ["texts"]}]
});

static const char vectors[] = SUTRA_SCHEMA({
	"type": "object",
	"required": ["embeddings", "dimension", "model", "count", "tokens", "truncated", "fingerprint",
		     "processing_time_ms"],
	"properties": {
		"embeddings": {"type": "array", "items": VECTOR}, "embedding": VECTOR,
		"dimension": INTEGER, "count": INTEGER, "tokens": INTEGER, "truncated": INTEGER,
		"model": STRING, "fingerprint": STRING, "processing_time_ms": {"type": "number"}
	}
});

static const char tokens[] = SUTRA_SCHEMA({
	"type": "object",
	"required": ["ids", "tokens_before_truncation", "max_tokens"],
	"properties": {
		"ids": {"type": "array", "items": INTEGERS},
		"tokens_before_truncation": INTEGERS, "max_tokens": INTEGER
	}
});

static const char info[] = SUTRA_SCHEMA({
	"type": "object",
	"required": ["model", "fingerprint", "dimension", "native_dimension", "allowed_dimensions", "precision",
		     "threads", "max_tokens"],
	"properties": {
		"model": STRING, "fingerprint": STRING, "precision": {"enum": ["fp32", "bf16", "int8"]},
		"dimension": INTEGER, "native_dimension": INTEGER, "allowed_dimensions": INTEGERS,
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
