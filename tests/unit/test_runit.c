/* What runit.c waits for, on a clock that only waiting moves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "runtime/runit.h"

static uint64_t now_ns = 1000000000u;
static char dir[] = "/tmp/sutra-runit-XXXXXX";
static pid_t immortal;	/* kill(2) does nothing to it */
static int kills;

uint64_t __wrap_sutra_clock_ns(void);
uint64_t __wrap_sutra_clock_ns(void) { return now_ns; }

int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout_ms);
int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
	now_ns += (uint64_t)timeout_ms * 20000000u;	/* 10 ms count as 200: each look reads all of /proc */
	return 0;
}

int __real_kill(pid_t pid, int sig);
int __wrap_kill(pid_t pid, int sig);
int __wrap_kill(pid_t pid, int sig)
{
	siginfo_t info;

	kills += sig == SIGKILL;
	if (pid == immortal)
		return 0;
	if (__real_kill(pid, sig))
		return -1;
	return sig == SIGKILL ? waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) : 0;
}

/* A process of the stack that ignores TERM; it runs once this returns. */
static pid_t start(void)
{
	char stack[64], *const argv[] = { (char *)(uintptr_t) "cat", (char *)(uintptr_t) "/dev/zero", NULL },
			*const env[] = { stack, NULL };
	int executed[2];
	pid_t pid;
	char byte;

	snprintf(stack, sizeof(stack), "SUTRA_STACK=%s", dir);
	assert_int_equal(pipe2(executed, O_CLOEXEC), 0);
	pid = fork();
	if (!pid) {
		signal(SIGTERM, SIG_IGN);
		dup2(open("/dev/null", O_WRONLY), 1);
		execve("/bin/cat", argv, env);
		_exit(127);
	}
	close(executed[1]);
	assert_int_equal(read(executed[0], &byte, 1), 0);
	close(executed[0]);
	return pid;
}

static void what_ignores_term_is_killed_after_its_grace(void **state)
{
	struct sutra_err err;
	int killed = 0;
	pid_t pid = start();

	kills = 0;
	/* It stays a zombie without an environment, which is no process of the stack. */
	assert_int_equal(sutra_runit_stop(dir, 2000000000u, &killed, &err), 0);
	assert_int_equal(killed, 1);
	assert_int_equal(kills, 1);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void what_outlasts_kill_is_an_error_that_names_it(void **state)
{
	char name[32];
	struct sutra_err err;
	int killed = 0;

	immortal = start();
	assert_int_equal(sutra_runit_stop(dir, 2000000000u, &killed, &err), SUTRA_E_TIMEOUT);
	snprintf(name, sizeof(name), "process %ld", (long)immortal);
	assert_non_null(strstr(err.message, name));
	assert_int_equal(__real_kill(immortal, SIGKILL), 0);
	assert_int_equal(waitpid(immortal, NULL, 0), immortal);
	immortal = 0;
}

static int setup(void **state) { return mkdtemp(dir) ? 0 : -1; }

static int teardown(void **state) { return sutra_remove_tree(dir, NULL); }

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_ignores_term_is_killed_after_its_grace),
		cmocka_unit_test(what_outlasts_kill_is_an_error_that_names_it),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
