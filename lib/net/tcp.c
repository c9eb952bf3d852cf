/*
 * libuv provides the loop, its timers and the wake-up. The sockets are read and written here (uv_poll):
 * back-pressure, awaited answers and shared buffers depend on the number of bytes that are sent, which
 * uv_write's queue hides.
 *
 * Buffers. All connections read into one buffer of the loop; only an unfinished message is copied into its
 * connection. A connection takes an output buffer from a pool when it has an answer, and returns it when
 * the answer is sent, usually within the same turn.
 *
 * Slices. Readable connections are queued in `ready`. A turn serves each connection of the queue once, for
 * TURN_NS divided by their number, but at least one message. A connection with more messages goes to the
 * end of the queue, and an idle handle keeps the loop from waiting. So the time until a new connection is
 * served depends on the number of busy connections, not on the number of their requests.
 */
#include "net/tcp.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/digest.h"
#include "net/tcp_private.h"

enum {
	READ_SIZE = 256 << 10,
	ACCEPT_BURST = 512,
	MAX_MESSAGE = (64 << 20) + 65536,	/* bytes of an unfinished message */
};

#define TURN_NS 4000000u

static const char *const end_names[] = {
#define X(sym, name) name,
	SUTRA_TCP_ENDS(X)
#undef X
};

const char *sutra_tcp_end_name(enum sutra_tcp_end end) { return end_names[end]; }

/* ---- one connection ---- */

static void take_out(struct sutra_tcp_conn *c)
{
	struct sutra_tcp *t = c->tcp;

	if (!c->out.data && t->n_pool) {
		size_t max = c->out.max;

		c->out = t->pool[--t->n_pool];
		c->out.max = max;
	}
}

static void on_ready(uv_poll_t *p, int status, int events);

/* Polls for the events that the connection can handle now. */
static void watch(struct sutra_tcp_conn *c)
{
	int events = 0;

	if (!c->ending && !c->tcp->stop_at && !is_full(c))
		events |= UV_READABLE;
	if (c->out_at < c->out.len)
		events |= UV_WRITABLE;
	if (!events && !c->ending)
		events = UV_DISCONNECT;
	if (events == c->events)
		return;
	c->events = events;
	uv_poll_start(&c->poll, events, on_ready);
}

/* Removes the bytes that are sent; returns the buffer when it is empty. */
static void trim_out(struct sutra_tcp_conn *c)
{
	if (c->out_at == c->out.len) {
		c->out_at = 0;
		sutra_tcp_return_out(c);
	} else if (c->out_at > c->out.len / 2 && c->out_at > POOL_KEEP) {
		sutra_buf_consume(&c->out, c->out_at);
		c->out_at = 0;
	}
}

/* Sends the output as far as the socket takes it. False: the connection has been cut. */
static bool flush(struct sutra_tcp_conn *c)
{
	while (c->out_at < c->out.len) {
		ssize_t n = send(c->fd, c->out.data + c->out_at, c->out.len - c->out_at,
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK) {
			sutra_tcp_cut(c, SUTRA_TCP_BROKEN);
			return false;
		}
		if (n < 0)
			break;
		c->out_at += (size_t)n;
		c->moved += (size_t)n;
		c->served = true;
	}
	trim_out(c);
	return true;
}

/* Passes p[0..n) to `data`, and keeps the bytes that it does not consume. May cut the connection. */
static void feed(struct sutra_tcp_conn *c, const char *p, size_t n)
{
	struct sutra_tcp *t = c->tcp;
	size_t done;

	take_out(c);
	c->again = false;
	done = t->o.data(c, p, n, t->o.ctx);
	c->served |= done && !c->owes;	/* else the bytes may be a part of a message */
	if (p == c->rest.data) {
		sutra_buf_consume(&c->rest, done);
		if (!c->rest.len)
			sutra_buf_release(&c->rest);
	} else if (done < n) {
		sutra_buf_add(&c->rest, p + done, n - done);
	}
	link_add(&t->dirty, &c->dirty);
	sutra_tcp_account(c);
	if (sutra_buf_error(&c->rest) || sutra_buf_error(&c->out)) {
		sutra_tcp_cut(c, SUTRA_TCP_OVERLOAD);
		return;
	}
	c->again &= c->rest.len && !c->ending;
	if (c->again)
		link_add(&t->ready, &c->ready);
	sutra_tcp_relieve(c);
}

