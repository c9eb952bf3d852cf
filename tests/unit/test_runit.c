/* What the native runtime waits for, on a clock that only waiting moves. */
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
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "runtime/cgroup.h"
#include "runtime/runit.h"

static uint64_t now_ns = 1000000000u;
static char dir[] = "/tmp/sutra-runit-XXXXXX";
static pid_t immortal;	/* kill(2) does nothing to it */
static int kills;
static void (*on_poll)(void);

uint64_t __wrap_sutra_clock_ns(void);
uint64_t __wrap_sutra_clock_ns(void) { return now_ns; }

int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout_ms);
int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
	if (on_poll)
		on_poll();
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

/* What the supervisor of the service "s" would do while somebody waits. */
static void finish_counts(void)
{
	static const char down[20] = { [17] = 'u' };
	char path[80];

	on_poll = NULL;
	snprintf(path, sizeof(path), "%s/native/services/s/restarts", dir);
	assert_int_equal(sutra_file_write(path, "7\n", 2, 0600, NULL), 0);
	snprintf(path, sizeof(path), "%s/native/services/s/supervise/status", dir);
	assert_int_equal(sutra_file_write(path, down, sizeof(down), 0600, NULL), 0);
}

/* A service whose finish script runs: the end is counted after start is called. */
static void an_end_before_the_start_is_not_counted_as_its_own(void **state)
{
	static const char finishing[20] = { [12] = 9, [17] = 'u', [19] = 2 };
	char supervise[80], path[96], *text, *argv[] = { (char *)(uintptr_t) "/bin/true" }, command[8] = "";
	struct sutra_unit u = { .name = (char *)(uintptr_t) "s", .argv = { argv, 1 } };
	const struct sutra_scene scene = { .state_dir = dir };
	struct sutra_awaited a = { .unit = &u };
	struct sutra_supervised now;
	int control;

	snprintf(supervise, sizeof(supervise), "%s/native/services/s/supervise", dir);
	assert_int_equal(sutra_mkdirs(supervise, 0700, NULL), 0);
	snprintf(path, sizeof(path), "%s/status", supervise);
	assert_int_equal(sutra_file_write(path, finishing, sizeof(finishing), 0600, NULL), 0);
	snprintf(path, sizeof(path), "%s/control", supervise);
	assert_int_equal(mkfifo(path, 0600), 0);
	control = open(path, O_RDWR | O_NONBLOCK);
	on_poll = finish_counts;
	assert_int_equal(sutra_native.start(&scene, &a, 1, NULL), 0);
	assert_null(on_poll);
	sutra_runit_read(dir, "s", &now);
	assert_int_equal(a.restarts, 0);
	assert_int_equal(now.restarts, 0);
	assert_int_equal(read(control, command, sizeof(command)), 1);
	assert_string_equal(command, "u");
	snprintf(path, sizeof(path), "%s/native/services/s/planned", dir);
	assert_int_equal(sutra_file_read(path, 1, &text, NULL, NULL), SUTRA_E_NOTFOUND);
	close(control);
	sutra_cgroup_clear(dir);
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
		cmocka_unit_test(an_end_before_the_start_is_not_counted_as_its_own),
		cmocka_unit_test(what_outlasts_kill_is_an_error_that_names_it),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
