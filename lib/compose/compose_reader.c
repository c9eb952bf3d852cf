#include "compose/compose_reader.h"

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"

enum { MAX_NAME = 63, MAX_BYTES = 16 << 20 };	/* MAX_NAME: of a host name, which a service is */

int sutra_reader_fail(struct reader *r, const char *fmt, ...)
{
	char words[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(words, sizeof(words), fmt, ap);
	va_end(ap);
	return sutra_fail(r->err, SUTRA_E_SETTING, "%s:%d: %s", r->file, r->line, words);
}

static void note_line(struct reader *r, struct fy_node *n)
{
	struct fy_token *token = n ? fy_node_get_scalar_token(n) : NULL;
	const struct fy_mark *mark = token ? fy_token_start_mark(token) : NULL;

	if (mark)
		r->line = mark->line + 1;
}

bool sutra_reader_is_null(struct fy_node *n)
{
	size_t len;
	const char *text;

	if (!n)
		return true;
	if (!fy_node_is_scalar(n))
		return false;
	text = fy_node_get_scalar(n, &len);
	return fy_node_get_style(n) == FYNS_PLAIN &&
	       (!len || (len == 1 && *text == '~') || (len == 4 && !memcmp(text, "null", 4)));
}

static const char *kind(struct fy_node *n)
{
	return sutra_reader_is_null(n)	 ? "nothing" :
	       fy_node_is_mapping(n)   ? "a mapping" :
	       fy_node_is_sequence(n)  ? "a list" :
					 "a value";
}

int sutra_reader_string(struct reader *r, struct fy_node *n, void *ret, const char *what)
{
	struct sutra_err why;
	struct sutra_buf b;
	size_t len;
	const char *text;
	char *raw, *copy;
	int rc;

	if (sutra_reader_is_null(n) || !fy_node_is_scalar(n))
		return sutra_reader_fail(r, "%s must be a value, not %s", what, kind(n));
	note_line(r, n);
	text = fy_node_get_scalar(n, &len);
	if (len > SUTRA_MAX_VALUE || memchr(text, '\0', len))
		return sutra_reader_fail(r, "%s is too long or holds a NUL byte", what);
	raw = sutra_strndup(text, len);
	sutra_buf_init(&b, SUTRA_MAX_VALUE);
	rc = raw ? sutra_interpolate(raw, r->lookup, r->ctx, &b, r->unset, &why) : SUTRA_E_NOMEM;
	sutra_free(raw);
	if (rc) {
		sutra_buf_release(&b);
		return sutra_reader_fail(r, "%s: %s", what, rc == SUTRA_E_NOMEM ? "out of memory" : why.message);
	}
	r->bytes += b.len;
	if (r->bytes > MAX_BYTES) {
		sutra_buf_release(&b);
		return sutra_reader_fail(r, "%s: the values of the file are larger than 16 MiB together", what);
	}
	*(char **)ret = copy = sutra_buf_take(&b, NULL);
	return copy ? 0 : sutra_reader_fail(r, "%s: out of memory", what);
}

/* A text that parse reads into ret; 0 or an error that says what is wanted. */
static int read_parsed(struct reader *r, struct fy_node *n, void *ret, const char *what,
		       int (*parse)(const char *text, void *ret), const char *wanted)
{
	char *text;
	int rc = sutra_reader_string(r, n, &text, what);

	if (rc)
		return rc;
	if (parse(text, ret))
		rc = sutra_reader_fail(r, "%s is \"%s\"; %s is wanted", what, text, wanted);
	sutra_free(text);
	return rc;
}

static int parse_bool(const char *text, void *ret) { return sutra_str_bool(text, ret); }
static int parse_size(const char *text, void *ret) { return sutra_str_size(text, ret); }
static int parse_double(const char *text, void *ret) { return sutra_str_double(text, 0, 4096, ret); }

static int parse_duration(const char *text, void *ret)
{
	if (strcmp(text, "0s") && strcmp(text, "0"))
		return strcmp(text, "none") ? sutra_str_duration(text, ret) : SUTRA_E_INVALID;
	*(uint64_t *)ret = 0;
	return 0;
}

int sutra_reader_bool(struct reader *r, struct fy_node *n, void *ret, const char *what)
{
	return read_parsed(r, n, ret, what, parse_bool, "true or false");
}

int sutra_reader_duration(struct reader *r, struct fy_node *n, void *ret_ns, const char *what)
{
	return read_parsed(r, n, ret_ns, what, parse_duration, "a time such as 1m30s");
}

int sutra_reader_size(struct reader *r, struct fy_node *n, void *ret_bytes, const char *what)
{
	return read_parsed(r, n, ret_bytes, what, parse_size, "a size such as 512M");
}

int sutra_reader_double(struct reader *r, struct fy_node *n, void *ret, const char *what)
{
	return read_parsed(r, n, ret, what, parse_double, "a number such as 0.5");
}

int sutra_reader_int(struct reader *r, struct fy_node *n, const char *what, int64_t min, int64_t max,
		     int64_t *ret)
{
	char *text;
	int rc = sutra_reader_string(r, n, &text, what);

	if (rc)
		return rc;
	if (sutra_str_int(text, min, max, ret))
		rc = sutra_reader_fail(r, "%s is \"%s\"; a whole number from %lld to %lld is wanted", what, text,
				       (long long)min, (long long)max);
	sutra_free(text);
	return rc;
}

/* Splits at blanks and removes quotes as a shell does, without its other expansions. */
static int split_words(struct reader *r, const char *s, const char *what, struct sutra_strv *ret)
{
	struct sutra_buf word;
	bool in_word = false;
	char quote = 0;
	int rc = 0;

	sutra_buf_init(&word, SUTRA_MAX_VALUE);
	for (; !rc; s++) {
		if (quote ? *s == quote : *s == '"' || *s == '\'') {
			quote = quote ? 0 : *s;
			in_word = true;
		} else if (!*s || (!quote && strchr(" \t\n", *s))) {
			if (in_word)
				rc = sutra_strv_add(ret, sutra_buf_str(&word));
			sutra_buf_clear(&word);
			in_word = false;
			if (!*s)
				break;
		} else {
			if (*s == '\\' && quote != '\'' && s[1])
				s++;
			sutra_buf_addc(&word, *s);
			in_word = true;
		}
	}
	if (!rc && (quote || sutra_buf_error(&word)))
		rc = sutra_reader_fail(r, "%s: a quote is not closed", what);
	sutra_buf_release(&word);
	return rc == SUTRA_E_NOMEM ? sutra_reader_fail(r, "%s: out of memory", what) : rc;
}

static int add_string(struct reader *r, struct fy_node *n, void *list, const char *what)
{
	char *text;
	int rc = sutra_reader_string(r, n, &text, what);

	if (rc)
		return rc;
	if (sutra_strv_add(list, text))
		rc = sutra_reader_fail(r, "%s: out of memory", what);
	sutra_free(text);
	return rc;
}

int sutra_reader_strings(struct reader *r, struct fy_node *n, void *ret, const char *what)
{
	return sutra_reader_items(r, n, what, add_string, ret);
}

int sutra_reader_words(struct reader *r, struct fy_node *n, void *ret, const char *what)
{
	char *text;
	int rc;

	if (sutra_reader_is_null(n) || fy_node_is_sequence(n))
		return sutra_reader_strings(r, n, ret, what);
	rc = sutra_reader_string(r, n, &text, what);
	if (rc)
		return rc;
	rc = split_words(r, text, what, ret);
	sutra_free(text);
	return rc;
}

int sutra_reader_name(struct reader *r, const char *text, const char *what)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";

	if (isalnum((unsigned char)*text) && !text[strspn(text, letters)] && strlen(text) <= MAX_NAME)
		return 0;
	sutra_reader_fail(r, "%s: \"%.80s\" is no name", what, text);
	return sutra_hint(r->err, "a name is up to %d letters, digits, _ . -, and begins with a letter or digit", MAX_NAME);
}

