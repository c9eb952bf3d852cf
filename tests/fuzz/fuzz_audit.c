/* A line of the audit log, which any editor may have had in hand: a line or none, never past its
 * fields. */
#include <stdint.h>
#include <string.h>

#include "deploy/audit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sutra_audit_line line;

	if (!sutra_audit_parse((const char *)data, size, &line))
		return 0;
	if (line.at_us <= 0 || !memchr(line.command, '\0', sizeof(line.command)) ||
	    !memchr(line.outcome, '\0', sizeof(line.outcome)))
		__builtin_trap();
	return 0;
}
