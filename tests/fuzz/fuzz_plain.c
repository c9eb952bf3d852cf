/* The heads of plain HTTP requests. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "net/plain.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sutra_plain r = { .keep_alive = false };
	struct sutra_buf out, body;
	int n = sutra_plain_parse((const char *)data, size, &r);

	if (n <= 0)
		return 0;
	if ((size_t)n > size || !r.method[0] || strlen(r.id) > 128)
		abort();
	sutra_buf_init(&out, 1 << 16);
	sutra_buf_init(&body, 16);
	sutra_plain_answer(&out, &r, 200, "text/plain", NULL, &body);
	sutra_buf_release(&out);
	return 0;
}
