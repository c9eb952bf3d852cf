/*
 * The life of a request, and who may touch it when.
 *
 * libmicrohttpd calls the access handler once with the headers, once per piece of body and
 * once at the end of it. At the end the route's handler runs. Its answer may come before it
 * returns, or later from any thread. `state` decides who queues the answer:
 *
 *	RUNNING -> ANSWERED	answered before the connection was suspended: the access
 *				handler queues it at once
 *	RUNNING -> SUSPENDED -> ANSWERED	the answering thread resumes the connection,
 *				and libmicrohttpd calls the access handler once more
 *
 * The connection is suspended before RUNNING becomes SUSPENDED. If the exchange fails, the
 * answer came in between, and the access handler resumes its own connection. After the
 * exchange to ANSWERED the answering thread touches the request only to resume it.
 *
 * An answer is never queued in the first call of the access handler: libmicrohttpd 0.9.75
 * closes the connection then. Bodies over the limit are read and dropped, up to four times
 * the limit, so that the client is there to read its 413.
 *
 * The end (sutra_http_server_stop) is one thread's: leaving, then refusing, then no listening, then
 * sealed. A request counts as active before it looks at sealed, and sealed is set before active is
 * looked at: so none is under way when libmicrohttpd is stopped, which aborts over suspended ones.
 * Its threads use the listening sockets until then: these are shut down first and closed last.
 */
#include "net/http.h"

#include <ctype.h>
#include <microhttpd.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/jsonio.h"
#include "base/log.h"
#include "base/str.h"
#include "net/http_private.h"
#include "net/port.h"
#include "net/service.h"

enum {
	MAX_SOCKETS = 16,
	MAX_TIMEOUT_MS = 86400000,
	QUIET_NS = 250000000,	/* no event for so long: idle connections may be closed */
	EMPTY_NS = QUIET_NS / 10,	/* the same, without a connection */
};

/* For so long at most a server that ends takes new connections. */
static const uint64_t farewell_ns = 3000000000;

enum { RUNNING, SUSPENDED, ANSWERED };	/* state */

struct sutra_http_server {
	struct sutra_http_options o;
	struct MHD_Daemon *daemons[MAX_SOCKETS];
	int fds[MAX_SOCKETS];
	int n;
	char address[SUTRA_ADDR_LEN];
	atomic_bool leaving;	/* answers carry Connection: close */
	atomic_bool refusing;	/* who brings work gets 503 */
	atomic_bool sealed;	/* no request begins any more */
	bool accepting, ended;	/* the stopping thread's */
	atomic_uint active, connections;
	atomic_ullong last_event_ns;	/* a request's end, a connection's beginning */
	atomic_ullong last_work_ns;	/* a POST's end: probes go on */
	atomic_ullong next_id;
	uint32_t id_prefix;
	pthread_mutex_t lock;	/* only for changed */
	pthread_cond_t changed;	/* a request or connection ended */
};

const char *sutra_http_id(const struct sutra_http_request *r) { return r->id; }
uint64_t sutra_http_started_ns(const struct sutra_http_request *r) { return r->started_ns; }

const char *sutra_http_query(const struct sutra_http_request *r, const char *key)
{
	return MHD_lookup_connection_value(r->connection, MHD_GET_ARGUMENT_KIND, key);
}

const char *sutra_http_header(const struct sutra_http_request *r, const char *name)
{
	return MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, name);
}

/* While its request is under way the connection stands, but libmicrohttpd does not look at its
 * socket. What closes only its sending half counts as gone too, as with other servers. */
bool sutra_http_gone(const struct sutra_http_request *r)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(r->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct pollfd p = { .fd = info ? info->connect_fd : -1, .events = POLLRDHUP };

	return poll(&p, 1, 0) > 0 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR));
}

