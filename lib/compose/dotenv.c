#include "compose/dotenv.h"

#include <ctype.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"

enum { MAX_FILE = 1 << 20, MAX_NAMES = 10000, MAX_NAME = 256, MAX_BYTES = 16 << 20 };

struct parser {
	const char *file, *at, *end;
	int line;
	char name[MAX_NAME];	/* of the statement */
	size_t bytes;		/* of all values */
	struct sutra_dotenv how;
	struct sutra_env *env;
	struct sutra_err *err;
};

static int fail(struct parser *p, const char *what, const char *hint)
{
	sutra_fail(p->err, SUTRA_E_SETTING, "%s:%d: %s%s%s", p->file, p->line, p->name,
		   *p->name ? ": " : "", what);
	if (hint)
		sutra_hint(p->err, "%s", hint);
	return SUTRA_E_SETTING;
}

static int out_of_memory(struct parser *p)
{
	return sutra_fail(p->err, SUTRA_E_NOMEM, "out of memory");
}

/* White space beyond ASCII: the first two also separate words, all are removed after a value. */
static const char *const wide[] = {
	"\u00a0", "\xc2\x85", "\u1680", "\u2000", "\u2001", "\u2002", "\u2003",
	"\u2004", "\u2005",	"\u2006", "\u2007", "\u2008", "\u2009", "\u200a",
	"\u2028", "\u2029",	"\u202f", "\u205f", "\u3000",
};
enum { SEPARATORS = 2, ALL = sizeof(wide) / sizeof(*wide) };

/* The length of the white space character at s, ASCII or one of the first n wide ones; 0: none. */
static size_t space_at(const char *s, const char *end, size_t n)
{
	if (s < end && strchr(" \t\n\v\f\r", *s))
		return 1;
	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(wide[i]);

		if ((size_t)(end - s) >= len && !memcmp(s, wide[i], len))
			return len;
	}
	return 0;
}

static void skip_blanks(struct parser *p)
{
	while (p->at < p->end && *p->at != '\n') {
		size_t n = space_at(p->at, p->end, SEPARATORS);

		if (!n)
			break;
		p->at += n;
	}
}

/* Moves to the next statement; false at the end. */
static bool next_statement(struct parser *p)
{
	size_t n;

	while (p->at < p->end) {
		const char *newline = memchr(p->at, '\n', (size_t)(p->end - p->at));

		if (*p->at == '#') {
			p->at = newline ? newline : p->end;
		} else if ((n = space_at(p->at, p->end, ALL))) {
			p->line += *p->at == '\n';
			p->at += n;
		} else {
			break;
		}
	}
	return p->at < p->end;
}

/* Reads the name and moves to the value; *ret_bare: there is none. */
static int read_name(struct parser *p, bool *ret_bare)
{
	const char *start;
	size_t n;

	*p->name = '\0';
	if (p->end - p->at > 6 && !strncmp(p->at, "export", 6) && strchr(" \t\n\v\f\r", p->at[6])) {
		p->at += 6;
		skip_blanks(p);
	}
	start = p->at;
	while (p->at < p->end && (isalnum((unsigned char)*p->at) || (unsigned char)*p->at >= 0x80 ||
				  strchr("_.-[]", *p->at)) && !space_at(p->at, p->end, ALL))
		p->at++;
	n = (size_t)(p->at - start);
	if (n >= sizeof(p->name))
		return fail(p, "a name is longer than 255 bytes", NULL);
	memcpy(p->name, start, n);
	p->name[n] = '\0';
	skip_blanks(p);
	*ret_bare = p->at == p->end || *p->at == '\n';
	if (!n || (!*ret_bare && *p->at != '=' && *p->at != ':')) {
		*p->name = '\0';	/* it may be part of a secret */
		return fail(p, "this is not NAME=value",
			    "a name is letters, digits and _ . - [ ]; # begins a comment; a value over lines "
			    "needs quotes");
	}
	p->at += !*ret_bare;
	return 0;
}

static int check(struct parser *p, const char *value)
{
	int rc = p->how.check ? p->how.check(p->name, value, p->err) : 0;

	if (rc)
		sutra_err_prefix(p->err, "%s:%d", p->file, p->line);
	return rc;
}

static int set(struct parser *p, const char *value)
{
	int rc = check(p, value);

	if (rc)
		return rc;
	p->bytes += strlen(value);
	if (p->env->n >= MAX_NAMES || p->bytes > MAX_BYTES)
		return fail(p, "the file holds more than 10000 names or 16 MiB of values", NULL);
	return sutra_env_set(p->env, p->name, value) ? out_of_memory(p) : 0;
}

static const char *variable(void *parser, const char *name)
{
	const struct parser *p = parser;
	const char *value = p->how.lookup(p->how.ctx, name);

	return value ? value : sutra_env_get(p->env, name);
}

static int set_expanded(struct parser *p, const char *text)
{
	struct sutra_err why = { 0 };
	struct sutra_buf value;
	int rc;

	sutra_buf_init(&value, SUTRA_MAX_VALUE);
	rc = sutra_interpolate(text, variable, p, &value, p->how.unset, &why);
	if (rc == SUTRA_E_SETTING || rc == SUTRA_E_TOOBIG)
		rc = fail(p, why.message, NULL);
	else if (rc == SUTRA_E_SYNTAX)	/* its message shows the value */
		rc = fail(p, "a \"${\" begins no variable, or is not closed",
			  "write $$ for a dollar, or put the value into '...'");
	else
		rc = rc ? out_of_memory(p) : set(p, sutra_buf_str(&value));
	sutra_buf_release(&value);
	return rc;
}

