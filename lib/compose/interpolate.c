#include "compose/interpolate.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

enum { MAX_DEPTH = 16, MAX_NAME = 128, MAX_UNSET = 100 };

struct run {
	sutra_lookup *lookup;
	void *ctx;
	struct sutra_strv *unset;
	struct sutra_err *err;
};

static int expand(const struct run *r, const char *s, size_t n, int depth, struct sutra_buf *out);

static size_t name_length(const char *s, size_t n)
{
	size_t i = 0;

	if (!n || (!isalpha((unsigned char)s[0]) && s[0] != '_'))
		return 0;
	while (i < n && (isalnum((unsigned char)s[i]) || s[i] == '_'))
		i++;
	return i;
}

/* The length of the text up to the brace that closes ${. Nested braces are counted; when they do not
 * balance, the last brace closes it, as in Compose. n: there is none. */
static size_t closing_brace(const char *s, size_t n)
{
	size_t last = n;
	int open = 0;

	for (size_t i = 0; i < n; i++) {
		if (s[i] == '{')
			open++;
		else if (s[i] == '}' && open-- == 0)
			return i;
		if (s[i] == '}')
			last = i;
	}
	return last;
}

static int copy_name(const struct run *r, const char *s, size_t n, char name[MAX_NAME])
{
	if (n >= MAX_NAME)
		return sutra_fail(r->err, SUTRA_E_SYNTAX, "\"%.40s\": a variable's name is longer than %d", s,
				  MAX_NAME - 1);
	memcpy(name, s, n);
	name[n] = '\0';
	return 0;
}

/* A variable without operator and word. */
static int plain(const struct run *r, const char *name, struct sutra_buf *out)
{
	const char *value = r->lookup(r->ctx, name);

	if (value)
		sutra_buf_adds(out, value);
	else if (r->unset && r->unset->n < MAX_UNSET && !sutra_strv_has(r->unset, name) &&
		 sutra_strv_add(r->unset, name))
		return sutra_fail(r->err, SUTRA_E_NOMEM, "out of memory");
	return 0;
}

static int required(const struct run *r, const char *name, const char *word, size_t n, int depth)
{
	struct sutra_buf message;
	int rc;

	sutra_buf_init(&message, 400);
	rc = expand(r, word, n, depth + 1, &message);
	if (!rc)
		rc = sutra_fail(r->err, SUTRA_E_SETTING, "required variable %s is missing%s%s", name,
				message.len ? ": " : "", sutra_buf_str(&message));
	sutra_buf_release(&message);
	return rc;
}

/* The text inside ${...}: a name, then optionally an operator and its word. */
static int braced(const struct run *r, const char *s, size_t n, int depth, struct sutra_buf *out)
{
	size_t len = name_length(s, n), at = len;
	char name[MAX_NAME];
	const char *value;
	bool colon, usable;
	int rc;

	if (!len)
		return sutra_fail(r->err, SUTRA_E_SYNTAX, "\"${%.*s}\" holds no variable name",
				  (int)(n < 60 ? n : 60), s);
	rc = copy_name(r, s, len, name);
	if (rc || at == n)
		return rc ? rc : plain(r, name, out);
	value = r->lookup(r->ctx, name);
	colon = s[at] == ':';
	at += colon;
	if (at == n || !strchr("-?+", s[at]))
		return sutra_fail(r->err, SUTRA_E_SYNTAX,
				  "\"${%.*s}\": after the name :-, -, :?, ?, :+ or + may follow",
				  (int)(n < 60 ? n : 60), s);
	usable = value && (*value || !colon);
	if (s[at] == '+')
		return usable ? expand(r, s + at + 1, n - at - 1, depth + 1, out) : 0;
	if (usable) {
		sutra_buf_adds(out, value);
		return 0;
	}
	if (s[at] == '?')
		return required(r, name, s + at + 1, n - at - 1, depth);
	return expand(r, s + at + 1, n - at - 1, depth + 1, out);
}

static int expand(const struct run *r, const char *s, size_t n, int depth, struct sutra_buf *out)
{
	if (depth > MAX_DEPTH)
		return sutra_fail(r->err, SUTRA_E_SYNTAX, "variables are nested deeper than %d", MAX_DEPTH);
	for (size_t i = 0; i < n;) {
		const char *dollar = memchr(s + i, '$', n - i);
		size_t len = dollar ? (size_t)(dollar - s) - i : n - i;
		char name[MAX_NAME];
		int rc;

		sutra_buf_add(out, s + i, len);
		i += len;
		if (i == n)
			break;
		i++;
		if (i < n && s[i] == '$') {
			sutra_buf_addc(out, '$');
			i++;
		} else if (i < n && s[i] == '{') {
			len = closing_brace(s + i + 1, n - i - 1);
			if (len == n - i - 1)
				return sutra_fail(r->err, SUTRA_E_SYNTAX, "\"%.*s\" lacks its closing brace",
						  (int)(n - i < 60 ? n - i + 1 : 60), s + i - 1);
			rc = braced(r, s + i + 1, len, depth, out);
			if (rc)
				return rc;
			i += len + 2;
		} else if ((len = name_length(s + i, n - i))) {
			rc = copy_name(r, s + i, len, name);
			rc = rc ? rc : plain(r, name, out);
			if (rc)
				return rc;
			i += len;
		} else {
			sutra_buf_addc(out, '$');
		}
	}
	return sutra_buf_error(out) ? sutra_fail(r->err, sutra_buf_error(out), "a value is too long") : 0;
}

int sutra_interpolate(const char *text, sutra_lookup *lookup, void *ctx, struct sutra_buf *out,
		      struct sutra_strv *unset, struct sutra_err *err)
{
	const struct run r = { lookup, ctx, unset, err };

	return expand(&r, text, strlen(text), 0, out);
}

const char *sutra_environment(void *ctx, const char *name) { return getenv(name); }
