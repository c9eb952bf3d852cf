/*
 * pty_keys - presses a key of a program on a terminal, again and again, and says how long each takes.
 *
 * usage: pty_keys ROUNDS KEYS PROGRAM [ARGUMENT...]
 * KEYS are pressed once to begin with (with 300 ms between them); then ? opens the help and ? closes it, so many times: from the
 * press to the screen that shows it is what it takes. The moments between are random, so that
 * samples and logs come in between. Then q, which must end it. Prints the time of keys, how much
 * memory the program held at most and what CPU it took; exits with 1 when a key was not answered within 10 s.
 */
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
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

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

int main(int argc, char **argv)
{
	/* Rows of the help, and what takes their place; any of them, as a picture is sent as its difference. */
	static const char *const help[] = { "up a page", "down a page", "the last row", "end", NULL },
				 *const back[] = { "log of", "noisy", "Services", "INFO", NULL };
	static double took[MAX_ROUNDS];
	struct winsize w = { .ws_row = 40, .ws_col = 120 };
	struct rusage use;
	long rounds, done = 0;
	double cpu, began;
	int fd, status = 1;
	pid_t pid;

	rounds = argc < 4 ? 0 : strtol(argv[1], NULL, 10);
	if (rounds < 1 || rounds > MAX_ROUNDS)
		return 2;
	began = now_ms();
	pid = forkpty(&fd, NULL, NULL, &w);
	if (!pid) {
		execvp(argv[3], argv + 3);
		_exit(127);
	}
	rest(fd, 1000);
	for (const char *k = argv[2]; *k && write(fd, k, 1) == 1; k++)
		rest(fd, 300);
	srandom(7);
	for (; done < rounds; done++) {
		took[done] = press(fd, '?', help);
		rest(fd, (int)(random() % 50));
		if (took[done] < 0 || press(fd, '?', back) < 0)
			break;
		rest(fd, (int)(random() % 200));
	}
	if (write(fd, "q", 1) != 1 || done < rounds)
		kill(pid, SIGKILL);
	for (double until = now_ms() + LIMIT_MS; now_ms() < until && take(fd, 100);)
		;
	if (waitpid(pid, &status, WNOHANG) != pid) {
		usleep(200000);
		if (waitpid(pid, &status, WNOHANG) != pid) {
			kill(pid, SIGKILL);
			waitpid(pid, &status, 0);
		}
	}
	getrusage(RUSAGE_CHILDREN, &use);
	cpu = (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
	      (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6;
	qsort(took, (size_t)done, sizeof(*took), compare);
	if (done)
		printf("%ld keys: P50 %.1f ms, P99 %.1f ms, most %.1f ms; %ld KiB at most, %.1f %% of a core\n", done,
		       took[done / 2], took[done * 99 / 100], took[done - 1], use.ru_maxrss,
		       cpu * 1e5 / (now_ms() - began));
	if (done < rounds)
		printf("a key was not answered within %d ms, after %ld\n%.*s\n", LIMIT_MS, done, (int)n_seen, seen);
	return done < rounds || !WIFEXITED(status) || WEXITSTATUS(status);
}
