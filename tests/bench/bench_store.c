/*
 * bench_store - sutra-storage beside redis-server on this machine, 1 KB values, one load
 * generator for both: SET and GET at 1 and 50 connections, pipeline 1 and 16. Redis syncs
 * every second, sutra-storage with its interval of a second. The two alternate, medians count.
 * Also prints memory for an entry of 256 floats and the replay of 100,000 of them.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/histogram.h"
#include "base/metric.h"
#include "base/proc.h"
#include "store/engine.h"
#include "wire/frame.h"
#include "wire/message.h"

#define CELL_NS 400000000u
enum { KEYS = 1000, VALUE = 1024, ROUNDS = 3, MAX_CONNS = 50 };

struct server {
	const char *name;
	int port;
	pid_t pid;
	bool redis;
	struct sutra_buf set[KEYS], get[KEYS];	/* one request each */
};

struct conn {
	int fd;
	unsigned waiting;		/* answers */
	uint64_t sent_at;
	struct sutra_buf in;
};

static uint64_t rng = 88172645463325252u;
static char dir[] = "/tmp/sutra-bench-XXXXXX";

static unsigned next_key(void)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (unsigned)(rng % KEYS);
}

static int free_port(void)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sa);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	bind(fd, (struct sockaddr *)&sa, sizeof(sa));
	getsockname(fd, (struct sockaddr *)&sa, &len);
	close(fd);
	return ntohs(sa.sin_port);
}

static int dial(int port)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	for (int tries = 0; connect(fd, (struct sockaddr *)&sa, sizeof(sa)); tries++) {
		if (tries == 500) {
			fprintf(stderr, "bench_store: no server at port %d\n", port);
			exit(1);
		}
		usleep(10000);
	}
	return fd;
}

static void start(struct server *s)
{
	const char *bin = getenv("SUTRA_BIN");
	char port[16], listen_at[64], folder[64], program[4096];

	s->port = free_port();
	snprintf(port, sizeof(port), "%d", s->port);
	snprintf(listen_at, sizeof(listen_at), "127.0.0.1:%d", s->port);
	snprintf(folder, sizeof(folder), "%s/%s", dir, s->name);
	snprintf(program, sizeof(program), "%s%ssutra-storage", bin ? bin : "", bin ? "/" : "");
	sutra_mkdirs(folder, 0700, NULL);
	s->pid = fork();
	if (s->pid)
		return;
	setenv("SUTRA_LISTEN_50052", listen_at, 1);
	setenv("STORAGE_PATH", folder, 1);
	setenv("LOG_LEVEL", "error", 1);
	if (s->redis)
		execlp("redis-server", "redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "",
		       "--appendonly", "yes", "--appendfsync", "everysec", "--dir", folder, "--logfile",
		       "redis.log", (char *)NULL);
	else
		execlp(program, "sutra-storage", (char *)NULL);
	_exit(127);
}

static void stop(struct server *s)
{
	kill(s->pid, SIGTERM);
	waitpid(s->pid, NULL, 0);
}

static void prepare(struct server *s)
{
	char value[VALUE];

	memset(value, 'v', sizeof(value));
	for (int i = 0; i < KEYS; i++) {
		char id[32];
		const struct sutra_id ids[1] = { { id, 15 } };
		const struct sutra_message set = { .op = SUTRA_OP_LEARN_CONCEPT,
						   .concept = { .id = id, .id_len = 15, .content = value,
								.content_len = VALUE, .strength = 1 } };
		const struct sutra_message get = { .op = SUTRA_OP_GET_CONCEPTS, .ids = ids, .n_ids = 1,
						   .with_embedding = true };

		snprintf(id, sizeof(id), "%015d", i);
		sutra_buf_init(&s->set[i], 1 << 16);
		sutra_buf_init(&s->get[i], 1 << 16);
		if (!s->redis) {
			sutra_request_encode(&s->set[i], &set);
			sutra_request_encode(&s->get[i], &get);
			continue;
		}
		sutra_buf_addf(&s->set[i], "*3\r\n$3\r\nSET\r\n$15\r\n%s\r\n$%d\r\n", id, VALUE);
		sutra_buf_add(&s->set[i], value, VALUE);
		sutra_buf_adds(&s->set[i], "\r\n");
		sutra_buf_addf(&s->get[i], "*2\r\n$3\r\nGET\r\n$15\r\n%s\r\n", id);
	}
}