static int read_text(struct parser *p)
{
	const char *newline = memchr(p->at, '\n', (size_t)(p->end - p->at));
	const char *end = newline ? newline : p->end;
	const char *comment = memmem(p->at, (size_t)(end - p->at), " #", 2), *last = p->at;
	char *text;
	int rc;

	for (const char *s = p->at; s < (comment ? comment : end);) {
		size_t n = space_at(s, end, ALL);

		s += n ? n : 1;
		last = n ? last : s;
	}
	text = sutra_strndup(p->at, (size_t)(last - p->at));
	p->at = end;
	rc = text ? set_expanded(p, text) : out_of_memory(p);
	sutra_free(text);
	return rc;
}

static void add_codepoint(struct sutra_buf *b, unsigned c)
{
	if (c >= 0x80)
		sutra_buf_addc(b, (char)(0xc0 | c >> 6));
	sutra_buf_addc(b, (char)(c < 0x80 ? c : 0x80 | (c & 0x3f)));
}

/* \0NNN is a character from 1 to 255; with fewer or other digits only the 0 is removed. */
static const char *add_octal(struct sutra_buf *b, const char *s, const char *end)
{
	unsigned value = 0, n = 0, octal = 0;

	for (; n < 3 && s + n < end && isdigit((unsigned char)s[n]); n++) {
		octal += s[n] < '8';
		value = value * 8 + (unsigned)(s[n] - '0');
	}
	if (octal == 3 && value < 256) {
		add_codepoint(b, value);
	} else {
		sutra_buf_addc(b, '\\');
		sutra_buf_add(b, s, n);
	}
	return s + n;
}

/* The text between double quotes; "$$" is kept for sutra_interpolate. */
static void add_unescaped(struct sutra_buf *b, const char *s, const char *end)
{
	static const char letters[] = "abfnrtv\\\"", meanings[] = "\a\b\f\n\r\t\v\\\"";

	while (s < end) {
		const char *letter = *s == '\\' && s + 1 < end && s[1] ? strchr(letters, s[1]) : NULL;

		if (letter) {
			sutra_buf_addc(b, meanings[letter - letters]);
			s += 2;
		} else if (*s == '\\' && s + 1 < end && s[1] == '$') {
			sutra_buf_adds(b, "$$");
			s += 2;
		} else if (*s == '\\' && s + 1 < end && s[1] == '0') {
			s = add_octal(b, s + 2, end);
		} else {
			sutra_buf_addc(b, *s++);
		}
	}
}

static void add_literal(struct sutra_buf *b, const char *s, const char *end)
{
	for (; s < end; s++)
		if (*s != '\\' || s + 1 == end || s[1] != '\'')
			sutra_buf_addc(b, *s);
}

static int read_quoted(struct parser *p)
{
	const char quote = *p->at, *start = p->at + 1, *s = start;
	struct sutra_buf text;
	int rc;

	while (s < p->end && *s != quote)
		s += *s == '\\' && s + 1 < p->end ? 2 : 1;
	if (s >= p->end)
		return fail(p, quote == '"' ? "the quote \" is not closed" : "the quote ' is not closed", NULL);
	sutra_buf_init(&text, MAX_FILE);
	if (quote == '"')
		add_unescaped(&text, start, s);
	else
		add_literal(&text, start, s);
	p->at = s + 1;
	if (sutra_buf_error(&text))
		rc = out_of_memory(p);
	else if (strlen(sutra_buf_str(&text)) < text.len)
		rc = fail(p, "the value holds a NUL byte", NULL);
	else if (p->at < p->end && *p->at != '#' && !space_at(p->at, p->end, ALL))
		rc = fail(p, "text stands right behind the closing quote", "put the whole value into the quotes");
	else
		rc = quote == '"' ? set_expanded(p, sutra_buf_str(&text)) : set(p, sutra_buf_str(&text));
	for (s = start; s < p->at; s++)
		p->line += *s == '\n';
	sutra_buf_release(&text);
	return rc;
}

static int read_statement(struct parser *p)
{
	bool bare;
	const char *value;
	int rc = read_name(p, &bare);

	if (rc)
		return rc;
	if (bare) {
		value = p->how.lookup(p->how.ctx, p->name);
		return value ? set(p, value) : check(p, NULL);
	}
	skip_blanks(p);
	return p->at < p->end && (*p->at == '"' || *p->at == '\'') ? read_quoted(p) : read_text(p);
}

int sutra_dotenv_parse(const char *text, size_t n, const char *file, const struct sutra_dotenv *how,
		       struct sutra_env *env, struct sutra_err *err)
{
	struct parser p = { .file = file, .at = text, .end = text + n, .line = 1, .env = env, .err = err };
	const char *nul = memchr(text, '\0', n);
	size_t bad = nul ? (size_t)(nul - text) : n;
	int rc = 0;

	if (how)
		p.how = *how;
	if (!p.how.lookup)
		p.how.lookup = sutra_environment;
	if (!sutra_str_utf8(text, bad, &bad) || nul) {
		for (size_t i = 0; i < bad; i++)
			p.line += text[i] == '\n';
		return fail(&p, "this is no UTF-8 text", "save the file as UTF-8");
	}
	p.at += sutra_str_bom(text, n);
	while (!rc && next_statement(&p))
		rc = read_statement(&p);
	return rc;
}

int sutra_dotenv_read(const char *path, const struct sutra_dotenv *how, struct sutra_env *env,
		      struct sutra_err *err)
{
	size_t n;
	char *text;
	int rc = sutra_file_read(path, MAX_FILE, &text, &n, err);

	if (rc)
		return rc;
	rc = sutra_dotenv_parse(text, n, path, how, env, err);
	sutra_free(text);
	return rc;
}
