/* The storage client against a server that accepts and never answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/port.h"
#include "wire/store_client.h"
#include "../wait.h"

static atomic_int last_code, calls_done;

static void note_call(void *user, int code, const struct sutra_message *answer)
{
	last_code = code;
	calls_done++;
}

static void wait_calls(int n)
{
	WAIT_UNTIL(atomic_load(&calls_done) >= n);
}

static void the_client_times_out_bounds_and_fails(void **state)
{
	struct sutra_store_client_options o = { .host = "127.0.0.1", .timeout_ns = 50000000u,
						.max_queued = 4 };
	static const struct sutra_id ids[] = { { "x", 1 } };
	static const struct sutra_message get = { .op = SUTRA_OP_GET_CONCEPTS, .ids = ids, .n_ids = 1 };
	static const struct sutra_message drop = { .op = SUTRA_OP_DELETE_CONCEPT,
						   .concept = { .id = "x", .id_len = 1 } };
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
	WAIT_UNTIL(sutra_store_client_up(c));
	sutra_store_call(c, &get, note_call, NULL);
	wait_calls(1);
	assert_int_equal(last_code, SUTRA_E_TIMEOUT);
	for (int i = 0; i < 20; i++)
		sutra_store_call(c, &get, note_call, NULL);
	wait_calls(21);
	sutra_store_client_counts(c, &n);
	assert_true(n.busy >= 16 && n.timeouts >= 1 && n.failed == 21 && n.answered == 0);
	WAIT_UNTIL((sutra_store_client_counts(c, &n), n.disconnects));	/* it gives the server up */
	close(silent);	/* and with it what waits in its backlog */
	WAIT_UNTIL(!sutra_store_client_up(c));
	sutra_store_call(c, &drop, note_call, NULL);
	wait_calls(22);
	assert_int_equal(last_code, SUTRA_E_UNAVAILABLE);
	sutra_store_client_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_client_times_out_bounds_and_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
