#include "runtime/runtime.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

const struct sutra_runtime *sutra_runtime_named(const char *name)
{
	if (name && !strcmp(name, sutra_docker.name))
		return &sutra_docker;
	return name && !strcmp(name, sutra_native.name) ? &sutra_native : NULL;
}

struct sutra_supervised *sutra_runtime_observe(const struct sutra_runtime *rt, const char *state_dir,
					       const struct sutra_unit *units, size_t n)
{
	struct sutra_supervised *seen = xcalloc(n + 1, sizeof(*seen));
	const char **names = xcalloc(n + 1, sizeof(*names));

	for (size_t i = 0; i < n; i++)
		names[i] = units[i].name;
	rt->observe(state_dir, names, n, seen);
	sutra_free(names);
	return seen;
}

void sutra_runtime_address(const char *text, const char *ip, char *out, size_t size)
{
	const char *at = strstr(text, SUTRA_CONTAINER);

	if (at)
		snprintf(out, size, "%.*s%s%s", (int)(at - text), text, ip, at + strlen(SUTRA_CONTAINER));
	else
		snprintf(out, size, "%s", text);
}
