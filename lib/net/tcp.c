/*
 * libuv gives the loop, its timers and the wake-up; the sockets are read and written here
 * (uv_poll), because back-pressure, held answers and shared buffers need to know
 * exactly which bytes are where, which uv_write's queue hides.
 *
 * Buffers. All connections read into one buffer of the loop; only an unfinished message is
 * copied into its connection. An output buffer is lent from a pool when a connection
 * has something to say and goes back when it is sent, usually within the same turn.
 */
#include "net/tcp.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "net/tcp_private.h"

enum { READ_SIZE = 256 << 10, POOL_KEEP = 256 << 10, ACCEPT_BURST = 64, TICK_MS = 100 };

static const char *const end_names[] = {
#define X(sym, name) name,
	SUTRA_TCP_ENDS(X)
#undef X
};

const char *sutra_tcp_end_name(enum sutra_tcp_end end) { return end_names[end]; }

/* ---- one connection ---- */

static void lend_out(struct sutra_tcp_conn *c)
{
	struct sutra_tcp *t = c->tcp;

	if (!c->out.data && t->n_pool) {
		size_t max = c->out.max;

		c->out = t->pool[--t->n_pool];
		c->out.max = max;
	}
}

static void return_out(struct sutra_tcp_conn *c)
{
	struct sutra_tcp *t = c->tcp;

	if (c->out.data && t->n_pool < POOL && c->out.cap <= POOL_KEEP) {
		sutra_buf_clear(&c->out);
		t->pool[t->n_pool++] = c->out;
		sutra_buf_init(&c->out, c->out.max);
	} else {
		sutra_buf_release(&c->out);
	}
}

void sutra_tcp_account(struct sutra_tcp_conn *c)
{
	size_t now = c->rest.cap + c->out.cap + c->cap_holds * sizeof(struct hold);

	c->tcp->held_bytes += now - c->counted;
	c->counted = now;
}

static void conn_freed(uv_handle_t *h)
{
	struct sutra_tcp_conn *c = (struct sutra_tcp_conn *)(void *)h;

	close(c->fd);
	sutra_free(c);
}

void sutra_tcp_cut(struct sutra_tcp_conn *c, enum sutra_tcp_end why)
{
	struct sutra_tcp *t = c->tcp;

	if (c->closing)
		return;
	c->closing = true;
	t->ends[why]++;
	t->open--;
	return_out(c);
	sutra_buf_release(&c->rest);
	sutra_free(c->holds);
	c->holds = NULL;
	c->n_holds = c->holds_at = c->cap_holds = 0;
	sutra_tcp_account(c);
	link_remove(&c->all);
	link_remove(&c->dirty);
	link_remove(&c->held);
	uv_poll_stop(&c->poll);
	uv_close((uv_handle_t *)&c->poll, conn_freed);
}

static void on_ready(uv_poll_t *p, int status, int events);

/* How much of out may leave: up to the first answer that waits. */
static size_t sendable(const struct sutra_tcp_conn *c)
{
	return c->n_holds > c->holds_at ? (size_t)(c->holds[c->holds_at].start - c->base) : c->out.len;
}

/* Asks for the events the connection's state calls for. */
static void watch(struct sutra_tcp_conn *c)
{
	int events = 0;

	if (!c->ending && !c->tcp->stop_at && !sutra_tcp_full(c))
		events |= UV_READABLE;
	if (c->out_at < sendable(c))
		events |= UV_WRITABLE;
	if (!events && !c->ending)
		events = UV_DISCONNECT;
	if (events == c->events)
		return;
	c->events = events;
	uv_poll_start(&c->poll, events, on_ready);
}

/* Drops what is sent; gives the buffer back when nothing is left. */
static void trim_out(struct sutra_tcp_conn *c)
{
	if (c->out_at == c->out.len) {
		c->base += c->out.len;
		c->out_at = 0;
		return_out(c);
	} else if (c->out_at > c->out.len / 2 && c->out_at > POOL_KEEP) {
		c->base += c->out_at;
		sutra_buf_consume(&c->out, c->out_at);
		c->out_at = 0;
	}
}

