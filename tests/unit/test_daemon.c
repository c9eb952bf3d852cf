/* lib/daemon: the document of a table of routes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ctype.h>
#include <jansson.h>
#include <string.h>

#include "base/jsonio.h"
#include "daemon/daemon.h"
#include "daemon/openapi.h"

static void handler(struct sutra_http_request *r, void *ctx) {}

#define BODY SUTRA_SCHEMA({"type": "object", "required": ["text"]})

static const struct sutra_http_route own[] = {
	{ "POST", "/embed", .handler = handler, .summary = "vectors", .request = BODY, .answer = BODY,
	  .answer_type = "application/octet-stream", .errors = "429 504" },
	{ "GET", "/concepts/{id}/of/{other}", .handler = handler, .errors = "404" },
	{ "DELETE", "/concepts/{id}/of/{other}", .handler = handler, .answer = BODY, .also = "503" },
	{ 0 },
};

static json_t *describe(const struct sutra_http_route *routes)
{
	struct sutra_err err;
	struct sutra_buf b;
	json_t *o = NULL;

	sutra_buf_init(&b, 1 << 20);
	assert_int_equal(sutra_openapi("test", routes, &b, &err), 0);
	assert_int_equal(sutra_json_parse(sutra_buf_str(&b), b.len, &o, &err), 0);
	sutra_buf_release(&b);
	return o;
}

static json_t *operation(const json_t *document, const char *path, const char *method)
{
	char lower[16] = "";

	for (size_t i = 0; method[i]; i++)
		lower[i] = (char)tolower((unsigned char)method[i]);
	return json_object_get(json_object_get(json_object_get(document, "paths"), path), lower);
}

static void every_route_is_described_and_no_other(void **state)
{
	struct sutra_http_route routes[SUTRA_DAEMON_ROUTES];
	size_t n = 0, described = 0;
	json_t *document, *path;
	const char *name;

	sutra_daemon_routes(own, routes);
	document = describe(routes);
	for (; routes[n].method; n++)
		if (!operation(document, routes[n].path, routes[n].method))
			fail_msg("%s %s is not described", routes[n].method, routes[n].path);
	json_object_foreach(json_object_get(document, "paths"), name, path)
		described += json_object_size(path);
	assert_int_equal(described, n);
	assert_int_equal(n, 3 + 5);
	assert_non_null(operation(document, "/openapi.json", "GET"));
	json_decref(document);
}

static const char *text_at(const json_t *o, const char *const *keys)
{
	for (; *keys; keys++)
		o = json_object_get(o, *keys);
	return json_string_value(o);
}

static void a_row_says_what_it_takes_and_answers(void **state)
{
	static const char *const body[] = { "requestBody", "content", "application/json", "schema", "type", NULL };
	static const char *const answer[] = { "responses", "200", "content", "application/json", "schema", "type", NULL };
	static const char *const late[] = { "responses", "504", "$ref", NULL };
	json_t *document = describe(own), *op = operation(document, "/embed", "POST"), *content, *list;

	assert_string_equal(text_at(op, body), "object");
	assert_string_equal(text_at(op, answer), "object");
	assert_string_equal(text_at(op, late), "#/components/responses/Error");
	content = json_object_get(json_object_get(json_object_get(op, "responses"), "200"), "content");
	assert_non_null(json_object_get(content, "application/octet-stream"));

	op = operation(document, "/concepts/{id}/of/{other}", "DELETE");
	list = json_object_get(op, "parameters");
	assert_string_equal(json_string_value(json_object_get(json_array_get(list, 0), "name")), "id");
	assert_string_equal(json_string_value(json_object_get(json_array_get(list, 1), "name")), "other");
	assert_string_equal(json_string_value(json_object_get(json_array_get(list, 1), "in")), "path");
	assert_string_equal(json_string_value(json_object_get(op, "operationId")), "delete_concepts_id_of_other");
	content = json_object_get(json_object_get(json_object_get(op, "responses"), "503"), "content");
	list = json_object_get(json_object_get(json_object_get(content, "application/json"), "schema"), "anyOf");
	assert_int_equal(json_array_size(list), 2);
	assert_null(json_object_get(op, "requestBody"));
	json_decref(document);
}

static void a_schema_that_is_none_is_named(void **state)
{
	static const struct sutra_http_route bad[][2] = {
		{ { "GET", "/a", .handler = handler, .answer = "{" }, { 0 } },
		{ { "POST", "/b", .handler = handler, .request = "{" }, { 0 } },
	};
	struct sutra_err err;
	struct sutra_buf b;

	sutra_buf_init(&b, 1 << 20);
	assert_int_equal(sutra_openapi("test", bad[0], &b, &err), SUTRA_E_SYNTAX);
	assert_non_null(strstr(err.message, "the schema of GET /a"));
	assert_int_equal(sutra_openapi("test", bad[1], &b, &err), SUTRA_E_SYNTAX);
	assert_non_null(strstr(err.message, "the schema of POST /b"));
	assert_int_equal(b.len, 0);
	sutra_buf_release(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_route_is_described_and_no_other),
		cmocka_unit_test(a_row_says_what_it_takes_and_answers),
		cmocka_unit_test(a_schema_that_is_none_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
