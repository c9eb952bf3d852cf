/*
 * The listening thread handles connections until the head of their first request has arrived, and the time
 * limits of all connections.
 *
 * A new connection is an epoll entry and a small struct here, and its bytes stay in the kernel's buffer,
 * where they are read with MSG_PEEK. A connection with a whole head is passed to libmicrohttpd; to bytes
 * that cannot become one this thread writes the refusal, as JSON like all others (libmicrohttpd's own are
 * HTML without a request id). libmicrohttpd alone reads later requests of the connection.
 *
 * The connections of libmicrohttpd are the list of http_conn.c. Once a tick this thread walks the list and
 * shuts down connections that are beyond their limit; libmicrohttpd then sees the end of the stream.
 *
 *	waiting, idle	no byte of a head: SUTRA_HTTP_IDLE_S
 *	head		from its first byte: head_ns
 *	body, answer	grace_ns, afterwards at least 16 KiB a second
 *	busy		no limit here: the service has its own
 *
 * The table is full at max_connections. Then a connection that waits without a head is closed, else an idle
 * one, else one that sends a body slowly; first those of an address that holds more than half of the table,
 * then the oldest. When every connection is busy, RESERVE more are accepted: health checks are answered, and
 * other requests get SUTRA_E_UNAVAILABLE. Beyond that, and without descriptors, connections wait in the
 * kernel's backlog.
 */
#include <errno.h>
#include <microhttpd.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "net/http_head.h"
#include "net/http_private.h"
#include "net/plain.h"

enum {
	RESERVE = 64,	/* connections beyond the limit, for probes */
	ACCEPTS = 64,	/* of one socket in a round */
	DRAINS = 16,	/* reads of a refused request's rest */
};

static const uint64_t log_ns = 10000000000;	/* between two lines of a kind */

/* What epoll points to begins with its kind. */
enum kind { SOCKET, WAKE, WAITING };

struct socket {
	enum kind kind;
	int fd;
};

struct waiting {
	enum kind kind;
	int fd;
	struct waiting *next, *prev;	/* by age */
	uint64_t since_ns;
	bool begun, refused, closed;	/* a byte has come; an answer is written; it can be freed */
	bool spare;		/* of the reserve: all other connections were busy when it came */
	unsigned peer;
	struct sockaddr_storage address;
	socklen_t address_len;
};

struct sutra_http_listener {
	struct sutra_http_server *server;
	struct socket sockets[SUTRA_HTTP_MAX_SOCKETS], wake;
	int epoll;
	atomic_bool accepting, ending;
	bool paused;		/* until the next tick: no descriptors or no room */
	struct waiting waiting;	/* head of the list, the oldest first */
	struct waiting *closed;	/* by next; freed when no event points to them any more */
	unsigned n_waiting;
	uint64_t tick_ns, next_tick_ns, logged_ns, unlogged;
	pthread_t thread;
};

static unsigned table_size(const struct sutra_http_listener *l)
{
	return l->n_waiting + atomic_load(&l->server->connections);
}

/* Removes w from the list; its descriptor stays open. */
static void unlink_waiting(struct sutra_http_listener *l, struct waiting *w)
{
	w->next->prev = w->prev;
	w->prev->next = w->next;
	w->closed = true;
	w->next = l->closed;
	l->closed = w;
	l->n_waiting--;
	sutra_http_peer_add(&l->server->conns, w->peer, -1);
}

static void close_waiting(struct sutra_http_listener *l, struct waiting *w)
{
	close(w->fd);
	unlink_waiting(l, w);
}

