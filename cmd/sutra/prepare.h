/*
 * prepare - prepares what services need before they start: images built from the source tree, and packed
 * weights beside the model, made once for all replicas, also for containers that mount the folder
 * read-only.
 */
#ifndef SUTRA_CMD_PREPARE_H
#define SUTRA_CMD_PREPARE_H

#include "base/err.h"

/* Runs scripts/<name> of the source tree that data_dir is, with one operand or NULL; its output goes to
 * standard error. SUTRA_E_NOTFOUND: data_dir is no source tree. */
int prepare_script(const char *data_dir, const char *name, const char *operand, struct sutra_err *err);
/* Packs the weights, unless the folder has packed ones. A model that cannot be packed is no error here:
 * the services pack it themselves, or report the problem. */
void prepare_weights(const char *folder, const char *precision);

#endif
