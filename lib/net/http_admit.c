/* What a request's line and headers say before its body is read: its route, or why it is refused. */
#include "net/http_private.h"

#include <microhttpd.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"

static bool path_matches(const char *pattern, const char *path)
{
	size_t n = strlen(pattern);

	if (n && pattern[n - 1] == '*')
		return !strncmp(pattern, path, n - 1);
	return !strcmp(pattern, path);
}

/* "GET /health, POST /embed ..." of a service, as many as fit. */
static void hint_routes(struct sutra_http_request *r, const struct sutra_http_options *o)
{
	struct sutra_buf b;

	sutra_buf_init(&b, 4096);
	for (const struct sutra_http_route *t = o->routes; t->method; t++)
		sutra_buf_addf(&b, "%s%s %s", b.len ? ", " : "", t->method, t->path);
	sutra_hint(&r->refusal, "here are %s", sutra_buf_str(&b));
	sutra_buf_release(&b);
}

/* Finds the route, or fills the refusal: 404, or 405 with Allow. */
static void find_route(struct sutra_http_request *r, const struct sutra_http_options *o)
{
	const char *method = strcmp(r->method, "HEAD") ? r->method : "GET";
	char allow[96] = "";

	for (const struct sutra_http_route *t = o->routes; t->method; t++) {
		if (!path_matches(t->path, r->path))
			continue;
		if (!strcmp(t->method, method)) {
			r->route = t;
			return;
		}
		snprintf(allow + strlen(allow), sizeof(allow) - strlen(allow), "%s%s", *allow ? ", " : "",
			 t->method);
	}
	if (!strcmp(r->path, "/ping")) {
		if (!strcmp(method, "GET"))
			return;
		snprintf(allow, sizeof(allow), "GET");
	}
	if (*allow) {
		sutra_http_add_header(r, MHD_HTTP_HEADER_ALLOW, allow);
		sutra_fail(&r->refusal, SUTRA_E_METHOD, "%s does not take %s", r->path, r->method);
		sutra_hint(&r->refusal, "it takes %s", allow);
	} else {
		sutra_fail(&r->refusal, SUTRA_E_NOTFOUND, "there is nothing at %.200s", r->path);
		hint_routes(r, o);
	}
}

static bool media_type_ok(const char *type)
{
	static const char *const known[] = { "application/json", "application/x-ndjson",
					     "application/octet-stream", "text/",
					     "application/x-www-form-urlencoded" };

	for (size_t i = 0; type && i < sizeof(known) / sizeof(*known); i++)
		if (!strncasecmp(type, known[i], strlen(known[i])))
			return true;
	return !type;
}

struct framing {
	const char *length;	/* the first Content-Length */
	bool differs, chunked;
};

static enum MHD_Result see_header(void *cls, enum MHD_ValueKind kind, const char *key, const char *value)
{
	struct framing *f = cls;

	if (!strcasecmp(key, "Transfer-Encoding")) {
		f->chunked = true;
	} else if (!strcasecmp(key, "Content-Length")) {
		f->differs |= f->length && strcmp(f->length, value ? value : "") != 0;
		f->length = f->length ? f->length : value;
	}
	return MHD_YES;
}

/* Two lengths of one body: what stands before this server may have believed the other one
 * (RFC 9112, 6.3). */
static bool is_smuggling(struct sutra_http_request *r)
{
	struct framing f = { 0 };

	MHD_get_connection_values(r->connection, MHD_HEADER_KIND, see_header, &f);
	return f.differs || (f.length && f.chunked);
}

static void check_body_headers(struct sutra_http_request *r, const struct sutra_http_options *o)
{
	const char *length = sutra_http_header(r, "Content-Length");
	const char *type = sutra_http_header(r, "Content-Type");
	size_t max = o->max_body;
	int64_t n;

	if (is_smuggling(r)) {
		sutra_fail(&r->refusal, SUTRA_E_SYNTAX, "the headers give the body more than one length");
		sutra_hint(&r->refusal, "send one Content-Length, or Transfer-Encoding: chunked");
		r->answer_at_once = true;
	} else if (!strcmp(r->method, "POST") && !media_type_ok(type)) {
		sutra_fail(&r->refusal, SUTRA_E_MEDIA, "Content-Type \"%.100s\" is not understood", type);
		sutra_hint(&r->refusal, "send application/json");
	} else if (length && !sutra_str_int(length, 0, INT64_MAX, &n) && (uint64_t)n > max) {
		sutra_fail(&r->refusal, SUTRA_E_TOOBIG, "the body has %lld bytes; at most %zu are taken",
			   (long long)n, max);
		sutra_hint(&r->refusal, "send it in several requests");
		r->answer_at_once = (uint64_t)n > 4 * (uint64_t)max;
	}
}

void sutra_http_admit(struct sutra_http_request *r, const struct sutra_http_options *o, bool refusing)
{
	find_route(r, o);
	if (!r->refusal.code && refusing && !strcmp(r->method, "POST")) {
		sutra_fail(&r->refusal, SUTRA_E_UNAVAILABLE, "the service is stopping");
		sutra_hint(&r->refusal, "try again: another instance, or the next one, takes it");
	}
	if (!r->refusal.code)
		check_body_headers(r, o);
}
