/*
 * edges - who needs whom: what the compose file's depends_on says, and what it leaves out but the
 * settings show: the address of another service in a service's environment.
 */
#ifndef SUTRA_COMPOSE_EDGES_H
#define SUTRA_COMPOSE_EDGES_H

#include <jansson.h>

#include "base/str.h"

/* Appends to *ret the names of the services that service `at` of the record's list needs, each
 * once: depends_on first. An address is a service's host name, or its own address' host, standing
 * whole in a value ("http://ml-base-lb:8887", "127.77.0.4"). */
int sutra_edges_of(const json_t *services, size_t at, struct sutra_strv *ret);

#endif