/* The answer is short: the socket takes it whole unless the client does not read. */
static void refuse(struct sutra_http_listener *l, struct waiting *w, const struct sutra_err *err)
{
	const struct sutra_plain close_it = { .method = "GET" };
	struct sutra_buf body, out;

	sutra_http_count(&l->server->conns, SUTRA_HTTP_REFUSED);
	sutra_buf_init(&body, 4096);
	sutra_buf_init(&out, 8192);
	sutra_http_error_json(&body, err);
	sutra_plain_answer(&out, &close_it, sutra_err_http(err->code), "application/json", NULL, &body);
	if (!sutra_buf_error(&body) && !sutra_buf_error(&out))
		send(w->fd, out.data, out.len, MSG_DONTWAIT | MSG_NOSIGNAL);
	sutra_buf_release(&body);
	sutra_buf_release(&out);
	shutdown(w->fd, SHUT_WR);
	w->refused = true;
	w->since_ns = sutra_clock_ns();
}

/* Reads what a refused client still sends: close(2) with unread bytes would reset the connection and lose
 * the answer. */
static void drain(struct sutra_http_listener *l, struct waiting *w)
{
	char dropped[16384];
	ssize_t n = 1;

	for (int i = 0; n > 0 && i < DRAINS; i++)
		n = recv(w->fd, dropped, sizeof(dropped), MSG_DONTWAIT);
	if (n >= 0 || errno != EAGAIN)
		close_waiting(l, w);
}

static void hand_over(struct sutra_http_listener *l, struct waiting *w, bool probe)
{
	struct sutra_http_server *s = l->server;
	struct sutra_err err;

	if (w->spare && !probe && atomic_load(&s->connections) >= s->o.max_connections) {
		sutra_fail(&err, SUTRA_E_UNAVAILABLE, "all %u connections are at work", s->o.max_connections);
		sutra_hint(&err, "try again in a second");
		refuse(l, w, &err);
		return;
	}
	epoll_ctl(l->epoll, EPOLL_CTL_DEL, w->fd, NULL);
	MHD_add_connection(s->daemon, w->fd, (struct sockaddr *)&w->address, w->address_len);
	unlink_waiting(l, w);	/* on failure libmicrohttpd has closed the descriptor */
}

static void peek_head(struct sutra_http_listener *l, struct waiting *w, bool ended)
{
	char head[SUTRA_HTTP_MAX_HEAD];
	struct sutra_err err;
	bool probe = false;
	ssize_t n;
	int rc;

	if (w->refused) {
		drain(l, w);
		return;
	}
	n = recv(w->fd, head, sizeof(head), MSG_PEEK | MSG_DONTWAIT);
	if (n <= 0) {
		if (n == 0 || errno != EAGAIN)
			close_waiting(l, w);
		return;
	}
	if (!w->begun) {
		w->begun = true;
		w->since_ns = sutra_clock_ns();
	}
	rc = sutra_http_head(head, (size_t)n, &probe, &err);
	if (rc == 1) {
		hand_over(l, w, probe);
	} else if (rc < 0) {
		refuse(l, w, &err);
		drain(l, w);
	} else if (ended) {
		close_waiting(l, w);
	}
}

static void add_waiting(struct sutra_http_listener *l, int fd, const struct sockaddr_storage *address, socklen_t len,
		  bool spare)
{
	struct waiting *w = sutra_alloc(sizeof(*w));
	struct epoll_event e = { .events = EPOLLIN | EPOLLRDHUP | EPOLLET, .data.ptr = w };

	if (!w) {
		close(fd);
		return;
	}
	*w = (struct waiting){ .kind = WAITING, .fd = fd, .since_ns = sutra_clock_ns(), .address = *address,
			       .address_len = len, .spare = spare, .peer = sutra_http_peer(&l->server->conns, (const struct sockaddr *)address),
			       .next = &l->waiting, .prev = l->waiting.prev };
	w->prev->next = w;
	l->waiting.prev = w;
	l->n_waiting++;
	sutra_http_peer_add(&l->server->conns, w->peer, 1);
	atomic_store_explicit(&l->server->last_event_ns, w->since_ns, memory_order_relaxed);
	sutra_http_count(&l->server->conns, SUTRA_HTTP_ACCEPTED);
	if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &e))
		close_waiting(l, w);
	else
		peek_head(l, w, false);
}

