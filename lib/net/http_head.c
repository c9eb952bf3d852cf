#include "net/http_head.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "net/http_path.h"

/* tchar of RFC 9110, 5.6.2 */
static bool is_token(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)p[i]) && (!p[i] || !strchr("!#$%&'*+-.^_`|~", p[i])))
			return false;
	return n > 0;
}

static bool is(const char *p, size_t n, const char *word) { return n == strlen(word) && !strncasecmp(p, word, n); }

static int syntax(struct sutra_err *err, const char *what)
{
	sutra_fail(err, SUTRA_E_SYNTAX, "%s", what);
	return sutra_hint(err, "send a request of HTTP/1.1");
}

int sutra_http_head_fail(int code, struct sutra_err *err)
{
	switch (code) {
	case SUTRA_E_LONGURI:
		sutra_fail(err, code, "the address has more than %d bytes", SUTRA_HTTP_MAX_TARGET);
		return sutra_hint(err, "texts go into the body");
	case SUTRA_E_LONGHEAD:
		sutra_fail(err, code, "the headers have more than %d bytes", SUTRA_HTTP_MAX_HEAD);
		return sutra_hint(err, "send fewer, or shorter ones");
	default:
		return syntax(err, "the address holds a blank or a control character");
	}
}

static int check_target(const char *p, size_t n)
{
	if (n > SUTRA_HTTP_MAX_TARGET)
		return SUTRA_E_LONGURI;
	for (size_t i = 0, len; i < n; i += len) {
		unsigned char c = sutra_http_byte(p + i, n - i, &len);

		if (c < ' ' || c == 127 || p[i] == ' ')
			return SUTRA_E_SYNTAX;
	}
	return n ? 0 : SUTRA_E_SYNTAX;
}

int sutra_http_target(const char *target) { return check_target(target, strlen(target)); }

void sutra_http_framing(struct sutra_http_framing *f, const char *name, size_t n, const char *value, size_t m)
{
	if (is(name, n, "Content-Length")) {
		f->bad_length |= !m || m > 18;
		for (size_t i = 0; i < m; i++)
			f->bad_length |= !isdigit((unsigned char)value[i]);
		f->differs |= f->lengths && (f->length_len != m || memcmp(f->length, value, m));
		f->length = f->lengths ? f->length : value;
		f->length_len = f->lengths++ ? f->length_len : m;
	} else if (is(name, n, "Transfer-Encoding")) {
		f->codings++;
		f->other_coding |= !is(value, m, "chunked");
	} else if (is(name, n, "Host")) {
		f->hosts++;
	}
}

int sutra_http_framing_check(const struct sutra_http_framing *f, struct sutra_err *err)
{
	if (f->other_coding || f->codings > 1) {
		sutra_fail(err, SUTRA_E_UNSUPPORTED, "the body's transfer coding is not supported");
		return sutra_hint(err, "send Content-Length, or Transfer-Encoding: chunked");
	}
	if (f->differs || (f->lengths && f->codings)) {
		sutra_fail(err, SUTRA_E_SYNTAX, "the headers give the body more than one length");
		return sutra_hint(err, "send one Content-Length, or Transfer-Encoding: chunked");
	}
	if (f->bad_length) {
		sutra_fail(err, SUTRA_E_SYNTAX, "Content-Length is not one number");
		return sutra_hint(err, "send one Content-Length, in digits");
	}
	if (f->hosts > 1)
		return syntax(err, "there is more than one Host");
	return 0;
}

/* METHOD SP target SP HTTP/1.x */
static int check_line(const char *p, size_t n, bool *ret_probe, struct sutra_err *err)
{
	static const char *const probes[] = { "/health", "/ready", "/ping", "/metrics" };
	const char *target = memchr(p, ' ', n), *version;
	size_t len;
	int rc;

	if (!target || !is_token(p, (size_t)(target - p)))
		return syntax(err, "the first line is no request");
	target++;
	version = memrchr(target, ' ', (size_t)(p + n - target));
	if (!version || p + n - version != 9 || memcmp(version + 1, "HTTP/", 5))
		return syntax(err, "the first line is no request");
	len = (size_t)(version - target);
	rc = check_target(target, len);
	if (rc)
		return sutra_http_head_fail(rc, err);
	if (memcmp(version + 6, "1.", 2) || !isdigit((unsigned char)version[8])) {
		sutra_fail(err, SUTRA_E_VERSION, "HTTP/%.3s is not spoken here", version + 6);
		return sutra_hint(err, "HTTP/1.1 is");
	}
	for (size_t i = 0; i < sizeof(probes) / sizeof(*probes); i++)
		*ret_probe |= (is(p, (size_t)(target - p) - 1, "GET") || is(p, (size_t)(target - p) - 1, "HEAD")) &&
			      is(target, len, probes[i]);
	return 0;
}

static int check_header(const char *p, size_t n, struct sutra_http_framing *f, struct sutra_err *err)
{
	const char *colon = memchr(p, ':', n), *value, *end = p + n;

	if (!colon || !is_token(p, (size_t)(colon - p)))
		return syntax(err, "a header has no name, or blanks in it");
	for (value = colon + 1; value < end && (*value == ' ' || *value == '\t'); value++)
		;
	while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	for (const char *c = value; c < end; c++)
		if (((unsigned char)*c < ' ' && *c != '\t') || *c == 127)
			return syntax(err, "a header holds a control character");
	sutra_http_framing(f, p, (size_t)(colon - p), value, (size_t)(end - value));
	return 0;
}

int sutra_http_head(const char *p, size_t n, bool *ret_probe, struct sutra_err *err)
{
	struct sutra_http_framing f = { 0 };
	const char *end = p + n, *line = NULL, *lf;
	bool probe = false;
	int rc;

	while (end - p >= 2 && !memcmp(p, "\r\n", 2))	/* before a request line: RFC 9112, 2.2 */
		p += 2;
	if (p < end && !isalpha((unsigned char)*p) && *p != '\r')
		return syntax(err, "this is not HTTP");
	for (; (lf = memchr(p, '\n', (size_t)(end - p))); p = lf + 1) {
		if (lf == p || lf[-1] != '\r')
			return syntax(err, "a line ends without a carriage return");
		if (lf - 1 == p) {
			rc = sutra_http_framing_check(&f, err);
			*ret_probe = !rc && probe;
			return rc ? rc : 1;
		}
		rc = line ? check_header(p, (size_t)(lf - 1 - p), &f, err) : check_line(p, (size_t)(lf - 1 - p), &probe, err);
		if (rc)
			return rc;
		line = p;
	}
	if (n >= SUTRA_HTTP_MAX_HEAD)
		return sutra_http_head_fail(line ? SUTRA_E_LONGHEAD : SUTRA_E_LONGURI, err);
	return 0;
}
