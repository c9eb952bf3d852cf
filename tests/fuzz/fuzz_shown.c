/* Shown text: whatever the bytes, nothing of it moves a terminal, and what is shown is shown as it is. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/shown.h"
#include "base/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct sutra_buf once, twice;

	sutra_buf_init(&once, 6 * n + 1);
	sutra_buf_init(&twice, 6 * n + 1);
	sutra_shown_add(&once, (const char *)data, n);
	sutra_shown_add(&twice, sutra_buf_str(&once), once.len);
	if (sutra_buf_error(&once) || once.len != twice.len || memcmp(sutra_buf_str(&once), sutra_buf_str(&twice), once.len))
		abort();
	for (size_t i = 0; i < once.len; i++)
		if ((unsigned char)once.data[i] < 0x20 && once.data[i] != '\n' && once.data[i] != '\t')
			abort();
	if (!sutra_str_utf8(sutra_buf_str(&once), once.len, NULL))
		abort();
	sutra_buf_clear(&twice);
	sutra_shown_json(&twice, (const char *)data, n);
	if (sutra_buf_error(&twice))
		abort();
	sutra_buf_release(&once);
	sutra_buf_release(&twice);
	return 0;
}
