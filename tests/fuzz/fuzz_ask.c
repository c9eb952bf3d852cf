/* Answers of services as the checks read them: /embed and /cache/stats. */
#include <stdint.h>

#include "load/ask.h"
#include "probe/cachestats.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sutra_embed_answer a;
	struct sutra_cache_stats s;

	if (!sutra_embed_parse((const char *)data, size, &a, NULL)) {
		volatile float last = a.vectors[a.count * a.dimension - 1];

		(void)last;
		sutra_embed_release(&a);
	}
	sutra_cache_stats_parse((const char *)data, size, &s, NULL);
	return 0;
}
