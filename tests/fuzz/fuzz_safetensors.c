/* Any bytes as a weight file: what is accepted can be read, all of it, within its bounds. */
#include <stddef.h>
#include <stdint.h>

#include "model/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sutra_safetensors *st;
	float out[64];

	if (sutra_safetensors_parse(data, size, &st, NULL))
		return 0;
	for (size_t i = 0; i < sutra_safetensors_count(st); i++) {
		const struct sutra_tensor *t = sutra_safetensors_at(st, i);

		if (sutra_safetensors_find(st, t->name) != t)
			__builtin_trap();
		if (t->dtype == SUTRA_DTYPE_OTHER)
			continue;
		for (uint64_t at = 0; at < t->count; at += 64)
			sutra_tensor_read(t, at, t->count - at < 64 ? (size_t)(t->count - at) : 64, out);
	}
	sutra_safetensors_free(st);
	return 0;
}
