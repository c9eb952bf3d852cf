#include "stack/balancer.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "net/fetch.h"

enum { POLL_MS = 50 };

/* Index of a column in the header line "# pxname,svname,...", or -1. */
static int column(const char *csv, const char *name)
{
	size_t n = strlen(name);
	int at = 0;

	for (const char *c = csv + 2; *c && *c != '\n'; c++) {
		if (!strncmp(c, name, n) && (c[n] == ',' || c[n] == '\n'))
			return at;
		c += strcspn(c, ",\n");
		if (*c == '\n')
			break;
		at++;
	}
	return -1;
}

static void state_of(const char *csv, const char *backend, const char *server, char *out, size_t size)
{
	int status = sutra_str_starts(csv, "# ") ? column(csv, "status") : -1;
	char want[256];
	const char *line;

	snprintf(out, size, "unknown");
	snprintf(want, sizeof(want), "\n%s,%s,", backend, server);
	line = status < 0 ? NULL : strstr(csv, want);
	if (!line)
		return;
	for (line++; status > 0 && *line && *line != '\n'; line++)
		status -= *line == ',';
	snprintf(out, size, "%.*s", (int)strcspn(line, ",\n"), line);
}

int sutra_balancer_wait_up(const char *stats, const char *backend, const char *server,
			   uint64_t timeout_ns, const volatile int *stop, struct sutra_err *err)
{
	uint64_t end = timeout_ns == UINT64_MAX ? timeout_ns : sutra_clock_ns() + timeout_ns;
	char url[128], state[64] = "unknown";
	struct sutra_fetch f;
	int rc = 0;

	snprintf(url, sizeof(url), "http://%s/stats;csv", stats);
	sutra_fetch_init(&f);
	f.url = url;
	f.timeout_ns = 1000000000u;
	while (!rc) {
		if (!sutra_fetch_one(&f, NULL))
			state_of(sutra_buf_str(&f.answer), backend, server, state, sizeof(state));
		if (!strcmp(state, "UP"))
			break;
		if (stop && *stop)
			rc = sutra_fail(err, SUTRA_E_INTERRUPTED, "interrupted while waiting for %s", server);
		else if (sutra_clock_ns() >= end)
			rc = sutra_fail(err, SUTRA_E_TIMEOUT, "%s is \"%s\" in HAProxy, not UP", server, state);
		else
			poll(NULL, 0, POLL_MS);
	}
	sutra_fetch_release(&f);
	return rc;
}
