/* The head of a first request: what is refused once stays refused, and what is whole at its end was not before. */
#include <stdint.h>
#include <stdlib.h>

#include "net/http_head.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *p = (const char *)data;
	struct sutra_err err = { 0 };
	bool probe = false;
	int rc = sutra_http_head(p, size, &probe, &err);

	if (rc > 1 || (rc < 0 && (err.code != rc || !err.message[0])) || (rc != 1 && probe))
		abort();
	if (rc < 0 && size < SUTRA_HTTP_MAX_HEAD && rc != sutra_http_head(p, size, &probe, &err))
		abort();
	if (!rc)
		for (size_t n = 0; n < size && n < 64; n++)
			if (sutra_http_head(p, n, &probe, &err))
				abort();
	return 0;
}
