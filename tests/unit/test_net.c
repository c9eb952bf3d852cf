/* lib/net: the HTTP server against the HTTP client, both real, on loopback. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "net/fetch.h"
#include "net/http.h"
#include "net/port.h"
#include "daemon/daemon.h"
#include "model/texts.h"
#include "../wait.h"

static struct sutra_http_server *server;

static void reply_text(struct sutra_http_request *r, const char *text)
{
	struct sutra_buf b;

	sutra_buf_init(&b, 1 << 20);
	sutra_buf_adds(&b, text);
	sutra_http_reply_json(r, 200, &b);
}

static void echo(struct sutra_http_request *r, void *ctx)
{
	size_t n;
	const char *body = sutra_http_body(r, &n);

	reply_text(r, n ? body : "empty");
}

static void hello(struct sutra_http_request *r, void *ctx)
{
	sutra_http_add_header(r, "X-Test", "yes");
	reply_text(r, "nobody");
}

static void *late_thread(void *r)
{
	reply_text(r, "late");
	return NULL;
}

static void late(struct sutra_http_request *r, void *ctx)
{
	pthread_t t;

	assert_int_equal(pthread_create(&t, NULL, late_thread, r), 0);
	pthread_detach(t);
}

/* Holds requests until eight are here: they truly overlap, or the test hangs to its limit. */
static struct sutra_http_request *held[8];
static atomic_int n_held;
static pthread_mutex_t held_lock = PTHREAD_MUTEX_INITIALIZER;

static void hold(struct sutra_http_request *r, void *ctx)
{
	pthread_mutex_lock(&held_lock);
	held[n_held++] = r;
	if (n_held == 8)
		while (n_held)
			reply_text(held[--n_held], "released");
	pthread_mutex_unlock(&held_lock);
}

static void refuse(struct sutra_http_request *r, void *ctx)
{
	struct sutra_err err;

	sutra_fail(&err, SUTRA_E_BUSY, "queue \"a\" is full");
	sutra_hint(&err, "wait");
	sutra_http_reply_error(r, &err);
}

/* An answer that outgrew its buffer; one for which memory was out; and no memory for the error. */
static void spoilt(struct sutra_http_request *r, void *ctx)
{
	const char *how = sutra_http_param(r, "how");
	struct sutra_err err;
	struct sutra_buf b;

	sutra_buf_init(&b, 100);
	sutra_buf_adds(&b, "what there is of it");
	if (how && !strcmp(how, "error")) {
		sutra_fail(&err, SUTRA_E_INVALID, "words");
		sutra_alloc_fail_at(1);
		sutra_http_reply_error(r, &err);
		sutra_buf_release(&b);
	} else {
		if (how)
			sutra_alloc_fail_at(1);
		sutra_buf_reserve(&b, how ? 90 - 19 : 101);
		sutra_http_reply_json(r, 200, &b);
	}
	sutra_alloc_fail_at(0);
}

static void below(struct sutra_http_request *r, void *ctx)
{
	const char *other = sutra_http_param(r, "other");
	char text[256];

	assert_null(sutra_http_param(r, "nam"));
	snprintf(text, sizeof(text), "<%s> <%s>", sutra_http_param(r, "name"), other ? other : "");
	reply_text(r, text);
}

static void context(struct sutra_http_request *r, void *ctx)
{
	const struct sutra_http_context *c = sutra_http_context(r);
	struct sutra_buf b;

	sutra_buf_init(&b, 1 << 16);
	sutra_buf_addf(&b, "%s %llu %s", c->id, (unsigned long long)(c->deadline_ns ? c->deadline_ns - c->started_ns : 0),
		       c->trace_parent ? c->trace_parent : "untraced");
	sutra_http_metrics(r, &b);
	sutra_http_reply(r, 200, "text/plain", &b);
}

static void refuse_here(struct sutra_http_request *r, void *ctx, const struct sutra_err *err)
{
	struct sutra_buf b;

	sutra_buf_init(&b, 1024);
	sutra_buf_addf(&b, "in other words: %s", err->message);
	sutra_http_reply_json(r, 409, &b);
}

