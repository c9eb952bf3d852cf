#include "compose/yaml.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "base/shown.h"

enum { STEP = 2 };

/* Words that some reader takes for a boolean or nothing (YAML 1.1 has the longer list). */
static bool is_reserved(const char *s, size_t n)
{
	static const char *const words[] = { "y",  "n",	  "yes",  "no",	  "on",	  "off",
					     "true", "false", "null", "none", "inf", "nan" };

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (strlen(words[i]) == n && !strncasecmp(words[i], s, n))
			return true;
	return false;
}

/* Letters first, then what paths, names and addresses are made of; ':' only inside a word. */
static bool is_bare(const char *s, size_t n)
{
	if (!n || (!isalpha((unsigned char)s[0]) && s[0] != '/') || s[n - 1] == ':')
		return false;
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)s[i] >= 0x80 || (!isalnum((unsigned char)s[i]) && !strchr("_-./:@", s[i])))
			return false;
	return !is_reserved(s, n);
}

/* Whether "|" can carry it: printable lines, of which the first begins with a word. */
static bool is_block(const char *s, size_t n)
{
	if (n < 2 || s[n - 1] != '\n' || s[n - 2] == '\n' || !memchr(s, '\n', n - 1) || isspace((unsigned char)s[0]))
		return false;
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];

		if ((c < 0x20 && c != '\n') || c == 0x7f || c >= 0x80 || (c == ' ' && s[i + 1] == '\n'))
			return false;
	}
	return true;
}

static void indent(struct sutra_buf *b, int depth)
{
	for (int i = 0; i < depth * STEP; i++)
		sutra_buf_addc(b, ' ');
}

static void add_quoted(struct sutra_buf *b, const char *s, size_t n)
{
	sutra_buf_addc(b, '"');
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c == '"' || c == '\\')
			sutra_buf_addf(b, "\\%c", c);
		else if (c == '\n')
			sutra_buf_adds(b, "\\n");
		else if (c == '\t')
			sutra_buf_adds(b, "\\t");
		else if (c < 0x20 || c == 0x7f)
			sutra_buf_addf(b, "\\x%02x", c);
		else
			sutra_buf_addc(b, (char)c);
	}
	sutra_buf_addc(b, '"');
}

static void add_block(struct sutra_buf *b, const char *s, size_t n, int depth)
{
	sutra_buf_addc(b, '|');
	for (const char *line = s; line < s + n;) {
		size_t len = (size_t)((const char *)memchr(line, '\n', (size_t)(s + n - line)) - line);

		sutra_buf_addc(b, '\n');
		if (len)
			indent(b, depth);
		sutra_buf_add(b, line, len);
		line += len + 1;
	}
}

static void add_text(struct sutra_buf *b, const char *s, size_t n, int depth)
{
	if (is_bare(s, n))
		sutra_buf_add(b, s, n);
	else if (is_block(s, n))
		add_block(b, s, n, depth);
	else
		add_quoted(b, s, n);
}

static void add_value(struct sutra_buf *b, const json_t *v, int depth, bool in_list);

static void add_object(struct sutra_buf *b, const json_t *v, int depth, bool in_list)
{
	bool first = true;
	const char *key;
	json_t *item;

	json_object_foreach((json_t *)v, key, item) {
		bool nested = json_is_object(item) || json_is_array(item);

		if (!first || !in_list)
			sutra_buf_addc(b, '\n');
		if (!first || !in_list)
			indent(b, depth);
		first = false;
		if (is_bare(key, strlen(key)))
			sutra_buf_adds(b, key);
		else
			add_quoted(b, key, strlen(key));
		sutra_buf_adds(b, nested && (json_object_size(item) || json_array_size(item)) ? ":" : ": ");
		add_value(b, item, depth + 1, false);
	}
}

static void add_list(struct sutra_buf *b, const json_t *v, int depth)
{
	size_t i;
	json_t *item;

	json_array_foreach(v, i, item) {
		sutra_buf_addc(b, '\n');
		indent(b, depth);
		sutra_buf_adds(b, "- ");
		add_value(b, item, depth + 1, true);
	}
}

/* A list in a list stands on its own lines; none of our documents has one, all readers know it. */
static void add_value(struct sutra_buf *b, const json_t *v, int depth, bool in_list)
{
	if (json_is_object(v) && json_object_size(v))
		add_object(b, v, depth, in_list);
	else if (json_is_array(v) && json_array_size(v))
		add_list(b, v, depth);
	else if (json_is_string(v))
		add_text(b, json_string_value(v), json_string_length(v), depth);
	else if (json_is_integer(v))
		sutra_buf_addf(b, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
	else if (json_is_boolean(v))
		sutra_buf_adds(b, json_is_true(v) ? "true" : "false");
	else if (json_is_real(v))
		sutra_buf_addf(b, "%.17g", json_real_value(v));
	else
		sutra_buf_adds(b, json_is_object(v) ? "{}" : json_is_array(v) ? "[]" : "null");
}

void sutra_yaml_add(struct sutra_buf *b, const json_t *value)
{
	struct sutra_buf plain;

	sutra_buf_init(&plain, b->max);
	add_value(&plain, value, 0, true);
	sutra_shown_json(b, sutra_buf_str(&plain), plain.len);	/* YAML's quoted texts know \u too */
	if (sutra_buf_error(&plain))
		b->error = sutra_buf_error(&plain);
	sutra_buf_addc(b, '\n');
	sutra_buf_release(&plain);
}
