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
 * libmicrohttpd 0.9.75 closes the connection behind an answer that is queued in the first call of
 * the access handler, with the body unread. This is wanted only if the body is far too large or its length
 * is ambiguous (answer_at_once). Other bodies over the limit are read and dropped, up to four times the
 * limit, so that the client reads its 413.
 *
 * One thread stops the server (sutra_http_server_stop): it sets leaving, then refusing, then closes the
 * listening sockets, then sets sealed. A request counts as active before it reads sealed, and sealed is set
 * before active is read. So no request is in flight when libmicrohttpd is stopped, which would abort the
 * process over a suspended one.
 */
#include "net/http.h"

#include <ctype.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/cores.h"
#include "base/digest.h"
#include "base/jsonio.h"
#include "base/log.h"
#include "net/http_head.h"
#include "net/http_private.h"

enum {
	QUIET_NS = 250000000,	/* idle connections may be closed when no event came in this time */
	MOST_HELD = 1 << 30,
	EMPTY_NS = QUIET_NS / 10,	/* the same when no connection is open */
};

static const uint64_t max_accept_ns = 3000000000;	/* a stopping server accepts connections no longer */
static const uint64_t limit_ns = 10000000000;	/* for a head; and until the minimum rate applies */

static void wake(struct sutra_http_server *s)
{
	if (!atomic_load_explicit(&s->leaving, memory_order_relaxed))
		return;
	pthread_mutex_lock(&s->lock);
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
}

static void set_id(struct sutra_http_request *r)
{
	const char *id = r->headers[SUTRA_HTTP_H_ID];
	size_t n = id ? strlen(id) : 0;
	bool good = n && n < sizeof(r->id);

	for (size_t i = 0; good && i < n; i++)
		good = isgraph((unsigned char)id[i]) && id[i] != '"' && id[i] != '\\';
	if (good)
		memcpy(r->id, id, n + 1);
	else
		snprintf(r->id, sizeof(r->id), "%08x%08llx", r->server->id_prefix,
			 atomic_fetch_add(&r->server->next_id, 1));
	r->context.id = r->id;
}

static struct sutra_http_request *request_new(struct sutra_http_server *s, struct MHD_Connection *c,
					      const char *const line[3], int uri_error)
{
	struct sutra_http_request *r = sutra_alloc(sizeof(*r));

	if (!r)
		return NULL;
	memset(r, 0, offsetof(struct sutra_http_request, extra));
	r->n_extra = 0;
	r->server = s;
	r->connection = c;
	r->conn = MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
	r->method = line[0];
	r->path = line[1];
	r->version = line[2];
	r->entry = &s->entries[s->n_routes];
	r->context.started_ns = sutra_clock_ns();
	sutra_buf_init(&r->body, s->o.max_body);
	sutra_http_conn_enter(r->conn, SUTRA_HTTP_BODY, 0, r->context.started_ns);
	sutra_http_read_headers(r);
	set_id(r);
	sutra_http_admit(r, uri_error, atomic_load_explicit(&s->refusing, memory_order_relaxed));
	return r;
}

/* NULL closes the connection: no memory, or the server has ended. */
static struct sutra_http_request *request_begin(struct sutra_http_server *s, struct MHD_Connection *c,
						const char *const line[3], int uri_error)
{
	struct sutra_http_request *r = NULL;

	atomic_fetch_add(&s->active, 1);
	if (!atomic_load(&s->sealed))
		r = request_new(s, c, line, uri_error);
	if (!r) {
		atomic_fetch_sub(&s->active, 1);
		wake(s);
	}
	return r;
}

static void drop_body(struct sutra_http_request *r)
{
	sutra_buf_release(&r->body);
	sutra_http_release_held(r);
}

static void take_body(struct sutra_http_request *r, const char *data, size_t n)
{
	if (r->conn)
		atomic_fetch_add_explicit(&r->conn->bytes, n, memory_order_relaxed);
	if (!r->refusal.code) {
		sutra_buf_add(&r->body, data, n);
		if (sutra_buf_error(&r->body) == SUTRA_E_TOOBIG)
			sutra_fail(&r->refusal, SUTRA_E_TOOBIG,
				   "the body is too large; at most %zu bytes are taken",
				   r->server->o.max_body);
		else if (sutra_buf_error(&r->body))
			sutra_fail(&r->refusal, SUTRA_E_NOMEM, "out of memory for the body");
		else if (r->body.cap <= r->held || sutra_http_hold(r, r->body.cap - r->held))
			return;
		drop_body(r);
	}
	r->dropped += n;
}

static void dispatch(struct sutra_http_request *r)
{
	const struct sutra_http_route *route = r->entry->row;

	if (!r->refusal.code && !sutra_http_hold_json(r))
		drop_body(r);
	if (!r->refusal.code)
		route->handler(r, r->server->o.ctx);
	else if (route && route->fail)
		route->fail(r, r->server->o.ctx, &r->refusal);
	else
		sutra_http_reply_error(r, &r->refusal);
}

static enum MHD_Result queue_answer(struct sutra_http_request *r)
{
	enum MHD_Result rc;