static const struct sutra_http_route routes[] = {
	{ "POST", "/echo", .handler = echo },	{ "GET", "/hello", .handler = hello }, { "POST", "/late", .handler = late },
	{ "GET", "/hold", .handler = hold },	{ "GET", "/busy", .handler = refuse }, { "GET", "/below/{name}", .handler = below },
	{ "GET", "/below/{name}/of/{other}", .handler = below }, { "GET", "/context", .handler = context },
	{ "GET", "/spoilt", .handler = spoilt }, { "GET", "/spoilt/{how}", .handler = spoilt }, { "GET", "/ping", .handler = sutra_http_ping },	{ "POST", "/own", .handler = echo, .fail = refuse_here },
	{ 0 },
};

static int start_server(struct sutra_http_server **ret)
{
	struct sutra_http_options o = { .listen = "127.0.0.1:0", .routes = routes,
					.max_body = 1 << 16 };
	struct sutra_err err;

	if (sutra_http_server_start(&o, ret, &err)) {
		print_error("%s\n", err.message);
		return -1;
	}
	return 0;
}

static int start(void **state) { return start_server(&server); }

static int stop(void **state)
{
	bool ended = sutra_http_server_stop(server, 2000000000u);

	sutra_http_server_free(server);
	return ended ? 0 : -1;
}

static void prepare_fetch(struct sutra_fetch *f, const char *path, char url[128])
{
	snprintf(url, 128, "http://%s%s", sutra_http_server_address(server), path);
	sutra_fetch_init(f);
	f->url = url;
}

static void expect(const char *method, const char *path, const char *body, size_t n,
		   const char *const *headers, int status, const char *answer)
{
	struct sutra_fetch f;
	char url[128];

	prepare_fetch(&f, path, url);
	f.method = method;
	f.body = body;
	f.body_len = n;
	f.headers = headers;
	sutra_fetch_one(&f, NULL);
	assert_int_equal(f.status, status);
	if (answer && !strstr(sutra_buf_str(&f.answer), answer))
		fail_msg("%s answered %s", path, sutra_buf_str(&f.answer));
	sutra_fetch_release(&f);
}

static void routes_and_refusals(void **state)
{
	static const char *const xml[] = { "Content-Type: application/xml", NULL };
	char *big = sutra_calloc(1, 1 << 18);

	expect(NULL, "/hello?name=ada", NULL, 0, NULL, 200, "nobody");
	expect(NULL, "/echo", "hi", 2, NULL, 200, "hi");
	expect(NULL, "/echo", "", 0, NULL, 200, "empty");
	expect(NULL, "/late", "x", 1, NULL, 200, "late");
	expect(NULL, "/ping", NULL, 0, NULL, 200, "pong");
	expect(NULL, "/none", NULL, 0, NULL, 404, "not_found");
	expect("DELETE", "/echo", NULL, 0, NULL, 405, "it takes POST");
	expect(NULL, "/echo", "<x/>", 4, xml, 415, "application/xml");
	expect(NULL, "/busy", NULL, 0, NULL, 429, "queue \\\"a\\\" is full");
	memset(big, 'a', 1 << 18);
	expect(NULL, "/echo", big, 1 << 16, NULL, 200, "aaa");
	expect(NULL, "/echo", big, (1 << 16) + 1, NULL, 413, "65537 bytes; at most 65536");
	expect(NULL, "/echo", big, 1 << 18, NULL, 413, "too_large");
	sutra_free(big);
}

/* A parameter is one segment as it came, decoded once; what is malformed is said. */
static void paths_have_parameters(void **state)
{
	expect(NULL, "/below/x", NULL, 0, NULL, 200, "<x> <>");
	expect(NULL, "/below/a%2Fb%20%C3%A9", NULL, 0, NULL, 200, "<a/b \xc3\xa9> <>");
	expect(NULL, "/below/%2525", NULL, 0, NULL, 200, "<%25> <>");
	expect(NULL, "/below/x+y?name=z", NULL, 0, NULL, 200, "<x+y> <>");
	expect(NULL, "/below/x/of/y", NULL, 0, NULL, 200, "<x> <y>");
	expect(NULL, "/%68ello?name=%61d%61+l", NULL, 0, NULL, 200, "nobody");
	expect(NULL, "/below/", NULL, 0, NULL, 404, "not_found");
	expect(NULL, "/below/x/y", NULL, 0, NULL, 404, "not_found");
	expect(NULL, "/below/x%2Fof%2Fy/", NULL, 0, NULL, 404, "not_found");
	expect(NULL, "/below/%zz", NULL, 0, NULL, 400, "{name} of /below/{name} is no text in UTF-8");
	expect(NULL, "/below/x/of/%ff", NULL, 0, NULL, 400, "{other} of /below/{name}/of/{other}");
	expect(NULL, "/below/%4", NULL, 0, NULL, 400, "malformed");
	expect("POST", "/below/x", NULL, 0, NULL, 405, "it takes GET");
}

