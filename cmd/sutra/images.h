/* images - building the stack's images, for sutra build and for a first deploy. */
#ifndef SUTRA_CMD_IMAGES_H
#define SUTRA_CMD_IMAGES_H

#include "base/err.h"

/* Runs scripts/build-all of the source tree that data_dir is; its output goes to stderr. */
int build_images(const char *data_dir, struct sutra_err *err);

#endif
