/*
 * Text is read once, from the left. At the start of every word the rules are tried in order: a rule gets
 * the rest of the text, appends what may be shown, and returns the number of bytes that it replaced; 0:
 * the text does not have its form. Names are compared by their parts, without regard to case: "token" is
 * a part of API_TOKEN and accessToken, and not of max_tokens and tokenizer.
 */
#include "base/mask.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/str.h"

enum { LEAST_SECRET = 4, MAX_NAME = 80, MAX_SECRET = 4096 };

struct sutra_mask {
	struct sutra_strv secrets;
};

struct sutra_mask *sutra_mask_new(void) { return sutra_calloc(1, sizeof(struct sutra_mask)); }

void sutra_mask_free(struct sutra_mask *m)
{
	if (m)
		sutra_strv_release(&m->secrets);
	sutra_free(m);
}

static int add_base64(struct sutra_mask *m, const char *text)
{
	size_t n = strlen(text), keep;
	char *out = sutra_alloc(4 * ((n + 2) / 3) + 1);
	int rc;

	if (!out)
		return SUTRA_E_NOMEM;
	sutra_base64(text, n, out);
	keep = strcspn(out, "=");	/* some write it without padding */
	rc = sutra_strv_addn(&m->secrets, out, keep);
	sutra_free(out);
	return rc;
}

static bool is_constant(const char *s, size_t n)
{
	static const char *const words[] = { "true", "false", "null", "none", "unset", "-", SUTRA_MASKED };

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (strlen(words[i]) == n && !strncasecmp(s, words[i], n))
			return true;
	return false;
}

/* Such words and small numbers occur everywhere: masking them would make the text useless. */
static bool is_common(const char *value, size_t n)
{
	return n < LEAST_SECRET || is_constant(value, n) || (n < 6 && strspn(value, "0123456789") == n);
}

int sutra_mask_secret(struct sutra_mask *m, const char *value)
{
	size_t n = value ? strlen(value) : 0;
	struct sutra_buf quoted;
	char *hex;
	int rc;

	if (n > MAX_SECRET || is_common(value, n) || sutra_strv_has(&m->secrets, value))
		return 0;
	sutra_buf_init(&quoted, 3 * MAX_SECRET + 1);
	sutra_buf_add_quoted(&quoted, value);
	hex = sutra_alloc(2 * n + 1);
	rc = sutra_strv_add(&m->secrets, value);
	if (!rc && strcmp(sutra_buf_str(&quoted), value) != 0)
		rc = sutra_strv_add(&m->secrets, sutra_buf_str(&quoted));
	rc = rc ? rc : add_base64(m, value);
	if (!rc && hex) {
		sutra_hex((const uint8_t *)value, n, hex);
		rc = sutra_strv_add(&m->secrets, hex);
	}
	sutra_free(hex);
	sutra_buf_release(&quoted);
	return rc;
}

int sutra_mask_login(struct sutra_mask *m, const char *user, const char *password)
{
	char *both;
	int rc;

	if (!user || !password)
		return 0;
	both = sutra_asprintf("%s:%s", user, password);
	rc = both ? add_base64(m, both) : SUTRA_E_NOMEM;
	sutra_free(both);
	return rc;
}

/* Searches for part without regard to case; a letter must not follow it, unless it begins a word of
 * camelCase. */
static bool has_part(const char *name, const char *part)
{
	size_t n = strlen(part);

	for (const char *at = name; (at = strcasestr(at, part)); at++)
		if (!isalpha((unsigned char)at[n]) || (islower((unsigned char)at[n - 1]) && isupper((unsigned char)at[n])))
			return true;
	return false;
}

bool sutra_mask_is_secret_name(const char *name)
{
	static const char *const anywhere[] = { "password",   "passwd", "passphrase",	 "secret",
						"credential", "apikey", "authorization", "cookie" };
	static const char *const parts[] = {
		"token", "pwd", "pass", "pw", "api_key", "api-key", "access_key", "access-key", "private_key",
		"private-key", "_key", "-key", "accesskey", "privatekey", "signature", "session", "sessionid",
		"session_id", "jwt", "auth", "salt", "pin", "otp",
	};

	if (!strcmp(name, "PWD") || !strcmp(name, "OLDPWD"))
		return false;	/* the shell's folders */
	for (size_t i = 0; i < sizeof(anywhere) / sizeof(*anywhere); i++)
		if (strcasestr(name, anywhere[i]))
			return true;
	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
		if (has_part(name, parts[i]))
			return true;
	return false;
}

