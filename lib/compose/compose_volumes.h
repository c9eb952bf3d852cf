/* compose_volumes - volumes of a service. Internal to lib/compose. */
#ifndef SUTRA_COMPOSE_COMPOSE_VOLUMES_H
#define SUTRA_COMPOSE_COMPOSE_VOLUMES_H

#include "compose/compose.h"
#include "compose/compose_reader.h"

/* Row of the table of a service. */
int sutra_volumes_volumes(struct reader *r, struct fy_node *n, void *service, const char *what);
void sutra_volumes_release(struct sutra_service *s);

#endif