int sutra_reader_name_skip(struct reader *r, struct fy_node *n, void *object, const char *what)
{
	char *text;
	int rc = sutra_reader_string(r, n, &text, what);

	if (rc)
		return rc;
	rc = sutra_reader_name(r, text, what);
	sutra_free(text);
	return rc;
}

int sutra_reader_list(struct reader *r, struct fy_node *n, const char *what, reader_read *each, void *object)
{
	if (!sutra_reader_is_null(n) && !fy_node_is_sequence(n))
		return sutra_reader_fail(r, "%s must be a list, not %s", what, kind(n));
	return sutra_reader_items(r, n, what, each, object);
}

int sutra_reader_items(struct reader *r, struct fy_node *n, const char *what, reader_read *each, void *object)
{
	struct fy_node *item;
	void *at = NULL;
	int rc = 0;

	if (sutra_reader_is_null(n))
		return 0;
	if (!fy_node_is_sequence(n))
		return each(r, n, object, what);
	while (!rc && (item = fy_node_sequence_iterate(n, &at)))
		rc = each(r, item, object, what);
	return rc;
}

int sutra_reader_pairs(struct reader *r, struct fy_node *n, const char *what,
		       int (*each)(struct reader *r, const char *key, struct fy_node *value, void *object),
		       void *object)
{
	struct fy_node_pair *pair;
	void *at = NULL;
	int rc = 0;

	if (sutra_reader_is_null(n))
		return 0;
	if (!fy_node_is_mapping(n))
		return sutra_reader_fail(r, "%s must be a mapping, not %s", what, kind(n));
	while (!rc && (pair = fy_node_mapping_iterate(n, &at))) {
		struct fy_node *key = fy_node_pair_key(pair);
		size_t len = 0;
		const char *text = key && fy_node_is_scalar(key) ? fy_node_get_scalar(key, &len) : NULL;
		char name[256];

		note_line(r, key);
		if (!text || len >= sizeof(name) || memchr(text, '\0', len))
			return sutra_reader_fail(r, "%s has a key that is no short text", what);
		memcpy(name, text, len);
		name[len] = '\0';
		rc = each(r, name, fy_node_pair_value(pair), object);
	}
	return rc;
}