static bool in_name(char c) { return isalnum((unsigned char)c) || c == '_' || c == '-' || c == '.'; }
static bool is_blank(char c) { return c == ' ' || c == '\t'; }
static bool in_token(char c) { return in_name(c) || c == '~' || c == '+' || c == '/' || c == '='; }

static size_t span(const char *s, const char *end, bool (*in)(char))
{
	const char *at = s;

	while (at < end && in(*at))
		at++;
	return (size_t)(at - s);
}

static bool begins(const char *s, const char *end, const char *word)
{
	size_t n = strlen(word);

	return (size_t)(end - s) >= n && !strncasecmp(s, word, n);
}

static size_t blanks(const char *s, const char *end) { return span(s, end, is_blank); }

static size_t line_rest(const char *s, const char *end)
{
	const char *stop = memchr(s, '\n', (size_t)(end - s));

	return (size_t)((stop ? stop : end) - s);
}

static size_t private_key(const char *s, const char *end, struct sutra_buf *out)
{
	const char *stop;

	if (!begins(s, end, "-----BEGIN ") || !memmem(s, line_rest(s, end), "PRIVATE KEY", 11))
		return 0;
	stop = memmem(s, (size_t)(end - s), "-----END ", 9);
	sutra_buf_adds(out, "-----BEGIN PRIVATE KEY " SUTRA_MASKED);
	if (!stop)
		return (size_t)(end - s);
	return (size_t)(stop - s) + line_rest(stop, end);
}

/* A token with a well-known beginning. */
static size_t known_token(const char *s, const char *end, struct sutra_buf *out)
{
	static const char *const beginnings[] = {
		"eyJ", "sk-", "sk_", "pk_", "rk_", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-",
		"xox", "AKIA", "ASIA", "AIza", "hf_", "npm_", "pypi-", "dop_v1_", "SG.", "ya29.", "shpat_", "hvs.",
	};
	size_t n = 0;

	for (size_t i = 0; !n && i < sizeof(beginnings) / sizeof(*beginnings); i++)
		if (!strncmp(s, beginnings[i], strlen(beginnings[i])))
			n = span(s, end, in_token);
	if (n < 16)
		return 0;
	sutra_buf_adds(out, SUTRA_MASKED);
	return n;
}

/* "Bearer TOKEN", "Basic TOKEN". */
static size_t scheme(const char *s, const char *end, struct sutra_buf *out)
{
	size_t word = begins(s, end, "bearer") ? 6 : begins(s, end, "basic") ? 5 : 0, gap, n;

	if (!word)
		return 0;
	gap = blanks(s + word, end);
	n = span(s + word + gap, end, in_token);
	if (!gap || n < LEAST_SECRET)
		return 0;
	sutra_buf_add(out, s, word);
	sutra_buf_adds(out, " " SUTRA_MASKED);
	return word + gap + n;
}

/* "://user:password@", behind a scheme that has been copied already. */
static size_t userinfo(const char *s, const char *end, struct sutra_buf *out)
{
	const char *at;

	if (!begins(s, end, "://"))
		return 0;
	for (at = s + 3; at < end && !strchr("/?# \t\r\n\"'<>\\", *at); at++)
		if (*at == '@')
			break;
	if (at >= end || *at != '@')
		return 0;
	while (memchr(at + 1, '@', strcspn(at + 1, "/?# \t\r\n\"'<>\\")))	/* an @ in the password */
		at = strchr(at + 1, '@');
	sutra_buf_adds(out, "://" SUTRA_MASKED "@");
	return (size_t)(at + 1 - s);
}

/* The length of the value that begins at s, with its quotes. */
static size_t value_length(const char *s, const char *end, bool whole_line)
{
	const char *at = s;
	size_t escaped = s < end && *s == '\\' && s + 1 < end && (s[1] == '"' || s[1] == '\'');

	if (escaped || (s < end && (*s == '"' || *s == '\''))) {
		char quote = s[escaped];

		for (at = s + 1 + escaped; at < end && *at != '\n'; at++) {
			if (escaped && *at == '\\' && at + 1 < end && at[1] == quote)
				return (size_t)(at + 2 - s);
			if (!escaped && *at == '\\' && at + 1 < end)
				at++;
			else if (!escaped && *at == quote)
				return (size_t)(at + 1 - s);
		}
		return (size_t)(at - s);
	}
	while (at < end && *at != '\n' && *at != '"' && (whole_line || !strchr(" \t\r,;&}])'<", *at)))
		at++;
	return (size_t)(at - s);
}

