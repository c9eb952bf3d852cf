/* Compose files: any bytes give a model or an error, never a fault; a model gives manifests. */
#include <stdint.h>

#include "manifest/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *none(void *ctx, const char *name) { return NULL; }

static void print(const struct sutra_compose *c,
		  int (*make)(const struct sutra_manifest *m, struct sutra_buf *out, struct sutra_err *err))
{
	const struct sutra_manifest m = { .all = c, .selected = c, .folder = "/nonexistent" };
	struct sutra_err err;
	struct sutra_buf out;

	sutra_buf_init(&out, 8 << 20);
	make(&m, &out, &err);
	sutra_buf_release(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sutra_compose *c;
	struct sutra_err err;

	if (sutra_compose_parse((const char *)data, size, "fuzz.yml", none, NULL, &c, &err))
		return 0;
	print(c, sutra_manifest_swarm);
	print(c, sutra_manifest_kubernetes);
	sutra_compose_free(c);
	return 0;
}
