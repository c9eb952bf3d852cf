/* A replica that is well by its health check and answers every request with an error. */
#include "base/shown.h"
#include "fault.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/str.h"

enum { LIFE_S = 120, MAX_CONNECTIONS = 256, MAX_REQUEST = 1 << 20 };

struct connection {
	char *data;
	size_t n;
};

static int listen_on(const char *address)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	const char *colon = strrchr(address, ':');
	int64_t port;
	char host[64];
	int one = 1, fd;

	snprintf(host, sizeof(host), "%.*s", colon ? (int)(colon - address) : 0, address);
	if (!colon || inet_pton(AF_INET, host, &in.sin_addr) != 1 || sutra_str_int(colon + 1, 1, 65535, &port))
		return -1;
	in.sin_port = htons((uint16_t)port);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (!bind(fd, (struct sockaddr *)&in, sizeof(in)) && !listen(fd, 128))
		return fd;
	close(fd);
	return -1;
}

/* Whether the whole request is there: its head, and as much body as the head says. */
static int is_whole(const struct connection *c)
{
	const char *end = strstr(c->data, "\r\n\r\n"), *length = strcasestr(c->data, "\ncontent-length:");
	size_t body = length && end && length < end ? strtoul(length + 16, NULL, 10) : 0;

	return end && c->n >= (size_t)(end + 4 - c->data) + body;
}

static void answer(int fd, const char *request, const char *status)
{
	char text[256];
	int get = !strncmp(request, "GET ", 4);
	const char *body = get ? "{\"status\":\"healthy\"}\n" :
				 "{\"error\":{\"code\":\"internal\",\"message\":\"a fault, made for a check\"}}\n";
	int n = snprintf(text, sizeof(text),
			 "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s",
			 get ? "200 OK" : status, strlen(body), body);

	if (send(fd, text, (size_t)n, MSG_NOSIGNAL) == n)	/* who asked may be gone */
		shutdown(fd, SHUT_WR);
}

/* Reads what came; whether the connection is through. */
static int serve(int fd, struct connection *c, const char *status)
{
	ssize_t n;

	if (!c->data && !(c->data = sutra_calloc(1, MAX_REQUEST + 1)))
		return 1;
	n = read(fd, c->data + c->n, MAX_REQUEST - c->n);
	if (n <= 0)
		return 1;
	c->n += (size_t)n;
	c->data[c->n] = '\0';
	if (!is_whole(c))
		return 0;
	answer(fd, c->data, status);
	return 1;
}

int serve_fault(const char *status, const char *address)
{
	struct pollfd fds[MAX_CONNECTIONS + 1] = { { .fd = listen_on(address), .events = POLLIN } };
	struct connection connections[MAX_CONNECTIONS + 1] = { 0 };
	nfds_t n = 1;

	if (fds[0].fd < 0) {
		sutra_shown_printf(stderr, "sutra-probe: cannot listen on %s\n", address);
		return 1;
	}
	alarm(LIFE_S);
	for (;;) {
		fds[0].events = n <= MAX_CONNECTIONS ? POLLIN : 0;
		if (poll(fds, n, -1) < 0 && errno != EINTR)
			return 1;
		for (nfds_t i = n - 1; i > 0; i--) {
			if (!fds[i].revents || !serve(fds[i].fd, &connections[i], status))
				continue;
			close(fds[i].fd);
			sutra_free(connections[i].data);
			fds[i] = fds[--n];
			connections[i] = connections[n];
		}
		if (fds[0].revents & POLLIN && n <= MAX_CONNECTIONS) {
			fds[n] = (struct pollfd){ .fd = accept(fds[0].fd, NULL, NULL), .events = POLLIN };
			connections[n] = (struct connection){ 0 };
			n += fds[n].fd >= 0;
		}
	}
}
