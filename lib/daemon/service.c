#include "daemon/service.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/setting.h"
#include "base/str.h"
#include "net/port.h"

/* Balancers check /ready every 500 ms (compose/haproxy). If none does for a second, there is none. */
static const uint64_t check_ns = 1000000000;

static uint64_t started_ns;
static sigset_t handled;
static atomic_bool draining, announced;	/* announced: an answer of /ready was "draining" */
static atomic_ullong checked_ns;	/* the last request of /ready before draining; 0: none */

int sutra_service_init(struct sutra_err *err)
{
	const char *level, *format;
	struct rlimit files;
	int rc;

	started_ns = sutra_clock_ns();
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&handled);
	sigaddset(&handled, SIGTERM);
	sigaddset(&handled, SIGINT);
	sigaddset(&handled, SIGHUP);
	sigaddset(&handled, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &handled, NULL);
	if (!getrlimit(RLIMIT_NOFILE, &files)) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	rc = sutra_setting_read("LOG_FORMAT", &format, err);
	rc = rc ? rc : sutra_setting_read("LOG_LEVEL", &level, err);
	return rc ? rc : sutra_log_setup(level, format);
}

/* After the first stop signal the next one ends the process at once. */
static void *exit_on_second(void *unused)
{
	int sig;

	do
		sigwait(&handled, &sig);
	while (sig == SIGHUP || sig == SIGUSR1);
	_exit(128 + sig);
}

bool sutra_service_drained(void)
{
	bool drained = atomic_load(&draining);

	if (drained)
		atomic_store(&announced, true);
	else
		atomic_store(&checked_ns, sutra_clock_ns());
	return drained;
}

bool sutra_service_draining(void) { return atomic_load(&draining); }

bool sutra_service_noticed(void)
{
	uint64_t checked = atomic_load(&checked_ns);

	return !checked || atomic_load(&announced) || sutra_clock_ns() - checked > check_ns;
}

enum sutra_service_signal sutra_service_wait(void)
{
	pthread_t thread;
	int sig = 0;

	while (sigwait(&handled, &sig) || sig == SIGUSR1)
		if (sig == SIGUSR1)
			atomic_store(&draining, true);
	if (sig == SIGHUP)
		return SUTRA_SIG_RESTART;
	atomic_store(&draining, true);
	if (!pthread_create(&thread, NULL, exit_on_second, NULL))
		pthread_detach(thread);
	return SUTRA_SIG_STOP;
}

const char *sutra_listen_for(const char *host, int port)
{
	static char fallback[80];
	const char *list, *shared = sutra_setting_env("SUTRA_LISTEN");
	char name[32];

	snprintf(name, sizeof(name), "SUTRA_LISTEN_%d", port);
	list = sutra_setting_env(name);
	if (list)
		return list;
	host = shared ? shared : host ? host : sutra_setting_find("SUTRA_LISTEN")->fallback;
	snprintf(fallback, sizeof(fallback), strchr(host, ':') ? "[%.60s]:%d" : "%.60s:%d", host, port);
	return fallback;
}

unsigned sutra_service_connections(unsigned wanted)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) || files.rlim_cur >= (rlim_t)wanted + SUTRA_SPARE_FILES)
		return wanted;
	return files.rlim_cur > 2 * SUTRA_SPARE_FILES ? (unsigned)files.rlim_cur - SUTRA_SPARE_FILES :
							(unsigned)(files.rlim_cur + 1) / 2;
}

/* Moves the descriptors to 3, 4, ... without close-on-exec, and sets it on all others. */
static int place_descriptors(const int *fds, int n)
{
	int high[SUTRA_LISTEN_MAX];

	for (int i = 0; i < n; i++) {
		high[i] = fcntl(fds[i], F_DUPFD, SUTRA_LISTEN_FIRST + SUTRA_LISTEN_MAX);
		if (high[i] < 0)
			return -1;
	}
	for (int i = 0; i < n; i++)
		if (dup2(high[i], SUTRA_LISTEN_FIRST + i) < 0)
			return -1;
	return (int)syscall(SYS_close_range, (unsigned)(SUTRA_LISTEN_FIRST + n), ~0u, 4u /* CLOSE_RANGE_CLOEXEC */);
}

int sutra_service_reexec(const int *fds, int n, char **argv, struct sutra_err *err)
{
	const char *command = sutra_setting_env("SUTRA_REEXEC");
	char number[16];

	if (n > SUTRA_LISTEN_MAX || place_descriptors(fds, n))
		return sutra_fail_errno(err, "cannot keep %d sockets over a restart", n);
	snprintf(number, sizeof(number), "%d", n);
	setenv("LISTEN_FDS", number, 1);
	snprintf(number, sizeof(number), "%ld", (long)getpid());
	setenv("LISTEN_PID", number, 1);
	/* Signals stay blocked: the next program's sutra_service_wait takes one that comes now. */
	if (command)
		execl(command, command, (char *)NULL);
	else
		execv("/proc/self/exe", argv);
	return sutra_fail_errno(err, "cannot run %s again", command ? command : "the program");
}

double sutra_service_uptime(void) { return (double)(sutra_clock_ns() - started_ns) / 1e9; }
