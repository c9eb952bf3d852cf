/* lib/net: the HTTP server against what clients of good will never send, byte by byte on loopback. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "net/http.h"
#include "net/http_head.h"
#include "net/port.h"
#include "../wait.h"

#define HOST "Host: localhost\r\n"

static struct sutra_http_server *server;
static char *long_text;	/* 64 KiB of a */

static void reply_text(struct sutra_http_request *r, const char *text)
{
	struct sutra_buf b;

	sutra_buf_init(&b, 1 << 16);
	sutra_buf_adds(&b, text);
	sutra_http_reply_json(r, 200, &b);
}

static void take(struct sutra_http_request *r, void *ctx) { reply_text(r, "taken"); }

static void metrics(struct sutra_http_request *r, void *ctx)
{
	struct sutra_buf b;

	sutra_buf_init(&b, 1 << 16);
	sutra_http_metrics(r, &b);
	sutra_http_reply(r, 200, "text/plain", &b);
}

/* Held until release_all. */
enum { MOST_HELD = 16 };
static struct sutra_http_request *held[MOST_HELD];
static int n_held;
static pthread_mutex_t held_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t held_more = PTHREAD_COND_INITIALIZER;

static void hold(struct sutra_http_request *r, void *ctx)
{
	pthread_mutex_lock(&held_lock);
	held[n_held++] = r;
	pthread_cond_signal(&held_more);
	pthread_mutex_unlock(&held_lock);
}

static void wait_held(int n)
{
	pthread_mutex_lock(&held_lock);
	while (n_held < n)
		pthread_cond_wait(&held_more, &held_lock);
	pthread_mutex_unlock(&held_lock);
}

static void release_all(void)
{
	pthread_mutex_lock(&held_lock);
	while (n_held)
		reply_text(held[--n_held], "released");
	pthread_mutex_unlock(&held_lock);
}

static const struct sutra_http_route routes[] = {
	{ "GET", "/clear", .handler = take },	{ "POST", "/clear", .handler = take },   { "POST", "/take", .handler = take },
	{ "GET", "/look", .handler = take },	{ "GET", "/hold", .handler = hold },     { "GET", "/metrics", .handler = metrics },
	{ "GET", "/ping", .handler = sutra_http_ping },
	{ 0 },
};

static void start(const struct sutra_http_options *with)
{
	struct sutra_http_options o = *with;
	struct sutra_err err;

	o.listen = "127.0.0.1:0";
	o.routes = routes;
	o.allowed_hosts = "embed.example.com, *.example.org";
	if (sutra_http_server_start(&o, &server, &err))
		fail_msg("%s", err.message);
}

static void stop(void)
{
	assert_true(sutra_http_server_stop(server, 10000000000u));
	sutra_http_server_free(server);
}

static int dial(void)
{
	struct sockaddr_storage sa;
	socklen_t len;
	int fd;

	assert_int_equal(sutra_addr_parse(sutra_http_server_address(server), &sa, &len, NULL), 0);
	fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, len), 0);
	return fd;
}

static void say_n(int fd, const char *text, size_t n)
{
	while (n) {
		ssize_t done = send(fd, text, n, MSG_NOSIGNAL);

		if (done <= 0)
			return;	/* refused already: the answer says why */
		text += done;
		n -= (size_t)done;
	}
}

static void say(int fd, const char *text) { say_n(fd, text, strlen(text)); }

/* One whole answer; its status, 0 at the end of the stream. */
static int hear(int fd, char *out, size_t size)
{
	size_t n = 0, length;
	char *end, *at;

	out[0] = '\0';
	while (!(end = strstr(out, "\r\n\r\n")) || !(at = strcasestr(out, "Content-Length: ")) ||
	       n < (size_t)(end + 4 - out) + (length = strtoul(at + 16, NULL, 10))) {
		ssize_t got = recv(fd, out + n, size - 1 - n, 0);

		if (got <= 0)
			return 0;
		n += (size_t)got;
		out[n] = '\0';
	}
	return (int)strtol(out + 9, NULL, 10);
}

