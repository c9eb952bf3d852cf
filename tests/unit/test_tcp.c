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
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "net/port.h"
#include "net/tcp.h"
#include "../wait.h"

/* Of the server. Both ends are in this process, which may have no more than 1,024 descriptors. */
enum { MAX = 200, PER_PEER = 150, HELD = 4 << 20 };

/* The server: each byte is a command. 'a' answers "A", 'h' takes a place, 's' fills all places with "H",
 * 'r' with "R", 'l' the youngest with "L", 'n' all with "H" when memory is out, 'b' answers 256 KiB, 'w' takes 20 ms of time and answers "W", 'o' begins a message
 * that is not kept, 'e' ends, '?' is not consumed. */
static struct sutra_tcp *tcp;
static pthread_t loop;
static int listener, port;
static struct waiting {
	struct sutra_tcp_place place;
	struct waiting *older;
} *youngest;
static int n_places;
static struct sutra_tcp_counts counts;
static sem_t counted;

/* Fills the places, the youngest first, or only that one. */
static void fill(const char *word, bool all)
{
	while (youngest) {
		struct waiting *w = youngest;
		struct sutra_buf b;

		youngest = w->older;
		sutra_buf_init(&b, 64);
		sutra_buf_adds(&b, word);
		sutra_tcp_answer(&w->place, &b);
		if (!all)
			return;
	}
}

static void take_place(struct sutra_tcp_conn *c)
{
	struct waiting *w = sutra_calloc(1, sizeof(*w));

	w->older = youngest;
	youngest = w;
	n_places++;
	sutra_tcp_await(c, &w->place, sizeof(*w));
	assert_true(sutra_tcp_awaits(c));
}

static void on_answered(struct sutra_tcp_place *p, void *ctx)
{
	n_places--;
	sutra_free((struct waiting *)(void *)p);
}

static size_t on_data(struct sutra_tcp_conn *c, const char *p, size_t n, void *ctx)
{
	static const char big[256 << 10];
	uint64_t taken;
	size_t i = 0;

	while (i < n && p[i] != '?') {
		sutra_tcp_owes(c, p[i] == 'o');
		switch (p[i++]) {
		case 'a':
			sutra_buf_addc(sutra_tcp_out(c), 'A');
			break;
		case 'h':
			take_place(c);
			break;
		case 'n':
			sutra_alloc_fail_at(1);
			fill("H", true);
			sutra_alloc_fail_at(0);
			break;
		case 's':
			fill("H", true);
			break;
		case 'r':
			fill("R", true);
			break;
		case 'l':
			fill("L", false);
			break;
		case 'b':
			sutra_buf_add(sutra_tcp_out(c), big, sizeof(big));
			break;
		case 'w':
			taken = sutra_clock_ns() + 20000000;
			WAIT_UNTIL(sutra_clock_ns() >= taken);
			sutra_buf_addc(sutra_tcp_out(c), 'W');
			break;
		case 'o':
			break;
		default:
			sutra_tcp_end(c);
		}
		if (sutra_tcp_yield(c))
			break;
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
	o.answered = on_answered;
	sem_init(&counted, 0, 0);
	if (sutra_tcp_new(&o, &tcp, NULL))
		return -1;
	return pthread_create(&loop, NULL, run_loop, NULL);
}

static int start(void **state)
{
	return start_with(&(struct sutra_tcp_options){ .max_connections = MAX, .max_per_peer = PER_PEER,
						       .soft_output = 1 << 20, .max_held = HELD,
						       .stall_ns = 200000000u });
}

static int stop(void **state)
{
	sutra_tcp_stop(tcp, 1000000000u);
	pthread_join(loop, NULL);
	fill("H", true);	/* their connections are gone */
	assert_int_equal(n_places, 0);
	sutra_tcp_free(tcp);
	close(listener);
	return 0;
}

static void connect_to(int fd)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
}

/* From 127.0.0.n: each is a peer of its own. */
static int dial_from(unsigned n)
{
	struct sockaddr_in from = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000000u + n) };
	struct timeval limit = { .tv_sec = 30 };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof(from)), 0);

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	connect_to(fd);
	return fd;
}

static int dial(void) { return dial_from(1); }

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

static void answers_wait_for_their_turn(void **state)
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
	say(one, "hah");
	say(two, "al");		/* the second is there first, and waits for the first */
	hear(two, "A");
	assert_true(nothing_comes(one));
	say(two, "s");
	hear(one, "HAL");
	close(one);
	close(two);
}

