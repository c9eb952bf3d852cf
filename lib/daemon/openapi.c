#include "daemon/openapi.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/jsonio.h"
#include "base/version.h"

/* Errors of the server itself, before a handler runs (net/http.h). */
static const char refusals[] = "400 403 413 414 415 417 421 422 431 501 503 505";

/* type and param are members of OpenAI's errors, under /v1. */
static const char components[] = SUTRA_SCHEMA({
	"schemas": {
		"Vector": {"type": "array", "items": {"type": "number"}},
		"Error": {
			"type": "object",
			"required": ["error"],
			"properties": {
				"error": {
					"type": "object",
					"required": ["code", "message"],
					"properties": {
						"code": {"type": "string"},
						"message": {"type": "string"},
						"hint": {"type": "string"},
						"type": {"type": "string"},
						"param": {"type": ["string", "null"]}
					}
				}
			}
		}
	},
	"responses": {
		"Error": {
			"description": "what was wrong, and what to do",
			"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
		}
	},
	"parameters": {
		"RequestId": {
			"name": "X-Request-Id", "in": "header", "schema": {"type": "string"},
			"description": "name of the request in logs; it comes back in the answer"
		},
		"Timeout": {
			"name": "X-Request-Timeout", "in": "header",
			"schema": {"type": "integer", "minimum": 1, "maximum": 86400000},
			"description": "milliseconds within which an answer is of use"
		},
		"TraceParent": {
			"name": "traceparent", "in": "header", "schema": {"type": "string"},
			"description": "W3C Trace Context, which is passed on"
		}
	}
});

static json_t *reference(const char *to) { return json_pack("{s:s}", "$ref", to); }

/* Parses a schema of a row; NULL: it is no JSON, and err is filled. */
static json_t *schema(const char *text, const struct sutra_http_route *t, struct sutra_err *err)
{
	json_t *o = NULL;

	if (sutra_json_parse(text, strlen(text), &o, err))
		sutra_err_prefix(err, "the schema of %s %s", t->method, t->path);
	return o;
}

/* Sets each status of a list "404 503" to value, and releases value. */
static void set_each(json_t *responses, const char *list, json_t *value)
{
	char status[4];

	for (const char *at = list ? list : ""; *at; at += strspn(at, " ")) {
		snprintf(status, sizeof(status), "%.3s", at);
		json_object_set(responses, status, value);
		at += strcspn(at, " ");
	}
	json_decref(value);
}

static json_t *responses_of(const struct sutra_http_route *t, struct sutra_err *err)
{
	json_t *all = json_object(), *content = json_object(), *answer = NULL;

	set_each(all, refusals, reference("#/components/responses/Error"));
	set_each(all, t->errors, reference("#/components/responses/Error"));
	if (t->answer && !(answer = schema(t->answer, t, err))) {
		json_decref(content);
		json_decref(all);
		return NULL;
	}
	if (answer)
		json_object_set_new(content, "application/json", json_pack("{s:O}", "schema", answer));
	if (t->answer_type)
		json_object_set_new(content, t->answer_type, json_object());
	json_object_set_new(all, "200", json_pack("{s:s,s:o}", "description", "the answer", "content", content));
	if (t->also)
		set_each(all, t->also,
			 json_pack("{s:s,s:{s:{s:{s:[O,o]}}}}", "description", "the answer, or an error", "content",
				   "application/json", "schema", "anyOf", answer,
				   reference("#/components/schemas/Error")));
	json_decref(answer);
	return all;
}

static json_t *parameters_of(const struct sutra_http_route *t)
{
	json_t *list = json_array();

	for (const char *at = t->path; (at = strchr(at, '{')); at++)
		json_array_append_new(list, json_pack("{s:s%,s:s,s:b,s:{s:s,s:i}}", "name", at + 1,
						      strcspn(at + 1, "}"), "in", "path", "required", 1,
						      "schema", "type", "string", "minLength", 1));
	json_array_append_new(list, reference("#/components/parameters/RequestId"));
	json_array_append_new(list, reference("#/components/parameters/Timeout"));
	json_array_append_new(list, reference("#/components/parameters/TraceParent"));
	return list;
}

/* get_v1_models_id */
static json_t *operation_id(const struct sutra_http_route *t)
{
	char id[128];
	size_t n = 0;

	snprintf(id, sizeof(id), "%s%s", t->method, t->path);
	for (const char *at = id; *at; at++) {
		if (isalnum((unsigned char)*at))
			id[n++] = (char)tolower((unsigned char)*at);
		else if (*at != '}' && n && id[n - 1] != '_')
			id[n++] = '_';
	}
	return json_stringn(id, n);
}

static json_t *operation(const struct sutra_http_route *t, struct sutra_err *err)
{
	json_t *responses = responses_of(t, err), *body = NULL, *op;

	if (responses && t->request)
		body = schema(t->request, t, err);
	if (!responses || (t->request && !body)) {
		json_decref(responses);
		return NULL;
	}
	op = json_pack("{s:o,s:s*,s:o,s:o}", "operationId", operation_id(t), "summary", t->summary, "parameters",
		       parameters_of(t), "responses", responses);
	if (!body)
		return op;
	body = json_pack("{s:{s:o}}", "application/json", "schema", body);
	if (t->request_type)
		json_object_set_new(body, t->request_type, json_pack("{s:{s:s}}", "schema", "type", "string"));
	json_object_set_new(op, "requestBody", json_pack("{s:b,s:o}", "required", 1, "content", body));
	return op;
}

int sutra_openapi(const char *service, const struct sutra_http_route *routes, struct sutra_buf *b,
		  struct sutra_err *err)
{
	json_t *paths = json_object(), *document;
	char title[64], method[16];
	int rc = 0;

	for (const struct sutra_http_route *t = routes; t->method && !rc; t++) {
		json_t *path = json_object_get(paths, t->path), *op = operation(t, err);
		size_t n = 0;

		if (!op) {
			rc = err->code;
			break;
		}
		if (!path)
			json_object_set_new(paths, t->path, path = json_object());
		for (; t->method[n] && n + 1 < sizeof(method); n++)
			method[n] = (char)tolower((unsigned char)t->method[n]);
		method[n] = '\0';
		json_object_set_new(path, method, op);
	}
	snprintf(title, sizeof(title), "sutra-%s", service);
	document = json_pack("{s:s,s:{s:s,s:s},s:o,s:o}", "openapi", "3.1.0", "info", "title", title, "version",
			     SUTRA_VERSION, "paths", paths, "components",
			     json_loads(components, 0, NULL));
	if (!rc && !document)
		rc = sutra_fail(err, SUTRA_E_NOMEM, "out of memory for the description of the routes");
	if (!rc) {
		sutra_json_add(b, document, 0);
		sutra_buf_adds(b, "\n");
	}
	json_decref(document);
	return rc;
}