#define TRACE "-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

static void the_context_is_there_before_the_handler(void **state)
{
	static const char *const full[] = { "X-Request-Id: one", "X-Request-Timeout: 7", "traceparent: 00" TRACE, NULL };
	static const char *const none[] = { "X-Request-Id: two", NULL };
	static const char *const bad[][2] = { { "traceparent: ff" TRACE }, { "traceparent: 00" TRACE "-00" },
					      { "traceparent: 00-00000000000000000000000000000000-00f067aa0ba902b7-01" },
					      { "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01" },
					      { "traceparent: 00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01" },
					      { "traceparent: 00" } };
	static const char *const late[] = { "X-Request-Timeout: soon", NULL };

	expect(NULL, "/context", NULL, 0, full, 200, "one 7000000 00" TRACE);
	expect(NULL, "/context", NULL, 0, none, 200, "two 0 untraced");
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		expect(NULL, "/context", NULL, 0, bad[i], 200, " 0 untraced");
	expect(NULL, "/context", NULL, 0, late, 422, "X-Request-Timeout is \\\"soon\\\"; allowed are 1 to 86400000");
	expect(NULL, "/own", "x", 1, late, 409, "in other words: header X-Request-Timeout");
}

/* What /metrics counts by now: four series of the requests of one_round, and the number of all series. */
static void durations(long long ret_counts[4], size_t *ret_series)
{
	static const char *const bodies[] = { "route=\"/below/{name}\",method=\"GET\",code=\"200\",le=\"+Inf\"} ",
					      "route=\"/below/{name}\",method=\"GET\",code=\"400\",le=\"+Inf\"} ",
					      "route=\"other\",method=\"other\",code=\"404\",le=\"+Inf\"} ",
					      "route=\"other\",method=\"other\",code=\"405\",le=\"+Inf\"} " };
	struct sutra_fetch f;
	char url[128];

	prepare_fetch(&f, "/context", url);
	assert_int_equal(sutra_fetch_one(&f, NULL), 0);
	for (int i = 0; i < 4; i++) {
		const char *at = strstr(sutra_buf_str(&f.answer), bodies[i]);

		ret_counts[i] = at ? atoll(at + strlen(bodies[i])) : 0;
	}
	*ret_series = 0;
	for (const char *at = sutra_buf_str(&f.answer); (at = strstr(at, "_count{")); at++)
		++*ret_series;
	sutra_fetch_release(&f);
}

static void one_round(int round)
{
	char url[128];

	for (int i = 0; i < 3; i++) {
		snprintf(url, sizeof(url), "/below/%d%d", round, i);
		expect(NULL, url, NULL, 0, NULL, 200, NULL);
		snprintf(url, sizeof(url), "/none/%d%d", round, i);
		expect(NULL, url, NULL, 0, NULL, 404, NULL);
	}
	expect(NULL, "/below/%zz", NULL, 0, NULL, 400, NULL);
	expect("PUT", "/hello", NULL, 0, NULL, 405, NULL);
}

/* A server records a request when its answer has gone out, so the client may see the answer first. */
static bool recorded(const long long before[4], int rounds, size_t *ret_series)
{
	long long now[4];

	durations(now, ret_series);
	return now[0] - before[0] == 3 * rounds && now[1] - before[1] == rounds && now[2] - before[2] == 3 * rounds &&
	       now[3] - before[3] == rounds;
}