int sutra_http_deadline(const struct sutra_http_request *r, uint64_t *ret_ns, struct sutra_err *err)
{
	const char *value = sutra_http_header(r, "X-Request-Timeout");
	int64_t ms = 0;

	if (value && sutra_str_int(value, 1, MAX_TIMEOUT_MS, &ms)) {
		sutra_fail(err, SUTRA_E_INVALID, "header X-Request-Timeout is \"%.40s\"; allowed are 1 to %d", value,
			   MAX_TIMEOUT_MS);
		return sutra_hint(err, "it counts milliseconds");
	}
	*ret_ns = ms ? r->started_ns + (uint64_t)ms * 1000000 : 0;
	return 0;
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

static void wake(struct sutra_http_server *s)
{
	if (!atomic_load_explicit(&s->leaving, memory_order_relaxed))
		return;
	pthread_mutex_lock(&s->lock);
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
}

/* Hands the finished response over to whichever thread has to queue it. */
static void answered(struct sutra_http_request *r, int status, struct MHD_Response *response)
{
	struct MHD_Connection *connection = r->connection;

	r->status = status;
	r->response = response;
	if (atomic_exchange(&r->state, ANSWERED) == SUSPENDED)
		MHD_resume_connection(connection);
}

/* No response (NULL: no memory for it) closes the connection. */
static void send_response(struct sutra_http_request *r, int status, const char *content_type,
			  struct MHD_Response *response)
{
	if (response) {
		MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, content_type);
		MHD_add_response_header(response, "X-Request-Id", r->id);
		for (size_t i = 0; i < r->n_extra; i++)
			MHD_add_response_header(response, r->extra[i].name, r->extra[i].value);
		if (atomic_load_explicit(&r->server->leaving, memory_order_relaxed))
			MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
	}
	answered(r, status, response);
}

/* The last words, which need no memory of ours: an error about an error would not end. */
static void send_out_of_memory(struct sutra_http_request *r)
{
	static char words[] = "{\"error\":{\"code\":\"out_of_memory\",\"message\":\"out of memory for the answer\","
			      "\"hint\":\"try again\"}}\n";

	sutra_http_add_header(r, "Retry-After", "1");
	send_response(r, 503, "application/json",
		      MHD_create_response_from_buffer(sizeof(words) - 1, words, MHD_RESPMEM_PERSISTENT));
}

/* Body is without error here; it is emptied. */
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

void sutra_http_reply_error(struct sutra_http_request *r, const struct sutra_err *err)
{
	struct sutra_buf b;
	size_t valid = 0;

	sutra_buf_init(&b, 8192);
	sutra_buf_addf(&b, "{\"error\":{\"code\":\"%s\",\"message\":", sutra_err_name(err->code));
	if (sutra_str_utf8(err->message, strlen(err->message), &valid))
		valid = strlen(err->message);
	sutra_json_add_string(&b, err->message, valid);
	sutra_buf_adds(&b, ",\"hint\":");
	sutra_json_add_string(&b, err->hint, strlen(err->hint));
	sutra_buf_adds(&b, "}}\n");
	if (sutra_buf_error(&b)) {
		sutra_buf_release(&b);
		send_out_of_memory(r);
		return;
	}
	if ((err->code == SUTRA_E_BUSY || sutra_err_http(err->code) == 503) && !has_header(r, "Retry-After"))
		sutra_http_add_header(r, "Retry-After", "1");
	send_body(r, sutra_err_http(err->code), "application/json", &b);
}

static void set_id(struct sutra_http_request *r)
{
	const char *id = sutra_http_header(r, "X-Request-Id");
	size_t n = id ? strlen(id) : 0;
	bool good = n && n < sizeof(r->id);

	for (size_t i = 0; good && i < n; i++)
		good = isgraph((unsigned char)id[i]) && id[i] != '"' && id[i] != '\\';
	if (good)
		memcpy(r->id, id, n + 1);
	else
		snprintf(r->id, sizeof(r->id), "%08x%08llx", r->server->id_prefix,
			 atomic_fetch_add(&r->server->next_id, 1));
}

static struct sutra_http_request *request_new(struct sutra_http_server *s, struct MHD_Connection *c,
					      const char *path, const char *method)
{
	struct sutra_http_request *r = sutra_alloc(sizeof(*r));

	if (!r)
		return NULL;
	memset(r, 0, offsetof(struct sutra_http_request, extra));
	r->n_extra = 0;
	r->server = s;
	r->connection = c;
	r->method = method;
	r->path = path;
	r->started_ns = sutra_clock_ns();
	sutra_buf_init(&r->body, s->o.max_body);
	set_id(r);
	sutra_http_admit(r, &s->o, atomic_load_explicit(&s->refusing, memory_order_relaxed));
	return r;
}

