/* logline - a line of a service's log as the runtimes give it: "2026-11-21T05:22:48.62655 text". */
#ifndef SUTRA_PROBE_LOGLINE_H
#define SUTRA_PROBE_LOGLINE_H

#include <stddef.h>

enum { SUTRA_LOGLINE_STAMP = 25 };	/* columns of the time stamp */

/* What was said, without the stamp and without the service's own one behind it; *n becomes its
 * length. */
const char *sutra_logline_message(const char *line, size_t *n);

#endif
