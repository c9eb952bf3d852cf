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
#include "../wait.h"

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
	WAIT_UNTIL(sutra_store_client_up(c) || sutra_clock_ns() >= until);
	return c;
}

static void wait_below(int n)
{
	WAIT_UNTIL(atomic_load(&open_calls) <= n);
}

static void done(void *user, int code, const struct sutra_message *answer)
{
	if (code)
		printf("error %s\n", sutra_err_name(code));
	else
		printf("%s %llu\n", (const char *)user, (unsigned long long)answer->value);
	atomic_fetch_add(&failures, code != 0);
	atomic_fetch_sub(&open_calls, 1);
}

static void none_found(void *user, int code, const struct sutra_message *answer)
{
	atomic_fetch_add(&failures, code != 0);
	atomic_fetch_sub(&open_calls, 1);
}

static void got(void *user, int code, const struct sutra_message *answer)
{
	for (size_t i = 0; !code && i < answer->n_concepts; i++) {
		const struct sutra_concept *k = &answer->concepts[i];

		if (k->id)
			printf("%.*s=%.*s\n", (int)k->id_len, k->id, (int)k->content_len, (const char *)k->content);
		else
			puts("nil");
	}
	if (code)
		printf("error %s\n", sutra_err_name(code));
	none_found(user, code, answer);
}

static void stats_done(void *user, int code, const struct sutra_message *answer)
{
	puts(code ? "" : answer->json);
	none_found(user, code, answer);
}

/* What load writes as number i: checked by verify. */
static void fill(float *v, size_t dim, long i)
{
	for (size_t k = 0; k < dim; k++)
		v[k] = (float)(i % 1000) + (float)k / 4096;
}

static int ack_file;

static void put_acked(void *user, int code, const struct sutra_message *answer)
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
	struct sutra_message put = { .op = SUTRA_OP_LEARN_CONCEPT,
				     .concept = { .id = id, .content = content, .embedding = v,
						  .dimension = (size_t)strtol(argv[2], NULL, 10), .strength = 1 } };
	struct sutra_concept *k = &put.concept;

	ack_file = open(argv[3], O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (ack_file < 0)
		die("cannot make the file");
	for (long i = 0; i < n && first_lost < 0; i++) {
		k->id_len = (size_t)snprintf(id, sizeof(id), "%s%ld", argv[0], i);
		k->content_len = (size_t)snprintf(content, sizeof(content), "content of %ld", i);
		fill(v, k->dimension, i);
		wait_below(WINDOW);
		atomic_fetch_add(&open_calls, 1);
		sutra_store_call(c, &put, put_acked, (void *)(intptr_t)i);
	}
	wait_below(0);
	printf("acknowledged %ld\n", atomic_load(&acked));
	return first_lost >= 0;
}

static void verify_one(void *user, int code, const struct sutra_message *answer)
{
	const struct sutra_concept *k = code ? NULL : answer->concepts;
	long i = (long)(intptr_t)user;
	static float v[MAX_DIM];
	char content[64];
	bool ok = k && k->id;

	if (ok) {
		snprintf(content, sizeof(content), "content of %ld", i);
		fill(v, k->dimension, i);
		ok = k->content_len == strlen(content) &&
		     !memcmp(k->content, content, strlen(content)) &&
		     (!k->dimension ||
		      !memcmp(k->embedding, v, k->dimension * sizeof(float)));
	}
	if (!ok && atomic_fetch_add(&failures, 1) < 5)
		printf("number %ld is %s\n", i, code ? sutra_err_name(code) : k->id ? "wrong" : "lost");
	atomic_fetch_sub(&open_calls, 1);
}

static int verify(struct sutra_store_client *c, char **argv)
{
	long n = strtol(argv[1], NULL, 10);

	for (long i = 0; i < n; i++) {
		char id[64];
		int len = snprintf(id, sizeof(id), "%s%ld", argv[0], i);
		const struct sutra_id ids[1] = { { id, (size_t)len } };
		const struct sutra_message get = { .op = SUTRA_OP_GET_CONCEPTS, .ids = ids, .n_ids = 1,
						   .with_embedding = true };

		wait_below(WINDOW);
		atomic_fetch_add(&open_calls, 1);
		sutra_store_call(c, &get, verify_one, (void *)(intptr_t)i);
	}
	wait_below(0);
	printf("verified %ld, %d wrong\n", n, atomic_load(&failures));
	return atomic_load(&failures) != 0;
}