/* A series a route, method and status; what has no route shares one, so that nobody can add to them. */
static void durations_are_counted_by_route_and_status(void **state)
{
	long long before[4];
	size_t series, first_series;

	durations(before, &series);
	one_round(1);
	WAIT_UNTIL(recorded(before, 1, &first_series));
	one_round(2);
	WAIT_UNTIL(recorded(before, 2, &series));
	assert_true(series - first_series <= 1);	/* /context itself, answered the first time */
}

static void headers_and_request_id(void **state)
{
	static const char *const mine[] = { "X-Request-Id: my-id-7", NULL };
	static const char *const bad[] = { "X-Request-Id: a \"b", NULL };
	struct sutra_fetch f;
	char url[128], value[64];

	prepare_fetch(&f, "/hello", url);
	f.headers = mine;
	assert_int_equal(sutra_fetch_one(&f, NULL), 0);
	assert_int_equal(sutra_fetch_header(&f, "x-request-id", value, sizeof(value)), 0);
	assert_string_equal(value, "my-id-7");
	assert_int_equal(sutra_fetch_header(&f, "X-Test", value, sizeof(value)), 0);
	assert_string_equal(value, "yes");
	f.headers = bad;
	assert_int_equal(sutra_fetch_one(&f, NULL), 0);
	assert_int_equal(sutra_fetch_header(&f, "X-Request-Id", value, sizeof(value)), 0);
	assert_int_equal(strlen(value), 16);
	assert_int_equal(sutra_fetch_header(&f, "X-None", value, sizeof(value)), SUTRA_E_NOTFOUND);
	assert_true(f.total_ns > 0 && f.connect_ns <= f.first_byte_ns && f.first_byte_ns <= f.total_ns);
	sutra_fetch_release(&f);
}

static void an_answer_that_cannot_be_written_is_an_error(void **state)
{
	expect(NULL, "/spoilt", NULL, 0, NULL, 500, "the answer could not be written: too large");
	expect(NULL, "/spoilt/memory", NULL, 0, NULL, 503, "the answer could not be written: out of memory");
	expect(NULL, "/spoilt/error", NULL, 0, NULL, 503, "out of memory for the answer");
}

static void many_overlap(void **state)
{
	struct sutra_fetch f[8], *list[8];
	char url[8][128];

	for (int i = 0; i < 8; i++) {
		prepare_fetch(&f[i], "/hold", url[i]);
		list[i] = &f[i];
	}
	sutra_fetch_many(list, 8, 8);
	for (int i = 0; i < 8; i++) {
		assert_int_equal(f[i].status, 200);
		sutra_fetch_release(&f[i]);
	}
}

static void *stop_thread(void *s)
{
	return (void *)(intptr_t)sutra_http_server_stop(s, 30000000000u);
}

static void *hold_thread(void *unused)
{
	expect(NULL, "/hold", NULL, 0, NULL, 200, "released");
	return NULL;
}

static int post(void)
{
	struct sutra_fetch f;
	char url[128];
	int status;

	prepare_fetch(&f, "/echo", url);
	f.body = "x";
	f.body_len = 1;
	sutra_fetch_one(&f, NULL);
	status = f.status;
	sutra_fetch_release(&f);
	return status;
}

/* The one request is answered however long it takes; others see a refusal, a balancer's checks none. */
static void what_is_under_way_is_finished(void **state)
{
	struct sutra_http_server *usual = server;
	pthread_t holder, stopper;
	void *ended = NULL;
	int status;

	assert_int_equal(start_server(&server), 0);
	assert_int_equal(pthread_create(&holder, NULL, hold_thread, NULL), 0);
	WAIT_UNTIL(atomic_load(&n_held));
	assert_int_equal(pthread_create(&stopper, NULL, stop_thread, server), 0);
	WAIT_UNTIL((status = post()) != 200);
	assert_int_equal(status, 503);
	expect(NULL, "/hello", NULL, 0, NULL, 200, "nobody");
	pthread_mutex_lock(&held_lock);
	reply_text(held[--n_held], "released");
	pthread_mutex_unlock(&held_lock);
	pthread_join(holder, NULL);
	pthread_join(stopper, &ended);
	assert_true((intptr_t)ended);
	assert_int_equal(post(), 0);
	sutra_http_server_free(server);
	server = usual;
}