static int ask(int fd, const char *text)
{
	char answer[16384];

	say(fd, text);
	return hear(fd, answer, sizeof(answer));
}

/* On a new connection. Errors have one shape, whoever found them. */
static void expect(const char *request, int status)
{
	char answer[16384];
	int fd = dial(), got;

	say(fd, request);
	got = hear(fd, answer, sizeof(answer));
	if (got != status)
		fail_msg("%.80s: %d, not %d: %s", request, got, status, answer);
	if (!strcasestr(answer, "X-Request-Id: ") || (status >= 400 && !strstr(answer, "{\"error\":{\"code\":")))
		fail_msg("%.80s: %s", request, answer);
	close(fd);
}

/* The value of a metric, by the connection fd. */
static unsigned long metric(int fd, const char *name)
{
	char answer[16384], *at;

	say(fd, "GET /metrics HTTP/1.1\r\n" HOST "\r\n");
	assert_int_equal(hear(fd, answer, sizeof(answer)), 200);
	at = strstr(answer, name);
	assert_non_null(at);
	return strtoul(at + strlen(name), NULL, 10);
}

#define EVENT(name) "sutra_http_connections_total{event=\"" name "\"} "

static void what_is_no_request_is_refused_at_once(void **state)
{
	static const struct {
		const char *request;
		int status;
	} cases[] = {
		{ "\x16\x03\x01\x02", 400 },
		{ "GET /look\r\n\r\n", 400 },
		{ "GET /look HTTP/2.0\r\n\r\n", 505 },
		{ "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505 },
		{ "GET /look HTTP/1.1\r\n\r\n", 400 },
		{ "GET /look HTTP/1.1\r\n" HOST HOST "\r\n", 400 },
		{ "GET /look HTTP/1.1\nHost: localhost\n\n", 400 },
		{ "GET /look HTTP/1.1\r\nHost : localhost\r\n\r\n", 400 },
		{ "GET /look HTTP/1.1\r\n" HOST "A: b\r\n c\r\n\r\n", 400 },
		{ "GET /look HTTP/1.1\r\n" HOST "A: b\x01\r\n\r\n", 400 },
		{ "GET /look%00x HTTP/1.1\r\n" HOST "\r\n", 400 },
		{ "GET /look%0D%0a HTTP/1.1\r\n" HOST "\r\n", 400 },
		{ "GET /lo ok HTTP/1.1\r\n" HOST "\r\n", 400 },
		{ "GET /look?a=%c3%a9 HTTP/1.1\r\n" HOST "\r\n", 200 },
		{ "POST /take HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip\r\n\r\n", 501 },
		{ "POST /take HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n", 501 },
		{ "POST /take HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400 },
		{ "POST /take HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n", 400 },
		{ "POST /take HTTP/1.1\r\n" HOST "Content-Length: +1\r\n\r\na", 400 },
		{ "POST /take HTTP/1.1\r\n" HOST "Content-Length: -1\r\n\r\na", 400 },
		{ "POST /take HTTP/1.1\r\n" HOST "Content-Length: 1, 1\r\n\r\na", 400 },
		{ "POST /take HTTP/1.1\r\n" HOST "Content-Length: 1\r\nContent-Length: 2\r\n\r\na", 400 },
		{ "POST /take HTTP/1.1\r\n" HOST "Content-Length: 99999999999999999999\r\n\r\na", 400 },
		{ "POST /take HTTP/1.1\r\n" HOST "Content-Length: 1\r\nExpect: 200-ok\r\n\r\na", 417 },
		{ "POST /take HTTP/1.1\r\n" HOST "Content-Length: 1\r\nContent-Encoding: gzip\r\n\r\na", 415 },
		{ "POST /take HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", 200 },
		{ "POST /take HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\na", 200 },
		{ "\r\nGET /look HTTP/1.0\r\n\r\n", 200 },
		{ "GET http://127.0.0.1:1/look HTTP/1.1\r\n" HOST "\r\n", 200 },
		{ "TRACE /look HTTP/1.1\r\n" HOST "\r\n", 405 },
		{ "OPTIONS * HTTP/1.1\r\n" HOST "\r\n", 404 },
	};
	char request[70000];

	start(&(struct sutra_http_options){ 0 });
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		expect(cases[i].request, cases[i].status);
	snprintf(request, sizeof(request), "GET /%.65000s HTTP/1.1\r\n" HOST "\r\n", long_text);
	expect(request, 414);
	snprintf(request, sizeof(request), "GET /%.8192s HTTP/1.1\r\n" HOST "\r\n", long_text);
	expect(request, 414);
	snprintf(request, sizeof(request), "GET /%.8191s HTTP/1.1\r\n" HOST "\r\n", long_text);
	expect(request, 404);
	snprintf(request, sizeof(request), "GET /look HTTP/1.1\r\n" HOST "A: %.65000s\r\n\r\n", long_text);
	expect(request, 431);
	stop();
}

/* libmicrohttpd reads these; what it takes is held to the same rules. */
static void later_requests_of_a_connection_too(void **state)
{
	static const struct {
		const char *request;
		int status;
	} cases[] = {
		{ "GET /look%00x HTTP/1.1\r\n" HOST "\r\n", 400 },
		{ "GET /lo ok HTTP/1.1\r\n" HOST "\r\n", 400 },
		{ "GET /look HTTP/1.1\r\n\r\n", 400 },
		{ "POST /take HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip\r\n\r\n", 501 },
		{ "POST /take HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n", 400 },
		{ "GET /%.9000s HTTP/1.1\r\n" HOST "\r\n", 414 },
		{ "GET /look HTTP/1.1\r\n" HOST "A: %.17000s\r\n\r\n", 431 },
	};
	char request[20000], answer[16384];

	start(&(struct sutra_http_options){ 0 });
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		bool fill = strstr(cases[i].request, "%.") != NULL;
		int fd = dial();

		assert_int_equal(ask(fd, "GET /look HTTP/1.1\r\n" HOST "\r\n"), 200);
		memset(request, 0, sizeof(request));
		if (fill) {
			const char *at = strchr(cases[i].request, '%');
			size_t head = (size_t)(at - cases[i].request), n = strtoul(at + 2, NULL, 10);

			snprintf(request, sizeof(request), "%.*s%.*s%s", (int)head, cases[i].request, (int)n, long_text,
				 strchr(at, 's') + 1);
		}
		say(fd, fill ? request : cases[i].request);
		if (hear(fd, answer, sizeof(answer)) != cases[i].status || !strstr(answer, "{\"error\":"))
			fail_msg("%s: %s", cases[i].request, answer);
		close(fd);
	}
	stop();
}

static void other_sites_pages_change_nothing(void **state)
{
	static const struct {
		const char *line, *headers;
		int status;
	} cases[] = {
		{ "GET /clear", "Host: embedding.sutra.svc.cluster.local\r\n", 200 },
		{ "GET /clear", HOST "User-Agent: curl/7.88.1\r\n", 200 },
		{ "GET /clear", HOST "User-Agent: Mozilla/5.0\r\n", 403 },
		{ "GET /clear", HOST "Sec-Fetch-Site: none\r\n", 403 },
		{ "HEAD /clear", HOST "Accept-Language: en\r\n", 403 },
		{ "POST /clear", "Host: localhost:8888\r\nOrigin: http://localhost:8888\r\n", 200 },
		{ "POST /clear", "Host: localhost:8888\r\nOrigin: http://localhost:3000\r\n", 403 },
		{ "POST /clear", HOST "Origin: null\r\n", 403 },
		{ "POST /clear", HOST "Origin: http://evil.example\r\n", 403 },
		{ "POST /clear", HOST "Origin: https://x.example.org\r\n", 200 },
		{ "POST /clear", HOST "Sec-Fetch-Site: cross-site\r\n", 403 },
		{ "POST /clear", HOST "Referer: http://localhost/page\r\n", 200 },
		{ "POST /clear", HOST "Referer: http://evil.example/page\r\n", 403 },
		{ "GET /look", HOST "Origin: http://evil.example\r\n", 200 },
		{ "GET /look", "Host: evil.example\r\n", 200 },
		{ "GET /look", "Host: evil.example\r\nUser-Agent: Mozilla/5.0\r\n", 421 },
		{ "GET /look", "Host: evil.example:8888\r\nAccept-Language: en\r\n", 421 },
		{ "GET http://evil.example/look", HOST "User-Agent: Mozilla/5.0\r\n", 421 },
		{ "GET /look", "Host: Embed.example.com:8888\r\nUser-Agent: Mozilla/5.0\r\n", 200 },
		{ "GET /look", "Host: notexample.org\r\nUser-Agent: Mozilla/5.0\r\n", 421 },
		{ "GET /look", "Host: 10.1.2.3:8888\r\nUser-Agent: Mozilla/5.0\r\n", 200 },
		{ "GET /look", "Host: 10.1.2.3.evil.example\r\nUser-Agent: Mozilla/5.0\r\n", 421 },
		{ "GET /look", "Host: [::1]:8888\r\nUser-Agent: Mozilla/5.0\r\n", 200 },
		{ "GET /look", "Host: a.localhost.\r\nUser-Agent: Mozilla/5.0\r\n", 200 },
		{ "GET /look", "Host: embedding\r\nUser-Agent: Mozilla/5.0\r\n", 200 },
		{ "POST /take", HOST "Content-Type: text/plain\r\n", 415 },
		{ "POST /take", HOST "Content-Type: application/jsonp\r\n", 415 },
		{ "POST /take", HOST "Content-Type: application/json; charset=utf-8\r\n", 200 },
		{ "POST /take", HOST "Content-Type: application/problem+json\r\n", 200 },
		{ "POST /take", HOST "Content-Type: application/x-www-form-urlencoded\r\n", 200 },
		{ "POST /take", HOST "Content-Type: application/x-www-form-urlencoded\r\nSec-Fetch-Site: same-origin\r\n", 415 },
	};
	char request[512], answer[16384];

	start(&(struct sutra_http_options){ 0 });
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		int fd = dial();

		snprintf(request, sizeof(request), "%s HTTP/1.1\r\n%sContent-Length: 0\r\nConnection: close\r\n\r\n",
			 cases[i].line, cases[i].headers);
		say(fd, request);
		hear(fd, answer, sizeof(answer));	/* to HEAD: until the end */
		if (strtol(answer + 9, NULL, 10) != cases[i].status)
			fail_msg("%s%s: %s", request, cases[i].headers, answer);
		close(fd);
	}
	stop();
}

