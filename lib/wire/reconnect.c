#include "wire/reconnect.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"

#define BACKOFF_MIN_NS 50000000u
#define BACKOFF_MAX_NS 500000000u	/* below the second that Retry-After promises */

void sutra_reconnect_init(struct reconnect *r, const char *host, int port, uint64_t timeout_ns)
{
	*r = (struct reconnect){ .host = host, .port = port, .fd = -1, .timeout_ns = timeout_ns,
			      .backoff_ns = BACKOFF_MIN_NS };
}

/* ---- a lookup: its thread and its owner use it; the last user frees it ---- */

struct lookup {
	atomic_int users;
	int event;		/* readable: found is there */
	struct addrinfo *found;
	char port[16], host[];
};

static void leave_lookup(struct lookup *l)
{
	if (!l || atomic_fetch_sub(&l->users, 1) != 1)
		return;
	if (l->found)
		freeaddrinfo(l->found);
	close(l->event);
	sutra_free(l);
}

static void *look_up(void *arg)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_family = AF_UNSPEC };
	struct lookup *l = arg;

	if (getaddrinfo(l->host, l->port, &hints, &l->found))
		l->found = NULL;
	eventfd_write(l->event, 1);
	leave_lookup(l);
	return NULL;
}

/* NULL: no memory, descriptor or thread. */
static struct lookup *begin_lookup(const char *host, int port)
{
	size_t n = strlen(host) + 1;
	struct lookup *l = sutra_calloc(1, sizeof(*l) + n);
	pthread_t thread;

	if (!l)
		return NULL;
	snprintf(l->port, sizeof(l->port), "%d", port);
	memcpy(l->host, host, n);
	atomic_init(&l->users, 2);
	l->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (l->event >= 0 && !pthread_create(&thread, NULL, look_up, l)) {
		pthread_detach(thread);
		return l;
	}
	if (l->event >= 0)
		close(l->event);
	sutra_free(l);
	return NULL;
}

/* ---- the connection ---- */

static void end_attempt(struct reconnect *r)
{
	if (r->fd >= 0 && !r->lookup)
		close(r->fd);
	r->fd = -1;
	leave_lookup(r->lookup);
	r->lookup = NULL;
}

static void forget_addresses(struct reconnect *r)
{
	if (r->addresses)
		freeaddrinfo(r->addresses);
	r->addresses = r->next = NULL;
}

void sutra_reconnect_release(struct reconnect *r)
{
	end_attempt(r);
	forget_addresses(r);
}

void sutra_reconnect_later(struct reconnect *r) { r->retry_at = sutra_clock_ns() + r->backoff_ns; }

/* No address is left: the next lookup is after the back-off, which doubles. */
static void failed(struct reconnect *r)
{
	forget_addresses(r);
	r->backoff_ns = r->backoff_ns * 2 < BACKOFF_MAX_NS ? r->backoff_ns * 2 : BACKOFF_MAX_NS;
	sutra_reconnect_later(r);
}

/* Begins a connection to the next address that allows it. */
static void try_addresses(struct reconnect *r)
{
	end_attempt(r);
	while (r->next && r->fd < 0) {
		const struct addrinfo *a = r->next;

		r->next = a->ai_next;
		r->fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		if (r->fd >= 0 && connect(r->fd, a->ai_addr, a->ai_addrlen) && errno != EINPROGRESS)
			end_attempt(r);
	}
	r->events = POLLOUT;
	r->deadline = sutra_clock_ns() + r->timeout_ns;
	if (r->fd < 0)
		failed(r);
}

static void start(struct reconnect *r)
{
	r->lookup = begin_lookup(r->host, r->port);
	if (!r->lookup) {
		failed(r);
		return;
	}
	r->fd = r->lookup->event;
	r->events = POLLIN;
	r->deadline = UINT64_MAX;	/* the resolver has a time limit */
}

static void end_lookup(struct reconnect *r)
{
	r->next = r->addresses = r->lookup->found;
	r->lookup->found = NULL;
	end_attempt(r);
	if (!r->addresses)
		failed(r);
}

bool sutra_reconnect_step(struct reconnect *r)
{
	uint64_t now = sutra_clock_ns();

	if (r->fd < 0 && r->addresses)
		try_addresses(r);
	else if (r->fd < 0 && now >= r->retry_at)
		start(r);
	else if (r->fd >= 0 && now >= r->deadline)
		try_addresses(r);
	else
		return false;
	return r->fd >= 0;
}

int sutra_reconnect_finish(struct reconnect *r)
{
	int error = 0, one = 1, fd = r->fd;
	socklen_t len = sizeof(error);
	eventfd_t n;

	if (r->lookup) {
		if (!eventfd_read(fd, &n))
			end_lookup(r);
		return -1;
	}
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) || error) {
		end_attempt(r);
		return -1;
	}
	r->fd = -1;
	forget_addresses(r);
	r->backoff_ns = BACKOFF_MIN_NS;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

int sutra_reconnect_wait_ms(const struct reconnect *r)
{
	uint64_t now = sutra_clock_ns(), at = r->fd >= 0 ? r->deadline : r->addresses ? now : r->retry_at;

	if (r->lookup)
		return -1;
	return at > now ? (int)((at - now) / 1000000u) + 1 : 0;
}