/* An answer that cannot be noted: the connection ends, for none may be left out of the row. */
static void without_memory_no_answer_is_left_out(void **state)
{
	int one = dial(), two = dial();

	say(one, "haa");
	say(two, "a");
	hear(two, "A");
	assert_true(nothing_comes(one));
	say(two, "an");
	hear(two, "A");
	wait_end(one, SUTRA_TCP_OVERLOAD);
	close(one);
	close(two);
}

/* It goes before its answers are there: what works on them may still fill its places. */
static void places_outlive_their_connection(void **state)
{
	const struct linger reset = { .l_onoff = 1 };
	int one = dial(), two = dial();

	say(one, "ahh");
	hear(one, "A");
	setsockopt(one, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(one);
	WAIT_UNTIL((count_now(), counts.ends[SUTRA_TCP_BROKEN]));
	say(two, "sa");
	hear(two, "A");
	close(two);
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
	WAIT_UNTIL((count_now(), counts.held_bytes >= 8u << 20 || counts.ends[SUTRA_TCP_STALLED_READER]));
	assert_true(counts.held_bytes < 8u << 20);
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

/* Sends a byte more; whether the server has had enough of slow senders. */
static bool drips(int fd, const char *byte)
{
	send(fd, byte, 1, MSG_NOSIGNAL);
	count_now();
	return counts.ends[SUTRA_TCP_SLOW_SENDER];
}

static void a_message_that_is_not_kept_has_its_time_too(void **state)
{
	int fd = dial();

	say(fd, "a");
	hear(fd, "A");
	WAIT_UNTIL(drips(fd, "o"));
	close(fd);
}

/* A byte at a time, each within the limit: the message is not done when its time is over. */
static void a_dripping_sender_is_cut(void **state)
{
	int fd = dial();

	say(fd, "?");
	WAIT_UNTIL(drips(fd, "?"));
	close(fd);
}

static void an_idle_connection_is_closed(void **state)
{
	int idle, fd;
	char c;

	stop(state);
	assert_int_equal(start_with(&(struct sutra_tcp_options){ .idle_ns = 1000000 }), 0);
	fd = dial();
	idle = dial();
	say(fd, "h");	/* waits for the server: that is not idle */
	assert_int_equal(recv(idle, &c, 1, 0), 0);
	count_now();
	assert_int_equal(counts.ends[SUTRA_TCP_IDLE], 1);
	assert_int_equal(counts.open, 1);
	close(idle);
	idle = dial();
	say(idle, "s");
	hear(fd, "H");
	wait_end(idle, SUTRA_TCP_IDLE);
	close(idle);
	close(fd);
}

/* Idle ones and drips from one address, three times as many as there is room for. Each newcomer is
 * answered; who speaks now and then, from there or elsewhere, is not ended. */
static void the_longest_waiting_make_room(void **state)
{
	int fds[3 * MAX], mine = dial(), other = dial_from(2);

	for (int i = 0; i < 3 * MAX; i++) {
		fds[i] = dial();
		say(fds[i], "a");
		hear(fds[i], "A");
		if (i % 10 == 0)
			say(fds[i], "?");
		if (i % 20 == 0) {
			say(mine, "a");
			hear(mine, "A");
		}
	}
	say(mine, "a");
	hear(mine, "A");
	say(other, "a");
	hear(other, "A");
	count_now();
	assert_int_equal(counts.open, PER_PEER + 1);
	assert_int_equal(counts.ends[SUTRA_TCP_TOO_MANY], 0);
	assert_true(counts.ends[SUTRA_TCP_EVICTED] + counts.ends[SUTRA_TCP_SLOW_SENDER] == 3 * MAX + 1 - PER_PEER);
	for (int i = 0; i < 3 * MAX; i++)
		close(fds[i]);
	close(mine);
	close(other);
}

static void all_peers_together_have_a_limit(void **state)
{
	int fds[MAX + 1];

	for (int i = 0; i <= MAX; i++) {
		fds[i] = dial_from(1 + (unsigned)i % 100);
		say(fds[i], "a");
		hear(fds[i], "A");
	}
	count_now();
	assert_int_equal(counts.open, MAX);
	assert_int_equal(counts.ends[SUTRA_TCP_EVICTED], 1);
	assert_true(counts.held_bytes == 0);	/* idle ones hold no buffer */
	for (int i = 0; i <= MAX; i++)
		close(fds[i]);
}

static void who_waits_for_the_server_is_not_ended(void **state)
{
	int fds[PER_PEER], one = dial_from(2), last;
	char c;

	for (int i = 0; i < PER_PEER; i++) {
		fds[i] = dial();
		say(fds[i], "ah");
		hear(fds[i], "A");
	}
	last = dial();
	assert_true(recv(last, &c, 1, 0) <= 0);
	close(last);
	count_now();
	assert_int_equal(counts.open, PER_PEER + 1);
	assert_int_equal(counts.ends[SUTRA_TCP_TOO_MANY], 1);
	say(one, "s");
	for (int i = 0; i < PER_PEER; i++) {
		hear(fds[i], "H");
		close(fds[i]);
	}
	close(one);
}

/* Someone who asks for more than a turn's time is answered in parts, others in between. */
static void a_flood_is_served_in_slices(void **state)
{
	static char flood[200], answers[200];
	int fd = dial(), other = dial();
	int waiting;

	memset(flood, 'w', sizeof(flood));
	assert_int_equal(send(fd, flood, sizeof(flood), 0), (ssize_t)sizeof(flood));
	hear(fd, "W");
	say(other, "a");
	hear(other, "A");
	assert_int_equal(ioctl(fd, FIONREAD, &waiting), 0);
	assert_true(waiting < 100);
	assert_int_equal(recv(fd, answers, 199, MSG_WAITALL), 199);
	assert_null(memchr(answers, 'A', 199));
	close(fd);
	close(other);
}

/* What is left of a flood when its sender has gone is not worked on. */
static void a_flood_ends_with_its_sender(void **state)
{
	static char flood[20000];
	int fd = dial(), other = dial();

	memset(flood, 'w', sizeof(flood));
	assert_int_equal(send(fd, flood, sizeof(flood), 0), (ssize_t)sizeof(flood));
	hear(fd, "W");
	close(fd);
	do {
		say(other, "a");
		hear(other, "A");
		count_now();
	} while (counts.open != 1);
	close(other);
}

/* Unfinished messages fill the memory there is: the one that is slowest for its size goes, not the
 * one that asks for little. */
static void the_slowest_makes_room_for_bytes(void **state)
{
	static char part[1 << 20];
	int fds[6], other = dial();

	stop(state);
	assert_int_equal(start_with(&(struct sutra_tcp_options){ .max_held = HELD }), 0);
	close(other);
	other = dial();
	memset(part, '?', sizeof(part));
	for (int i = 0; i < 6; i++) {
		fds[i] = dial();
		send(fds[i], part, sizeof(part), MSG_NOSIGNAL);
		say(other, "a");
		hear(other, "A");
	}
	WAIT_UNTIL((count_now(), counts.ends[SUTRA_TCP_OVERLOAD]));
	assert_true(counts.held_bytes <= HELD);
	say(other, "b");
	for (int i = 0; i < 6; i++)
		close(fds[i]);
	assert_int_equal(recv(other, part, 256 << 10, MSG_WAITALL), 256 << 10);
	close(other);
}

/* No descriptor is left for a newcomer: one that is idle gives up its own. */
static void without_descriptors_the_idle_make_room(void **state)
{
	struct rlimit old, low;
	int fds[20], last, n = 0, spare[64];

	for (int i = 0; i < 20; i++) {
		fds[i] = dial();
		say(fds[i], "a");
		hear(fds[i], "A");
	}
	last = socket(AF_INET, SOCK_STREAM, 0);
	getrlimit(RLIMIT_NOFILE, &old);
	low = (struct rlimit){ (rlim_t)last + 1, old.rlim_max };
	setrlimit(RLIMIT_NOFILE, &low);
	while (n < 64 && (spare[n] = dup(0)) >= 0)	/* holes below the limit */
		n++;
	connect_to(last);
	say(last, "a");
	hear(last, "A");
	setrlimit(RLIMIT_NOFILE, &old);
	count_now();
	assert_true(counts.ends[SUTRA_TCP_NO_DESCRIPTORS] >= 1);
	assert_int_equal(counts.ends[SUTRA_TCP_EVICTED], 1);
	while (n)
		close(spare[--n]);
	for (int i = 0; i < 20; i++)
		close(fds[i]);
	close(last);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, start, stop)
		T(answers_wait_for_their_turn), T(a_half_closed_peer_gets_its_answers),
		T(without_memory_no_answer_is_left_out), T(places_outlive_their_connection), T(a_stalled_reader_is_cut),
		T(a_slow_reader_gets_everything), T(an_unfinished_message_is_cut), T(a_dripping_sender_is_cut),
		T(a_message_that_is_not_kept_has_its_time_too), T(an_idle_connection_is_closed), T(the_longest_waiting_make_room),
		T(all_peers_together_have_a_limit), T(who_waits_for_the_server_is_not_ended),
		T(a_flood_is_served_in_slices), T(a_flood_ends_with_its_sender),
		T(the_slowest_makes_room_for_bytes), T(without_descriptors_the_idle_make_room),
		T(the_server_ends_after_its_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
