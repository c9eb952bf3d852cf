/* HAProxy's statistics: any bytes give rows or an error, and every text ends. */
#include <stdint.h>
#include <string.h>

#include "deploy/haproxy_csv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sutra_haproxy_stats s;
	struct sutra_err err;

	if (sutra_haproxy_parse((const char *)data, size, &s, &err))
		return 0;
	for (size_t i = 0; i < s.n; i++)
		if (strlen(s.rows[i].proxy) >= sizeof(s.rows[i].proxy) || s.rows[i].total < -1)
			__builtin_trap();
	sutra_haproxy_release(&s);
	return 0;
}