/* Closes at most a quarter of the waiting connections: those of a heavy address, or else the oldest. */
static unsigned close_oldest(struct sutra_http_listener *l)
{
	unsigned most = l->n_waiting < 4 * SUTRA_HTTP_BATCH ? (l->n_waiting + 3) / 4 : SUTRA_HTTP_BATCH, n = 0;

	for (int heavy = 1; heavy >= 0 && !n; heavy--)
		for (struct waiting *w = l->waiting.next, *next; w != &l->waiting && n < most; w = next) {
			next = w->next;
			if (heavy && !sutra_http_peer_heavy(&l->server->conns, w->peer))
				continue;
			sutra_http_count(&l->server->conns, SUTRA_HTTP_EVICTED);
			close_waiting(l, w);
			n++;
		}
	return n;
}

/* False: every connection is busy. */
static bool make_room(struct sutra_http_listener *l)
{
	return close_oldest(l) || sutra_http_conns_evict(&l->server->conns);
}

static void watch_sockets(struct sutra_http_listener *l, bool on)
{
	for (int i = 0; i < l->server->n; i++) {
		struct epoll_event e = { .events = on ? EPOLLIN : 0, .data.ptr = &l->sockets[i] };

		epoll_ctl(l->epoll, EPOLL_CTL_MOD, l->sockets[i].fd, &e);
	}
	l->paused = !on;
}

/* Connections wait in the backlog until the next tick: accept would only fail again at once. */
static void pause_accepting(struct sutra_http_listener *l, const char *why)
{
	uint64_t now = sutra_clock_ns();

	watch_sockets(l, false);
	sutra_http_count(&l->server->conns, SUTRA_HTTP_PAUSED);
	l->unlogged++;
	if (l->logged_ns && now - l->logged_ns < log_ns)
		return;
	sutra_log(SUTRA_WARN, "http", "new connections have to wait", "reason=\"%s\" connections=%u times=%llu", why,
		  table_size(l), (unsigned long long)l->unlogged);
	l->logged_ns = now;
	l->unlogged = 0;
}

static void accept_some(struct sutra_http_listener *l, int listening)
{
	const struct sutra_http_options *o = &l->server->o;

	for (int i = 0; i < ACCEPTS && atomic_load(&l->accepting); i++) {
		struct sockaddr_storage address;
		socklen_t len = sizeof(address);
		int fd;

		if (table_size(l) >= o->max_connections + RESERVE && !make_room(l)) {
			pause_accepting(l, "all connections are at work");
			return;
		}
		fd = accept4(listening, (struct sockaddr *)&address, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			add_waiting(l, fd, &address, len, table_size(l) >= o->max_connections && !make_room(l));
		} else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
			pause_accepting(l, strerror(errno));
			make_room(l);
			return;
		} else if (errno != ECONNABORTED && errno != EINTR && errno != EPROTO) {
			return;	/* EAGAIN; or the socket was shut down */
		}
	}
}

static void check_waiting(struct sutra_http_listener *l, struct waiting *w, uint64_t now)
{
	const struct sutra_http_options *o = &l->server->o;
	uint64_t age = now > w->since_ns ? now - w->since_ns : 0;
	struct sutra_err err;

	if (w->refused || !w->begun) {
		if (age > (w->refused ? o->head_ns : SUTRA_HTTP_IDLE_S * 1000000000ull))
			close_waiting(l, w);
	} else if (age > o->head_ns) {
		sutra_fail(&err, SUTRA_E_SLOW, "the request's head did not arrive in %llu ms",
			   (unsigned long long)(o->head_ns / 1000000));
		sutra_hint(&err, "send it faster");
		sutra_http_count(&l->server->conns, SUTRA_HTTP_SLOW_HEAD);
		refuse(l, w, &err);
		drain(l, w);
	}
}

