/* logline - a line of a service's log as the runtimes give it: "2026-11-21T05:22:48.62655 text". */
#ifndef SUTRA_CMD_LOGLINE_H
#define SUTRA_CMD_LOGLINE_H

#include <stddef.h>

enum { LOG_STAMP = 25 };	/* columns of the time stamp */

/* What was said, without the stamp and without the service's own one behind it; *n becomes its
 * length. */
const char *log_message(const char *line, size_t *n);

#endif
