/* compose_service - one service of a compose file. Internal to lib/compose. */
#ifndef SUTRA_COMPOSE_COMPOSE_SERVICE_H
#define SUTRA_COMPOSE_COMPOSE_SERVICE_H

#include "compose/compose.h"
#include "compose/compose_reader.h"

/* Fills *s, also on failure, so that sutra_service_release can free it. */
int sutra_service_read(struct reader *r, const char *name, struct fy_node *n, struct sutra_service *s);
void sutra_service_release(struct sutra_service *s);

#endif