static void read_some(struct sutra_tcp_conn *c)
{
	struct sutra_tcp *t = c->tcp;
	ssize_t n = recv(c->fd, t->input, READ_SIZE, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) {
		sutra_tcp_cut(c, SUTRA_TCP_BROKEN);
		return;
	}
	if (!n) {	/* the peer may still wait for answers */
		c->ending = true;
		c->why = SUTRA_TCP_PEER;
		link_add(&t->dirty, &c->dirty);
		return;
	}
	c->moved += (size_t)n;
	if (!c->rest.len) {
		feed(c, t->input, (size_t)n);
		return;
	}
	sutra_buf_add(&c->rest, t->input, (size_t)n);
	feed(c, c->rest.data, c->rest.len);
}

static void on_ready(uv_poll_t *p, int status, int events)
{
	struct sutra_tcp_conn *c = (struct sutra_tcp_conn *)p;

	c->tcp->now = uv_now(&c->tcp->loop);
	if (status < 0 || (events & UV_DISCONNECT && c->events == UV_DISCONNECT)) {
		sutra_tcp_cut(c, status < 0 ? SUTRA_TCP_BROKEN : SUTRA_TCP_PEER);
		return;
	}
	if (events & UV_WRITABLE)
		link_add(&c->tcp->dirty, &c->dirty);
	if (events & UV_READABLE)
		link_add(&c->tcp->ready, &c->ready);
}

void *sutra_tcp_state(struct sutra_tcp_conn *c) { return c->state; }

void sutra_tcp_end(struct sutra_tcp_conn *c)
{
	c->ending = true;
	c->why = SUTRA_TCP_SERVER;
}

void sutra_tcp_owes(struct sutra_tcp_conn *c, bool owes) { c->owes = owes; }

bool sutra_tcp_yield(struct sutra_tcp_conn *c)
{
	c->is_choked = is_full(c);
	if (c->is_choked)
		return true;
	c->again = sutra_clock_ns() >= c->tcp->slice_end;
	return c->again;
}

/* ---- the loop ---- */

/* Ends a turn for a connection: sends, queues it again if its output was full, or ends it. */
static void finish(struct sutra_tcp_conn *c)
{
	if (!flush(c))
		return;
	if (c->is_choked && !is_full(c)) {
		c->is_choked = false;
		c->again = c->rest.len && !c->ending;
		if (c->again)
			link_add(&c->tcp->ready, &c->ready);
	}
	if (c->out_at == c->out.len && !linked(&c->ready) && !c->first && (c->ending || c->tcp->stop_at)) {
		sutra_tcp_cut(c, c->ending ? c->why : SUTRA_TCP_SERVER);
		return;
	}
	sutra_tcp_account(c);
	sutra_tcp_note(c);
	watch(c);
}

static void serve(struct sutra_tcp_conn *c)
{
	if (c->ending || is_full(c))
		return;
	if (c->again)
		feed(c, c->rest.data, c->rest.len);
	else
		read_some(c);
}

/* Serves each connection of the queue once, until the turn's time is over. */
static void serve_ready(struct sutra_tcp *t)
{
	const struct link *last = t->ready.prev;
	uint64_t n = 0, end = sutra_clock_ns() + TURN_NS;
	bool more = linked(&t->ready);

	for (const struct link *l = t->ready.next; l != &t->ready; l = l->next)
		n++;
	while (more) {
		struct sutra_tcp_conn *c = conn_of(t->ready.next, ready);

		t->slice_end = sutra_clock_ns() + TURN_NS / n;
		more = &c->ready != last;
		link_remove(&c->ready);
		serve(c);
		more &= linked(&t->ready) && sutra_clock_ns() < end;
	}
}

static void wake_again(uv_idle_t *idle) {}

static void finish_turn(struct sutra_tcp *t)
{
	struct link round;

	serve_ready(t);
	if (linked(&t->dirty) && t->o.batch)
		t->o.batch(t->o.ctx);
	if (linked(&t->dirty)) {
		round = t->dirty;
		round.next->prev = round.prev->next = &round;
		link_init(&t->dirty);
		while (linked(&round)) {
			struct sutra_tcp_conn *c = conn_of(round.next, dirty);

			link_remove(&c->dirty);
			finish(c);
		}
	}
	if (linked(&t->ready))
		uv_idle_start(&t->idle, wake_again);
	else
		uv_idle_stop(&t->idle);
}

