/* notes - what an operator should know of a stack, though it may be well. */
#ifndef SUTRA_CMD_NOTES_H
#define SUTRA_CMD_NOTES_H

#include <jansson.h>

#include "deploy/deployment.h"

/* A list of lines: kills, the user, what others can reach. The caller's reference. */
json_t *notes_of(const struct sutra_deployment *d);

#endif
