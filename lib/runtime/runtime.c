#include "runtime/runtime.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/port.h"

#define ENDING_NS 1000000000u
#define PASSING_NS 10000000000u

const struct sutra_runtime *sutra_runtime_named(const char *name)
{
	if (name && !strcmp(name, sutra_docker.name))
		return &sutra_docker;
	return name && !strcmp(name, sutra_native.name) ? &sutra_native : NULL;
}

void sutra_runtime_address(const char *text, const char *ip, char *out, size_t size)
{
	const char *at = strstr(text, SUTRA_CONTAINER);

	if (at)
		snprintf(out, size, "%.*s%s%s", (int)(at - text), text, ip, at + strlen(SUTRA_CONTAINER));
	else
		snprintf(out, size, "%s", text);
}

/* Whether the address stays taken. One whose process is just ending gets ENDING_NS; one that a
 * connection took in passing, from the range of ephemeral ports, PASSING_NS. */
static bool stays_taken(const char *address, pid_t *pid, char *holder, size_t size)
{
	uint64_t began = sutra_clock_ns();
	int fd, rc;

	while ((rc = sutra_listen_tcp(address, 1, &fd, NULL)) == SUTRA_E_EXISTS) {
		bool listens = sutra_port_holder(address, pid, holder, size);

		if ((listens && *pid) || sutra_clock_ns() - began >= (listens ? ENDING_NS : PASSING_NS)) {
			sutra_port_user(address, pid, holder, size);
			return true;
		}
		poll(NULL, 0, 20);
	}
	if (!rc)
		close(fd);
	return false;
}

int sutra_runtime_port_free(const char *service, const char *address, struct sutra_err *err)
{
	char holder[64];
	pid_t pid;

	if (!stays_taken(address, &pid, holder, sizeof(holder)))
		return 0;
	if (pid)
		sutra_fail(err, SUTRA_E_EXISTS, "%s needs %s, which is in use by %s (pid %ld)", service, address, holder,
			   (long)pid);
	else
		sutra_fail(err, SUTRA_E_EXISTS, "%s needs %s, which is in use", service, address);
	sutra_hint(err, "end that program, or deploy beside it with SUTRA_PORT_OFFSET=1000");
	return SUTRA_E_EXISTS;
}