/* NULL closes the connection: no memory, or the server has ended. */
static struct sutra_http_request *request_begin(struct sutra_http_server *s, struct MHD_Connection *c,
						const char *path, const char *method)
{
	struct sutra_http_request *r = NULL;

	atomic_fetch_add(&s->active, 1);
	if (!atomic_load(&s->sealed))
		r = request_new(s, c, path, method);
	if (!r) {
		atomic_fetch_sub(&s->active, 1);
		wake(s);
	}
	return r;
}

static void take_body(struct sutra_http_request *r, const char *data, size_t n)
{
	if (!r->refusal.code) {
		sutra_buf_add(&r->body, data, n);
		if (!sutra_buf_error(&r->body))
			return;
		if (r->body.error == SUTRA_E_TOOBIG)
			sutra_fail(&r->refusal, SUTRA_E_TOOBIG,
				   "the body is too large; at most %zu bytes are taken",
				   r->server->o.max_body);
		else
			sutra_fail(&r->refusal, SUTRA_E_NOMEM, "out of memory for the body");
		sutra_buf_release(&r->body);
	}
	r->dropped += n;
}

static void dispatch(struct sutra_http_request *r)
{
	struct sutra_buf pong;

	if (r->refusal.code) {
		sutra_http_reply_error(r, &r->refusal);
	} else if (r->route) {
		r->route->handler(r, r->server->o.ctx);
	} else {
		sutra_buf_init(&pong, 64);
		sutra_buf_adds(&pong, "{\"pong\":true}\n");
		sutra_http_reply_json(r, 200, &pong);
	}
}

static enum MHD_Result queue_answer(struct sutra_http_request *r)
{
	enum MHD_Result rc;

	if (!r->response)
		return MHD_NO;	/* no memory for an answer: the connection closes */
	rc = MHD_queue_response(r->connection, (unsigned)r->status, r->response);
	MHD_destroy_response(r->response);
	r->response = NULL;
	return rc;
}

static enum MHD_Result on_access(void *cls, struct MHD_Connection *c, const char *path,
				 const char *method, const char *version, const char *data,
				 size_t *size, void **con_cls)
{
	struct sutra_http_request *r = *con_cls;
	int running = RUNNING;

	if (!r) {
		*con_cls = r = request_begin(cls, c, path, method);
		if (r && r->answer_at_once) {
			dispatch(r);
			return queue_answer(r);
		}
		return r ? MHD_YES : MHD_NO;
	}
	if (*size) {
		take_body(r, data, *size);
		*size = 0;
		return r->dropped > 4 * (uint64_t)r->server->o.max_body ? MHD_NO : MHD_YES;
	}
	if (!r->ended) {
		r->ended = true;
		dispatch(r);
		if (atomic_load(&r->state) != ANSWERED) {
			MHD_suspend_connection(c);
			if (!atomic_compare_exchange_strong(&r->state, &running, SUSPENDED))
				MHD_resume_connection(c);
			return MHD_YES;
		}
	}
	return atomic_load(&r->state) == ANSWERED ? queue_answer(r) : MHD_YES;
}

static void on_completed(void *cls, struct MHD_Connection *c, void **con_cls,
			 enum MHD_RequestTerminationCode why)
{
	struct sutra_http_server *s = cls;
	struct sutra_http_request *r = *con_cls;