static void on_check(uv_check_t *check) { finish_turn(check->data); }

static void adopt(struct sutra_tcp *t, int fd, const struct sockaddr_storage *from)
{
	unsigned peer = sutra_tcp_peer(t, from);
	struct sutra_tcp_conn *c = NULL;
	int one = 1;

	if (sutra_tcp_make_room(t, peer))
		c = sutra_calloc(1, sizeof(*c) + t->o.state_size);
	if (!c || uv_poll_init(&t->loop, &c->poll, fd)) {
		sutra_free(c);
		t->ends[SUTRA_TCP_TOO_MANY]++;
		close(fd);
		return;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	c->tcp = t;
	c->fd = fd;
	c->peer = (uint16_t)peer;
	c->since = c->window = t->now;
	sutra_buf_init(&c->rest, MAX_MESSAGE + READ_SIZE);
	sutra_buf_init(&c->out, t->o.soft_output + MAX_MESSAGE + READ_SIZE);
	link_init(&c->all);
	link_init(&c->dirty);
	link_init(&c->ready);
	link_add(&t->all, &c->all);
	t->open++;
	t->peers[peer]++;
	t->accepted++;
	watch(c);
}

static void listen_on(struct sutra_tcp *t, int events);

static bool out_of(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

/* Evicts a connection for its descriptor; else connections wait in the backlog until the next tick. */
static void cannot_accept(struct sutra_tcp *t)
{
	t->ends[SUTRA_TCP_NO_DESCRIPTORS]++;
	if (!sutra_tcp_evict(t, -1))
		listen_on(t, 0);
}

static void on_connect(uv_poll_t *p, int status, int events)
{
	struct listener *l = (struct listener *)p;
	struct sutra_tcp *t = l->tcp;

	t->now = uv_now(&t->loop);
	for (int i = 0; i < ACCEPT_BURST; i++) {
		struct sockaddr_storage from = { 0 };
		socklen_t len = sizeof(from);
		int fd = accept4(l->fd, (struct sockaddr *)&from, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);

		/* Only at the first call a connection is known to wait: accept4 reports a lack of
		 * descriptors before it looks at the backlog. */
		if (fd < 0 && !i && out_of(errno))
			cannot_accept(t);
		if (fd < 0)
			break;
		adopt(t, fd, &from);
	}
}

/* Polls the listening sockets for events; 0: does not poll them. */
static void listen_on(struct sutra_tcp *t, int events)
{
	for (int i = 0; i < t->o.n_fds; i++) {
		if (events)
			uv_poll_start(&t->listeners[i].poll, events, on_connect);
		else
			uv_poll_stop(&t->listeners[i].poll);
	}
	t->paused = !events;
}

static void close_loop(struct sutra_tcp *t)
{
	if (uv_is_closing((uv_handle_t *)&t->timer))
		return;
	uv_close((uv_handle_t *)&t->timer, NULL);
	uv_close((uv_handle_t *)&t->async, NULL);
	uv_close((uv_handle_t *)&t->check, NULL);
	uv_close((uv_handle_t *)&t->idle, NULL);
}

static void on_tick(uv_timer_t *timer)
{
	struct sutra_tcp *t = timer->data;

	t->now = uv_now(&t->loop);
	if (t->o.tick && !t->stop_at)
		t->o.tick(t->o.ctx);
	if (t->paused && !t->stop_at)
		listen_on(t, UV_READABLE);
	if (t->stop_at || ++t->turn % CHECK_TICKS == 0)
		sutra_tcp_check(t);
	finish_turn(t);
	if (t->stop_at && !t->open)
		close_loop(t);
}

static void start_drain(struct sutra_tcp *t, uint64_t grace_ns)
{
	for (int i = 0; i < t->o.n_fds; i++)
		uv_close((uv_handle_t *)&t->listeners[i].poll, NULL);
	/* Requests that have arrived are still served: close(2) with unread bytes would reset the connection
	 * and lose answers that are not delivered yet. */
	for (struct link *l = t->all.next; l != &t->all; l = l->next)
		link_add(&t->ready, &conn_of(l, all)->ready);
	t->stop_at = t->now + grace_ns / 1000000u + 1;
	for (struct link *l = t->all.next; l != &t->all; l = l->next)
		watch(conn_of(l, all));
	uv_timer_start(&t->timer, on_tick, 0, 10);
}

static void on_async(uv_async_t *async)
{
	struct sutra_tcp *t = async->data;
	uint64_t grace = atomic_load(&t->stop_grace);

	t->now = uv_now(&t->loop);
	if (t->o.woken)
		t->o.woken(t->o.ctx);
	if (grace && !t->stop_at)
		start_drain(t, grace);
}

static int start(struct sutra_tcp *t)
{
	int rc = uv_check_init(&t->loop, &t->check);

	rc = rc ? rc : uv_async_init(&t->loop, &t->async, on_async);
	rc = rc ? rc : uv_timer_init(&t->loop, &t->timer);
	rc = rc ? rc : uv_idle_init(&t->loop, &t->idle);
	if (rc)
		return rc;
	t->check.data = t->async.data = t->timer.data = t;
	uv_check_start(&t->check, on_check);
	uv_timer_start(&t->timer, on_tick, TICK_MS, TICK_MS);
	for (int i = 0; i < t->o.n_fds && !rc; i++) {
		struct listener *l = &t->listeners[i];

		l->tcp = t;
		l->fd = t->o.fds[i];
		rc = uv_poll_init(&t->loop, &l->poll, l->fd);
	}
	if (!rc)
		listen_on(t, UV_READABLE);
	return rc;
}

int sutra_tcp_new(const struct sutra_tcp_options *o, struct sutra_tcp **ret, struct sutra_err *err)
{
	struct sutra_tcp *t;
	int rc;

	if (o->n_fds < 1 || o->n_fds > MAX_LISTEN)
		return sutra_fail(err, SUTRA_E_INVALID, "%d listening sockets; 1 to %d are allowed",
				  o->n_fds, MAX_LISTEN);
	t = sutra_calloc(1, sizeof(*t));
	if (!t || !(t->input = sutra_alloc(READ_SIZE))) {
		sutra_free(t);
		return sutra_fail(err, SUTRA_E_NOMEM, "no memory for the TCP server");
	}
	t->o = *o;
	t->o.max_connections = o->max_connections ? o->max_connections : 8192;
	t->o.max_per_peer = o->max_per_peer ? o->max_per_peer : (t->o.max_connections * 3 + 3) / 4;
	t->o.soft_output = o->soft_output ? o->soft_output : 1 << 20;
	t->o.max_held = o->max_held ? o->max_held : 512u << 20;
	t->o.stall_ns = o->stall_ns ? o->stall_ns : 10000000000u;
	t->o.idle_ns = o->idle_ns ? o->idle_ns : 900000000000u;
	sutra_random(&t->seed, sizeof(t->seed));
	link_init(&t->all);
	link_init(&t->dirty);
	link_init(&t->ready);
	rc = uv_loop_init(&t->loop);
	t->now = t->checked = rc ? 0 : uv_now(&t->loop);
	if (!rc && (rc = start(t))) {
		uv_walk(&t->loop, (uv_walk_cb)uv_close, NULL);
		uv_run(&t->loop, UV_RUN_DEFAULT);
		uv_loop_close(&t->loop);
	}
	if (rc) {
		sutra_free(t->input);
		sutra_free(t);
		return sutra_fail(err, SUTRA_E_IO, "cannot start the TCP server's loop: %s",
				  uv_strerror(rc));
	}
	*ret = t;
	return 0;
}

void sutra_tcp_run(struct sutra_tcp *t) { uv_run(&t->loop, UV_RUN_DEFAULT); }
void sutra_tcp_wake(struct sutra_tcp *t) { uv_async_send(&t->async); }

void sutra_tcp_stop(struct sutra_tcp *t, uint64_t grace_ns)
{
	atomic_store(&t->stop_grace, grace_ns ? grace_ns : 1);
	uv_async_send(&t->async);
}

void sutra_tcp_free(struct sutra_tcp *t)
{
	if (!t)
		return;
	uv_loop_close(&t->loop);
	while (t->n_pool)
		sutra_buf_release(&t->pool[--t->n_pool]);
	sutra_free(t->input);
	sutra_free(t);
}

void sutra_tcp_counts(const struct sutra_tcp *t, struct sutra_tcp_counts *ret)
{
	*ret = (struct sutra_tcp_counts){ .accepted = t->accepted, .open = t->open,
					  .held_bytes = t->held_bytes };
	memcpy(ret->ends, t->ends, sizeof(t->ends));
}
