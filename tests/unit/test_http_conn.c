/* lib/net: what connections do, and who is closed for it; without a server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/http_conn.h"

enum { HOUR_S = 3600 };

static const uint64_t second_ns = 1000000000;

/* A body that came at a good rate ends: its bytes are 0 already, its phase is still the body's. */
static void what_changes_at_the_moment_is_left_alone(void **state)
{
	static struct sutra_http_conns t = { .max = 8, .head_ns = 1000000000, .grace_ns = 1000000000 };
	struct sutra_http_conn *c;
	int fds[2];
	char byte;

	sutra_http_conns_init(&t);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	c = sutra_http_conn_new(&t, fds[0], NULL);
	assert_non_null(c);
	sutra_http_conn_enter(c, SUTRA_HTTP_BODY, 0, second_ns);
	atomic_fetch_add(&c->writes, 1);
	sutra_http_conns_check(&t, HOUR_S * second_ns);
	assert_int_equal(recv(fds[1], &byte, 1, MSG_DONTWAIT), -1);
	assert_false(sutra_http_conns_evict(&t));
	atomic_fetch_add(&c->writes, 1);
	sutra_http_conns_check(&t, HOUR_S * second_ns);
	assert_int_equal(recv(fds[1], &byte, 1, MSG_DONTWAIT), 0);	/* cut: the end of the stream */
	sutra_http_conn_free(&t, c);
	sutra_http_conns_release(&t);
	close(fds[0]);
	close(fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(what_changes_at_the_moment_is_left_alone) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