/* Six bodies of a megabyte where three have room: the others get 503, and small requests go on. */
static void bodies_under_way_have_a_bound(void **state)
{
	enum { N = 6, BODY = 1 << 20 };
	char answer[4096], head[128];
	int fd[N], small, refused = 0;

	start(&(struct sutra_http_options){ .max_body = BODY, .max_held = 1 });
	small = dial();
	snprintf(head, sizeof(head), "POST /take HTTP/1.1\r\n" HOST "Content-Length: %d\r\n\r\n", BODY);
	for (int i = 0; i < N; i++) {
		fd[i] = dial();
		say(fd[i], head);
		for (int sent = 0; sent < BODY - 65536; sent += 65536)
			say_n(fd[i], long_text, 65536);
		say_n(fd[i], long_text, 65535);
	}
	WAIT_UNTIL(metric(small, EVENT("no_body_room")) >= N - 3);
	assert_true(metric(small, "sutra_http_bodies_bytes ") <= 3 * BODY);
	assert_int_equal(ask(small, "POST /take HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\na"), 200);
	for (int i = 0; i < N; i++) {
		say(fd[i], "a");
		refused += hear(fd[i], answer, sizeof(answer)) == 503 && strcasestr(answer, "Retry-After: ");
		close(fd[i]);
	}
	assert_true(refused >= N - 3);	/* one that ends as JSON needs more yet */
	WAIT_UNTIL(!metric(small, "sutra_http_bodies_bytes "));
	close(small);
	stop();
}