	if (!r->response)
		return MHD_NO;	/* no memory for an answer: the connection closes */
	sutra_http_conn_enter(r->conn, SUTRA_HTTP_ANSWER, r->length, sutra_clock_ns());
	rc = MHD_queue_response(r->connection, (unsigned)r->status, r->response);
	MHD_destroy_response(r->response);
	r->response = NULL;
	return rc;
}

/* *con_cls points to one of these before the headers have arrived. */
static int uri_errors[] = { SUTRA_E_LONGURI, SUTRA_E_SYNTAX };

static bool is_uri_error(const void *request) { return request == &uri_errors[0] || request == &uri_errors[1]; }

/* Checks the address with its query, before libmicrohttpd changes it. */
static void *on_uri(void *cls, const char *uri, struct MHD_Connection *c)
{
	int rc = uri ? sutra_http_target(uri) : SUTRA_E_SYNTAX;

	return rc ? &uri_errors[rc == SUTRA_E_SYNTAX] : NULL;
}

/* The path keeps its escapes, because its parameters are cut out first. No handler reads the query. */
static size_t unescape(void *cls, struct MHD_Connection *c, char *s) { return strlen(s); }

static enum MHD_Result on_access(void *cls, struct MHD_Connection *c, const char *path,
				 const char *method, const char *version, const char *data,
				 size_t *size, void **con_cls)
{
	const char *const line[] = { method, path, version };
	int uri_error = is_uri_error(*con_cls) ? *(int *)*con_cls : 0;
	struct sutra_http_request *r = uri_error ? NULL : *con_cls;
	int running = SUTRA_HTTP_RUNNING;

	if (!r) {
		*con_cls = r = request_begin(cls, c, line, uri_error);
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
		sutra_http_conn_enter(r->conn, SUTRA_HTTP_BUSY, 0, r->context.started_ns);
		dispatch(r);
		if (atomic_load(&r->state) != SUTRA_HTTP_ANSWERED) {
			MHD_suspend_connection(c);
			if (!atomic_compare_exchange_strong(&r->state, &running, SUTRA_HTTP_SUSPENDED))
				MHD_resume_connection(c);
			return MHD_YES;
		}
	}
	return atomic_load(&r->state) == SUTRA_HTTP_ANSWERED ? queue_answer(r) : MHD_YES;
}

static void on_completed(void *cls, struct MHD_Connection *c, void **con_cls,
			 enum MHD_RequestTerminationCode why)
{
	struct sutra_http_server *s = cls;
	struct sutra_http_request *r = *con_cls;
	uint64_t now = sutra_clock_ns();

	*con_cls = NULL;
	if (!r || is_uri_error(r))
		return;
	if (sutra_log_on(SUTRA_DEBUG))
		sutra_log(SUTRA_DEBUG, "http", "request",
			  "id=%s%s%s method=%s path=\"%s\" status=%d took_ms=%.3f ended=%s", r->id,
			  r->context.trace_parent ? " trace=" : "",
			  r->context.trace_parent ? r->context.trace_parent : "", r->method, r->path, r->status,
			  (double)(now - r->context.started_ns) / 1e6,
			  why == MHD_REQUEST_TERMINATED_COMPLETED_OK ? "ok" : "aborted");
	if (r->response)
		MHD_destroy_response(r->response);
	drop_body(r);
	sutra_http_record(r, now);
	sutra_http_conn_enter(r->conn, SUTRA_HTTP_IDLE, 0, now);
	atomic_store_explicit(&s->last_event_ns, now, memory_order_relaxed);
	if (!strcmp(r->method, "POST"))
		atomic_store_explicit(&s->last_work_ns, now, memory_order_relaxed);
	sutra_free(r->params[0]);
	sutra_free(r);
	atomic_fetch_sub(&s->active, 1);
	wake(s);
}

static void on_connection(void *cls, struct MHD_Connection *c, void **socket_ctx,
			  enum MHD_ConnectionNotificationCode what)
{
	struct sutra_http_server *s = cls;

	if (what == MHD_CONNECTION_NOTIFY_STARTED) {
		int fd = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;

		*socket_ctx = sutra_http_conn_new(
			&s->conns, fd, MHD_get_connection_info(c, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr);
		atomic_fetch_add(&s->connections, 1);
	} else {
		sutra_http_conn_free(&s->conns, *socket_ctx);
		atomic_fetch_sub(&s->connections, 1);
		wake(s);
	}
}

/* The daemon does not listen: the listening thread passes connections to it and limits their number. */
static struct MHD_Daemon *start_daemon(struct sutra_http_server *s)
{
	const struct sutra_http_options *o = &s->o;

