/* lib/net/tcp and the storage client: waiting answers, slow peers, many, lost servers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <netinet/in.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "net/port.h"
#include "net/tcp.h"
#include "wire/frame.h"
#include "wire/store_client.h"

/* Both ends are this process's, whose limit may be 1,024 descriptors. */
enum { MAX_CONNECTIONS = 400 };

/* The server: each byte is a command. 'a' answers "A", 'h' answers "H" that waits, 's' settles
 * what waits, 'r' refuses it with "R", 'n' asks for room to wait when memory is out and answers
 * "Y" or "N", 'b' answers 256 KiB, 'e' ends, '?' is not consumed. */
static struct sutra_tcp *tcp;
static pthread_t loop;
static int listener, port;
static uint64_t ticket;
static struct sutra_tcp_counts counts;
static sem_t counted;

static size_t on_data(struct sutra_tcp_conn *c, const char *p, size_t n, void *ctx)
{
	static const char big[256 << 10];
	struct sutra_buf *out = sutra_tcp_out(c);
	size_t i = 0;

	for (; i < n && p[i] != '?' && !sutra_tcp_full(c); i++) {
		switch (p[i]) {
		case 'a':
			sutra_buf_addc(out, 'A');
			break;
		case 'h':
			sutra_buf_addc(out, 'H');
			assert_int_equal(sutra_tcp_hold_room(c), 0);
			sutra_tcp_hold(c, ++ticket, 1);
			break;
		case 'n':
			sutra_alloc_fail_at(1);
			sutra_buf_addc(out, sutra_tcp_hold_room(c) ? 'N' : 'Y');
			sutra_alloc_fail_at(0);
			break;
		case 's':
			sutra_tcp_settle(tcp, ticket);
			break;
		case 'r':
			sutra_tcp_refuse(tcp, "R", 1);
			break;
		case 'b':
			sutra_buf_add(out, big, sizeof(big));
			break;
		default:
			sutra_tcp_end(c);
		}
	}
	return i;
}

static void on_woken(void *ctx)
{
	sutra_tcp_counts(tcp, &counts);
	sem_post(&counted);
}

static void *run_loop(void *unused)
{
	sutra_tcp_run(tcp);
	return NULL;
}

static int start_with(const struct sutra_tcp_options *base)
{
	struct sutra_tcp_options o = *base;
	struct sockaddr_in sa;
	socklen_t len = sizeof(sa);

	if (sutra_listen_tcp("127.0.0.1:0", 1024, &listener, NULL))
		return -1;
	getsockname(listener, (struct sockaddr *)&sa, &len);
	port = ntohs(sa.sin_port);
	o.fds = &listener;
	o.n_fds = 1;
	o.data = on_data;
	o.woken = on_woken;
	sem_init(&counted, 0, 0);
	if (sutra_tcp_new(&o, &tcp, NULL))
		return -1;
	return pthread_create(&loop, NULL, run_loop, NULL);
}

static int start(void **state)
{
	return start_with(&(struct sutra_tcp_options){ .max_connections = MAX_CONNECTIONS, .soft_output = 1 << 20,
						       .stall_ns = 200000000u });
}

static int stop(void **state)
{
	sutra_tcp_stop(tcp, 1000000000u);
	pthread_join(loop, NULL);
	sutra_tcp_free(tcp);
	close(listener);
	return 0;
}

static int dial(void)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct timeval limit = { .tv_sec = 30 };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

static void say(int fd, const char *words)
{
	assert_int_equal(send(fd, words, strlen(words), MSG_NOSIGNAL), (ssize_t)strlen(words));
}

static void hear(int fd, const char *words)
{
	char got[64] = "";

	assert_int_equal(recv(fd, got, strlen(words), MSG_WAITALL), (ssize_t)strlen(words));
	assert_string_equal(got, words);
}

static bool nothing_comes(int fd)
{
	char c;

	return recv(fd, &c, 1, MSG_DONTWAIT | MSG_PEEK) < 0;
}

static void count_now(void)
{
	sutra_tcp_wake(tcp);
	sem_wait(&counted);
}

/* Until the peer has ended the connection for that reason. */
static void wait_end(int fd, enum sutra_tcp_end why)
{
	static char drain[1 << 16];

	while (recv(fd, drain, sizeof(drain), 0) > 0)
		;
	count_now();
	assert_true(counts.ends[why] >= 1);
}

static void answers_wait_for_their_ticket(void **state)
{
	int one = dial(), two = dial();

	say(one, "aha");
	hear(one, "A");
	say(two, "a");		/* another connection does not wait */
	hear(two, "A");
	assert_true(nothing_comes(one));
	say(two, "s");
	hear(one, "HA");
	say(one, "hah");
	say(two, "a");
	hear(two, "A");
	say(two, "r");
	hear(one, "RAR");
	say(one, "a");
	hear(one, "A");
	close(one);
	close(two);
}

static void without_memory_no_answer_waits_or_leaves(void **state)
{
	int one = dial();

	say(one, "nna");
	hear(one, "NNA");
	say(one, "hs");
	hear(one, "H");
	say(one, "n");	/* the room of the last one is still there */
	hear(one, "Y");
	close(one);
}

