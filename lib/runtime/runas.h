/*
 * runas - the user that runs the services natively (SUTRA_USER), if root deploys. Supervision, logs and the
 * deploy itself stay with root.
 */
#ifndef SUTRA_RUNTIME_RUNAS_H
#define SUTRA_RUNTIME_RUNAS_H

#include "base/err.h"

/* Checks that this process can start services as that user; else SUTRA_E_SETTING. */
int sutra_runas_possible(const char *user, struct sutra_err *err);
/* Makes the user the owner of a file, or of a folder and all that it holds; follows no link, also not one
 * that appears meanwhile. Folders nested deeper than 64 are an error. */
int sutra_runas_give(const char *path, const char *user, struct sutra_err *err);
/* Checks that the user may read the file, or enter and list the folder; else SUTRA_E_FORBIDDEN. */
int sutra_runas_reads(const char *path, const char *user, struct sutra_err *err);

#endif
