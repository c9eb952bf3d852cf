/* Suite files: any bytes give a suite or an error. */
#include <stdint.h>

#include "check/suite.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sutra_suite *s;
	struct sutra_err err;

	if (!sutra_suite_parse((const char *)data, size, &s, &err)) {
		if (!s->n || !s->checks[0].kind)
			__builtin_trap();
		sutra_suite_free(s);
	}
	return 0;
}