/* Sends what may leave. False: the connection is gone. */
static bool flush(struct sutra_tcp_conn *c)
{
	size_t end = sendable(c);

	while (c->out_at < end) {
		ssize_t n = send(c->fd, c->out.data + c->out_at, end - c->out_at,
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
		c->progress = c->tcp->now;
	}
	trim_out(c);
	return true;
}

/* Lets `data` look at p[0..n), keeps what it leaves. False: the connection is gone. */
static bool feed(struct sutra_tcp_conn *c, const char *p, size_t n)
{
	struct sutra_tcp *t = c->tcp;
	size_t done;

	lend_out(c);
	done = t->o.data(c, p, n, t->o.ctx);
	if (p == c->rest.data) {
		sutra_buf_consume(&c->rest, done);
		if (!c->rest.len)
			sutra_buf_release(&c->rest);
	} else if (done < n) {
		sutra_buf_add(&c->rest, p + done, n - done);
	}
	link_add(&t->dirty, &c->dirty);
	sutra_tcp_account(c);
	if (sutra_buf_error(&c->rest) || sutra_buf_error(&c->out) || t->held_bytes > t->o.max_held) {
		sutra_tcp_cut(c, SUTRA_TCP_OVERLOAD);
		return false;
	}
	return true;
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
	if (!n) {	/* it may still wait for answers */
		c->ending = true;
		c->why = SUTRA_TCP_PEER;
		link_add(&t->dirty, &c->dirty);
		return;
	}
	c->progress = t->now;
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
		read_some(c);
}

struct sutra_buf *sutra_tcp_out(struct sutra_tcp_conn *c) { return &c->out; }
void *sutra_tcp_state(struct sutra_tcp_conn *c) { return c->state; }

void sutra_tcp_end(struct sutra_tcp_conn *c)
{
	c->ending = true;
	c->why = SUTRA_TCP_SERVER;
}

bool sutra_tcp_full(const struct sutra_tcp_conn *c)
{
	return c->out.len - c->out_at > c->tcp->o.soft_output;
}

/* ---- the loop ---- */

/* End of a turn for one connection: send, read on where it had been stopped, or end. */
static void finish(struct sutra_tcp_conn *c)
{
	bool was_full = sutra_tcp_full(c);

	if (!flush(c))
		return;
	if (c->out_at == c->out.len && (c->ending || c->tcp->stop_at)) {
		sutra_tcp_cut(c, c->ending ? c->why : SUTRA_TCP_SERVER);
		return;
	}
	if (was_full && !sutra_tcp_full(c) && c->rest.len && !c->ending && !c->tcp->stop_at) {
		if (!feed(c, c->rest.data, c->rest.len))	/* dirty again: next round */
			return;
	}
	sutra_tcp_account(c);
	watch(c);
}

static void finish_turn(struct sutra_tcp *t)
{
	struct link round;

	while (linked(&t->dirty)) {
		if (t->o.batch)
			t->o.batch(t->o.ctx);
		round = t->dirty;	/* this round's connections; finish may start another */
		round.next->prev = round.prev->next = &round;
		link_init(&t->dirty);
		while (linked(&round)) {
			struct sutra_tcp_conn *c = conn_of(round.next, dirty);

			link_remove(&c->dirty);
			finish(c);
		}
	}
}

static void on_check(uv_check_t *check) { finish_turn(check->data); }

static void refuse_one(struct sutra_tcp *t, int fd)
{
	t->ends[SUTRA_TCP_TOO_MANY]++;
	close(fd);
}

/* Out of descriptors: the spare one is given up to take the caller off the backlog. */
static bool accept_on_spare(struct sutra_tcp *t, int listener)
{
	int fd;

	if (t->spare_fd < 0)
		return false;
	close(t->spare_fd);
	fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (fd >= 0)
		refuse_one(t, fd);
	t->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return fd >= 0;
}

static void adopt(struct sutra_tcp *t, int fd)
{
	struct sutra_tcp_conn *c = NULL;
	int one = 1;

	if (t->open < t->o.max_connections)
		c = sutra_calloc(1, sizeof(*c) + t->o.state_size);
	if (!c || uv_poll_init(&t->loop, &c->poll, fd)) {
		sutra_free(c);
		refuse_one(t, fd);
		return;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	c->tcp = t;
	c->fd = fd;
	c->progress = t->now;
	sutra_buf_init(&c->rest, t->o.max_message + READ_SIZE);
	sutra_buf_init(&c->out, t->o.soft_output + t->o.max_message + READ_SIZE);
	link_init(&c->all);
	link_init(&c->dirty);
	link_init(&c->held);
	link_add(&t->all, &c->all);
	t->open++;
	t->accepted++;
	watch(c);
}

static void on_connect(uv_poll_t *p, int status, int events)
{
	struct listener *l = (struct listener *)p;
	struct sutra_tcp *t = l->tcp;

	t->now = uv_now(&t->loop);
	for (int i = 0; i < ACCEPT_BURST; i++) {
		int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd >= 0)
			adopt(t, fd);
		else if ((errno != EMFILE && errno != ENFILE) || !accept_on_spare(t, l->fd))
			break;
	}
}

static void close_loop(struct sutra_tcp *t)
{
	if (uv_is_closing((uv_handle_t *)&t->timer))
		return;
	uv_close((uv_handle_t *)&t->timer, NULL);
	uv_close((uv_handle_t *)&t->async, NULL);
	uv_close((uv_handle_t *)&t->check, NULL);
}

/* Cuts who stalls; while draining, ends whatever has nothing more to say. */
static void patrol(struct sutra_tcp *t)
{
	for (struct link *l = t->all.next, *next; l != &t->all; l = next) {
		struct sutra_tcp_conn *c = conn_of(l, all);
		bool silent = (t->now - c->progress) * 1000000u >= t->o.stall_ns;

		next = l->next;
		if (t->stop_at && (c->out_at == c->out.len || t->now >= t->stop_at))
			sutra_tcp_cut(c, SUTRA_TCP_SERVER);
		else if (silent && c->out_at < c->out.len && c->holds_at == c->n_holds)
			sutra_tcp_cut(c, SUTRA_TCP_STALLED_READER);
		else if (silent && c->rest.len && !sutra_tcp_full(c))
			sutra_tcp_cut(c, SUTRA_TCP_SLOW_SENDER);
	}
}

static void on_tick(uv_timer_t *timer)
{
	struct sutra_tcp *t = timer->data;

	t->now = uv_now(&t->loop);
	if (t->o.tick && !t->stop_at)
		t->o.tick(t->o.ctx);
	if (t->stop_at || ++t->turn % 10 == 0)
		patrol(t);
	finish_turn(t);
	if (t->stop_at && !t->open)
		close_loop(t);
}

static void start_drain(struct sutra_tcp *t, uint64_t grace_ns)
{
	for (int i = 0; i < t->o.n_fds; i++)
		uv_close((uv_handle_t *)&t->listeners[i].poll, NULL);
	/* What has arrived is still served: closing over unread bytes would reset the
	 * connection and take answers on their way with it. */
	for (struct link *l = t->all.next, *next; l != &t->all; l = next) {
		struct sutra_tcp_conn *c = conn_of(l, all);

		next = l->next;
		if (!c->ending && !sutra_tcp_full(c))
			read_some(c);
	}
	finish_turn(t);
	t->stop_at = t->now + grace_ns / 1000000u + 1;
	patrol(t);
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
		rc = rc ? rc : uv_poll_start(&l->poll, UV_READABLE, on_connect);
	}
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
	t->o.max_message = o->max_message ? o->max_message : (64u << 20) + 65536;
	t->o.soft_output = o->soft_output ? o->soft_output : 1 << 20;
	t->o.max_held = o->max_held ? o->max_held : 512u << 20;
	t->o.stall_ns = o->stall_ns ? o->stall_ns : 30000000000u;
	link_init(&t->all);
	link_init(&t->dirty);
	link_init(&t->held);
	t->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	rc = uv_loop_init(&t->loop);
	if (!rc && (rc = start(t))) {
		uv_walk(&t->loop, (uv_walk_cb)uv_close, NULL);
		uv_run(&t->loop, UV_RUN_DEFAULT);
		uv_loop_close(&t->loop);
	}
	if (rc) {
		close(t->spare_fd);
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
	if (t->spare_fd >= 0)
		close(t->spare_fd);
	sutra_free(t->input);
	sutra_free(t);
}

void sutra_tcp_counts(const struct sutra_tcp *t, struct sutra_tcp_counts *ret)
{
	*ret = (struct sutra_tcp_counts){ .accepted = t->accepted, .open = t->open,
					  .held_bytes = t->held_bytes };
	memcpy(ret->ends, t->ends, sizeof(t->ends));
}
