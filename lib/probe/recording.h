/* recording - snapshots in a file, a line of JSON each, written and read again. */
#ifndef SUTRA_PROBE_RECORDING_H
#define SUTRA_PROBE_RECORDING_H

#include <stdio.h>

#include "probe/snapshot.h"

struct sutra_recording;

int sutra_recording_open(const char *path, struct sutra_recording **ret, struct sutra_err *err);
void sutra_recording_close(struct sutra_recording *t);	/* NULL is fine */
/* The next snapshot, a reference; NULL at the end. SUTRA_E_* names file and line. */
int sutra_recording_next(struct sutra_recording *t, struct sutra_snapshot **ret, struct sutra_err *err);
/* Opens a file to write to; path NULL: *ret is NULL. */
int sutra_recording_create(const char *path, FILE **ret, struct sutra_err *err);
/* Adds a snapshot and flushes it; f NULL: nothing. SUTRA_E_IO, SUTRA_E_FULL name the path. */
int sutra_recording_write(FILE *f, const char *path, const struct sutra_snapshot *s, struct sutra_err *err);

#endif