	if (!r)
		return;
	*con_cls = NULL;
	if (sutra_log_on(SUTRA_DEBUG))
		sutra_log(SUTRA_DEBUG, "http", "request",
			  "id=%s method=%s path=\"%s\" status=%d took_ms=%.3f ended=%s", r->id, r->method,
			  r->path, r->status, (double)(sutra_clock_ns() - r->started_ns) / 1e6,
			  why == MHD_REQUEST_TERMINATED_COMPLETED_OK ? "ok" : "aborted");
	if (r->response)
		MHD_destroy_response(r->response);
	sutra_buf_release(&r->body);
	atomic_store_explicit(&s->last_event_ns, sutra_clock_ns(), memory_order_relaxed);
	if (!strcmp(r->method, "POST"))
		atomic_store_explicit(&s->last_work_ns, sutra_clock_ns(), memory_order_relaxed);
	sutra_free(r);
	atomic_fetch_sub(&s->active, 1);
	wake(s);
}

static void on_connection(void *cls, struct MHD_Connection *c, void **socket_ctx,
			  enum MHD_ConnectionNotificationCode what)
{
	struct sutra_http_server *s = cls;

	if (what == MHD_CONNECTION_NOTIFY_STARTED) {
		atomic_store_explicit(&s->last_event_ns, sutra_clock_ns(), memory_order_relaxed);
		atomic_fetch_add(&s->connections, 1);
	} else {
		atomic_fetch_sub(&s->connections, 1);
		wake(s);
	}
}

static struct MHD_Daemon *start_daemon(struct sutra_http_server *s, int fd)
{
	const struct sutra_http_options *o = &s->o;

	return MHD_start_daemon(
		MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_TURBO | MHD_USE_ITC, 0,
		NULL, NULL, on_access, s, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_THREAD_POOL_SIZE,
		o->threads, MHD_OPTION_CONNECTION_LIMIT, o->max_connections, MHD_OPTION_CONNECTION_TIMEOUT,
		o->idle_timeout_s, MHD_OPTION_NOTIFY_COMPLETED, on_completed, s,
		MHD_OPTION_NOTIFY_CONNECTION, on_connection, s, MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1,
		MHD_OPTION_END);
}

static void remember_address(struct sutra_http_server *s)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);

	if (!getsockname(s->fds[0], (struct sockaddr *)&sa, &len))
		sutra_addr_format((struct sockaddr *)&sa, s->address);
}

int sutra_http_server_start(const struct sutra_http_options *options,
			    struct sutra_http_server **ret, struct sutra_err *err)
{
	struct sutra_http_server *s = sutra_calloc(1, sizeof(*s));
	int rc;

	if (!s)
		return sutra_fail(err, SUTRA_E_NOMEM, "out of memory for the HTTP server");
	s->o = *options;
	s->accepting = true;
	s->o.threads = s->o.threads ? s->o.threads : 2;
	s->o.max_connections = s->o.max_connections ? s->o.max_connections : 8192;
	s->o.max_body = s->o.max_body ? s->o.max_body : 16u << 20;
	s->o.idle_timeout_s = s->o.idle_timeout_s ? s->o.idle_timeout_s : 30;
	sutra_random(&s->id_prefix, sizeof(s->id_prefix));
	pthread_mutex_init(&s->lock, NULL);
	sutra_clock_cond_init(&s->changed);
	rc = sutra_listen_open(options->listen, 4096, s->fds, MAX_SOCKETS, &s->n, err);
	for (int i = 0; i < s->n && !rc; i++) {
		s->daemons[i] = start_daemon(s, s->fds[i]);
		if (!s->daemons[i]) {
			s->fds[i] = -1;	/* libmicrohttpd has closed it */
			rc = sutra_fail(err, SUTRA_E_IO, "cannot start the HTTP server on %s", options->listen);
		}
	}
	if (rc) {
		sutra_http_server_stop(s, 0);
		sutra_http_server_free(s);
		return rc;
	}
	remember_address(s);
	*ret = s;
	return 0;
}

const char *sutra_http_server_address(const struct sutra_http_server *s) { return s->address; }
unsigned sutra_http_server_active(const struct sutra_http_server *s) { return atomic_load(&s->active); }

unsigned sutra_http_server_connections(const struct sutra_http_server *s)
{
	return atomic_load(&s->connections);
}

int sutra_http_server_sockets(const struct sutra_http_server *s, const int **ret_fds)
{
	*ret_fds = s->fds;
	return s->n;
}

