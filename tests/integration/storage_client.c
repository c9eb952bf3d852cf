/*
 * storage_client - talks to a sutra-storage in tests.
 *
 *	storage_client HOST:PORT put ID CONTENT [TTL] | get ID... | delete ID | clear | flush | stats
 *	    load PREFIX N DIM FILE	N pipelined puts; FILE gets the highest number acknowledged
 *					with all below it, as it grows
 *	    verify PREFIX N		the first N of load are all there and whole
 *	    pipeline N			N puts and gets in one write, answers checked in order
 *	    flushes N			the same with a Flush for each get
 *	    raw HEX...			sends each frame's payload, prints each answer's bytes
 *	    idle			a put, a connection closed meanwhile, a get over the next
 *	    crowd N			N connections, each answered once and left open; after each a call
 *	    bytes HEX			sends bytes as they are, prints what comes until the end
 * Exit 0 when all went well.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/digest.h"
#include "net/port.h"
#include "wire/frame.h"
#include "wire/store_client.h"

enum { WINDOW = 64, MAX_DIM = 2048 };

static const char *address;
static atomic_int open_calls, failures;
static atomic_long acked;
static atomic_long first_lost = -1;

static void die(const char *what)
{
	fprintf(stderr, "storage_client: %s\n", what);
	exit(1);
}

/* ---- over the client ---- */

static struct sutra_store_client *connect_client(void)
{
	struct sutra_store_client_options o = { .timeout_ns = 30000000000u };
	uint64_t until = sutra_clock_ns() + 30000000000u;
	struct sutra_store_client *c;
	const char *colon = strrchr(address, ':');
	char host[64];

	snprintf(host, sizeof(host), "%.*s", (int)(colon - address), address);
	o.host = host;
	o.port = (int)strtol(colon + 1, NULL, 10);
	if (sutra_store_client_new(&o, &c, NULL))
		die("no client");
	while (!sutra_store_client_up(c) && sutra_clock_ns() < until)
		usleep(1000);
	return c;
}

static void wait_below(int n)
{
	while (atomic_load(&open_calls) > n)
		usleep(100);
}

static void done(void *user, int code, uint64_t value)
{
	if (code)
		printf("error %s\n", sutra_err_name(code));
	else
		printf("%s %llu\n", (const char *)user, (unsigned long long)value);
	atomic_fetch_add(&failures, code != 0);
	atomic_fetch_sub(&open_calls, 1);
}

static void none_found(void *user, int code, uint64_t value)
{
	atomic_fetch_add(&failures, code != 0);
	atomic_fetch_sub(&open_calls, 1);
}

static void got(void *user, int code, const struct sutra_concept *const *found, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (found[i])
			printf("%.*s=%.*s\n", (int)found[i]->id_len, found[i]->id, (int)found[i]->content_len,
			       (const char *)found[i]->content);
		else
			puts("nil");
	if (code)
		printf("error %s\n", sutra_err_name(code));
	atomic_fetch_add(&failures, code != 0);
	atomic_fetch_sub(&open_calls, 1);
}

static void stats_done(void *user, int code, const char *json, size_t n)
{
	printf("%.*s\n", (int)n, code ? "" : json);
	atomic_fetch_add(&failures, code != 0);
	atomic_fetch_sub(&open_calls, 1);
}

/* What load writes as number i: checked by verify. */
static void fill(float *v, size_t dim, long i)
{
	for (size_t k = 0; k < dim; k++)
		v[k] = (float)(i % 1000) + (float)k / 4096;
}

static int ack_file;

static void put_acked(void *user, int code, uint64_t value)
{
	char line[32];
	long n;

	if (!code && first_lost < 0) {
		n = atomic_fetch_add(&acked, 1) + 1;
		snprintf(line, sizeof(line), "%-20ld\n", n);
		if (pwrite(ack_file, line, 21, 0) != 21)
			die("cannot write the file");
	} else if (first_lost < 0) {
		first_lost = (long)(intptr_t)user;
	}
	atomic_fetch_sub(&open_calls, 1);
}