/* Length of the whole answer at the front of p, or 0. */
static size_t answer_length(const struct server *s, const char *p, size_t n)
{
	size_t len;

	if (!s->redis)
		return sutra_frame_peek(p, n, &len) > 0 ? len + SUTRA_FRAME_HEAD : 0;
	len = n && *p == '+' ? 5 : VALUE + 9;	/* +OK, or $1024, value */
	return n >= len ? len : 0;
}

static void send_batch(const struct server *s, struct conn *c, bool set, unsigned pipeline,
		       struct sutra_buf *out)
{
	sutra_buf_clear(out);
	for (unsigned i = 0; i < pipeline; i++) {
		const struct sutra_buf *r = set ? &s->set[next_key()] : &s->get[next_key()];

		sutra_buf_add(out, r->data, r->len);
	}
	c->waiting = pipeline;
	c->sent_at = sutra_clock_ns();
	for (size_t at = 0; at < out->len;) {
		ssize_t n = send(c->fd, out->data + at, out->len - at, MSG_NOSIGNAL);

		if (n <= 0)
			exit(1);
		at += (size_t)n;
	}
}

static unsigned receive(const struct server *s, struct conn *c)
{
	char *p = sutra_buf_reserve(&c->in, 65536);
	ssize_t n = recv(c->fd, p, 65536, 0);
	unsigned answers = 0;
	size_t at = 0, len;

	if (n <= 0)
		exit(1);
	sutra_buf_added(&c->in, (size_t)n);
	while ((len = answer_length(s, c->in.data + at, c->in.len - at))) {
		at += len;
		answers++;
	}
	sutra_buf_consume(&c->in, at);
	c->waiting -= answers;
	return answers;
}

/* Operations a second; latencies go into h. */
static double cell(const struct server *s, bool set, unsigned conns, unsigned pipeline,
		   struct sutra_histogram *h)
{
	struct epoll_event events[MAX_CONNS];
	struct conn c[MAX_CONNS] = { 0 };
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	struct sutra_buf out;
	uint64_t start_ns, now, ops = 0;

	sutra_buf_init(&out, 1 << 20);
	for (unsigned i = 0; i < conns; i++) {
		struct epoll_event e = { .events = EPOLLIN, .data.u32 = i };

		c[i].fd = dial(s->port);
		sutra_buf_init(&c[i].in, 1 << 22);
		epoll_ctl(epoll, EPOLL_CTL_ADD, c[i].fd, &e);
	}
	start_ns = now = sutra_clock_ns();
	for (unsigned i = 0; i < conns; i++)
		send_batch(s, &c[i], set, pipeline, &out);
	while (now - start_ns < CELL_NS) {
		int n = epoll_wait(epoll, events, MAX_CONNS, 1000);

		for (int i = 0; i < n; i++) {
			struct conn *k = &c[events[i].data.u32];

			ops += receive(s, k);
			if (k->waiting)
				continue;
			now = sutra_clock_ns();
			sutra_histogram_record(h, now - k->sent_at);
			send_batch(s, k, set, pipeline, &out);
		}
	}
	for (unsigned i = 0; i < conns; i++) {
		close(c[i].fd);
		sutra_buf_release(&c[i].in);
	}
	close(epoll);
	sutra_buf_release(&out);
	return (double)ops * 1e9 / (double)(now - start_ns);
}

