/*
 * sutra-probe - one health check: exit 0 if http://HOST:PORT/PATH answers 200, else 1 with a
 * line that says why; and a faulty replica for checks of failover. It is small, because it runs every few
 * seconds in every container.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/shown.h"
#include "base/str.h"
#include "base/version.h"

enum { LIMIT_S = 3, FAULT_LIFE_S = 120, MAX_CONNECTIONS = 256, MAX_REQUEST = 1 << 20 };

struct target {
	char host[256], port[8];
	const char *path;
};

static int fail(const char *url, const char *why)
{
	sutra_shown_printf(stdout, "%s: %s\n", url, why);
	return 1;
}

static int parse(const char *url, struct target *t)
{
	const char *host = url + 7, *end, *colon;

	if (strncmp(url, "http://", 7) != 0)
		return -1;
	end = host + strcspn(host, "/");
	colon = memchr(host, ':', (size_t)(end - host));
	t->path = *end ? end : "/";
	snprintf(t->port, sizeof(t->port), "%.*s", colon ? (int)(end - colon - 1) : 2, colon ? colon + 1 : "80");
	return snprintf(t->host, sizeof(t->host), "%.*s", (int)((colon ? colon : end) - host), host) ? 0 : -1;
}

static int connect_to(const struct target *t)
{
	const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
	const struct timeval limit = { .tv_sec = LIMIT_S };
	struct addrinfo *all, *a;
	int fd = -1;

	if (getaddrinfo(t->host, t->port, &hints, &all))
		return -1;
	for (a = all; a && fd < 0; a = a->ai_next) {
		fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fd < 0)
			continue;
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));	/* for connect too */
		if (connect(fd, a->ai_addr, a->ai_addrlen)) {
			close(fd);
			fd = -1;
		}
	}
	freeaddrinfo(all);
	return fd;
}

static int probe(const char *url)
{
	char text[1024];
	struct target t;
	ssize_t n;
	int fd, len, status = 0;

	if (parse(url, &t))
		return fail(url, "the address must be like http://127.0.0.1:8888/health");
	fd = connect_to(&t);
	if (fd < 0)
		return fail(url, errno ? strerror(errno) : "no such host");
	len = snprintf(text, sizeof(text), "GET %.500s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", t.path,
		       t.host);
	n = send(fd, text, (size_t)len, MSG_NOSIGNAL) == len ? recv(fd, text, sizeof(text) - 1, MSG_WAITALL) : -1;
	if (n < 0)
		snprintf(text, sizeof(text), "%s", strerror(errno));
	close(fd);
	if (n <= 0)
		return fail(url, n ? text : "an empty answer");
	text[n] = '\0';
	if (sscanf(text, "HTTP/1.%*d %d", &status) != 1)
		return fail(url, "the answer is not HTTP");
	if (status == 200)
		return 0;
	text[strcspn(text, "\r\n")] = '\0';
	return fail(url, text);
}

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

/* Whether the request is complete: its head, and as much body as the head says. */
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

	if (send(fd, text, (size_t)n, MSG_NOSIGNAL) == n)	/* the client may have closed */
		shutdown(fd, SHUT_WR);
}

/* Reads what has arrived and answers a whole request; whether the connection is to be closed. */
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

/* A replica for checks of failover: its health check answers 200, every other request fails with `status`.
 * Serves on "127.0.0.1:8887" for two minutes at most; 1: it cannot listen. */
static int serve_fault(const char *status, const char *address)
{
	struct pollfd fds[MAX_CONNECTIONS + 1] = { { .fd = listen_on(address), .events = POLLIN } };
	struct connection connections[MAX_CONNECTIONS + 1] = { 0 };
	nfds_t n = 1;

	if (fds[0].fd < 0) {
		sutra_shown_printf(stderr, "sutra-probe: cannot listen on %s\n", address);
		return 1;
	}
	alarm(FAULT_LIFE_S);
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

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "--version"))
		return puts("sutra-probe " SUTRA_VERSION) < 0;
	if (argc == 3 && !strcmp(argv[1], "--fault"))
		return serve_fault("500 Internal Server Error", argv[2]);
	if (argc != 2 || argv[1][0] == '-') {
		fputs("usage: sutra-probe http://HOST:PORT/PATH\nexit 0 if it answers 200\n"
		      "       sutra-probe --fault ADDRESS:PORT\nanswers GET with 200 and other requests with 500, for checks\n",
		      stderr);
		return 2;
	}
	return probe(argv[1]);
}
