#include "base/jsonio.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"

int sutra_json_parse(const char *text, size_t n, json_t **ret, struct sutra_err *err)
{
	json_error_t e;
	json_t *v = json_loadb(text, n, JSON_DECODE_ANY | JSON_ALLOW_NUL, &e);

	if (!v)
		return sutra_fail(err, SUTRA_E_SYNTAX, "malformed JSON at line %d column %d: %s",
				  e.line, e.column, e.text);
	*ret = v;
	return 0;
}

int sutra_json_read(const char *path, size_t max, json_t **ret, struct sutra_err *err)
{
	size_t n;
	char *text;
	int rc = sutra_file_read(path, max, &text, &n, err);

	if (rc)
		return rc;
	rc = sutra_json_parse(text, n, ret, err);
	if (rc)
		sutra_err_prefix(err, "%s", path);
	sutra_free(text);
	return rc;
}

const char *sutra_json_type_name(const json_t *v)
{
	static const char *const names[] = { "an object", "an array",  "a string", "an integer",
					     "a number",  "true",      "false",    "null" };

	return v ? names[json_typeof(v)] : "nothing";
}

static const json_t *member(const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);

	return json_is_null(v) ? NULL : v;
}

static int wrong_type(const char *key, const char *want, const json_t *v, struct sutra_err *err)
{
	return sutra_fail(err, SUTRA_E_INVALID, "field \"%s\" must be %s, not %s", key, want,
			  sutra_json_type_name(v));
}

int sutra_json_get_string(const json_t *o, const char *key, const char **ret, struct sutra_err *err)
{
	const json_t *v = member(o, key);

	if (v && !json_is_string(v))
		return wrong_type(key, "a string", v, err);
	if (v)
		*ret = json_string_value(v);
	return 0;
}

int sutra_json_get_int(const json_t *o, const char *key, int64_t *ret, struct sutra_err *err)
{
	const json_t *v = member(o, key);

	if (v && !json_is_integer(v))
		return wrong_type(key, "an integer", v, err);
	if (v)
		*ret = json_integer_value(v);
	return 0;
}

int sutra_json_get_double(const json_t *o, const char *key, double *ret, struct sutra_err *err)
{
	const json_t *v = member(o, key);

	if (v && !json_is_number(v))
		return wrong_type(key, "a number", v, err);
	if (v)
		*ret = json_number_value(v);
	return 0;
}

int sutra_json_get_bool(const json_t *o, const char *key, bool *ret, struct sutra_err *err)
{
	const json_t *v = member(o, key);

	if (v && !json_is_boolean(v))
		return wrong_type(key, "true or false", v, err);
	if (v)
		*ret = json_is_true(v);
	return 0;
}

void sutra_json_add_string(struct sutra_buf *b, const char *s, size_t n)
{
	size_t from = 0;

	sutra_buf_addc(b, '"');
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c >= 0x20 && c != '"' && c != '\\')
			continue;
		sutra_buf_add(b, s + from, i - from);
		from = i + 1;
		if (c == '"' || c == '\\') {
			sutra_buf_addc(b, '\\');
			sutra_buf_addc(b, (char)c);
		} else if (c == '\n') {
			sutra_buf_adds(b, "\\n");
		} else {
			sutra_buf_addf(b, "\\u%04x", c);
		}
	}
	sutra_buf_add(b, s + from, n - from);
	sutra_buf_addc(b, '"');
}

void sutra_json_add_float(struct sutra_buf *b, float v)
{
	char text[32];
	int n = 0;

	if (!isfinite(v)) {
		sutra_buf_adds(b, "null");
		return;
	}
	for (int digits = 6; digits <= 9; digits++) {
		n = snprintf(text, sizeof(text), "%.*g", digits, (double)v);
		if (strtof(text, NULL) == v)
			break;
	}
	sutra_buf_add(b, text, (size_t)n);
}

void sutra_json_add_floats(struct sutra_buf *b, const float *v, size_t n)
{
	sutra_buf_addc(b, '[');
	for (size_t i = 0; i < n; i++) {
		if (i)
			sutra_buf_addc(b, ',');
		sutra_json_add_float(b, v[i]);
	}
	sutra_buf_addc(b, ']');
}

static int add_chunk(const char *data, size_t n, void *b)
{
	sutra_buf_add(b, data, n);
	return sutra_buf_error(b) ? -1 : 0;
}

void sutra_json_add(struct sutra_buf *b, const json_t *v, int indent)
{
	json_dump_callback(v, add_chunk, b,
			   JSON_ENCODE_ANY | JSON_SORT_KEYS |
				   (indent ? JSON_INDENT((size_t)indent) : JSON_COMPACT));
}