static void a_half_closed_peer_gets_its_answers(void **state)
{
	int one = dial(), two = dial();
	char c;

	say(one, "ah");
	hear(one, "A");
	shutdown(one, SHUT_WR);
	say(two, "as");
	hear(two, "A");
	hear(one, "H");
	assert_int_equal(recv(one, &c, 1, 0), 0);
	close(one);
	close(two);
}

/* It asks for 512 MiB and reads nothing: bounded memory, cut with its reason. */
static void a_stalled_reader_is_cut(void **state)
{
	static char wants[2048];
	int fd = dial(), other = dial();

	memset(wants, 'b', sizeof(wants));
	assert_int_equal(send(fd, wants, sizeof(wants), 0), (ssize_t)sizeof(wants));
	do {
		count_now();
		assert_true(counts.held_bytes < 8u << 20);
	} while (!counts.ends[SUTRA_TCP_STALLED_READER]);
	say(other, "a");
	hear(other, "A");
	close(fd);
	close(other);
}

/* It asks for the same and reads: all of it comes. */
static void a_slow_reader_gets_everything(void **state)
{
	static char part[1 << 16];
	size_t n = 0, whole = 100 * (256 << 10);
	int fd = dial();
	ssize_t got;

	for (int i = 0; i < 100; i++)
		say(fd, "b");
	while (n < whole && (got = recv(fd, part, sizeof(part), 0)) > 0)
		n += (size_t)got;
	assert_int_equal(n, whole);
	close(fd);
}

static void an_unfinished_message_is_cut(void **state)
{
	int fd = dial();

	say(fd, "a?");
	hear(fd, "A");
	wait_end(fd, SUTRA_TCP_SLOW_SENDER);
	close(fd);
}

static void too_many_connections_are_refused(void **state)
{
	int fds[MAX_CONNECTIONS], last;
	char c;

	for (int i = 0; i < MAX_CONNECTIONS; i++)
		fds[i] = dial();
	say(fds[MAX_CONNECTIONS - 1], "a");
	hear(fds[MAX_CONNECTIONS - 1], "A");
	last = dial();
	assert_true(recv(last, &c, 1, 0) <= 0);
	close(last);
	count_now();
	assert_int_equal(counts.open, MAX_CONNECTIONS);
	assert_int_equal(counts.ends[SUTRA_TCP_TOO_MANY], 1);
	assert_true(counts.held_bytes == 0);	/* idle ones hold no buffer */
	for (int i = 0; i < MAX_CONNECTIONS; i++) {
		say(fds[i], "a");
		hear(fds[i], "A");
		close(fds[i]);
	}
}

static void the_server_ends_after_its_answer(void **state)
{
	int fd = dial();
	char c;

	say(fd, "abe");
	for (size_t n = 0; n < 1 + (256 << 10); n++)
		assert_int_equal(recv(fd, &c, 1, 0), 1);
	assert_int_equal(recv(fd, &c, 1, 0), 0);
	close(fd);
}

/* ---- the storage client against a server that says nothing, and one that goes ---- */

static atomic_int last_code, calls_done;

static void note_get(void *user, int code, const struct sutra_concept *const *found, size_t n)
{
	last_code = code;
	calls_done++;
}

static void note_call(void *user, int code, uint64_t value)
{
	last_code = code;
	calls_done++;
}

static void wait_calls(int n)
{
	while (atomic_load(&calls_done) < n)
		usleep(200);
}

static void the_client_times_out_bounds_and_fails(void **state)
{
	struct sutra_store_client_options o = { .host = "127.0.0.1", .timeout_ns = 50000000u,
						.max_queued = 4 };
	static const char *const ids[] = { "x" };
	struct sutra_store_client_counts n;
	struct sutra_store_client *c;
	struct sockaddr_in sa;
	socklen_t len = sizeof(sa);
	int silent;

	/* a server that accepts and never answers */
	assert_int_equal(sutra_listen_tcp("127.0.0.1:0", 8, &silent, NULL), 0);
	getsockname(silent, (struct sockaddr *)&sa, &len);
	calls_done = 0;
	o.port = ntohs(sa.sin_port);
	assert_int_equal(sutra_store_client_new(&o, &c, NULL), 0);
	while (!sutra_store_client_up(c))
		usleep(200);
	sutra_store_get(c, ids, 1, note_get, NULL);
	wait_calls(1);
	assert_int_equal(last_code, SUTRA_E_TIMEOUT);
	for (int i = 0; i < 20; i++)
		sutra_store_get(c, ids, 1, note_get, NULL);
	wait_calls(21);
	sutra_store_client_counts(c, &n);
	assert_true(n.busy >= 16 && n.timeouts >= 1 && n.failed == 21 && n.answered == 0);
	while (sutra_store_client_counts(c, &n), !n.disconnects)	/* it gives the server up */
		usleep(1000);
	close(silent);	/* and with it what waits in its backlog */
	while (sutra_store_client_up(c))
		usleep(200);
	sutra_store_delete(c, "x", note_call, NULL);
	wait_calls(22);
	assert_int_equal(last_code, SUTRA_E_UNAVAILABLE);
	sutra_store_client_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, start, stop)
		T(answers_wait_for_their_ticket), T(a_half_closed_peer_gets_its_answers),
		T(without_memory_no_answer_waits_or_leaves), T(a_stalled_reader_is_cut), T(a_slow_reader_gets_everything),
		T(an_unfinished_message_is_cut), T(too_many_connections_are_refused),
		T(the_server_ends_after_its_answer), T(the_client_times_out_bounds_and_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