/* A value costs far more than its two bytes. */
static void values_are_counted_before_they_are_read(void **state)
{
	enum { BODY = 1 << 16 };
	char *text = sutra_alloc(BODY + 1), head[128], answer[4096];
	int fd;

	start(&(struct sutra_http_options){ .max_body = BODY, .max_held = 8 * BODY });	/* 384 KiB for one that is large */
	for (int i = 0; i < BODY; i++)
		text[i] = "1,"[i % 2];
	for (int quoted = 0; quoted < 2; quoted++) {
		text[0] = text[BODY - 1] = quoted ? '"' : '1';
		fd = dial();
		snprintf(head, sizeof(head), "POST /take HTTP/1.1\r\n" HOST "Content-Length: %d\r\n\r\n", BODY);
		say(fd, head);
		say_n(fd, text, BODY);
		assert_int_equal(hear(fd, answer, sizeof(answer)),
				 quoted ? 200 : 413);
		close(fd);
	}
	sutra_free(text);
	stop();
}

/* A byte now and then until the server has had enough; the status it says then, 0: none. */
static int drip(int fd, const char *text)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char answer[4096];

	while (!poll(&p, 1, 5))
		if (send(fd, *text ? text++ : "a", 1, MSG_NOSIGNAL) < 0)
			return 0;
	return hear(fd, answer, sizeof(answer));
}