/* The length of what separates a name from its value: "=", ": ", "\":", " => ", and a single blank after an
 * option or a word such as password. 0: no value follows. */
static size_t separator(const char *name, size_t n, const char *s, const char *end)
{
	const char *at = s;
	bool sign = false;

	if (at + 1 < end && *at == '\\' && (at[1] == '"' || at[1] == '\''))
		at += 2;
	else
		at += at < end && (*at == '"' || *at == '\'');
	at += blanks(at, end);
	while (at < end && (*at == '=' || *at == ':' || (sign && *at == '>'))) {
		sign = true;
		at++;
	}
	if (!sign && at == s)
		return 0;
	if (!sign && strncmp(name, "--", 2) != 0 && !(n >= 4 && !strncasecmp(name + n - 4, "auth", 4)) &&
	    !(n >= 8 && !strncasecmp(name + n - 8, "password", 8)) && !(n == 10 && !strncasecmp(name, "passphrase", n)))
		return 0;
	at += blanks(at, end);
	if (!sign && (begins(at, end, "is ") || begins(at, end, "was ")))
		at += *at == 'i' ? 3 : 4;
	return (size_t)(at - s);
}

/* NAME=value, "name": "value", --name value, name value. */
static size_t named(const char *s, const char *end, struct sutra_buf *out)
{
	size_t n = span(s, (size_t)(end - s) > MAX_NAME ? s + MAX_NAME : end, in_name), gap, value;
	char name[MAX_NAME];
	bool whole;

	if (!n || n >= sizeof(name))
		return 0;
	snprintf(name, sizeof(name), "%.*s", (int)n, s);
	if (!sutra_mask_is_secret_name(name))
		return 0;
	gap = separator(name, n, s + n, end);
	if (!gap)
		return 0;
	whole = strcasestr(name, "authorization") || strcasestr(name, "cookie");
	value = value_length(s + n + gap, end, whole);
	if (!value || strchr("{[", s[n + gap]) || is_constant(s + n + gap, value))
		return 0;
	sutra_buf_add(out, s, n + gap);
	if (strchr("\"'", s[n + gap]))
		sutra_buf_addf(out, "%c" SUTRA_MASKED "%c", s[n + gap], s[n + gap]);
	else
		sutra_buf_adds(out, SUTRA_MASKED);
	return n + gap + value;
}

/* curl's -u user:password, --user user:password. */
static size_t login(const char *s, const char *end, struct sutra_buf *out)
{
	size_t word = begins(s, end, "--user") ? 6 : begins(s, end, "-u") ? 2 : 0, gap, n;
	const char *colon;

	if (!word || s + word >= end)
		return 0;
	gap = s[word] == '=' ? 1 : blanks(s + word, end);
	n = value_length(s + word + gap, end, false);
	colon = memchr(s + word + gap, ':', n);
	if (!gap || !colon)
		return 0;
	sutra_buf_add(out, s, word + gap);
	sutra_buf_adds(out, SUTRA_MASKED);
	return word + gap + n;
}

static void mask_by_form(const char *text, size_t n, struct sutra_buf *out)
{
	static size_t (*const rules[])(const char *, const char *, struct sutra_buf *) = {
		private_key, userinfo, scheme, login, named, known_token,
	};
	const char *end = text + n;

	for (const char *at = text; at < end;) {
		bool start = at == text || !in_name(at[-1]) || at[-1] == '-' || *at == ':';
		size_t took = 0;

		for (size_t i = 0; start && !took && i < sizeof(rules) / sizeof(*rules); i++)
			took = rules[i](at, end, out);
		if (!took)
			sutra_buf_addc(out, *at);
		at += took ? took : 1;
	}
}

void sutra_mask_add(const struct sutra_mask *m, const char *text, size_t n, struct sutra_buf *out)
{
	struct sutra_buf plain;

	sutra_buf_init(&plain, out->max);
	for (size_t i = 0; i < n;) {
		size_t took = 0;

		for (size_t k = 0; m && k < m->secrets.n; k++) {
			size_t len = strlen(m->secrets.items[k]);

			if (len > took && len <= n - i && !memcmp(text + i, m->secrets.items[k], len))
				took = len;
		}
		if (took)
			sutra_buf_adds(&plain, SUTRA_MASKED);
		else
			sutra_buf_addc(&plain, text[i]);
		i += took ? took : 1;
	}
	if (sutra_buf_error(&plain))
		out->error = sutra_buf_error(&plain);
	else
		mask_by_form(sutra_buf_str(&plain), plain.len, out);
	sutra_buf_release(&plain);
}
