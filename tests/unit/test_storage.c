/* cmd/sutra-storage: an operation that takes long delays no other client's reads, and answers keep their order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <netinet/in.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"
#include "net/port.h"
#include "store_folder.h"
#include "sutra-storage/storage.h"
#include "wire/frame.h"

/* The disk under the engine: in the C library's place, so that it can stand still. */
static atomic_bool is_closed;	/* the next write or sync waits for `opened` */
static sem_t entered, opened;

static void pass_gate(void)
{
	if (!atomic_exchange(&is_closed, false))
		return;
	sem_post(&entered);
	sem_wait(&opened);
}

ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{
	pass_gate();
	return syscall(SYS_pwrite64, fd, p, n, at);
}

static bool syncs_wait;

int fdatasync(int fd)
{
	if (syncs_wait)
		pass_gate();
	return (int)syscall(SYS_fdatasync, fd);
}

static struct storage storage;
static pthread_t loop;
static int listener, port;
static struct sutra_decoder *decoder;
static struct sutra_buf in;
static atomic_int failures;

static void note_failure(const char *what, const struct sutra_err *why) { atomic_fetch_add(&failures, 1); }

static void *run_loop(void *unused)
{
	sutra_tcp_run(storage.tcp);
	return NULL;
}

static int start(void **state)
{
	const struct sutra_engine_options engine = { .dir = dir, .max_concepts = 10000 };
	struct sutra_writer_options writer = { .interval_ns = UINT64_MAX / 2, .failed = note_failure,
					       .done = storage_done, .ctx = &storage };
	struct sutra_tcp_options tcp = { .fds = &listener, .n_fds = 1, .state_size = storage_state_size,
					 .data = storage_data, .batch = storage_batch, .woken = storage_woken,
					 .answered = storage_answered, .ctx = &storage };
	struct sockaddr_in sa;
	socklen_t len = sizeof(sa);

	if (setup(state) || sutra_listen_tcp("127.0.0.1:0", 64, &listener, NULL))
		return -1;
	getsockname(listener, (struct sockaddr *)&sa, &len);
	port = ntohs(sa.sin_port);
	storage = (struct storage){ .settings.role = (char *)"cache_shard" };
	sem_init(&entered, 0, 0);
	sem_init(&opened, 0, 0);
	if (storage_desks_open(&storage, NULL) || sutra_engine_open(&engine, &storage.engine, &report, NULL))
		return -1;
	writer.engine = storage.engine;
	writer.always = syncs_wait;
	if (sutra_tcp_new(&tcp, &storage.tcp, NULL) || sutra_writer_start(&writer, &storage.writer, NULL))
		return -1;
	decoder = sutra_calloc(1, sizeof(*decoder));
	sutra_decoder_init(decoder);
	sutra_buf_init(&in, 100 << 20);
	return pthread_create(&loop, NULL, run_loop, NULL);
}

static int stop(void **state)
{
	sutra_tcp_stop(storage.tcp, 1000000000u);
	pthread_join(loop, NULL);
	sutra_writer_stop(storage.writer);
	storage_woken(&storage);
	sutra_tcp_free(storage.tcp);
	sutra_engine_close(storage.engine);
	storage_desks_close(&storage);
	sutra_decoder_release(decoder);
	sutra_free(decoder);
	sutra_buf_release(&in);
	close(listener);
	return teardown(state);
}

static int start_always(void **state)
{
	syncs_wait = true;
	return start(state);
}

static int stop_always(void **state)
{
	syncs_wait = false;
	return stop(state);
}

static int dial(void)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct timeval limit = { .tv_sec = 60 };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

static void ask(int fd, const struct sutra_message *m)
{
	struct sutra_buf out;

	sutra_buf_init(&out, 20 << 20);
	assert_int_equal(sutra_request_encode(&out, m), 0);
	for (size_t at = 0; at < out.len;) {
		ssize_t n = send(fd, out.data + at, out.len - at, MSG_NOSIGNAL);

		assert_true(n > 0);
		at += (size_t)n;
	}
	sutra_buf_release(&out);
}

/* The next answer; one that is an error fails. */
static const struct sutra_message *hear(int fd)
{
	size_t len;

	sutra_buf_clear(&in);
	while (sutra_frame_peek(in.data, in.len, &len) != 1) {
		size_t want = in.len < SUTRA_FRAME_HEAD ? SUTRA_FRAME_HEAD - in.len :
			      SUTRA_FRAME_HEAD + ntohl(*(const uint32_t *)(const void *)in.data) - in.len;
		ssize_t n = recv(fd, sutra_buf_reserve(&in, want), want, 0);

		assert_true(n > 0);
		sutra_buf_added(&in, (size_t)n);
	}
	assert_int_equal(sutra_answer_decode(decoder, in.data + SUTRA_FRAME_HEAD, len, NULL), 0);
	assert_int_equal(decoder->error.code, 0);
	return &decoder->m;
}

static bool nothing_comes(int fd)
{
	char c;

	return recv(fd, &c, 1, MSG_DONTWAIT | MSG_PEEK) < 0;
}

static void ask_put(int fd, const char *id, const char *content, size_t n)
{
	ask(fd, &(struct sutra_message){ .op = SUTRA_OP_LEARN_CONCEPT,
					 .concept = { .id = id, .id_len = strlen(id), .content = content,
						      .content_len = n } });
}

static void ask_get(int fd, const char *id)
{
	const struct sutra_id ids[1] = { { id, strlen(id) } };

	ask(fd, &(struct sutra_message){ .op = SUTRA_OP_GET_CONCEPTS, .ids = ids, .n_ids = 1,
					 .with_embedding = true });
}