struct table {
	const struct reader_key *rows;
	const char *what;
	void *object;
};

static int unknown_key(struct reader *r, const struct table *t, const char *key)
{
	const char *names[64], *near;
	size_t n = 0;
	int rc;

	for (const struct reader_key *k = t->rows; k->key && n < 63; k++)
		names[n++] = k->key;
	names[n] = NULL;
	rc = sutra_reader_fail(r, "%s: the key \"%s\" is not known", t->what, key);
	near = sutra_str_nearest(key, names);
	return near ? sutra_hint(r->err, "did you mean \"%s\"?", near) : rc;
}

static bool may_be_empty(const char *key)
{
	return !strcmp(key, "command") || !strcmp(key, "entrypoint") || !strcmp(key, "deploy");
}

static int by_row(struct reader *r, const char *key, struct fy_node *value, void *object)
{
	const struct table *t = object;
	char what[512];
	void *field;

	for (const struct reader_key *k = t->rows; k->key; k++) {
		if (strcmp(k->key, key))
			continue;
		snprintf(what, sizeof(what), "%s.%s", t->what, key);
		if (sutra_reader_is_null(value) && !may_be_empty(key)) {
			sutra_reader_fail(r, "%s has no value", what);
			return sutra_hint(r->err, "remove the key, or write what it is");
		}
		field = (char *)t->object + k->offset;
		if (k->rows)
			return sutra_reader_mapping(r, value, what, k->rows, field);
		return k->read ? k->read(r, value, field, what) : 0;
	}
	return sutra_str_starts(key, "x-") && !sutra_str_starts(key, "x-sutra-") ? 0 : unknown_key(r, t, key);
}

int sutra_reader_mapping(struct reader *r, struct fy_node *n, const char *what,
			 const struct reader_key *rows, void *object)
{
	struct table t = { rows, what, object };

	return sutra_reader_pairs(r, n, what, by_row, &t);
}