static void failures_have_reasons(void **state)
{
	struct sutra_err err;
	struct sutra_fetch f;
	char url[128], address[SUTRA_ADDR_LEN], holder[64];
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	pid_t pid;
	int fd;

	/* A socket that listens but never accepts: connected by the kernel, no first byte. */
	assert_int_equal(sutra_listen_tcp("127.0.0.1:0", 8, &fd, &err), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	sutra_addr_format((struct sockaddr *)&sa, address);
	prepare_fetch(&f, "/", url);
	snprintf(url, sizeof(url), "http://%s/", address);
	f.timeout_ns = 100000000;
	assert_int_equal(sutra_fetch_one(&f, &err), SUTRA_E_TIMEOUT);
	assert_int_equal(f.reason, SUTRA_FETCH_FIRST_BYTE_TIMEOUT);
	assert_non_null(strstr(err.message, "first-byte-timeout"));
	assert_int_equal(sutra_listen_tcp(address, 8, &(int){ 0 }, &err), SUTRA_E_EXISTS);
	assert_true(sutra_port_holder(address, true, &pid, holder, sizeof(holder)));
	assert_int_equal(pid, getpid());
	assert_non_null(strstr(err.message, holder));
	close(fd);
	assert_int_equal(sutra_fetch_one(&f, &err), SUTRA_E_UNAVAILABLE);
	assert_int_equal(f.reason, SUTRA_FETCH_REFUSED);
	snprintf(url, sizeof(url), "http://%s/hello", sutra_http_server_address(server));
	f.max_answer = 3;
	sutra_fetch_one(&f, &err);
	assert_int_equal(f.reason, SUTRA_FETCH_TOO_LARGE);
	sutra_fetch_release(&f);
}

static pthread_mutex_t done_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t done_cond = PTHREAD_COND_INITIALIZER;
static int n_done;

static void on_done(struct sutra_fetch *f)
{
	pthread_mutex_lock(&done_lock);
	n_done += f->status == 200;
	pthread_cond_signal(&done_cond);
	pthread_mutex_unlock(&done_lock);
}

static void fetcher_runs_in_the_background(void **state)
{
	struct sutra_fetcher *fr;
	struct sutra_fetch f[20];
	char url[20][128];

	assert_int_equal(sutra_fetcher_new(&fr, NULL), 0);
	for (int i = 0; i < 20; i++) {
		prepare_fetch(&f[i], "/echo", url[i]);
		f[i].body = "x";
		f[i].body_len = 1;
		sutra_fetcher_submit(fr, &f[i], on_done);
	}
	pthread_mutex_lock(&done_lock);
	while (n_done < 20)
		pthread_cond_wait(&done_cond, &done_lock);
	pthread_mutex_unlock(&done_lock);
	sutra_fetcher_free(fr);
	for (int i = 0; i < 20; i++)
		sutra_fetch_release(&f[i]);
}

/* One at a time: kept connections serve several requests, but not for ever. */
static void fetcher_renews_its_connections(void **state)
{
	struct sutra_fetcher *fr;
	struct sutra_fetch f;
	char url[128];
	int connections = 0, before = n_done;

	assert_int_equal(sutra_fetcher_new(&fr, NULL), 0);
	prepare_fetch(&f, "/echo", url);
	f.body = "x";
	f.body_len = 1;
	for (int i = 1; i <= 80; i++) {
		sutra_fetcher_submit(fr, &f, on_done);
		pthread_mutex_lock(&done_lock);
		while (n_done < before + i)
			pthread_cond_wait(&done_cond, &done_lock);
		pthread_mutex_unlock(&done_lock);
		connections += f.connect_ns > 0;
	}
	sutra_fetcher_free(fr);
	sutra_fetch_release(&f);
	assert_int_equal(connections, 80 / 16);
}

static void addresses_are_strict(void **state)
{
	static const char *const bad[] = { "", "127.0.0.1", "localhost:80", "1.2.3.4:65536", "1.2.3:4",
					   "1.2.3.4:", "[::1:80" };
	struct sockaddr_storage sa;
	char text[SUTRA_ADDR_LEN];
	socklen_t len;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(sutra_addr_parse(bad[i], &sa, &len, NULL), SUTRA_E_INVALID);
	assert_int_equal(sutra_addr_parse("[::1]:80", &sa, &len, NULL), 0);
	sutra_addr_format((struct sockaddr *)&sa, text);
	assert_string_equal(text, "[::1]:80");
	setenv("SUTRA_LISTEN_5", "127.0.0.1:5,127.0.0.2:6", 1);
	assert_string_equal(sutra_listen_for(NULL, 5), "127.0.0.1:5,127.0.0.2:6");
	assert_string_equal(sutra_listen_for(NULL, 6), "127.0.0.1:6");
	assert_string_equal(sutra_listen_for("127.0.0.9", 6), "127.0.0.9:6");
	setenv("SUTRA_LISTEN", "0.0.0.0", 1);
	assert_string_equal(sutra_listen_for("127.0.0.9", 6), "0.0.0.0:6");
	assert_string_equal(sutra_listen_for(NULL, 6), "0.0.0.0:6");
	assert_string_equal(sutra_listen_for(NULL, 5), "127.0.0.1:5,127.0.0.2:6");
	setenv("SUTRA_LISTEN", "::", 1);
	assert_string_equal(sutra_listen_for(NULL, 6), "[::]:6");
	unsetenv("SUTRA_LISTEN");
}

/* What stands for a text on its way through the cache comes out as the JSON it came from. */
static void ids_and_typed_texts_are_packed_and_unpacked(void **state)
{
	static const char body[] = "{\"texts\":[\"a\",[101,7],{\"text\":\"b\\u0000\\\"\",\"input_type\":\"q\"}]}";
	static const char *const bad[] = {
		"{\"texts\":[{\"text\":\"\"}]}", "{\"texts\":[{\"input_type\":\"q\"}]}",
		"{\"texts\":[{\"text\":\"b\",\"input_type\":7}]}", "{\"text\":{\"text\":\"b\"}}",
	};
	const struct sutra_ids_limits limits = { 200, 10 };
	struct sutra_texts t = { 0 };
	struct sutra_buf packed, out;
	struct sutra_err err;

	assert_int_equal(sutra_texts_read(body, strlen(body), &limits, &t, &err), 0);
	assert_int_equal(json_array_size(t.list), 3);
	sutra_buf_init(&packed, 64);
	sutra_buf_init(&out, 1024);
	sutra_ids_pack(json_array_get(t.list, 1), &packed);
	sutra_text_add_json(packed.data, packed.len, &out);
	sutra_buf_clear(&packed);
	sutra_typed_pack("q", "b\0\"", 3, &packed);
	assert_int_equal(packed.len, 3 + 1 + 2);
	sutra_text_add_json(packed.data, packed.len, &out);
	sutra_text_add_json("a", 1, &out);
	assert_string_equal(sutra_buf_str(&out),
			    "[101,7]{\"input_type\":\"q\",\"text\":\"b\\u0000\\\"\"}\"a\"");
	sutra_buf_release(&packed);
	sutra_buf_release(&out);
	sutra_texts_release(&t);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(sutra_texts_read(bad[i], strlen(bad[i]), &limits, &t, &err),
				 SUTRA_E_INVALID);
	assert_int_equal(sutra_texts_read(body, strlen(body), NULL, &t, &err), SUTRA_E_INVALID);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(routes_and_refusals),
		cmocka_unit_test(paths_have_parameters),
		cmocka_unit_test(the_context_is_there_before_the_handler),
		cmocka_unit_test(durations_are_counted_by_route_and_status),
		cmocka_unit_test(headers_and_request_id),
		cmocka_unit_test(an_answer_that_cannot_be_written_is_an_error),
		cmocka_unit_test(many_overlap), cmocka_unit_test(what_is_under_way_is_finished),
		cmocka_unit_test(failures_have_reasons),
		cmocka_unit_test(fetcher_runs_in_the_background),
		cmocka_unit_test(fetcher_renews_its_connections),
		cmocka_unit_test(addresses_are_strict),
		cmocka_unit_test(ids_and_typed_texts_are_packed_and_unpacked),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
