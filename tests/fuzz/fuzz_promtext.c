/* Prometheus text: any bytes are samples or an error, and a value or none. */
#include <stdint.h>
#include <string.h>

#include "base/alloc.h"
#include "probe/promtext.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = sutra_calloc(size + 1, 1), out[40];
	struct sutra_err err;
	size_t samples;

	if (!text)
		return 0;
	memcpy(text, data, size);
	if (!sutra_promtext_check(text, &samples, &err) && samples > size)
		__builtin_trap();
	sutra_promtext_value(text, "a_total");
	sutra_promtext_label(text, "a_total", "version", out, sizeof(out));
	sutra_free(text);
	return 0;
}
