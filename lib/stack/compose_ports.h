/* compose_ports - ports and expose of a service. Internal to lib/stack. */
#ifndef SUTRA_STACK_COMPOSE_PORTS_H
#define SUTRA_STACK_COMPOSE_PORTS_H

#include "stack/compose.h"
#include "stack/compose_reader.h"

/* Rows of the table of a service. */
int ports_ports(struct reader *r, struct fy_node *n, void *service, const char *what);
int ports_expose(struct reader *r, struct fy_node *n, void *service, const char *what);
void ports_release(struct sutra_service *s);

#endif
