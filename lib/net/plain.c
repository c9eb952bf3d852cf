#include "net/plain.h"

#include <ctype.h>
#include <microhttpd.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "base/digest.h"
#include "base/err.h"

bool sutra_plain_looks_http(const char *p)
{
	static const char methods[][5] = { "GET ", "HEAD", "POST", "PUT ", "DELE", "OPTI", "PATC",
					   "TRAC", "CONN" };

	for (size_t i = 0; i < sizeof(methods) / sizeof(*methods); i++)
		if (!memcmp(p, methods[i], 4))
			return true;
	return false;
}

/* Copies the word that ends at stop, at most size - 1 bytes of it. Returns what follows; NULL: the word is
 * empty or does not end. */
static const char *word(const char *p, const char *end, char stop, char *out, size_t size)
{
	size_t n = 0;

	for (; p < end && *p != stop; p++) {
		if (*p <= ' ' || *p == 127)
			return NULL;
		if (n + 1 < size)
			out[n++] = *p;
	}
	out[n] = '\0';
	return n && p < end ? p + 1 : NULL;
}

static bool has_name(const char *line, size_t n, const char *name, const char **ret_value)
{
	size_t len = strlen(name);

	if (n <= len || line[len] != ':' || strncasecmp(line, name, len))
		return false;
	for (line += len + 1, n -= len + 1; n && (*line == ' ' || *line == '\t'); n--)
		line++;
	*ret_value = line;
	return true;
}

static void read_header(struct sutra_plain *r, const char *line, size_t n)
{
	const char *value, *end = line + n;
	size_t len;

	while (end > line && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	if (has_name(line, n, "Connection", &value)) {
		if (end - value == 5 && !strncasecmp(value, "close", 5))
			r->keep_alive = false;
		else if (end - value == 10 && !strncasecmp(value, "keep-alive", 10))
			r->keep_alive = true;
	} else if (has_name(line, n, "Content-Length", &value)) {
		r->has_body |= end - value != 1 || *value != '0';
	} else if (has_name(line, n, "Transfer-Encoding", &value)) {
		r->has_body = true;
	} else if (has_name(line, n, "X-Request-Id", &value)) {
		len = value < end ? (size_t)(end - value) : 0;
		if (!len || len >= sizeof(r->id))
			return;
		for (size_t i = 0; i < len; i++)
			if (value[i] <= ' ' || value[i] > '~' || value[i] == '"' || value[i] == '\\')
				return;
		memcpy(r->id, value, len);
		r->id[len] = '\0';
	}
}

int sutra_plain_parse(const char *p, size_t n, struct sutra_plain *ret)
{
	size_t look = n < SUTRA_PLAIN_MAX_HEAD ? n : SUTRA_PLAIN_MAX_HEAD;
	const char *end = memmem(p, look, "\r\n\r\n", 4), *line, *at;
	struct sutra_plain r = { .keep_alive = true };
	char target[sizeof(r.path)];

	if (!end)
		return n < SUTRA_PLAIN_MAX_HEAD ? 0 : SUTRA_E_TOOBIG;
	line = memchr(p, '\r', (size_t)(end - p) + 1);
	at = word(p, line, ' ', r.method, sizeof(r.method));
	at = at ? word(at, line, ' ', target, sizeof(target)) : NULL;
	if (!at || line - at != 8 || memcmp(at, "HTTP/1.", 7) || !isdigit((unsigned char)at[7]))
		return SUTRA_E_SYNTAX;
	memcpy(r.path, target, sizeof(r.path));
	r.path[strcspn(r.path, "?")] = '\0';
	r.keep_alive = at[7] != '0';
	while (line < end) {
		const char *next;

		if (line[1] != '\n')
			return SUTRA_E_SYNTAX;
		line += 2;
		next = memchr(line, '\r', (size_t)(end - line) + 1);
		read_header(&r, line, (size_t)(next - line));
		line = next;
	}
	*ret = r;
	return (int)(end - p) + 4;
}

void sutra_plain_answer(struct sutra_buf *out, const struct sutra_plain *request, int status,
			const char *content_type, const char *allow, const struct sutra_buf *body)
{
	bool close = !request->keep_alive || request->has_body;
	char made[33];
	uint8_t raw[16];

	if (!request->id[0]) {
		sutra_random(raw, sizeof(raw));
		sutra_hex(raw, sizeof(raw), made);
	}
	sutra_buf_addf(out,
		       "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
		       "X-Request-Id: %s\r\n%s%s%s%s\r\n",
		       status, MHD_get_reason_phrase_for((unsigned)status), content_type, body->len,
		       request->id[0] ? request->id : made, allow ? "Allow: " : "",
		       allow ? allow : "", allow ? "\r\n" : "",
		       close ? "Connection: close\r\n" : "");
	if (strcmp(request->method, "HEAD"))
		sutra_buf_add(out, body->data, body->len);
}