static void hear_content(int fd, const char *content)
{
	const struct sutra_message *m = hear(fd);

	assert_int_equal(m->op, SUTRA_OP_GET_CONCEPTS);
	if (!content) {
		assert_null(m->concepts[0].id);
		return;
	}
	assert_int_equal(m->concepts[0].content_len, strlen(content));
	assert_memory_equal(m->concepts[0].content, content, strlen(content));
}

static void put_now(int fd, const char *id, const char *content)
{
	ask_put(fd, id, content, strlen(content));
	assert_int_equal(hear(fd)->op, SUTRA_OP_LEARN_CONCEPT);
}

static void close_gate(void) { atomic_store(&is_closed, true); }
static void wait_at_gate(void) { sem_wait(&entered); }
static void open_gate(void) { sem_post(&opened); }

/* Everything that reads goes on, on a connection that has nothing open. */
static void others_are_answered(int fd)
{
	static const enum sutra_op reads[] = { SUTRA_OP_GET_STATS, SUTRA_OP_HEALTH_CHECK };

	for (int i = 0; i < 100; i++) {
		ask_get(fd, "kept");
		hear_content(fd, "here");
	}
	for (size_t i = 0; i < sizeof(reads) / sizeof(*reads); i++) {
		ask(fd, &(struct sutra_message){ .op = reads[i] });
		assert_int_equal(hear(fd)->op, reads[i]);
	}
}

static void a_write_that_the_disk_holds_up_delays_no_read(void **state)
{
	int slow = dial(), other = dial(), mixed = dial();

	put_now(other, "kept", "here");
	close_gate();
	ask_put(slow, "slow", "x", 1);
	wait_at_gate();
	others_are_answered(other);
	ask_put(mixed, "kept", "newer", 5);	/* a read behind it waits for it, not for the answer's place */
	ask_get(mixed, "kept");
	others_are_answered(other);
	assert_true(nothing_comes(slow) && nothing_comes(mixed));
	open_gate();
	assert_int_equal(hear(slow)->op, SUTRA_OP_LEARN_CONCEPT);
	assert_int_equal(hear(mixed)->op, SUTRA_OP_LEARN_CONCEPT);
	hear_content(mixed, "newer");
	close(slow);
	close(other);
	close(mixed);
}

/* A clear, and an answer of megabytes: both are the writer's, in their order. */
static void a_clear_and_a_long_read_delay_no_read(void **state)
{
	static char big[2 << 20];
	int slow = dial(), other = dial(), clearing = dial();

	memset(big, 'b', sizeof(big) - 1);
	put_now(other, "kept", "here");
	put_now(other, "big", big);
	ask_get(other, "big");	/* above what is answered at once */
	hear_content(other, big);
	close_gate();
	ask_put(slow, "slow", "x", 1);
	wait_at_gate();
	ask_get(slow, "big");
	others_are_answered(other);
	assert_true(nothing_comes(slow));
	open_gate();
	assert_int_equal(hear(slow)->op, SUTRA_OP_LEARN_CONCEPT);
	hear_content(slow, big);
	close_gate();
	ask(clearing, &(struct sutra_message){ .op = SUTRA_OP_CLEAR });
	wait_at_gate();	/* all is gone, and not yet acknowledged */
	ask_get(other, "kept");
	hear_content(other, NULL);
	assert_true(nothing_comes(clearing));
	open_gate();
	assert_int_equal(hear(clearing)->value, 3);
	close(slow);
	close(other);
	close(clearing);
}

/* With WAL_SYNC=always, and for a Flush: acknowledged is what is on disk. */
static void a_sync_delays_no_read(void **state)
{
	int slow = dial(), other = dial();

	put_now(other, "kept", "here");
	close_gate();
	ask_put(slow, "slow", "x", 1);
	wait_at_gate();	/* in pwrite */
	close_gate();
	open_gate();
	wait_at_gate();	/* in fdatasync */
	others_are_answered(other);
	ask_put(other, "next", "y", 1);
	ask(slow, &(struct sutra_message){ .op = SUTRA_OP_FLUSH });
	assert_true(nothing_comes(slow) && nothing_comes(other));
	open_gate();
	assert_int_equal(hear(slow)->op, SUTRA_OP_LEARN_CONCEPT);
	assert_int_equal(hear(slow)->op, SUTRA_OP_FLUSH);
	assert_int_equal(hear(other)->op, SUTRA_OP_LEARN_CONCEPT);
	close(slow);
	close(other);
}

/* Its client is gone before the disk goes on: what it asked for is done, and nobody is told. */
static void a_client_that_leaves_is_forgotten(void **state)
{
	const struct linger reset = { .l_onoff = 1 };
	int slow = dial(), other = dial();

	put_now(other, "kept", "here");
	close_gate();
	ask_put(slow, "slow", "done", 4);
	wait_at_gate();
	ask_put(slow, "after", "done", 4);
	setsockopt(slow, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(slow);
	others_are_answered(other);
	open_gate();
	put_now(other, "behind", "it");
	ask_get(other, "slow");
	hear_content(other, "done");
	close(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, start, stop)
		T(a_write_that_the_disk_holds_up_delays_no_read), T(a_clear_and_a_long_read_delay_no_read),
		T(a_client_that_leaves_is_forgotten),
		cmocka_unit_test_setup_teardown(a_sync_delays_no_read, start_always, stop_always),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
