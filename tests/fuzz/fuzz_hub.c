/* The hub's listing of a repository's files. */
#include <stdint.h>
#include <stdlib.h>

#include "hub/hub.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sutra_hub_listing l;
	struct sutra_err err;

	if (!sutra_hub_parse((const char *)data, size, &l, &err) && (l.n < 3 || l.n > SUTRA_HUB_MAX_FILES))
		abort();
	return 0;
}
