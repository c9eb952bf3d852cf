/* From a request's line and headers to its route and context, or to a refusal, before its body is read.
 * Authorisation and rate limits belong at the end of read_context: no body has been read yet. */
#include "net/http_private.h"

#include <microhttpd.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/str.h"
#include "net/http_head.h"

enum { MAX_TIMEOUT_MS = 86400000 };

/* The hint lists the service's routes, "GET /health, POST /embed ...", as many as fit. */
static void hint_routes(struct sutra_http_request *r)
{
	struct sutra_buf b;

	sutra_buf_init(&b, 4096);
	for (const struct sutra_http_route *t = r->server->o.routes; t->method; t++)
		sutra_buf_addf(&b, "%s%s %s", b.len ? ", " : "", t->method, t->path);
	sutra_hint(&r->refusal, "here are %s", sutra_buf_str(&b));
	sutra_buf_release(&b);
}

/* 405; Allow lists the methods that the path takes. */
static void refuse_method(struct sutra_http_request *r)
{
	struct sutra_http_match match;
	char allow[96] = "";

	for (const struct sutra_http_route *t = r->server->o.routes; t->method; t++)
		if (sutra_http_path_match(t->path, r->path, &match))
			snprintf(allow + strlen(allow), sizeof(allow) - strlen(allow), "%s%s", *allow ? ", " : "",
				 t->method);
	sutra_http_add_header(r, MHD_HTTP_HEADER_ALLOW, allow);
	sutra_fail(&r->refusal, SUTRA_E_METHOD, "%s does not take %s", r->path, r->method);
	sutra_hint(&r->refusal, "it takes %s", allow);
}

/* Finds the route, or fills the refusal: 404, or 405 with Allow. */
static void find_route(struct sutra_http_request *r)
{
	const char *method = strcmp(r->method, "HEAD") ? r->method : "GET";
	struct sutra_http_match match;
	bool known = false;

	for (size_t i = 0; i < r->server->n_routes; i++) {
		struct sutra_http_entry *e = &r->server->entries[i];

		if (!sutra_http_path_match(e->row->path, r->path, &match))
			continue;
		known = true;
		r->changes |= !strcmp(e->row->method, "POST");
		if (!r->entry->row && !strcmp(e->row->method, method)) {
			r->entry = e;
			r->match = match;
		}
	}
	r->changes |= strcmp(method, "GET") != 0;
	if (r->entry->row)
		return;
	if (known) {
		refuse_method(r);
		return;
	}
	sutra_fail(&r->refusal, SUTRA_E_NOTFOUND, "there is nothing at %.200s", r->path);
	hint_routes(r);
}

/* Decodes the values of the path's parameters into one allocation. */
static void read_params(struct sutra_http_request *r)
{
	const struct sutra_http_match *m = &r->match;
	char *room = m->n ? sutra_alloc(strlen(r->path) + m->n) : NULL;

	if (m->n && !room) {
		sutra_fail(&r->refusal, SUTRA_E_NOMEM, "out of memory for the address");
		return;
	}
	for (size_t i = 0; i < m->n; i++, room += strlen(room) + 1) {
		r->params[i] = room;
		if (!sutra_http_unescape(m->param[i].at, m->param[i].len, room))
			continue;
		sutra_fail(&r->refusal, SUTRA_E_SYNTAX, "{%.*s} of %s is no text in UTF-8", (int)m->param[i].name_len,
			   m->param[i].name, r->entry->row->path);
		sutra_hint(&r->refusal, "escape what is no letter or digit: %%C3%%A9 is an e with an acute accent");
		return;
	}
}

/* version "-" trace "-" parent "-" flags in lower-case hex; version ff and ids of zeros are not valid. */
static bool is_trace_parent(const char *p)
{
	static const char form[] = "xx-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx-xxxxxxxxxxxxxxxx-xx";
	size_t i;

	for (i = 0; form[i]; i++)
		if (form[i] == 'x' ? !p[i] || !strchr("0123456789abcdef", p[i]) : p[i] != form[i])
			return false;
	return !p[i] && strncmp(p, "ff", 2) && strspn(p + 3, "0") < 32 && strspn(p + 36, "0") < 16;
}

static void read_context(struct sutra_http_request *r)
{
	const char *timeout = r->headers[SUTRA_HTTP_H_TIMEOUT], *trace = r->headers[SUTRA_HTTP_H_TRACE];
	int64_t ms = 0;

	if (trace && is_trace_parent(trace))
		r->context.trace_parent = trace;
	if (timeout && sutra_str_int(timeout, 1, MAX_TIMEOUT_MS, &ms)) {
		sutra_fail(&r->refusal, SUTRA_E_INVALID, "header X-Request-Timeout is \"%.40s\"; allowed are 1 to %d",
			   timeout, MAX_TIMEOUT_MS);
		sutra_hint(&r->refusal, "it counts milliseconds");
	}
	r->context.deadline_ns = ms ? r->context.started_ns + (uint64_t)ms * 1000000 : 0;
}

static bool is_type(const char *type, size_t n, const char *name) { return n == strlen(name) && !strncasecmp(type, name, n); }

/* Whether the body may be JSON by its Content-Type. No type, and the type that curl -d sends, are taken
 * from programs alone, because the form of any web page sends them, too. */
static bool media_type_ok(const struct sutra_http_request *r, const char *type)
{
	static const char *const known[] = { "application/json", "application/x-ndjson", "application/octet-stream" };
	size_t n = type ? strcspn(type, "; \t") : 0;

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (is_type(type, n, known[i]))
			return true;
	return !type || (n > 5 && !strncasecmp(type + n - 5, "+json", 5)) ||
	       (is_type(type, n, "application/x-www-form-urlencoded") && !sutra_http_from_browser(r));
}

