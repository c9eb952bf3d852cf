/* notes - warnings about a deployment that may be healthy: kills, exposed ports, the services'
 * user. */
#ifndef SUTRA_PROBE_NOTES_H
#define SUTRA_PROBE_NOTES_H

#include <jansson.h>

#include "deploy/deployment.h"

/* A list of strings; the caller's reference. */
json_t *sutra_notes(const struct sutra_deployment *d);

#endif
