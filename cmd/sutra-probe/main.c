/*
 * sutra-probe - one health check: exit 0 when http://HOST:PORT/PATH answers 200, else 1 with a
 * line that says why. Small on purpose: it runs every few seconds in every container.
 */
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/shown.h"
#include "base/version.h"
#include "fault.h"

enum { LIMIT_S = 3 };

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
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));	/* of connect too */
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
		return fail(url, "an address like http://127.0.0.1:8888/health is wanted");
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
		return fail(url, "no HTTP");
	if (status == 200)
		return 0;
	text[strcspn(text, "\r\n")] = '\0';
	return fail(url, text);
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "--version"))
		return puts("sutra-probe " SUTRA_VERSION) < 0;
	if (argc == 3 && !strcmp(argv[1], "--fault"))
		return serve_fault("500 Internal Server Error", argv[2]);
	if (argc != 2 || argv[1][0] == '-') {
		fputs("usage: sutra-probe http://HOST:PORT/PATH\nexit 0 when it answers 200\n"
		      "       sutra-probe --fault ADDRESS:PORT\nanswers GET with 200 and the rest with 500, for checks\n",
		      stderr);
		return 2;
	}
	return probe(argv[1]);
}
