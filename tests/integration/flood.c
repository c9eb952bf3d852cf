/*
 * flood - embedding requests at a replica, faster than it can answer them or as fast.
 *
 *	flood PORT SECONDS RATE MIX	open loop: RATE requests a second, whatever comes back
 *	flood PORT COUNT - MIX [CALLERS]	closed loop: COUNT requests by CALLERS (20), each waits
 *
 * MIX is short, medium or mixed (1 to 250 words). Every text is new. One thread, epoll, HTTP/1.1
 * by hand: what it costs is little beside what it measures. Prints one line:
 *
 *	seconds S sent N ok N refused N failed N ok_per_s R ok_p50_ms M ok_p99_ms M
 *	refused_p50_ms M refused_p99_ms M health N health_p50_ms M health_p99_ms M late N
 *
 * ok_per_s and the percentiles are of the second half of an open loop: by then the queue is
 * full. Meanwhile /health is asked every 10 ms on a new connection. A request that finds no free
 * connection of MAX_CONNECTIONS is late and not sent.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/histogram.h"

enum { MAX_CONNECTIONS = 8000, ANSWER = 4096, HEALTH = MAX_CONNECTIONS, HEALTH_NS = 10000000 };

struct connection {
	int fd;			/* -1: none yet */
	bool busy;
	uint64_t sent_ns;
	size_t got, body_left;	/* body_left counts once the head is there */
	bool in_body;
	int status;
	char head[ANSWER];
};

static struct connection connections[MAX_CONNECTIONS + 1];	/* the last asks /health */
static unsigned idle[MAX_CONNECTIONS], n_idle;
static struct sockaddr_in server = { .sin_family = AF_INET };
static int loop;
static const char *mix;
static uint64_t measure_from, next_text;
static unsigned long sent, answers[3], late, healths;	/* answers: ok, refused, failed */
static unsigned long ok_measured;
static struct sutra_histogram *times[3];	/* ok, refused, health */

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static size_t words_of(uint64_t n)
{
	if (!strcmp(mix, "short"))
		return 4;
	if (!strcmp(mix, "medium"))
		return 26;
	return 1 + n * 2654435761u % 250;
}

static size_t make_request(char *out, size_t size)
{
	static const char *const words[] = { "river", "stone", "quiet", "market", "window", "letter", "green", "seven" };
	uint64_t n = next_text++;
	char body[4096];
	size_t len = (size_t)snprintf(body, sizeof(body), "{\"texts\":[\"%llu", (unsigned long long)n);

	for (size_t i = 0, k = words_of(n); i < k; i++)
		len += (size_t)snprintf(body + len, sizeof(body) - len, " %s", words[(n * 7 + i * (n % 5 + 1)) % 8]);
	len += (size_t)snprintf(body + len, sizeof(body) - len, "\"]}");
	return (size_t)snprintf(out, size,
				"POST /embed HTTP/1.1\r\nHost: flood\r\nContent-Type: application/json\r\n"
				"Accept: application/octet-stream\r\nContent-Length: %zu\r\n\r\n%s", len, body);
}

static void forget(struct connection *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

static void connect_to(struct connection *c)
{
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = c };
	int one = 1;

	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		die("socket");
	if (connect(c->fd, (struct sockaddr *)&server, sizeof(server)))
		die("connect");
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (epoll_ctl(loop, EPOLL_CTL_ADD, c->fd, &e))
		die("epoll_ctl");
}

static void ask(struct connection *c, const char *request, size_t n)
{
	if (c->fd < 0)
		connect_to(c);
	c->busy = true;
	c->in_body = false;
	c->got = 0;
	c->sent_ns = sutra_clock_ns();
	if (send(c->fd, request, n, MSG_NOSIGNAL) != (ssize_t)n)	/* small: the socket takes it whole */
		die("send");
}

static bool ask_embed(void)
{
	char request[ANSWER + 512];

	if (!n_idle)
		return false;
	ask(&connections[idle[--n_idle]], request, make_request(request, sizeof(request)));
	sent++;
	return true;
}

/* The answer is whole, or (status 0) there will be none. */
static void finish(struct connection *c)
{
	uint64_t now = sutra_clock_ns(), took = now - c->sent_ns;
	bool health = c - connections == HEALTH;
	int kind = c->status == 200 ? 0 : c->status == 429 ? 1 : 2;

	c->busy = false;
	if (!c->status || health)
		forget(c);
	if (health) {
		healths += c->status == 200;
		sutra_histogram_record(times[2], took);
		return;
	}
	idle[n_idle++] = (unsigned)(c - connections);
	answers[kind]++;
	if (now < measure_from)
		return;
	ok_measured += kind == 0;
	if (kind < 2)
		sutra_histogram_record(times[kind], took);
}

