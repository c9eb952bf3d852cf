/*
 * fault_server - an HTTP server on loopback that misbehaves as its path says.
 *
 * Prints "PORT REFUSED FULL": its port, one that refuses, and one whose backlog is full, so
 * that connecting to it hangs. Ends when its standard input does.
 *
 *	/ok /degraded /unhealthy /html      documents
 *	/status/N                           status N, empty body
 *	/slow                               healthy, the first byte after 150 ms
 *	/hang /hang-body                    nothing, or half an answer, and then silence
 *	/close /cut                         closes without an answer, or within the body
 *	/garbage /huge                      no HTTP at all; 2 MiB of it
 *	/together/N/...                     healthy, once N requests wait for it
 *	/pause/MS/OF_MS/...                 a vector; but in the first MS of each OF_MS it stands still
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static void send_all(int fd, const char *s, size_t n)
{
	while (n) {
		ssize_t k = send(fd, s, n, MSG_NOSIGNAL);

		if (k <= 0)
			return;
		s += k;
		n -= (size_t)k;
	}
}

/* Claims `missing` bytes more than it sends. */
static void answer(int fd, int status, size_t missing, const char *body)
{
	char head[256];
	int n = snprintf(head, sizeof(head),
			 "HTTP/1.1 %d Word\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n", status,
			 strlen(body) + missing);

	send_all(fd, head, (size_t)n);
	send_all(fd, body, strlen(body));
}

/* Until the other side gives up. */
static void wait_for_close(int fd)
{
	char c[256];

	while (recv(fd, c, sizeof(c), 0) > 0)
		;
}

/* An embedding service that stands still again and again; all who come meanwhile wait for its end. */
static void pause_at_times(int fd, const char *path)
{
	long ms = 0, of_ms = 1, at;
	struct timespec now;

	sscanf(path, "/pause/%ld/%ld/", &ms, &of_ms);
	clock_gettime(CLOCK_MONOTONIC, &now);
	at = (now.tv_sec * 1000 + now.tv_nsec / 1000000) % (of_ms > 0 ? of_ms : 1);
	if (at < ms)
		nanosleep(&(struct timespec){ (ms - at) / 1000, (ms - at) % 1000 * 1000000 }, NULL);
	answer(fd, 200, 0, "{\"embeddings\":[[1.0]],\"dimension\":1,\"count\":1}");
}

/* The first N wait for each other; who comes later finds them all. */
static void wait_for_others(const char *path)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static pthread_cond_t another = PTHREAD_COND_INITIALIZER;
	static long waiting;
	long n = strtol(path + strlen("/together/"), NULL, 10);

	pthread_mutex_lock(&lock);
	waiting++;
	pthread_cond_broadcast(&another);
	while (waiting < n)
		pthread_cond_wait(&another, &lock);
	pthread_mutex_unlock(&lock);
}

static void behave(int fd, const char *path)
{
	static const char healthy[] =
		"{\"status\":\"healthy\",\"service\":\"fault\",\"version\":\"1\",\"uptime_seconds\":4.5}";
	static const char half[] = "{\"status\":";

	if (!strncmp(path, "/ok", 3)) {
		answer(fd, 200, 0, healthy);
	} else if (!strcmp(path, "/slow")) {
		nanosleep(&(struct timespec){ .tv_nsec = 150000000 }, NULL);
		answer(fd, 200, 0, healthy);
	} else if (!strncmp(path, "/together/", 10)) {
		wait_for_others(path);
		answer(fd, 200, 0, healthy);
	} else if (!strcmp(path, "/degraded")) {
		answer(fd, 200, 0, "{\"status\":\"degraded\",\"reason\":\"L2 is down\"}");
	} else if (!strcmp(path, "/unhealthy")) {
		answer(fd, 503, 0, "{\"status\":\"unhealthy\",\"reason\":\"no ml-base\"}");
	} else if (!strcmp(path, "/html")) {
		answer(fd, 200, 0, "<html>");
	} else if (!strncmp(path, "/status/", 8)) {
		answer(fd, (int)strtol(path + 8, NULL, 10), 0, "");
	} else if (!strncmp(path, "/hang-body", 10)) {
		answer(fd, 200, 500, half);
		wait_for_close(fd);
	} else if (!strncmp(path, "/hang", 5)) {
		wait_for_close(fd);
	} else if (!strcmp(path, "/cut")) {
		answer(fd, 200, 500, half);
	} else if (!strncmp(path, "/pause/", 7)) {
		pause_at_times(fd, path);
	} else if (!strcmp(path, "/garbage")) {
		send_all(fd, "SSH-2.0-none\r\n", 14);
	} else if (!strcmp(path, "/huge")) {
		char *big = calloc(1, (2 << 20) + 1);

		memset(big, 'x', 2 << 20);
		answer(fd, 200, 0, big);
		free(big);
	}	/* /close: nothing */
}

static void *serve(void *arg)
{
	int fd = (int)(intptr_t)arg;
	char request[4096], path[256] = "";
	size_t n = 0;

	while (n < sizeof(request) - 1) {
		ssize_t k = recv(fd, request + n, sizeof(request) - 1 - n, 0);

		if (k <= 0)
			break;
		n += (size_t)k;
		request[n] = '\0';
		if (strstr(request, "\r\n\r\n") || memchr(request, 0x16, 1))
			break;
	}
	if (sscanf(request, "%*s %255s", path) == 1)
		behave(fd, path);
	/* Closing with bytes unread would reset: take them first. */
	shutdown(fd, SHUT_WR);
	recv(fd, request, sizeof(request), MSG_DONTWAIT);
	close(fd);
	return NULL;
}

static int bound(struct sockaddr_in *a)
{
	socklen_t n = sizeof(*a);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	*a = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	if (fd < 0 || bind(fd, (struct sockaddr *)a, sizeof(*a)) ||
	    getsockname(fd, (struct sockaddr *)a, &n)) {
		perror("fault_server");
		exit(1);
	}
	return fd;
}

/* A backlog of one, filled: the kernel drops further connection requests. */
static void fill(int fd, const struct sockaddr_in *a)
{
	listen(fd, 0);
	for (int i = 0; i < 4; i++) {
		int c = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

		connect(c, (const struct sockaddr *)a, sizeof(*a));
	}
}

static void *wait_for_end(void *arg)
{
	char c;

	while (read(0, &c, 1) > 0)
		;
	_exit(0);
	return arg;
}

int main(void)
{
	struct sockaddr_in here, refusing, full;
	int fd = bound(&here), fd_full;
	pthread_attr_t small;
	pthread_t t;

	signal(SIGPIPE, SIG_IGN);
	bound(&refusing);	/* bound, never listening */
	fd_full = bound(&full);
	fill(fd_full, &full);
	listen(fd, 1024);
	printf("%d %d %d\n", ntohs(here.sin_port), ntohs(refusing.sin_port), ntohs(full.sin_port));
	fflush(stdout);
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 128 << 10);
	pthread_attr_setdetachstate(&small, PTHREAD_CREATE_DETACHED);
	pthread_create(&t, &small, wait_for_end, NULL);
	for (;;) {
		int c = accept(fd, NULL, NULL);

		if (c >= 0 && pthread_create(&t, &small, serve, (void *)(intptr_t)c))
			close(c);
	}
}
