/*
 * pty_keys - presses keys of sutra monitor on a terminal, and says how long their answers take.
 *
 * usage: pty_keys ROUNDS KEYS PROGRAM [ARGUMENT...]
 * KEYS are pressed once to begin with, 300 ms apart; then ? opens the help and ? closes it, so many
 * times: an answer takes from the press until the help is shown. The moments between are random, so
 * that samples and logs come in between. Then q, which must end it. Prints when the first picture
 * came, the time of keys, the most memory and the CPU of the program; exits with 1 when a key was
 * not answered within 10 s. A byte that another process echoes, in turn with the keys, tells what of
 * that is the machine's.
 */
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX_ROUNDS = 100000, LIMIT_MS = 10000 };

static char seen[1 << 20];
static size_t n_seen;

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* Reads what is there within ms; 0: the other side is gone. */
static int take(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	ssize_t n;

	if (poll(&p, 1, ms) <= 0)
		return 1;
	if (n_seen > sizeof(seen) / 2)
		n_seen = 0;
	n = read(fd, seen + n_seen, sizeof(seen) - n_seen - 1);
	if (n <= 0)
		return 0;
	n_seen += (size_t)n;
	seen[n_seen] = '\0';
	return 1;
}

static int shown(const char *const *any)
{
	for (; *any; any++)
		if (memmem(seen, n_seen, *any, strlen(*any)))
			return 1;
	return 0;
}

/* Milliseconds from the press to a picture that holds one of the texts; -1: never. */
static double press(int fd, char key, const char *const *any)
{
	double began;

	n_seen = 0;
	began = now_ms();
	if (write(fd, &key, 1) != 1)
		return -1;
	while (!shown(any))
		if (now_ms() - began > LIMIT_MS || !take(fd, 100))
			return -1;
	return now_ms() - began;
}

static void rest(int fd, int ms)
{
	for (double until = now_ms() + ms; now_ms() < until;)
		if (!take(fd, 5))
			return;
}

/* A process that echoes bytes; returns our end. */
static int start_echo(pid_t *ret)
{
	int end[2];
	char byte;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, end))
		return -1;
	*ret = fork();
	if (!*ret) {
		close(end[0]);
		while (read(end[1], &byte, 1) == 1 && write(end[1], &byte, 1) == 1)
			;
		_exit(0);
	}
	close(end[1]);
	return end[0];
}

static double echo(int fd)
{
	double began = now_ms();
	char byte = 'x';

	return write(fd, &byte, 1) == 1 && read(fd, &byte, 1) == 1 ? now_ms() - began : -1;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* Opens and closes the help so many times, a byte's echo between; how many were answered. */
static long measure(int fd, int echo_fd, long rounds, double *took, double *echoed)
{
	/* Rows of the help, and what takes their place; any of them, as a picture is sent as its difference. */
	static const char *const help[] = { "up a page", "down a page", "the last row", "end", NULL },
				 *const back[] = { "log of", "noisy", "Services", "INFO", NULL };
	long done = 0;

	srandom(7);
	for (; done < rounds; done++) {
		took[done] = press(fd, '?', help);
		echoed[done] = echo(echo_fd);
		rest(fd, (int)(random() % 50));
		if (took[done] < 0 || press(fd, '?', back) < 0)
			break;
		rest(fd, (int)(random() % 200));
	}
	return done;
}

/* The status of a program whose terminal is gone, or that has not ended in time: then it is killed. */
static int reap(pid_t pid)
{
	int status = 1;
	struct pollfd ended = { .fd = pidfd_open(pid, 0), .events = POLLIN };

	if (poll(&ended, 1, LIMIT_MS) <= 0)
		kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	close(ended.fd);
	return status;
}

int main(int argc, char **argv)
{
	static const char *const first[] = { "Services", NULL };
	static double took[MAX_ROUNDS], echoed[MAX_ROUNDS];
	struct winsize w = { .ws_row = 40, .ws_col = 120 };
	struct rusage use;
	long rounds, done;
	double cpu, began;
	int fd, echo_fd, status;
	pid_t pid, echo_pid = 0;

	rounds = argc < 4 ? 0 : strtol(argv[1], NULL, 10);
	if (rounds < 1 || rounds > MAX_ROUNDS)
		return 2;
	echo_fd = start_echo(&echo_pid);
	began = now_ms();
	pid = forkpty(&fd, NULL, NULL, &w);
	if (!pid) {
		execvp(argv[3], argv + 3);
		_exit(127);
	}
	while (!shown(first) && now_ms() - began < LIMIT_MS && take(fd, 100))
		;
	printf("first picture after %.0f ms\n", now_ms() - began);
	rest(fd, 1000);
	for (const char *k = argv[2]; *k && write(fd, k, 1) == 1; k++)
		rest(fd, 300);
	done = measure(fd, echo_fd, rounds, took, echoed);
	if (write(fd, "q", 1) != 1 || done < rounds)
		kill(pid, SIGKILL);
	for (double until = now_ms() + LIMIT_MS; now_ms() < until && take(fd, 100);)
		;
	status = reap(pid);
	getrusage(RUSAGE_CHILDREN, &use);
	close(echo_fd);
	waitpid(echo_pid, NULL, 0);
	cpu = (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
	      (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6;
	qsort(took, (size_t)done, sizeof(*took), compare);
	qsort(echoed, (size_t)done, sizeof(*echoed), compare);
	if (done)
		printf("%ld keys: P50 %.1f ms, P99 %.1f ms, most %.1f ms; %ld KiB at most, %.1f %% of a core\n"
		       "a byte echoed by another process: P50 %.1f ms, P99 %.1f ms, most %.1f ms\n",
		       done, took[done / 2], took[done * 99 / 100], took[done - 1], use.ru_maxrss,
		       cpu * 1e5 / (now_ms() - began), echoed[done / 2], echoed[done * 99 / 100], echoed[done - 1]);
	if (done < rounds)
		printf("a key was not answered within %d ms, after %ld\n%.*s\n", LIMIT_MS, done, (int)n_seen, seen);
	return done < rounds || !WIFEXITED(status) || WEXITSTATUS(status);
}
