/*
 * runas - the user that the services run as natively (SUTRA_USER); root's to choose. Supervision,
 * logs and the deploy itself stay root's.
 */
#ifndef SUTRA_RUNTIME_RUNAS_H
#define SUTRA_RUNTIME_RUNAS_H

#include "base/err.h"

/* Whether services can be started as that user by this one; else SUTRA_E_SETTING. */
int sutra_runas_possible(const char *user, struct sutra_err *err);
/* Makes the user the owner of a file or of a folder with all in it; follows no links, also when
 * they appear meanwhile. Folders nested deeper than 64 are an error. */
int sutra_runas_give(const char *path, const char *user, struct sutra_err *err);
/* Whether the user may read the file or enter and list the folder; else SUTRA_E_FORBIDDEN. */
int sutra_runas_reads(const char *path, const char *user, struct sutra_err *err);

#endif
