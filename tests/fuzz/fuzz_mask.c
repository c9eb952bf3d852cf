/* Masking: within its bounds whatever the text, and nothing left of a known secret. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mask.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct sutra_mask *m = sutra_mask_new();
	struct sutra_buf once, twice;

	if (!m)
		return 0;
	sutra_mask_secret(m, "hunter2hunter2");
	sutra_buf_init(&once, 1 << 20);
	sutra_buf_init(&twice, 1 << 20);
	sutra_mask_add(m, (const char *)data, n, &once);
	if (memmem(sutra_buf_str(&once), once.len, "hunter2hunter2", 14))
		abort();
	sutra_mask_add(NULL, (const char *)data, n, &twice);
	sutra_buf_release(&once);
	sutra_buf_release(&twice);
	sutra_mask_free(m);
	return 0;
}
