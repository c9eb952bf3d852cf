#include "stack/balancer.h"

#include <poll.h>
#include <stdbool.h>
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

/* The field of a server's row. */
static void field_of(const char *csv, const char *backend, const char *server, const char *name, char *out,
		     size_t size)
{
	int at = sutra_str_starts(csv, "# ") ? column(csv, name) : -1;
	char want[256];
	const char *line;

	snprintf(out, size, "unknown");
	snprintf(want, sizeof(want), "\n%s,%s,", backend, server);
	line = at < 0 ? NULL : strstr(csv, want);
	if (!line)
		return;
	for (line++; at > 0 && *line && *line != '\n'; line++)
		at -= *line == ',';
	snprintf(out, size, "%.*s", (int)strcspn(line, ",\n"), line);
}

/* Polls until the server is in the state; idle: until it is not UP (NOLB, DOWN, MAINT) and has no
 * session. */
static int wait_for(const char *stats, const char *backend, const char *server, const char *state, bool idle,
		    uint64_t timeout_ns, const volatile int *stop, struct sutra_err *err)
{
	uint64_t end = timeout_ns == UINT64_MAX ? timeout_ns : sutra_clock_ns() + timeout_ns;
	char url[128], now[64] = "unknown", sessions[32] = "?";
	struct sutra_fetch f;
	int rc = 0;

	snprintf(url, sizeof(url), "http://%s/stats;csv", stats);
	sutra_fetch_init(&f);
	f.url = url;
	f.timeout_ns = 1000000000u;
	while (!rc) {
		if (!sutra_fetch_one(&f, NULL)) {
			field_of(sutra_buf_str(&f.answer), backend, server, "status", now, sizeof(now));
			field_of(sutra_buf_str(&f.answer), backend, server, "scur", sessions, sizeof(sessions));
		}
		if (sutra_str_starts(now, state) && !idle)
			break;
		if (idle && !strcmp(sessions, "0") && !sutra_str_starts(now, "UP") && strcmp(now, "unknown") != 0)
			break;
		if (stop && *stop)
			rc = sutra_fail(err, SUTRA_E_INTERRUPTED, "interrupted while waiting for %s", server);
		else if (sutra_clock_ns() >= end)
			rc = sutra_fail(err, SUTRA_E_TIMEOUT, "%s is \"%s\" with %s sessions in HAProxy, not %s%s",
					server, now, sessions, state, idle ? " with none" : "");
		else
			poll(NULL, 0, POLL_MS);
	}
	sutra_fetch_release(&f);
	return rc;
}

int sutra_balancer_wait_up(const char *stats, const char *backend, const char *server,
			   uint64_t timeout_ns, const volatile int *stop, struct sutra_err *err)
{
	return wait_for(stats, backend, server, "UP", false, timeout_ns, stop, err);
}

int sutra_balancer_wait_drained(const char *stats, const char *backend, const char *server,
				uint64_t timeout_ns, const volatile int *stop, struct sutra_err *err)
{
	return wait_for(stats, backend, server, "drained", true, timeout_ns, stop, err);
}
