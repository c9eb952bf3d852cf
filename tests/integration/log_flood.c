/*
 * log_flood - writes log lines to standard output at a rate.
 *
 * usage: log_flood LINES_PER_SECOND LONG_BYTES
 * Lines of about 100 bytes on an absolute schedule, some with bytes that are no text; each third
 * second one line of LONG_BYTES (0: none). Ends with SIGTERM or when nobody reads; then standard
 * error says how many lines it wrote in how many seconds.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t stop;

static void on_stop(int sig) { stop = sig; }

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void long_line(long bytes)
{
	static char block[65536];

	memset(block, 'a', sizeof(block));
	for (long left = bytes; left > 0 && !stop; left -= (long)sizeof(block))
		fwrite(block, 1, left < (long)sizeof(block) ? (size_t)left : sizeof(block), stdout);
	putchar('\n');
}

int main(int argc, char **argv)
{
	struct sigaction a = { .sa_handler = on_stop };
	double began = now(), next_long = began + 1;
	long rate, bytes;
	long long written = 0;

	if (argc != 3)
		return 2;
	rate = strtol(argv[1], NULL, 10);
	bytes = strtol(argv[2], NULL, 10);
	sigaction(SIGTERM, &a, NULL);
	signal(SIGPIPE, SIG_IGN);
	while (!stop && !ferror(stdout)) {
		long long due = (long long)((now() - began) * (double)rate);

		for (; written < due && !ferror(stdout); written++)
			printf("INFO  noisy line=%lld of a service that says more than anybody can read %s end\n", written,
			       written % 1000 ? "and goes on" : "with \033[31m \x01 \xff\xfe and \xe4\xb8\xad");
		if (bytes && now() > next_long) {
			long_line(bytes);
			next_long += 3;
		}
		fflush(stdout);
		usleep(10000);
	}
	fprintf(stderr, "%lld lines in %.1f s\n", written, now() - began);
	return 0;
}
