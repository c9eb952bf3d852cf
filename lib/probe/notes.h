/* notes - what an operator should know of a stack, though it may be well. */
#ifndef SUTRA_PROBE_NOTES_H
#define SUTRA_PROBE_NOTES_H

#include <jansson.h>

#include "deploy/deployment.h"

/* A list of lines: kills, the user, what others can reach. The caller's reference. */
json_t *sutra_notes(const struct sutra_deployment *d);

#endif
