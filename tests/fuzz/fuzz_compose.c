/* Compose files: any bytes give a model or an error, never a fault. */
#include <stdint.h>

#include "stack/compose.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *none(void *ctx, const char *name) { return NULL; }

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sutra_compose *c;
	struct sutra_err err;

	if (!sutra_compose_parse((const char *)data, size, "fuzz.yml", none, NULL, &c, &err))
		sutra_compose_free(c);
	return 0;
}
