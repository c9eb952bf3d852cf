/*
 * One connection, one thread, one lock.
 *
 * A caller encodes its frame into the output buffer under the lock and, if the buffer was empty, sends it
 * itself: a call usually costs one send(2) and no change of thread. The client's thread reads answers, and
 * writes only after the socket was full. Answers come in the order of the requests, so the unanswered calls
 * are a queue and need no numbers.
 *
 * A call past its deadline is answered with SUTRA_E_TIMEOUT and stays in the queue, because its answer may
 * still come. When one is three time limits late, the server is taken for dead and the connection is closed.
 * The first deadline is that of the head (all limits are equal); a timerfd, armed when the queue becomes
 * non-empty, wakes the thread for it, so that an idle client never wakes.
 *
 * `lock` guards the fields below it. No callback runs under it. Only the thread changes fd, under the lock.
 */
#include "wire/store_client.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "wire/frame.h"
#include "wire/reconnect.h"

enum { READ_CHUNK = 65536, KEEP_INPUT = 1 << 20 };

struct call {
	struct call *next;
	enum sutra_op op;
	int code;		/* why it could not be sent */
	bool timed_out;		/* answered with SUTRA_E_TIMEOUT; the server's answer may still come */
	size_t n_ids;		/* of the request */
	uint64_t deadline;
	sutra_store_done *done;
	void *user;
};

/* A queue of calls, in the order of their requests. */
struct calls {
	struct call *head, **tail;
	size_t n;
};

struct sutra_store_client {
	char *host;
	int epoll, wake, timer;
	uint64_t timeout_ns;
	size_t max_queued;
	pthread_t thread;
	struct sutra_buf in;		/* the thread's alone */
	struct sutra_decoder *decoder;	/* the thread's alone */
	struct reconnect reconnect;	/* while fd is -1 */
	atomic_bool up, stop;
	atomic_ullong calls, answered, failures, timeouts, busy, connects, disconnects;
	pthread_mutex_t lock;
	int fd;				/* -1: down */
	uint64_t connected_ns;
	struct calls waiting, failed;
	struct sutra_buf out;
	size_t out_at;			/* bytes of out already sent */
	bool timer_armed, want_write;
};

