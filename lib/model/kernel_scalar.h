/* kernel_scalar - the referee set; use it through model/kernel.h. */
#ifndef SUTRA_MODEL_KERNEL_SCALAR_H
#define SUTRA_MODEL_KERNEL_SCALAR_H

#include "model/kernel.h"

extern const struct sutra_kernels sutra_kernels_scalar_set;

#endif