static int simple(struct sutra_store_client *c, int argc, char **argv)
{
	static const struct {
		const char *word, *says;
		enum sutra_op op;
		sutra_store_done *done;
	} rows[] = { { "put", "ok", SUTRA_OP_LEARN_CONCEPT, done },
		     { "get", NULL, SUTRA_OP_GET_CONCEPTS, got },
		     { "delete", "found", SUTRA_OP_DELETE_CONCEPT, done },
		     { "clear", "cleared", SUTRA_OP_CLEAR, done },
		     { "flush", "flushed", SUTRA_OP_FLUSH, done },
		     { "stats", NULL, SUTRA_OP_GET_STATS, stats_done } };
	struct sutra_id ids[SUTRA_LIMIT_BATCH] = { 0 };
	struct sutra_message m = { .concept = { .strength = 1, .confidence = 1, .content_is_text = true },
				   .with_embedding = true, .ids = ids, .n_ids = (size_t)argc - 1 };
	size_t at = 0;

	while (at < sizeof(rows) / sizeof(*rows) && strcmp(rows[at].word, argv[0]) != 0)
		at++;
	if (at == sizeof(rows) / sizeof(*rows) || m.n_ids > SUTRA_LIMIT_BATCH)
		die("unknown command");
	m.op = rows[at].op;
	for (int i = 1; i < argc; i++)
		ids[i - 1] = (struct sutra_id){ argv[i], strlen(argv[i]) };
	m.concept.id = ids[0].id;
	m.concept.id_len = ids[0].id_len;
	m.concept.content = ids[1].id;
	m.concept.content_len = ids[1].id_len;
	m.concept.ttl_seconds = argc > 3 ? strtoull(argv[3], NULL, 10) : 0;
	if (m.op != SUTRA_OP_GET_CONCEPTS)
		m.n_ids = 0;
	atomic_fetch_add(&open_calls, 1);
	sutra_store_call(c, &m, rows[at].done, (void *)(uintptr_t)rows[at].says);
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
	WAIT_UNTIL((sutra_store_client_counts(c, &n), n.disconnects) && sutra_store_client_up(c));
	return simple(c, 2, get);
}

/* More connections than there is room for; the client's own stays usable between them. */
static int crowd(struct sutra_store_client *c, long n)
{
	static const char ping[] = "GET /ping HTTP/1.1\r\n\r\n";
	static const struct sutra_message drop = { .op = SUTRA_OP_DELETE_CONCEPT,
						   .concept = { .id = "nothing", .id_len = 7 } };
	long answered = 0;
	char in[4096];

	for (long i = 0; i < n; i++) {
		int fd = connect_raw();

		send_all(fd, ping, sizeof(ping) - 1);
		answered += recv(fd, in, sizeof(in), 0) > 0;
		atomic_fetch_add(&open_calls, 1);
		sutra_store_call(c, &drop, none_found, NULL);
		wait_below(0);
	}
	printf("%ld answered, %d failed\n", answered, atomic_load(&failures));
	return answered != n || atomic_load(&failures);
}

/* Puts and gets, or flushes, alternate; the i-th get must answer the i-th put, the sequences must rise. */
static int pipeline(long n, bool flushes)
{
	static struct sutra_decoder answer;
	const struct sutra_message *m = &answer.m;
	struct sutra_buf out, in;
	uint64_t last = 0;
	char id[32];
	int fd = connect_raw(), wrong = 0;

	sutra_buf_init(&out, 1 << 26);
	sutra_buf_init(&in, 1 << 26);
	sutra_decoder_init(&answer);
	for (long i = 0; i < n; i++) {
		size_t id_len = (size_t)snprintf(id, sizeof(id), "p%ld", i);
		const struct sutra_id ids[1] = { { id, id_len } };
		const struct sutra_message put = { .op = SUTRA_OP_LEARN_CONCEPT,
						   .concept = { .id = id, .id_len = id_len, .content = id,
								.content_len = id_len, .strength = 1 } };
		const struct sutra_message next = { .op = flushes ? SUTRA_OP_FLUSH : SUTRA_OP_GET_CONCEPTS,
						    .ids = ids, .n_ids = 1, .with_embedding = true };

		sutra_request_encode(&out, &put);
		sutra_request_encode(&out, &next);
	}
	send_all(fd, out.data, out.len);
	for (long i = 0; i < 2 * n; i++) {
		size_t len = read_frame(fd, &in);

		wrong += sutra_answer_decode(&answer, in.data + SUTRA_FRAME_HEAD, len, NULL) || answer.error.code;
		snprintf(id, sizeof(id), "p%ld", i / 2);
		if (i % 2 && flushes) {
			wrong += m->op != SUTRA_OP_FLUSH;
		} else if (i % 2) {
			wrong += m->n_concepts != 1 || m->concepts[0].id_len != strlen(id) ||
				 memcmp(m->concepts[0].id, id, strlen(id)) != 0;
		} else {
			wrong += m->value <= last;
			last = m->value;
		}
		sutra_buf_consume(&in, SUTRA_FRAME_HEAD + len);
	}
	sutra_decoder_release(&answer);
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
