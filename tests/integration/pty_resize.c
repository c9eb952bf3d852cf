/*
 * pty_resize - runs a program on a terminal that changes its size all the time.
 *
 * usage: pty_resize RESIZES SEED PROGRAM [ARGUMENT...]
 * After each of so many random sizes (1x1 to 220x70) now and then a key is pressed; all that the
 * program writes is read. At the end q is pressed, and it must exit with 0 within 10 s. Prints how
 * many bytes were drawn; exits with 1 and says why when something was wrong.
 */
#include <errno.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

static uint64_t state;

static uint64_t next(void)	/* xorshift64, Marsaglia 2003 */
{
	state ^= state << 13;
	state ^= state >> 7;
	return state ^= state << 17;
}

/* Reads for ms milliseconds; false: the other side is gone. */
static int drain(int fd, int ms, unsigned long long *bytes)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char block[65536];

	while (poll(&p, 1, ms) > 0) {
		ssize_t n = read(fd, block, sizeof(block));

		if (n <= 0)
			return 0;
		*bytes += (unsigned long long)n;
	}
	return 1;
}

/* Keys that do not end it: screens, help, filter, sort, pace, moves, pause. */
static const char keys[] = "\tjk?s/a\n+-pph\033hlg G\n";

static int finish(int fd, pid_t pid, unsigned long long *bytes)
{
	struct pollfd ended = { .fd = pidfd_open(pid, 0), .events = POLLIN };
	int status = 0;

	for (int i = 0; i < 100; i++) {
		if (waitpid(pid, &status, WNOHANG) == pid) {
			if (WIFEXITED(status) && !WEXITSTATUS(status))
				return 0;
			printf("it ended with %s %d\n", WIFEXITED(status) ? "exit code" : "signal",
			       WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
			return 1;
		}
		if (write(fd, i % 2 ? "q" : "\n\033", i % 2 ? 1 : 2) < 0 && errno != EIO)
			break;
		if (!drain(fd, 100, bytes))
			poll(&ended, 1, 100);	/* it let go of the terminal: about to end */
	}
	puts("it does not end");
	kill(pid, SIGKILL);
	return 1;
}

int main(int argc, char **argv)
{
	struct winsize w = { .ws_row = 24, .ws_col = 80 };
	unsigned long long bytes = 0;
	long n;
	pid_t pid;
	int fd, code;

	if (argc < 4)
		return 2;
	n = strtol(argv[1], NULL, 10);
	state = strtoull(argv[2], NULL, 10) * 2654435761u + 88172645463325252u;
	pid = forkpty(&fd, NULL, NULL, &w);
	if (!pid) {
		execvp(argv[3], argv + 3);
		_exit(127);
	}
	drain(fd, 300, &bytes);
	for (long i = 0; i < n; i++) {
		char key = keys[next() % (sizeof(keys) - 1)];

		w.ws_row = (unsigned short)(1 + next() % 70);
		w.ws_col = (unsigned short)(1 + next() % 220);
		ioctl(fd, TIOCSWINSZ, &w);
		if (next() % 4 == 0 && write(fd, &key, 1) < 0)
			break;
		if (!drain(fd, (int)(next() % 4), &bytes)) {
			printf("it was gone after %ld sizes\n", i);
			break;
		}
	}
	code = finish(fd, pid, &bytes);
	printf("%ld sizes, %llu bytes drawn\n", n, bytes);
	return code;
}
