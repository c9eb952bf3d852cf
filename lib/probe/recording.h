/* recording - snapshots in a file, one line of JSON each. */
#ifndef SUTRA_PROBE_RECORDING_H
#define SUTRA_PROBE_RECORDING_H

#include <stdio.h>

#include "probe/snapshot.h"

struct sutra_recording;

int sutra_recording_open(const char *path, struct sutra_recording **ret, struct sutra_err *err);
void sutra_recording_close(struct sutra_recording *t);	/* NULL is fine */
/* The next snapshot, a reference; NULL at the end. Errors name file and line. */
int sutra_recording_next(struct sutra_recording *t, struct sutra_snapshot **ret, struct sutra_err *err);
/* Opens a file for writing; path NULL: *ret is NULL. */
int sutra_recording_create(const char *path, FILE **ret, struct sutra_err *err);
/* Writes and flushes a snapshot; f NULL: does nothing. SUTRA_E_IO, SUTRA_E_FULL name the path. */
int sutra_recording_write(FILE *f, const char *path, const struct sutra_snapshot *s, struct sutra_err *err);

#endif
