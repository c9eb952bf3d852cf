/* compose_ports - ports and expose of a service. Internal to lib/compose. */
#ifndef SUTRA_COMPOSE_COMPOSE_PORTS_H
#define SUTRA_COMPOSE_COMPOSE_PORTS_H

#include "compose/compose.h"
#include "compose/compose_reader.h"

/* Rows of the table of a service. */
int sutra_ports_ports(struct reader *r, struct fy_node *n, void *service, const char *what);
int sutra_ports_expose(struct reader *r, struct fy_node *n, void *service, const char *what);
void sutra_ports_release(struct sutra_service *s);

#endif
