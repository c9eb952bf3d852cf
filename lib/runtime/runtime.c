#include "runtime/runtime.h"

#include <stdio.h>
#include <string.h>

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