static void tick(struct sutra_http_listener *l, uint64_t now)
{
	l->next_tick_ns = now + l->tick_ns;
	for (struct waiting *w = l->waiting.next, *next; w != &l->waiting; w = next) {
		next = w->next;
		check_waiting(l, w, now);
	}
	sutra_http_conns_check(&l->server->conns, now);
	if (l->paused && atomic_load(&l->accepting))
		watch_sockets(l, true);
	if (atomic_exchange(&l->server->freed, false))
		sutra_alloc_trim();
}

static void run_once(struct sutra_http_listener *l)
{
	uint64_t now = sutra_clock_ns();
	int left = now < l->next_tick_ns ? (int)((l->next_tick_ns - now) / 1000000) + 1 : 0;
	struct epoll_event events[64];
	int n = epoll_wait(l->epoll, events, 64, left);

	for (int i = 0; i < n; i++) {
		enum kind *kind = events[i].data.ptr;
		struct waiting *w = events[i].data.ptr;

		if (*kind == SOCKET)
			accept_some(l, ((struct socket *)events[i].data.ptr)->fd);
		else if (*kind == WAITING && !w->closed)
			peek_head(l, w, events[i].events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR));
	}
	now = sutra_clock_ns();
	if (now >= l->next_tick_ns)
		tick(l, now);
	while (l->closed) {
		struct waiting *w = l->closed;

		l->closed = w->next;
		sutra_free(w);
	}
}

static void *run(void *arg)
{
	struct sutra_http_listener *l = arg;

	while (!atomic_load(&l->ending))
		run_once(l);
	return NULL;
}

static int add_sockets(struct sutra_http_listener *l)
{
	struct epoll_event e = { .events = EPOLLIN };

	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	l->wake = (struct socket){ WAKE, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };
	e.data.ptr = &l->wake;
	if (l->epoll < 0 || l->wake.fd < 0 || epoll_ctl(l->epoll, EPOLL_CTL_ADD, l->wake.fd, &e))
		return -1;
	for (int i = 0; i < l->server->n; i++) {
		l->sockets[i] = (struct socket){ SOCKET, l->server->fds[i] };
		e.data.ptr = &l->sockets[i];
		if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, l->sockets[i].fd, &e))
			return -1;
	}
	return 0;
}

int sutra_http_listener_start(struct sutra_http_server *s, struct sutra_err *err)
{
	struct sutra_http_listener *l = sutra_calloc(1, sizeof(*l));
	int rc = 0;

	if (!l)
		return sutra_fail(err, SUTRA_E_NOMEM, "out of memory for the HTTP server");
	l->server = s;
	l->waiting.next = l->waiting.prev = &l->waiting;
	l->tick_ns = s->o.head_ns / 10;
	atomic_store(&l->accepting, true);
	s->listener = l;
	if (add_sockets(l))
		rc = sutra_fail_errno(err, "cannot watch the sockets of %s", s->o.listen);
	else if (pthread_create(&l->thread, NULL, run, l))
		rc = sutra_fail(err, SUTRA_E_NOMEM, "cannot start the listening thread");
	if (rc)
		atomic_store(&l->ending, true);
	return rc;
}

void sutra_http_listener_pause(struct sutra_http_listener *l)
{
	atomic_store(&l->accepting, false);
	for (int i = 0; i < l->server->n; i++)
		epoll_ctl(l->epoll, EPOLL_CTL_DEL, l->sockets[i].fd, NULL);
}

void sutra_http_listener_stop(struct sutra_http_listener *l)
{
	if (atomic_exchange(&l->ending, true))
		return;
	eventfd_write(l->wake.fd, 1);
	pthread_join(l->thread, NULL);
	while (l->waiting.next != &l->waiting)
		close_waiting(l, l->waiting.next);
	while (l->closed) {
		struct waiting *w = l->closed;

		l->closed = w->next;
		sutra_free(w);
	}
}

void sutra_http_listener_free(struct sutra_http_listener *l)
{
	if (!l)
		return;
	if (l->epoll >= 0)
		close(l->epoll);
	if (l->wake.fd >= 0)
		close(l->wake.fd);
	sutra_free(l);
}