/* What comes now waits in the backlog of the sockets, which stay open. */
static void stop_accepting(struct sutra_http_server *s)
{
	s->accepting = false;
	for (int i = 0; i < s->n; i++)
		if (s->daemons[i])
			MHD_quiesce_daemon(s->daemons[i]);
}

/* Refuses connections. libmicrohttpd's threads know the sockets yet: they are closed later. */
static void stop_listening(struct sutra_http_server *s)
{
	stop_accepting(s);
	for (int i = 0; i < s->n; i++)
		shutdown(s->fds[i], SHUT_RDWR);
}

/* Nothing under way, and what may still bring something has been quiet for a while. */
static bool is_quiet(const struct sutra_http_server *s, uint64_t now)
{
	bool unnoticed = s->accepting && s->o.noticed && !s->o.noticed();
	uint64_t last = atomic_load(s->accepting ? &s->last_work_ns : &s->last_event_ns);

	if (atomic_load(&s->active) || unnoticed)
		return false;
	return (int64_t)(now - last) > (s->accepting || atomic_load(&s->connections) ? QUIET_NS : EMPTY_NS);
}

static bool is_idle(const struct sutra_http_server *s, uint64_t now) { return !atomic_load(&s->active); }

/* Whether it came true before the end. */
static bool wait_until(struct sutra_http_server *s, uint64_t end,
		       bool (*is)(const struct sutra_http_server *s, uint64_t now))
{
	uint64_t now = sutra_clock_ns();

	pthread_mutex_lock(&s->lock);
	while (!is(s, now) && now < end) {
		uint64_t until = now + EMPTY_NS < end ? now + EMPTY_NS : end;
		struct timespec t = sutra_clock_timespec(until);

		pthread_cond_timedwait(&s->changed, &s->lock, &t);
		now = sutra_clock_ns();
	}
	pthread_mutex_unlock(&s->lock);
	return now < end;
}

/* A request that came in the last moment is waited for, as the others were. */
static bool seal(struct sutra_http_server *s)
{
	atomic_store(&s->sealed, true);
	if (!atomic_load(&s->active))
		return true;
	atomic_store(&s->sealed, false);
	return false;
}

static bool end_daemons(struct sutra_http_server *s, uint64_t end)
{
	do
		s->ended = wait_until(s, end, is_quiet) && seal(s);
	while (!s->ended && sutra_clock_ns() < end);
	s->ended = s->ended || seal(s);
	if (!s->ended) {
		/* libmicrohttpd may not be stopped with suspended requests: their owners still
		 * hold them. The process is about to end; leave everything standing. */
		sutra_log(SUTRA_WARN, "http", "stopped with requests under way", "requests=%u",
			  atomic_load(&s->active));
		return false;
	}
	for (int i = 0; i < s->n; i++)
		if (s->daemons[i])
			MHD_stop_daemon(s->daemons[i]);
	return true;
}

bool sutra_http_server_pause(struct sutra_http_server *s, uint64_t grace_ns)
{
	uint64_t now = sutra_clock_ns();

	stop_accepting(s);
	atomic_store(&s->last_event_ns, now);	/* open connections get their while */
	atomic_store(&s->leaving, true);
	return end_daemons(s, now + grace_ns);
}

bool sutra_http_server_stop(struct sutra_http_server *s, uint64_t grace_ns)
{
	uint64_t now = sutra_clock_ns();

	atomic_store(&s->leaving, true);
	wait_until(s, now + (grace_ns / 2 < farewell_ns ? grace_ns / 2 : farewell_ns), is_quiet);
	/* A balancer whose checks are refused takes the server for dead, and cuts what is under way. */
	atomic_store(&s->refusing, true);
	wait_until(s, now + grace_ns / 4 * 3, is_idle);
	stop_listening(s);
	return end_daemons(s, now + grace_ns);
}

void sutra_http_server_free(struct sutra_http_server *s)
{
	if (!s || !s->ended)
		return;
	for (int i = 0; i < s->n; i++)
		if (s->fds[i] >= 0)
			close(s->fds[i]);
	pthread_cond_destroy(&s->changed);
	pthread_mutex_destroy(&s->lock);
	sutra_free(s);
}