static void read_head(struct connection *c)
{
	char *end, *length;

	c->head[c->got] = '\0';
	end = strstr(c->head, "\r\n\r\n");
	if (!end)
		return;
	length = strcasestr(c->head, "Content-Length:");
	c->status = atoi(c->head + 9);
	c->in_body = true;
	c->body_left = length ? (size_t)atol(length + 15) : 0;
	c->body_left -= c->got - (size_t)(end + 4 - c->head);
}

static void readable(struct connection *c)
{
	char skipped[65536];
	ssize_t n = c->in_body ? recv(c->fd, skipped, sizeof(skipped), MSG_DONTWAIT) :
				 recv(c->fd, c->head + c->got, ANSWER - 1 - c->got, MSG_DONTWAIT);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		c->status = 0;
		if (c->busy)
			finish(c);
		else
			forget(c);
		return;
	}
	if (c->in_body) {
		c->body_left -= (size_t)n;
	} else {
		c->got += (size_t)n;
		read_head(c);
	}
	if (c->in_body && !c->body_left)
		finish(c);
}

static void turn(uint64_t until_ns)
{
	struct epoll_event events[256];
	uint64_t now = sutra_clock_ns(), left = until_ns > now ? until_ns - now : 0;
	const struct timespec t = { (time_t)(left / 1000000000), (long)(left % 1000000000) };
	int n = epoll_pwait2(loop, events, 256, &t, NULL);

	for (int i = 0; i < n; i++)
		readable(events[i].data.ptr);
}

static void run_open(double seconds, double rate)
{
	uint64_t began = sutra_clock_ns(), end = began + (uint64_t)(seconds * 1e9), health_due = began, due = 0, now;

	measure_from = began + (end - began) / 2;
	while ((now = sutra_clock_ns()) < end) {
		uint64_t next = began + (uint64_t)((double)due * 1e9 / rate);

		for (; next <= now; next = began + (uint64_t)((double)++due * 1e9 / rate))
			late += !ask_embed();
		if (health_due <= now && !connections[HEALTH].busy) {
			static const char health[] = "GET /health HTTP/1.1\r\nHost: flood\r\nConnection: close\r\n\r\n";

			ask(&connections[HEALTH], health, sizeof(health) - 1);
			health_due = now + HEALTH_NS;
		}
		turn(next < health_due || connections[HEALTH].busy ? next : health_due);
	}
}

static void run_closed(unsigned long count, unsigned callers)
{
	n_idle = callers;
	while (answers[0] + answers[1] + answers[2] < count) {
		while (sent < count && ask_embed())
			;
		turn(sutra_clock_ns() + 1000000000);
	}
}

static double ms(int kind, double q) { return (double)sutra_histogram_quantile(times[kind], q) / 1e6; }

int main(int argc, char **argv)
{
	const struct rlimit files = { MAX_CONNECTIONS + 64, MAX_CONNECTIONS + 64 };
	uint64_t began, end;

	if (argc < 5)
		return fputs("usage: flood PORT SECONDS RATE MIX | PORT COUNT - MIX [CALLERS]\n", stderr), 2;
	setrlimit(RLIMIT_NOFILE, &files);
	server.sin_port = htons((uint16_t)atoi(argv[1]));
	server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	mix = argv[4];
	loop = epoll_create1(EPOLL_CLOEXEC);
	for (int i = 0; i < 3; i++)
		times[i] = sutra_histogram_new();
	for (unsigned i = 0; i <= MAX_CONNECTIONS; i++)
		connections[i].fd = -1;
	while (n_idle < MAX_CONNECTIONS) {
		idle[n_idle] = n_idle;
		n_idle++;
	}
	began = sutra_clock_ns();
	if (*argv[3] == '-')
		run_closed(strtoul(argv[2], NULL, 10), argc > 5 ? (unsigned)atoi(argv[5]) : 20);
	else
		run_open(atof(argv[2]), atof(argv[3]));
	end = sutra_clock_ns();
	printf("seconds %.2f sent %lu ok %lu refused %lu failed %lu ok_per_s %.1f ok_p50_ms %.2f ok_p99_ms %.2f "
	       "refused_p50_ms %.2f refused_p99_ms %.2f health %lu health_p50_ms %.2f health_p99_ms %.2f late %lu\n",
	       (double)(end - began) / 1e9, sent, answers[0], answers[1], answers[2],
	       (double)ok_measured * 1e9 / (double)(end - (measure_from ? measure_from : began)), ms(0, 0.5), ms(0, 0.99),
	       ms(1, 0.5), ms(1, 0.99), healths, ms(2, 0.5), ms(2, 0.99), late);
	return 0;
}
