/*
 * prepare - what must be there before services start: images, built from the source tree, and weights
 * packed beside the model, once instead of by every replica, where containers that see the folder
 * read-only find them.
 */
#ifndef SUTRA_CMD_PREPARE_H
#define SUTRA_CMD_PREPARE_H

#include "base/err.h"

/* Runs scripts/<name> of the source tree that data_dir is, with one operand or NULL; its output goes to
 * standard error. SUTRA_E_NOTFOUND: data_dir is no source tree. */
int prepare_script(const char *data_dir, const char *name, const char *operand, struct sutra_err *err);
/* Packs the weights, unless the folder has packed ones. A model that cannot be packed is no error here:
 * the services pack for themselves, or report what is wrong with it. */
void prepare_weights(const char *folder, const char *precision);

#endif