static void drips_have_a_limit(void **state)
{
	const struct sutra_http_options quick = { .head_ns = 100000000, .grace_ns = 100000000 };
	int fd, look;

	start(&quick);
	look = dial();
	fd = dial();
	assert_int_equal(drip(fd, "GET /look HTTP/1.1\r\nA: "), 408);
	close(fd);
	fd = dial();
	assert_int_equal(ask(fd, "GET /look HTTP/1.1\r\n" HOST "\r\n"), 200);
	assert_int_equal(drip(fd, "GET /look HTTP/1.1\r\nA: "), 0);
	close(fd);
	assert_int_equal(metric(look, EVENT("slow_head")), 2);
	fd = dial();
	say(fd, "POST /take HTTP/1.1\r\n" HOST "Content-Length: 60000\r\n\r\n");
	assert_int_equal(drip(fd, ""), 0);
	close(fd);
	assert_int_equal(metric(look, EVENT("slow_body")), 1);
	close(look);
	stop();
}

/* More connections than the table holds: who asks nothing makes room for who does. */
static void idle_connections_make_room(void **state)
{
	enum { MOST = 8, N = 40 };
	int fd[N], asking, closed = 0;
	char byte;

	start(&(struct sutra_http_options){ .max_connections = MOST });
	for (int i = 0; i < N; i++)
		fd[i] = dial();
	asking = dial();
	assert_int_equal(ask(asking, "GET /look HTTP/1.1\r\n" HOST "\r\n"), 200);
	assert_int_equal(ask(asking, "GET /look HTTP/1.1\r\n" HOST "\r\n"), 200);
	for (int i = 0; i < N; i++) {
		closed += recv(fd[i], &byte, 1, MSG_DONTWAIT) == 0;
		close(fd[i]);
	}
	assert_true(closed >= N + 1 - MOST);
	close(asking);
	stop();
}

