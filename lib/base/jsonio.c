#include "base/jsonio.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/shown.h"
#include "base/str.h"

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
	int rc = sutra_file_read_text(path, max, &text, &n, err);

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
		sutra_shown_json(b, s + from, i - from);
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
	sutra_shown_json(b, s + from, n - from);
	sutra_buf_addc(b, '"');
}

static void add_clean(struct sutra_buf *b, const char *s, size_t n)
{
	size_t at;

	while (!sutra_str_utf8(s, n, &at)) {
		sutra_buf_add(b, s, at);
		sutra_buf_adds(b, "\xEF\xBF\xBD");
		s += at + 1;
		n -= at + 1;
	}
	sutra_buf_add(b, s, n);
}

void sutra_json_add_bytes(struct sutra_buf *b, const char *s, size_t n)
{
	struct sutra_buf clean;

	sutra_buf_init(&clean, 3 * n + 1);
	add_clean(&clean, s, n);
	sutra_json_add_string(b, sutra_buf_str(&clean), clean.len);
	sutra_buf_release(&clean);
}

json_t *sutra_json_text(const char *s)
{
	struct sutra_buf clean;
	json_t *o;

	sutra_buf_init(&clean, 3 * strlen(s) + 1);
	add_clean(&clean, s, strlen(s));
	o = json_string(sutra_buf_str(&clean));
	sutra_buf_release(&clean);
	return o;
}

/*
 * The numbers of embeddings lie between 1e-5 and 10; for them this is about ten times as fast as
 * trying printf and strtof. A float times a power of ten up to 1e15 is rounded once to a double, then
 * to a whole number of 6 to 9 digits. A division checks that these digits read back as the same
 * float. The quotient of two exact doubles is rounded once, and rounding it to a float is a second
 * rounding, which is wrong only when the double lies exactly between two floats: then, as outside
 * of the range, printf is used.
 */
enum { FAST_EXPONENT = 5 };	/* at most this many zeros after the point */

static const double powers[] = { 1e0, 1e1, 1e2,	 1e3,  1e4,  1e5,  1e6,	 1e7,
				 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15 };

static bool reads_back(uint32_t digits, double power, float v)
{
	double back = (double)digits / power;
	uint64_t bits;

	memcpy(&bits, &back, sizeof(bits));
	return (bits & 0x1FFFFFFF) != 0x10000000 && (float)back == v;
}

/* Writes 0 < v < 10 as fixed-point text; returns its length; 0: printf is needed. */
static size_t fast_float(float v, char *out)
{
	unsigned zeros = 0, decimals;
	uint32_t digits = 0;
	size_t len;

	while (zeros <= FAST_EXPONENT && (double)v * powers[zeros] < 1)
		zeros++;	/* v has zeros - 1 zeros after the point, then its digits */
	if (zeros > FAST_EXPONENT || v >= 10)
		return 0;
	for (decimals = zeros + 5; decimals <= zeros + 8; decimals++) {
		digits = (uint32_t)((double)v * powers[decimals] + 0.5);
		if (reads_back(digits, powers[decimals], v))
			break;
	}
	if (decimals > zeros + 8)
		return 0;
	while (decimals && digits % 10 == 0) {
		digits /= 10;
		decimals--;
	}
	len = decimals ? decimals + 2 : 1;
	for (size_t i = len; i-- > 0; digits /= 10) {
		if (i == 1)
			out[i--] = '.';
		out[i] = (char)('0' + digits % 10);
	}
	return len;
}

void sutra_json_add_float(struct sutra_buf *b, float v)
{
	char text[32] = "-";
	size_t n;

	if (!isfinite(v)) {
		sutra_buf_adds(b, "null");
		return;
	}
	n = fast_float(fabsf(v), text + 1);
	if (n) {
		sutra_buf_add(b, v < 0 ? text : text + 1, v < 0 ? n + 1 : n);
		return;
	}
	for (int digits = 6; digits <= 9; digits++) {
		n = (size_t)snprintf(text, sizeof(text), "%.*g", digits, (double)v);
		if (strtof(text, NULL) == v)
			break;
	}
	sutra_buf_add(b, text, n);
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

void sutra_json_dump(struct sutra_buf *b, const json_t *v, size_t flags)
{
	struct sutra_buf plain;

	sutra_buf_init(&plain, b->max);
	json_dump_callback(v, add_chunk, &plain, JSON_ENCODE_ANY | JSON_SORT_KEYS | flags);
	if (sutra_buf_error(&plain))
		b->error = sutra_buf_error(&plain);
	else
		sutra_shown_json(b, sutra_buf_str(&plain), plain.len);
	sutra_buf_release(&plain);
}

void sutra_json_add(struct sutra_buf *b, const json_t *v, int indent)
{
	sutra_json_dump(b, v, indent ? JSON_INDENT((size_t)indent) : JSON_COMPACT);
}

int sutra_json_write(const char *path, size_t max, const json_t *v, struct sutra_err *err)
{
	struct sutra_buf b;
	int rc;

	sutra_buf_init(&b, max);
	sutra_json_add(&b, v, 1);
	rc = sutra_buf_error(&b) ? sutra_fail(err, sutra_buf_error(&b), "%s cannot be written: its document is too long", path) :
				   sutra_file_write(path, b.data, b.len, 0600, err);
	sutra_buf_release(&b);
	return rc;
}
