/* Files of graded pairs: any bytes give pairs that can be measured, or an error. */
#include <stdint.h>

#include "model/quality.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sutra_quality_pairs *p;
	struct sutra_err err;

	if (sutra_quality_pairs_parse((const char *)data, size, &p, &err))
		return 0;
	if (!p->queries || p->queries > p->n)
		__builtin_trap();
	for (size_t i = 0; i < p->n; i++)
		if (!(p->grades[i] >= 0 && p->grades[i] <= 5))
			__builtin_trap();
	for (size_t i = 0; i < 2 * p->n; i++)
		if (!json_string_length(p->texts[i]))
			__builtin_trap();
	sutra_quality_pairs_free(p);
	return 0;
}
