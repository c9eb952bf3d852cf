/* lib/wire/reconnect: every address of a name is tried, in the resolver's order, which nobody waits for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <netdb.h>
#include <poll.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "net/port.h"
#include "wire/reconnect.h"
#include "wire/store_client.h"
#include "../wait.h"

enum { MAX_ADDRESSES = 4 };

static struct sockaddr_storage addresses[MAX_ADDRESSES];
static struct addrinfo list[MAX_ADDRESSES];
static atomic_int n_addresses, asked, freed;
static sem_t *silence;	/* the resolver waits for it; NULL: it answers at once */

int __wrap_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **ret);
void __wrap_freeaddrinfo(struct addrinfo *all);

/* The resolver of this test: the addresses it was given, or none. */
int __wrap_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **ret)
{
	asked++;
	if (silence)
		sem_wait(silence);
	for (int i = 0; i < n_addresses; i++)
		list[i].ai_next = i + 1 < n_addresses ? &list[i + 1] : NULL;
	*ret = list;
	return n_addresses ? 0 : EAI_NONAME;
}

void __wrap_freeaddrinfo(struct addrinfo *all) { freed++; }

static void add(const char *text)
{
	struct sockaddr_storage *a = &addresses[n_addresses];
	socklen_t len;

	assert_int_equal(sutra_addr_parse(text, a, &len, NULL), 0);
	list[n_addresses++] = (struct addrinfo){ .ai_family = a->ss_family, .ai_addr = (struct sockaddr *)a,
						 .ai_addrlen = len };
}

/* A socket that listens on the address with a free port; its address as text. */
static int listen_on(const char *address, int backlog, char out[SUTRA_ADDR_LEN])
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	int fd;

	assert_int_equal(sutra_listen_tcp(address, backlog, &fd, NULL), 0);
	getsockname(fd, (struct sockaddr *)&sa, &len);
	sutra_addr_format((struct sockaddr *)&sa, out);
	return fd;
}

/* An address whose port nobody listens on: it was bound and is closed. */
static void add_refusing(const char *address)
{
	char text[SUTRA_ADDR_LEN];

	close(listen_on(address, 1, text));
	add(text);
}

static int setup(void **state)
{
	n_addresses = asked = freed = 0;
	return 0;
}

/* As an owner does it: step, wait, finish. */
static int connect_all(struct reconnect *r)
{
	int fd = -1;

	while (fd < 0) {
		struct pollfd p;

		sutra_reconnect_step(r);
		p = (struct pollfd){ .fd = r->fd, .events = r->events };
		if (poll(&p, 1, sutra_reconnect_wait_ms(r)) > 0)
			fd = sutra_reconnect_finish(r);
	}
	return fd;
}

static void the_second_address_is_tried_at_once(void **state)
{
	char text[SUTRA_ADDR_LEN];
	struct reconnect r;
	int server, fd;

	add_refusing("[::1]:0");
	add_refusing("127.0.0.3:0");
	server = listen_on("127.0.0.2:0", 4, text);
	add(text);
	sutra_reconnect_init(&r, "name", 1, 5000000000u);
	fd = connect_all(&r);
	assert_int_equal(asked, 1);	/* all within one answer of the resolver: no back-off between them */
	assert_int_equal(freed, 1);
	assert_ptr_equal(r.addresses, NULL);
	close(fd);
	close(server);
	sutra_reconnect_release(&r);
}

static void an_address_that_is_silent_costs_its_time_alone(void **state)
{
	char text[SUTRA_ADDR_LEN], silent[SUTRA_ADDR_LEN];
	struct reconnect r;
	struct sockaddr_storage sa;
	socklen_t len;
	int server, full = listen_on("127.0.0.4:0", 0, silent), filler[4], fd;

	/* The backlog is full: a further connection is not answered. */
	assert_int_equal(sutra_addr_parse(silent, &sa, &len, NULL), 0);
	for (int i = 0; i < 4; i++) {
		filler[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		connect(filler[i], (struct sockaddr *)&sa, len);
	}
	add(silent);
	server = listen_on("127.0.0.2:0", 4, text);
	add(text);
	sutra_reconnect_init(&r, "name", 1, 20000000u);
	fd = connect_all(&r);
	assert_int_equal(asked, 1);
	close(fd);
	close(server);
	close(full);
	for (int i = 0; i < 4; i++)
		close(filler[i]);
	sutra_reconnect_release(&r);
}

static void step_once(struct reconnect *r)
{
	struct pollfd p;

	sutra_reconnect_step(r);
	p = (struct pollfd){ .fd = r->fd, .events = r->events };
	if (poll(&p, 1, sutra_reconnect_wait_ms(r)) > 0)
		assert_int_equal(sutra_reconnect_finish(r), -1);
}

static void a_name_without_an_address_is_asked_again(void **state)
{
	char text[SUTRA_ADDR_LEN];
	struct reconnect r;
	int server, fd;

	sutra_reconnect_init(&r, "name", 1, 5000000000u);
	assert_true(sutra_reconnect_step(&r));
	while (r.fd >= 0)
		step_once(&r);
	assert_true(sutra_reconnect_wait_ms(&r) > 0);
	add_refusing("127.0.0.3:0");
	while (asked < 3)	/* every address refuses: the name is asked again, after the back-off */
		step_once(&r);
	while (r.lookup)
		step_once(&r);
	n_addresses = 0;
	server = listen_on("127.0.0.2:0", 4, text);
	add(text);
	fd = connect_all(&r);
	assert_int_equal(freed, asked - 1);	/* the first one gave nothing */
	close(fd);
	close(server);
	sutra_reconnect_release(&r);
}

static sem_t told;
static atomic_int told_code;

static void note(void *user, int code, const struct sutra_message *answer)
{
	told_code = code;
	sem_post(&told);
}

/* Meanwhile calls fail at once, and the client goes when it is to. */
static void a_resolver_that_is_silent_keeps_nobody(void **state)
{
	static const struct sutra_message flush = { .op = SUTRA_OP_FLUSH };
	const struct sutra_store_client_options o = { .host = "name", .port = 1 };
	struct sutra_store_client *c;
	sem_t wait;

	sem_init(&wait, 0, 0);
	sem_init(&told, 0, 0);
	silence = &wait;
	add_refusing("127.0.0.3:0");
	assert_int_equal(sutra_store_client_new(&o, &c, NULL), 0);
	WAIT_UNTIL(asked == 1);
	for (int i = 0; i < 3; i++) {
		sutra_store_call(c, &flush, note, NULL);
		sem_wait(&told);
		assert_int_equal(told_code, SUTRA_E_UNAVAILABLE);
	}
	sutra_alloc_fail_at(1);	/* what cannot even be noted is told to its caller */
	sutra_store_call(c, &flush, note, NULL);
	sutra_alloc_fail_at(0);
	sem_wait(&told);
	assert_int_equal(told_code, SUTRA_E_NOMEM);
	sutra_store_call(c, &flush, NULL, NULL);	/* and who does not want to know is not */
	sutra_store_client_free(c);
	assert_int_equal(freed, 0);
	sem_post(&wait);
	WAIT_UNTIL(freed == 1);	/* by the lookup itself */
	silence = NULL;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(the_second_address_is_tried_at_once, setup),
		cmocka_unit_test_setup(an_address_that_is_silent_costs_its_time_alone, setup),
		cmocka_unit_test_setup(a_name_without_an_address_is_asked_again, setup),
		cmocka_unit_test_setup(a_resolver_that_is_silent_keeps_nobody, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
