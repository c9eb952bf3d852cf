/*
 * The functions of handlers: parts of a request, and answers.
 *
 * An answer may come from any thread. That thread hands the finished response over, and touches the
 * request afterwards only to resume its connection (http.c says which thread queues it).
 */
#include <microhttpd.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/jsonio.h"
#include "base/str.h"
#include "net/http_private.h"

const struct sutra_http_context *sutra_http_context(const struct sutra_http_request *r) { return &r->context; }

const char *sutra_http_param(const struct sutra_http_request *r, const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < r->match.n; i++)
		if (r->match.param[i].name_len == n && !memcmp(r->match.param[i].name, name, n))
			return r->params[i];
	return NULL;
}

const char *sutra_http_header(const struct sutra_http_request *r, const char *name)
{
	return MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, name);
}

/* While a request is in flight libmicrohttpd does not look at the socket. A client that closes only its
 * sending half counts as gone, as with other servers. */
bool sutra_http_gone(const struct sutra_http_request *r)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(r->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct pollfd p = { .fd = info ? info->connect_fd : -1, .events = POLLRDHUP };

	return poll(&p, 1, 0) > 0 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR));
}

const char *sutra_http_body(const struct sutra_http_request *r, size_t *ret_len)
{
	*ret_len = r->body.len;
	return sutra_buf_str(&r->body);
}

void sutra_http_add_header(struct sutra_http_request *r, const char *name, const char *value)
{
	size_t n = r->n_extra;

	if (n >= sizeof(r->extra) / sizeof(*r->extra))
		return;
	r->extra[n].name = name;
	snprintf(r->extra[n].value, sizeof(r->extra[n].value), "%s", value);
	r->n_extra++;
}

static bool has_header(const struct sutra_http_request *r, const char *name)
{
	for (size_t i = 0; i < r->n_extra; i++)
		if (!strcasecmp(r->extra[i].name, name))
			return true;
	return false;
}

/* Hands the finished response over to the thread that queues it. */
static void answered(struct sutra_http_request *r, int status, struct MHD_Response *response)
{
	struct MHD_Connection *connection = r->connection;

	r->status = status;
	r->response = response;
	if (atomic_exchange(&r->state, SUTRA_HTTP_ANSWERED) == SUTRA_HTTP_SUSPENDED)
		MHD_resume_connection(connection);
}

static bool is_leaving(const struct sutra_http_server *s)
{
	return atomic_load_explicit(&s->leaving, memory_order_relaxed) || (s->o.draining && s->o.draining());
}

/* response NULL (out of memory): the connection closes. */
static void send_response(struct sutra_http_request *r, int status, const char *content_type,
			  struct MHD_Response *response)
{
	if (response) {
		MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, content_type);
		MHD_add_response_header(response, "X-Request-Id", r->id);
		for (size_t i = 0; i < r->n_extra; i++)
			MHD_add_response_header(response, r->extra[i].name, r->extra[i].value);
		if (is_leaving(r->server))
			MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
	}
	answered(r, status, response);
}

/* The body is static: if its allocation failed there would be an error about an error. */
static void send_out_of_memory(struct sutra_http_request *r)
{
	static char words[] = "{\"error\":{\"code\":\"out_of_memory\",\"message\":\"out of memory for the answer\","
			      "\"hint\":\"try again\"}}\n";

	sutra_http_add_header(r, "Retry-After", "1");
	send_response(r, 503, "application/json",
		      MHD_create_response_from_buffer(sizeof(words) - 1, words, MHD_RESPMEM_PERSISTENT));
}

/* body has no error; it is emptied. */
static void send_body(struct sutra_http_request *r, int status, const char *content_type,
		      struct sutra_buf *body)
{
	struct MHD_Response *response;
	size_t n = 0;
	char *bytes = sutra_buf_take(body, &n);

	if (!bytes) {
		send_out_of_memory(r);
		return;
	}
	r->length = n;
	response = MHD_create_response_from_buffer_with_free_callback(n, bytes, sutra_free);
	if (!response)
		sutra_free(bytes);
	send_response(r, status, content_type, response);
}

void sutra_http_reply(struct sutra_http_request *r, int status, const char *content_type,
		      struct sutra_buf *body)
{
	int error = sutra_buf_error(body);
	struct sutra_err err;

	if (!error) {
		send_body(r, status, content_type, body);
		return;
	}
	sutra_buf_release(body);
	sutra_fail(&err, error == SUTRA_E_NOMEM ? error : SUTRA_E_INTERNAL, "the answer could not be written: %s",
		   sutra_err_text(error));
	sutra_http_reply_error(r, &err);
}

void sutra_http_reply_json(struct sutra_http_request *r, int status, struct sutra_buf *body)
{
	sutra_http_reply(r, status, "application/json", body);
}

void sutra_http_ping(struct sutra_http_request *r, void *ctx)
{
	struct sutra_buf b;

	sutra_buf_init(&b, 64);
	sutra_buf_adds(&b, "{\"pong\":true}\n");
	sutra_http_reply_json(r, 200, &b);
}

void sutra_http_error_json(struct sutra_buf *b, const struct sutra_err *err)
{
	size_t valid = 0;

	sutra_buf_addf(b, "{\"error\":{\"code\":\"%s\",\"message\":", sutra_err_name(err->code));
	if (sutra_str_utf8(err->message, strlen(err->message), &valid))
		valid = strlen(err->message);
	sutra_json_add_string(b, err->message, valid);
	sutra_buf_adds(b, ",\"hint\":");
	sutra_json_add_string(b, err->hint, strlen(err->hint));
	sutra_buf_adds(b, "}}\n");
}

void sutra_http_reply_error(struct sutra_http_request *r, const struct sutra_err *err)
{
	struct sutra_buf b;

	sutra_buf_init(&b, 8192);
	sutra_http_error_json(&b, err);
	if (sutra_buf_error(&b)) {
		sutra_buf_release(&b);
		send_out_of_memory(r);
		return;
	}
	if ((err->code == SUTRA_E_BUSY || sutra_err_http(err->code) == 503) && !has_header(r, "Retry-After"))
		sutra_http_add_header(r, "Retry-After", "1");
	send_body(r, sutra_err_http(err->code), "application/json", &b);
}
