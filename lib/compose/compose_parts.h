/* compose_parts - environment, ports and volumes of a service: rows of compose_service.c's table.
 * Internal to lib/compose. */
#ifndef SUTRA_COMPOSE_COMPOSE_PARTS_H
#define SUTRA_COMPOSE_COMPOSE_PARTS_H

#include "compose/compose.h"
#include "compose/compose_reader.h"

int sutra_service_environment(struct reader *r, struct fy_node *n, void *service, const char *what);
int sutra_service_env_file(struct reader *r, struct fy_node *n, void *service, const char *what);
int sutra_service_ports(struct reader *r, struct fy_node *n, void *service, const char *what);
int sutra_service_expose(struct reader *r, struct fy_node *n, void *service, const char *what);
int sutra_service_volumes(struct reader *r, struct fy_node *n, void *service, const char *what);
/* Reads the files that env_file names, once all keys of the service are known. */
int sutra_service_env_files_load(struct reader *r, struct sutra_service *s, const char *what);
/* Frees what these have read. */
void sutra_service_env_release(struct sutra_service *s);
void sutra_service_ports_release(struct sutra_service *s);
void sutra_service_volumes_release(struct sutra_service *s);

#endif