static int load(struct sutra_store_client *c, char **argv)
{
	long n = strtol(argv[1], NULL, 10);
	static float v[MAX_DIM];
	char id[64], content[64];
	struct sutra_concept k = { .id = id, .content = content, .embedding = v,
				   .dimension = (size_t)strtol(argv[2], NULL, 10), .strength = 1 };

	ack_file = open(argv[3], O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (ack_file < 0)
		die("cannot make the file");
	for (long i = 0; i < n && first_lost < 0; i++) {
		k.id_len = (size_t)snprintf(id, sizeof(id), "%s%ld", argv[0], i);
		k.content_len = (size_t)snprintf(content, sizeof(content), "content of %ld", i);
		fill(v, k.dimension, i);
		wait_below(WINDOW);
		atomic_fetch_add(&open_calls, 1);
		sutra_store_put(c, &k, put_acked, (void *)(intptr_t)i);
	}
	wait_below(0);
	printf("acknowledged %ld\n", atomic_load(&acked));
	return first_lost >= 0;
}

static void verify_one(void *user, int code, const struct sutra_concept *const *found, size_t n)
{
	long i = (long)(intptr_t)user;
	static float v[MAX_DIM];
	char content[64];
	bool ok = !code && found[0];

	if (ok) {
		snprintf(content, sizeof(content), "content of %ld", i);
		fill(v, found[0]->dimension, i);
		ok = found[0]->content_len == strlen(content) &&
		     !memcmp(found[0]->content, content, strlen(content)) &&
		     (!found[0]->dimension ||
		      !memcmp(found[0]->embedding, v, found[0]->dimension * sizeof(float)));
	}
	if (!ok && atomic_fetch_add(&failures, 1) < 5)
		printf("number %ld is %s\n", i, code ? sutra_err_name(code) : found[0] ? "wrong" : "lost");
	atomic_fetch_sub(&open_calls, 1);
}

static int verify(struct sutra_store_client *c, char **argv)
{
	long n = strtol(argv[1], NULL, 10);

	for (long i = 0; i < n; i++) {
		char id[64];
		const char *ids[1] = { id };

		snprintf(id, sizeof(id), "%s%ld", argv[0], i);
		wait_below(WINDOW);
		atomic_fetch_add(&open_calls, 1);
		sutra_store_get(c, ids, 1, verify_one, (void *)(intptr_t)i);
	}
	wait_below(0);
	printf("verified %ld, %d wrong\n", n, atomic_load(&failures));
	return atomic_load(&failures) != 0;
}

static int simple(struct sutra_store_client *c, int argc, char **argv)
{
	const char *what = argv[0];

	atomic_fetch_add(&open_calls, 1);
	if (!strcmp(what, "put") && argc >= 3) {
		const struct sutra_concept k = { .id = argv[1], .id_len = strlen(argv[1]), .content = argv[2],
						 .content_len = strlen(argv[2]), .strength = 1, .confidence = 1,
						 .content_is_text = true,
						 .ttl_seconds = argc > 3 ? strtoull(argv[3], NULL, 10) : 0 };

		sutra_store_put(c, &k, done, (void *)"ok");
	} else if (!strcmp(what, "get")) {
		sutra_store_get(c, (const char *const *)argv + 1, (size_t)argc - 1, got, NULL);
	} else if (!strcmp(what, "delete") && argc == 2) {
		sutra_store_delete(c, argv[1], done, (void *)"found");
	} else if (!strcmp(what, "clear")) {
		sutra_store_clear(c, done, (void *)"cleared");
	} else if (!strcmp(what, "flush")) {
		sutra_store_flush(c, done, (void *)"flushed");
	} else if (!strcmp(what, "stats")) {
		sutra_store_stats(c, stats_done, NULL);
	} else {
		die("unknown command");
	}
	wait_below(0);
	return atomic_load(&failures) != 0;
}

/* ---- over a bare socket ---- */

static int connect_raw(void)
{
	struct timeval limit = { .tv_sec = 60 };
	struct sockaddr_storage sa;
	socklen_t len;
	int fd;

	if (sutra_addr_parse(address, &sa, &len, NULL))
		die("bad address");
	fd = socket(sa.ss_family, SOCK_STREAM, 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (connect(fd, (struct sockaddr *)&sa, len))
		die("cannot connect");
	return fd;
}

static void send_all(int fd, const void *p, size_t n)
{
	for (size_t at = 0; at < n;) {
		ssize_t w = send(fd, (const char *)p + at, n - at, MSG_NOSIGNAL);

		if (w <= 0)
			die("cannot send");
		at += (size_t)w;
	}
}

/* Until b holds a whole frame; its payload's length. */
static size_t read_frame(int fd, struct sutra_buf *b)
{
	size_t len;

	while (sutra_frame_peek(b->data, b->len, &len) != 1) {
		char *p = sutra_buf_reserve(b, 65536);
		ssize_t n = p ? recv(fd, p, 65536, 0) : -1;

		if (n <= 0)
			die("the server closed, or does not answer");
		sutra_buf_added(b, (size_t)n);
	}
	return len;
}

static void print_bytes(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		putchar(p[i] >= ' ' && p[i] <= '~' ? p[i] : '.');
	putchar('\n');
}

static int raw(int argc, char **argv)
{
	int fd = connect_raw();
	struct sutra_buf out, in;

	sutra_buf_init(&out, 1 << 20);
	sutra_buf_init(&in, 1 << 26);
	for (int i = 0; i < argc; i++) {
		size_t n = strlen(argv[i]) / 2, begin = sutra_frame_begin(&out);
		char *p = sutra_buf_reserve(&out, n + 1);

		if (!p || sutra_unhex(argv[i], (uint8_t *)p, n))
			die("bad hexadecimal");
		sutra_buf_added(&out, n);
		sutra_frame_end(&out, begin);
	}
	send_all(fd, out.data, out.len);
	for (int i = 0; i < argc; i++) {
		size_t len = read_frame(fd, &in);

		print_bytes(in.data + SUTRA_FRAME_HEAD, len);
		sutra_buf_consume(&in, SUTRA_FRAME_HEAD + len);
	}
	sutra_buf_release(&out);
	sutra_buf_release(&in);
	close(fd);
	return 0;
}

static int bytes(const char *hex)
{
	size_t n = strlen(hex) / 2;
	uint8_t *p = sutra_alloc(n + 1);
	char in[4096];
	ssize_t got_n;
	int fd = connect_raw();

	if (!p || sutra_unhex(hex, p, n))
		die("bad hexadecimal");
	send_all(fd, p, n);
	shutdown(fd, SHUT_WR);
	while ((got_n = recv(fd, in, sizeof(in), 0)) > 0)
		print_bytes(in, (size_t)got_n);
	sutra_free(p);
	close(fd);
	return got_n < 0;
}

/* The server closes a connection without requests; the client comes back for the next. */
static int idle(struct sutra_store_client *c)
{
	char *put[] = { (char *)"put", (char *)"kept", (char *)"here" }, *get[] = { (char *)"get", (char *)"kept" };
	struct sutra_store_client_counts n;

	simple(c, 3, put);
	do {
		usleep(1000);
		sutra_store_client_counts(c, &n);
	} while (!n.disconnects || !sutra_store_client_up(c));
	return simple(c, 2, get);
}

/* More connections than there is room for; the client's own stays usable between them. */
static int crowd(struct sutra_store_client *c, long n)
{
	static const char ping[] = "GET /ping HTTP/1.1\r\n\r\n";
	long answered = 0;
	char in[4096];

	for (long i = 0; i < n; i++) {
		int fd = connect_raw();

		send_all(fd, ping, sizeof(ping) - 1);
		answered += recv(fd, in, sizeof(in), 0) > 0;
		atomic_fetch_add(&open_calls, 1);
		sutra_store_delete(c, "nothing", none_found, NULL);
		wait_below(0);
	}
	printf("%ld answered, %d failed\n", answered, atomic_load(&failures));
	return answered != n || atomic_load(&failures);
}

/* Puts and gets, or flushes, alternate; the i-th get must answer the i-th put, the sequences must rise. */
static int pipeline(long n, bool flushes)
{
	static struct sutra_answer answer;
	struct sutra_buf out, in;
	uint64_t last = 0;
	char id[32];
	int fd = connect_raw(), wrong = 0;

	sutra_buf_init(&out, 1 << 26);
	sutra_buf_init(&in, 1 << 26);
	sutra_answer_init(&answer);
	for (long i = 0; i < n; i++) {
		struct sutra_concept k = { .id = id, .content = id, .strength = 1 };
		const char *ids[1] = { id };

		k.id_len = k.content_len = (size_t)snprintf(id, sizeof(id), "p%ld", i);
		sutra_request_learn(&out, &k);
		if (flushes)
			sutra_request_bare(&out, SUTRA_OP_FLUSH);
		else
			sutra_request_get(&out, ids, 1);
	}
	send_all(fd, out.data, out.len);
	for (long i = 0; i < 2 * n; i++) {
		size_t len = read_frame(fd, &in);

		wrong += sutra_answer_decode(&answer, in.data + SUTRA_FRAME_HEAD, len) || answer.code;
		snprintf(id, sizeof(id), "p%ld", i / 2);
		if (i % 2 && flushes) {
			wrong += answer.op != SUTRA_OP_FLUSH;
		} else if (i % 2) {
			wrong += answer.n != 1 || !answer.found[0] ||
				 answer.concepts[0].id_len != strlen(id) ||
				 memcmp(answer.concepts[0].id, id, strlen(id)) != 0;
		} else {
			wrong += answer.value <= last;
			last = answer.value;
		}
		sutra_buf_consume(&in, SUTRA_FRAME_HEAD + len);
	}
	sutra_answer_release(&answer);
	sutra_buf_release(&out);
	sutra_buf_release(&in);
	close(fd);
	printf("%ld answers, %d wrong\n", 2 * n, wrong);
	return wrong != 0;
}

int main(int argc, char **argv)
{
	struct sutra_store_client *c;
	int rc;

	if (argc < 3)
		die("usage: storage_client HOST:PORT COMMAND ...");
	address = argv[1];
	argv += 2;
	argc -= 2;
	if (!strcmp(*argv, "raw"))
		return raw(argc - 1, argv + 1);
	if (!strcmp(*argv, "bytes") && argc == 2)
		return bytes(argv[1]);
	if (!strcmp(*argv, "pipeline") && argc == 2)
		return pipeline(strtol(argv[1], NULL, 10), false);
	if (!strcmp(*argv, "flushes") && argc == 2)
		return pipeline(strtol(argv[1], NULL, 10), true);
	c = connect_client();
	if (!strcmp(*argv, "load") && argc == 5)
		rc = load(c, argv + 1);
	else if (!strcmp(*argv, "idle"))
		rc = idle(c);
	else if (!strcmp(*argv, "crowd") && argc == 2)
		rc = crowd(c, strtol(argv[1], NULL, 10));
	else if (!strcmp(*argv, "verify") && argc == 3)
		rc = verify(c, argv + 1);
	else
		rc = simple(c, argc, argv);
	sutra_store_client_free(c);
	return rc;
}
