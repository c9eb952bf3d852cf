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
#include "base/version.h"
#include "net/port.h"


/* Balancers look every 500 ms (compose/haproxy); one that has not looked for a second is gone. */
static const uint64_t look_ns = 1000000000;

static const char *service_name = "sutra";
static uint64_t started_ns;
static sigset_t handled;
static atomic_bool draining, answered;	/* answered: /ready has said that it drains */
static atomic_ullong asked_ns;	/* when a balancer last looked at /ready; 0: never */

int sutra_service_init(const char *service, struct sutra_err *err)
{
	const char *level, *format;
	struct rlimit files;
	int rc;

	service_name = service;
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
		atomic_store(&answered, true);
	else
		atomic_store(&asked_ns, sutra_clock_ns());
	return drained;
}

bool sutra_service_draining(void) { return atomic_load(&draining); }

bool sutra_service_noticed(void)
{
	uint64_t asked = atomic_load(&asked_ns);

	return !asked || atomic_load(&answered) || sutra_clock_ns() - asked > look_ns;
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
	return sutra_fail_errno(err, "cannot run %s again",
				command ? command : "the program");
}

double sutra_service_uptime(void) { return (double)(sutra_clock_ns() - started_ns) / 1e9; }

void sutra_service_health(struct sutra_buf *b, const char *reason)
{
	sutra_buf_addf(b, "{\"status\":\"%s\",\"service\":\"%s\",\"version\":\"%s\",\"uptime_seconds\":%.3f",
		       reason ? "unhealthy" : "healthy", service_name, SUTRA_VERSION,
		       sutra_service_uptime());
	if (!reason)
		return;
	sutra_buf_adds(b, ",\"reason\":\"");
	for (; *reason; reason++)
		if (*reason >= ' ' && *reason != '"' && *reason != '\\')
			sutra_buf_addc(b, *reason);
	sutra_buf_addc(b, '"');
}