struct pass {
	struct sutra_http_request *r;
	struct sutra_http_framing framing;
};

static enum MHD_Result see_header(void *cls, enum MHD_ValueKind kind, const char *key, const char *value)
{
	static const struct {
		const char *name;
		size_t n;
	} known[] = {
#define X(sym, name) { name, sizeof(name) - 1 },
		SUTRA_HTTP_HEADERS(X)
#undef X
	};
	size_t n = strlen(key);
	struct pass *p = cls;

	for (size_t i = 0; i < SUTRA_HTTP_H_COUNT; i++) {
		if (known[i].n != n || strcasecmp(known[i].name, key))
			continue;
		if (!p->r->headers[i])
			p->r->headers[i] = value ? value : "";
		if (i <= SUTRA_HTTP_H_CODING)
			sutra_http_framing(&p->framing, key, n, value ? value : "", value ? strlen(value) : 0);
		break;
	}
	return MHD_YES;
}

void sutra_http_read_headers(struct sutra_http_request *r)
{
	struct pass p = { .r = r };

	MHD_get_connection_values(r->connection, MHD_HEADER_KIND, see_header, &p);
	sutra_http_framing_check(&p.framing, &r->refusal);
}

/* Checks the head's length and where the body ends. If that is ambiguous the body is not read: a proxy in
 * front of this server may have seen another end of it (RFC 9112, 6.3). */
static bool check_framing(struct sutra_http_request *r)
{
	const union MHD_ConnectionInfo *head =
		MHD_get_connection_info(r->connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
	const char *expect = r->headers[SUTRA_HTTP_H_EXPECT];
	bool old = !strcmp(r->version, "HTTP/1.0");

	if (r->refusal.code) {
		r->answer_at_once = true;
		return false;
	}
	if (head && head->header_size > SUTRA_HTTP_MAX_HEAD) {
		sutra_http_head_fail(SUTRA_E_LONGHEAD, &r->refusal);
	} else if (old && r->headers[SUTRA_HTTP_H_CODING]) {
		sutra_fail(&r->refusal, SUTRA_E_SYNTAX, "HTTP/1.0 has no Transfer-Encoding");
	} else if (!old && !r->headers[SUTRA_HTTP_H_HOST]) {
		sutra_fail(&r->refusal, SUTRA_E_SYNTAX, "the header Host is missing");
	} else if (expect && strcasecmp(expect, "100-continue")) {
		sutra_fail(&r->refusal, SUTRA_E_EXPECT, "Expect is \"%.40s\"; only 100-continue is met", expect);
	}
	r->answer_at_once = r->refusal.code;
	return !r->refusal.code;
}

static void check_body_headers(struct sutra_http_request *r, const struct sutra_http_options *o)
{
	const char *length = r->headers[SUTRA_HTTP_H_LENGTH];
	const char *type = r->headers[SUTRA_HTTP_H_TYPE];
	const char *packed = r->headers[SUTRA_HTTP_H_PACKED];
	size_t max = o->max_body;
	int64_t n;

	if (packed && strcasecmp(packed, "identity")) {
		sutra_fail(&r->refusal, SUTRA_E_MEDIA, "Content-Encoding \"%.40s\" is not understood", packed);
		sutra_hint(&r->refusal, "send the body as it is");
		sutra_http_add_header(r, "Accept-Encoding", "identity");
	} else if (!strcmp(r->method, "POST") && !media_type_ok(r, type)) {
		sutra_fail(&r->refusal, SUTRA_E_MEDIA, "Content-Type \"%.100s\" is not understood", type);
		sutra_hint(&r->refusal, "send application/json");
	} else if (length && !sutra_str_int(length, 0, INT64_MAX, &n) && (uint64_t)n > max) {
		sutra_fail(&r->refusal, SUTRA_E_TOOBIG, "the body has %lld bytes; at most %zu are taken",
			   (long long)n, max);
		sutra_hint(&r->refusal, "send it in several requests");
		r->answer_at_once = (uint64_t)n > 4 * (uint64_t)max;
	}
}

/* Returns the host: that of an absolute address ("GET http://host/path"), which is cut off the path and
 * goes before the header (RFC 9112, 3.2.2), else the header Host. */
static const char *take_host(struct sutra_http_request *r)
{
	const char *host = r->headers[SUTRA_HTTP_H_HOST];

	if (!strncasecmp(r->path, "http://", 7)) {
		host = r->path + 7;
		r->path = strchr(host, '/') ? strchr(host, '/') : "/";
	}
	return host ? host : "";
}

void sutra_http_admit(struct sutra_http_request *r, int uri_error, bool refusing)
{
	const struct sutra_http_options *o = &r->server->o;
	const char *host = take_host(r);

	if (!r->refusal.code && uri_error)
		sutra_http_head_fail(uri_error, &r->refusal);
	if (!check_framing(r))
		return;
	find_route(r);
	if (!r->refusal.code)
		read_params(r);
	if (!r->refusal.code)
		read_context(r);
	if (!r->refusal.code)
		sutra_http_check_origin(r, host, o);
	if (!r->refusal.code && refusing && !strcmp(r->method, "POST")) {
		sutra_fail(&r->refusal, SUTRA_E_UNAVAILABLE, "the service is stopping");
		sutra_hint(&r->refusal, "try again: another instance, or the next one, takes it");
	}
	if (!r->refusal.code)
		check_body_headers(r, o);
}
