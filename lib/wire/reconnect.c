#include "wire/reconnect.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

#define BACKOFF_MIN_NS 50000000u
#define BACKOFF_MAX_NS 500000000u	/* below the second that Retry-After promises */

void reconnect_init(struct reconnect *r, const char *host, int port, uint64_t timeout_ns)
{
	*r = (struct reconnect){ .host = host, .port = port, .fd = -1, .timeout_ns = timeout_ns,
			      .backoff_ns = BACKOFF_MIN_NS };
}

static void end_attempt(struct reconnect *r)
{
	if (r->fd >= 0)
		close(r->fd);
	r->fd = -1;
}

static void forget_addresses(struct reconnect *r)
{
	if (r->addresses)
		freeaddrinfo(r->addresses);
	r->addresses = r->next = NULL;
}

void reconnect_release(struct reconnect *r)
{
	end_attempt(r);
	forget_addresses(r);
}

void reconnect_later(struct reconnect *r) { r->retry_at = sutra_clock_ns() + r->backoff_ns; }

/* No address of the name is left: the name is asked again later, and twice as late the time after. */
static void failed(struct reconnect *r)
{
	forget_addresses(r);
	r->backoff_ns = r->backoff_ns * 2 < BACKOFF_MAX_NS ? r->backoff_ns * 2 : BACKOFF_MAX_NS;
	reconnect_later(r);
}

/* The next address that a connection can begin to. */
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
	r->deadline = sutra_clock_ns() + r->timeout_ns;
	if (r->fd < 0)
		failed(r);
}

static void start(struct reconnect *r)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_family = AF_UNSPEC };
	char port[16];

	snprintf(port, sizeof(port), "%d", r->port);
	if (getaddrinfo(r->host, port, &hints, &r->addresses))
		r->addresses = NULL;
	r->next = r->addresses;
	try_addresses(r);
}

bool reconnect_step(struct reconnect *r)
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

int reconnect_finish(struct reconnect *r)
{
	int error = 0, one = 1, fd = r->fd;
	socklen_t len = sizeof(error);

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

int reconnect_patience_ms(const struct reconnect *r)
{
	uint64_t now = sutra_clock_ns(), at = r->fd >= 0 ? r->deadline : r->addresses ? now : r->retry_at;

	return at > now ? (int)((at - now) / 1000000u) + 1 : 0;
}