static void count(atomic_ullong *counter)
{
	atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

static void wake_thread(struct sutra_store_client *c)
{
	uint64_t one = 1;

	if (write(c->wake, &one, sizeof(one)) < 0)
		return;	/* EAGAIN: it is awake */
}

static void push(struct calls *q, struct call *c)
{
	c->next = NULL;
	*q->tail = c;
	q->tail = &c->next;
	q->n++;
}

static struct call *pop(struct calls *q)
{
	struct call *c = q->head;

	if (!c)
		return NULL;
	q->head = c->next;
	if (!q->head)
		q->tail = &q->head;
	q->n--;
	return c;
}

static void clear(struct calls *q) { *q = (struct calls){ .tail = &q->head }; }

/* Moves all calls to *ret. */
static void take(struct calls *q, struct calls *ret)
{
	*ret = *q;
	if (!ret->head)	/* its tail would be q's */
		clear(ret);
	clear(q);
}

/* Answers a call with an error code. Not under the lock. */
static void report_failure(struct sutra_store_client *c, const struct call *call, int code)
{
	count(&c->failures);
	if (call->done)
		call->done(call->user, code, NULL);
}

/* ---- callers ---- */

/* Sends what the socket takes; the thread sends the rest. Under the lock. */
static void send_some(struct sutra_store_client *c)
{
	while (c->fd >= 0 && c->out_at < c->out.len) {
		ssize_t n = send(c->fd, c->out.data + c->out_at, c->out.len - c->out_at,
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			break;	/* the socket is full, or broken: the thread handles both */
		c->out_at += (size_t)n;
	}
	if (c->out_at == c->out.len) {
		c->out_at = 0;
		sutra_buf_clear(&c->out);
	} else if (c->out_at > c->out.len / 2) {
		sutra_buf_consume(&c->out, c->out_at);
		c->out_at = 0;
	}
}

static void arm_timer(struct sutra_store_client *c, uint64_t at)
{
	struct itimerspec t = { .it_value = { .tv_sec = (time_t)(at / 1000000000u),
					      .tv_nsec = (long)(at % 1000000000u) } };

	c->timer_armed = true;
	timerfd_settime(c->timer, TFD_TIMER_ABSTIME, &t, NULL);
}

/* Under the lock: appends the frame and queues its call; else an error code. */
static int append(struct sutra_store_client *c, const struct sutra_message *request, struct call *call)
{
	size_t begin = c->out.len;
	int code = c->fd < 0 ? SUTRA_E_UNAVAILABLE : c->waiting.n < c->max_queued ? 0 : SUTRA_E_BUSY;

	if (code)
		return code;
	code = sutra_request_encode(&c->out, request);
	if (code) {
		if (sutra_buf_error(&c->out) == SUTRA_E_TOOBIG)
			code = SUTRA_E_BUSY;	/* the queue is full, not the frame too large */
		c->out.len = begin;
		c->out.error = 0;
		return code;
	}
	call->deadline = sutra_clock_ns() + c->timeout_ns;
	push(&c->waiting, call);
	if (!c->timer_armed)
		arm_timer(c, call->deadline);
	if (c->out_at == begin)
		send_some(c);
	if (c->out.len && !c->want_write) {
		c->want_write = true;
		wake_thread(c);
	}
	return 0;
}

void sutra_store_call(struct sutra_store_client *c, const struct sutra_message *request,
		      sutra_store_done *done, void *user)
{
	const struct call made = { .op = request->op, .n_ids = request->n_ids, .done = done, .user = user };
	struct call *call = sutra_memdup(&made, sizeof(made));
	bool is_noted = false;
	int code = SUTRA_E_NOMEM;

	if (call) {
		pthread_mutex_lock(&c->lock);
		code = call->code = append(c, request, call);
		is_noted = !code || c->failed.n < c->max_queued;
		if (code && is_noted) {
			push(&c->failed, call);
			wake_thread(c);
		}
		pthread_mutex_unlock(&c->lock);
		count(&c->calls);
	}
	if (code == SUTRA_E_BUSY)
		count(&c->busy);
	if (!is_noted) {
		report_failure(c, &made, code);
		sutra_free(call);
	}
}

/* ---- the thread ---- */

static void watch(struct sutra_store_client *c, int fd, uint32_t events, int op)
{
	struct epoll_event e = { .events = events, .data.fd = fd };

	epoll_ctl(c->epoll, op, fd, &e);
}

/* Reports failure of every call of the queue, the oldest first. */
static void fail_all(struct sutra_store_client *c, struct calls *q, int code)
{
	struct call *call;

	while ((call = pop(q))) {
		if (!call->timed_out)
			report_failure(c, call, code ? code : call->code);
		sutra_free(call);
	}
}

static void disconnect(struct sutra_store_client *c, int code)
{
	struct calls lost;
	int fd;

	pthread_mutex_lock(&c->lock);
	fd = c->fd;
	c->fd = -1;
	take(&c->waiting, &lost);
	sutra_buf_clear(&c->out);
	c->out_at = 0;
	c->want_write = false;
	pthread_mutex_unlock(&c->lock);
	if (fd >= 0) {
		atomic_store(&c->up, false);
		count(&c->disconnects);
		close(fd);
	}
	sutra_buf_release(&c->in);
	/* A connection that lasted was idle, or the server restarts: reconnect without back-off. */
	if (fd < 0 || sutra_clock_ns() - c->connected_ns < 1000000000u)
		sutra_reconnect_later(&c->reconnect);
	fail_all(c, &lost, code);
}

static void connected(struct sutra_store_client *c, int fd)
{
	watch(c, fd, EPOLLIN, EPOLL_CTL_MOD);
	count(&c->connects);
	c->connected_ns = sutra_clock_ns();
	pthread_mutex_lock(&c->lock);
	c->fd = fd;
	pthread_mutex_unlock(&c->lock);
	atomic_store(&c->up, true);
}

/* Whether m can be the answer to the call. */
static bool fits(const struct call *call, const struct sutra_message *m)
{
	return m->op == call->op && m->n_concepts == call->n_ids;
}

/* Answers the oldest call. 0, or why the connection must be closed. */
static int deliver(struct sutra_store_client *c, const char *payload, size_t n)
{
	struct sutra_decoder *d = c->decoder;
	struct call *call;
	int rc = 0;

	pthread_mutex_lock(&c->lock);
	call = pop(&c->waiting);
	pthread_mutex_unlock(&c->lock);
	if (!call)
		return SUTRA_E_CORRUPT;	/* an answer without a call */
	if (!call->timed_out) {
		rc = sutra_answer_decode(d, payload, n, NULL);
		if (!rc && !d->error.code && !fits(call, &d->m))
			rc = SUTRA_E_CORRUPT;
		if (rc || d->error.code) {
			report_failure(c, call, rc ? SUTRA_E_CORRUPT : d->error.code);
		} else {
			count(&c->answered);
			if (call->done)
				call->done(call->user, 0, &d->m);
		}
	}
	sutra_free(call);
	return rc;
}

static void read_answers(struct sutra_store_client *c)
{
	size_t at = 0, len;
	int rc = 0;
	ssize_t n;
	char *p = sutra_buf_reserve(&c->in, READ_CHUNK);

	if (!p) {
		disconnect(c, sutra_buf_error(&c->in));
		return;
	}
	n = recv(c->fd, p, READ_CHUNK, 0);
	if (n <= 0) {
		if (n == 0 || (errno != EAGAIN && errno != EINTR))
			disconnect(c, SUTRA_E_UNAVAILABLE);
		return;
	}
	sutra_buf_added(&c->in, (size_t)n);
	while (!rc && (rc = sutra_frame_peek(c->in.data + at, c->in.len - at, &len)) > 0) {
		rc = deliver(c, c->in.data + at + SUTRA_FRAME_HEAD, len);
		at += SUTRA_FRAME_HEAD + len;
	}
	if (rc) {
		disconnect(c, SUTRA_E_CORRUPT);
		return;
	}
	sutra_buf_consume(&c->in, at);
	if (!c->in.len && c->in.cap > KEEP_INPUT)
		sutra_buf_release(&c->in);
}

/* Answers the late calls; closes the connection when the server does not answer at all. */
static void expire(struct sutra_store_client *c)
{
	uint64_t now = sutra_clock_ns(), next = 0;
	bool dead = false;

	pthread_mutex_lock(&c->lock);
	c->timer_armed = false;
	for (struct call *call = c->waiting.head; call; call = call->next) {
		dead |= call->timed_out && now >= call->deadline + 3 * c->timeout_ns;
		if (call->timed_out)
			continue;
		if (call->deadline > now) {
			next = call->deadline;
			break;
		}
		call->timed_out = true;
		count(&c->timeouts);
		pthread_mutex_unlock(&c->lock);	/* only this thread removes calls: call stays valid */
		report_failure(c, call, SUTRA_E_TIMEOUT);
		pthread_mutex_lock(&c->lock);
	}
	if (!next && c->waiting.n)
		next = now + c->timeout_ns;
	if (next && !c->timer_armed)
		arm_timer(c, next);
	pthread_mutex_unlock(&c->lock);
	if (dead)
		disconnect(c, SUTRA_E_UNAVAILABLE);
}

static void write_more(struct sutra_store_client *c)
{
	pthread_mutex_lock(&c->lock);
	send_some(c);
	c->want_write = c->out.len > 0;
	if (c->fd >= 0)
		watch(c, c->fd, c->want_write ? EPOLLIN | EPOLLOUT : EPOLLIN, EPOLL_CTL_MOD);
	pthread_mutex_unlock(&c->lock);
}

static void report_failed(struct sutra_store_client *c)
{
	struct calls q;

	pthread_mutex_lock(&c->lock);
	take(&c->failed, &q);
	pthread_mutex_unlock(&c->lock);
	fail_all(c, &q, 0);
}

static void handle(struct sutra_store_client *c, const struct epoll_event *e)
{
	uint64_t n;
	int fd;

	if (e->data.fd == c->wake) {
		if (read(c->wake, &n, sizeof(n)) > 0)
			write_more(c);
	} else if (e->data.fd == c->timer) {
		if (read(c->timer, &n, sizeof(n)) > 0)
			expire(c);
	} else if (e->data.fd == c->reconnect.fd) {
		fd = sutra_reconnect_finish(&c->reconnect);
		if (fd >= 0)
			connected(c, fd);
	} else if (e->data.fd == c->fd) {
		if (e->events & EPOLLOUT)
			write_more(c);
		if (e->events & (EPOLLIN | EPOLLHUP | EPOLLERR))
			read_answers(c);
	}
}

static void *run(void *arg)
{
	struct sutra_store_client *c = arg;
	struct epoll_event events[4];

	while (!atomic_load(&c->stop)) {
		int n;

		if (c->fd < 0 && sutra_reconnect_step(&c->reconnect))
			watch(c, c->reconnect.fd, (uint32_t)c->reconnect.events, EPOLL_CTL_ADD);
		n = epoll_wait(c->epoll, events, 4, c->fd < 0 ? sutra_reconnect_wait_ms(&c->reconnect) : -1);
		for (int i = 0; i < n; i++)
			handle(c, &events[i]);
		report_failed(c);
	}
	sutra_reconnect_release(&c->reconnect);
	disconnect(c, SUTRA_E_CLOSED);
	report_failed(c);
	return NULL;
}

static void destroy(struct sutra_store_client *c)
{
	if (c->epoll >= 0)
		close(c->epoll);
	if (c->wake >= 0)
		close(c->wake);
	if (c->timer >= 0)
		close(c->timer);
	sutra_decoder_release(c->decoder);
	sutra_free(c->decoder);
	sutra_buf_release(&c->in);
	sutra_buf_release(&c->out);
	sutra_free(c->host);
	pthread_mutex_destroy(&c->lock);
	sutra_free(c);
}

int sutra_store_client_new(const struct sutra_store_client_options *o,
			   struct sutra_store_client **ret, struct sutra_err *err)
{
	struct sutra_store_client *c = sutra_calloc(1, sizeof(*c));

	if (!c)
		return sutra_fail(err, SUTRA_E_NOMEM, "no memory for the storage client");
	pthread_mutex_init(&c->lock, NULL);
	c->fd = -1;
	c->timeout_ns = o->timeout_ns ? o->timeout_ns : 1000000000u;
	c->max_queued = o->max_queued ? o->max_queued : 65536;
	clear(&c->waiting);
	clear(&c->failed);
	sutra_buf_init(&c->in, (size_t)SUTRA_FRAME_MAX + READ_CHUNK + SUTRA_FRAME_HEAD);
	sutra_buf_init(&c->out, o->max_queued_bytes ? o->max_queued_bytes : SUTRA_FRAME_MAX);
	c->host = sutra_strdup(o->host);
	sutra_reconnect_init(&c->reconnect, c->host, o->port, c->timeout_ns);
	c->decoder = sutra_calloc(1, sizeof(*c->decoder));
	if (c->decoder)
		sutra_decoder_init(c->decoder);
	c->epoll = epoll_create1(EPOLL_CLOEXEC);
	c->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	c->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (!c->host || !c->decoder || c->epoll < 0 || c->wake < 0 || c->timer < 0) {
		destroy(c);
		return sutra_fail(err, SUTRA_E_NOMEM, "no memory or descriptors for the storage client");
	}
	watch(c, c->wake, EPOLLIN, EPOLL_CTL_ADD);
	watch(c, c->timer, EPOLLIN, EPOLL_CTL_ADD);
	if (pthread_create(&c->thread, NULL, run, c)) {
		destroy(c);
		return sutra_fail(err, SUTRA_E_NOMEM, "cannot start the storage client's thread");
	}
	*ret = c;
	return 0;
}

void sutra_store_client_free(struct sutra_store_client *c)
{
	if (!c)
		return;
	atomic_store(&c->stop, true);
	wake_thread(c);
	pthread_join(c->thread, NULL);
	destroy(c);
}

bool sutra_store_client_up(const struct sutra_store_client *c) { return atomic_load(&c->up); }

void sutra_store_client_counts(const struct sutra_store_client *c,
			       struct sutra_store_client_counts *ret)
{
	struct sutra_store_client *m = (struct sutra_store_client *)c;	/* for the lock */

	*ret = (struct sutra_store_client_counts){
		.calls = atomic_load(&c->calls), .answered = atomic_load(&c->answered),
		.failed = atomic_load(&c->failures), .timeouts = atomic_load(&c->timeouts),
		.busy = atomic_load(&c->busy), .connects = atomic_load(&c->connects),
		.disconnects = atomic_load(&c->disconnects),
	};
	pthread_mutex_lock(&m->lock);
	ret->queued = m->waiting.n;
	pthread_mutex_unlock(&m->lock);
}
