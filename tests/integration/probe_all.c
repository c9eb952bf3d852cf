/*
 * probe_all - probes every URL read from standard input at once, and prints a line each:
 * state, reason, status, milliseconds to connection, first byte, and in total.
 * usage: probe_all TIMEOUT_MS
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "probe/probe.h"

enum { MAX_TARGETS = 2000 };

static void *urls[MAX_TARGETS];

int main(int argc, char **argv)
{
	struct sutra_probe *p = xcalloc(MAX_TARGETS, sizeof(*p));
	uint64_t timeout = argc > 1 ? strtoul(argv[1], NULL, 10) * 1000000ull : 0;
	struct sutra_err err;
	char line[512];
	size_t n = 0;

	while (n < MAX_TARGETS && fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = '\0';
		urls[n] = xstrdup(line);
		p[n].name = p[n].url = urls[n];
		p[n++].timeout_ns = timeout;
	}
	if (sutra_probe_all(p, n, &err)) {
		fprintf(stderr, "probe_all: %s\n", err.message);
		return 1;
	}
	for (size_t i = 0; i < n; i++) {
		printf("%s %s %d %.1f %.1f %.1f\n", sutra_probe_state_name(p[i].state),
		       sutra_probe_reason_name(p[i].reason), p[i].status, (double)p[i].connect_ns / 1e6,
		       (double)p[i].first_byte_ns / 1e6, (double)p[i].total_ns / 1e6);
		sutra_free(urls[i]);
	}
	sutra_free(p);
	return 0;
}
