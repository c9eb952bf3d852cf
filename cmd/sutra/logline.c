#include "sutra/logline.h"

enum { OWN_STAMP = 27 };	/* the services' own ends with "7Z" */

const char *log_message(const char *line, size_t *n)
{
	size_t skip = *n > LOG_STAMP ? LOG_STAMP + 1 : 0;
	const char *own = line + skip;

	if (*n > skip + OWN_STAMP && own[4] == '-' && own[10] == 'T' && own[OWN_STAMP - 1] == 'Z' &&
	    own[OWN_STAMP] == ' ')
		skip += OWN_STAMP + 1;
	*n -= skip;
	return line + skip;
}