	return MHD_start_daemon(
		MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_TURBO | MHD_USE_ITC |
			MHD_USE_NO_LISTEN_SOCKET,
		0, NULL, NULL, on_access, s, MHD_OPTION_THREAD_POOL_SIZE, o->threads, MHD_OPTION_CONNECTION_LIMIT,
		4 * o->max_connections + 1024, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)2 * SUTRA_HTTP_MAX_HEAD,
		MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)SUTRA_HTTP_IDLE_S, MHD_OPTION_URI_LOG_CALLBACK, on_uri, s,
		MHD_OPTION_UNESCAPE_CALLBACK, unescape, s,
		MHD_OPTION_NOTIFY_COMPLETED, on_completed, s,
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

/* At most `wanted` connections, and at most three quarters of the descriptors. */
static unsigned most_connections(unsigned wanted)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) || files.rlim_cur / 4 * 3 >= wanted)
		return wanted;
	return (unsigned)(files.rlim_cur / 4 * 3);
}

static void set_limits(struct sutra_http_server *s)
{
	struct sutra_http_options *o = &s->o;
	uint64_t quarter = sutra_memory_limit("") / 4;

	o->threads = o->threads ? o->threads : 2;
	o->max_connections = most_connections(o->max_connections ? o->max_connections : 8192);
	o->max_body = o->max_body ? o->max_body : 16u << 20;
	if (!o->max_held)
		o->max_held = quarter < MOST_HELD ? (size_t)quarter : MOST_HELD;
	if (o->max_held < 4 * o->max_body)
		o->max_held = 4 * o->max_body;
	s->conns.max = o->max_connections;
	s->conns.head_ns = o->head_ns = o->head_ns ? o->head_ns : limit_ns;
	s->conns.grace_ns = o->grace_ns ? o->grace_ns : limit_ns;
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
	sutra_http_conns_init(&s->conns);
	set_limits(s);
	sutra_random(&s->id_prefix, sizeof(s->id_prefix));
	pthread_mutex_init(&s->lock, NULL);
	sutra_clock_cond_init(&s->changed);
	rc = sutra_http_entries_new(s) ? 0 : sutra_fail(err, SUTRA_E_NOMEM, "out of memory for the HTTP server");
	rc = rc ? rc : sutra_listen_open(options->listen, 4096, s->fds, SUTRA_HTTP_MAX_SOCKETS, &s->n, err);
	if (!rc) {
		s->daemon = start_daemon(s);
		rc = s->daemon ? sutra_http_listener_start(s, err) :
				 sutra_fail(err, SUTRA_E_IO, "cannot start the HTTP server on %s", options->listen);
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

int sutra_http_server_sockets(const struct sutra_http_server *s, const int **ret_fds)
{
	*ret_fds = s->fds;
	return s->n;
}

/* New connections wait in the backlog of the sockets, which stay open. */
static void stop_accepting(struct sutra_http_server *s)
{
	s->accepting = false;
	if (s->listener)
		sutra_http_listener_pause(s->listener);
}

/* New connections are refused. */
static void stop_listening(struct sutra_http_server *s)
{
	stop_accepting(s);
	for (int i = 0; i < s->n; i++)
		shutdown(s->fds[i], SHUT_RDWR);
}

/* Whether no request is in flight, and no event has come for QUIET_NS. */
static bool is_quiet(const struct sutra_http_server *s, uint64_t now)
{
	bool unnoticed = s->accepting && s->o.noticed && !s->o.noticed();
	uint64_t last = atomic_load(s->accepting ? &s->last_work_ns : &s->last_event_ns);

	if (atomic_load(&s->active) || unnoticed)
		return false;
	return (int64_t)(now - last) > (s->accepting || atomic_load(&s->connections) ? QUIET_NS : EMPTY_NS);
}

static bool is_idle(const struct sutra_http_server *s, uint64_t now) { return !atomic_load(&s->active); }

/* Waits until `is` returns true; false: the time `end` came first. */
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

/* Prevents further requests. False: one is in flight, and requests may still begin. */
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
		/* libmicrohttpd must not be stopped with suspended requests. The process ends soon: nothing
		 * is freed. */
		sutra_log(SUTRA_WARN, "http", "stopped with requests in flight", "requests=%u",
			  atomic_load(&s->active));
		return false;
	}
	if (s->listener)
		sutra_http_listener_stop(s->listener);
	if (s->daemon)
		MHD_stop_daemon(s->daemon);
	return true;
}

bool sutra_http_server_pause(struct sutra_http_server *s, uint64_t grace_ns)
{
	uint64_t now = sutra_clock_ns();

	stop_accepting(s);
	atomic_store(&s->last_event_ns, now);	/* open connections get QUIET_NS */
	atomic_store(&s->leaving, true);
	return end_daemons(s, now + grace_ns);
}

bool sutra_http_server_stop(struct sutra_http_server *s, uint64_t grace_ns)
{
	uint64_t now = sutra_clock_ns();

	atomic_store(&s->leaving, true);
	wait_until(s, now + (grace_ns / 2 < max_accept_ns ? grace_ns / 2 : max_accept_ns), is_quiet);
	/* A balancer whose health checks are refused considers the server dead and cuts its requests. */
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
	sutra_http_listener_free(s->listener);
	sutra_http_conns_release(&s->conns);
	sutra_http_entries_free(s);
	pthread_cond_destroy(&s->changed);
	pthread_mutex_destroy(&s->lock);
	sutra_free(s);
}
