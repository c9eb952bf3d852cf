/*
 * modelpack - weights packed beside the model before anything starts: once instead of by every
 * replica, and where containers, which see the folder read-only, find them.
 */
#ifndef SUTRA_CMD_MODELPACK_H
#define SUTRA_CMD_MODELPACK_H

/* Unless the folder has packed weights already. A model that cannot be packed is no error here:
 * the services pack for themselves, or say what is wrong with it. */
void model_pack(const char *folder, const char *precision);

#endif