static double median(double *v)
{
	for (int i = 0; i < ROUNDS; i++)
		for (int k = i + 1; k < ROUNDS; k++)
			if (v[k] < v[i]) {
				double t = v[i];

				v[i] = v[k];
				v[k] = t;
			}
	return v[ROUNDS / 2];
}

static void row(struct server *servers, int n, bool set, unsigned conns, unsigned pipeline)
{
	double rates[2][ROUNDS], rate[2] = { 0 };
	struct sutra_histogram *h[2] = { sutra_histogram_new(), sutra_histogram_new() };

	for (int round = 0; round < ROUNDS; round++)
		for (int i = 0; i < n; i++)
			rates[i][round] = cell(&servers[i], set, conns, pipeline, h[i]);
	printf("%s  %2u connections  pipeline %2u ", set ? "SET" : "GET", conns, pipeline);
	for (int i = 0; i < n; i++) {
		rate[i] = median(rates[i]);
		printf("  %s %6.1f k/s P50 %5.0f P99 %5.0f us", servers[i].name, rate[i] / 1e3,
		       (double)sutra_histogram_quantile(h[i], 0.5) / 1e3,
		       (double)sutra_histogram_quantile(h[i], 0.99) / 1e3);
		sutra_histogram_free(h[i]);
	}
	if (n == 2)
		printf("  ratio %.2f", rate[0] / rate[1]);
	putchar('\n');
	fflush(stdout);
}

/* In process: bytes an entry, and how long the log of 100,000 takes to come back. */
static void memory_and_replay(void)
{
	struct sutra_engine_options o = { .max_concepts = 100000 };
	float v[256] = { 0.5f };
	struct sutra_wal_report report;
	struct sutra_engine *e;
	uint64_t before, after, sequence, t;
	char folder[64];

	snprintf(folder, sizeof(folder), "%s/engine", dir);
	o.dir = folder;
	before = sutra_process_memory();
	if (sutra_engine_open(&o, &e, &report, NULL))
		exit(1);
	for (int i = 0; i < 100000; i++) {
		char id[32], content[101];
		struct sutra_concept r = { .id = id, .id_len = 16, .content = content, .content_len = 100,
					  .embedding = v, .dimension = 256, .strength = 1 };

		snprintf(id, sizeof(id), "%016d", i);
		memset(content, 'c', 100);
		if (sutra_engine_put(e, &r, &sequence, NULL) || (i % 100 == 99 && sutra_engine_commit(e, NULL)))
			exit(1);
	}
	after = sutra_process_memory();
	printf("entry of 256 floats, id 16, content 100 bytes (1140 in all): %.0f bytes resident\n",
	       (double)(after - before) / 100000);
	sutra_engine_close(e);
	t = sutra_clock_ns();
	if (sutra_engine_open(&o, &e, &report, NULL))
		exit(1);
	t = sutra_clock_ns() - t;
	printf("replay of %llu records, %.0f MB: %.3f s\n", (unsigned long long)report.records,
	       (double)report.bytes / 1e6, (double)t / 1e9);
	sutra_engine_close(e);
}

int main(void)
{
	static struct server servers[2] = { { .name = "sutra" }, { .name = "redis", .redis = true } };
	int n = 1 + sutra_proc_find("redis-server", NULL);

	if (!mkdtemp(dir))
		return 1;
	memory_and_replay();
	for (int i = 0; i < n; i++) {
		prepare(&servers[i]);
		start(&servers[i]);
	}
	if (n == 1)
		puts("redis-server is not installed: no ratios");
	for (int set = 1; set >= 0; set--)
		for (unsigned conns = 1; conns <= 50; conns += 49)
			for (unsigned pipeline = 1; pipeline <= 16; pipeline += 15)
				row(servers, n, set, conns, pipeline);
	for (int i = 0; i < n; i++)
		stop(&servers[i]);
	sutra_remove_tree(dir, NULL);
	return 0;
}
