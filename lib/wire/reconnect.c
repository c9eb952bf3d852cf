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

void reconnect_release(struct reconnect *r)
{
	if (r->fd >= 0)
		close(r->fd);
	r->fd = -1;
}

void reconnect_later(struct reconnect *r) { r->retry_at = sutra_clock_ns() + r->backoff_ns; }

/* The next attempt later, and twice as late the time after. */
static void failed(struct reconnect *r)
{
	reconnect_release(r);
	r->backoff_ns = r->backoff_ns * 2 < BACKOFF_MAX_NS ? r->backoff_ns * 2 : BACKOFF_MAX_NS;
	reconnect_later(r);
}

static void start(struct reconnect *r)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_family = AF_UNSPEC }, *list;
	char port[16];

	snprintf(port, sizeof(port), "%d", r->port);
	if (getaddrinfo(r->host, port, &hints, &list)) {
		failed(r);
		return;
	}
	r->fd = socket(list->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	r->deadline = sutra_clock_ns() + r->timeout_ns;
	if (r->fd < 0 || (connect(r->fd, list->ai_addr, list->ai_addrlen) && errno != EINPROGRESS))
		failed(r);
	freeaddrinfo(list);
}

bool reconnect_step(struct reconnect *r)
{
	uint64_t now = sutra_clock_ns();

	if (r->fd >= 0) {
		if (now >= r->deadline)
			failed(r);
		return false;
	}
	if (now >= r->retry_at)
		start(r);
	return r->fd >= 0;
}

int reconnect_finish(struct reconnect *r)
{
	int error = 0, one = 1, fd = r->fd;
	socklen_t len = sizeof(error);

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) || error) {
		failed(r);
		return -1;
	}
	r->fd = -1;
	r->backoff_ns = BACKOFF_MIN_NS;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

int reconnect_patience_ms(const struct reconnect *r)
{
	uint64_t now = sutra_clock_ns(), at = r->fd >= 0 ? r->deadline : r->retry_at;

	return at > now ? (int)((at - now) / 1000000u) + 1 : 0;
}
