/* kernel_scalar - the referee set; use it through vector/kernel.h. */
#ifndef SUTRA_VECTOR_KERNEL_SCALAR_H
#define SUTRA_VECTOR_KERNEL_SCALAR_H

#include "vector/kernel.h"

extern const struct sutra_kernels sutra_kernels_scalar_set;

#endif
