#include "probe/logline.h"

enum { OWN_STAMP = 27 };	/* the services' own ends with "7Z" */

const char *sutra_logline_message(const char *line, size_t *n)
{
	size_t skip = *n > SUTRA_LOGLINE_STAMP ? SUTRA_LOGLINE_STAMP + 1 : 0;
	const char *own = line + skip;

	if (*n > skip + OWN_STAMP && own[4] == '-' && own[10] == 'T' && own[OWN_STAMP - 1] == 'Z' &&
	    own[OWN_STAMP] == ' ')
		skip += OWN_STAMP + 1;
	*n -= skip;
	return line + skip;
}