/* Kept connections that have asked before make room, too; the newest stays. */
static void kept_connections_make_room(void **state)
{
	enum { MOST = 8, N = 20 };
	int fd[N];

	start(&(struct sutra_http_options){ .max_connections = MOST });
	for (int i = 0; i < N; i++) {
		fd[i] = dial();
		assert_int_equal(ask(fd[i], "GET /look HTTP/1.1\r\n" HOST "\r\n"), 200);
	}
	assert_int_equal(ask(fd[N - 1], "GET /look HTTP/1.1\r\n" HOST "\r\n"), 200);
	assert_int_equal(ask(fd[0], "GET /look HTTP/1.1\r\n" HOST "\r\n"), 0);
	for (int i = 0; i < N; i++)
		close(fd[i]);
	stop();
}

static void probes_are_answered_when_all_are_at_work(void **state)
{
	enum { MOST = 8 };
	int fd[MOST];
	char answer[4096];

	start(&(struct sutra_http_options){ .max_connections = MOST });
	for (int i = 0; i < MOST; i++) {
		fd[i] = dial();
		say(fd[i], "GET /hold HTTP/1.1\r\n" HOST "\r\n");
	}
	wait_held(MOST);
	expect("GET /look HTTP/1.1\r\n" HOST "\r\n", 503);
	expect("GET /ping HTTP/1.1\r\n" HOST "\r\n", 200);
	release_all();
	for (int i = 0; i < MOST; i++) {
		assert_int_equal(hear(fd[i], answer, sizeof(answer)), 200);
		close(fd[i]);
	}
	stop();
}

/* It waits, counted, and goes on when there are some again. */
static void no_descriptors_are_waited_for(void **state)
{
	const struct rlimit few = { 256, 256 };
	struct rlimit usual;
	int look, late, spare[256], n = 0;
	char byte;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &usual), 0);
	start(&(struct sutra_http_options){ .head_ns = 2000000000 });
	look = dial();
	assert_true(metric(look, EVENT("accepted")) == 1);
	late = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(prlimit(0, RLIMIT_NOFILE, &(struct rlimit){ few.rlim_cur, usual.rlim_max }, NULL), 0);
	while ((spare[n] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0)
		n++;
	assert_int_equal(errno, EMFILE);
	{
		struct sockaddr_storage sa;
		socklen_t len;

		sutra_addr_parse(sutra_http_server_address(server), &sa, &len, NULL);
		assert_int_equal(connect(late, (struct sockaddr *)&sa, len), 0);
	}
	say(late, "GET /look HTTP/1.1\r\n" HOST "\r\n");
	assert_int_equal(recv(look, &byte, 1, 0), 0);	/* idle: its descriptor was wanted */
	while (n)
		close(spare[--n]);
	prlimit(0, RLIMIT_NOFILE, &usual, NULL);
	assert_int_equal(ask(late, ""), 200);
	assert_true(metric(late, EVENT("paused")) >= 1);
	close(late);
	close(look);
	stop();
}

static int fill(void **state)
{
	long_text = sutra_alloc((64 << 10) + 1);
	if (!long_text)
		return -1;
	memset(long_text, 'a', 64 << 10);
	long_text[64 << 10] = '\0';
	return 0;
}

static int empty(void **state)
{
	sutra_free(long_text);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_no_request_is_refused_at_once),
		cmocka_unit_test(later_requests_of_a_connection_too),
		cmocka_unit_test(other_sites_pages_change_nothing),
		cmocka_unit_test(bodies_under_way_have_a_bound),
		cmocka_unit_test(values_are_counted_before_they_are_read),
		cmocka_unit_test(drips_have_a_limit),
		cmocka_unit_test(idle_connections_make_room),
		cmocka_unit_test(kept_connections_make_room),
		cmocka_unit_test(probes_are_answered_when_all_are_at_work),
		cmocka_unit_test(no_descriptors_are_waited_for),
	};

	return cmocka_run_group_tests(tests, fill, empty);
}
