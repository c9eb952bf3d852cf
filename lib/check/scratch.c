#include "check/scratch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "net/fetch.h"

static const uint64_t START_NS = 20000000000u, STOP_NS = 3000000000u;

static void pause_10ms(void) { nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL); }

static int free_port(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), port = 0;

	if (fd >= 0 && !bind(fd, (struct sockaddr *)&a, sizeof(a)) &&
	    !getsockname(fd, (struct sockaddr *)&a, &n))
		port = ntohs(a.sin_port);
	if (fd >= 0)
		close(fd);
	return port;
}

/* Between fork and exec only calls that are safe there; everything is prepared before. */
static pid_t spawn(char *program, char *const *env)
{
	char *const argv[] = { program, NULL };
	pid_t parent = getpid(), pid = fork();
	int null;

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(127);
	null = open("/dev/null", O_RDWR);
	for (int fd = 0; fd < 3; fd++)
		dup2(null, fd);
	execve(program, argv, env);
	_exit(127);
}

static int wait_healthy(struct sutra_scratch *s, const char *base, struct sutra_err *err)
{
	uint64_t until = sutra_clock_ns() + START_NS;
	int rc = SUTRA_E_TIMEOUT, status;

	while (rc && sutra_clock_ns() < until) {
		struct sutra_fetch f;

		if (waitpid(s->pid, &status, WNOHANG) == s->pid) {
			s->pid = 0;
			rc = sutra_fail(err, SUTRA_E_UNAVAILABLE,
					"the measurement's own gateway exited with status %d", status);
			break;
		}
		rc = sutra_fetch_get(&f, base, "/health", 1000000000, err);
		sutra_fetch_release(&f);
		if (rc)
			pause_10ms();
	}
	return rc;
}

int sutra_scratch_start(struct sutra_scratch *s, const char *ml_base, const char *shard, int64_t dimension,
		  unsigned shard_ms, char *ret_base, size_t size, struct sutra_err *err)
{
	char *dir = sutra_program_dir(), *program = xasprintf("%s/sutra-embedding", dir);
	const char *colon = strrchr(shard, ':');
	int port = free_port(), rc;
	char *env[] = {
		xasprintf("SUTRA_LISTEN_8888=127.0.0.1:%d", port),
		xasprintf("ML_BASE_URL=%s", ml_base),
		xasprintf("MATRYOSHKA_DIM=%lld", (long long)dimension),
		xasprintf("CACHE_SHARD_HOST=%.*s", (int)(colon ? colon - shard : 0), shard),
		xasprintf("CACHE_SHARD_PORT=%s", colon ? colon + 1 : ""),
		xasprintf("CACHE_TIMEOUT_MS=%u", shard_ms),
		xstrdup("SUTRA_CACHE_ENABLED=true"),
		xstrdup("LOG_LEVEL=error"),
		NULL,
	};

	snprintf(ret_base, size, "http://127.0.0.1:%d", port);
	s->pid = spawn(program, env);
	rc = s->pid > 0 ? wait_healthy(s, ret_base, err) : sutra_fail_errno(err, "cannot start %s", program);
	if (rc)
		sutra_scratch_stop(s);
	for (char **e = env; *e; e++)
		sutra_free(*e);
	sutra_free(program);
	sutra_free(dir);
	return rc;
}

void sutra_scratch_stop(struct sutra_scratch *s)
{
	uint64_t until = sutra_clock_ns() + STOP_NS;

	if (s->pid <= 0)
		return;
	kill(s->pid, SIGTERM);
	while (!waitpid(s->pid, NULL, WNOHANG)) {
		if (sutra_clock_ns() > until)
			kill(s->pid, SIGKILL);
		pause_10ms();
	}
	s->pid = 0;
}
