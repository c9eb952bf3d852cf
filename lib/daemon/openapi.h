/*
 * openapi - an HTTP service's table of routes as an OpenAPI 3.1 document. It describes what the rows say,
 * and what the server does on every route: its refusals, X-Request-Timeout.
 */
#ifndef SUTRA_DAEMON_OPENAPI_H
#define SUTRA_DAEMON_OPENAPI_H

#include "base/buf.h"
#include "base/err.h"
#include "net/http.h"

/* Parts of schemas, for tables of routes: SUTRA_SCHEMA({OBJECT("id") {"id": STRING}}). OBJECT takes the
 * names that are required. */
#define OBJECT(...) "type": "object", "required": [__VA_ARGS__], "properties":
#define LIST(...) {"type": "array", "items": __VA_ARGS__}
#define STRING {"type": "string"}
#define TEXT {"type": "string", "minLength": 1}
#define BOOLEAN {"type": "boolean"}
#define INTEGER {"type": "integer"}
#define TOKEN_IDS LIST({"type": "integer", "minimum": 0})
#define VECTOR {"$ref": "#/components/schemas/Vector"}
/* Members of the body of /embed, which the gateway and ml-base have in common, and of its answer; the
 * argument is what a text of the list may be. */
#define EMBED_BODY(...)                                                                        \
	"type": "object",                                                                      \
	"properties": {                                                                        \
		"text": TEXT,                                                                  \
		"texts": {"type": "array", "minItems": 1, "maxItems": 2048, "items": __VA_ARGS__}, \
		"dimension": {"type": "integer", "minimum": 1},                                \
		"normalize": BOOLEAN, "truncate": BOOLEAN, "input_type": STRING                \
	},                                                                                     \
	"oneOf": [{"required": ["text"]}, {"required": ["texts"]}]
#define EMBED_ANSWER                                                                           \
	"embeddings": LIST(VECTOR), "embedding": VECTOR, "dimension": INTEGER, "count": INTEGER, \
	"tokens": INTEGER, "truncated": INTEGER, "model": STRING, "processing_time_ms": {"type": "number"}

/* Appends the document. SUTRA_E_SYNTAX names a row whose schema is no JSON; SUTRA_E_NOMEM. */
int sutra_openapi(const char *service, const struct sutra_http_route *routes, struct sutra_buf *b,
		  struct sutra_err *err);

#endif
