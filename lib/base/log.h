/*
 * log - one line per event on standard error, for the code of programs.
 *
 * Text: `2026-11-21T01:02:03.000004Z INFO  storage listening addr=127.0.0.1:50052`;
 * JSON (LOG_FORMAT=json): one object per line with time, level, subsystem, message
 * and the fields. Libraries return errors; only programs log above debug. A line
 * is written with one write(2), so threads never mix theirs.
 */
#ifndef SUTRA_BASE_LOG_H
#define SUTRA_BASE_LOG_H

#include <stdbool.h>

enum sutra_log_level { SUTRA_DEBUG, SUTRA_INFO, SUTRA_WARN, SUTRA_ERROR };

/* Process-wide; call before threads start. level: debug, info, warn, error. */
int sutra_log_setup(const char *level, const char *format);
bool sutra_log_on(enum sutra_log_level level);

/*
 * message is a constant text; fields is a printf format of `key=value` pairs separated
 * by a blank. A value that may hold blanks is in double quotes:
 *   sutra_log(SUTRA_INFO, "store", "replayed", "records=%zu file=\"%s\"", n, path);
 * NULL fields: none.
 */
void sutra_log(enum sutra_log_level level, const char *subsystem, const char *message,
	       const char *fields, ...) __attribute__((format(printf, 4, 5)));

#endif
